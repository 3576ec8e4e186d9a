//! The page of each code in `docs/checks/`, from one table.

use super::code::{Code, Level};

/// The row of a code.
pub(super) struct Row {
    /// The title, as a short sentence.
    pub(super) title: &'static str,
    /// The weight.
    pub(super) level: Level,
    /// What it means for pulls.
    means: &'static str,
    /// How a person sees it without pullgate.
    look: &'static str,
    /// What to do.
    act: &'static str,
}

/// The page of a code, in Markdown.
pub fn page(code: Code) -> String {
    let Row { title, level, means, look, act } = row(code);
    format!(
        "# {code}: {title}\n\nLevel: {level}\n\n## What it means\n\n{means}\n\n## How to see it\n\n```console\n{look}\n```\n\n## What to do\n\n{act}\n"
    )
}

/// The row of a code.
pub(super) fn row(code: Code) -> Row {
    match code {
        Code::BadReference
        | Code::SecretMissing
        | Code::SecretElsewhere
        | Code::HostNearMiss
        | Code::Expired
        | Code::Poisoned => pull(code),
        Code::SecretType
        | Code::SecretNotJson
        | Code::SecretAuth
        | Code::SecretNoEntries
        | Code::EntryEmpty
        | Code::SecretTooLarge => document(code),
        Code::PodBeforeAccount
        | Code::AccountLostSecret
        | Code::AccountMissing
        | Code::NotAllowed
        | Code::NotReachable => around(code),
    }
}

/// Rows about an image and its credential.
fn pull(code: Code) -> Row {
    match code {
        Code::BadReference => Row {
            title: "The image reference is not valid",
            level: Level::Error,
            means: "No node asks a registry for this image. The container stays in `InvalidImageName`.",
            look: "kubectl get pod POD --namespace=NS -o jsonpath='{.spec.containers[*].image}'",
            act: "Write the reference in lower case, without a scheme and without spaces: `HOST/REPOSITORY:TAG` or `HOST/REPOSITORY@sha256:...`.",
        },
        Code::SecretMissing => Row {
            title: "The pull secret does not exist",
            level: Level::Error,
            means: "The kubelet goes on without the secret: it pulls anonymously, and private images fail with `pull access denied` or `failed to fetch anonymous token`.",
            look: "kubectl get secret SECRET --namespace=NS\nkubectl get events --namespace=NS --field-selector=reason=FailedToRetrieveImagePullSecret",
            act: "Create the secret in the namespace of the pod, or correct its name in `imagePullSecrets`. Running pods use it at their next pull.",
        },
        Code::SecretElsewhere => Row {
            title: "The pull secret is in another namespace",
            level: Level::Error,
            means: "A pod can use only secrets of its own namespace. The kubelet pulls anonymously.",
            look: "kubectl get secret --all-namespaces --field-selector=metadata.name=SECRET",
            act: "Copy the secret into the namespace of the pod. pullgate looks into other namespaces only if its role allows it.",
        },
        Code::HostNearMiss => Row {
            title: "The key of the pull secret does not match the registry",
            level: Level::Warning,
            means: "The kubelet compares the key with the image: host and port must be equal, in lower case; `http://`, `https://`, and `/v1/` or `/v2/` at the start of the path are removed; a `*` stands for one label of the host; a path must be the beginning of the repository. Docker Hub is `https://index.docker.io/v1/`, `index.docker.io` or `docker.io`; `registry-1.docker.io` and `hub.docker.com` match nothing. Without a matching key, nodes pull anonymously.",
            look: "kubectl get secret SECRET --namespace=NS -o jsonpath='{.data.\\.dockerconfigjson}' | base64 -d | jq '.auths | keys'",
            act: "Write the key as the finding prints it.",
        },
        Code::Expired => Row {
            title: "The password has ended, or ends soon",
            level: Level::Error,
            means: "The registry refuses the password: pulls fail with `failed to fetch oauth token` or 401. The end is read from the password itself if it is a JSON Web Token or a password of Amazon ECR, else, for ECR, from the last change of the secret: these passwords live for 12 hours.",
            look: "kubectl get secret SECRET --namespace=NS --show-managed-fields -o jsonpath='{.metadata.managedFields[*].time}'",
            act: "Renew the password. For ECR, let the nodes use `ecr-credential-provider`, so that no secret is needed. Tokens of CI jobs end with their job: use a deploy token.",
        },
        _ => Row {
            title: "A credential breaks the pull of a public image",
            level: Level::Error,
            means: "Everyone can pull the image, but a credential that the registry refuses is sent first. The kubelet does not pull anonymously after that.",
            look: "kubectl get pod POD --namespace=NS -o jsonpath='{.spec.imagePullSecrets[*].name}'",
            act: "Renew the credential, or remove the secret from the pod and from its service account.",
        },
    }
}

