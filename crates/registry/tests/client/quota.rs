//! Quotas: the requests that the ledger withholds or holds, against a registry that counts.

use std::time::Duration;

use loadtest::image::Image;
use loadtest::registry::{Access, Quota, Registry, Rule, Tokens, TooMany};
use oci::{Class, Demand, OnExhausted, Reserve, Stage};
use registry::breaker::Pauses;
use registry::ledger::Outlook;
use registry::{Caller, Client, Error, Reason};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::setup::*;

fn holding(upstream: &Registry) -> Setup {
    let mut setup = Setup::of(upstream);
    setup.upstream.on_exhausted = OnExhausted::Hold;
    setup
}

#[track_caller]
fn assert_withheld<T: std::fmt::Debug>(outcome: Result<T, Error>, class: Class) {
    let error = outcome.expect_err("a refusal of our own");
    assert_eq!((error.class, error.evidence.reason), (class, Some(Reason::OwnBudget)), "{error}");
    assert_eq!(error.evidence.status, None, "nothing was sent");
}

#[tokio::test]
async fn with_a_spent_quota_gets_are_withheld_and_heads_are_sent() {
    let (upstream, image) = good().await;
    upstream.set_quota(Some(Quota::of(100).remaining(0)));
    let client = Setup::of(&upstream).client();
    let error = get(&client, "3.20").await.expect_err("a 429");
    assert_eq!((error.class, error.evidence.status), (Class::RatePullQuota, Some(429)));
    for _ in 0..3 {
        assert_withheld(get(&client, "3.20").await, Class::RatePullQuota);
        head(&client, "3.20").await.expect("headers are free");
    }
    read(blob(&client, &image.largest_layer().digest).await.expect("so are blobs")).await.expect("bytes");
    assert_eq!((upstream.log().manifest_gets(), upstream.log().manifest_heads()), (1, 3));

    upstream.set_quota(Some(Quota::of(100).remaining(50)));
    head(&client, "3.20").await.expect("headers");
    get(&client, "3.20").await.expect("the answer to a free request stated that there is quota again");
}

#[tokio::test]
async fn as_the_quota_falls_the_least_urgent_demands_stop_first() {
    let (upstream, _image) = good().await;
    let setup = Setup::of(&upstream);
    let client = setup.client();
    for (left, served) in [(20, 3), (10, 2), (2, 1), (0, 0)] {
        upstream.set_quota(Some(Quota::of(100).remaining(left)));
        head(&client, "3.20").await.expect("headers");
        for (rank, demand) in Demand::ALL.iter().enumerate() {
            let asked = client.for_demand(*demand).afford(&parsed(REPOSITORY), &parsed("3.20"), soon()).await;
            assert_eq!(asked.is_ok(), rank < served, "{left} left, {demand}");
        }
    }
    assert_eq!(upstream.log().manifest_gets(), 0);
}

#[tokio::test]
async fn too_many_requests_at_once_pause_everything_for_this_identity() {
    let (upstream, image) = good().await;
    upstream.fault(Rule::manifest().once().too_many_requests(TooMany::RetryAfter(30)));
    let setup = Setup::of(&upstream);
    let client = setup.client();
    assert_eq!(get(&client, "3.20").await.expect_err("a 429").class, Class::RateBurst);
    assert_withheld(head(&client, "3.20").await, Class::RateBurst);
    assert_withheld(blob(&client, &image.largest_layer().digest).await, Class::RateBurst);
    assert_eq!(upstream.log().iter().count(), 1, "nothing was sent meanwhile");
    let outbound = setup.outbound.clone();
    let other_identity = Setup { outbound, ..Setup::of(&upstream).with_user("ann", "right") };
    head(&other_identity.client(), "3.20").await.expect("another identity has a quota of its own");
}

#[tokio::test]
async fn a_refused_head_is_sent_once_for_a_hundred_requests() {
    for quota in [false, true] {
        let (upstream, _image) = good().await;
        let mut rule = Rule::manifest().head().too_many_requests(TooMany::RetryAfter(60));
        if quota {
            rule = rule.header("ratelimit-limit", "100;w=21600").header("ratelimit-remaining", "0;w=21600");
        }
        upstream.fault(rule);
        let client = Setup::of(&upstream).client();
        assert_eq!(head(&client, "3.20").await.expect_err("a 429").evidence.status, Some(429));
        for _ in 1..100 {
            let error = head(&client, "3.20").await.expect_err("a pause");
            assert_eq!(error.evidence.reason, Some(Reason::OwnBudget), "{error}");
        }
        assert_eq!(upstream.log().manifest_heads(), 1, "quota headers: {quota}");
    }
}

