//! Requests of clients add no series, whatever they contain; and what the cache saved is counted for each registry.

use std::time::Duration;

use futures_util::future::join_all;
use loadtest::image::Image;
use loadtest::registry::Registry;
use support::{Pullgate, Scratch, http};
use tokio::time::timeout;

use crate::setup::{BIN, REGISTRY, config, pull_by_hand, upstream};

/// Requests with random names, methods, node headers and user agents.
const REQUESTS: usize = 100_000;
/// Requests that one connection sends at once.
const BATCH: usize = 100;

#[tokio::test]
async fn a_hundred_thousand_random_requests_add_no_series() {
    let (scratch, registry) = (Scratch::new(), Registry::start().await.unwrap());
    let text = config(&scratch) + "client_rate = 1000000\n" + &upstream("test", REGISTRY, &registry.url());
    let pullgate = Pullgate::start(BIN, &scratch, &text).await;
    // Each shape is answered once, so that the series of the closed lists exist.
    send(&pullgate, 10 * BATCH).await;
    // Pulls of absent images end seconds after their last request; their series begin with the first.
    let pulls = |labels: &support::Metrics| labels.sum("pullgate_pulls_total", &[]);
    pullgate.metrics_when("a pull to end", |metrics| pulls(metrics) >= 1.0).await;
    let before = lines(&pullgate).await;
    timeout(Duration::from_secs(100), send(&pullgate, REQUESTS))
        .await
        .expect("the answers within their time");
    let answered = pullgate.metrics().await.sum("pullgate_proxy_requests_total", &[]);
    assert!(answered >= REQUESTS as f64, "{answered}");
    let after = lines(&pullgate).await;
    let new: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    assert_eq!(after.len(), before.len(), "new series: {new:#?}");
}

/// The names and labels of all series.
async fn lines(pullgate: &Pullgate) -> Vec<String> {
    let metrics = pullgate.metrics().await;
    metrics.series().iter().map(|series| format!("{} {:?}", series.name, series.labels)).collect()
}

/// Sends requests over four connections at a time; a refusal may end its connection, and the next goes on from there.
async fn send(pullgate: &Pullgate, number: usize) {
    let connections = (0..4).map(async |connection: usize| {
        for batch in (connection..number / BATCH).step_by(4) {
            let mut done = 0;
            while done < BATCH {
                let requests: String =
                    (done..BATCH).map(|at| request(batch * BATCH + at, at + 1 == BATCH)).collect();
                let (answers, _) = http::raw_bytes(pullgate.proxy(), requests.as_bytes()).await;
                let answered = String::from_utf8_lossy(&answers).matches("HTTP/1.1 ").count();
                assert!(answered > 0, "no answer to {requests}");
                done += answered;
            }
        }
    });
    join_all(connections).await;
}

/// A request with random texts. One in a hundred asks the registry, which does not have the image.
fn request(number: usize, last: bool) -> String {
    let (one, other) = (word(), word());
    let line = match number % 100 {
        0 => format!("GET /v2/{one}/manifests/{other}?ns={REGISTRY}"),
        1 => format!("GET /v2/{one}/blobs/sha256:{other}?ns={REGISTRY}"),
        2 => format!("GET /v2/UPPER{one}/manifests/1?ns={REGISTRY}"),
        3 => format!("HEAD /v2/{one}/referrers/{other}?ns={REGISTRY}"),
        at => match at % 6 {
            0 => format!("GET /v2/{one}/manifests/1?ns={other}.test"),
            1 => format!("X{} /v2/{one}/manifests/1?ns={REGISTRY}", other.to_uppercase()),
            2 => format!("DELETE /v2/{one}/blobs/{other}?ns={REGISTRY}"),
            3 => format!("GET /{one}/{other}"),
            4 => format!("GET /v2/{one}.{other}/{one}/manifests/1"),
            _ => format!("GET /v2/?{one}={other}"),
        },
    };
    let close = if last { "Connection: close\r\n" } else { "" };
    format!(
        "{line} HTTP/1.1\r\nHost: {one}.test\r\nUser-Agent: {other}/{one}\r\nX-Pullgate-Node: {one}\r\n{close}\r\n"
    )
}

fn word() -> String {
    (0..12).map(|_| fastrand::lowercase()).collect()
}

#[tokio::test]
async fn savings_are_counted_also_if_records_are_off() {
    let (scratch, registry) = (Scratch::new(), Registry::start().await.unwrap());
    let image = Image::with_layers(77, &[1_500_000, 500]);
    registry.add_image("library/app", "1", &image);
    let text =
        config(&scratch) + &upstream("test", REGISTRY, &registry.url()) + "[records]\nenabled = false\n";
    let pullgate = Pullgate::start(BIN, &scratch, &text).await;
    let of = [("registry", REGISTRY)];
    let begin = pullgate.metrics().await;
    assert_eq!(begin.value("pullgate_saved_bytes_total", &of), 0.0, "the series begin at zero");
    let ended =
        |number: f64| move |metrics: &support::Metrics| metrics.sum("pullgate_pulls_total", &of) >= number;

    pull_by_hand(&pullgate, &image).await;
    let cold = pullgate.metrics_when("the first pull", ended(1.0)).await;
    assert_eq!(cold.value("pullgate_saved_bytes_total", &of), 0.0);
    pull_by_hand(&pullgate, &image).await;
    let warm = pullgate.metrics_when("the second pull", ended(2.0)).await;
    let blobs: usize = image.blobs().map(|blob| blob.bytes.len()).sum();
    let bytes = (image.manifest.bytes.len() + blobs) as f64;
    assert_eq!(warm.value("pullgate_saved_bytes_total", &of), bytes);
    assert_eq!(warm.value("pullgate_saved_requests_total", &of), 1.0 + image.blobs().count() as f64);
    assert_eq!(warm.value("pullgate_saved_counted_pulls_total", &of), 1.0);
    assert_eq!(warm.value("pullgate_pulls_rescued_total", &of), 0.0);
    assert!(!warm.has("pullgate_records_written_total", &[]), "records are off");

    let status = pullgate.status().await;
    let saved = &status["proxy"]["upstreams"][0]["saved"];
    assert_eq!((saved["bytes"].as_f64(), saved["counted_pulls"].as_u64()), (Some(bytes), Some(1)), "{saved}");
    assert!(saved["seconds"].as_f64() > Some(0.0), "{saved}");
}
