//! Single requests: the answer to each client, and the number of requests to the registry that it causes.

use http::Method;
use loadtest::image::Image;
use loadtest::registry::{Access, Kind, Rule};
use support::{Pullgate, Scratch};

use super::*;

#[tokio::test]
async fn two_tenants_share_the_bytes_of_one_digest_and_each_sees_only_its_own_repository() {
    for cached in [false, true] {
        for asks in Tenant::ALL {
            for of in Tenant::ALL {
                let house = House::start().await;
                if cached {
                    house.warm().await;
                }
                house.registry.clear_log();
                if asks == of {
                    is_served(&house, of, cached).await
                } else {
                    is_refused(&house, asks, of).await
                }
            }
        }
    }
}

async fn is_served(house: &House, tenant: Tenant, cached: bool) {
    let token = house.token(tenant, tenant.repository());
    for (what, bytes) in house.parts() {
        let got = house.get(tenant.repository(), &what, Some(&token)).await;
        assert!(got.is_whole() && got.body == *bytes, "{tenant:?} {what}: {} {}", got.status, got.text());
        let head = bearing(house.ask("HEAD", tenant.repository(), &what), Some(&token)).send().await;
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0), "{tenant:?} {what}");
    }
    let log = house.registry.log();
    let fetched = log.count(|asked| asked.method == Method::GET && asked.kind != Kind::Token);
    assert_eq!(
        fetched,
        if cached { 0 } else { 1 + house.image.blobs().count() },
        "each resource is fetched once and never again"
    );
}

async fn is_refused(house: &House, asks: Tenant, of: Tenant) {
    // One token is for the tenant's own repository. The other names the other tenant's repository, but the token
    // server issued it without the right to pull.
    for token in [house.token(asks, asks.repository()), house.token(asks, of.repository())] {
        for (what, bytes) in house.parts() {
            for method in ["GET", "HEAD"] {
                let got = bearing(house.ask(method, of.repository(), &what), Some(&token)).send().await;
                assert_eq!(got.status.as_u16(), 403, "{asks:?} {method} {what} of {of:?}");
                assert_ne!(got.body, *bytes);
                for name in ["www-authenticate", "docker-content-digest", "etag"] {
                    assert_eq!(got.header(name), None, "{name}");
                }
            }
        }
    }
    let log = house.registry.log();
    assert_eq!(
        log.count(|asked| asked.method == Method::GET),
        0,
        "nothing is fetched for a client without access"
    );
    assert!(log.count(|_| true) <= 2, "a refusal is remembered: {log:#?}");
}

#[tokio::test]
async fn a_client_without_a_token_is_challenged_and_the_registry_is_asked_once() {
    let house = House::start().await;
    house.warm().await;
    house.registry.clear_log();
    let realm = format!("{}/token", house.registry.url());
    for (what, _) in house.parts() {
        for method in ["GET", "HEAD"] {
            let got = house.ask(method, "team/a", &what).send().await;
            assert_eq!((got.status.as_u16(), got.header("x-pullgate-class")), (401, Some("auth_missing")));
            let challenge =
                format!("Bearer realm=\"{realm}\",service=\"loadtest\",scope=\"repository:team/a:pull\"");
            assert_eq!(
                got.header("www-authenticate"),
                Some(&*challenge),
                "a first challenge contains no error"
            );
            let advice = "give the pod an imagePullSecret for registry.test";
            assert!(method == "HEAD" || got.text().contains(advice), "{}", got.text());
        }
    }
    let log = house.registry.log();
    assert_eq!(
        (log.manifest_heads(), log.tokens(), log.count(|_| true)),
        (2, 1, 3),
        "the anonymous challenge and token request happen once"
    );
    let challenged = house.pullgate.metrics().await.sum("pullgate_proxy_requests_total", &[("code", "401")]);
    assert_eq!(challenged, 2.0 * house.parts().len() as f64, "challenges are counted as challenges");
    assert_eq!(
        house.pullgate.get("/v2/").send().await.header("www-authenticate"),
        None,
        "a ping causes no upstream request"
    );
}