/// Rows about the document of a secret.
fn document(code: Code) -> Row {
    let keys = "kubectl get secret SECRET --namespace=NS -o jsonpath='{.type}{\"\\n\"}'\nkubectl get secret SECRET --namespace=NS -o jsonpath='{.data.\\.dockerconfigjson}' | base64 -d";
    match code {
        Code::SecretType => Row {
            title: "The secret is of a type that the kubelet does not read",
            level: Level::Error,
            means: "Only the types `kubernetes.io/dockerconfigjson` and `kubernetes.io/dockercfg` are pull secrets. Others, such as `Opaque`, are passed over without a message, and nodes pull anonymously.",
            look: keys,
            act: "Create the secret anew with the right type. The type of a secret cannot be changed.",
        },
        Code::SecretNotJson => Row {
            title: "The document of the secret is not JSON, or has another form",
            level: Level::Error,
            means: "The kubelet refuses every pull of a pod with this secret, also of public images. Usual causes: a byte order mark, UTF-16 (NUL bytes), base64 encoded twice, a template that was not filled in.",
            look: keys,
            act: "Create the secret anew with `kubectl create secret docker-registry`.",
        },
        Code::SecretAuth => Row {
            title: "The `auth` of an entry is not base64 of user:password",
            level: Level::Error,
            means: "The kubelet refuses every pull of a pod with this secret, also from other registries. It reads the standard alphabet only (`+` and `/`); padding must be right, or absent.",
            look: keys,
            act: "Write the entry anew; `auth` is `printf '%s' 'USER:PASSWORD' | base64 -w0`.",
        },
        Code::SecretNoEntries => Row {
            title: "The secret has no entry",
            level: Level::Error,
            means: "The document is absent or empty, or the registries do not stand within `auths`. Nodes pull anonymously.",
            look: keys,
            act: "Write `{\"auths\": {\"HOST\": {\"auth\": \"...\"}}}` under the key `.dockerconfigjson`.",
        },
        Code::EntryEmpty => Row {
            title: "An entry has neither user name nor password",
            level: Level::Error,
            means: "The kubelet passes the empty entry to the runtime, and containerd refuses it as an invalid auth config: the image cannot be pulled, even if it is public. `identitytoken` and `registrytoken` are for docker; the kubelet does not read them.",
            look: keys,
            act: "Give the entry a user name and a password, or remove it. An entry that `docker login` wrote may be empty because the password is in a credential store of that machine.",
        },
        _ => Row {
            title: "The secret is too large to be read",
            level: Level::Warning,
            means: "A Secret may have 1 MiB. pullgate does not parse a larger document.",
            look: "kubectl get secret SECRET --namespace=NS -o json | wc -c",
            act: "Keep only the entries of the registries that the namespace uses.",
        },
    }
}

/// Rows about service accounts and access.
fn around(code: Code) -> Row {
    match code {
        Code::PodBeforeAccount => Row {
            title: "The pod was created before its service account got the secret",
            level: Level::Error,
            means: "The API server copies the secrets of a service account into a pod when the pod is created. Pods that exist do not get a secret that is added later.",
            look: "kubectl get serviceaccount ACCOUNT --namespace=NS -o jsonpath='{.imagePullSecrets[*].name}'\nkubectl get pod POD --namespace=NS -o jsonpath='{.spec.imagePullSecrets[*].name}'",
            act: "Create the pod anew: `kubectl rollout restart`, or delete it.",
        },
        Code::AccountLostSecret => Row {
            title: "The service account no longer has the secret of its pod",
            level: Level::Warning,
            means: "The running pod can still pull, and the next one cannot: the failure shows at the next restart on another node.",
            look: "kubectl get serviceaccount ACCOUNT --namespace=NS -o jsonpath='{.imagePullSecrets[*].name}'\nkubectl get pod POD --namespace=NS -o jsonpath='{.spec.imagePullSecrets[*].name}'",
            act: "Add the secret to the service account, or to the template of the workload.",
        },
        Code::AccountMissing => Row {
            title: "The service account does not exist",
            level: Level::Error,
            means: "The API server refuses new pods of this workload, so that nothing is pulled at all.",
            look: "kubectl get serviceaccount ACCOUNT --namespace=NS",
            act: "Create the service account, or correct `serviceAccountName`.",
        },
        Code::NotAllowed => Row {
            title: "The API server does not let pullgate look",
            level: Level::Warning,
            means: "Findings and probes leave out what could not be read. The rest works on.",
            look: "kubectl auth can-i list pods --namespace=NS --as=system:serviceaccount:pullgate:pullgate-prober",
            act: "Apply the role that the finding prints, and bind it to pullgate's service account; or give up that part: `[kubernetes] secrets = false`, `discover = \"namespaces\"`. The manifests are in `deploy/kubernetes/discovery`.",
        },
        _ => Row {
            title: "The API server does not answer",
            level: Level::Warning,
            means: "pullgate goes on with the images and credentials that it read last, and asks again with growing delays.",
            look: "kubectl get --raw='/readyz?verbose'",
            act: "Look at the API server, and at the network policy between pullgate and it.",
        },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// `UPDATE=1 cargo test -p cluster every_code_has_its_page` writes the pages.
    #[test]
    fn every_code_has_its_page_and_no_page_is_without_code() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/checks");
        let update = std::env::var_os("UPDATE").is_some();
        for code in Code::ALL {
            let file = folder.join(format!("{code}.md"));
            if update {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(&file, page(*code)).unwrap();
            }
            let there = std::fs::read_to_string(&file).unwrap_or_default();
            assert!(
                there == page(*code),
                "docs/checks/{code}.md is out of date: run this test with UPDATE=1"
            );
        }
        let ours = |name: &String| name.starts_with("PG06");
        let entries = std::fs::read_dir(&folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).filter(ours);
        let codes: BTreeSet<String> = Code::ALL.iter().map(|code| format!("{code}.md")).collect();
        assert_eq!(names.collect::<BTreeSet<_>>(), codes);
    }

    #[test]
    fn the_page_about_clusters_lists_every_code() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/kubernetes.md");
        let page = std::fs::read_to_string(page).unwrap();
        for code in Code::ALL {
            let Row { title, level, .. } = row(*code);
            let line = format!("| [{code}](checks/{code}.md) | {title} | {level} |\n");
            assert!(page.contains(&line), "docs/kubernetes.md lacks: {line}");
        }
    }

    #[test]
    fn titles_are_short_and_differ() {
        let titles: BTreeSet<&str> = Code::ALL.iter().map(|code| row(*code).title).collect();
        assert_eq!(titles.len(), Code::ALL.len());
        assert!(titles.iter().all(|title| title.len() <= 72 && !title.ends_with('.')));
    }
}
