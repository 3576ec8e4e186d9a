//! Challenges, tokens and credentials: the requests to each server, and the secrets that it sees.

use std::sync::Arc;
use std::time::Duration;

use loadtest::registry::{Access, Answer, Greeting, Kind, Registry, Rule, Tokens, TooMany};
use loadtest::sockets::Port;
use oci::RepositoryPattern;
use oci::zone::HostPattern;
use oci::{Class, Stage};
use registry::challenge::Wanted;
use registry::{Caller, Reason, RequestKind};
use tokio::time::Instant;

use crate::setup::*;

async fn guarded(tokens: Tokens) -> Registry {
    let (upstream, _image) = good().await;
    upstream.require(Access::Tokens(tokens));
    upstream
}

#[tokio::test]
async fn a_challenge_is_answered_and_the_token_is_cached() {
    let upstream = guarded(Tokens::new()).await;
    let setup = Setup::of(&upstream);
    let client = setup.client();
    let first = head(&client, "3.20").await.expect("a head");
    for stage in [Stage::Challenge, Stage::Token, Stage::ManifestHead] {
        assert!(first.timings.of(stage).is_some(), "{stage}");
    }
    let second = head(&client, "3.20").await.expect("a head");
    assert_eq!((second.timings.of(Stage::Challenge), second.timings.of(Stage::Token)), (None, None));
    let log = upstream.log();
    assert_eq!((log.tokens(), log.manifest_heads(), log.connections()), (1, 3, 1));
    let kinds: Vec<_> = setup.recorder.observed().iter().map(|observed| observed.kind).collect();
    assert_eq!(kinds, [RequestKind::Token, RequestKind::ManifestHead, RequestKind::ManifestHead]);
}

#[tokio::test]
async fn a_client_with_fresh_connections_gets_a_new_token_each_time() {
    let upstream = guarded(Tokens::new()).await;
    let client = Setup::of(&upstream).fresh();
    for _ in 0..2 {
        assert!(head(&client, "3.20").await.expect("a head").timings.of(Stage::Token).is_some());
    }
    assert_eq!((upstream.log().tokens(), upstream.log().connections()), (2, 2));
}

#[tokio::test]
async fn a_revoked_cached_token_is_replaced_once() {
    let upstream = guarded(Tokens::new()).await;
    let client = Setup::of(&upstream).client();
    head(&client, "3.20").await.expect("a head");
    upstream.revoke_tokens();
    head(&client, "3.20").await.expect("a head under a new token");
    assert_eq!((upstream.log().tokens(), upstream.log().manifest_heads()), (2, 4));
}

#[tokio::test]
async fn an_expired_token_is_replaced_before_the_request_is_sent() {
    let upstream = guarded(Tokens::new().life(MINUTE)).await;
    let client = Setup::of(&upstream).client();
    head(&client, "3.20").await.expect("a head");
    upstream.clear_log();
    pass(MINUTE).await;
    let renewed = head(&client, "3.20").await.expect("a head under a new token");
    assert_eq!((upstream.log().tokens(), upstream.log().manifest_heads()), (1, 1));
    assert_eq!(renewed.timings.of(Stage::Challenge), None);
    assert!(renewed.timings.of(Stage::Token).is_some());
}

#[tokio::test]
async fn after_a_failed_renewal_the_registry_is_asked_for_a_challenge() {
    let upstream = guarded(Tokens::new().life(MINUTE)).await;
    let client = Setup::of(&upstream).client();
    head(&client, "3.20").await.expect("a head");
    pass(MINUTE).await;
    upstream.clear_log();
    upstream.fault(Rule::token().times(1).status(404));
    let error = head(&client, "3.20").await.expect_err("no token");
    assert_eq!((error.stage, upstream.log().manifest_heads()), (Stage::Token, 0), "{error}");
    head(&client, "3.20").await.expect("the challenge leads to a token");
    assert_eq!((upstream.log().tokens(), upstream.log().manifest_heads()), (2, 2));
}

/// Advances the clock by `time`.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_401_to_a_fresh_token_is_final() {
    let upstream = guarded(Tokens::new()).await;
    upstream.fault(Rule::manifest().unauthorized(Some("invalid_token")));
    let client = Setup::of(&upstream).client();
    let error = head(&client, "3.20").await.expect_err("a failure");
    assert_eq!((error.stage, error.evidence.status), (Stage::ManifestHead, Some(401)), "{error}");
    assert_eq!((upstream.log().tokens(), upstream.log().manifest_heads()), (1, 2));
}

#[tokio::test]
async fn a_private_repository_needs_the_right_credential() {
    let tokens = || Tokens::new().user("ann", "right").private(REPOSITORY, "ann");
    let upstream = guarded(tokens()).await;
    head(&Setup::of(&upstream).with_user("ann", "right").client(), "3.20").await.expect("ann is allowed");

    let error =
        head(&Setup::of(&upstream).client(), "3.20").await.expect_err("an anonymous request is refused");
    assert_eq!(error.class, Class::RepoUnknownOrPrivate, "{error}");

    let outcome = head(&Setup::of(&upstream).with_user("ann", "wrong").client(), "3.20").await;
    let error = outcome.expect_err("a wrong password");
    assert_eq!((error.class, error.stage), (Class::AuthRejected, Stage::Token), "{error}");

    let upstream = guarded(tokens().refuse_at_token(403)).await;
    let error = head(&Setup::of(&upstream).client(), "3.20").await.expect_err("a failure");
    assert_eq!((error.class, error.stage), (Class::AuthMissing, Stage::Token), "{error}");
}

