//! Debian's blackbox exporter and pullgate agree on which registries are up, wherever the exporter can see it.

use loadtest::registry::{Access, Greeting, Registry, Rule, Tokens};
use loadtest::tls::Authority;
use support::pullgate::command;
use support::{Blackbox, Scratch};

/// The binary under test.
const BIN: &str = env!("CARGO_BIN_EXE_pullgate");

/// A registry in one state.
struct Case {
    name: &'static str,
    url: String,
    up: bool,
    /// Keeps the registry running.
    _registry: Option<Registry>,
}

#[tokio::test]
async fn the_blackbox_exporter_and_pullgate_agree_on_what_is_up() {
    let scratch = Scratch::new();
    let authority = Authority::new();
    let ca_file = scratch.file("ca.pem", &authority.pem()).display().to_string();
    let blackbox = Blackbox::start(&scratch, &ca_file).await;
    for case in cases(&authority).await {
        let config = scratch.file(
            "pullgate.toml",
            &format!(
                "builtin_upstreams = false\n[upstreams.test]\nregistry = \"registry.test\"\nendpoints = [{:?}]\n\
                 addresses = [\"127.0.0.0/8\"]\nca_file = {ca_file:?}\n",
                case.url
            ),
        );
        let checked = command(BIN, &["check", "upstream", "--config", config.to_str().unwrap()]).await;
        let theirs = blackbox.is_up(&case.url).await;
        assert_eq!((theirs, checked.succeeded()), (case.up, case.up), "{}: {checked}", case.name);
        assert!(case.up || checked.code() == Some(3), "{}: {checked}", case.name);
    }
}

async fn cases(authority: &Authority) -> Vec<Case> {
    let case =
        |name, up, registry: Registry| Case { name, url: registry.url(), up, _registry: Some(registry) };
    let open = Registry::start().await.unwrap();
    let asking = Registry::start().await.unwrap();
    asking.require(Access::Tokens(Tokens::new()));
    let trusted = Registry::start_tls(authority.for_loopback()).await.unwrap();
    let failing = Registry::start().await.unwrap();
    failing.fault(Rule::ping().status(500));
    let closing = Registry::start_with(Greeting::Close).await.unwrap();
    let resetting = Registry::start_with(Greeting::Reset).await.unwrap();
    let unknown = Registry::start_tls(Authority::new().for_loopback()).await.unwrap();
    let expired = Registry::start_tls(authority.expired(&["127.0.0.1"])).await.unwrap();
    let other = Registry::start_tls(authority.certificate(&["other.test"])).await.unwrap();
    let plain = Registry::start_tls(authority.for_loopback()).await.unwrap();
    plain.greet(Greeting::Http);
    let gone = Registry::start().await.unwrap().url();
    vec![
        case("open", true, open),
        case("asks for a token", true, asking),
        case("TLS by a trusted authority", true, trusted),
        case("answers 500", false, failing),
        case("closes connections", false, closing),
        case("resets connections", false, resetting),
        case("TLS by an unknown authority", false, unknown),
        case("expired certificate", false, expired),
        case("certificate of another name", false, other),
        case("plain HTTP on a TLS port", false, plain),
        Case { name: "refuses connections", url: gone, up: false, _registry: None },
        Case {
            name: "unknown name",
            url: "http://registry.nowhere.test".to_owned(),
            up: false,
            _registry: None,
        },
    ]
}
