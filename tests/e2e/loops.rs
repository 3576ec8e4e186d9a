//! Requests that would loop: a mirror that points at itself, two that point at each other, and one behind a mirror
//! that drops the record of passed mirrors. Each loop ends after a bounded number of requests, and the error names
//! the endpoint to correct.

#![allow(clippy::disallowed_methods, reason = "the mirror in between is a program of the test")]

use support::http::Answer;
use support::{Port, Pullgate, Scratch};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::setup::{BIN, REGISTRY};

#[tokio::test]
async fn a_mirror_that_points_at_itself_sends_no_request() {
    for (listen, host) in [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "localhost"),
        ("127.0.0.1", "0.0.0.0"),
        ("127.0.0.1", "2130706433"),
        ("0.0.0.0", "127.0.0.1"),
        ("0.0.0.0", "127.9.9.9"),
        ("[::]", "127.0.0.1"),
        ("[::]", "[::1]"),
    ] {
        let scratch = Scratch::new();
        let port = Port::lease();
        let pullgate = mirror(&scratch, &format!("{listen}:{}", port.number()), host, &port).await;

        let answer = pull_from(&port).await;

        is_a_loop(&answer, &format!("{listen} {host}"));
        assert!(
            answer.text().contains("correct `endpoints` of the upstream registry.test"),
            "{}",
            answer.text()
        );
        assert_eq!(asked(&pullgate).await, 1, "{listen} {host}: only the client's own request arrives");
    }
}

#[tokio::test]
async fn two_mirrors_that_point_at_each_other_ask_each_other_once() {
    let scratch = Scratch::new();
    let (one, other) = (Port::lease(), Port::lease());
    let first = mirror(&scratch, &one.address(), "127.0.0.1", &other).await;
    let second = mirror(&scratch, &other.address(), "127.0.0.1", &one).await;

    let answer = pull_from(&one).await;

    is_a_loop(&answer, "A, B, A");
    assert!(answer.text().contains(&other.address()), "the answer must name the endpoint: {}", answer.text());
    assert_eq!((asked(&first).await, asked(&second).await), (2, 1));
}

/// The mirror in between sends requests of its own. They keep the client's `User-Agent`, which contains our id, or no
/// header.
#[tokio::test]
async fn a_mirror_that_drops_the_record_of_mirrors_returns_a_bounded_number_of_requests() {
    for (keeps, class) in [("user-agent", Some("loop")), ("nothing", None)] {
        let scratch = Scratch::new();
        let port = Port::lease();
        let (between, requests) = forgetful(port.address(), keeps).await;
        let endpoint = format!("http://{between}");
        let file = file(&scratch, &port.address(), &endpoint, "header_deadline = \"1s\"\n");
        let pullgate = Pullgate::start(BIN, &scratch, &file).await;

        let answer = pull_from(&port).await;

        assert_eq!(answer.status, 503, "{keeps}: {}", answer.text());
        if class.is_some() {
            is_a_loop(&answer, keeps);
            assert!(answer.text().contains(&between), "the answer must name the endpoint: {}", answer.text());
        }
        let (came, ours) = (requests.load(std::sync::atomic::Ordering::SeqCst), asked(&pullgate).await);
        assert!(
            came <= 2 && ours <= 3,
            "{keeps}: {came} requests were forwarded, {ours} arrived at pullgate"
        );
    }
}

async fn pull_from(port: &Port) -> Answer {
    support::http::get(&port.address(), &format!("/v2/library/app/manifests/1?ns={REGISTRY}")).send().await
}

fn is_a_loop(answer: &Answer, story: &str) {
    assert_eq!(answer.status, 503, "{story}: {}", answer.text());
    assert_eq!(answer.header("x-pullgate-class"), Some("loop"), "{story}: {}", answer.text());
    assert_eq!(answer.header("retry-after"), None, "{story}");
}

/// A mirror that listens at `listen` and has `host` at `port` as its endpoint.
async fn mirror(scratch: &Scratch, listen: &str, host: &str, port: &Port) -> Pullgate {
    let endpoint = format!("http://{host}:{}", port.number());
    Pullgate::start(BIN, scratch, &file(scratch, listen, &endpoint, "")).await
}

fn file(scratch: &Scratch, listen: &str, endpoint: &str, more: &str) -> String {
    format!(
        "builtin_upstreams = false\nadmin.listen = \"127.0.0.1:0\"\nprober.reach = false\n\
         [proxy]\nlisten = {listen:?}\ncache.dir = {:?}\n{more}\
         [upstreams.test]\nregistry = {REGISTRY:?}\nendpoints = [{{ url = {endpoint:?}, send_ns = true }}]\n\
         addresses = [\"127.0.0.0/8\", \"::1/128\"]\n",
        scratch.folder("cache"),
    )
}

/// The number of content requests that the mirror received.
async fn asked(pullgate: &Pullgate) -> u64 {
    pullgate.metrics().await.sum("pullgate_proxy_requests_total", &[("kind", "manifest")]) as u64
}

/// A server that forwards each request to `target` as a new request, and counts them.
async fn forgetful(
    target: String,
    keeps: &'static str,
) -> (String, std::sync::Arc<std::sync::atomic::AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let count = std::sync::Arc::<std::sync::atomic::AtomicU64>::default();
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            tokio::spawn(forward(client, target.clone(), keeps));
        }
    });
    (address, count)
}

async fn forward(mut client: TcpStream, target: String, keeps: &str) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let kept = head.lines().filter(|line| line.to_ascii_lowercase().starts_with(&format!("{keeps}: ")));
    let line = head.lines().next().unwrap();
    let request = [line, "Host: mirror", "Connection: close"].into_iter().chain(kept).collect::<Vec<_>>();
    let mut server = TcpStream::connect(target).await.unwrap();
    server.write_all((request.join("\r\n") + "\r\n\r\n").as_bytes()).await.unwrap();
    // Each side may close first.
    let _ = tokio::io::copy(&mut server, &mut client).await;
}
