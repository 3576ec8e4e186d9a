//! Registries that lead to forbidden places: other hosts, metadata services, the machine or the cluster. pullgate
//! connects to none of them and sends no credential, and the refusal names the reason.
//!
//! The tests of addresses run in their own network namespace. There the forbidden addresses have listeners, which would
//! notice a connection.

#![allow(clippy::disallowed_methods, reason = "listeners at forbidden addresses are part of the test")]

use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loadtest::digest::Algorithm;
use loadtest::image::{Blob, Image, media};
use loadtest::registry::{Access, Answer, Greeting, Registry, Rule, Tokens};
use loadtest::tls::Authority;
use support::{Pullgate, Scratch, http};
use tokio::net::{TcpListener, UdpSocket};

use crate::setup::{BIN, REGISTRY, config};

const PASSWORD: &str = "canary-5ec7e7-pa55w0rd";

/// Runs the rest of the test named `name` again inside a network namespace; there `own_network` returns `false`.
async fn own_network(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return false;
    }
    let set_up = "ip link set lo up\n\
        for a in 10.99.0.7/32 10.99.0.8/32 169.254.169.254/32 100.100.100.200/32; do ip addr add $a dev lo; done\n\
        for a in fd00:ec2::254/128 64:ff9b::a9fe:a9fe/128; do ip -6 addr add $a dev lo nodad; done\n\
        mount --bind \"$RESOLV\" /etc/resolv.conf\nexec \"$@\"";
    let scratch = Scratch::new();
    let resolv = scratch.file("resolv.conf", "nameserver 127.0.0.53\noptions timeout:1 attempts:1\n");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--mount", "sh", "-ec", set_up, "sh"]);
    command.arg(std::env::current_exe().unwrap()).args(["--exact", name, "--nocapture"]);
    command.env(INSIDE, "yes").env("RESOLV", resolv);
    let ran = support::run(command).await;
    assert!(ran.succeeded() && ran.stdout().contains("1 passed"), "{ran}");
    true
}

/// A name server with a list of answers per name. Each query for a name gets the next answer; the last answer repeats.
async fn name_server(names: &[(&str, &[&str])]) {
    let socket = UdpSocket::bind("127.0.0.53:53").await.unwrap();
    let names: Vec<(String, Vec<IpAddr>)> = names
        .iter()
        .map(|(name, answers)| ((*name).to_owned(), answers.iter().map(|it| it.parse().unwrap()).collect()))
        .collect();
    tokio::spawn(async move {
        let mut names = names;
        let mut question = [0; 512];
        while let Ok((size, from)) = socket.recv_from(&mut question).await {
            let answer = answer(&question[..size], &mut names);
            socket.send_to(&answer, from).await.unwrap();
        }
    });
}

/// RFC 1035, 4.1: repeats the question, and adds one A record with a TTL of zero, or the code for an unknown name.
fn answer(question: &[u8], names: &mut [(String, Vec<IpAddr>)]) -> Vec<u8> {
    let (mut at, mut labels) = (12, Vec::new());
    while question[at] != 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8_lossy(&question[at + 1..end]).to_ascii_lowercase());
        at = end;
    }
    let kind = u16::from_be_bytes([question[at + 1], question[at + 2]]);
    let known = names.iter_mut().find(|(name, _)| *name == labels.join("."));
    let mut head = question[..at + 5].to_vec();
    head[2..12].copy_from_slice(&[0x81, if known.is_some() { 0x80 } else { 0x83 }, 0, 1, 0, 0, 0, 0, 0, 0]);
    let Some((_, answers)) = known else { return head };
    if let (1, IpAddr::V4(v4)) = (kind, answers[0]) {
        if answers.len() > 1 {
            answers.remove(0);
        }
        head[7] = 1;
        head.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        head.extend(v4.octets());
    }
    head
}

/// A listener at a forbidden address, which records whether a connection came.
#[derive(Clone, Default)]
struct Traps(Arc<Mutex<Vec<SocketAddr>>>);

impl Traps {
    async fn at(&self, address: &str) {
        let listener = TcpListener::bind(address).await.unwrap();
        let caught = self.0.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                caught.lock().unwrap().push(stream.local_addr().unwrap());
            }
        });
    }

    #[track_caller]
    fn are_empty(&self, story: &str) {
        assert_eq!(*self.0.lock().unwrap(), [], "{story}");
    }
}

/// A private registry on loopback, and pullgate in front of it with the registry's password.
struct Story {
    registry: Registry,
    image: Image,
    pullgate: Pullgate,
    traps: Traps,
    _scratch: Scratch,
}

