//! What to do: lines that a person can paste, and the commands to run next.

use oci::class::Family;
use oci::{Class, Reference, RegistryHost};

use super::evidence::{Evidence, Fault, RowKind};
use super::sentence::{PLAIN_HTTP, span};
use super::vantage::Place;

/// The fix of a fault: a sentence, then lines to paste, each indented by two spaces.
pub(super) fn of_fault(evidence: &Evidence, fault: &Fault, place: Place) -> Vec<String> {
    let registry = evidence.image.registry.as_str();
    let specific = match fault.class {
        Class::ManifestUnknown => tag(evidence),
        Class::DigestGone => vec![
            "Push the image again, or use a tag or digest that exists; the tags are listed by".to_owned(),
            paste(&format!("skopeo list-tags docker://{registry}/{}", evidence.image.repository)),
        ],
        Class::RepoUnknownOrPrivate => {
            secret(evidence, "Check the repository's spelling. If it is private, give the pod a pull secret that may read it:")
        }
        Class::AuthMissing => secret(evidence, "Give the pod a pull secret:"),
        Class::AuthRejected => secret(evidence, "Make the credential anew, and replace the secret:"),
        Class::PlatformMissing => platform(evidence),
        Class::MediaType => vec![
            "Convert the image, or build and push it again with a current tool:".to_owned(),
            paste(&format!("skopeo copy --format oci docker://{0} docker://{0}", evidence.image)),
        ],
        Class::RatePullQuota => quota(evidence),
        Class::TlsUnknownCa => authority(evidence, fault),
        Class::TlsExpired | Class::TlsNotYetValid => certificate(evidence, fault, place),
        Class::TlsOther if fault.reason == Some(PLAIN_HTTP) => vec![
            "If it is meant to speak plain HTTP, write that into the configuration:".to_owned(),
            paste(&section(evidence)),
            paste(&format!("endpoints = [\"http://{}\"]", fault.host)),
        ],
        Class::HttpProxy => vec![
            "Correct HTTPS_PROXY, or except the registry from it (for containerd: in its service's environment):".to_owned(),
            paste(&format!("NO_PROXY={0},.{0}", bare(registry, registry))),
        ],
        Class::TrustRefused => trust(evidence, fault),
        Class::BlobHost => vec![
            format!("Allow {} in firewall and egress policy, besides the registry; else wait, it is the host's fault.", fault.host),
        ],
        Class::Dns => vec![
            "Check the spelling of the registry, then the resolver of this machine:".to_owned(),
            paste(&format!("getent hosts {}", bare(&fault.host, registry))),
        ],
        _ => Vec::new(),
    };
    let mut lines = if specific.is_empty() { vec![capital(fault.class.fix())] } else { specific };
    let family = fault.class.rules().family;
    let is_outage = matches!(family, Family::Reachability | Family::Certificate | Family::Limit);
    if is_outage && evidence.around.cached == Some(true) {
        lines.push(
            "Meanwhile the cache of the mirror has the image whole: nodes that pull through it get it."
                .to_owned(),
        );
    }
    lines
}

/// The fix for a credential that breaks a public image.
pub(super) fn poisoned(registry: &RegistryHost, by: &[String]) -> Vec<String> {
    vec![
        format!(
            "Remove the entry for {registry} from {} (in Kubernetes: the secret from imagePullSecrets), or renew it:",
            by.join(", ")
        ),
        paste(&format!("docker logout {}", server(registry))),
    ]
}

/// The fix for slow layers.
pub(super) fn slow() -> Vec<String> {
    vec![
        "Check bandwidth and MTU towards the host. Pull once into the mirror's cache, so that nodes get it locally; a \
         Deployment gives up after progressDeadlineSeconds (600 by default)."
            .to_owned(),
    ]
}

