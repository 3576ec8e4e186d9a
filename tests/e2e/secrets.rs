//! A credential reaches the registry it is for, and nothing else.
//!
//! The canary is a password found nowhere but in a docker configuration file; after pulls that need it, everything
//! that pullgate shows or keeps is searched for it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use loadtest::image::Image;
use loadtest::registry::{Access, Greeting, Kind, Registry, Tokens};
use support::{Containerd, HostsDir, Pullgate, Release, Scratch, files_of};

use crate::setup::{Answers, BIN, REGISTRY, cache, config, files_below, pull_by_hand, upstream};

const USER: &str = "canary-user";
const PASSWORD: &str = "canary-5ec7e7-pa55w0rd";
/// The base64 of user and password, as a Basic header has them.
const BASIC: &str = "Y2FuYXJ5LXVzZXI6Y2FuYXJ5LTVlYzdlNy1wYTU1dzByZA==";

#[tokio::test]
async fn a_basic_password_is_seen_by_its_registry_alone() {
    let access = Access::Basic { user: USER.to_owned(), password: PASSWORD.to_owned() };
    is_seen_by_its_registry_alone(access).await;
}

#[tokio::test]
async fn a_token_and_its_password_are_seen_by_their_registry_alone() {
    let tokens = Tokens::new().user(USER, PASSWORD).private("library/app", USER);
    is_seen_by_its_registry_alone(Access::Tokens(tokens)).await;
}

/// Pullgate has no credentials here: it refuses in one answer, and the node goes to the registry with its own.
#[tokio::test]
async fn a_private_image_is_pulled_past_pullgate_with_the_nodes_own_secret() {
    for release in [Release::System, Release::V1_7, Release::V2] {
        let scratch = Scratch::new();
        let registry = Registry::start().await.unwrap();
        let image = Image::with_layers(42, &[1000]);
        registry.add_image("library/app", "1", &image);
        registry.require(Access::Tokens(Tokens::new().user(USER, PASSWORD).private("library/app", USER)));
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
        nothing_shows_the_canary(&pullgate, &scratch).await;
    }
}

async fn is_seen_by_its_registry_alone(access: Access) {
    let scratch = Scratch::new();
    let registry = Registry::start().await.unwrap();
    let image = Image::with_layers(41, &[200_000, 10]);
    registry.add_image("library/app", "1", &image);
    registry.require(access);
    registry.start_cdn("127.0.0.2", Greeting::Http, Duration::from_secs(60)).await.unwrap();
    let pullgate = pullgate_with_credentials(&scratch, &registry).await;

    pull_by_hand(&pullgate, &image).await;
    pull_by_hand(&pullgate, &image).await;
    let refused = pullgate.get(&format!("/v2/library/absent/manifests/1?ns={REGISTRY}")).send().await;
    assert!(refused.status.is_client_error(), "{}", refused.text());

    let log = registry.log();
    let redirected: Vec<_> = log.iter().filter(|exchange| exchange.kind == Kind::Cdn).collect();
    assert_eq!(redirected.len(), 3, "the config and two layers");
    assert!(redirected.iter().all(|exchange| !exchange.authorized && exchange.status == Some(200)));
    assert!(log.iter().any(|exchange| exchange.authorized));
    assert!(files_below(&cache(&scratch)).len() > 8, "content, links and a tag");
    nothing_shows_the_canary(&pullgate, &scratch).await;
}

async fn pullgate_with_credentials(scratch: &Scratch, registry: &Registry) -> Pullgate {
    let entry = format!("{{\"auths\": {{\"{REGISTRY}\": {{\"auth\": \"{BASIC}\"}}}}}}");
    let docker_config = scratch.file("docker.json", &entry);
    let config = config(scratch)
        + &upstream("test", REGISTRY, &registry.url())
        + &format!(
            "access = \"shared\"\nblob_hosts = [\"127.0.0.2\"]\n\
             credentials = {{ docker_config = {docker_config:?} }}\n"
        );
    Pullgate::start(talkative(scratch).to_str().unwrap(), scratch, &config).await
}

/// Pullgate with the most talkative log there is.
fn talkative(scratch: &Scratch) -> PathBuf {
    let script = format!("#!/bin/sh\nRUST_LOG=trace exec {BIN:?} \"$@\"\n");
    let path = scratch.file("talkative-pullgate", &script);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

async fn nothing_shows_the_canary(pullgate: &Pullgate, scratch: &Scratch) {
    let log = pullgate.log();
    assert!(log.contains(" DEBUG ") && log.contains(REGISTRY), "it talks");
    let mut shown = vec![
        ("log".to_owned(), log),
        ("metrics".to_owned(), pullgate.metrics().await.text().to_owned()),
        ("status".to_owned(), pullgate.status().await.to_string()),
        ("page".to_owned(), support::http::get(pullgate.admin(), "/").send().await.text()),
    ];
    for file in files_below(&cache(scratch)) {
        let content = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        shown.push((file.display().to_string(), content));
    }
    for (place, text) in shown {
        for secret in [PASSWORD, BASIC, "Bearer token-", "\"token-"] {
            assert!(!text.contains(secret), "{secret} in {place}");
        }
    }
}
