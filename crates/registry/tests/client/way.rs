//! Connections: name lookups, TCP, TLS, forward proxies.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use loadtest::registry::{Greeting, Registry, Rule};
use loadtest::sockets::{Blackhole, Port};
use loadtest::tls::{Authority, Certificate};
use oci::{Class, Stage};
use registry::dns::Resolver;
use registry::{Error, Reason};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::setup::*;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// The days from 1970-01-01 to 2190-01-01.
const DAYS_TO_2190: u64 = 80_354;

#[tokio::test]
async fn an_unknown_name_is_a_dns_failure() {
    let setup = Setup::at(&["http://gone.test"]);
    let error = assert_failed(
        head(&setup.client(), "3.20").await,
        Class::Dns,
        Stage::Resolve,
        Some(Reason::NameUnknown),
    );
    assert_eq!(error.evidence.host, "gone.test");
    assert!(error.timings.of(Stage::Resolve).is_some(), "the failing stage is timed");
    assert_eq!(setup.recorder.observed()[0].class, Some(Class::Dns));
}

#[tokio::test]
async fn a_name_without_addresses_is_a_dns_failure() {
    let setup = Setup::at(&["http://empty.test"]).resolving("empty.test", vec![vec![]]);
    assert_failed(head(&setup.client(), "3.20").await, Class::Dns, Stage::Resolve, Some(Reason::NameEmpty));
}

#[tokio::test]
async fn a_silent_name_server_is_a_dns_failure() {
    let silent = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let mut setup = Setup::at(&["http://any.test"]);
    setup.outbound.resolver = Arc::new(Resolver::at(silent.local_addr().expect("an address")));
    let deadline = Instant::now() + Duration::from_millis(500);
    let outcome = setup.client().reach(deadline).await;
    assert_failed(outcome, Class::Dns, Stage::Resolve, Some(Reason::NameServerSilent));
}

#[tokio::test]
async fn while_name_servers_are_silent_the_last_good_answer_is_used() {
    let (upstream, _image) = good().await;
    let server = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let mut setup = Setup::at(&[format!("http://any.test:{}", upstream.port())]);
    setup.outbound.resolver = Arc::new(Resolver::at(server.local_addr().expect("an address")));
    let client = setup.fresh();
    let answering = tokio::spawn(async move {
        let mut question = [0; 512];
        loop {
            let (size, from) = server.recv_from(&mut question).await.expect("a question");
            server.send_to(&loopback_for_a_moment(&question[..size]), from).await.expect("sent");
        }
    });
    head(&client, "3.20").await.expect("the name has an address");
    answering.abort();
    assert!(answering.await.is_err_and(|ended| ended.is_cancelled()));
    // Only the first lookup waits for the silent server.
    for _ in 0..3 {
        head(&client, "3.20").await.expect("the last good address is used");
    }
}

/// The DNS answer to `question` (RFC 1035, 4.1): 127.0.0.1 for A, with a TTL of 0 so that no resolver caches it.
fn loopback_for_a_moment(question: &[u8]) -> Vec<u8> {
    let end = 12 + question[12..].iter().position(|byte| *byte == 0).expect("a name") + 5;
    let is_a = question[end - 4..end - 2] == [0, 1];
    let mut answer = question[..end].to_vec();
    answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    if is_a {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
    }
    answer
}

#[tokio::test]
async fn a_dead_name_server_does_not_delay_until_the_deadline() {
    let port = Port::reserve().expect("a port");
    let mut setup = Setup::at(&["http://any.test"]);
    setup.outbound.resolver = Arc::new(Resolver::at(port.addr()));
    let outcome = setup.client().reach(never()).await;
    let error = outcome.expect_err("a failure");
    assert_eq!((error.class, error.stage), (Class::Dns, Stage::Resolve), "{error}");
}