impl Story {
    async fn start(more: &str) -> Self {
        let scratch = Scratch::new();
        let registry = Registry::start().await.unwrap();
        let image = Image::with_layers(91, &[1000]);
        registry.add_image("library/app", "1", &image);
        registry.require(Access::Tokens(Tokens::new().user("ann", PASSWORD).private("library/app", "ann")));
        let password = scratch.file("password", PASSWORD);
        let section = format!(
            "[upstreams.test]\nregistry = {REGISTRY:?}\nendpoints = [{:?}]\naccess = \"shared\"\n\
             credentials = {{ username = \"ann\", password_file = {password:?} }}\n{more}\n",
            registry.url()
        );
        let pullgate = Pullgate::start(BIN, &scratch, &(config(&scratch) + &section)).await;
        let traps = Traps::default();
        for host in ["127.0.0.9", "10.99.0.7", "169.254.169.254", "100.100.100.200"] {
            traps.at(&format!("{host}:80")).await;
            traps.at(&format!("{host}:443")).await;
        }
        for host in ["[::1]", "[fd00:ec2::254]", "[64:ff9b::a9fe:a9fe]"] {
            traps.at(&format!("{host}:80")).await;
            traps.at(&format!("{host}:443")).await;
        }
        Self { registry, image, pullgate, traps, _scratch: scratch }
    }

    async fn manifest(&self) -> http::Answer {
        self.pullgate.get(&format!("/v2/library/app/manifests/1?ns={REGISTRY}")).send().await
    }

    async fn blob(&self) -> http::Answer {
        let digest = &self.image.layers[0].digest;
        self.pullgate.get(&format!("/v2/library/app/blobs/{digest}?ns={REGISTRY}")).send().await
    }
}

#[track_caller]
fn refused(answer: &http::Answer, story: &str, says: &str) {
    assert_eq!(answer.status, 503, "{story}: {}", answer.text());
    assert_eq!(answer.header("x-pullgate-class"), Some("trust_refused"), "{story}: {}", answer.text());
    assert!(answer.text().contains(says), "{story}: {}", answer.text());
}

const NAMES: &[(&str, &[&str])] = &[
    ("metadata.google.internal", &["169.254.169.254"]),
    ("inside.test", &["10.99.0.7"]),
    ("turns.test", &["127.0.0.1", "169.254.169.254"]),
];

#[tokio::test]
async fn realms_that_lead_astray_are_not_followed() {
    if own_network("trust::realms_that_lead_astray_are_not_followed").await {
        return;
    }
    name_server(NAMES).await;
    let story =
        Story::start("token_hosts = [\"metadata.google.internal\", \"inside.test\", \"169.254.169.254\"]")
            .await;
    for (realm, says) in [
        ("https://elsewhere.test/token", "token_hosts"),
        ("http://elsewhere.test/token", "plain http"),
        ("http://127.0.0.9/token", "plain http"),
        ("https://127.0.0.9/token", "token_hosts"),
        ("https://2130706441/token", "token_hosts"),
        ("https://0x7f000009/token", "token_hosts"),
        ("https://0177.0.0.9/token", "token_hosts"),
        ("https://[::ffff:127.0.0.9]/token", "token_hosts"),
        ("https://[64:ff9b::a9fe:a9fe]/token", "token_hosts"),
        ("https://[fd00:ec2::254]/token", "token_hosts"),
        ("https://169.254.169.254/token", "a link-local address: this address is always refused"),
        (
            "https://metadata.google.internal/token",
            "169.254.169.254, a link-local address: this address is always refused",
        ),
        ("https://inside.test/token", "add a range such as \\\"10.99.0.7/32\\\" to `addresses`"),
        ("https://me:secret@127.0.0.1/token", "is not a usable URL"),
        ("file:///etc/passwd", "is not a usable URL"),
    ] {
        let fault = story.registry.fault(Rule::manifest().challenge_to(realm));
        refused(&story.manifest().await, realm, says);
        story.registry.clear(fault);
    }
    story.traps.are_empty("realms");
    assert!(!story.registry.log().iter().any(|asked| asked.authorized), "no credential was sent");
}

