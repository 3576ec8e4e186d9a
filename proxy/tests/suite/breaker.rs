//! An outage costs the upstream hardly any requests, cached content costs none, and the end of an outage is noticed at
//! once.

use std::time::Duration;

use futures_util::future::join_all;
use loadtest::image::Image;
use loadtest::registry::{At, Gate, Kind, Rule};
use registry::breaker::Pauses;
use registry::upstream::Limits;
use tokio::time::sleep;

use crate::rig::{Plan, Rig};

#[tokio::test]
async fn twenty_clients_in_an_outage_cost_five_requests_an_object_and_cached_digests_none() {
    let (rig, image) = pulled(Pauses { first: Duration::from_secs(600), ..long() }).await;
    let outage = rig.upstream.fault(Rule::any().unavailable(503));
    rig.upstream.clear_log();
    for _ in 0..10 {
        let tags = join_all((0..20).map(|_| rig.get("org/app/manifests/1"))).await;
        for tag in tags {
            assert_eq!((tag.status, tag.outcome()), (200, "stale"));
            assert!(matches!(tag.class(), "registry_5xx" | "upstream_paused"), "{}", tag.class());
        }
        for blob in image.blobs() {
            let heard = rig.get(&format!("org/app/blobs/{}", blob.digest)).await;
            assert!(heard.status == 200 && heard.body == blob.bytes);
        }
        let manifest = rig.get(&format!("org/app/manifests/{}", image.digest())).await;
        assert_eq!((manifest.status, manifest.outcome()), (200, "hit"));
    }
    // The failure of a second object shows that the endpoint fails, so nothing more is asked for.
    let second = rig.get("org/app/manifests/2").await;
    assert_eq!((second.status, second.class()), (503, "registry_5xx"));
    let missing = rig.get("org/app/manifests/3").await;
    assert_eq!((missing.status, missing.class()), (503, "upstream_paused"));
    assert_eq!(missing.header("retry-after"), None);
    let (code, message) = missing.oci_error();
    assert_eq!(code, "UNAVAILABLE");
    for part in ["because of registry_5xx at manifest_head", "the next probe in", "wait: one probe"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(rig.upstream.used(outage), 6);
    assert_eq!(rig.upstream.log().iter().count(), 6);
}

#[tokio::test]
async fn the_first_probe_after_an_outage_brings_everybody_back() {
    let (rig, _image) = pulled(Pauses { first: Duration::from_millis(40), ..long() }).await;
    let outage = rig.upstream.fault(Rule::any().unavailable(503));
    while rig.get("org/app/manifests/1").await.class() != "upstream_paused" {}
    rig.upstream.clear(outage);
    rig.upstream.clear_log();
    loop {
        let heard = rig.get("org/app/manifests/1").await;
        if heard.outcome() == "hit" {
            break;
        }
        assert_eq!((heard.status, heard.class()), (200, "upstream_paused"));
        assert_eq!(rig.upstream.log().iter().count(), 0, "a probe of a healthy upstream closes the breaker");
        sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(rig.upstream.log().iter().count(), 1);
    assert_eq!(rig.get("org/app/manifests/1").await.outcome(), "hit");
}

#[tokio::test]
async fn a_layer_that_breaks_off_waits_for_an_endpoint_that_is_left_alone() {
    // The pause is at least a second, and the fill would ask again after at most three quarters of one.
    let pauses = Pauses { failures: 1, first: Duration::from_secs(2), longest: Duration::from_secs(2) };
    let rig = rig(pauses, Limits::default().blob_connections).await;
    let image = Image::with_layers(1, &[6 << 20]);
    rig.upstream.add_image("org/app", "1", &image);
    let layer = image.largest_layer().clone();
    let gate = Gate::new();
    rig.upstream.fault(Rule::blob().stall_at(At::Half, &gate).once());
    let path = format!("org/app/blobs/{}", layer.digest);
    let pulling = rig.get(&path);
    let trouble = async {
        gate.arrived(1).await;
        rig.upstream.fault(Rule::any().unavailable(503).once());
        rig.upstream.drop_connections().await;
    };
    let (heard, ()) = tokio::join!(pulling, trouble);
    assert!(heard.status == 200 && heard.clean && heard.body == layer.bytes, "{}", heard.body.len());
    assert_eq!(rig.upstream.log().blob_gets(&layer.digest), 3, "the first, the one that failed, the probe");
}

#[tokio::test]
async fn blobs_wait_their_turn_and_manifests_pass_them() {
    let rig = rig(Pauses::default(), 2).await;
    let image = Image::with_layers(1, &[100_000, 100_001, 100_002, 100_003, 100_004]);
    rig.upstream.add_image("org/app", "1", &image);
    let gate = Gate::new();
    rig.upstream.fault(Rule::blob().hold(&gate));
    let paths: Vec<_> = image.layers.iter().map(|layer| format!("org/app/blobs/{}", layer.digest)).collect();
    let pulling = join_all(paths.iter().map(|path| rig.get(path)));
    let manifest = async {
        gate.arrived(2).await;
        assert_eq!(rig.get("org/app/manifests/1").await.status, 200);
        assert_eq!(rig.upstream.log().count(|it| it.kind == Kind::Blob), 2);
        gate.open();
    };
    let (layers, ()) = tokio::join!(pulling, manifest);
    assert!(layers.iter().all(|heard| heard.status == 200 && heard.is_whole()));
}

fn long() -> Pauses {
    Pauses { longest: Duration::from_secs(600), ..Pauses::default() }
}

async fn rig(pauses: Pauses, blob_connections: usize) -> Rig {
    let limits = Limits { pauses, blob_connections, ..Plan::default().limits };
    Rig::with(Plan { limits, ..Plan::default() }).await
}

/// A proxy with an image that was pulled once. Each request for its tag asks the upstream.
async fn pulled(pauses: Pauses) -> (Rig, Image) {
    let rig = rig(pauses, Limits::default().blob_connections).await;
    let image = Image::with_layers(1, &[100_000, 5 << 20]);
    rig.upstream.add_image("org/app", "1", &image);
    assert_eq!(rig.get("org/app/manifests/1").await.status, 200);
    for blob in image.blobs() {
        assert_eq!(rig.get(&format!("org/app/blobs/{}", blob.digest)).await.status, 200);
    }
    (rig, image)
}
