//! Names, connections, TLS, forward proxies and clocks.

use std::time::Duration;

use loadtest::registry::{Access, Greeting, Registry, Rule, Tokens};
use loadtest::sockets::{Blackhole, Port};
use loadtest::tls::Authority;

use super::{Desk, app, registry};

/// A registry that speaks TLS, and a desk that trusts its authority.
async fn tls(greeting: impl FnOnce(&Authority) -> Greeting) -> (Registry, Desk) {
    let authority = Authority::new();
    let registry = Registry::start_tls(authority.for_loopback()).await.unwrap();
    registry.add_image("library/app", "1.20", &loadtest::image::Image::with_layers(92, &[1000]));
    registry.greet(greeting(&authority));
    let folder = tempfile_in(&authority);
    let url = format!("https://localhost:{}", registry.port());
    let desk = Desk::of(&url, &format!("ca_file = {folder:?}\n"));
    (registry, desk)
}

/// The authority's certificate in a file that outlives the test's processes.
fn tempfile_in(authority: &Authority) -> String {
    let scratch = Box::leak(Box::new(support::Scratch::new()));
    let path = scratch.path().join("ca.pem");
    authority.write_pem(&path).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_dns() {
    let found = Desk::of("https://registry.invalid", "").diagnose(&app(), &["--timeout", "2s"]).await;
    found
        .is("dns", "resolve", "path")
        .says("sentence", "registry.invalid")
        .says("fix", "getent hosts registry.invalid");
    assert_eq!((found.stage("resolve").0, found.stage("connect").0), ("failed", "not_reached"));
}

#[tokio::test]
async fn connections_fail_in_three_ways() {
    let port = Port::reserve().unwrap();
    let found = Desk::of(&format!("http://{}", port.addr()), "").diagnose(&app(), &[]).await;
    found.is("connect_refused", "connect", "registry").at_once();
    assert_eq!(found.cells("anonymous"), ["not_tried"; 3]);

    let hole = Blackhole::start().await.unwrap();
    let found = Desk::of(&format!("http://{}", hole.addr()), "").diagnose(&app(), &["--timeout", "1s"]).await;
    found.is("connect_timeout", "connect", "path");

    let (registry, _) = registry().await;
    registry.fault(Rule::any().reset());
    let found = Desk::of(&registry.url(), "").diagnose(&app(), &[]).await;
    found.is("connect_reset", "manifest_head", "path").at_once();
}

#[tokio::test]
async fn a_registry_that_says_nothing_is_stalled_within_the_timeout() {
    let (registry, _) = registry().await;
    registry.fault(Rule::manifest().never_answer());
    let found = Desk::of(&registry.url(), "").diagnose(&app(), &["--timeout", "1s"]).await;
    found.is("stalled", "manifest_head", "registry").at_once();
}

#[tokio::test]
async fn a_good_certificate_is_described() {
    let (_registry, desk) =
        tls(|authority| Greeting::Tls(authority.expiring(&["localhost"], Duration::from_secs(5 * 86_400))))
            .await;
    let found = desk.diagnose(&app(), &[]).await;
    found.is_fine().at_once().says("notes", "expires in 4 d 23 h");
    let (state, result) = found.stage("tls");
    assert!(
        state == "ok" && result.contains("loadtest authority") && result.contains("the clocks agree"),
        "{result}"
    );
    assert_eq!(found.document["certificate"]["verified"], true);
}

#[tokio::test]
async fn each_bad_certificate_has_its_class_and_its_place() {
    let hour = Duration::from_secs(3600);
    type Bad = fn(&Authority) -> Greeting;
    let cases: [(Bad, &str, &str, &str); 5] = [
        (
            |_| Greeting::Tls(Authority::new().certificate(&["localhost"])),
            "tls_unknown_ca",
            "path",
            "ca_file",
        ),
        (
            |authority| Greeting::Tls(authority.expired(&["localhost"])),
            "tls_expired",
            "registry",
            "must renew",
        ),
        (
            |authority| Greeting::Tls(authority.not_yet_valid(&["localhost"])),
            "tls_not_yet_valid",
            "registry",
            "must renew",
        ),
        (|authority| Greeting::Tls(authority.certificate(&["other.test"])), "tls_name", "path", "names"),
        (|_| Greeting::Http, "tls_other", "path", "endpoints = [\"http://localhost:"),
    ];
    for (greeting, class, place, fix) in cases {
        let (_registry, desk) = tls(greeting).await;
        let found = desk.diagnose(&app(), &[]).await;
        found.is(class, "tls", place).at_once().says("fix", fix).says("next", "openssl s_client");
    }
    let (_registry, desk) =
        tls(|authority| Greeting::Tls(authority.expired_for(&["localhost"], hour / 2))).await;
    let found = desk.diagnose(&app(), &[]).await;
    found
        .is("tls_expired", "tls", "machine")
        .says("sentence", "or this machine's clock is wrong")
        .says("fix", "timedatectl");
}

#[tokio::test]
async fn another_clock_shows_whether_ours_is_wrong() {
    let (witness, _) = registry().await;
    let hour = Duration::from_secs(3600);
    let (_registry, desk) =
        tls(|authority| Greeting::Tls(authority.expired_for(&["localhost"], hour / 2))).await;
    let date = |offset: Duration| {
        let time = std::time::SystemTime::now() - offset;
        witness.clear_faults();
        witness.fault(Rule::any().header("date", &http_date(time)));
    };
    date(hour);
    let found = desk.diagnose(&app(), &["--proxy", &witness.url()]).await;
    found.is("tls_expired", "tls", "machine").says("fix", "clock is 1 h ahead of");
    date(Duration::ZERO);
    let found = desk.diagnose(&app(), &["--proxy", &witness.url()]).await;
    assert_eq!(
        (&found.document["class"], &found.document["place"]),
        (&"tls_expired".into(), &"registry".into())
    );
}

/// The time as in `Date` (RFC 9110, 5.6.7).
fn http_date(time: std::time::SystemTime) -> String {
    let seconds = time.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let ran = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{seconds}"), "+%a, %d %b %Y %H:%M:%S GMT"])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    String::from_utf8(ran.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_wrong_forward_proxy_is_named() {
    let (registry, _) = registry().await;
    let port = Port::reserve().unwrap();
    let proxy = format!("http://user:{}@{}", super::password(), port.addr());
    let desk = Desk::of(&registry.url(), "").with("HTTP_PROXY", &proxy).with("HTTPS_PROXY", &proxy);
    let found = desk.diagnose(&app(), &[]).await;
    found.is("http_proxy", "connect", "path").at_once().says("fix", "NO_PROXY=registry.test");
}

#[tokio::test]
async fn a_token_service_that_is_not_trusted_is_named_with_its_key() {
    let (registry, desk) = tls(|authority| Greeting::Tls(authority.for_loopback())).await;
    registry.require(Access::Tokens(Tokens::new()));
    let found = desk.diagnose(&app(), &[]).await;
    found.is("trust_refused", "token", "mirror").at_once();
    found.says("fix", &format!("token_hosts = [\"127.0.0.1:{}\"]", registry.port()));
}