#[tokio::test]
async fn ghcrs_microseconds_are_waited_for() {
    let (upstream, _image) = good().await;
    upstream.fault(Rule::manifest().once().too_many_requests(TooMany::Ghcr));
    let client = Setup::of(&upstream).client();
    let error = get(&client, "3.20").await.expect_err("a 429 is never retried");
    assert_eq!(error.evidence.retry_after, Some(Duration::from_nanos(880_092)));
    get(&client, "3.20").await.expect("the next request is a new one");
}

#[tokio::test]
async fn a_refused_login_pauses_only_token_exchanges() {
    let (upstream, _image) = good().await;
    upstream.require(Access::Tokens(Tokens::new().user("ann", "right")));
    let setup = Setup::of(&upstream).with_user("ann", "right");
    let client = setup.client();
    head(&client, "3.20").await.expect("a head under a token");
    upstream.fault(Rule::token().too_many_requests(TooMany::HubLogin));
    let fresh = setup.fresh();
    assert_eq!(head(&fresh, "3.20").await.expect_err("a 429").class, Class::RateLogin);
    let tokens = upstream.log().tokens();
    let error = head(&fresh, "3.20").await.expect_err("not asked");
    assert_eq!(
        (error.class, error.stage, error.evidence.reason),
        (Class::RateLogin, Stage::Token, Some(Reason::OwnBudget))
    );
    assert_eq!(upstream.log().tokens(), tokens);
    head(&client, "3.20").await.expect("a valid cached token is still used");
}

#[tokio::test]
async fn too_many_anonymous_tokens_are_a_burst_and_not_a_failed_login() {
    let (upstream, _image) = good().await;
    upstream.require(Access::Tokens(Tokens::new()));
    upstream.fault(Rule::token().too_many_requests(TooMany::RetryAfter(30)));
    let setup = Setup::of(&upstream);
    let client = setup.client();
    assert_eq!(head(&client, "3.20").await.expect_err("a 429").class, Class::RateBurst);
    let tokens = upstream.log().tokens();
    let error = head(&client, "3.20").await.expect_err("not asked");
    assert_eq!(error.stage, Stage::Token);
    assert_withheld::<()>(Err(error), Class::RateBurst);
    assert_eq!(upstream.log().tokens(), tokens);
    assert_eq!(outlook(&setup).paused.map(|(class, _)| class), Some(Class::RateBurst));
}

#[tokio::test]
async fn clients_share_the_ledger() {
    let (upstream, _image) = good().await;
    upstream.set_quota(Some(Quota::of(100).remaining(0)));
    let setup = Setup::of(&upstream);
    get(&setup.fresh(), "3.20").await.expect_err("a 429");
    assert_withheld(get(&setup.client(), "3.20").await, Class::RatePullQuota);
    assert_eq!(upstream.log().manifest_gets(), 1);
}

#[tokio::test]
async fn without_quota_headers_there_is_no_limit() {
    let (upstream, _image) = good().await;
    let mut setup = Setup::of(&upstream);
    setup.upstream.quota_reserve = Reserve::Count(1_000_000);
    let client = setup.client().for_demand(Demand::WarmUp);
    for _ in 0..20 {
        get(&client, "3.20").await.expect("a manifest");
    }
}

async fn get_at(client: Client, deadline: Instant) -> Result<(), Error> {
    client.manifest(&parsed(REPOSITORY), &parsed("3.20"), deadline).await.map(|_| ())
}

#[tokio::test]
async fn held_requests_are_sent_when_a_free_answer_states_quota() {
    let (upstream, _image) = good().await;
    upstream.set_quota(Some(Quota::of(100).remaining(0)));
    let client = holding(&upstream).client();
    head(&client, "3.20").await.expect("headers");
    let held: Vec<_> = (0..20).map(|_| tokio::spawn(get_at(client.clone(), soon()))).collect();
    upstream.wait_for(|log| log.manifest_heads() == 2).await;
    assert_eq!(upstream.log().manifest_gets(), 0, "all are held, and one HEAD reads the quota");
    upstream.set_quota(Some(Quota::of(100)));
    for one in held {
        one.await.expect("a task").expect("no held request fails");
    }
    assert_eq!(upstream.log().manifest_gets(), 20);
}

