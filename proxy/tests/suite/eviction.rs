//! A cache that is smaller than the requested content, with a real upstream. All content is served, files under read
//! stay, and content that does not fit passes through.

use loadtest::image::Image;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{Plan, REGISTRY, Rig};

async fn small(max_size: u64) -> Rig {
    Rig::with(Plan { max_size, ..Plan::default() }).await
}

fn cache(rig: &Rig) -> Value {
    serde_json::to_value(rig.proxy.status()).unwrap()["cache"].clone()
}

#[tokio::test]
async fn under_load_every_body_is_right_and_the_budget_holds() {
    let rig = small(2 << 20).await;
    let images: Vec<_> = (0..12).map(|seed| Image::with_layers(seed, &[300_000, 150_000])).collect();
    for (at, image) in images.iter().enumerate() {
        rig.upstream.add_image("org/app", &at.to_string(), image);
    }
    for round in 0..3 {
        let pulls = images.iter().enumerate().map(|(at, image)| {
            let rig = &rig;
            async move {
                let manifest = rig.get(&format!("org/app/manifests/{at}")).await;
                assert!(manifest.body == image.manifest.bytes, "round {round}, image {at}");
                for blob in image.blobs() {
                    let heard = rig.get(&format!("org/app/blobs/{}", blob.digest)).await;
                    assert!(heard.body == blob.bytes && heard.is_whole(), "round {round}, image {at}");
                }
            }
        });
        futures_util::future::join_all(pulls).await;
        let cache = cache(&rig);
        assert!(cache["bytes"].as_u64().unwrap() <= 2 << 20, "{cache}");
    }
    let fetched: usize =
        images.iter().flat_map(Image::blobs).map(|blob| rig.upstream.log().blob_gets(&blob.digest)).sum();
    assert!(fetched > images.len() * 3, "something had to be fetched again");
    rig.proxy.store().flush().await;
    let held = cache(&rig);
    assert!(held["bytes"].as_u64().unwrap() > 1 << 20, "it is used, too: {held}");
}

#[tokio::test]
async fn what_is_being_served_is_not_evicted() {
    let rig = small(24 << 20).await;
    let big = Image::with_layers(1, &[20 << 20]);
    rig.upstream.add_image("org/app", "1", &big);
    let layer = big.blobs().max_by_key(|blob| blob.bytes.len()).unwrap();
    let path = format!("org/app/blobs/{}", layer.digest);
    assert!(rig.get(&path).await.is_whole());

    // A reader that takes the beginning of its answer and nothing more. Socket buffers do not hold 20 MiB.
    let mut slow = TcpStream::connect(rig.address).await.unwrap();
    let asked = format!("GET /v2/{path}?ns={REGISTRY} HTTP/1.1\r\nHost: mirror\r\nConnection: close\r\n\r\n");
    slow.write_all(asked.as_bytes()).await.unwrap();
    let mut begun = [0; 16];
    slow.read_exact(&mut begun).await.unwrap();
    for seed in 10..20 {
        let other = Image::with_layers(seed, &[3_000_000]);
        rig.upstream.add_image("org/app", &seed.to_string(), &other);
        for blob in other.blobs() {
            assert!(rig.get(&format!("org/app/blobs/{}", blob.digest)).await.body == blob.bytes);
        }
    }
    assert_eq!(rig.get(&path).await.outcome(), "hit");
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(&layer.bytes));
    assert_eq!(rig.upstream.log().blob_gets(&layer.digest), 1);
}

#[tokio::test]
async fn what_is_larger_than_the_cache_passes_through() {
    let rig = small(1 << 20).await;
    let image = Image::with_layers(1, &[6 << 20, 1000]);
    rig.upstream.add_image("org/app", "1", &image);
    for _ in 0..2 {
        for blob in image.blobs() {
            let heard = rig.get(&format!("org/app/blobs/{}", blob.digest)).await;
            assert!(heard.status == 200 && heard.body == blob.bytes && heard.is_whole());
            // A later commit would clear the warning.
            rig.proxy.store().flush().await;
        }
    }
    let cache = cache(&rig);
    assert!(cache["bytes"].as_u64().unwrap() < 1 << 20, "{cache}");
    assert!(cache["warning"].as_str().unwrap().contains("more than the whole cache"), "{cache}");
    let partials = std::fs::read_dir(rig.cache.path().join("cache/v1/partial")).unwrap().count();
    assert_eq!(partials, 0);
}