#[tokio::test]
async fn the_systems_resolver_resolves_localhost_and_ends_in_time() {
    let (upstream, _image) = good().await;
    let mut setup = Setup::at(&[format!("http://localhost:{}", upstream.port())]);
    setup.outbound.resolver = Arc::new(Resolver::from_system());
    head(&setup.client(), "3.20").await.expect("a head");
    // The name is reserved and never exists (RFC 6761, 6.4). The lookup is answered at once, or ends in time without a
    // name server.
    let mut setup = Setup::at(&["http://registry.invalid"]);
    setup.outbound.resolver = Arc::new(Resolver::from_system());
    let error = setup.client().reach(never()).await.expect_err("no such name");
    assert_eq!((error.class, error.stage), (Class::Dns, Stage::Resolve), "{error}");
}

#[tokio::test]
async fn a_port_that_refuses_is_connect_refused() {
    let port = Port::reserve().expect("a port");
    let setup = Setup::at(&[format!("http://{}", port.addr())]);
    let error =
        assert_failed(head(&setup.client(), "3.20").await, Class::ConnectRefused, Stage::Connect, None);
    assert_eq!(error.evidence.address, Some(port.addr()));
    assert!(error.timings.of(Stage::Connect).is_some());
}

#[tokio::test]
async fn a_port_that_drops_packets_is_a_connect_timeout() {
    let hole = Blackhole::start().await.expect("a port");
    let mut setup = Setup::at(&[format!("http://{}", hole.addr())]);
    setup.upstream.limits.connect = Duration::from_millis(300);
    assert_failed(head(&setup.client(), "3.20").await, Class::ConnectTimeout, Stage::Connect, None);
}

#[tokio::test]
async fn a_connection_lost_before_the_answer_is_a_reset() {
    let upstream = Registry::start_with(Greeting::Http).await.expect("a port");
    upstream.fault(Rule::manifest().reset());
    let setup = Setup::of(&upstream);
    assert_failed(head(&setup.client(), "3.20").await, Class::ConnectReset, Stage::ManifestHead, None);
    upstream.clear_faults();
    upstream.fault(Rule::manifest().close());
    assert_failed(
        head(&setup.client(), "3.20").await,
        Class::ConnectReset,
        Stage::ManifestHead,
        Some(Reason::ClosedBeforeAnswer),
    );
}

#[tokio::test]
async fn the_second_address_is_tried_when_the_first_fails() {
    let (upstream, _image) = good().await;
    // No process listens on this port at the other loopback address.
    let elsewhere = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));
    let setup = Setup::at(&[format!("http://two.test:{}", upstream.port())])
        .resolving("two.test", vec![vec![elsewhere, LOOPBACK]]);
    let answer = head(&setup.client(), "3.20").await.expect("an answer");
    assert_eq!(answer.peer, Some(upstream.addr()));
}

#[tokio::test]
async fn an_address_outside_the_zone_is_never_dialled() {
    let (upstream, _image) = good().await;
    let mut setup = Setup::at(&[format!("http://inside.test:{}", upstream.port())])
        .resolving("inside.test", vec![vec![LOOPBACK]]);
    setup.upstream.zone.addresses.ranges.clear();
    setup.upstream.zone.addresses.public = true;
    let outcome = head(&setup.client(), "3.20").await;
    let error = assert_failed(outcome, Class::TrustRefused, Stage::Connect, Some(Reason::AddressForbidden));
    assert_eq!(error.evidence.address, Some(upstream.addr()));
    assert!(error.evidence.message.as_deref().is_some_and(|it| it.contains("addresses")), "{error}");
    assert_eq!(upstream.log().connections(), 0);
}

