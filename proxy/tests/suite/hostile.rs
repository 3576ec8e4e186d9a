//! Hostile clients, and clients that leave. They are refused and closed, at no cost to the registry or the disk.

use std::path::Path;
use std::time::Duration;

use loadtest::image::Image;
use loadtest::registry::{At, Gate, Rule};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{Heard, Plan, REGISTRY, Rig};

#[tokio::test]
async fn hostile_requests_are_refused_closed_and_cost_nothing() {
    let rig = Rig::start().await;
    let before = files(rig.cache.path());
    let (long, headers) = ("a".repeat(10_000), "X-Filler: y\r\n".repeat(100));
    for (request, status) in [
        ("GET /v2/org/app/manifests/1?ns=unknown.test HTTP/1.1\r\n".to_owned(), 404),
        ("GET /v2/org/app/manifests/1?ns=http://169.254.169.254/ HTTP/1.1\r\n".to_owned(), 404),
        ("GET /v2/unknown.test/org/app/manifests/1 HTTP/1.1\r\n".to_owned(), 404),
        ("GET /v2/org/app/manifests/1 HTTP/1.1\r\n".to_owned(), 404),
        ("GET /v2/../../etc/passwd HTTP/1.1\r\n".to_owned(), 404),
        (format!("GET /v2/{REGISTRY}/a/../b/manifests/1 HTTP/1.1\r\n"), 400),
        (format!("GET /v2/{REGISTRY}/a%2f..%2fb/manifests/1 HTTP/1.1\r\n"), 400),
        (format!("GET /v2/{REGISTRY}/{long}/manifests/1 HTTP/1.1\r\n"), 400),
        (format!("GET /v2/{REGISTRY}/a/blobs/sha256:baddigeststring HTTP/1.1\r\n"), 400),
        (format!("GET /v2/{REGISTRY}/a/manifests/1 HTTP/1.1\r\nContent-Length: 5\r\n"), 400),
        (format!("GET /v2/{REGISTRY}/a/manifests/1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"), 400),
        (
            format!(
                "GET /v2/{REGISTRY}/a/manifests/1 HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"
            ),
            400,
        ),
        (format!("GET http://{REGISTRY}/v2/ HTTP/1.1\r\n"), 400),
        ("CONNECT 169.254.169.254:80 HTTP/1.1\r\n".to_owned(), 405),
        (format!("PUT /v2/{REGISTRY}/a/manifests/1 HTTP/1.1\r\nContent-Length: 5\r\n"), 405),
        (format!("POST /v2/{REGISTRY}/a/blobs/uploads/ HTTP/1.1\r\nContent-Length: 0\r\n"), 405),
        (format!("DELETE /v2/{REGISTRY}/a/manifests/1 HTTP/1.1\r\n"), 405),
        ("GET /v2/_catalog HTTP/1.1\r\n".to_owned(), 404),
        ("GET / HTTP/1.1\r\n".to_owned(), 404),
    ] {
        // A second request after the first must not be answered, because the connection is closed.
        let second = "GET /v2/ HTTP/1.1\r\nHost: mirror\r\n\r\n";
        let heard = rig.raw(&format!("{request}Host: mirror\r\n\r\n{second}")).await;
        assert_eq!(heard.status, status, "{request:.100}");
        assert!(heard.clean && heard.is_whole(), "{request:.100} {heard:?}");
        let (code, message) = heard.oci_error();
        assert!(!code.is_empty() && message.starts_with("pullgate: "), "{request:.100}");
        assert_eq!(heard.outcome(), "refused", "{request:.100}");
    }
    // hyper itself answers a request with too many headers, without a body. The connection must close.
    let many = rig.raw(&format!("GET /v2/ HTTP/1.1\r\nHost: mirror\r\n{headers}\r\n")).await;
    assert_eq!((many.status, many.clean), (431, true));
    let huge = "y".repeat(40_000);
    let huge = rig.raw(&format!("GET /v2/ HTTP/1.1\r\nHost: mirror\r\nX-Filler: {huge}\r\n\r\n")).await;
    assert_eq!((huge.status, huge.clean), (431, true));
    assert_eq!(rig.upstream.log().connections(), 0);
    assert_eq!(files(rig.cache.path()), before);
}

#[tokio::test]
async fn keep_alive_carries_many_requests() {
    let rig = Rig::start().await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: mirror\r\n\r\n").await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"{}") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn shutdown_lets_a_running_body_finish() {
    let (mut rig, gate, image, mut stream) = half_sent(Duration::from_secs(20)).await;
    rig.stop();
    while TcpStream::connect(rig.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    gate.open();
    let heard = Heard::until_end(&mut stream).await;
    assert!(heard.clean && heard.is_whole() && heard.body == image.layers[0].bytes);
    rig.ended().await;
}

#[tokio::test]
async fn a_body_beyond_the_grace_time_ends_by_fin() {
    let (mut rig, _gate, _, mut stream) = half_sent(Duration::from_millis(100)).await;
    rig.stop();
    let heard = Heard::until_end(&mut stream).await;
    assert!(heard.clean && !heard.is_whole() && heard.status == 200);
    rig.ended().await;
}

/// A client that got the first half of a layer, while the other half waits upstream.
async fn half_sent(drain: Duration) -> (Rig, Gate, Image, TcpStream) {
    let rig = Rig::with(Plan { drain, ..Plan::default() }).await;
    let image = Image::with_layers(1, &[12 << 20]);
    rig.upstream.add_image("org/app", "1", &image);
    let gate = Gate::new();
    rig.upstream.fault(Rule::blob().get().stall_at(At::Half, &gate));
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let request = format!(
        "GET /v2/{REGISTRY}/org/app/blobs/{} HTTP/1.1\r\nHost: mirror\r\n\r\n",
        image.layers[0].digest
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    stream.peek(&mut first).await.unwrap();
    (rig, gate, image, stream)
}

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            found.push(entry.path().display().to_string());
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    found.sort();
    found
}