#[tokio::test]
async fn redirects_that_lead_astray_are_not_followed() {
    if own_network("trust::redirects_that_lead_astray_are_not_followed").await {
        return;
    }
    name_server(NAMES).await;
    let story = Story::start("").await;
    for (target, says) in [
        ("http://127.0.0.9/x", "`addresses`"),
        ("http://2130706441/x", "`addresses`"),
        ("http://0x7f000009/x", "`addresses`"),
        ("http://0177.0.0.9/x", "`addresses`"),
        ("http://[::1]/x", "`addresses`"),
        ("http://[::ffff:127.0.0.9]/x", "`addresses`"),
        ("http://169.254.169.254/latest/meta-data/", "always refused"),
        ("http://[::ffff:169.254.169.254]/x", "always refused"),
        ("http://[64:ff9b::a9fe:a9fe]/x", "always refused"),
        ("http://[fd00:ec2::254]/x", "a metadata service: this address is always refused"),
        ("http://100.100.100.200/x", "a metadata service: this address is always refused"),
        ("http://metadata.google.internal/computeMetadata/v1/", "always refused"),
        ("http://inside.test/x", "add a range such as \\\"10.99.0.7/32\\\" to `addresses`"),
    ] {
        let fault = story.registry.fault(Rule::blob().with_header("authorization").redirect(target));
        refused(&story.blob().await, target, says);
        story.registry.clear(fault);
    }
    story.traps.are_empty("redirects");
}

/// At each connection, pullgate checks the address to which the name resolves now.
#[tokio::test]
async fn a_name_that_resolves_differently_the_second_time_leads_nowhere() {
    if own_network("trust::a_name_that_resolves_differently_the_second_time_leads_nowhere").await {
        return;
    }
    name_server(NAMES).await;
    let story = Story::start("addresses = [\"127.0.0.0/8\"]").await;
    let blobs = story.registry.start_host("turns.test", Greeting::Http).await.unwrap();
    let target = blobs.url().to_owned();
    story.traps.at(&format!("169.254.169.254:{}", blobs.addr().port())).await;
    story.registry.fault(Rule::blob().with_header("authorization").redirect(&format!("{target}/x")));

    let first = story.blob().await;
    assert_eq!(
        first.header("x-pullgate-class"),
        Some("blob_host"),
        "the first address was dialled: {}",
        first.text()
    );
    // Closing it ends its connections, so that the next request resolves the name again.
    drop(blobs);
    refused(
        &story.blob().await,
        &target,
        "169.254.169.254, a link-local address: this address is always refused",
    );
    story.traps.are_empty("rebinding");
}

/// Private endpoints are allowed by configuration: each refusal names the address and the key, and with these keys
/// the pull works.
#[tokio::test]
async fn a_private_registry_works_once_it_is_allowed() {
    if own_network("trust::a_private_registry_works_once_it_is_allowed").await {
        return;
    }
    name_server(&[("registry.corp", &["10.99.0.7"]), ("login.corp", &["10.99.0.8"])]).await;
    let scratch = Scratch::new();
    let authority = Authority::new();
    let certificate = || Greeting::Tls(authority.certificate(&["registry.corp", "login.corp", "10.99.0.8"]));
    let ca_file = scratch.file("ca.pem", &authority.pem());
    let registry = Registry::start().await.unwrap();
    let main = registry.start_host("10.99.0.7", certificate()).await.unwrap();
    let login = registry.start_host("10.99.0.8", certificate()).await.unwrap();
    let blobs = registry.start_cdn("10.99.0.8", certificate(), Duration::from_secs(60)).await.unwrap();
    let image = Image::with_layers(92, &[1000]);
    registry.add_image("library/app", "1", &image);
    let realm = format!("https://login.corp:{}/token", login.addr().port());
    let tokens = Tokens::new().user("ann", PASSWORD).private("library/app", "ann").realm(&realm);
    registry.require(Access::Tokens(tokens));
    let password = scratch.file("password", PASSWORD);
    let pull = async |keys: &str| {
        let section = format!(
            "[upstreams.corp]\nregistry = {REGISTRY:?}\nendpoints = [\"https://registry.corp:{}\"]\n\
             ca_file = {ca_file:?}\naccess = \"shared\"\n\
             credentials = {{ username = \"ann\", password_file = {password:?} }}\n{keys}\n",
            main.addr().port()
        );
        let pullgate = Pullgate::start(BIN, &scratch, &(config(&scratch) + &section)).await;
        let digest = &image.layers[0].digest;
        pullgate.get(&format!("/v2/library/app/blobs/{digest}?ns={REGISTRY}")).send().await
    };

    refused(&pull("").await, "no key", "registry.corp is at 10.99.0.7, which `addresses` of this upstream");
    refused(&pull("addresses = [\"10.99.0.7/32\"]").await, "an address", "to `token_hosts` of the upstream");
    let keys = "addresses = [\"10.99.0.7/32\"]\ntoken_hosts = [\"login.corp\"]";
    refused(
        &pull(keys).await,
        "a token host",
        "login.corp is at 10.99.0.8, which `addresses` of this upstream",
    );
    assert!(!registry.log().iter().any(|asked| asked.authorized), "no credential was sent so far");
    let keys = "addresses = [\"10.0.0.0/8\"]\ntoken_hosts = [\"login.corp\"]\nblob_hosts = [\"blobs.corp\"]";
    let host = blobs.trim_start_matches("https://");
    refused(&pull(keys).await, "both addresses", &format!("add \\\"{host}\\\" to `blob_hosts`"));
    let keys = "addresses = [\"10.0.0.0/8\"]\ntoken_hosts = [\"login.corp\"]\nblob_hosts = [\"10.99.0.8\"]";
    let answer = pull(keys).await;
    assert_eq!((answer.status.as_u16(), &answer.body), (200, &image.layers[0].bytes), "{}", answer.text());
}

