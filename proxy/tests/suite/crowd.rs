//! Clients that leave, read slowly or send nothing. They cost the other clients nothing.

use std::num::NonZeroU32;
use std::time::Duration;

use config::Access;
use futures_util::future::join_all;
use http::Method;
use loadtest::image::{Blob, Image};
use loadtest::registry::{At, Gate, Kind, Rule};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::rig::{Heard, Plan, REGISTRY, Rig};

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_does_not_end_the_fill() {
    let (rig, layer) = rig_with_layer(12 << 20).await;
    let gate = Gate::new();
    rig.upstream.fault(Rule::blob().get().stall_at(At::Half, &gate));
    let mut leaving = begin(&rig, &layer).await;
    leaving.read_exact(&mut vec![0; 1 << 20]).await.unwrap();
    drop(leaving);
    gate.open();
    let whole = rig.upstream.wait_for(|log| log.bytes_sent(&layer.digest) == layer.bytes.len() as u64);
    timeout(LONG, whole).await.expect("the fill to go on");

    let heard = rig.get(&path(&layer)).await;
    assert!(heard.is_whole() && heard.body == layer.bytes);
    assert_eq!(rig.upstream.log().blob_gets(&layer.digest), 1);
}

#[tokio::test]
async fn a_client_that_stops_reading_holds_nobody_up_and_gets_it_all_in_the_end() {
    // The layer is larger than what sockets hold for a client that does not read.
    let (rig, layer) = rig_with_layer(40 << 20).await;
    let mut slow = begin(&rig, &layer).await;
    for _ in 0..2 {
        let heard = timeout(LONG, rig.get(&path(&layer))).await.expect("the slow client not to matter");
        assert!(heard.is_whole() && heard.body == layer.bytes);
    }
    let heard = Heard::until_end(&mut slow).await;
    assert!(heard.clean && heard.is_whole() && heard.body == layer.bytes);
    assert_eq!(rig.upstream.log().blob_gets(&layer.digest), 1);
}

#[tokio::test]
async fn a_client_that_stops_reading_leaves_little_in_the_kernel() {
    let (rig, layer) = rig_with_layer(16 << 20).await;
    let slow = begin(&rig, &layer).await;
    for _ in 0..2 {
        let heard = timeout(LONG, rig.get(&path(&layer))).await.expect("the slow client not to matter");
        assert!(heard.is_whole());
    }
    let unsent = unsent(&slow);
    assert!((1..=512 << 10).contains(&unsent), "{unsent} bytes wait for a client that takes nothing");
}

/// The manifest is stored. Whether each repository has it takes a HEAD, and also a GET if the HEAD says too little.
#[tokio::test]
async fn a_request_that_takes_two_questions_has_one_turn() {
    let plan = Plan { access: Access::Shared, client_rate: NonZeroU32::MIN, ..Plan::default() };
    let rig = Rig::with(plan).await;
    rig.upstream.fault(Rule::manifest().head().no_header("content-type"));
    let image = Image::with_layers(50, &[1000]);
    let paths =
        (0..BURST).map(|n| (format!("team/app{n}"), format!("team/app{n}/manifests/{}", image.digest())));
    let (repositories, paths): (Vec<_>, Vec<_>) = paths.unzip();
    repositories.iter().for_each(|repository| rig.upstream.add_image(repository, "1", &image));
    assert_eq!(rig.get(&paths[0]).await.status, 200);

    let others = join_all(paths[1..].iter().map(|path| rig.get(path))).await;
    for (heard, path) in others.iter().zip(&paths[1..]) {
        assert_eq!((heard.status, heard.class()), (200, "none"), "{path}");
    }
    let log = rig.upstream.log();
    assert_eq!((log.manifest_heads(), log.manifest_gets()), (BURST - 1, BURST), "two questions each");
}

