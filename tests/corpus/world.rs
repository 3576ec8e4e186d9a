//! The registries that fail, and the list of their faults.

use std::path::Path;
use std::time::Duration;

use loadtest::image::{Image, Index};
use loadtest::registry::{Access, Answer, At, Greeting, Registry, Rule, Tokens, TooMany};
use loadtest::sockets::Port;
use loadtest::tls::Authority;
use oci::Class;
use support::{HostsDir, Pullgate, Scratch};

/// The binary under test.
const BIN: &str = env!("CARGO_BIN_EXE_pullgate");

/// What a client must be able to do to meet a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing.
    Nothing,
    /// Choose the manifest of its platform.
    Platform,
    /// Verify certificates.
    Verification,
    /// Give up at once.
    NoRetry,
    /// Ask a mirror by `hosts.toml`.
    Mirror,
    /// Fetch layers.
    Layers,
}

/// A fault: the image whose pull fails, and the classes that may be told. The first is the truth; others are what is
/// left of it where a client does not print the body of an answer.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) image: String,
    pub(crate) classes: &'static [Class],
    pub(crate) needs: Needs,
}

/// Registries with faults, directly and behind pullgate.
pub(crate) struct World {
    plain: Registry,
    tls: Vec<(&'static str, &'static [Class], Registry)>,
    guarded: Vec<(&'static str, &'static [Class], Needs, Registry)>,
    moved: Registry,
    gone: Registry,
    refused: Port,
    pullgate: Pullgate,
    _scratch: Scratch,
}

type Make = fn(Rule) -> Rule;

/// Faults of every request for a repository.
const ANSWERS: &[(&str, &[Class], Needs, Make)] = &[
    (
        "name-unknown",
        &[Class::RepoUnknownOrPrivate, Class::ManifestUnknown],
        Needs::Nothing,
        Rule::name_unknown,
    ),
    ("tag-unknown", &[Class::ManifestUnknown], Needs::Nothing, Rule::manifest_unknown),
    ("refused", &[Class::AuthMissing], Needs::Nothing, |rule| {
        rule.oci_error(401, "UNAUTHORIZED", "authentication required")
    }),
    ("denied", &[Class::ForbiddenPolicy, Class::RepoUnknownOrPrivate], Needs::Nothing, Rule::denied),
    ("blocked", &[Class::GeoOrWafBlock, Class::ForbiddenPolicy], Needs::Nothing, Rule::blocked_by_waf),
    ("quota", &[Class::RatePullQuota, Class::RateBurst], Needs::NoRetry, |rule| {
        rule.too_many_requests(TooMany::HubQuota)
    }),
    ("too-many", &[Class::RateBurst], Needs::NoRetry, |rule| rule.too_many_requests(TooMany::HubAbuse)),
    ("too-many-ghcr", &[Class::RateBurst], Needs::NoRetry, |rule| rule.too_many_requests(TooMany::Ghcr)),
    ("broken", &[Class::Registry5xx], Needs::NoRetry, |rule| rule.unavailable(500)),
    ("gateway", &[Class::Registry5xx], Needs::NoRetry, |rule| rule.unavailable(502)),
    ("unavailable", &[Class::Registry5xx], Needs::NoRetry, |rule| rule.unavailable(503)),
    ("not-implemented", &[Class::Registry5xx], Needs::Nothing, |rule| rule.status(501)),
    ("closed", &[Class::ConnectReset], Needs::Nothing, Rule::close),
    ("reset", &[Class::ConnectReset], Needs::Nothing, Rule::reset),
    ("not-http", &[Class::ProtocolGarbage], Needs::Nothing, |rule| {
        rule.garbage("no protocol at all\r\n\r\n")
    }),
    ("redirects", &[Class::ProtocolGarbage], Needs::Nothing, Rule::redirect_to_itself),
];

/// Faults of a registry that requires tokens.
const GUARDED: &[(&str, &[Class], Needs, Make)] =
    &[("scope", &[Class::RepoUnknownOrPrivate, Class::AuthMissing], Needs::Nothing, |_| {
        Rule::manifest().repository("scope").unauthorized(Some("insufficient_scope"))
    })];

