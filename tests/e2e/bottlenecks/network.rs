//! Slow steps before the first request to a registry: the name server, the connection, the TLS handshake.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;

use loadtest::tls::Authority;
use support::Relay;
use tokio::net::UdpSocket;

use super::*;
use crate::setup::own_namespaces;

#[tokio::test]
async fn a_connection_that_waits_for_a_place_is_the_upstreams_connect() {
    let registry = Registry::start().await.unwrap();
    let crowded = Relay::crowded(&registry.authority()).await;
    let world = World::at(registry, &format!("http://{}", crowded.address()), 10_000, "").await;
    let let_in = async {
        // The first attempt to connect is lost; the kernel repeats it after a second.
        sleep(SLOW / 2).await;
        crowded.let_in().await
    };
    let (relay, ()) = tokio::join!(let_in, world.pull("n"));
    let told = world.bottleneck(1).await;
    assert_named(&told, ("upstream", Some("connect"), "connecting to the upstream"));
    drop(relay);
}

#[tokio::test]
async fn a_slow_handshake_is_the_upstreams_tls() {
    let authority = Authority::new();
    let registry = Registry::start_tls(authority.for_loopback()).await.unwrap();
    let relay = Relay::start(&registry.authority()).await;
    let scratch = Scratch::new();
    let ca = format!("ca_file = {:?}\n", scratch.file("ca.pem", &authority.pem()));
    let world = World::at(registry, &format!("https://{}", relay.address()), 10_000, &ca).await;
    relay.delay(SLOW / 2);
    let after_the_handshake = async {
        world.registry.wait_for(|log| log.iter().next().is_some()).await;
        relay.delay(Duration::ZERO);
    };
    tokio::join!(world.pull("n"), after_the_handshake);
    let told = world.bottleneck(1).await;
    assert_named(&told, ("upstream", Some("tls"), "the TLS handshake with the upstream"));
}

/// The name server has the machine's port 53, in a network of the test's own.
#[tokio::test]
async fn a_slow_name_server_is_the_upstreams_resolve() {
    if own_namespaces("bottlenecks::network::a_slow_name_server_is_the_upstreams_resolve", &["--net"]).await {
        return;
    }
    let run = |program: &str, arguments: &[&str]| {
        assert!(Command::new(program).args(arguments).status().unwrap().success(), "{program} {arguments:?}");
    };
    run("ip", &["link", "set", "lo", "up"]);
    let scratch = Scratch::new();
    let servers = scratch.file("resolv.conf", "nameserver 127.0.0.1\n");
    run(
        "mount",
        &[
            "--bind",
            servers.to_str().unwrap(),
            fs::canonicalize("/etc/resolv.conf").unwrap().to_str().unwrap(),
        ],
    );
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).await.unwrap();
    let serving = tokio::spawn(answer_late(server));

    let registry = Registry::start().await.unwrap();
    let url = format!("http://registry.slow.test:{}", registry.port());
    let world = World::at(registry, &url, 10_000, "").await;
    world.pull("n").await;
    let told = world.bottleneck(1).await;
    assert_named(&told, ("upstream", Some("resolve"), "resolving the upstream's host name"));
    serving.abort();
}

/// Answers each question for an IPv4 address with loopback, and any other with nothing (RFC 1035, section 4.1).
async fn answer_late(server: UdpSocket) {
    let server = std::sync::Arc::new(server);
    let mut question = [0; 512];
    while let Ok((length, client)) = server.recv_from(&mut question).await {
        let (question, server) = (question[..length].to_vec(), server.clone());
        tokio::spawn(async move {
            sleep(SLOW).await;
            server.send_to(&reply(&question), client).await.unwrap();
        });
    }
}

fn reply(question: &[u8]) -> Vec<u8> {
    const HEAD: usize = 12;
    let name = question[HEAD..].iter().position(|byte| *byte == 0).unwrap();
    let end = HEAD + name + 5;
    let is_a = question[end - 4..end - 2] == [0, 1];
    let mut reply = question[..2].to_vec();
    reply.extend([0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    reply.extend(&question[HEAD..end]);
    if is_a {
        // The name of the question, type A, class IN, a minute, four bytes.
        reply.extend([0xc0, HEAD as u8, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    reply
}