#[tokio::test]
async fn refused_requests_are_held_for_the_time_named_and_one_goes_first() {
    let (upstream, _image) = good().await;
    let spent = Rule::manifest().get().too_many_requests(TooMany::HubQuota).header("retry-after", "1");
    let refused = upstream.fault(spent.times(5));
    let client = holding(&upstream).client();
    let pulls: Vec<_> = (0..5).map(|_| tokio::spawn(get_at(client.clone(), soon()))).collect();
    upstream.wait_for(|log| log.manifest_gets() == 5).await;
    let later: Vec<_> = (0..20).map(|_| tokio::spawn(get_at(client.clone(), soon()))).collect();
    for pull in pulls.into_iter().chain(later) {
        pull.await.expect("a task").expect("no pull fails");
    }
    assert_eq!((upstream.used(refused), upstream.log().manifest_gets()), (5, 30));
}

#[tokio::test]
async fn no_request_is_held_beyond_its_deadline() {
    let (upstream, _image) = good().await;
    upstream.fault(Rule::manifest().get().too_many_requests(TooMany::HubQuota));
    let client = holding(&upstream).client();
    let deadline = Instant::now() + Duration::from_millis(300);
    assert_withheld(get_at(client, deadline).await, Class::RatePullQuota);
    assert!(Instant::now() >= deadline, "it was held to its end");
    assert_eq!(upstream.log().manifest_gets(), 1);
}

#[tokio::test]
async fn no_request_is_held_for_a_century() {
    let (upstream, _image) = good().await;
    let spent = Rule::manifest().get().too_many_requests(TooMany::HubQuota);
    upstream.fault(spent.header("retry-after", "3155760000"));
    let setup = holding(&upstream);
    assert_withheld(get_at(setup.client(), never()).await, Class::RatePullQuota);
    let paused = setup.outbound.ledger.outlook(Instant::now()).remove(0).paused.expect("a pause");
    assert!(paused.1 <= Duration::from_secs(3600), "{paused:?}");
}

#[tokio::test]
async fn requests_that_can_do_without_an_answer_are_not_held() {
    let (upstream, _image) = good().await;
    upstream.set_quota(Some(Quota::of(100).remaining(5)));
    let client = holding(&upstream).client();
    head(&client, "3.20").await.expect("headers");
    for demand in [Demand::Revalidation, Demand::WarmUp] {
        assert_withheld(get_at(client.for_demand(demand), never()).await, Class::RatePullQuota);
    }
    get(&client.for_demand(Demand::NewPull), "3.20").await.expect("a new pull is allowed");
}

/// A deadline that allows a few tries a second apart, or thousands without a pause.
fn a_moment() -> Instant {
    Instant::now() + Duration::from_millis(1500)
}

#[tokio::test]
async fn a_registry_that_refuses_for_zero_seconds_gets_one_request_a_second() {
    let (upstream, _image) = good().await;
    let spent = Rule::manifest().get().too_many_requests(TooMany::HubQuota).header("retry-after", "0");
    upstream.fault(spent);
    let client = holding(&upstream).client();
    let pulls: Vec<_> = (0..5).map(|_| tokio::spawn(get_at(client.clone(), a_moment()))).collect();
    for pull in pulls {
        let error = pull.await.expect("a task").expect_err("the quota is spent");
        assert_eq!(error.class, Class::RatePullQuota, "{error}");
    }
    let asked = upstream.log().manifest_gets();
    assert!(asked <= 5 + 1, "{asked} GETs: each pull once, and one of them after a second");
}

#[tokio::test]
async fn a_refusal_for_a_callers_own_quota_is_returned_at_once() {
    let (upstream, _image) = good().await;
    upstream.fault(Rule::manifest().get().too_many_requests(TooMany::HubQuota));
    let client = holding(&upstream).client().as_caller(&Caller::bearer("theirs").expect("a token"));
    let error = get_at(client, a_moment()).await.expect_err("a 429");
    assert_eq!((error.class, error.evidence.status), (Class::RatePullQuota, Some(429)), "{error}");
    assert_eq!(upstream.log().manifest_gets(), 1, "a 429 is never retried");
}