#[tokio::test]
async fn credentials_are_sent_only_for_their_repositories_and_endpoint() {
    let upstream = guarded(Tokens::new().user("ann", "right")).await;
    let mut setup = Setup::of(&upstream).with_user("ann", "right");
    setup.upstream.repositories = vec![RepositoryPattern("org/*".to_owned())];
    head(&setup.client(), "3.20").await.expect("anonymous");
    assert!(setup.recorder.observed().iter().all(|observed| observed.identity == "anonymous"));

    let mirror = guarded(Tokens::new().user("ann", "right")).await;
    let down = Port::reserve().expect("a port");
    let setup = Setup::at(&[format!("http://{}", down.addr()), mirror.url()]).with_user("ann", "right");
    head(&setup.client(), "3.20").await.expect("the second endpoint answers");
    for registry in [&upstream, &mirror] {
        let log = registry.log();
        assert!(log.iter().filter_map(|it| it.header("authorization")).all(|it| it.starts_with("Bearer ")));
    }

    let mut setup = Setup::of(&mirror);
    setup.upstream.endpoints[0].credentials = Some(Arc::new(Account("ann", "right")));
    mirror.clear_log();
    head(&setup.client(), "3.20").await.expect("its own credentials");
    assert!(
        mirror.log().iter().any(|it| it.header("authorization").is_some_and(|it| it.starts_with("Basic ")))
    );
}

#[tokio::test]
async fn with_a_callers_token_no_other_token_is_sent_or_requested() {
    let upstream =
        guarded(Tokens::new().user("ann", "right").private(REPOSITORY, "bob").private(REPOSITORY, "ann"))
            .await;
    let setup = Setup::of(&upstream).with_user("ann", "right");
    let client = setup.client();
    head(&client, "3.20").await.expect("ann is allowed");
    upstream.clear_log();
    let token = upstream.token_of("bob", &[REPOSITORY]);
    let caller = Caller::bearer(&token).expect("a token");
    head(&client.as_caller(&caller), "3.20").await.expect("bob is allowed");
    upstream.revoke_tokens();
    let error = head(&client.as_caller(&caller), "3.20").await.expect_err("a revoked token");
    assert_eq!((error.class, error.evidence.status), (Class::AuthRejected, Some(401)), "{error}");
    let log = upstream.log();
    assert_eq!((log.tokens(), log.manifest_heads()), (0, 2));
    let wanted = format!("Bearer {token}");
    assert!(log.iter().all(|it| it.header("authorization") == Some(&wanted)));
    let last = setup.recorder.observed().pop().expect("an observation");
    assert_eq!((last.identity.as_str(), last.class), ("client", Some(Class::AuthRejected)));
}

#[tokio::test]
async fn a_callers_token_goes_to_no_other_endpoint_and_no_blob_host() {
    let (first, image) = good().await;
    first.require(Access::Tokens(Tokens::new().private(REPOSITORY, "bob")));
    first.start_cdn("127.0.0.2", Greeting::Http, Duration::from_secs(60)).await.expect("a blob host");
    let (second, _) = good().await;
    let client = Setup::at(&[first.url(), second.url()]).client();
    let caller = Caller::bearer(&first.token_of("bob", &[REPOSITORY])).expect("a token");
    let layer = image.layers[0].digest.parse().expect("a digest");
    let deadline = Instant::now() + Duration::from_secs(5);
    let repository = REPOSITORY.parse().expect("a repository");
    client.as_caller(&caller).blob(&repository, &layer, None, deadline).await.expect("a blob");
    let log = first.log();
    assert_eq!(log.of(Kind::Cdn, &http::Method::GET), 1);
    assert!(log.iter().all(|it| it.authorized == (it.kind == Kind::Blob)));

    first.fault(Rule::any().unavailable(503));
    head(&client.as_caller(&caller), "3.20").await.expect("the second endpoint answers");
    assert_eq!(second.log().manifest_heads(), 1);
    assert!(second.log().iter().all(|it| !it.authorized));
}

