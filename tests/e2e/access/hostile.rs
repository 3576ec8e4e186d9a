//! Invalid tokens, and registries that try to send clients elsewhere with their secrets.

use loadtest::registry::{Access, Greeting, Registry, Rule};
use loadtest::tls::Authority;
use support::http::raw;
use support::{Pullgate, Scratch};

use super::*;

#[tokio::test]
async fn a_header_without_a_token_is_refused_and_not_passed_on() {
    let house = House::start().await;
    let long = format!("Bearer {}", "a".repeat(20 * 1024));
    let cases: [(&str, &[&str], u16); 9] = [
        ("no scheme", &["abc"], 400),
        ("no token", &["Bearer"], 400),
        ("an empty token", &["Bearer "], 400),
        ("another scheme", &["Negotiate abc"], 400),
        ("two words", &["Bearer abc def"], 400),
        ("a quote", &["Bearer a\"b"], 400),
        ("two headers", &["Bearer abc", "Bearer abc"], 400),
        ("too long", &[&long], 400),
        ("a password", &["Basic YW5uOnJpZ2h0"], 403),
    ];
    for (what, values, status) in cases {
        let request = values.iter().fold(house.ask("GET", OPEN, "manifests/1"), |request, value| {
            request.header("authorization", value)
        });
        let got = request.send().await;
        assert_eq!(got.status.as_u16(), status, "{what}: {}", got.text());
        assert_eq!(got.header("www-authenticate"), None, "{what}");
        assert!(
            !got.text().contains("abc") && !got.text().contains("YW5u"),
            "the answer must not repeat {what}"
        );
    }
    assert_eq!(house.registry.log().connections(), 0);
}

#[tokio::test]
async fn invalid_bytes_and_too_long_heads_end_the_connection() {
    let house = House::start().await;
    let address = house.pullgate.proxy();
    let path = format!("/v2/{OPEN}/manifests/1?ns={REGISTRY}");
    let head = |value: &[u8]| {
        [
            format!("GET {path} HTTP/1.1\r\nhost: mirror\r\nauthorization: Bearer ").as_bytes(),
            value,
            b"\r\n\r\n",
        ]
        .concat()
    };
    for (value, status) in [(b"t\xc3\xb6k\xff".to_vec(), 400), (vec![b'a'; 64 * 1024], 431)] {
        assert_eq!(raw(address, &head(&value)).await.status.as_u16(), status);
    }
    assert_eq!(house.registry.log().connections(), 0);
    assert_eq!(house.get(OPEN, "manifests/1", None).await.status.as_u16(), 200, "pullgate still serves");
}

#[tokio::test]
async fn a_made_up_token_is_checked_once_and_refused() {
    let house = House::start().await;
    for _ in 0..5 {
        let got = house.get("team/a", "manifests/1", Some("made-up")).await;
        assert_eq!((got.status.as_u16(), got.header("x-pullgate-class")), (401, Some("auth_rejected")));
    }
    assert_eq!(house.registry.log().count(|_| true), 1);
}

#[tokio::test]
async fn a_realm_outside_the_trust_zone_is_never_relayed() {
    let authority = Authority::new();
    let evil = Registry::start().await.unwrap();
    for tls in [false, true] {
        for realm in [
            format!("{}/token", evil.url().replace("127.0.0.1", "127.0.0.9")),
            "https://evil.example/token".to_owned(),
            "http://169.254.169.254/token".to_owned(),
            "http://127.0.0.1:1/token".to_owned(),
            "https://user:secret@evil.example/".to_owned(),
            "https://".to_owned(),
            "file:///etc/passwd".to_owned(),
        ] {
            let scratch = Scratch::new();
            let registry = match tls {
                true => Registry::start_with(Greeting::Tls(authority.for_loopback())).await.unwrap(),
                false => Registry::start().await.unwrap(),
            };
            registry.require(Access::Tokens(tenants().realm(&realm)));
            registry.add_image("team/a", "1", &Image::with_layers(3, &[10]));
            let ca = scratch.file("ca.pem", &authority.pem());
            let section = upstream("test", REGISTRY, &registry.url())
                + &format!("access = \"per-client\"\nca_file = {ca:?}\n");
            let pullgate = Pullgate::start(BIN, &scratch, &(config(&scratch) + &section)).await;
            for token in [None, Some("made-up")] {
                let path = format!("/v2/team/a/manifests/1?ns={REGISTRY}");
                let got = bearing(pullgate.get(&path), token).send().await;
                let class = got.header("x-pullgate-class");
                assert_eq!(
                    (got.status.as_u16(), class),
                    (503, Some("trust_refused")),
                    "{realm} {token:?} {}",
                    got.text()
                );
                assert_eq!(got.header("www-authenticate"), None, "{realm}");
            }
        }
    }
    assert_eq!(evil.log().connections(), 0);
}

#[tokio::test]
async fn if_a_registry_refuses_without_a_challenge_or_wants_a_password_the_node_is_sent_to_the_registry() {
    for rule in [Some(Rule::manifest().denied()), None] {
        let house = House::start().await;
        match rule {
            Some(rule) => {
                house.registry.require(Access::Open);
                house.registry.fault(rule);
            }
            None => {
                let access = Access::Basic { user: "ann".to_owned(), password: "right".to_owned() };
                house.registry.require(access);
            }
        }
        for token in [None, Some("made-up")] {
            let got = house.get("team/a", "manifests/1", token).await;
            assert_eq!((got.status.as_u16(), got.header("www-authenticate")), (403, None), "{}", got.text());
        }
    }
}