#[tokio::test]
async fn each_lookup_is_checked_against_the_zone() {
    let (upstream, _image) = good().await;
    let elsewhere = TcpListener::bind(("127.0.0.9", upstream.port())).await.expect("the same port elsewhere");
    let mut setup = Setup::at(&[format!("http://turns.test:{}", upstream.port())])
        .resolving("turns.test", vec![vec![LOOPBACK], vec![[127, 0, 0, 9].into()]]);
    setup.upstream.zone.addresses.ranges = vec!["127.0.0.1/32".parse().expect("a range")];
    let client = setup.fresh();
    head(&client, "3.20").await.expect("the first address is in the zone");
    let error = head(&client, "3.20").await.expect_err("the second is not");
    assert_eq!(error.class, Class::TrustRefused, "{error}");
    let accepted = tokio::time::timeout(Duration::from_millis(50), elsewhere.accept()).await;
    assert!(accepted.is_err(), "no socket was opened to the second address");
}

async fn tls_failure(certificate: Certificate, trusted: &Authority, host: &str) -> (Error, Arc<Recorder>) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ca.pem");
    trusted.write_pem(&file).expect("a file");
    let upstream = Registry::start_tls(certificate).await.expect("a port");
    let setup = Setup::at(&[format!("https://{host}:{}", upstream.port())])
        .trusting(file)
        .resolving("registry.test", vec![vec![LOOPBACK]]);
    let error = head(&setup.client(), "3.20").await.expect_err("a failure");
    assert_eq!((error.stage, error.evidence.address), (Stage::Tls, Some(upstream.addr())), "{error}");
    (error, setup.recorder)
}

#[tokio::test]
async fn each_bad_certificate_has_its_class() {
    let authority = Authority::new();
    let names = &["registry.test"];
    let stranger = Authority::new().certificate(names);
    for (certificate, class, says) in [
        (stranger, Class::TlsUnknownCa, "UnknownIssuer"),
        (authority.expired(names), Class::TlsExpired, "the certificate expired at 2001-"),
        (authority.not_yet_valid(names), Class::TlsNotYetValid, "the certificate is not valid before 2"),
        (authority.certificate(&["other.test"]), Class::TlsName, "not valid for name"),
    ] {
        let (error, recorder) = tls_failure(certificate, &authority, "registry.test").await;
        assert_eq!((error.class, error.evidence.reason), (class, None), "{error}");
        let message = error.evidence.message.as_deref().unwrap_or_default();
        assert!(message.contains(says), "{message}");
        let seen = recorder.certificate();
        assert!(
            !seen.verified && seen.host == "registry.test",
            "the expiry is reported although verification failed"
        );
    }
}

#[tokio::test]
async fn the_expiry_of_good_certificates_is_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ca.pem");
    let authority = Authority::new();
    authority.write_pem(&file).expect("a file");
    let upstream = Registry::start_tls(authority.for_loopback()).await.expect("a port");
    let setup = Setup::of(&upstream).trusting(file);
    let answer = setup.client().reach(soon()).await.expect("reachable");
    assert!(answer.timings.of(Stage::Tls).is_some());
    let seen = setup.recorder.certificate();
    let end = seen.not_after.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    assert!(seen.verified);
    assert_eq!(end, DAYS_TO_2190 * 86_400, "the end of validity the certificate was made with");
    let begin = seen.not_before.expect("a readable certificate");
    assert_eq!(begin.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs(), 1_577_836_800);
    assert!(seen.issuer.starts_with("CN=loadtest authority "), "{}", seen.issuer);
}