#[tokio::test]
async fn the_challenge_for_clients_is_checked_before_it_is_passed_on() {
    let repository = REPOSITORY.parse().expect("a repository");
    let upstream = guarded(Tokens::new().private(REPOSITORY, "bob")).await;
    let client = Setup::of(&upstream).client();
    assert_eq!(client.wanted(&repository).expect("a trusted realm"), None, "before there was a 401");
    head(&client, "3.20").await.expect_err("an anonymous request is refused");
    let token = Wanted::Token {
        realm: format!("{}/token", upstream.url()).parse().expect("a URL"),
        service: Some("loadtest".to_owned()),
        scope: format!("repository:{REPOSITORY}:pull"),
    };
    assert_eq!(client.wanted(&repository).expect("a trusted realm"), Some(token));

    let elsewhere = guarded(Tokens::new().realm("https://evil.example/token")).await;
    let client = Setup::of(&elsewhere).client();
    head(&client, "3.20").await.expect_err("a foreign realm");
    assert_eq!(client.wanted(&repository).expect_err("refused").class, Class::TrustRefused);

    let (basic, _) = good().await;
    basic.require(Access::Basic { user: "ann".to_owned(), password: "right".to_owned() });
    let client = Setup::of(&basic).client();
    head(&client, "3.20").await.expect_err("no password");
    assert_eq!(client.wanted(&repository).expect("a trusted realm"), Some(Wanted::Basic));
}

#[tokio::test]
async fn basic_is_sent_if_the_registry_asks_for_it() {
    let (upstream, _image) = good().await;
    let refusal = Answer::status(401).header("www-authenticate", "Basic realm=\"ecr\"");
    upstream.fault(Rule::any().without_header("authorization").answer(refusal));
    let client = Setup::of(&upstream).with_user("AWS", "token").client();
    head(&client, "3.20").await.expect("a head");
    head(&client, "3.20").await.expect("a head");
    assert_eq!(upstream.log().manifest_heads(), 3, "the second call sends Basic at once");

    let error = head(&Setup::of(&upstream).client(), "3.20").await.expect_err("a failure");
    assert_eq!(error.class, Class::AuthMissing, "{error}");
}

#[tokio::test]
async fn a_failed_token_exchange_has_the_stage_token() {
    let upstream = guarded(Tokens::new().user("ann", "right")).await;
    let client = || Setup::of(&upstream).with_user("ann", "right").client();
    for (rule, class, reason) in [
        (Rule::token().unavailable(503), Class::Registry5xx, None),
        (Rule::token().too_many_requests(TooMany::HubLogin), Class::RateLogin, None),
        (Rule::token().html(), Class::ProtocolGarbage, Some(Reason::Html)),
        (Rule::token().reset(), Class::ConnectReset, None),
    ] {
        let fault = upstream.fault(rule);
        let error = head(&client(), "3.20").await.expect_err("a failure");
        assert_eq!((error.class, error.stage), (class, Stage::Token), "{error}");
        if reason.is_some() {
            assert_eq!(error.evidence.reason, reason);
        }
        upstream.clear(fault);
    }
    upstream.fault(Rule::token().never_answer());
    let deadline = Instant::now() + Duration::from_millis(200);
    let outcome = client().manifest_head(&parsed(REPOSITORY), &parsed("3.20"), deadline).await;
    assert_failed(outcome, Class::Stalled, Stage::Token, Some(Reason::HeaderTimeout));
}

#[tokio::test]
async fn an_untrusted_realm_gets_no_credential() {
    let thief = Registry::start().await.expect("a port");
    let (upstream, _image) = good().await;
    upstream.fault(Rule::manifest().challenge_to(&format!("https://thief.test:{}/token", thief.port())));
    let setup = Setup::of(&upstream).with_user("ann", "right");
    let error = assert_failed(
        head(&setup.client(), "3.20").await,
        Class::TrustRefused,
        Stage::Token,
        Some(Reason::RealmHost),
    );
    assert_eq!(error.evidence.host, format!("thief.test:{}", thief.port()));
    assert!(error.evidence.message.as_deref().is_some_and(|it| it.contains("token_hosts")), "{error}");
    assert_eq!(thief.log().connections(), 0);
}

#[tokio::test]
async fn a_token_host_outside_the_zone_is_not_dialled() {
    let (upstream, _image) = good().await;
    upstream.fault(Rule::manifest().challenge_to("https://auth.test/token"));
    let mut setup = Setup::of(&upstream).resolving("auth.test", vec![vec![[169, 254, 169, 254].into()]]);
    setup.upstream.zone.token_hosts = vec![HostPattern("auth.test".to_owned())];
    let error = head(&setup.client(), "3.20").await.expect_err("a failure");
    assert_eq!((error.class, error.stage), (Class::TrustRefused, Stage::Token), "{error}");
    assert_eq!(error.evidence.host, "auth.test");
}

#[tokio::test]
async fn token_exchanges_follow_no_redirect() {
    let upstream = guarded(Tokens::new()).await;
    let fault = upstream.fault(Rule::token().redirect(&format!("{}/token", upstream.url())));
    let error = head(&Setup::of(&upstream).client(), "3.20").await.expect_err("a failure");
    assert_eq!(error.stage, Stage::Token, "{error}");
    assert_eq!(upstream.used(fault), 1);
}

#[tokio::test]
async fn secrets_stay_out_of_errors() {
    let upstream = guarded(Tokens::new().user("ann", "right")).await;
    let setup = Setup::of(&upstream).with_user("ann", "canary-in-the-mine");
    let error = head(&setup.client(), "3.20").await.expect_err("a failure");
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
}
