//! The faults of one pull secret, and of an image's match with the secrets of its pod.

use oci::{ImageName, RegistryHost};

use super::code::Code;
use super::finding::{About, Finding};
use super::shell;
use crate::images::{Workload, WorkloadId};
use crate::secret::{Expiry, Fault, Keyring, Match, Near, PullSecret, Slip, Witness};

/// The result of looking for a pull secret of a pod.
#[derive(Clone, Debug)]
pub enum Lookup<'a> {
    /// It is there.
    Found(&'a PullSecret),
    /// It does not exist. The namespaces that have a secret of this name, if we may know them.
    Missing {
        /// Namespaces, in alphabetical order.
        elsewhere: Vec<Box<str>>,
    },
    /// It was not read: the mode has no access to secrets, or the API server refused it.
    Unknown,
}

/// A pull secret that somebody names for this registry, and that does not exist.
pub fn absent(namespace: &str, name: &str, registry: &RegistryHost) -> Finding {
    Finding {
        code: Code::SecretMissing,
        about: About { namespace: namespace.into(), secret: Some(name.into()), ..About::default() },
        seen: format!("namespace {namespace} has no secret {name:?}"),
        fix: shell::create_secret(namespace, name, key_of(registry)),
    }
}

/// The image references of a workload that no node can pull.
pub fn references(workload: &Workload) -> Vec<Finding> {
    let bad = workload.uses.iter().filter_map(|used| Some((used, used.image.as_ref().err()?)));
    bad.map(|(used, bad)| Finding {
        code: Code::BadReference,
        about: About { workload: Some(workload.id.clone()), ..of(workload) },
        seen: format!("{} {:?} has the image \"{}\": {}", used.role, used.part, bad.written, bad.reason),
        fix: "correct the reference: lower case, no scheme, no space, such as ghcr.io/org/app:1.2".to_owned(),
    })
    .collect()
}

/// The faults of a secret that show without any image. `registry` is one that its workloads pull from, for the commands.
pub fn secret(secret: &PullSecret, registry: &RegistryHost, now: i64) -> Vec<Finding> {
    let faults = secret.faults.iter().map(|found| fault(secret, found, registry));
    let ends = secret.entries.iter().filter_map(|entry| {
        let expiry = Expiry::of(secret, entry).filter(|expiry| expiry.at <= now.saturating_add(SOON))?;
        Some(expired(secret, &entry.shown, expiry, now))
    });
    faults.chain(ends).collect()
}

