//! Findings about a node: a stable code, what was seen, and what to do.

oci::labels! {
    /// The code of a finding. It never changes its meaning. The range PG0400 to PG0499 belongs to nodes.
    Code {
        /// containerd reads no `hosts.toml`.
        ConfigPathUnset = "PG0401";
        /// `config_path` is a list, which containerd 2.1 and later read as one folder.
        ConfigPathList = "PG0402";
        /// Old `registry.mirrors` beside `config_path`.
        OldMirrors = "PG0403";
        /// A folder without a `hosts.toml` hides `_default`.
        EmptyFolder = "PG0404";
        /// Somebody else's file configures the registry.
        ForeignFile = "PG0405";
        /// Our file was changed by hand.
        EditedFile = "PG0406";
        /// No file configures the registry.
        NoFile = "PG0407";
        /// The mirror's name cannot be resolved on the node.
        MirrorUnresolvable = "PG0408";
        /// The mirror does not answer.
        MirrorSilent = "PG0409";
        /// Something else answers at the mirror's address, or it does not serve the registry.
        MirrorForeign = "PG0410";
        /// The runtime ignores `dial_timeout`.
        DialTimeoutIgnored = "PG0411";
        /// There is no way around the mirror.
        NoFallback = "PG0412";
        /// A capability that the runtime does not know: it ignores the whole file.
        UnknownCapability = "PG0413";
        /// The file with the mirror's authority is missing.
        CaMissing = "PG0414";
        /// The node's clock differs from the mirror's.
        Clock = "PG0415";
        /// The file cannot be read as TOML, or has no `[host]`: containerd ignores it.
        FileIgnored = "PG0416";
        /// A pull through the runtime did not reach the mirror.
        Bypassed = "PG0417";
        /// The configuration of the runtime is not known.
        RuntimeUnknown = "PG0418";
        /// The place of a file is unsafe: a link, another user's folder, a read-only file system.
        UnsafePlace = "PG0419";
        /// The file names another mirror.
        OtherMirror = "PG0420";
        /// `skip_verify` removes the verification of the registry's token server too.
        SkipVerify = "PG0421";
        /// A pull failed.
        PullFailed = "PG0422";
        /// The second pull was not served from the cache.
        NotCached = "PG0423";
    }
}

oci::labels! {
    /// The weight of a finding.
    Level {
        /// Pulls go around the mirror, fail, or cannot fall back.
        Error = "error";
        /// Something may be slow, or could not be looked at.
        Warning = "warning";
    }
}

/// Something that is wrong on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The code.
    pub code: Code,
    /// The registry, file or program that it is about.
    pub about: String,
    /// What was seen: measured values, paths, texts.
    pub seen: String,
}

impl Finding {
    /// A finding.
    pub fn new(code: Code, about: impl Into<String>, seen: impl Into<String>) -> Self {
        Self { code, about: about.into(), seen: seen.into() }
    }
}

impl Code {
    /// The weight.
    pub fn level(self) -> Level {
        match self {
            Self::DialTimeoutIgnored | Self::Clock | Self::RuntimeUnknown | Self::NotCached => Level::Warning,
            _ => Level::Error,
        }
    }

