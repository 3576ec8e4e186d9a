//! Layers that break or are wrong on their way from the registry. The client sees a pause or a visible end, never wrong
//! bytes.

use std::time::Duration;

use futures_util::future::join_all;
use loadtest::image::{Blob, Image};
use loadtest::registry::{Answer, At, Gate, Rule, TooMany};
use registry::upstream::Limits;

use crate::rig::{Heard, Plan, Rig};

/// The name of a fault, for the message of a failing test, and a function that adds the fault to a rule.
type Fault<With> = (&'static str, fn(Rule, With) -> Rule);

const BREAKS: &[Fault<At>] =
    &[("ends", Rule::end_at), ("is reset", Rule::reset_at), ("stalls", Rule::stall_forever_at)];

#[tokio::test]
async fn a_layer_that_breaks_anywhere_is_finished_for_its_client() {
    let rig = Rig::start().await;
    let places = [At::Byte(0), At::Byte(1), At::Half, At::LastByte];
    let cases = BREAKS.iter().flat_map(|fault| places.map(|at| (fault, at)));
    let pulls = (1..).zip(cases).map(async |(seed, ((name, fault), at))| {
        let (layer, path) = add_layer(&rig, seed);
        rig.upstream.fault(fault(Rule::blob().get().reference(&layer.digest).once(), at));
        let heard = rig.get(&path).await;
        assert!(is_right(&heard, &layer), "{name} {at:?}: {} {}", heard.status, heard.class());
        let log = rig.upstream.log();
        assert_eq!(log.blob_gets(&layer.digest), 2, "{name} {at:?}");
        // The bytes that a reset discards are fetched again.
        let sent = log.bytes_sent(&layer.digest);
        assert!(*name == "is reset" || sent == layer.bytes.len() as u64, "{name} {at:?}: {sent}");
    });
    join_all(pulls).await;
}

#[tokio::test]
async fn a_connection_reset_before_the_headers_is_tried_once_more() {
    for fault in [Rule::reset, Rule::close] {
        let rig = Rig::start().await;
        let (layer, path) = add_layer(&rig, 1);
        rig.upstream.fault(fault(Rule::blob().once()));
        assert!(is_right(&rig.get(&path).await, &layer));
        assert_eq!(rig.upstream.log().blob_gets(&layer.digest), 2);
    }
}

#[tokio::test]
async fn a_registry_that_resets_every_connection_is_503_and_forgotten() {
    let rig = Rig::start().await;
    let (layer, path) = add_layer(&rig, 1);
    rig.upstream.fault(Rule::blob().reset());
    let heard = rig.get(&path).await;
    assert_eq!((heard.status, heard.class()), (503, "connect_reset"), "{heard:?}");
    assert_eq!(rig.upstream.log().blob_gets(&layer.digest), 2);
    rig.upstream.clear_faults();
    assert!(is_right(&rig.get(&path).await, &layer));
}

#[tokio::test]
async fn a_layer_below_the_minimum_rate_is_asked_for_again() {
    let limits = Limits { minimum_rate: 1 << 20, rate_window: Duration::from_secs(1), ..Limits::default() };
    let rig = Rig::with(Plan { limits, ..Plan::default() }).await;
    let (layer, path) = add_layer(&rig, 1);
    rig.upstream.fault(Rule::blob().get().once().drip(1000, Duration::from_millis(50)));
    assert!(is_right(&rig.get(&path).await, &layer));
    assert_eq!(rig.upstream.log().blob_gets(&layer.digest), 2);
}

#[tokio::test]
async fn a_length_that_is_not_true_costs_one_try() {
    let length = add_layer(&Rig::start().await, 1).0.bytes.len() as u64;
    let faults: [Fault<u64>; 6] = [
        ("shorter", |rule, _| rule.shorten(10)),
        ("empty", |rule, _| rule.shorten(usize::MAX)),
        ("longer", |rule, _| rule.lengthen(10)),
        ("told longer", |rule, length| rule.claim_length(length + 10)),
        ("told shorter", |rule, length| rule.claim_length(length - 10)),
        ("untold", |rule, _| rule.until_close()),
    ];
    for (name, fault) in faults {
        let rig = Rig::start().await;
        let (layer, path) = add_layer(&rig, 1);
        rig.upstream.fault(fault(Rule::blob().get().once(), length));
        assert_no_lie(&rig.get(&path).await, &layer, name);
        assert!(is_right(&rig.get(&path).await, &layer), "{name}: the next pull");
    }
}

#[tokio::test]
async fn a_length_that_was_not_true_is_not_told_again() {
    let rig = Rig::start().await;
    let (layer, path) = add_layer(&rig, 1);
    let length = layer.bytes.len() as u64;
    rig.upstream.fault(Rule::blob().get().claim_length(length - 10));
    assert_no_lie(&rig.get(&path).await, &layer, "told shorter");
    let told = rig.head(&path).await;
    assert_eq!((told.status, told.header("content-length")), (200, Some(length.to_string().as_str())));
}

#[tokio::test]
async fn wrong_bytes_are_whole_for_nobody_and_right_for_the_next() {
    let faults: [Fault<Blob>; 3] = [
        ("the first byte", |rule, _| rule.flip(At::Byte(0))),
        ("the last byte", |rule, _| rule.flip(At::LastByte)),
        ("every byte", |rule, layer| {
            rule.answer(Answer::with_body(200, &layer.media_type, vec![b'x'; layer.bytes.len()]))
        }),
    ];
    for (name, fault) in faults {
        let rig = Rig::start().await;
        let (layer, path) = add_layer(&rig, 1);
        let gate = Gate::new();
        let rule = fault(Rule::blob().get().once(), layer.clone()).stall_at(At::Byte(1 << 20), &gate);
        rig.upstream.fault(rule);
        let release = async {
            gate.arrived(1).await;
            gate.open();
        };
        let (leader, follower, ()) = tokio::join!(rig.get(&path), rig.get(&path), release);
        for heard in [leader, follower] {
            assert!(heard.clean && !heard.is_whole(), "{name}: {} {}", heard.status, heard.body.len());
        }
        assert!(is_right(&rig.get(&path).await, &layer), "{name}: the next pull");
        assert_eq!(rig.upstream.log().blob_gets(&layer.digest), 2, "{name}");
    }
}

#[tokio::test]
async fn a_small_layer_with_wrong_bytes_is_tried_again_before_anyone_is_answered() {
    let rig = Rig::start().await;
    let image = Image::with_layers(1, &[100_000]);
    rig.upstream.add_image("org/app", "1", &image);
    let layer = &image.layers[0];
    rig.upstream.fault(Rule::blob().get().once().flip(At::Half));
    assert!(is_right(&rig.get(&format!("org/app/blobs/{}", layer.digest)).await, layer));
}

#[tokio::test]
async fn a_part_where_the_whole_was_asked_for_is_no_layer() {
    let faults: [Fault<()>; 3] = [
        ("206 without a range", |rule, ()| rule.claim_status(206)),
        ("206 from the middle", |rule, ()| rule.claim_status(206).claim_range("bytes 100-199/200")),
        ("203", |rule, ()| rule.claim_status(203)),
    ];
    for (name, fault) in faults {
        let rig = Rig::start().await;
        let (layer, path) = add_layer(&rig, 1);
        rig.upstream.fault(fault(Rule::blob().get().once(), ()));
        assert_no_lie(&rig.get(&path).await, &layer, name);
        assert!(is_right(&rig.get(&path).await, &layer), "{name}: the next pull");
    }
}

/// The answers of the registry to requests for the rest of a broken layer.
#[tokio::test]
async fn the_rest_of_a_layer_is_had_whatever_the_registry_thinks_of_ranges() {
    let faults: [Fault<()>; 4] = [
        ("the whole", |rule, ()| rule.ignore_range()),
        ("another part", |rule, ()| rule.once().claim_range("bytes 0-9/100")),
        ("no range", |rule, ()| rule.once().no_header("content-range")),
        ("5xx twice", |rule, ()| rule.times(2).unavailable(503)),
    ];
    for (name, fault) in faults {
        let rig = Rig::start().await;
        let (layer, path) = add_layer(&rig, 1);
        rig.upstream.fault(fault(Rule::blob().get().with_header("range"), ()));
        rig.upstream.fault(Rule::blob().get().once().end_at(At::Half));
        let heard = rig.get(&path).await;
        assert!(is_right(&heard, &layer), "{name}: {} {}", heard.status, heard.body.len());
    }
}

#[tokio::test]
async fn a_page_in_place_of_the_rest_is_not_taken_for_it() {
    let rig = Rig::start().await;
    let (layer, path) = add_layer(&rig, 1);
    let page = rig.upstream.fault(Rule::blob().get().with_header("range").times(2).html());
    rig.upstream.fault(Rule::blob().get().once().end_at(At::Half));
    assert!(is_right(&rig.get(&path).await, &layer), "asked again, as after any break");
    assert_eq!(rig.upstream.used(page), 2);
    assert_eq!(rig.upstream.log().bytes_sent(&layer.digest) / 1000, layer.bytes.len() as u64 / 1000, "kept");
}

#[tokio::test]
async fn a_rate_limit_in_the_middle_cuts_the_layer_and_its_bytes_are_kept() {
    let rig = Rig::start().await;
    let (layer, path) = add_layer(&rig, 1);
    let soon = TooMany::RetryAfter(1);
    let burst = rig.upstream.fault(Rule::blob().with_header("range").too_many_requests(soon));
    rig.upstream.fault(Rule::blob().get().once().end_at(At::Half));
    let heard = rig.get(&path).await;
    assert!(heard.clean && !heard.is_whole(), "{}", heard.body.len());
    assert_eq!(rig.upstream.used(burst), 1, "a 429 is never asked again");
    let refused = rig.get(&path).await;
    assert_eq!((refused.status, refused.class()), (503, "rate_burst"));

    rig.upstream.clear(burst);
    assert!(is_right(&rig.get(&path).await, &layer));
    assert_eq!(rig.upstream.log().bytes_sent(&layer.digest) / 1000, layer.bytes.len() as u64 / 1000);
}

#[tokio::test]
async fn bytes_of_an_upstream_that_was_corrupt_are_not_resumed_once_it_is_well() {
    let faults: [Fault<At>; 2] = [
        ("breaks off", |rule, wrong| rule.flip(wrong).end_at(At::Half)),
        ("ignores ranges and breaks off", |rule, wrong| rule.ignore_range().flip(wrong).end_at(At::Half)),
    ];
    let pulls = faults.map(async |(name, fault)| {
        let rig = Rig::start().await;
        let (layer, path) = add_layer(&rig, 1);
        rig.upstream.fault(fault(Rule::blob().get(), At::Byte(1000)));
        assert_no_lie(&rig.get(&path).await, &layer, name);
        rig.upstream.clear_faults();
        assert!(is_right(&rig.get(&path).await, &layer), "{name}: the next pull");
    });
    join_all(pulls).await;
}

#[tokio::test]
async fn a_layer_that_is_always_bad_is_refused_so_that_clients_go_elsewhere() {
    let faults: [Fault<()>; 2] = [
        ("wrong bytes", |rule, ()| rule.flip(At::Byte(0))),
        ("cut, without ranges", |rule, ()| rule.ignore_range().end_at(At::Half)),
    ];
    let pulls = faults.map(async |(name, fault)| {
        let rig = Rig::start().await;
        let (layer, path) = add_layer(&rig, 1);
        let (other, other_path) = add_layer(&rig, 2);
        rig.upstream.fault(fault(Rule::blob().get().reference(&layer.digest), ()));
        for _ in 0..2 {
            let cut = rig.get(&path).await;
            assert!(cut.status == 200 && cut.clean && !cut.is_whole(), "{name}: {}", cut.status);
        }
        let asked = rig.upstream.log().blob_gets(&layer.digest);
        let (get, head) = (rig.get(&path).await, rig.head(&path).await);
        for refused in [&get, &head] {
            let class = if name == "wrong bytes" { "corrupt" } else { "truncated" };
            assert_eq!((refused.status, refused.class()), (503, class), "{name}");
        }
        assert_eq!(rig.upstream.log().blob_gets(&layer.digest), asked, "{name}: refused without asking");
        assert!(is_right(&rig.get(&other_path).await, &other), "{name}: other layers are served");
    });
    join_all(pulls).await;
}

/// The only layer of an image, and its path. The layer is larger than a blob that is held back until it is verified.
fn add_layer(rig: &Rig, seed: u64) -> (Blob, String) {
    let image = Image::builder(seed).plain_layer_of(6 << 20).finish();
    let repository = format!("org/app-{seed}");
    rig.upstream.add_image(&repository, "1", &image);
    let layer = image.layers[0].clone();
    let path = format!("{repository}/blobs/{}", layer.digest);
    (layer, path)
}

fn is_right(heard: &Heard, layer: &Blob) -> bool {
    heard.status == 200 && heard.clean && heard.is_whole() && heard.body == layer.bytes
}

/// Asserts that the body is right, or that its failure is visible to the client.
fn assert_no_lie(heard: &Heard, layer: &Blob, name: &str) {
    let visible = heard.status == 503 || heard.clean && !heard.is_whole();
    assert!(visible || is_right(heard, layer), "{name}: {} {}", heard.status, heard.body.len());
}