#[tokio::test]
async fn addresses_clocks_and_failures_that_a_mirror_states_are_reported() {
    let (upstream, _) = good().await;
    let rule = Rule::manifest().header("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    let rule = rule.header("x-pullgate-class", "dns").header("x-pullgate-stage", "resolve");
    upstream.fault(rule.claim_status(503));
    let url = format!("http://mirror.test:{}", upstream.port());
    let setup = Setup::at(&[url]).resolving("mirror.test", vec![vec![LOOPBACK]]);
    let repository = REPOSITORY.parse().expect("a repository");
    let asked = setup.client().manifest_head(&repository, &"3.20".parse().expect("a tag"), soon()).await;
    assert!(asked.is_err());
    let resolved = setup.recorder.resolved.lock().expect("the lock").clone();
    assert_eq!(resolved, [("mirror.test".to_owned(), vec![LOOPBACK])]);
    let date = std::time::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let answers = setup.recorder.answers.lock().expect("the lock").clone();
    assert_eq!(answers, [(503, Some(date), Some((Class::Dns, Some(Stage::Resolve))))]);
}

#[tokio::test]
async fn failed_handshakes_have_their_reason() {
    for (greeting, reason) in
        [(Greeting::Alert(40), Reason::TlsAlert), (Greeting::CloseInHandshake, Reason::TlsClosed)]
    {
        let upstream = Registry::start_with(greeting).await.expect("a port");
        let outcome = Setup::of(&upstream).client().reach(soon()).await;
        assert_failed(outcome, Class::TlsOther, Stage::Tls, Some(reason));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ca.pem");
    let authority = Authority::new();
    authority.write_pem(&file).expect("a file");
    let greeting = Greeting::DemandClientCertificate(authority.for_loopback());
    let upstream = Registry::start_with(greeting).await.expect("a port");
    let outcome = Setup::of(&upstream).trusting(file).client().reach(soon()).await;
    assert_failed(outcome, Class::TlsOther, Stage::Tls, Some(Reason::TlsAlert));
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_recognised() {
    let (upstream, _image) = good().await;
    let setup = Setup::at(&[format!("https://{}", upstream.authority())]);
    let outcome = setup.client().reach(soon()).await;
    assert_failed(outcome, Class::TlsOther, Stage::Tls, Some(Reason::PlainHttpOnTls));
}

#[tokio::test]
async fn a_silent_handshake_is_stalled() {
    let upstream = Registry::start_with(Greeting::Silence).await.expect("a port");
    let url = format!("https://{}", upstream.authority());
    let deadline = Instant::now() + Duration::from_millis(300);
    let outcome = Setup::at(&[url]).client().reach(deadline).await;
    assert_failed(outcome, Class::Stalled, Stage::Tls, Some(Reason::NoProgress));
}

#[tokio::test]
async fn a_ca_file_without_a_certificate_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, "no certificate").expect("a file");
    let Setup { upstream, outbound, .. } = Setup::at(&["https://registry.test"]).trusting(file.clone());
    let connections = registry::client::Connections::Pooled;
    let error = registry::Client::new(upstream, outbound, connections).err().expect("a failure");
    assert_eq!(error.to_string(), format!("ca_file {}: holds no certificate", file.display()));
}

#[tokio::test]
async fn a_changed_ca_file_is_used_by_new_connections_and_a_broken_one_is_ignored() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ca.pem");
    let (first, second) = (Authority::new(), Authority::new());
    first.write_pem(&file).expect("a file");
    let upstream = Registry::start_tls(second.for_loopback()).await.expect("a port");
    let client = Setup::of(&upstream).trusting(file.clone()).fresh();
    let error = client.reach(soon()).await.expect_err("not yet trusted");
    assert_eq!(error.class, Class::TlsUnknownCa, "{error}");

    second.write_pem(&file).expect("a file");
    client.reach(soon()).await.expect("trusted now");
    for broken in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&file, broken).expect("a file");
        client.reach(soon()).await.expect("still trusted");
    }
    std::fs::remove_file(&file).expect("a file");
    client.reach(soon()).await.expect("still trusted");

    first.write_pem(&file).expect("a file");
    let error = client.reach(soon()).await.expect_err("no longer trusted");
    assert_eq!(error.class, Class::TlsUnknownCa, "{error}");
}