/// Faults of token services, each of its own registry.
const TOKENS: &[(&str, &[Class], Needs, Make)] = &[
    // containers/image blames the password, even if there was none.
    ("token-refused", &[Class::AuthMissing, Class::AuthRejected], Needs::Nothing, |_| {
        Rule::token().oci_error(401, "UNAUTHORIZED", "authentication required")
    }),
    (
        "token-forbidden",
        &[Class::AuthMissing, Class::ForbiddenPolicy, Class::RepoUnknownOrPrivate],
        Needs::Nothing,
        |_| Rule::token().denied(),
    ),
    ("token-gone", &[Class::ProtocolGarbage], Needs::Nothing, |_| Rule::token().status(404)),
    ("token-broken", &[Class::Registry5xx], Needs::NoRetry, |_| Rule::token().unavailable(503)),
    ("token-many", &[Class::RateBurst], Needs::NoRetry, |_| Rule::token().too_many_requests(TooMany::Plain)),
];

/// Faults of the layers of a repository.
const LAYERS: &[(&str, &[Class], Make)] = &[
    ("layer-gone", &[Class::DigestGone], Rule::blob_unknown),
    ("layer-denied", &[Class::ForbiddenPolicy, Class::RepoUnknownOrPrivate], Rule::denied),
    ("layer-flipped", &[Class::Corrupt], |rule| rule.flip(At::Half)),
    ("layer-short", &[Class::Truncated, Class::Corrupt], |rule| rule.end_at(At::Half).ignore_range()),
    ("layer-reset", &[Class::ConnectReset], |rule| rule.reset_at(At::Half)),
];

/// Faults behind pullgate, by the class that its status line names.
const BEHIND: &[(&str, &[Class], Make)] = &[
    ("behind-broken", &[Class::Registry5xx], |rule| rule.unavailable(500)),
    ("behind-denied", &[Class::ForbiddenPolicy], Rule::denied),
    ("behind-many", &[Class::RateBurst], |rule| rule.too_many_requests(TooMany::Plain)),
    ("behind-quota", &[Class::RatePullQuota], |rule| rule.too_many_requests(TooMany::HubQuota)),
    ("behind-closed", &[Class::ConnectReset], Rule::close),
    ("behind-silent", &[Class::Stalled], Rule::never_answer),
    ("behind-portal", &[Class::ProtocolGarbage], Rule::html),
];

/// A host that no name server is asked about: a label of more than 63 bytes is no name (RFC 1035, section 2.3.4).
fn nowhere() -> String {
    format!("{}.test", "no-such-host".repeat(6))
}

impl World {
    /// Starts the registries.
    pub(crate) async fn start() -> Self {
        let scratch = Scratch::new();
        let plain = Registry::start().await.unwrap();
        let refused = Port::reserve().unwrap();
        let mut config = format!(
            "builtin_upstreams = false\nadmin.listen = \"127.0.0.1:0\"\nprober.reach = false\n[proxy]\n\
             listen = \"127.0.0.1:0\"\nheader_deadline = \"1s\"\ncache.dir = {:?}\n",
            scratch.path().join("cache")
        );
        let behind = BEHIND.iter().map(|(name, ..)| (*name, plain.url()));
        for (name, url) in behind.chain([("behind-refused", format!("http://{}", refused.addr()))]) {
            config += &format!(
                "[upstreams.{name}]\nregistry = \"{name}.test\"\nendpoints = [{url:?}]\naddresses = [\"127.0.0.0/8\"]\n"
            );
        }
        let pullgate = Pullgate::start(BIN, &scratch, &config).await;
        let (tls, guarded, moved, gone) = (tls().await, guarded().await, moved().await, moved().await);
        gone.stop_cdn().await;
        let world = Self { plain, tls, guarded, moved, gone, refused, pullgate, _scratch: scratch };
        world.script();
        world
    }

