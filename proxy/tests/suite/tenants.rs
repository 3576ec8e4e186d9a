//! Callers of a per-client upstream, each with its own token. The answers to one caller must not affect another.

use std::num::NonZeroU32;
use std::time::Duration;

use config::Access;
use futures_util::future::join_all;
use loadtest::image::Image;
use loadtest::registry::{Access as Door, Answer, Gate, Kind, Registry, Rule, Tokens};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::time::timeout;

use crate::rig::{Heard, Plan, REGISTRY, Rig};

#[tokio::test]
async fn a_tenant_whose_quota_is_spent_spends_nobody_elses() {
    let rig = per_client(Plan::default()).await;
    let image = Image::with_layers(1, &[1000]);
    rig.upstream.add_image("org/app", "1", &image);
    let path = format!("org/app/manifests/{}", image.digest());
    let gate = Gate::new();
    let spent = Answer::oci_error(429, "TOOMANYREQUESTS", "ann has reached her pull rate limit");
    rig.upstream.fault(Rule::manifest().get().once().hold(&gate).answer(spent));

    let ann = ask(&rig, "GET", &path, "ann");
    let others: Vec<_> = (0..OTHERS).map(|n| format!("bob{n}")).collect();
    let others = async {
        wait(&rig, |log| log.manifest_gets() == 1).await;
        // The others join ann's request after the upstream has admitted them.
        let opened = async {
            wait(&rig, |log| log.iter().filter(|asked| asked.status == Some(200)).count() == 1 + OTHERS)
                .await;
            gate.open();
        };
        tokio::join!(join_all(others.iter().map(|token| ask(&rig, "GET", &path, token))), opened).0
    };
    let (ann, others) = tokio::join!(ann, others);
    assert_eq!((ann.status, ann.class()), (503, "rate_pull_quota"));
    assert!(ann.oci_error().1.contains("ann has reached"));
    for heard in others {
        assert_eq!((heard.status, heard.class()), (200, "none"));
        assert_eq!(heard.body, image.manifest.bytes);
    }
}

/// Not all registries have the referrers API, and any client may ask for it.
#[tokio::test]
async fn a_list_that_is_not_there_closes_no_public_repository() {
    for door in [Door::Open, Door::Tokens(Tokens::new())] {
        let rig = per_client(Plan::default()).await;
        let image = Image::with_layers(1, &[1000]);
        rig.upstream.add_image("org/app", "1", &image);
        rig.upstream.serve_referrers(false);
        let (challenges, referrers) =
            (matches!(door, Door::Tokens(_)), format!("org/app/referrers/{}", image.digest()));
        rig.upstream.require(door);
        let before = rig.get(&referrers).await;
        assert_eq!(before.status, if challenges { 401 } else { 404 }, "one with a token might see more");
        for _ in 0..2 {
            for what in parts(&image) {
                assert_eq!(rig.get(&what).await.status, 200, "{what}");
            }
            assert_eq!(rig.get(&referrers).await.status, 404, "it is asked by who may see the repository");
        }
    }
}

#[tokio::test]
async fn the_refusal_of_one_image_or_list_is_not_of_its_neighbours() {
    let rig = per_client(Plan::default()).await;
    let (scanned, sound) = (Image::with_layers(1, &[1000]), Image::with_layers(2, &[1000]));
    rig.upstream.add_image("org/app", "scanned", &scanned);
    rig.upstream.add_image("org/app", "1", &sound);
    for rule in [Rule::manifest().reference("scanned"), Rule::tags()] {
        rig.upstream.fault(rule.denied());
    }
    let get = async |what: &str| ask(&rig, "GET", what, "ann").await.status;
    for _ in 0..2 {
        assert_eq!(get("org/app/manifests/scanned").await, 403, "before there is a lease");
    }
    assert_eq!(rig.upstream.log().manifest_heads(), 1, "a refusal is remembered");
    for _ in 0..2 {
        for what in parts(&sound) {
            assert_eq!(get(&what).await, 200, "{what}");
        }
        assert_eq!(get("org/app/tags/list").await, 403);
        assert_eq!(get("org/app/manifests/scanned").await, 403);
    }
}

#[tokio::test]
async fn a_token_that_the_registry_takes_no_more_ends_all_of_its_lease() {
    let rig = per_client(Plan::default()).await;
    let image = Image::with_layers(1, &[1000]);
    rig.upstream.add_image("org/app", "1", &image);
    rig.upstream.require(Door::Tokens(Tokens::new().user("ann", "right").private("org/app", "ann")));
    let token = rig.upstream.token_of("ann", &["org/app"]);
    for what in parts(&image) {
        assert_eq!(ask(&rig, "GET", &what, &token).await.status, 200, "{what}");
    }
    rig.upstream.revoke_tokens();
    for what in parts(&image) {
        assert_eq!(ask(&rig, "GET", &what, &token).await.status, 401, "{what}");
    }
}

