//! Outages, connections, and the second host that blobs are redirected to.

use std::{io, time::Duration};

use loadtest::{
    registry::{Access, Greeting, Kind, Registry, Rule, Tokens},
    sockets::{Blackhole, Port},
};
use tokio::net::TcpStream;

use crate::client::{exchange, get, layer_path, request, with_image, within};

#[tokio::test]
async fn an_outage_and_back_on_the_same_port() {
    let (registry, _) = with_image().await;
    let mut open = TcpStream::connect(registry.addr()).await.unwrap();
    exchange(&mut open, "GET", "/v2/", &[]).await.unwrap();
    registry.stop().await;
    assert_eq!(registry.log().open_connections(), 0);
    assert!(!matches!(exchange(&mut open, "GET", "/v2/", &[]).await, Ok(Some(_))), "dropped");
    let refused = TcpStream::connect(registry.addr()).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    registry.restart().unwrap();
    assert_eq!(get(&registry, "/v2/library/app/manifests/1").await.status, 200, "content is kept");
}

#[tokio::test]
async fn a_registry_can_begin_with_an_outage_and_ends_when_dropped() {
    let registry = Registry::reserve(Greeting::Http).unwrap();
    let addr = registry.addr();
    assert!(TcpStream::connect(addr).await.is_err());
    registry.restart().unwrap();
    let mut open = TcpStream::connect(addr).await.unwrap();
    assert!(exchange(&mut open, "GET", "/v2/", &[]).await.unwrap().is_some());
    registry.shutdown().await;
    assert!(!matches!(exchange(&mut open, "GET", "/v2/", &[]).await, Ok(Some(_))));
}

#[tokio::test]
async fn ports_that_refuse_and_ports_that_drop_packets() {
    let refusing = Port::reserve().unwrap();
    let refused = TcpStream::connect(refusing.addr()).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);

    let hole = Blackhole::start().await.unwrap();
    let attempt = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(hole.addr())).await;
    assert!(attempt.is_err(), "no answer at all");
}

#[tokio::test]
async fn connections_are_counted() {
    let (registry, _) = with_image().await;
    let mut kept = TcpStream::connect(registry.addr()).await.unwrap();
    for _ in 0..3 {
        exchange(&mut kept, "GET", "/v2/", &[]).await.unwrap();
    }
    get(&registry, "/v2/").await;
    within(registry.wait_for(|log| log.connections() == 2 && log.open_connections() == 1)).await;
    let on_first = registry.log().count(|exchange| exchange.connection == 1);
    assert_eq!(on_first, 3);
    registry.drop_connections().await;
    assert_eq!(registry.log().open_connections(), 0);
}

#[tokio::test]
async fn blobs_are_redirected_by_signed_urls() {
    let (registry, image) = with_image().await;
    registry.start_cdn("127.0.0.2", Greeting::Http, Duration::from_secs(60)).await.unwrap();
    let host = registry.cdn().unwrap();
    let cdn = host.addr();

    let redirect = get(&registry, &layer_path(&image)).await;
    assert_eq!(redirect.status, 307);
    let signed = redirect.header("location").unwrap().strip_prefix(host.url()).unwrap().to_owned();
    assert_eq!(request(cdn, "GET", &signed, &[]).await.body, image.layers[0].bytes);
    assert_eq!(request(cdn, "GET", &signed, &[("range", "bytes=1-2")]).await.status, 206);
    let leaked = request(cdn, "GET", &signed, &[("authorization", "Bearer t")]).await;
    assert_eq!(leaked.status, 400, "as object stores do");

    registry.fault(Rule::cdn().once().status(502));
    assert_eq!(request(cdn, "GET", &signed, &[]).await.status, 502);
    registry.expire_signed_urls();
    assert_eq!(request(cdn, "GET", &signed, &[]).await.status, 403);
    assert_eq!(registry.log().count(|exchange| exchange.kind == Kind::Cdn), 5);
    registry.stop_cdn().await;
    assert!(TcpStream::connect(cdn).await.is_err());
    assert_eq!(get(&registry, &layer_path(&image)).await.status, 307, "still sent there");
    host.restart().unwrap();
    assert_eq!(request(cdn, "GET", &signed, &[]).await.status, 403, "back, and the URL is still expired");
}

#[tokio::test]
async fn tokens_may_come_from_another_host() {
    let (registry, _) = with_image().await;
    let host = registry.start_host("127.0.0.3", Greeting::Http).await.unwrap();
    registry.require(Access::Tokens(Tokens::new().realm(&format!("{}/token", host.url()))));
    let challenge = get(&registry, "/v2/library/app/tags/list").await;
    assert!(challenge.header("www-authenticate").unwrap().contains(host.url()));
    let scope = "/token?scope=repository:library/app:pull";
    let token = request(host.addr(), "GET", scope, &[]).await.json()["token"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    let tags =
        request(registry.addr(), "GET", "/v2/library/app/tags/list", &[("authorization", &bearer)]).await;
    assert_eq!(tags.status, 200);
}
