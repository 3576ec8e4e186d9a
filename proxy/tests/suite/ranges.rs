//! Ranges of layers that are not fetched yet, ranges of layers that are being fetched, and layers that are fetched in
//! ranges.

use std::time::Duration;

use loadtest::image::Image;
use loadtest::registry::{At, Exchange, Gate, Greeting, Kind, Rule};
use registry::upstream::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{Heard, Plan, REGISTRY, Rig};

const MIB: usize = 1 << 20;

/// A proxy, an image whose one layer has `size` bytes, and the path of the layer.
async fn rig_with(plan: Plan, size: usize) -> (Rig, Image, String) {
    let rig = Rig::with(plan).await;
    let image = Image::with_layers(1, &[size]);
    rig.upstream.add_image("org/app", "1", &image);
    let path = format!("org/app/blobs/{}", image.layers[0].digest);
    (rig, image, path)
}

async fn part(rig: &Rig, path: &str, range: &str) -> Heard {
    rig.ask("GET", path, &format!("Range: bytes={range}\r\n")).await
}

/// A setup in which an upstream transfer may pause for long before it is cut off.
fn patient() -> Plan {
    Plan { limits: Limits { progress: Duration::from_secs(60), ..Limits::default() }, ..Plan::default() }
}

fn assert_part(heard: &Heard, image: &Image, start: usize, end: usize) {
    let bytes = &image.layers[0].bytes;
    let span = format!("bytes {start}-{}/{}", end - 1, bytes.len());
    assert_eq!((heard.status, heard.header("content-range")), (206, Some(&*span)));
    assert!(heard.is_whole() && heard.body == bytes[start..end], "{span}");
}

/// Asserts that the upstream sent each byte of the layer once.
fn assert_sent_once(rig: &Rig, image: &Image) {
    let layer = &image.layers[0];
    assert_eq!(rig.upstream.log().bytes_sent(&layer.digest), layer.bytes.len() as u64);
}

fn is_layer(exchange: &Exchange) -> bool {
    exchange.kind == Kind::Blob && exchange.method == http::Method::GET
}

#[tokio::test]
async fn a_range_far_ahead_is_served_while_the_fill_is_held() {
    let (rig, image, path) = rig_with(patient(), 24 * MIB).await;
    let gate = Gate::new();
    rig.upstream.fault(Rule::blob().get().without_header("range").stall_at(At::Byte(MIB as u64), &gate));
    let parts = async {
        gate.arrived(1).await;
        tokio::join!(part(&rig, &path, "20000000-20000099"), part(&rig, &path, "-51"))
    };
    let (whole, (middle, last)) = tokio::join!(rig.get(&path), parts);
    assert_part(&middle, &image, 20_000_000, 20_000_100);
    let total = image.layers[0].bytes.len();
    assert_part(&last, &image, total - 51, total);
    // The gate never opened, so the fill gave up the request that brought no bytes.
    assert!(whole.status == 200 && whole.body == image.layers[0].bytes);
    assert_sent_once(&rig, &image);
}

#[tokio::test]
async fn a_lazy_loader_reads_here_and_there_and_every_byte_is_fetched_once() {
    let (rig, image, path) = rig_with(patient(), 24 * MIB).await;
    let total = image.layers[0].bytes.len();
    assert_eq!(rig.head(&path).await.header("content-length"), Some(&*total.to_string()));
    assert_part(&part(&rig, &path, "0-1").await, &image, 0, 2);
    assert_part(&part(&rig, &path, "-51").await, &image, total - 51, total);
    for start in [17 * MIB + 5, 9 * MIB - 3, 23 * MIB, 12 * MIB, 17 * MIB + 900] {
        let end = start + 70_000;
        assert_part(&part(&rig, &path, &format!("{start}-{}", end - 1)).await, &image, start, end);
    }
    assert!(rig.get(&path).await.body == image.layers[0].bytes);
    assert_sent_once(&rig, &image);
}