#[tokio::test]
async fn a_public_repository_is_served_without_a_token() {
    let house = House::start().await;
    for round in 0..2 {
        for (what, bytes) in house.parts() {
            let got = house.get(OPEN, &what, None).await;
            assert!(got.is_whole() && got.body == *bytes, "{round} {what}: {} {}", got.status, got.text());
        }
    }
    let log = house.registry.log();
    assert_eq!(log.tokens(), 1);
    assert!(house.image.blobs().all(|blob| log.blob_gets(&blob.digest) == 1));
    let refused = house.get("team/a", &house.parts()[2].0, None).await;
    assert_eq!(refused.status.as_u16(), 401, "the same digest in the other tenant's repository is refused");
}

#[tokio::test]
async fn a_revoked_token_gets_a_challenge_that_names_an_error() {
    let house = House::start().await;
    let token = house.token(Tenant::Ann, "team/a");
    house.registry.revoke_tokens();
    for what in ["manifests/1", "manifests/1", "tags/list"] {
        let got = house.get("team/a", what, Some(&token)).await;
        assert_eq!(
            (got.status.as_u16(), got.header("x-pullgate-class")),
            (401, Some("auth_rejected")),
            "{what}"
        );
        let challenge = got.header("www-authenticate").unwrap();
        assert!(
            challenge.ends_with(",scope=\"repository:team/a:pull\",error=\"insufficient_scope\""),
            "{challenge}"
        );
    }
    let log = house.registry.log();
    assert_eq!((log.manifest_heads(), log.of(Kind::Tags, &Method::GET)), (1, 1));
}

#[tokio::test]
async fn each_caller_gets_the_registrys_own_answer_to_a_list() {
    let house = House::start().await;
    let token = house.token(Tenant::Ann, "team/a");
    let got = house.get("team/a", "tags/list", Some(&token)).await;
    assert_eq!((got.status.as_u16(), got.json()["tags"][0].as_str()), (200, Some("1")));
    assert_eq!(house.get("team/b", "tags/list", Some(&token)).await.status.as_u16(), 403);
    assert_eq!(house.get("team/b", "tags/list", None).await.status.as_u16(), 401);
    let referrers = format!("referrers/{}", house.image.digest());
    assert_eq!(house.get("team/a", &referrers, Some(&token)).await.status.as_u16(), 200);
    assert_eq!(house.get("team/b", &referrers, None).await.status.as_u16(), 401);
}

#[tokio::test]
async fn a_lease_stays_valid_during_an_outage_and_no_new_lease_is_given() {
    let house = House::start().await;
    house.warm().await;
    let (known, new) = (house.token(Tenant::Ann, "team/a"), house.token(Tenant::Ann, "team/a"));
    assert_eq!(house.get("team/a", "manifests/1", Some(&known)).await.status.as_u16(), 200);
    house.registry.fault(Rule::any().unavailable(503));
    for (what, bytes) in house.parts() {
        let got = house.get("team/a", &what, Some(&known)).await;
        assert!(got.is_whole() && got.body == *bytes, "{what}: {}", got.status);
        for token in [Some(&*new), None] {
            let got = house.get("team/a", &what, token).await;
            // First the class is the registry's failure, later that of the open breaker.
            let class = got.header("x-pullgate-class").unwrap();
            assert!(matches!(class, "registry_5xx" | "upstream_paused"), "{what}: {class}");
            assert_eq!(got.status.as_u16(), 503, "{what}");
            assert_eq!((got.header("retry-after"), got.header("www-authenticate")), (None, None));
        }
    }
}

#[tokio::test]
async fn a_refused_request_does_not_fail_the_requests_of_clients_with_access() {
    let house = House::start().await;
    let layer = format!("blobs/{}", house.image.layers[1].digest);
    let (ann, bob) = (house.token(Tenant::Ann, "team/a"), house.token(Tenant::Bob, "team/b"));
    let ask = |repository, token| house.get(repository, &layer, Some(token));
    let (a, b, theirs) = tokio::join!(ask("team/a", &ann), ask("team/b", &bob), ask("team/a", &bob));
    assert_eq!(theirs.status.as_u16(), 403);
    for got in [a, b] {
        assert!(got.is_whole() && got.body == house.image.layers[1].bytes, "{}", got.status);
    }
    assert_eq!(house.registry.log().blob_gets(&house.image.layers[1].digest), 1, "one transfer for both");
}

