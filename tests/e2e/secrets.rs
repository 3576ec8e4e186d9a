//! A credential reaches the registry that it is for, and no other place.
//!
//! Every secret contains the canary: passwords, tokens, cookies, signed addresses, the output of helpers and
//! providers, and headers that clients send. After each test the harness (`support::leaks`) searches everything that
//! pullgate showed and stored for the canary. These tests bring every kind of secret to every place where it could leak.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use loadtest::canary;
use loadtest::image::Image;
use loadtest::registry::{Access, Answer, Greeting, Kind, Registry, Rule, Tokens};
use support::pullgate::command;
use support::{Containerd, HostsDir, Pullgate, Release, Scratch, files_of};

use crate::setup::{
    Answers, BIN, REGISTRY, cache, config, files_below, program, pull_by_hand, talkative, upstream,
};

const USER: &str = "somebody";
const PASSWORD: &str = "canary-5ec7e7-pa55w0rd";

#[tokio::test]
async fn a_basic_password_is_sent_to_its_registry_only() {
    let access = Access::Basic { user: USER.to_owned(), password: PASSWORD.to_owned() };
    is_seen_by_its_registry_alone(access).await;
}

#[tokio::test]
async fn a_token_and_its_password_are_sent_to_their_registry_only() {
    is_seen_by_its_registry_alone(private()).await;
}

/// Pullgate has no credentials and refuses at once; the node then goes to the registry with its own credentials.
#[tokio::test]
async fn a_private_image_is_pulled_from_the_registry_itself_with_the_nodes_own_secret() {
    for release in [Release::System, Release::V1_7, Release::V2] {
        let scratch = Scratch::new();
        let registry = Registry::start().await.unwrap();
        let image = Image::with_layers(42, &[1000]);
        registry.add_image("library/app", "1", &image);
        registry.require(private());
        let config = config(&scratch) + &upstream("test", REGISTRY, &registry.url());
        let pullgate = Pullgate::start(talkative(&scratch).to_str().unwrap(), &scratch, &config).await;
        let hosts = HostsDir::new(&scratch);
        hosts.mirror(REGISTRY, &pullgate.url(), &registry.url());
        let containerd = Containerd::start(release, &scratch).await;
        let name = format!("{REGISTRY}/library/app:1");

        containerd.pull_with(&name, &hosts, &["--user", &format!("{USER}:{PASSWORD}")]).await.ok();

        assert_eq!(containerd.files(&name).await, files_of(&image));
        let answers = Answers::of(&pullgate).await;
        assert_eq!((answers.of_kind("manifest"), answers.of_kind("blob")), (2, 2), "{answers:?}");
        let refused = pullgate.metrics().await.sum("pullgate_proxy_requests_total", &[("code", "403")]);
        assert_eq!(refused, 4.0, "{release:?}");
        assert!(it_talks(&pullgate));
    }
}

#[tokio::test]
async fn every_kind_of_credential_is_used_and_no_failure_at_any_stage_shows_it() {
    for kind in KINDS {
        let scratch = Scratch::new();
        let registry = Registry::start().await.unwrap();
        registry.require(private());
        let cdn = registry.start_cdn("127.0.0.2", Greeting::Http, Duration::from_secs(60)).await.unwrap();
        if kind == "identitytoken" {
            let token = registry.token_of(USER, &["library/app"]);
            registry.fault(Rule::token().method(http::Method::POST).answer_with(move |asked| {
                let known = asked.form("refresh_token") == Some(PASSWORD);
                Answer::json(if known { 200 } else { 401 }, &serde_json::json!({ "token": token }))
            }));
        }
        let credentials = credentials(kind, &scratch, &registry);
        let config = config(&scratch)
            + &upstream("test", REGISTRY, &registry.url())
            + &format!("access = \"shared\"\ncredentials = {credentials}\n");
        let pullgate = Pullgate::start(talkative(&scratch).to_str().unwrap(), &scratch, &config).await;

        let mut seed = 70;
        let mut pull = async || {
            seed += 1;
            let image = Image::with_layers(seed, &[1000]);
            registry.add_image("library/app", "1", &image);
            let manifest = format!("/v2/library/app/manifests/1?ns={REGISTRY}");
            let layer = format!("/v2/library/app/blobs/{}?ns={REGISTRY}", image.layers[0].digest);
            let answers = [pullgate.get(&manifest).send().await, pullgate.get(&layer).send().await];
            answers.map(|answer| answer.status.as_u16())
        };
        assert_eq!(pull().await, [200, 200], "{kind}");
        for fault in failures(&cdn) {
            let fault = registry.fault(fault);
            pull().await;
            registry.clear(fault);
            registry.revoke_tokens();
            if kind == "registrytoken" {
                break;
            }
        }
        assert!(it_talks(&pullgate));
        let told = registry.log();
        for at_cdn in told.iter().filter(|exchange| exchange.kind == Kind::Cdn) {
            let shown = format!("{:?}{:?}", at_cdn.headers.get("cookie"), at_cdn.authorized);
            assert_eq!(shown, "Nonefalse", "{kind}");
        }
    }
}