/// Invalid answers: too large, or HTML pages instead of documents.
#[tokio::test]
async fn token_answers_of_ten_megabytes_and_html_pages_are_refused() {
    let scratch = Scratch::new();
    let registry = Registry::start().await.unwrap();
    let image = Image::with_layers(93, &[1000]);
    registry.add_image("library/app", "1", &image);
    registry.require(Access::Tokens(Tokens::new()));
    let pullgate = crate::setup::pullgate(&scratch, &registry.url()).await;
    let before = crate::setup::files_below(&crate::setup::cache(&scratch).join("v1"));
    let large = format!("{{\"token\":\"{}\"}}", "x".repeat(10 << 20));
    let page = || Answer::with_body(200, "text/html", "<!doctype html><title>Sign in</title>");
    let denied = || Answer::with_body(403, "text/html", "<!doctype html><title>Blocked</title>");
    for (rule, path, status, class, says) in [
        (
            Rule::token().answer(Answer::with_body(200, "application/json", large)),
            "manifests/1",
            503,
            "protocol_garbage",
            "larger than 64 KiB",
        ),
        (Rule::token().answer(page()), "manifests/1", 503, "protocol_garbage", "Sign in"),
        (
            Rule::manifest().with_header("authorization").answer(page()),
            "manifests/1",
            503,
            "protocol_garbage",
            "",
        ),
        (
            Rule::tags().with_header("authorization").answer(page()),
            "tags/list",
            503,
            "protocol_garbage",
            "Sign in",
        ),
        (
            Rule::tags().with_header("authorization").answer(denied()),
            "tags/list",
            403,
            "geo_or_waf_block",
            "Blocked",
        ),
    ] {
        let fault = registry.fault(rule);
        let answer = pullgate.get(&format!("/v2/library/app/{path}?ns={REGISTRY}")).send().await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("x-pullgate-class")),
            (status, Some(class)),
            "{}",
            answer.text()
        );
        assert!(answer.text().contains(says), "{}", answer.text());
        registry.clear(fault);
        registry.revoke_tokens();
    }
    let after = crate::setup::files_below(&crate::setup::cache(&scratch).join("v1"));
    assert_eq!(after, before, "nothing is stored");
}

/// The URLs in a manifest for its layers are not used.
#[tokio::test]
async fn the_urls_of_a_foreign_layer_are_not_used() {
    let scratch = Scratch::new();
    let registry = Registry::start().await.unwrap();
    let pullgate = crate::setup::pullgate(&scratch, &registry.url()).await;
    let elsewhere = Registry::start().await.unwrap();
    let layer =
        Blob::new("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "far away", Algorithm::Sha256);
    let config = registry.add_blob("library/app", "{}");
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": media::OCI_MANIFEST,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2 },
        "layers": [{ "mediaType": layer.media_type, "digest": layer.digest, "size": layer.bytes.len(),
                     "urls": [format!("{}/layer", elsewhere.url())] }],
    });
    let manifest = Blob::new(media::OCI_MANIFEST, manifest.to_string(), Algorithm::Sha256);
    registry.add_manifest("library/app", &manifest);
    registry.set_tag("library/app", "1", &manifest.digest);

    let answer = pullgate.get(&format!("/v2/library/app/manifests/1?ns={REGISTRY}")).send().await;
    assert_eq!((answer.status.as_u16(), &answer.body), (200, &manifest.bytes));
    let answer = pullgate.get(&format!("/v2/library/app/blobs/{}?ns={REGISTRY}", layer.digest)).send().await;
    assert_eq!(answer.status, 404, "{}", answer.text());
    assert_eq!(elsewhere.log().connections(), 0);
}

const INSIDE: &str = "PULLGATE_TEST_IN_ITS_OWN_NETWORK";
