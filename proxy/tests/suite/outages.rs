//! The registry cannot be reached. Cached content is still served, and other requests get 503 with the cause, in time.

use std::time::Duration;

use loadtest::image::Image;
use loadtest::registry::{Access, Registry, Rule, Tokens};
use loadtest::sockets::{Blackhole, Port};
use loadtest::tls::Authority;
use registry::upstream::Limits;
use tokio::time::timeout;

use crate::rig::{Plan, Rig};

#[tokio::test]
async fn a_name_that_does_not_resolve() {
    let cached = Cached::start().await;
    cached.rig.move_upstream("http://registry.invalid", None);
    cached.serves_on_and_names("dns").await;
}

#[tokio::test]
async fn a_port_that_refuses() {
    let cached = Cached::start().await;
    let refusing = Port::reserve().unwrap();
    cached.rig.move_upstream(&format!("http://{}", refusing.addr()), None);
    cached.serves_on_and_names("connect_refused").await;
}

#[tokio::test]
async fn a_network_where_packets_vanish() {
    let cached = Cached::start().await;
    let blackhole = Blackhole::start().await.unwrap();
    cached.rig.move_upstream(&format!("http://{}", blackhole.addr()), None);
    cached.serves_on_and_names("connect_timeout").await;
}

#[tokio::test]
async fn a_certificate_that_expired() {
    let cached = Cached::start().await;
    let authority = Authority::new();
    let expired = Registry::start_tls(authority.expired(&["127.0.0.1"])).await.unwrap();
    let ca_file = cached.rig.cache.path().join("ca.pem");
    authority.write_pem(&ca_file).unwrap();
    cached.rig.move_upstream(&expired.url(), Some(&ca_file));
    cached.serves_on_and_names("tls_expired").await;
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority() {
    let cached = Cached::start().await;
    let unknown = Registry::start_tls(Authority::new().for_loopback()).await.unwrap();
    cached.rig.move_upstream(&unknown.url(), None);
    cached.serves_on_and_names("tls_unknown_ca").await;
}

#[tokio::test]
async fn a_registry_that_takes_requests_and_never_answers() {
    let cached = Cached::start().await;
    cached.rig.upstream.fault(Rule::any().never_answer());
    cached.serves_on_and_names("stalled").await;
}

#[tokio::test]
async fn a_token_server_that_is_down() {
    let cached = Cached::start().await;
    cached.rig.upstream.require(Access::Tokens(Tokens::new()));
    cached.rig.upstream.fault(Rule::token().unavailable(500));
    cached.serves_on_and_names("registry_5xx").await;
}

/// A proxy with an image whose blobs were all pulled once, from an upstream that is about to fail.
struct Cached {
    rig: Rig,
    image: Image,
}

impl Cached {
    async fn start() -> Self {
        let limits = Limits { connect: Duration::from_millis(500), ..Limits::default() };
        let header_deadline = Duration::from_secs(2);
        let rig = Rig::with(Plan { header_deadline, limits, ..Plan::default() }).await;
        let image = Image::with_layers(1, &[300_000, 5 << 20]);
        rig.upstream.add_image("org/app", "1", &image);
        assert_eq!(rig.get("org/app/manifests/1").await.status, 200);
        for blob in image.blobs() {
            assert_eq!(rig.get(&format!("org/app/blobs/{}", blob.digest)).await.status, 200);
        }
        Self { rig, image }
    }

    async fn serves_on_and_names(&self, class: &str) {
        for blob in self.image.blobs() {
            let heard = self.rig.get(&format!("org/app/blobs/{}", blob.digest)).await;
            // The last byte of a blob leaves before its file has its name, so a request may still join the fill.
            assert!(matches!(heard.outcome(), "hit" | "joined"), "{} {}", heard.status, heard.class());
            assert!(heard.is_whole() && heard.body == blob.bytes);
        }
        let manifest = self.rig.get(&format!("org/app/manifests/{}", self.image.digest())).await;
        assert_eq!((manifest.status, manifest.outcome()), (200, "hit"));
        let tag = self.rig.get("org/app/manifests/1").await;
        assert_eq!((tag.status, tag.outcome(), tag.class()), (200, "stale", class), "{tag:?}");

        for what in ["manifests/2".to_owned(), format!("blobs/sha256:{}", "0".repeat(64))] {
            let path = format!("org/app/{what}");
            let heard = timeout(IN_TIME, self.rig.get(&path)).await.expect("an answer in time");
            assert_eq!((heard.status, heard.class()), (503, class), "{what}: {heard:?}");
            assert_eq!((heard.header("retry-after"), heard.is_whole()), (None, true), "{what}");
        }
    }
}

/// Enough time for a deadline of 2 s on a busy machine.
const IN_TIME: Duration = Duration::from_secs(8);
