//! Stale tags for clients that fetch a whole image from one place: what the refusal says, and `complete = true`.

use loadtest::image::Image;
use loadtest::registry::Rule;

use crate::rig::{Heard, Plan, Rig};

const TAG: &str = "org/app/manifests/1";
/// A client that does not fall back blob by blob.
const SKOPEO: &str = "User-Agent: skopeo/1.9.3\r\n";

async fn stale(rig: &Rig) -> Heard {
    rig.upstream.fault(Rule::manifest().unavailable(503));
    let heard = rig.ask("GET", TAG, SKOPEO).await;
    rig.upstream.clear_faults();
    heard
}

async fn pull(rig: &Rig, digest: &str) {
    assert_eq!(rig.ask("GET", &format!("org/app/blobs/{digest}"), SKOPEO).await.status, 200);
}

#[tokio::test]
async fn the_refusal_of_a_stale_tag_names_what_is_missing_and_the_command_that_fetches_it() {
    let rig = Rig::start().await;
    let image = Image::with_layers(3, &[900, 901, 902, 903]);
    rig.upstream.add_image("org/app", "1", &image);
    assert_eq!(rig.ask("GET", TAG, SKOPEO).await.status, 200);
    let blobs: Vec<&str> = image.blobs().map(|blob| blob.digest.as_str()).collect();
    let short = |digest: &str| digest[.."sha256:".len() + 12].to_owned();

    let (code, message) = stale(&rig).await.oci_error();
    assert_eq!(code, "UNAVAILABLE");
    let expected = format!(
        "a cached copy exists, but 5 of its objects are not cached ({}, {}, {} and 2 more); \
         `pullgate cache warm IMAGE` completes it once the registry answers",
        short(blobs[0]),
        short(blobs[1]),
        short(blobs[2])
    );
    assert!(message.contains(&expected), "{message}\n{expected}");
    assert!(message.contains("registry_5xx at manifest_head"), "the upstream's failure: {message}");

    for digest in &blobs[..4] {
        pull(&rig, digest).await;
    }
    let (_, message) = stale(&rig).await.oci_error();
    let expected = format!("1 of its objects is not cached ({})", short(blobs[4]));
    assert!(message.contains(&expected), "{message}");
    pull(&rig, blobs[4]).await;
    let complete = stale(&rig).await;
    assert_eq!((complete.status, complete.outcome()), (200, "stale"));
}

#[tokio::test]
async fn an_upstream_with_complete_has_the_missing_objects_fetched_in_the_background() {
    let rig = Rig::with(Plan { complete: true, ..Plan::default() }).await;
    let image = Image::with_layers(4, &[900, 901]);
    rig.upstream.add_image("org/app", "1", &image);
    // containerd asks for the tag by HEAD first: that alone stores nothing and completes nothing.
    assert_eq!(rig.head(TAG).await.outcome(), "miss");
    assert_eq!(rig.get(&format!("org/app/manifests/{}", image.digest())).await.status, 200);
    let digests: Vec<String> = image.blobs().map(|blob| blob.digest.clone()).collect();
    rig.upstream.wait_for(|log| digests.iter().all(|digest| log.blob_gets(digest) == 1)).await;
    let heard = loop {
        let heard = stale(&rig).await;
        if heard.status == 200 {
            break heard;
        }
        // The last bytes were sent, and are being stored.
        tokio::task::yield_now().await;
    };
    assert_eq!(heard.outcome(), "stale");
    assert_eq!(rig.upstream.log().manifest_gets(), 1, "the manifest is not fetched again");
}
