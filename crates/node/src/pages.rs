//! The texts of the findings, in the order of their codes.

/// Title, meaning and fix of a finding.
pub(super) struct Page {
    pub(super) code: &'static str,
    pub(super) title: &'static str,
    pub(super) meaning: &'static str,
    pub(super) fix: &'static str,
}

/// One row for each code.
pub(super) const PAGES: &[Page] = &[
    Page {
        code: "PG0401",
        title: "containerd reads no hosts.toml",
        meaning: "`config_path` is not set, so that containerd ignores certs.d, and every pull goes around the mirror. No message says so.",
        fix: "merge the part that `pullgate node render --for containerd` prints into /etc/containerd/config.toml, then restart containerd once",
    },
    Page {
        code: "PG0402",
        title: "config_path is a list",
        meaning: "containerd 2.1 and later read a list `a:b` as the name of one folder, which does not exist. Every mirror is skipped, and no message says so. Some options (`discard_unpacked_layers`, `max_concurrent_downloads`) bring the older way of pulling back, in which the list works.",
        fix: "set config_path to the one folder /etc/containerd/certs.d, then restart containerd once",
    },
    Page {
        code: "PG0403",
        title: "old registry.mirrors beside config_path",
        meaning: "containerd does not load its CRI plugin with both, so that the node starts no pod after the next restart.",
        fix: "remove the tables `registry.mirrors` and `registry.configs.*.tls` from /etc/containerd/config.toml",
    },
    Page {
        code: "PG0404",
        title: "a folder without hosts.toml hides _default",
        meaning: "containerd uses one folder for a registry and merges nothing. A folder without hosts.toml sends pulls directly to the registry.",
        fix: "remove the folder, or run `pullgate node apply`",
    },
    Page {
        code: "PG0405",
        title: "somebody else's file configures the registry",
        meaning: "pullgate leaves the file alone, so that pulls go where it says.",
        fix: "move the file away, then run `pullgate node apply`; or add the mirror to it by hand",
    },
    Page {
        code: "PG0406",
        title: "a file of pullgate was changed by hand",
        meaning: "pullgate neither updates nor removes it, because the change would be lost.",
        fix: "delete the file, then run `pullgate node apply`",
    },
    Page {
        code: "PG0407",
        title: "no file sends the registry to the mirror",
        meaning: "Pulls of this registry go around the mirror.",
        fix: "run `pullgate node apply`",
    },
    Page {
        code: "PG0408",
        title: "the mirror's name cannot be resolved on the node",
        meaning: "Nodes do not use the cluster's name servers, so that names of Services are unknown to them. Every pull first waits for the lookup to fail.",
        fix: "use an address: the fixed ClusterIP of the Service",
    },
    Page {
        code: "PG0409",
        title: "the mirror does not answer",
        meaning: "Every request of a pull first tries the mirror. An address that drops packets costs 30 s for each request, unless `dial_timeout` works.",
        fix: "start the mirror, or run `pullgate node restore` on the node",
    },
    Page {
        code: "PG0410",
        title: "something else answers at the mirror's address",
        meaning: "What answers is no pullgate, or a pullgate that is not configured for the registry. The node could get another registry's content, or pays one more request for each object.",
        fix: "correct the address; or add the registry to the configuration of the mirror",
    },
    Page {
        code: "PG0411",
        title: "the runtime ignores dial_timeout",
        meaning: "containerd before 2.0.7 ignores the key. When the mirror's address drops packets, each request waits 30 s before the registry is asked.",
        fix: "run `pullgate node guard` on the node, or update containerd",
    },
    Page {
        code: "PG0412",
        title: "there is no way around the mirror",
        meaning: "`server` is the mirror itself, so that pulls fail when the mirror is gone.",
        fix: "set `server` to the registry's own address",
    },
    Page {
        code: "PG0413",
        title: "a capability that the runtime does not know",
        meaning: "containerd before 2.2 does not know `referrers` and ignores the whole file, with one line in its log.",
        fix: "write only `pull` and `resolve`",
    },
    Page {
        code: "PG0414",
        title: "the file with the mirror's authority is missing",
        meaning: "containerd cannot verify the mirror and goes to the registry instead.",
        fix: "copy the authority's PEM file to the node",
    },
    Page {
        code: "PG0415",
        title: "the node's clock differs from the mirror's",
        meaning: "Certificates and tokens are refused as expired or as not yet valid.",
        fix: "let the node synchronise its clock (chrony, systemd-timesyncd)",
    },
    Page {
        code: "PG0416",
        title: "containerd ignores the file",
        meaning: "The file is no TOML, or has no `[host]`, which containerd before 1.7.32 ignores. Pulls go around the mirror.",
        fix: "delete the file, then run `pullgate node apply`",
    },
    Page {
        code: "PG0417",
        title: "a pull went around the mirror",
        meaning: "The runtime pulled the image, and the mirror saw no request of it.",
        fix: "run `pullgate check node` on the node: it names the file or setting",
    },
    Page {
        code: "PG0418",
        title: "the configuration of the runtime is not known",
        meaning: "The program did not run, or its output was not understood, so that its settings could not be checked.",
        fix: "name the program with --containerd, or its file with --containerd-config",
    },
    Page {
        code: "PG0419",
        title: "the place of a file is unsafe",
        meaning: "A link, another user's folder or a read-only file system: pullgate does not write there.",
        fix: "do what the line says; on distributions that generate the file, use `pullgate node render --for` their name",
    },
    Page {
        code: "PG0420",
        title: "the file names another mirror",
        meaning: "Pulls go to another address than the one that was checked.",
        fix: "run `pullgate node apply` with the mirror's present address",
    },
    Page {
        code: "PG0421",
        title: "skip_verify for the mirror",
        meaning: "The same client also talks to the registry's token server, which is then not verified either, and gets the pod's secret.",
        fix: "remove skip_verify; name the authority with `ca`",
    },
    Page {
        code: "PG0422",
        title: "the pull failed",
        meaning: "The mirror or the runtime did not deliver the image.",
        fix: "run `pullgate check upstream` and read docs/errors.md for the class in the line",
    },
    Page {
        code: "PG0423",
        title: "the second pull was not served from the cache",
        meaning: "The content was fetched again: the cache is full, its disk fails, or the tag is checked upstream each time.",
        fix: "run `pullgate cache explain` for the image",
    },
];