#[tokio::test]
async fn containerds_parallel_chunks_of_an_absent_layer_cost_one_transfer() {
    let (rig, image, path) = rig_with(patient(), 20 * MIB).await;
    let chunks = (0..20).map(|chunk| first_buffer(&rig, &path, chunk * MIB + 1));
    let chunks = futures_util::future::join_all(chunks).await;
    for (chunk, bytes) in chunks.iter().enumerate() {
        let start = chunk * MIB + 1;
        assert!(image.layers[0].bytes[start..].starts_with(bytes) && !bytes.is_empty(), "{chunk}");
    }
    assert!(rig.get(&path).await.body == image.layers[0].bytes);
    assert_sent_once(&rig, &image);
}

/// Reads the first 1 MiB of an open-ended range. Then the client leaves.
async fn first_buffer(rig: &Rig, path: &str, start: usize) -> Vec<u8> {
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let request =
        format!("GET /v2/{path}?ns={REGISTRY} HTTP/1.1\r\nHost: mirror\r\nRange: bytes={start}-\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 206 "), "{}", String::from_utf8_lossy(&head));
    let mut bytes = Vec::new();
    stream.take(MIB as u64).read_to_end(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test]
async fn a_layer_comes_by_one_connection_unless_told_otherwise() {
    let (rig, image, path) = rig_with(Plan::default(), 40 * MIB).await;
    assert!(rig.get(&path).await.body == image.layers[0].bytes);
    let log = rig.upstream.log();
    assert_eq!(log.count(is_layer), 1);
    assert_eq!(log.iter().find(|it| is_layer(it)).unwrap().header("range"), None);
}

#[tokio::test]
async fn a_fat_layer_comes_by_as_many_connections_as_allowed() {
    let (rig, image, path) = rig_with(Plan { parallel: 4, ..patient() }, 40 * MIB).await;
    let gate = Gate::new();
    rig.upstream.fault(Rule::blob().get().after(1).hold(&gate));
    let release = async {
        gate.arrived(3).await;
        gate.open();
    };
    let (whole, ()) = tokio::join!(rig.get(&path), release);
    assert!(whole.status == 200 && whole.body == image.layers[0].bytes);
    assert_sent_once(&rig, &image);
    let log = rig.upstream.log();
    let cells = image.layers[0].bytes.len().div_ceil(8 * MIB);
    assert_eq!(log.count(is_layer), cells, "one request for each cell of 8 MiB");
    assert!(log.iter().filter(|it| is_layer(it)).all(|it| it.status == Some(206)));
}

#[tokio::test]
async fn an_upstream_without_ranges_is_asked_as_ever() {
    let (rig, image, path) = rig_with(Plan { parallel: 4, ..Plan::default() }, 40 * MIB).await;
    rig.upstream.fault(Rule::blob().ignore_range());
    let (whole, ahead) = tokio::join!(rig.get(&path), part(&rig, &path, "30000000-30000099"));
    assert!(whole.body == image.layers[0].bytes);
    assert_part(&ahead, &image, 30_000_000, 30_000_100);
    assert_sent_once(&rig, &image);
}

#[tokio::test]
async fn a_broken_segment_is_fetched_in_its_turn() {
    let (rig, image, path) = rig_with(Plan { parallel: 4, ..Plan::default() }, 40 * MIB).await;
    rig.upstream.fault(Rule::blob().get().after(1).times(6).end_at(At::Half));
    let whole = rig.get(&path).await;
    assert!(whole.is_whole() && whole.body == image.layers[0].bytes);
    assert_sent_once(&rig, &image);
}