#[tokio::test]
async fn a_callers_spent_quota_pauses_that_caller_for_the_time_named_and_no_other() {
    let (upstream, image) = good().await;
    let spent = Rule::manifest().get().once().too_many_requests(TooMany::HubQuota);
    upstream.fault(spent.header("retry-after", "1"));
    let client = holding(&upstream).client();
    let caller = |token| client.as_caller(&Caller::bearer(token).expect("a token"));
    let error = get(&caller("theirs"), "3.20").await.expect_err("a 429");
    assert_eq!(error.evidence.status, Some(429));
    assert_withheld(get(&caller("theirs"), "3.20").await, Class::RatePullQuota);
    assert_eq!(upstream.log().manifest_gets(), 1, "nothing was sent meanwhile");
    blob(&caller("theirs"), &image.config.digest).await.expect("the quota counts no blobs");
    get(&caller("another"), "3.20").await.expect("another caller has a quota of its own");
    get(&client, "3.20").await.expect("our own identity has its own quota too");
    sleep(Duration::from_secs(1)).await;
    get(&caller("theirs"), "3.20").await.expect("the pause is over");
}

#[tokio::test]
async fn a_callers_spent_quota_without_a_time_named_pauses_that_caller_too() {
    let (upstream, _image) = good().await;
    upstream.fault(Rule::manifest().get().once().too_many_requests(TooMany::HubQuota));
    let client = holding(&upstream).client().as_caller(&Caller::bearer("theirs").expect("a token"));
    let error = get(&client, "3.20").await.expect_err("a 429");
    assert_eq!((error.evidence.status, error.evidence.retry_after), (Some(429), None));
    assert_withheld(get(&client, "3.20").await, Class::RatePullQuota);
    assert_eq!(upstream.log().manifest_gets(), 1, "nothing was sent meanwhile");
    sleep(Duration::from_secs(1)).await;
    get(&client, "3.20").await.expect("the pause is over");
}

#[tokio::test]
async fn a_long_pause_is_kept_up_to_ten_minutes() {
    for (named, kept) in [("300", 300), ("86400", 600)] {
        let (upstream, _image) = good().await;
        upstream
            .fault(Rule::manifest().head().too_many_requests(TooMany::HubQuota).header("retry-after", named));
        let setup = Setup::of(&upstream);
        head(&setup.client(), "3.20").await.expect_err("a 429");
        let (_, pause) = outlook(&setup).paused.expect("a pause");
        assert!(pause <= Duration::from_secs(kept) && pause > Duration::from_secs(kept - 30), "{pause:?}");
    }
}

#[tokio::test]
async fn free_requests_are_not_held_for_quota() {
    let (upstream, image) = good().await;
    upstream.fault(Rule::manifest().head().too_many_requests(TooMany::HubQuota));
    upstream.fault(Rule::blob().get().too_many_requests(TooMany::HubQuota));
    // Each refusal pauses its identity, so each request is made by a client with a ledger of its own.
    let (client, other) = (holding(&upstream).client(), holding(&upstream).client());
    let (repository, digest) = (parsed(REPOSITORY), image.config.digest.clone());
    let head = client.manifest_head(&repository, &parsed("3.20"), a_moment()).await.map(drop);
    let blob = other.blob(&repository, &parsed(&digest), None, a_moment()).await.map(drop);
    for refused in [head, blob] {
        let error = refused.expect_err("a 429");
        assert_eq!((error.class, error.evidence.status), (Class::RatePullQuota, Some(429)), "{error}");
    }
    assert_eq!((upstream.log().manifest_heads(), upstream.log().blob_gets(&digest)), (1, 1));
}

/// A registry with 50 pulls left, and a client that holds requests and has read that quota.
async fn with_fifty_left(pauses: Pauses) -> (Registry, Image, Setup, Client) {
    let (upstream, image) = good().await;
    upstream.set_quota(Some(Quota::of(100).remaining(50)));
    let mut setup = holding(&upstream);
    setup.upstream.limits.pauses = pauses;
    let client = setup.client();
    head(&client, "3.20").await.expect("headers");
    (upstream, image, setup, client)
}