#[tokio::test]
async fn our_own_listening_address_is_never_dialled() {
    let own = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = own.local_addr().expect("an address");
    for (name, resolved) in [
        ("127.0.0.1", None),
        ("localhost", None),
        ("mirror.test", Some(LOOPBACK)),
        ("zero.test", Some(Ipv4Addr::UNSPECIFIED.into())),
        ("mapped.test", Some("::ffff:127.0.0.1".parse().expect("an address"))),
    ] {
        let answers = resolved.map(|ip| vec![ip]).into_iter().collect();
        let setup = Setup::at(&[format!("http://{name}:{}", address.port())]).resolving(name, answers);
        setup.outbound.listening.add(address);
        let outcome = head(&setup.client(), "3.20").await;
        let error = assert_failed(outcome, Class::Loop, Stage::Connect, Some(Reason::OwnAddress));
        assert!(error.to_string().contains("correct `endpoints` of the upstream registry.test"), "{error}");
    }
    let accepted = tokio::time::timeout(Duration::from_millis(50), own.accept()).await;
    assert!(accepted.is_err(), "no socket was opened to ourselves");
}

#[tokio::test]
async fn plain_requests_go_through_the_forward_proxy_in_absolute_form() {
    let (proxy, _image) = good().await;
    let mut setup = Setup::at(&["http://registry.test:5000"]);
    let address = format!("http://user:secret@{}", proxy.authority());
    setup.outbound.forward_proxy = Arc::new(Matcher::builder().http(address).build());
    let answer = setup.client().reach(soon()).await;
    let log = proxy.log();
    let asked = log.iter().next().expect("a request at the proxy");
    assert_eq!(asked.header("host"), Some("registry.test:5000"));
    assert_eq!(asked.header("proxy-authorization"), Some("Basic dXNlcjpzZWNyZXQ="));
    assert!(asked.path.contains("/v2/"), "{}", asked.path);
    assert!(answer.is_err() || answer.is_ok_and(|it| it.peer.is_none()));
}

#[tokio::test]
async fn a_forward_proxy_that_refuses_connect_has_its_class() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let proxy = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(refusal).await.expect("written");
        stream
    });
    let mut setup = Setup::at(&["https://registry.test"]);
    setup.outbound.forward_proxy = Arc::new(Matcher::builder().https(format!("http://{address}")).build());
    let outcome = setup.client().reach(soon()).await;
    let error = assert_failed(outcome, Class::HttpProxy, Stage::Connect, None);
    assert_eq!((error.evidence.status, error.evidence.host.as_str()), (Some(407), &*address.to_string()));
    drop(proxy.await);
}

#[tokio::test]
async fn a_forward_proxy_that_is_down_has_its_class() {
    let port = Port::reserve().expect("a port");
    let mut setup = Setup::at(&["https://registry.test"]);
    let address = format!("http://{}", port.addr());
    setup.outbound.forward_proxy = Arc::new(Matcher::builder().https(address).build());
    let error = assert_failed(setup.client().reach(soon()).await, Class::HttpProxy, Stage::Connect, None);
    assert!(error.to_string().contains("connect_refused"), "{error}");
}

#[tokio::test]
async fn https_goes_through_a_tunnel() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ca.pem");
    let authority = Authority::new();
    authority.write_pem(&file).expect("a file");
    let upstream = Registry::start_tls(authority.certificate(&["registry.test"])).await.expect("a port");
    let target = upstream.addr();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let proxy = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.expect("a connection");
        let head = read_head(&mut client).await;
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.expect("written");
        let mut server = tokio::net::TcpStream::connect(target).await.expect("the upstream");
        // This ends when either side closes.
        tokio::io::copy_bidirectional(&mut client, &mut server).await.ok();
        head
    });
    let mut setup = Setup::at(&["https://registry.test"]).trusting(file);
    setup.outbound.forward_proxy = Arc::new(Matcher::builder().https(format!("http://{address}")).build());
    // The proxy resolves the name, not the client.
    let answer = setup.fresh().reach(soon()).await.expect("reachable through the proxy");
    assert_eq!(answer.peer, None);
    let head = proxy.await.expect("the proxy ends with the connection");
    assert!(head.starts_with("CONNECT registry.test:443 HTTP/1.1\r\n"), "{head}");
}

async fn read_head(stream: &mut tokio::net::TcpStream) -> String {
    use tokio::io::AsyncReadExt;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a byte"));
    }
    String::from_utf8(head).expect("text")
}
