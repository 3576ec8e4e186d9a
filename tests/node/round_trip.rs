//! Real runtimes pull through the mirror, around it while it is dead, and find their files as they were.

use std::process::Command;
use std::time::Duration;

use loadtest::tls::Authority;
use support::process::Signal;
use support::{Containerd, Process, Release, Skopeo, http, wait_until};

use crate::setup::{BIN, NODE, Site, tree};

const LIMIT: Duration = Duration::from_secs(10);

/// `node guard` with short times.
fn guard(site: &Site, more: &[&str]) -> Process {
    let mut command = Command::new(BIN);
    command.args([
        "node",
        "guard",
        "--node-name",
        NODE,
        "--every",
        "20",
        "--out-after",
        "2",
        "--back-after",
        "2",
    ]);
    command.args(["--hold", "100", "--root"]).arg(&site.root).arg("--config").arg(&site.config).args(more);
    Process::spawn("guard", &mut command, &site.scratch.folder("guard"))
}

fn says<'a>(what: &'a str) -> impl Fn(&str) -> Option<()> + 'a {
    move |log| log.contains(what).then_some(())
}

async fn walk(release: Release) {
    let mut site = Site::start().await;
    let before = tree(&site.root);
    let containerd = Containerd::options(release).cri(&site.certs_d()).start(&site.scratch).await;
    let cri = containerd.cri().await;

    let applied = site.node("apply", &["--node-name", NODE]).await.ok();
    assert!(applied.contains("✓ written"), "{applied}");
    cri.pull(&site.registry.image("org/app:1"), None).await.unwrap();
    site.mirrored(4).await;
    assert_eq!(site.direct(), 0, "{release:?}: the registry was not");
    wait_until("a record that names the node", LIMIT, || async {
        let pulls = http::get(site.mirror.admin(), "/api/v1/pulls").send().await.text();
        pulls.contains(NODE).then_some(())
    })
    .await;

    let mut guard = guard(&site, &[]);
    site.mirror.kill();
    guard.says("that the mirror is out", says("mirror out: PG0409")).await;
    assert!(!site.hosts_toml().exists());
    cri.pull(&site.registry.image("org/app:2"), None).await.unwrap();
    assert!(site.direct() >= 4, "{release:?}: the pull went to the registry");

    site.mirror.start_again().await;
    guard.says("that the mirror is in", says("mirror in")).await;
    assert!(site.hosts_toml().exists());
    assert!(guard.stop().await.success());
    assert!(guard.log().contains("guard ends, mirror out"));
    assert_eq!(tree(&site.root), before, "{release:?}: every byte is as it was");
    assert!(site.node("restore", &[]).await.ok().is_empty(), "nothing is left to take back");
}

#[tokio::test]
async fn containerd_1_6_pulls_through_the_mirror_around_it_and_is_left_as_it_was() {
    walk(Release::System).await;
}

#[tokio::test]
async fn containerd_1_7_pulls_through_the_mirror_around_it_and_is_left_as_it_was() {
    walk(Release::V1_7).await;
}

#[tokio::test]
async fn containerd_2_pulls_through_the_mirror_around_it_and_is_left_as_it_was() {
    walk(Release::V2).await;
}

#[tokio::test]
async fn skopeo_pulls_by_the_drop_in_of_podman_and_the_drop_in_goes() {
    let site = Site::start().await;
    let before = tree(&site.root);
    site.node("apply", &["--for", "podman"]).await.ok();
    let drop_in = site.root.join("etc/containers/registries.conf.d/50-pullgate.conf");
    let registries = std::fs::read_to_string(&drop_in).unwrap();
    let skopeo = Skopeo::with_registries(&site.scratch, &registries);
    skopeo.pull(&site.registry.image("org/app:1"), &site.scratch.folder("pulled")).await.ok();
    site.mirrored(4).await;
    site.node("restore", &["--for", "podman"]).await.ok();
    assert_eq!(tree(&site.root), before);
}

#[tokio::test]
async fn docker_keeps_its_other_keys_and_its_mode() {
    let site = Site::start().await;
    let before = tree(&site.root);
    let applied = site.node("apply", &["--for", "docker"]).await;
    assert!(applied.stderr().contains("systemctl reload docker"), "{}", applied.stderr());
    let file = site.root.join("etc/docker/daemon.json");
    let text: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(text, serde_json::json!({"log-driver": "journald", "registry-mirrors": [site.mirror.url()]}));
    assert_eq!(tree(&site.root)[&file].0, before[&file].0);
    site.node("restore", &[]).await.ok();
    assert_eq!(tree(&site.root), before);
}

#[tokio::test]
async fn a_guard_that_is_told_to_keep_leaves_the_mirror_in() {
    let site = Site::start().await;
    let mut guard = guard(&site, &["--keep"]);
    guard.says("that the mirror is in", says("mirror in")).await;
    guard.signal(Signal::TERM);
    assert!(guard.exited(LIMIT).await.success());
    assert!(site.hosts_toml().exists());
    assert!(guard.log().contains("stays as it is"));
}

/// The mirror's certificate comes from an authority that only the file of `--mirror-ca` names.
#[tokio::test]
async fn a_mirror_with_tls_is_asked_written_and_pulled_from_with_its_own_authority() {
    let authority = Authority::new();
    let site = Site::start_with(|scratch| {
        authority.for_loopback().write_pem(scratch.path()).unwrap();
        let path = |name: &str| scratch.path().join(name);
        format!("tls = {{ cert = {:?}, key = {:?} }}\n", path("cert.pem"), path("key.pem"))
    })
    .await;
    let ca = site.scratch.path().join("ca.pem");
    authority.write_pem(&ca).unwrap();
    // The same path below the node's root, where pullgate looks, and on this machine, where containerd looks.
    let below = site.root.join(ca.strip_prefix("/").unwrap());
    std::fs::create_dir_all(below.parent().unwrap()).unwrap();
    std::fs::copy(&ca, below).unwrap();
    let before = tree(&site.root);
    let refused = site.node("apply", &[]).await;
    assert_eq!(refused.code(), Some(3));
    assert!(
        refused.stdout().contains("PG0409") && refused.stdout().contains("no TLS"),
        "{}",
        refused.stdout()
    );

    site.node("apply", &["--mirror-ca", ca.to_str().unwrap()]).await.ok();
    for (at, release) in [Release::System, Release::V1_7, Release::V2].into_iter().enumerate() {
        let containerd = Containerd::options(release).cri(&site.certs_d()).start(&site.scratch).await;
        containerd.cri().await.pull(&site.registry.image("org/app:1"), None).await.unwrap();
        site.mirrored(4 * (at + 1)).await;
    }
    assert_eq!(site.direct(), 0);
    site.node("restore", &[]).await.ok();
    assert_eq!(tree(&site.root), before);
}