/// The commands that show more.
pub(super) fn next(evidence: &Evidence, fault: Option<&Fault>) -> Vec<String> {
    let (image, registry) = (&evidence.image, image_registry(evidence));
    let Some(fault) = fault else { return Vec::new() };
    match fault.class {
        Class::ManifestUnknown => evidence
            .tags
            .iter()
            .flat_map(|tags| tags.nearest.first())
            .map(|tag| format!("pullgate diagnose {}/{}:{tag}", image.registry, image.repository))
            .collect(),
        Class::TlsUnknownCa
        | Class::TlsExpired
        | Class::TlsNotYetValid
        | Class::TlsName
        | Class::TlsOther => {
            let host =
                if fault.host.contains(':') { fault.host.clone() } else { format!("{}:443", fault.host) };
            vec![format!("openssl s_client -connect {host} -showcerts </dev/null")]
        }
        Class::RepoUnknownOrPrivate | Class::AuthMissing | Class::AuthRejected | Class::AuthPoisoned => {
            vec![format!("pullgate diagnose {image} {}", given(evidence))]
        }
        Class::PlatformMissing => vec![format!("skopeo inspect --raw docker://{image}")],
        Class::DigestGone => vec![format!("pullgate cache explain {image}")],
        Class::MediaType | Class::ForbiddenPolicy => Vec::new(),
        Class::Corrupt | Class::Truncated | Class::Stalled => {
            vec![format!("pullgate diagnose {image} --whole"), format!("pullgate cache explain {image}")]
        }
        Class::Registry5xx | Class::BlobHost | Class::RatePullQuota | Class::RateBurst => {
            vec![
                format!("pullgate cache explain {image}"),
                format!("pullgate pulls --registry {registry} --failed --limit 10"),
            ]
        }
        _ if evidence.around.upstream.is_none() => {
            vec![format!("curl -sS -o /dev/null -v https://{registry}/v2/")]
        }
        _ => vec![format!("pullgate check upstream {registry}")],
    }
}

/// The option for the first pull secret or docker configuration that was given; else for the usual one.
fn given(evidence: &Evidence) -> String {
    let given = evidence.rows.iter().find(|row| row.kind == RowKind::Given);
    let unusable = evidence.around.unusable.first().map(|(name, _)| name.as_str());
    let name = given.map(|row| row.name.as_str()).or(unusable).unwrap_or("~/.docker/config.json");
    // Of several entries of a secret, each identity also names its key.
    match name.strip_prefix(OF_SECRET).and_then(|name| name.split(' ').next()) {
        Some(secret) => format!("--secret {secret}"),
        None => format!("--docker-config {name}"),
    }
}

fn image_registry(evidence: &Evidence) -> &str {
    evidence.image.registry.as_str()
}

fn tag(evidence: &Evidence) -> Vec<String> {
    let image = &evidence.image;
    let name = format!("{}/{}", image.registry, image.repository);
    let nearest = evidence.tags.as_ref().map(|tags| tags.nearest.as_slice()).unwrap_or_default();
    if nearest.is_empty() {
        return vec![
            "Correct the tag, or push it. The registry answered, so this is not an outage. Its tags:"
                .to_owned(),
            paste(&format!("skopeo list-tags docker://{name}")),
        ];
    }
    let mut lines = vec!["Correct the tag; the most similar ones that exist:".to_owned()];
    lines.extend(nearest.iter().map(|tag| paste(&format!("image: {name}:{tag}"))));
    lines
}

fn secret(evidence: &Evidence, why: &str) -> Vec<String> {
    let server = server(&evidence.image.registry);
    let namespace = evidence.around.namespace.as_deref().unwrap_or("NAMESPACE");
    let account = evidence.around.account.as_deref().unwrap_or("default");
    let mut lines = vec![
        why.to_owned(),
        paste(&format!(
            "kubectl create secret docker-registry pull -n {namespace} --docker-server={server} \\"
        )),
        paste(
            "  --docker-username=USER --docker-password=TOKEN --dry-run=client -o yaml | kubectl apply -f -",
        ),
        paste(&format!(
            "kubectl patch serviceaccount {account} -n {namespace} -p '{{\"imagePullSecrets\":[{{\"name\":\"pull\"}}]}}'"
        )),
    ];
    lines.extend(
        evidence.around.unusable.iter().map(|(name, why)| format!("{name} is of no use here: {why}.")),
    );
    lines
}