#[tokio::test]
async fn a_wrong_byte_in_a_segment_never_completes_a_body() {
    let (rig, image, path) = rig_with(Plan { parallel: 4, ..Plan::default() }, 40 * MIB).await;
    let fault = rig.upstream.fault(Rule::blob().get().after(2).once().flip(At::Half));
    let cut = rig.get(&path).await;
    assert!(cut.status == 503 || cut.clean && !cut.is_whole(), "{} {}", cut.status, cut.body.len());
    rig.upstream.clear(fault);
    assert!(rig.get(&path).await.body == image.layers[0].bytes);
}

#[tokio::test]
async fn an_absent_layer_answers_every_range_by_the_same_rules() {
    for (range, status) in [
        ("0-", 200),
        ("0-99", 206),
        ("5000000-", 206),
        ("-7", 206),
        ("99999999-", 416),
        ("9-3", 416),
        ("0-1,5-6", 400),
    ] {
        let (rig, image, path) = rig_with(Plan::default(), 6 * MIB).await;
        assert_eq!(part(&rig, &path, range).await.status, status, "{range}");
        assert!(rig.get(&path).await.body == image.layers[0].bytes, "{range}");
    }
    let (rig, image, path) = rig_with(Plan::default(), 6 * MIB).await;
    rig.upstream.fault(Rule::blob().get().unavailable(500));
    assert_eq!(part(&rig, &path, "5000000-5000099").await.status, 503);
    rig.upstream.clear_faults();
    assert!(rig.get(&path).await.body == image.layers[0].bytes);
}

#[tokio::test]
async fn a_signed_url_that_expired_meanwhile_is_asked_for_anew() {
    let (rig, image, path) = rig_with(Plan::default(), 6 * MIB).await;
    rig.upstream.start_cdn("127.0.0.2", Greeting::Http, Duration::from_secs(600)).await.unwrap();
    let gate = Gate::new();
    rig.upstream.fault(Rule::cdn().once().stall_at(At::Half, &gate).end_at(At::Half));
    let expire = async {
        gate.arrived(1).await;
        rig.upstream.expire_signed_urls();
        gate.open();
    };
    let (whole, ()) = tokio::join!(rig.get(&path), expire);
    assert!(whole.is_whole() && whole.body == image.layers[0].bytes);
    let log = rig.upstream.log();
    let conditional =
        |kind| log.iter().filter(|it| it.kind == kind && it.header("if-range").is_some()).count();
    assert_eq!((log.count(is_layer), conditional(Kind::Blob), conditional(Kind::Cdn)), (2, 0, 1));
    assert_sent_once(&rig, &image);
}

#[tokio::test]
async fn a_blob_host_that_wants_a_pause_within_a_transfer_is_not_asked_again() {
    let (rig, _image, path) = rig_with(Plan::default(), 6 * MIB).await;
    rig.upstream.start_cdn("127.0.0.2", Greeting::Http, Duration::from_secs(600)).await.unwrap();
    rig.upstream.fault(Rule::cdn().once().end_at(At::Half));
    rig.upstream.fault(Rule::cdn().after(1).status(429).header("retry-after", "30"));
    assert!(!rig.get(&path).await.is_whole(), "the transfer breaks off");
    let asked = |rig: &Rig| rig.upstream.log().count(|it| it.kind == Kind::Cdn);
    assert_eq!(asked(&rig), 2, "the half, and one request for the rest");

    rig.get(&path).await;
    assert_eq!(asked(&rig), 2, "the pause is kept");
}

#[tokio::test]
async fn a_cold_pull_whose_blob_host_wants_a_pause_is_refused_with_it() {
    let (rig, _image, path) = rig_with(Plan::default(), 6 * MIB).await;
    rig.upstream.start_cdn("127.0.0.2", Greeting::Http, Duration::from_secs(600)).await.unwrap();
    rig.upstream.fault(Rule::cdn().status(429).header("retry-after", "30"));
    for _ in 0..2 {
        let refused = rig.get(&path).await;
        assert_eq!((refused.status, refused.class()), (503, "blob_host"));
    }
    assert_eq!(rig.upstream.log().count(|it| it.kind == Kind::Cdn), 1);
}