/// The faults in the match of an image with the secrets of its pod, which `lookups` has by name, in the pod's order.
pub fn pull(workload: &Workload, image: &ImageName, lookups: &[(&str, Lookup<'_>)]) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        lookups.iter().filter_map(|(name, lookup)| missing(workload, image, name, lookup)).collect();
    let secrets = lookups.iter().filter_map(|(_, lookup)| match lookup {
        Lookup::Found(secret) => Some(*secret),
        _ => None,
    });
    let near = Keyring::new(secrets).near(image);
    findings.extend(near.into_iter().map(|(found, near)| near_miss(of(workload), image, found, &near)));
    findings
}

/// The entries of a secret that were meant for an image and do not cover it.
pub fn near(secret: &PullSecret, image: &ImageName) -> Vec<Finding> {
    let about = About { namespace: secret.namespace.clone(), ..About::default() };
    let near = Keyring::new([secret]).near(image);
    near.into_iter().map(|(found, near)| near_miss(about.clone(), image, found, &near)).collect()
}

/// The finding for a probe that shows `auth_poisoned`: the image can be pulled without the credential, and not with it.
/// `secret` is the namespace and name of the secret, `key` the key of the entry.
pub fn poisoned(
    workload: &WorkloadId,
    image: &ImageName,
    secret: (&str, &str),
    key: &str,
    evidence: &str,
) -> Finding {
    let (namespace, name) = secret;
    Finding {
        code: Code::Poisoned,
        about: About {
            namespace: namespace.into(),
            secret: Some(name.into()),
            workload: Some(workload.clone()),
            image: Some(image.clone()),
        },
        seen: format!(
            "the registry serves {image} to everyone and refuses the entry {key:?} of secret {namespace}/{name}: {evidence}"
        ),
        fix: format!(
            "give the secret a working password, or remove it from imagePullSecrets of {workload}:\n{}",
            shell::replace_secret(namespace, name, key)
        ),
    }
}

fn missing(workload: &Workload, image: &ImageName, name: &str, lookup: &Lookup<'_>) -> Option<Finding> {
    let Lookup::Missing { elsewhere } = lookup else { return None };
    let namespace = &*workload.id.namespace;
    let about = About { secret: Some(name.into()), ..of(workload) };
    let seen =
        format!("{} names the pull secret {name:?}, and namespace {namespace} has none", workload.top());
    let Some(other) = elsewhere.first() else {
        let fix = shell::create_secret(namespace, name, key_of(&image.registry));
        return Some(Finding { code: Code::SecretMissing, about, seen, fix });
    };
    let (name, other_word) = (shell::word(name), shell::word(other));
    Some(Finding {
        code: Code::SecretElsewhere,
        about,
        seen: format!("{seen}; there is one in: {}", elsewhere.join(", ")),
        fix: format!(
            "kubectl get secret {name} --namespace={other_word} -o jsonpath='{{.data.\\.dockerconfigjson}}' | base64 -d | \
             kubectl create secret generic {name} --namespace={} --type=kubernetes.io/dockerconfigjson --from-file=.dockerconfigjson=/dev/stdin",
            shell::word(namespace)
        ),
    })
}

fn near_miss(about: About, image: &ImageName, found: Match<'_>, near: &Near) -> Finding {
    let Match { secret, entry } = found;
    let why = match near.slip {
        Slip::DockerHub => "the kubelet does not know this name of Docker Hub",
        Slip::Space => "it contains a space",
        Slip::Scheme => "only http:// and https:// are removed, in lower case",
        Slip::Case => "upper and lower case matter",
        Slip::Port => "host and port must both be equal",
        Slip::ApiPath => "/v1 and /v2 are ignored only with a slash at the end",
        Slip::TrailingSlash => "the slash at the end is part of the path",
        Slip::PathGlob => "a * means nothing in a path",
        Slip::Path => "its path is not the beginning of the repository",
        Slip::Glob => "a * stands for exactly one label of the host",
    };
    Finding {
        code: Code::HostNearMiss,
        about: About { secret: Some(secret.name.clone()), image: Some(image.clone()), ..about },
        seen: format!(
            "secret {}/{} has the key {:?}, which does not match {}: {why}; nodes pull anonymously",
            secret.namespace,
            secret.name,
            entry.shown,
            image.registry.as_str()
        ),
        fix: format!(
            "write the key as {:?}:\n{}",
            near.right,
            shell::replace_secret(&secret.namespace, &secret.name, &near.right)
        ),
    }
}

fn fault(secret: &PullSecret, fault: &Fault, registry: &RegistryHost) -> Finding {
    let (code, told) = told(fault);
    let (namespace, name) = (&*secret.namespace, &*secret.name);
    let breaks = if fault.breaks_every_pull() {
        "; the kubelet refuses every pull of a pod with this secret"
    } else {
        ""
    };
    Finding {
        code,
        about: About { namespace: namespace.into(), secret: Some(name.into()), ..About::default() },
        seen: format!("secret {namespace}/{name}: {told}{breaks}"),
        fix: match fault {
            Fault::Type { docker_config: Some(key), .. } => retype(namespace, name, key),
            _ => shell::replace_secret(namespace, name, key_of(registry)),
        },
    }
}

/// The code of a fault, and what was seen.
fn told(fault: &Fault) -> (Code, String) {
    match fault {
        Fault::Type { found, docker_config } => {
            let held = docker_config
                .as_ref()
                .map_or_else(String::new, |key| format!("; its key {key:?} holds a docker configuration"));
            (Code::SecretType, format!("its type is {found}, which is no pull secret{held}"))
        }
        Fault::NoDocument { key, present } => {
            let present = if present.is_empty() { "none".to_owned() } else { present.join(", ") };
            (Code::SecretNoEntries, format!("the key {key} is absent or empty; its keys are: {present}"))
        }
        Fault::TooLarge { bytes } => {
            (Code::SecretTooLarge, format!("its document has {bytes} bytes and was not read"))
        }
        Fault::NotJson { why, line, column } => {
            (Code::SecretNotJson, format!("its document is not JSON ({why}, line {line}, column {column})"))
        }
        Fault::Shape { part } => (
            Code::SecretNotJson,
            format!("{part} has another form than {{\"auths\": {{\"HOST\": {{\"auth\": \"...\"}}}}}}"),
        ),
        Fault::NoEntries { outside } if outside.is_empty() => {
            (Code::SecretNoEntries, "its document has no `auths`".to_owned())
        }
        Fault::NoEntries { outside } => (
            Code::SecretNoEntries,
            format!("its document has no `auths`; these entries stand outside of it: {}", outside.join(", ")),
        ),
        Fault::Auth { entry, why } => {
            (Code::SecretAuth, format!("the `auth` of {entry:?} is not base64 of user:password ({why})"))
        }
        Fault::Empty { entry, token: Some(token) } => (
            Code::EntryEmpty,
            format!("the entry {entry:?} has only {token:?}, which the kubelet does not read"),
        ),
        Fault::Empty { entry, token: None } => {
            (Code::EntryEmpty, format!("the entry {entry:?} has neither user name nor password"))
        }
        Fault::Key { entry } => {
            (Code::HostNearMiss, format!("the key {entry:?} is not a host, so that no image matches it"))
        }
    }
}

/// Copies the document into a secret of the right type. The type of a secret cannot be changed.
fn retype(namespace: &str, name: &str, key: &str) -> String {
    let (namespace, name) = (shell::word(namespace), shell::word(name));
    let path = key.replace('.', "\\.");
    format!(
        "kubectl get secret {name} --namespace={namespace} -o jsonpath='{{.data.{path}}}' | base64 -d > config.json\n\
         kubectl delete secret {name} --namespace={namespace}\n\
         kubectl create secret generic {name} --namespace={namespace} --type=kubernetes.io/dockerconfigjson --from-file=.dockerconfigjson=config.json\n\
         rm config.json"
    )
}

fn expired(secret: &PullSecret, entry: &str, expiry: Expiry, now: i64) -> Finding {
    let (namespace, name) = (&*secret.namespace, &*secret.name);
    let source = match expiry.witness {
        Witness::Jwt => "the token itself says so",
        Witness::EcrToken => "the password of ECR says so",
        Witness::EcrAge => "passwords of ECR live for 12 hours, and the secret was not changed since",
    };
    let verb = if expiry.at <= now { "ended" } else { "ends" };
    let fix = if expiry.witness == Witness::Jwt {
        shell::replace_secret(namespace, name, entry)
    } else {
        format!(
            "let nodes use ecr-credential-provider instead, or renew the secret every few hours:\n\
             kubectl delete secret {0} --namespace={1}\n\
             kubectl create secret docker-registry {0} --namespace={1} --docker-server={2} --docker-username=AWS --docker-password=\"$(aws ecr get-login-password)\"",
            shell::word(name),
            shell::word(namespace),
            shell::word(entry)
        )
    };
    Finding {
        code: Code::Expired,
        about: About { namespace: namespace.into(), secret: Some(name.into()), ..About::default() },
        seen: format!(
            "secret {namespace}/{name}: the password of {entry:?} {verb} at {}; {source}",
            time(expiry.at)
        ),
        fix,
    }
}

fn of(workload: &Workload) -> About {
    About { namespace: workload.id.namespace.clone(), workload: Some(workload.top()), ..About::default() }
}

/// The key under which docker stores the credential of a registry.
fn key_of(registry: &RegistryHost) -> &str {
    if registry.as_str() == RegistryHost::DOCKER_HUB {
        "https://index.docker.io/v1/"
    } else {
        registry.as_str()
    }
}

fn time(at: i64) -> String {
    let since = std::time::Duration::from_secs(at.unsigned_abs());
    humantime::format_rfc3339_seconds(
        std::time::UNIX_EPOCH + if at < 0 { std::time::Duration::ZERO } else { since },
    )
    .to_string()
}

/// A password that ends within this time is reported before it ends, in seconds.
const SOON: i64 = 30 * 60;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use k8s_openapi::api::core::v1::{Pod, Secret as Object};
    use serde_json::{Value, json};

    use super::*;

    fn object(kind: &str, key: &str, document: &str) -> PullSecret {
        use base64::Engine;
        let data = json!({ key: base64::prelude::BASE64_STANDARD.encode(document) });
        let object = json!({
            "metadata": { "namespace": "shop", "name": "regcred", "creationTimestamp": "2026-12-01T00:00:00Z" },
            "type": kind,
            "data": data
        });
        PullSecret::read(&serde_json::from_value::<Object>(object).unwrap())
    }

    fn config(document: &Value) -> PullSecret {
        object("kubernetes.io/dockerconfigjson", ".dockerconfigjson", &document.to_string())
    }

    fn pod() -> Workload {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": { "namespace": "shop", "name": "web" },
            "spec": { "containers": [{ "name": "app", "image": "ghcr.io/Org/app" }] }
        }))
        .unwrap();
        Workload::from(&pod)
    }

    fn image() -> ImageName {
        "ghcr.io/org/app:1".parse().unwrap()
    }

    fn codes(findings: &[Finding]) -> Vec<&'static str> {
        findings.iter().map(|finding| finding.code.as_str()).collect()
    }

    const NOW: i64 = 1_796_083_200;

    #[test]
    fn every_fault_of_a_secret_has_its_code_and_a_command() {
        let one = |kind: &str, key: &str, document: &str| object(kind, key, document);
        let new = |document: Value| config(&document);
        let jwt = "e30.eyJleHAiOjE3MDAwMDAwMDB9.s";
        for (found, code) in [
            (one("Opaque", ".dockerconfigjson", "{}"), "PG0604"),
            (one("kubernetes.io/tls", "tls.key", "canary"), "PG0604"),
            (one("kubernetes.io/dockerconfigjson", ".dockerconfigjson", "canary"), "PG0605"),
            (one("kubernetes.io/dockerconfigjson", ".dockerconfigjson", "{\0"), "PG0605"),
            (new(json!({ "auths": { "ghcr.io": 7 } })), "PG0605"),
            (new(json!({ "auths": { "ghcr.io": { "auth": "canary!" } } })), "PG0606"),
            (new(json!({})), "PG0607"),
            (new(json!({ "ghcr.io": {} })), "PG0607"),
            (one("kubernetes.io/dockercfg", "other", "canary"), "PG0607"),
            (new(json!({ "auths": { "ghcr.io": {} } })), "PG0608"),
            (new(json!({ "auths": { "ghcr.io": { "identitytoken": "canary" } } })), "PG0608"),
            (
                new(json!({ "auths": { "g hcr.io": { "username": "canary", "password": "canary" } } })),
                "PG0609",
            ),
            (new(json!({ "auths": { "ghcr.io": { "username": "canary", "password": jwt } } })), "PG0610"),
            (one("kubernetes.io/dockercfg", ".dockercfg", &" ".repeat(2 << 20)), "PG0615"),
        ] {
            let findings = secret(&found, &"ghcr.io".parse().unwrap(), NOW);
            assert_eq!(codes(&findings), [code], "{findings:?}");
            let text = format!("{:?}", findings[0]);
            assert!(findings[0].fix.contains("kubectl ") && !text.contains("canary"), "{text}");
        }
    }

    #[test]
    fn a_password_of_ecr_ends_twelve_hours_after_the_secrets_last_change() {
        let found = config(
            &json!({ "auths": { "1.dkr.ecr.eu-west-1.amazonaws.com": { "username": "AWS", "password": "p" } } }),
        );
        let at = |now: i64| secret(&found, &"ghcr.io".parse().unwrap(), now);
        assert!(at(NOW + 11 * 3600).is_empty());
        assert!(at(NOW + 12 * 3600 - 60)[0].seen.contains("ends at 2026-12-01T12:00:00Z"));
        let ended = at(NOW + 13 * 3600);
        assert!(
            ended[0].seen.contains("ended at") && ended[0].fix.contains("aws ecr get-login-password"),
            "{ended:?}"
        );
    }

    #[test]
    fn a_missing_secret_is_told_apart_from_one_in_another_namespace() {
        let missing = |elsewhere: &[&str]| {
            let elsewhere = elsewhere.iter().map(|name| Box::from(*name)).collect();
            pull(&pod(), &image(), &[("regcred", Lookup::Missing { elsewhere })])
        };
        let nowhere = missing(&[]);
        assert_eq!(codes(&nowhere), ["PG0602"]);
        assert!(nowhere[0].fix.starts_with(
            "kubectl create secret docker-registry regcred --namespace=shop --docker-server=ghcr.io "
        ));
        let elsewhere = missing(&["infra", "jobs"]);
        assert_eq!(codes(&elsewhere), ["PG0603"]);
        assert!(elsewhere[0].seen.ends_with("there is one in: infra, jobs"), "{elsewhere:?}");
        assert!(
            elsewhere[0].fix.contains("--namespace=infra -o jsonpath='{.data.\\.dockerconfigjson}'"),
            "{elsewhere:?}"
        );
        assert!(pull(&pod(), &image(), &[("regcred", Lookup::Unknown)]).is_empty());
    }

    #[test]
    fn a_key_near_the_registry_is_found_and_the_right_one_is_printed() {
        let near =
            config(&json!({ "auths": { "ghcr.io:443": { "username": "canary", "password": "canary" } } }));
        let findings = pull(&pod(), &image(), &[("regcred", Lookup::Found(&near))]);
        assert_eq!(codes(&findings), ["PG0609"]);
        assert!(findings[0].seen.contains("host and port must both be equal"), "{findings:?}");
        assert!(
            findings[0].fix.contains("--docker-server=ghcr.io ")
                && !format!("{findings:?}").contains("canary")
        );
        let right = config(&json!({ "auths": { "ghcr.io": { "username": "u", "password": "p" } } }));
        assert!(
            pull(&pod(), &image(), &[("a", Lookup::Found(&near)), ("b", Lookup::Found(&right))]).is_empty()
        );
    }

    #[test]
    fn a_poisoned_pull_names_the_entry() {
        let finding = poisoned(&pod().id, &image(), ("shop", "regcred"), "ghcr.io", "401 at token");
        assert_eq!((finding.code, finding.page().as_str()), (Code::Poisoned, "docs/checks/PG0611.md"));
        assert!(
            finding.seen.contains("entry \"ghcr.io\" of secret shop/regcred: 401 at token"),
            "{finding:?}"
        );
    }

    #[test]
    fn a_bad_reference_names_its_container() {
        let findings = references(&pod());
        assert_eq!(codes(&findings), ["PG0601"]);
        assert!(
            findings[0].seen.starts_with("app \"app\" has the image \"ghcr.io/Org/app\": "),
            "{findings:?}"
        );
    }
}