fn platform(evidence: &Evidence) -> Vec<String> {
    let mut platforms: Vec<String> = evidence.platforms.iter().map(ToString::to_string).collect();
    let mut lines = vec![
        "Let the pod run only on nodes that the image is built for, or build it for this platform:"
            .to_owned(),
    ];
    lines.extend(
        evidence
            .platforms
            .first()
            .map(|it| paste(&format!("nodeSelector: {{kubernetes.io/arch: {}}}", it.architecture))),
    );
    platforms.push(evidence.platform.to_string());
    let tag = match &evidence.image.reference {
        Reference::Tag(_) => evidence.image.to_string(),
        Reference::Digest(_) => format!("{}/{}:TAG", evidence.image.registry, evidence.image.repository),
    };
    lines.push(paste(&format!("docker buildx build --platform {} -t {tag} --push .", platforms.join(","))));
    lines
}

fn quota(evidence: &Evidence) -> Vec<String> {
    let window = evidence.quota.as_ref().and_then(|quota| quota.window);
    let wait = window.map_or_else(String::new, |window| format!(" The window is {}.", span(window)));
    vec![
        format!("Log in for a larger quota, or wait.{wait}"),
        paste(&section(evidence)),
        paste("access = \"shared\""),
        paste("credentials = { username = \"USER\", password_file = \"/etc/pullgate/password\" }"),
    ]
}

fn trust(evidence: &Evidence, fault: &Fault) -> Vec<String> {
    let key = match fault.reason {
        Some(REALM_HOST) => format!("token_hosts = [\"{}\"]", fault.host),
        Some(REDIRECT_HOST) => format!("blob_hosts = [\"{}\"]", fault.host),
        // The message ends with the range to add, in quotation marks.
        _ => match fault.message.rsplit('"').nth(1) {
            Some(range) => format!("addresses = [\"public\", \"{range}\"]"),
            None => return Vec::new(),
        },
    };
    vec!["If the registry may send us there, allow it:".to_owned(), paste(&section(evidence)), paste(&key)]
}

fn authority(evidence: &Evidence, fault: &Fault) -> Vec<String> {
    vec![
        format!(
            "If {} is yours, trust its authority; if it is a public registry, suspect interception on the path:",
            fault.host
        ),
        paste(&section(evidence)),
        paste("ca_file = \"/etc/pullgate/ca.pem\""),
    ]
}

fn certificate(evidence: &Evidence, fault: &Fault, place: Place) -> Vec<String> {
    let clock = match evidence.clock.off() {
        Some((host, ahead)) => {
            let way = if ahead > 0 { "ahead of" } else { "behind" };
            let time = span(std::time::Duration::from_secs(ahead.unsigned_abs()));
            format!("This machine's clock is {time} {way} the clock of {host}. Correct it first:")
        }
        None => "Look at this machine's clock first:".to_owned(),
    };
    if place == Place::Machine {
        return vec![clock, paste("date -u && timedatectl set-ntp true")];
    }
    vec![format!(
        "The owner of {} must renew its certificate; credentials and retries do not help.",
        fault.host
    )]
}

/// The head of the upstream's section in the configuration.
fn section(evidence: &Evidence) -> String {
    match &evidence.around.upstream {
        Some(id) => format!("[upstreams.{id}]"),
        None => format!("[upstreams.own]\n  registry = \"{}\"", evidence.image.registry),
    }
}

/// The name under which Docker and the kubelet look for credentials.
fn server(registry: &RegistryHost) -> &str {
    match registry.as_str() {
        RegistryHost::DOCKER_HUB => "https://index.docker.io/v1/",
        other => other,
    }
}

/// The host without its port.
fn bare<'a>(host: &'a str, registry: &'a str) -> &'a str {
    let host = if host.is_empty() { registry } else { host };
    host.rsplit_once(':').map_or(host, |(host, _)| host)
}

fn paste(line: &str) -> String {
    format!("  {line}")
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// The beginning of the name of an identity from a pull secret.
pub const OF_SECRET: &str = "secret ";
/// The finer causes of a refusal to follow the registry.
const REALM_HOST: &str = "realm_host";
const REDIRECT_HOST: &str = "redirect_host";