#[tokio::test]
async fn secrets_in_a_configuration_are_not_repeated_by_the_commands_that_read_it() {
    let scratch = Scratch::new();
    for text in [
        format!("[upstreams.a]\nregistry = \"a.test\"\nendpoints = [\"https://me:{PASSWORD}@a.test\"]\n"),
        format!(
            "[upstreams.a]\nregistry = \"a.test\"\naccess = \"shared\"\ncredentials = {{ password = \"{PASSWORD}\" }}\n"
        ),
        format!(
            "[upstreams.a]\nregistry = \"a.test\"\naccess = \"shared\"\ncredentials = {{ provider = \"p\", env = {{ A = \"{PASSWORD}\" }} }}\n"
        ),
        format!(
            "[upstreams.a]\nregistry = \"a.test\"\ncredentials = {{ docker_config = '{{\"auths\":{{\"a\":{{\"auth\":\"{PASSWORD}\"}}}}}}' }}\n"
        ),
    ] {
        let file = scratch.file("pullgate.toml", &text);
        // The harness searches the output.
        command(BIN, &["check", "config", "--config", file.to_str().unwrap()]).await;
    }
}

/// Failures of a registry, its token endpoint or its blob host; most of them repeat what they received.
fn failures(cdn: &str) -> Vec<Rule> {
    let echo = |status: u16| {
        move |asked: &loadtest::registry::Request| {
            let header = asked.header(http::header::AUTHORIZATION).unwrap_or("nothing");
            let told = format!("you said {header} {}", asked.form("refresh_token").unwrap_or_default());
            Answer::oci_error(status, "DENIED", &told).header("x-echo", &told)
        }
    };
    let elsewhere = format!("{cdn}/blob?X-Amz-Signature={PASSWORD}");
    vec![
        Rule::token().answer_with(echo(401)),
        Rule::token().answer_with(echo(500)),
        Rule::token().html(),
        Rule::token().reset(),
        Rule::token().answer(Answer::json(200, &serde_json::json!({ "token": 7, "was": PASSWORD }))),
        Rule::token().redirect(&elsewhere),
        Rule::manifest().with_header("authorization").answer_with(echo(401)),
        Rule::manifest().with_header("authorization").answer_with(echo(403)),
        Rule::manifest().with_header("authorization").answer_with(echo(429)),
        Rule::manifest().with_header("authorization").answer_with(echo(503)),
        Rule::manifest().challenge_to(&format!("http://me:{PASSWORD}@127.0.0.1/token")),
        Rule::manifest().challenge_to(&format!("http://127.0.0.1:1/token?key={PASSWORD}")),
        Rule::blob().with_header("authorization").answer_with(echo(403)),
        Rule::blob().redirect(&format!("http://me:{PASSWORD}@127.0.0.2/blob")),
        Rule::blob().redirect(&format!("http://127.0.0.2:1/blob?X-Amz-Signature={PASSWORD}")),
        Rule::blob().redirect(&format!("gopher://127.0.0.2/{PASSWORD}")),
        Rule::blob().redirect(&elsewhere),
        Rule::cdn().answer_with(echo(403)),
        Rule::cdn().reset(),
    ]
}

/// The ways in which a credential can be configured.
const KINDS: [&str; 7] =
    ["auth", "fields", "identitytoken", "registrytoken", "password_file", "helper", "provider"];