    /// Adds the images, and the faults of their requests.
    fn script(&self) {
        let plain = &self.plain;
        let image = Image::builder(12).plain_layer_of(200_000).finish();
        let repositories =
            ANSWERS.iter().map(|(name, ..)| *name).chain(BEHIND.iter().map(|(name, ..)| *name));
        for repository in repositories.chain(["there", "schema-1"]) {
            plain.add_image(repository, "1", &image);
        }
        for (repository, .., fault) in ANSWERS {
            plain.fault(fault(Rule::any().repository(repository)));
        }
        // Each has its own layer: containerd keeps the wrong bytes of a broken transfer for the next pull of the digest.
        for (seed, (repository, _, fault)) in (100..).zip(LAYERS) {
            let image = Image::builder(seed).plain_layer_of(200_000).finish();
            plain.add_image(repository, "1", &image);
            plain.fault(fault(Rule::blob().repository(repository).reference(&image.largest_layer().digest)));
        }
        for (repository, _, fault) in BEHIND {
            plain.fault(fault(Rule::any().repository(repository)));
        }
        let foreign = Image::builder(13).plain_layer_of(1000).platform("windows", "arm").finish();
        plain.add_index("foreign", "1", &Index::oci(vec![foreign]));
        let schema = Answer::with_body(
            200,
            SCHEMA_1,
            r#"{"schemaVersion":1,"name":"schema-1","tag":"1","fsLayers":[]}"#,
        );
        plain.fault(Rule::manifest().repository("schema-1").answer(schema));
    }

    /// Every fault.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let at = self.plain.authority();
        let fault = |name, image, classes, needs| Fault { name, image, classes, needs };
        let absent = format!("sha256:{}", "4290".repeat(16));
        let mut faults = vec![
            fault("digest-gone", format!("{at}/there@{absent}"), &[Class::DigestGone], Needs::Nothing),
            fault("dns", format!("{}/library/app:1", nowhere()), &[Class::Dns], Needs::Verification),
            fault(
                "connect-refused",
                format!("{}/app:1", self.refused.addr()),
                &[Class::ConnectRefused],
                Needs::Nothing,
            ),
            fault("platform", format!("{at}/foreign:1"), &[Class::PlatformMissing], Needs::Platform),
            fault(
                "schema-1",
                format!("{at}/schema-1:1"),
                &[
                    Class::MediaType,
                    Class::ManifestUnknown,
                    Class::DigestGone,
                    Class::Unknown,
                    Class::Corrupt,
                    Class::ProtocolGarbage,
                ],
                Needs::Platform,
            ),
            fault(
                "behind-refused",
                "behind-refused.test/app:1".to_owned(),
                &[Class::ConnectRefused],
                Needs::Mirror,
            ),
            fault(
                "behind-unknown",
                "behind-unknown.test/app:1".to_owned(),
                &[Class::NotConfigured, Class::ManifestUnknown],
                Needs::Mirror,
            ),
        ];
        faults.extend(
            ANSWERS
                .iter()
                .map(|(name, classes, needs, _)| fault(name, format!("{at}/{name}:1"), classes, *needs)),
        );
        faults.extend(
            LAYERS
                .iter()
                .map(|(name, classes, _)| fault(name, format!("{at}/{name}:1"), classes, Needs::Layers)),
        );
        faults.extend(
            BEHIND.iter().map(|(name, classes, _)| {
                fault(name, format!("{name}.test/{name}:1"), classes, Needs::Mirror)
            }),
        );
        faults.extend(self.guarded.iter().map(|(name, classes, needs, registry)| {
            fault(name, format!("{}/{name}:1", registry.authority()), classes, *needs)
        }));
        // Some clients print the registry's URL, and not the one that they were sent to.
        let refusal = &[Class::BlobHost, Class::ForbiddenPolicy];
        faults.push(fault(
            "blob-host-refuses",
            format!("{}/app:1", self.moved.authority()),
            refusal,
            Needs::Layers,
        ));
        faults.push(fault(
            "blob-host-down",
            format!("{}/app:1", self.gone.authority()),
            &[Class::BlobHost],
            Needs::Layers,
        ));
        faults.extend(self.tls.iter().map(|(name, classes, registry)| {
            fault(name, format!("{}/app:1", registry.authority()), classes, Needs::Verification)
        }));
        faults
    }

    /// Tells containerd the addresses.
    pub(crate) fn write_hosts(&self, hosts: &HostsDir) {
        hosts.only(&self.plain.authority(), &self.plain.url());
        for registry in self.guarded.iter().map(|(.., registry)| registry).chain([&self.moved, &self.gone]) {
            hosts.only(&registry.authority(), &registry.url());
        }
        hosts.only(&self.refused.addr().to_string(), &format!("http://{}", self.refused.addr()));
        for (.., registry) in &self.tls {
            let url = format!("https://{}", registry.authority());
            hosts.only(&registry.authority(), &url);
        }
        for name in BEHIND.iter().map(|(name, ..)| *name).chain(["behind-refused", "behind-unknown"]) {
            hosts.only(&format!("{name}.test"), &self.pullgate.url());
        }
    }

    /// The text with fixed ports and a fixed folder in place of those of this run.
    pub(crate) fn without_traces(&self, text: &str, folder: &Path) -> String {
        let text = text.replace(&folder.display().to_string(), "/scratch");
        let mut text = text.replace(&self.plain.authority(), "127.0.0.1:5001");
        text = text.replace(&self.refused.addr().to_string(), "127.0.0.1:5002");
        text = text.replace(self.pullgate.proxy(), "127.0.0.1:5000");
        let registries = self.tls.iter().map(|(.., registry)| registry);
        let registries = registries
            .chain(self.guarded.iter().map(|(.., registry)| registry))
            .chain([&self.moved, &self.gone]);
        for (number, registry) in (5003..).zip(registries) {
            text = text.replace(&registry.authority(), &format!("127.0.0.1:{number}"));
        }
        for (number, registry) in [(5100, &self.moved), (5101, &self.gone)] {
            let cdn = registry.cdn().expect("a blob host").url().replace("http://", "");
            text = text.replace(&cdn, &format!("127.0.0.2:{number}"));
        }
        text
    }
}

