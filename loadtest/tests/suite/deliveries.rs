//! Answers with faults of delivery: cut, reset, stalled, dripped, never begun.

use std::time::{Duration, Instant};

use loadtest::registry::{At, Gate, Rule};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::client::{Ending, exchange, get, head, layer_path, request, with_bad_layer, with_image, within};

#[tokio::test]
async fn a_body_cut_short_ends_in_a_fin() {
    for (at, kept) in [(At::Byte(0), 0), (At::Byte(1), 1), (At::Half, 20_000), (At::LastByte, 40_000)] {
        let (registry, image, path) = with_bad_layer(Rule::blob().once().end_at(at)).await;
        let (reply, layer) = (get(&registry, &path).await, &image.layers[0].bytes);
        assert_eq!(reply.ending, Ending::Fin, "{at:?}");
        assert_eq!(reply.header("content-length"), Some(layer.len().to_string().as_str()));
        assert_eq!(reply.body, layer[..reply.body.len()]);
        assert!(reply.body.len() >= kept && reply.body.len() < layer.len(), "{at:?}: {}", reply.body.len());
        assert_eq!(registry.log().bytes_sent(&image.layers[0].digest), reply.body.len() as u64);
        assert_eq!(get(&registry, &path).await.body, &layer[..], "only once");
    }
}

#[tokio::test]
async fn a_body_reset_ends_in_an_rst() {
    let (registry, image, path) = with_bad_layer(Rule::blob().reset_at(At::Byte(1000))).await;
    let reply = get(&registry, &path).await;
    assert_eq!(reply.ending, Ending::Reset);
    assert!(reply.body.len() <= 1000);
    assert_eq!(reply.body, image.layers[0].bytes[..reply.body.len()]);
}

#[tokio::test]
async fn connections_end_before_the_headers() {
    let (registry, _) = with_image().await;
    for (rule, reset) in [(Rule::ping().reset(), true), (Rule::ping().close(), false)] {
        registry.fault(rule);
        let mut stream = TcpStream::connect(registry.addr()).await.unwrap();
        let ended = exchange(&mut stream, "GET", "/v2/", &[]).await;
        assert_eq!(ended.is_err(), reset, "{ended:?}");
        assert!(!matches!(ended, Ok(Some(_))), "no answer");
    }
}

#[tokio::test]
async fn a_request_is_held_until_the_gate_opens() {
    let gate = Gate::new();
    let (registry, image, path) = with_bad_layer(Rule::blob().hold(&gate)).await;
    let pull = async { get(&registry, &path).await };
    let story = async {
        gate.arrived(1).await;
        assert_eq!(registry.log().iter().next().unwrap().status, None, "nothing answered yet");
        assert_eq!(registry.log().in_flight(), 1);
        gate.open();
    };
    let (reply, ()) = within(async { tokio::join!(pull, story) }).await;
    assert_eq!(reply.body, image.layers[0].bytes);
}

#[tokio::test]
async fn a_body_stalls_until_the_gate_opens() {
    let gate = Gate::new();
    let (registry, image, path) = with_bad_layer(Rule::blob().stall_at(At::Byte(500), &gate)).await;
    let mut stream = TcpStream::connect(registry.addr()).await.unwrap();
    let pull = exchange(&mut stream, "GET", &path, &[]);
    let story = async {
        gate.arrived(1).await;
        assert_eq!(registry.log().bytes_sent(&image.layers[0].digest), 500);
        gate.open();
    };
    let (reply, ()) = within(async { tokio::join!(pull, story) }).await;
    assert_eq!(reply.unwrap().unwrap().body, image.layers[0].bytes);
    let again = exchange(&mut stream, "GET", "/v2/", &[]).await.unwrap().unwrap();
    assert_eq!(again.status, 200, "the connection is kept, hyper goes on with it");
}

#[tokio::test]
async fn endless_answers_end_when_the_client_closes() {
    let (registry, _, path) = with_bad_layer(Rule::blob().once().stall_forever_at(At::Half)).await;
    registry.fault(Rule::ping().never_answer());
    for path in [path.as_str(), "/v2/"] {
        let mut stream = TcpStream::connect(registry.addr()).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()).await.unwrap();
        within(registry.wait_for(|log| log.in_flight() == 1)).await;
        drop(stream);
        within(registry.wait_for(|log| log.in_flight() == 0 && log.open_connections() == 0)).await;
    }
}

#[tokio::test]
async fn wrong_and_missing_lengths() {
    let (registry, image) = with_image().await;
    let (path, layer) = (layer_path(&image), &image.layers[0].bytes);

    registry.fault(Rule::blob().once().claim_length(100_000));
    let long = get(&registry, &path).await;
    assert_eq!((long.ending, long.body.len()), (Ending::Fin, layer.len()), "the rest never comes");
    registry.fault(Rule::blob().once().claim_length(0));
    assert_eq!(get(&registry, &path).await.header("content-length"), Some("0"));
    registry.fault(Rule::blob().times(2).until_close());
    let untold = get(&registry, &path).await;
    assert_eq!(
        (untold.ending, &untold.body, untold.header("content-length")),
        (Ending::Fin, &layer.to_vec(), None)
    );
    assert_eq!(head(&registry, &path).await.header("content-length"), None);
    registry.fault(Rule::blob().once().chunked());
    let chunked = get(&registry, &path).await;
    assert_eq!(
        (chunked.header("transfer-encoding"), chunked.header("content-length")),
        (Some("chunked"), None)
    );
    assert!(chunked.ending == Ending::Whole && chunked.body.len() > layer.len());
}

#[tokio::test]
async fn garbage_in_place_of_http() {
    let (registry, _) = with_image().await;
    registry.fault(Rule::any().garbage(&b"\x00\x01SSH-2.0-what\r\n"[..]));
    let mut stream = TcpStream::connect(registry.addr()).await.unwrap();
    stream.write_all(b"GET /v2/ HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    let mut all = Vec::new();
    within(stream.read_to_end(&mut all)).await.unwrap();
    assert_eq!(all, b"\x00\x01SSH-2.0-what\r\n");
}

#[tokio::test]
async fn delayed_and_slow_answers_take_the_configured_time() {
    let delay = Duration::from_millis(120);
    let (registry, image) = with_image().await;
    let path = layer_path(&image);
    let layer = image.layers[0].bytes.len() as u64;
    for rule in [
        Rule::blob().once().delay(delay),
        Rule::blob().once().drip(20_000, delay / 2),
        Rule::blob().once().rate(layer * 4),
    ] {
        registry.fault(rule);
        let begin = Instant::now();
        assert_eq!(get(&registry, &path).await.body, image.layers[0].bytes);
        assert!(begin.elapsed() >= delay);
    }
}

#[tokio::test]
async fn a_connection_can_be_throttled() {
    let (registry, image) = with_image().await;
    let path = layer_path(&image);
    registry.limit_rate(Some(image.layers[0].bytes.len() as u64 * 5));
    let begin = Instant::now();
    assert_eq!(get(&registry, &path).await.body, image.layers[0].bytes);
    assert!(begin.elapsed() >= Duration::from_millis(150), "a fifth of a second of bytes");
    registry.limit_rate(None);
    let ranged = request(registry.addr(), "GET", &path, &[("range", "bytes=0-0")]).await;
    assert_eq!(ranged.body.len(), 1);
}