#[tokio::test]
async fn what_an_upstream_says_after_it_was_replaced_opens_nothing_of_its_successor() {
    let rig = per_client(Plan::default()).await;
    let image = Image::with_layers(1, &[1000]);
    rig.upstream.add_image("org/app", "1", &image);
    let path = format!("org/app/manifests/{}", image.digest());
    assert_eq!(ask(&rig, "GET", &path, "bob").await.status, 200, "it is cached");
    let gate = Gate::new();
    rig.upstream.fault(Rule::manifest().head().hold(&gate));
    let successor = Registry::start().await.unwrap();
    successor.fault(Rule::any().denied());

    let replace = async {
        wait(&rig, |log| log.manifest_heads() == 2).await;
        rig.move_upstream(&successor.url(), None);
        gate.open();
    };
    let (under_way, ()) = tokio::join!(ask(&rig, "GET", &path, "ann"), replace);
    assert_eq!(under_way.status, 200, "of the registry it was asked of");
    assert_eq!(ask(&rig, "GET", &path, "ann").await.status, 403);
    assert_eq!(successor.log().manifest_heads(), 1);
}

#[tokio::test]
async fn tokens_made_up_are_asked_about_no_more_often_than_a_clients_share() {
    let plan =
        Plan { client_rate: NonZeroU32::MIN, header_deadline: Duration::from_secs(3), ..Plan::default() };
    let rig = per_client(plan).await;
    let image = Image::with_layers(1, &[1000]);
    rig.upstream.add_image("org/app", "1", &image);
    rig.upstream.require(Door::Tokens(Tokens::new()));
    let path = format!("org/app/manifests/{}", image.digest());
    let tokens: Vec<_> = (0..MADE_UP).map(|n| format!("made-up-{n}")).collect();
    let heard = join_all(tokens.iter().map(|token| ask(&rig, "HEAD", &path, token))).await;

    let asked = rig.upstream.log().of(Kind::Manifest, &http::Method::HEAD);
    let refused = heard.iter().filter(|heard| (heard.status, heard.class()) == (503, "overloaded")).count();
    assert!(asked + refused <= MADE_UP && refused > MADE_UP / 2, "{asked} were asked, {refused} refused");
    assert!(heard.iter().any(|heard| heard.status == 401), "those who had a turn were told");

    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut neighbour = socket.connect(rig.address).await.unwrap();
    let request =
        format!("GET /v2/{path}?ns={REGISTRY} HTTP/1.1\r\nHost: mirror\r\nConnection: close\r\n\r\n");
    neighbour.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(Heard::until_end(&mut neighbour).await.status, 200, "its share is its own");
}

#[tokio::test]
async fn who_had_a_turn_to_be_let_in_needs_none_to_be_answered() {
    let rig = per_client(Plan { client_rate: NonZeroU32::MIN, ..Plan::default() }).await;
    let images: Vec<_> = (0..BURST).map(|n| Image::with_layers(n, &[1000])).collect();
    images.iter().for_each(|image| rig.upstream.add_image("org/app", &image.digest()[7..19], image));
    let answers = images.iter().enumerate().map(async |(n, image)| {
        ask(&rig, "GET", &format!("org/app/manifests/{}", &image.digest()[7..19]), &format!("token-{n}"))
            .await
    });
    for heard in join_all(answers).await {
        assert_eq!((heard.status, heard.class()), (200, "none"));
    }
    let log = rig.upstream.log();
    assert_eq!((log.manifest_heads(), log.manifest_gets()), (images.len(), images.len()));
}

/// The paths of the image's parts: its manifest by tag and by digest, its config and its layers.
fn parts(image: &Image) -> Vec<String> {
    let manifests = ["1", image.digest()].map(|reference| format!("org/app/manifests/{reference}"));
    let blobs = image.blobs().map(|blob| format!("org/app/blobs/{}", blob.digest));
    manifests.into_iter().chain(blobs).collect()
}

async fn per_client(plan: Plan) -> Rig {
    Rig::with(Plan { access: Access::PerClient, ..plan }).await
}

async fn ask(rig: &Rig, method: &str, path: &str, token: &str) -> Heard {
    rig.ask(method, path, &format!("User-Agent: containerd/v2.1.9\r\nAuthorization: Bearer {token}\r\n"))
        .await
}

async fn wait(rig: &Rig, is_so: impl Fn(&loadtest::registry::Log) -> bool) {
    timeout(Duration::from_secs(60), rig.upstream.wait_for(is_so)).await.expect("the registry to be asked");
}

/// With this many callers, some have joined by the time the last is admitted.
const OTHERS: usize = 20;
/// Far more requests than a client may send in a minute.
const MADE_UP: usize = 100;
/// The number of requests that a client may send at once if its rate is one a second.
const BURST: u64 = 10;