/// Registries that require tokens, one for each fault of a token service.
async fn guarded() -> Vec<(&'static str, &'static [Class], Needs, Registry)> {
    let mut registries = Vec::new();
    for (name, classes, needs, fault) in GUARDED.iter().chain(TOKENS) {
        let registry = Registry::start().await.unwrap();
        registry.require(Access::Tokens(Tokens::new()));
        registry.add_image(name, "1", &Image::builder(14).plain_layer_of(1000).finish());
        registry.fault(fault(Rule::any()));
        registries.push((*name, *classes, *needs, registry));
    }
    registries
}

/// A registry that redirects blobs to a host that fails.
async fn moved() -> Registry {
    let registry = Registry::start().await.unwrap();
    registry.start_cdn("127.0.0.2", Greeting::Http, Duration::from_secs(600)).await.unwrap();
    registry.add_image("app", "1", &Image::builder(15).plain_layer_of(1000).finish());
    registry.fault(Rule::cdn().status(403));
    registry
}

/// Registries with bad certificates, and one without TLS.
async fn tls() -> Vec<(&'static str, &'static [Class], Registry)> {
    let authority = Authority::new();
    let names = &["127.0.0.1"][..];
    let certificates = [
        ("tls-unknown", &[Class::TlsUnknownCa][..], authority.for_loopback()),
        ("tls-expired", &[Class::TlsExpired, Class::TlsUnknownCa], authority.expired(names)),
        ("tls-early", &[Class::TlsNotYetValid, Class::TlsUnknownCa], authority.not_yet_valid(names)),
        ("tls-name", &[Class::TlsName, Class::TlsUnknownCa], authority.certificate(&["other.test"])),
    ];
    let mut registries = Vec::new();
    for (name, classes, certificate) in certificates {
        registries.push((name, classes, Registry::start_tls(certificate).await.unwrap()));
    }
    let greetings = [
        ("tls-plain", &[Class::TlsOther][..], Greeting::Http),
        ("tls-alert", &[Class::TlsOther], Greeting::Alert(40)),
        ("tls-version", &[Class::TlsOther], Greeting::Alert(70)),
        ("tls-closed", &[Class::ConnectReset], Greeting::CloseInHandshake),
        ("tls-reset", &[Class::ConnectReset], Greeting::Reset),
    ];
    for (name, classes, greeting) in greetings {
        registries.push((name, classes, Registry::start_with(greeting).await.unwrap()));
    }
    registries
}

const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