/// The credential of `USER`, configured in the way `kind`.
fn credentials(kind: &str, scratch: &Scratch, registry: &Registry) -> String {
    let entry = |fields: &str| {
        let file = scratch.file("docker.json", &format!("{{\"auths\": {{\"{REGISTRY}\": {{{fields}}}}}}}"));
        format!("{{ docker_config = {file:?} }}")
    };
    match kind {
        "auth" => entry(&format!("\"auth\": \"{}\"", STANDARD.encode(format!("{USER}:{PASSWORD}")))),
        "fields" => entry(&format!("\"username\": \"{USER}\", \"password\": \"{PASSWORD}\"")),
        "identitytoken" => entry(&format!("\"identitytoken\": \"{PASSWORD}\"")),
        "registrytoken" => {
            entry(&format!("\"registrytoken\": \"{}\"", registry.token_of(USER, &["library/app"])))
        }
        "password_file" => {
            let file = scratch.file("password", &format!("{PASSWORD}\n"));
            format!("{{ username = \"{USER}\", password_file = {file:?} }}")
        }
        "helper" => {
            let answer = format!("{{\"Username\":\"{USER}\",\"Secret\":\"{PASSWORD}\"}}");
            program(scratch, "docker-credential-told", &format!("echo {PASSWORD} >&2\necho '{answer}'"));
            "{ helper = \"told\" }".to_owned()
        }
        _ => {
            let answer = format!(
                "{{\"kind\":\"CredentialProviderResponse\",\"apiVersion\":\"credentialprovider.kubelet.k8s.io/v1\",\
                 \"cacheKeyType\":\"Registry\",\"auth\":{{\"*.test\":{{\"username\":\"{USER}\",\"password\":\"{PASSWORD}\"}}}}}}"
            );
            let path = program(
                scratch,
                "provider",
                &format!("echo {PASSWORD} >&2\ncat >/dev/null\necho '{answer}'"),
            );
            format!("{{ provider = {path:?}, env = {{ KEY = \"{PASSWORD}\" }} }}")
        }
    }
}

fn private() -> Access {
    Access::Tokens(Tokens::new().user(USER, PASSWORD).private("library/app", USER))
}

async fn is_seen_by_its_registry_alone(access: Access) {
    let scratch = Scratch::new();
    let registry = Registry::start().await.unwrap();
    let image = Image::with_layers(41, &[200_000, 10]);
    registry.add_image("library/app", "1", &image);
    registry.require(access);
    registry.start_cdn("127.0.0.2", Greeting::Http, Duration::from_secs(60)).await.unwrap();
    let config = config(&scratch)
        + &upstream("test", REGISTRY, &registry.url())
        + &format!(
            "access = \"shared\"\nblob_hosts = [\"127.0.0.2\"]\ncredentials = {}\n",
            credentials("auth", &scratch, &registry)
        );
    let pullgate = Pullgate::start(talkative(&scratch).to_str().unwrap(), &scratch, &config).await;

    pull_by_hand(&pullgate, &image).await;
    pull_by_hand(&pullgate, &image).await;
    let refused = pullgate.get(&format!("/v2/library/absent/manifests/1?ns={REGISTRY}")).send().await;
    assert!(refused.status.is_client_error(), "{}", refused.text());

    let log = registry.log();
    let redirected: Vec<_> = log.iter().filter(|exchange| exchange.kind == Kind::Cdn).collect();
    assert_eq!(redirected.len(), 3, "the config and two layers are redirected");
    assert!(redirected.iter().all(|exchange| !exchange.authorized && exchange.status == Some(200)));
    assert!(log.iter().any(|exchange| exchange.authorized));
    // Headers that a client sent must not be passed on.
    assert!(
        log.iter()
            .all(|exchange| exchange.header("cookie").is_none() && exchange.header("x-secret").is_none())
    );
    assert!(files_below(&cache(&scratch)).len() > 8, "content, links and a tag are stored");
    assert!(it_talks(&pullgate));
}

/// True if there was output to search and the search finds the canary in it.
fn it_talks(pullgate: &Pullgate) -> bool {
    assert!(canary::is_in(PASSWORD.as_bytes()));
    let log = pullgate.log();
    log.contains(" DEBUG ") && log.contains(REGISTRY)
}