fn outlook(setup: &Setup) -> Outlook {
    setup.outbound.ledger.outlook(Instant::now()).into_iter().next().expect("a stated quota")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_outage_spends_nothing_of_the_quota() {
    let (upstream, _image, setup, client) = with_fifty_left(SHORT).await;
    upstream.stop().await;
    for _ in 0..10 {
        let pulls: Vec<_> = (0..20).map(|_| tokio::spawn(get_at(client.clone(), soon()))).collect();
        for pull in pulls {
            let error = pull.await.expect("a task").expect_err("the registry is down");
            assert!(matches!(error.class, Class::ConnectRefused | Class::UpstreamPaused), "{error}");
        }
        sleep(SHORT.longest).await;
    }
    let outlook_now = outlook(&setup);
    assert_eq!((outlook_now.left, outlook_now.queued, outlook_now.empty_in), (Some(50), 0, None));
    upstream.restart().expect("its port");
    while get(&client, "3.20").await.is_err() {
        sleep(SHORT.longest).await;
    }
    assert_eq!(outlook(&setup).left, Some(49));
}

#[tokio::test]
async fn held_requests_that_the_breaker_refuses_spend_nothing() {
    let (upstream, _image, setup, client) = with_fifty_left(LONG).await;
    upstream.fault(Rule::manifest().once().too_many_requests(TooMany::RetryAfter(2)));
    assert_eq!(head(&client, "3.20").await.expect_err("a 429").class, Class::RateBurst);
    let pulls: Vec<_> = (0..10).map(|_| tokio::spawn(get_at(client.clone(), soon()))).collect();
    while outlook(&setup).held < 10 {
        yield_now().await;
    }
    upstream.fault(Rule::any().unavailable(503));
    let mut other_identity = Setup::of(&upstream).with_user("ann", "right");
    other_identity.upstream.limits = setup.upstream.limits;
    let other_identity = Setup { outbound: setup.outbound.clone(), ..other_identity }.client();
    while head(&other_identity, "3.20").await.expect_err("an outage").class != Class::UpstreamPaused {}
    for pull in pulls {
        let error = pull.await.expect("a task").expect_err("the endpoint is paused");
        assert_eq!(error.class, Class::UpstreamPaused, "{error}");
    }
    assert_eq!((outlook(&setup).left, upstream.log().manifest_gets()), (Some(50), 0));
}

#[tokio::test]
async fn a_request_without_a_token_spends_nothing_and_one_without_an_answer_counts() {
    let (upstream, _image, setup, client) = with_fifty_left(LONG).await;
    upstream.require(Access::Tokens(Tokens::new()));
    let no_tokens = upstream.fault(Rule::token().manifest_unknown());
    for _ in 0..3 {
        let error = get(&client, "3.20").await.expect_err("no token");
        assert_eq!(error.stage, Stage::Token, "{error}");
    }
    assert_eq!(outlook(&setup).left, Some(50));
    upstream.clear(no_tokens);
    upstream.fault(Rule::manifest().get().with_header("authorization").close());
    get(&client, "3.20").await.expect_err("an answer");
    assert_eq!(outlook(&setup).left, Some(49));
}

#[tokio::test]
async fn the_quota_is_not_read_while_the_breaker_is_open() {
    let (upstream, image, _setup, client) = with_fifty_left(LONG).await;
    upstream.set_quota(Some(Quota::of(100).remaining(0)));
    head(&client, "3.20").await.expect("headers");
    let pull = tokio::spawn(get_at(client.clone(), Instant::now() + Duration::from_millis(2500)));
    upstream.wait_for(|log| log.manifest_heads() == 3).await;
    upstream.fault(Rule::blob().unavailable(503));
    blob(&client, &image.largest_layer().digest).await.expect_err("an outage");
    while blob(&client, &image.config.digest).await.expect_err("an outage").class != Class::UpstreamPaused {}
    upstream.clear_log();
    assert_withheld(pull.await.expect("a task"), Class::RatePullQuota);
    assert_eq!(upstream.log().iter().count(), 0, "nothing is sent while the endpoint is paused");
}

#[tokio::test]
async fn a_request_that_waits_for_quota_is_not_the_probe() {
    let (upstream, image, setup, client) = with_fifty_left(SHORT).await;
    upstream.set_quota(Some(Quota::of(100).remaining(0)));
    head(&client, "3.20").await.expect("headers");
    let outage = upstream.fault(Rule::blob().unavailable(503));
    blob(&client, &image.largest_layer().digest).await.expect_err("an outage");
    while blob(&client, &image.config.digest).await.expect_err("an outage").class != Class::UpstreamPaused {}
    upstream.clear(outage);
    sleep(SHORT.longest).await;
    let pull = tokio::spawn(get_at(client.clone(), a_moment()));
    while outlook(&setup).held == 0 {
        yield_now().await;
    }
    blob(&client, &image.config.digest).await.expect("the probe succeeds");
    assert_withheld(pull.await.expect("a task"), Class::RatePullQuota);
}