#[tokio::test]
async fn a_refused_tag_is_not_answered_from_the_cache() {
    let house = House::start().await;
    let token = house.token(Tenant::Ann, "team/a");
    assert_eq!(house.get("team/a", "manifests/1", Some(&token)).await.status.as_u16(), 200);
    house.registry.fault(Rule::manifest().denied());
    let got = house.get("team/a", "manifests/1", Some(&token)).await;
    assert_eq!((got.status.as_u16(), got.header("warning")), (403, None));
    let blob = house.get("team/a", &house.parts()[2].0, Some(&token)).await;
    assert_eq!(
        blob.status.as_u16(),
        200,
        "only the tag is refused: the token is still valid for the repository"
    );
    house.registry.clear_faults();
    house.registry.revoke_tokens();
    assert_eq!(house.get("team/a", "manifests/1", Some(&token)).await.status.as_u16(), 401);
    let blob = house.get("team/a", &house.parts()[2].0, Some(&token)).await;
    assert_eq!(blob.status.as_u16(), 401, "the lease has expired");
}

#[tokio::test]
async fn shared_access_serves_content_only_in_repositories_where_our_credentials_saw_it() {
    let scratch = Scratch::new();
    let registry = Registry::start().await.unwrap();
    let (image, other) = (Image::with_layers(19, &[1000]), Image::with_layers(20, &[1000]));
    registry.add_image("team/a", "1", &image);
    registry.add_image("team/b", "1", &other);
    registry.require(Access::Tokens(tenants()));
    let password = scratch.file("password", Tenant::Ann.password());
    let section = upstream("test", REGISTRY, &registry.url())
        + &format!(
            "access = \"shared\"\ncredentials = {{ username = \"ann\", password_file = {password:?} }}\n"
        );
    let pullgate = Pullgate::start(BIN, &scratch, &(config(&scratch) + &section)).await;
    let get = async |repository: &str, what: &str| {
        pullgate.get(&format!("/v2/{repository}/{what}?ns={REGISTRY}")).send().await
    };
    let layer = format!("blobs/{}", image.layers[0].digest);
    for _ in 0..2 {
        assert_eq!(get("team/a", "manifests/1").await.status.as_u16(), 200);
        assert_eq!(get("team/a", &layer).await.status.as_u16(), 200);
        for what in ["manifests/1", &layer] {
            let refused = get("team/b", what).await;
            assert_eq!((refused.status.as_u16(), refused.header("www-authenticate")), (403, None), "{what}");
        }
    }
    // Cached content is served without the registry in a repository that has a link to it, and in no other.
    registry.stop().await;
    assert_eq!(get("team/a", &layer).await.header("x-pullgate-outcome"), Some("hit"));
    assert_eq!(get("team/b", &layer).await.status.as_u16(), 503);
}

#[tokio::test]
async fn a_callers_token_is_sent_to_the_registry_only() {
    let house = House::with("blob_hosts = [\"127.0.0.2\"]\n").await;
    let greeting = loadtest::registry::Greeting::Http;
    house.registry.start_cdn("127.0.0.2", greeting, std::time::Duration::from_secs(60)).await.unwrap();
    let token = house.token(Tenant::Ann, "team/a");
    for (what, bytes) in house.parts() {
        let got = house.get("team/a", &what, Some(&token)).await;
        assert!(got.is_whole() && got.body == *bytes);
        assert_eq!(house.get("team/b", &what, Some(&token)).await.status.as_u16(), 403);
    }
    let log = house.registry.log();
    let redirected: Vec<_> = log.iter().filter(|asked| asked.kind == Kind::Cdn).collect();
    assert!(!redirected.is_empty() && redirected.iter().all(|asked| !asked.authorized));
    let canary = format!("Bearer {token}");
    assert!(log.iter().any(|asked| asked.header("authorization") == Some(&canary)));
    for (place, text) in shown_of(&house).await {
        assert!(!text.contains(&token), "{token} in {place}");
    }
}