    /// The sentence that names it.
    pub fn title(self) -> &'static str {
        self.page().0
    }

    /// The effect on pulls.
    pub fn meaning(self) -> &'static str {
        self.page().1
    }

    /// What to do.
    pub fn fix(self) -> &'static str {
        self.page().2
    }

    /// Title, meaning and fix.
    fn page(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::ConfigPathUnset => (
                "containerd reads no hosts.toml",
                "`config_path` is not set, so that containerd ignores certs.d, and every pull goes around the mirror. No message says so.",
                "merge the part that `pullgate node render --for containerd` prints into /etc/containerd/config.toml, then restart containerd once",
            ),
            Self::ConfigPathList => (
                "config_path is a list",
                "containerd 2.1 and later read a list `a:b` as the name of one folder, which does not exist. Every mirror is skipped, and no message says so. Some options (`discard_unpacked_layers`, `max_concurrent_downloads`) bring the older way of pulling back, in which the list works.",
                "set config_path to the one folder /etc/containerd/certs.d, then restart containerd once",
            ),
            Self::OldMirrors => (
                "old registry.mirrors beside config_path",
                "containerd does not load its CRI plugin with both, so that the node starts no pod after the next restart.",
                "remove the tables `registry.mirrors` and `registry.configs.*.tls` from /etc/containerd/config.toml",
            ),
            Self::EmptyFolder => (
                "a folder without hosts.toml hides _default",
                "containerd uses one folder for a registry and merges nothing. A folder without hosts.toml sends pulls directly to the registry.",
                "remove the folder, or run `pullgate node apply`",
            ),
            Self::ForeignFile => (
                "somebody else's file configures the registry",
                "pullgate leaves the file alone, so that pulls go where it says.",
                "move the file away, then run `pullgate node apply`; or add the mirror to it by hand",
            ),
            Self::EditedFile => (
                "a file of pullgate was changed by hand",
                "pullgate neither updates nor removes it, because the change would be lost.",
                "delete the file, then run `pullgate node apply`",
            ),
            Self::NoFile => (
                "no file sends the registry to the mirror",
                "Pulls of this registry go around the mirror.",
                "run `pullgate node apply`",
            ),
            Self::MirrorUnresolvable => (
                "the mirror's name cannot be resolved on the node",
                "Nodes do not use the cluster's name servers, so that names of Services are unknown to them. Every pull first waits for the lookup to fail.",
                "use an address: the fixed ClusterIP of the Service",
            ),
            Self::MirrorSilent => (
                "the mirror does not answer",
                "Every request of a pull first tries the mirror. An address that drops packets costs 30 s for each request, unless `dial_timeout` works.",
                "start the mirror, or run `pullgate node restore` on the node",
            ),
            Self::MirrorForeign => (
                "something else answers at the mirror's address",
                "What answers is no pullgate, or a pullgate that is not configured for the registry. The node could get another registry's content, or pays one more request for each object.",
                "correct the address; or add the registry to the configuration of the mirror",
            ),
            Self::DialTimeoutIgnored => (
                "the runtime ignores dial_timeout",
                "containerd before 2.0.7 ignores the key. When the mirror's address drops packets, each request waits 30 s before the registry is asked.",
                "run `pullgate node guard` on the node, or update containerd",
            ),
            Self::NoFallback => (
                "there is no way around the mirror",
                "`server` is the mirror itself, so that pulls fail when the mirror is gone.",
                "set `server` to the registry's own address",
            ),
            Self::UnknownCapability => (
                "a capability that the runtime does not know",
                "containerd before 2.2 does not know `referrers` and ignores the whole file, with one line in its log.",
                "write only `pull` and `resolve`",
            ),
            Self::CaMissing => (
                "the file with the mirror's authority is missing",
                "containerd cannot verify the mirror and goes to the registry instead.",
                "copy the authority's PEM file to the node",
            ),
            Self::Clock => (
                "the node's clock differs from the mirror's",
                "Certificates and tokens are refused as expired or as not yet valid.",
                "let the node synchronise its clock (chrony, systemd-timesyncd)",
            ),
            Self::FileIgnored => (
                "containerd ignores the file",
                "The file is no TOML, or has no `[host]`, which containerd before 1.7.32 ignores. Pulls go around the mirror.",
                "delete the file, then run `pullgate node apply`",
            ),
            Self::Bypassed => (
                "a pull went around the mirror",
                "The runtime pulled the image, and the mirror saw no request of it.",
                "run `pullgate check node` on the node: it names the file or setting",
            ),
            Self::RuntimeUnknown => (
                "the configuration of the runtime is not known",
                "The program did not run, or its output was not understood, so that its settings could not be checked.",
                "name the program with --containerd, or its file with --containerd-config",
            ),
            Self::UnsafePlace => (
                "the place of a file is unsafe",
                "A link, another user's folder or a read-only file system: pullgate does not write there.",
                "do what the line says; on distributions that generate the file, use `pullgate node render --for` their name",
            ),
            Self::OtherMirror => (
                "the file names another mirror",
                "Pulls go to another address than the one that was checked.",
                "run `pullgate node apply` with the mirror's present address",
            ),
            Self::SkipVerify => (
                "skip_verify for the mirror",
                "The same client also talks to the registry's token server, which is then not verified either, and gets the pod's secret.",
                "remove skip_verify; name the authority with `ca`",
            ),
            Self::PullFailed => (
                "the pull failed",
                "The mirror or the runtime did not deliver the image.",
                "run `pullgate check upstream` and read docs/errors.md for the class in the line",
            ),
            Self::NotCached => (
                "the second pull was not served from the cache",
                "The content was fetched again: the cache is full, its disk fails, or the tag is checked upstream each time.",
                "run `pullgate cache explain` for the image",
            ),
        }
    }

    /// The page in `docs/checks/`.
    pub fn document(self) -> String {
        let (title, meaning, fix) = self.page();
        let (title, fix) = (capital(title), capital(fix));
        let command = match self {
            Self::PullFailed | Self::NotCached => "pullgate check pull IMAGE",
            _ => "pullgate check node",
        };
        format!(
            "# {self}: {title}\n\nLevel: {}\n\n## What it means\n\n{meaning}\n\n## How to see it\n\n```console\n{command}\n```\n\n\
             ## What to do\n\n{fix}.\n",
            self.level()
        )
    }
}

/// The sentence with a capital at its start, unless that is a name in small letters.
fn capital(sentence: &str) -> String {
    let is_name = SMALL.iter().any(|name| sentence.starts_with(name));
    match sentence.split_at_checked(1) {
        Some((first, rest)) if !is_name => first.to_ascii_uppercase() + rest,
        _ => sentence.to_owned(),
    }
}

/// Names that keep their small letters.
const SMALL: &[&str] = &["containerd", "config_path", "skip_verify"];