/// A pull asks for no blob that the registry lacks. A client that guesses digests waits for turns, as for manifests.
#[tokio::test]
async fn guessed_blobs_take_turns_and_the_layers_of_a_pull_do_not() {
    let plan =
        Plan { client_rate: NonZeroU32::MIN, header_deadline: Duration::from_secs(2), ..Plan::default() };
    let rig = Rig::with(plan).await;
    let image = Image::with_layers(70, &[1000; 100]);
    rig.upstream.add_image("org/app", "1", &image);
    let layers = join_all(image.layers.iter().map(|layer| async { rig.get(&path(layer)).await }));
    for (heard, layer) in layers.await.iter().zip(&image.layers) {
        assert!(heard.is_whole() && heard.body == layer.bytes);
    }

    let guess = |n: u32| format!("org/app/blobs/{}", oci::Digest::sha256(&n.to_be_bytes()));
    assert_eq!(rig.get(&guess(0)).await.status, 404);
    let paths: Vec<_> = (1..=5 * BURST as u32).map(guess).collect();
    let others = join_all(paths.iter().map(|path| rig.get(path))).await;
    assert!(others.iter().all(|heard| matches!(heard.status, 404 | 503)));
    let asked = rig.upstream.log().of(Kind::Blob, &Method::GET) - 101;
    // The burst, and the requests that a second or two add to it.
    assert!((BURST..4 * BURST).contains(&asked), "{asked} of {}", paths.len());
    assert!(rig.get(&path(&image.layers[0])).await.is_whole(), "what is here costs no turn");
}

#[tokio::test]
async fn a_blob_that_the_registry_lacks_is_asked_for_once_in_a_while() {
    let rig = Rig::with(Plan { absent_max_age: Duration::from_secs(600), ..Plan::default() }).await;
    let blob = Image::with_layers(71, &[1000]).layers[0].clone();
    rig.upstream.add_image("org/other", "1", &Image::with_layers(72, &[1000]));
    for _ in 0..5 {
        assert_eq!(rig.get(&path(&blob)).await.status, 404);
    }
    assert_eq!(rig.upstream.log().blob_gets(&blob.digest), 1);
}

#[tokio::test]
async fn two_hundred_silent_connections_do_not_keep_a_client_from_being_served() {
    let rig = Rig::with(Plan { max_connections: 300, ..Plan::default() }).await;
    let image = Image::with_layers(1, &[300_000]);
    rig.upstream.add_image("org/app", "1", &image);
    let mut silent = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        if number % 2 == 0 {
            stream.write_all(b"GET /v2/ HTTP/1.1\r\nHo").await.unwrap();
        }
        silent.push(stream);
    }
    let heard = timeout(LONG, rig.get(&path(&image.layers[0]))).await.expect("an answer");
    assert!(heard.is_whole() && heard.body == image.layers[0].bytes);
    for stream in silent.iter_mut().step_by(2) {
        stream.write_all(b"st: mirror\r\nConnection: close\r\n\r\n").await.unwrap();
        assert_eq!(Heard::until_end(stream).await.status, 200, "who was slow to ask is answered");
    }
}

async fn rig_with_layer(size: usize) -> (Rig, Blob) {
    let rig = Rig::start().await;
    let image = Image::builder(1).plain_layer_of(size).finish();
    rig.upstream.add_image("org/app", "1", &image);
    (rig, image.layers[0].clone())
}

fn path(layer: &Blob) -> String {
    format!("org/app/blobs/{}", layer.digest)
}

/// Asks for the layer and waits for the first bytes of the answer, but does not take them.
async fn begin(rig: &Rig, layer: &Blob) -> TcpStream {
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let path = path(layer);
    let request =
        format!("GET /v2/{path}?ns={REGISTRY} HTTP/1.1\r\nHost: mirror\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.peek(&mut [0; 12]).await.unwrap();
    stream
}

/// The bytes that the kernel holds on the server's side of this connection: the column `tx_queue` of `proc_net_tcp`.
fn unsent(client: &TcpStream) -> u64 {
    let port = |address: &str| u16::from_str_radix(address.rsplit_once(':').unwrap().1, 16).unwrap();
    let (server, client) = (client.peer_addr().unwrap().port(), client.local_addr().unwrap().port());
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let mut connections = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let connection = connections.find(|fields| (port(fields[1]), port(fields[2])) == (server, client));
    let queues = connection.expect("the server's side of the connection")[4];
    u64::from_str_radix(queues.split_once(':').unwrap().0, 16).unwrap()
}

const LONG: Duration = Duration::from_secs(60);
/// The number of requests that a client may send at once if its rate is one a second.
const BURST: usize = 10;
