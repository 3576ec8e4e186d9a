//! `check node` and `check pull` against real containerds whose configuration has a trap.

use std::fs;

use support::{Containerd, HostsDir, Ran, Release, parts};

use crate::setup::{NODE, Site};

const RELEASES: [Release; 3] = [Release::System, Release::V1_7, Release::V2];

/// Runs `check node` with a pull through the runtime.
async fn check(site: &Site, release: Release, containerd: &Containerd) -> Ran {
    let programs = (release.program("containerd"), parts::unpacked("kubernetes", "crictl"));
    let (image, socket) = (site.registry.image("org/app:1"), containerd.socket());
    let admin = format!("http://{}", site.mirror.admin());
    let config = containerd.config();
    let arguments = [
        "check",
        "node",
        "--root",
        "/",
        "--state",
        "/tmp",
        "--node-name",
        NODE,
        "--admin",
        &admin,
        "--image",
        &image,
        "--containerd",
        programs.0.to_str().unwrap(),
        "--containerd-config",
        config.to_str().unwrap(),
        "--crictl",
        programs.1.to_str().unwrap(),
        "--runtime-endpoint",
        socket.to_str().unwrap(),
    ];
    site.run(&arguments).await
}

fn codes(ran: &Ran) -> Vec<String> {
    let is_code = |word: &&str| word.starts_with("PG04") && !word.contains('.');
    ran.stdout().split_whitespace().filter(is_code).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_node_that_uses_the_mirror_has_no_errors_and_an_old_one_a_warning() {
    for release in RELEASES {
        let site = Site::start().await;
        let containerd = Containerd::options(release).cri(&site.certs_d()).start(&site.scratch).await;
        containerd.cri().await;
        site.node("apply", &["--node-name", NODE]).await.ok();
        let ran = check(&site, release, &containerd).await;
        let expected: &[&str] = if release == Release::V2 { &[] } else { &["PG0411"] };
        assert_eq!(codes(&ran), expected, "{release:?}: {}{}", ran.stdout(), ran.stderr());
        assert_eq!(ran.code(), Some(0), "{release:?}");
    }
}

/// From 2.1 on, a list is read as one folder that does not exist. Earlier releases split it.
#[tokio::test]
async fn a_list_in_config_path_is_found_in_the_configuration_and_by_effect() {
    let site = Site::start().await;
    let list = format!("{}:/nowhere", site.certs_d().path().display());
    site.node("apply", &[]).await.ok();
    let containerd = Containerd::options(Release::V2).cri(&HostsDir::at(&list)).start(&site.scratch).await;
    containerd.cri().await;
    let ran = check(&site, Release::V2, &containerd).await;
    assert_eq!(
        (codes(&ran), ran.code()),
        (vec!["PG0402".into(), "PG0417".into()], Some(3)),
        "{}",
        ran.stdout()
    );
    assert!(ran.stdout().contains("config_path = ") && ran.stdout().contains("next: "), "{}", ran.stdout());
}

#[tokio::test]
async fn an_unset_config_path_is_found_in_the_configuration_and_by_effect() {
    for release in RELEASES {
        let site = Site::start().await;
        site.node("apply", &[]).await.ok();
        let containerd = Containerd::options(release).cri(&HostsDir::at("")).start(&site.scratch).await;
        containerd.cri().await;
        let ran = check(&site, release, &containerd).await;
        let codes = codes(&ran);
        assert!(
            codes.contains(&"PG0401".to_owned()) && codes.contains(&"PG0417".to_owned()),
            "{release:?}: {codes:?}"
        );
        assert_eq!(ran.code(), Some(3), "{release:?}");
    }
}

#[tokio::test]
async fn an_empty_folder_is_found_in_the_files_and_by_effect() {
    let site = Site::start().await;
    let containerd = Containerd::options(Release::V2).cri(&site.certs_d()).start(&site.scratch).await;
    containerd.cri().await;
    site.certs_d().write(
        "_default",
        &format!("[host.{:?}]\ncapabilities = [\"pull\", \"resolve\"]\n", site.mirror.url()),
    );
    let ran = check(&site, Release::V2, &containerd).await;
    assert_eq!(codes(&ran), [""; 0], "_default is enough: {}", ran.stdout());
    fs::create_dir(site.hosts_toml().parent().unwrap()).unwrap();
    let ran = check(&site, Release::V2, &containerd).await;
    assert_eq!(
        (codes(&ran), ran.code()),
        (vec!["PG0404".into(), "PG0417".into()], Some(3)),
        "{}",
        ran.stdout()
    );
}

#[tokio::test]
async fn a_file_that_an_old_containerd_ignores_is_found_in_the_file_and_by_effect() {
    let site = Site::start().await;
    let containerd = Containerd::options(Release::System).cri(&site.certs_d()).start(&site.scratch).await;
    containerd.cri().await;
    let text = format!(
        "server = {:?}\n[host.{:?}]\ncapabilities = [\"pull\", \"resolve\", \"referrers\"]\n",
        site.registry.url(),
        site.mirror.url()
    );
    site.certs_d().write(&site.registry.address(), &text);
    let ran = check(&site, Release::System, &containerd).await;
    assert_eq!(
        (codes(&ran), ran.code()),
        (vec!["PG0413".into(), "PG0417".into()], Some(3)),
        "{}",
        ran.stdout()
    );
}

#[tokio::test]
async fn a_silent_mirror_is_found_and_a_code_can_be_suppressed() {
    let mut site = Site::start().await;
    site.node("apply", &[]).await.ok();
    site.mirror.stop().await;
    let arguments = ["check", "node", "--for", "podman", "--root", site.root.to_str().unwrap()];
    let ran = site.run(&arguments).await;
    assert_eq!(
        (codes(&ran), ran.code()),
        (vec!["PG0409".into(), "PG0407".into()], Some(3)),
        "{}",
        ran.stdout()
    );
    let ran = site.run(&[&arguments[..], &["--suppress", "PG0409,PG0407"]].concat()).await;
    assert_eq!(ran.code(), Some(0), "{}", ran.stdout());
}

#[tokio::test]
async fn check_pull_shows_the_way_of_each_request_cold_and_warm_and_through_the_runtime() {
    let site = Site::start().await;
    let containerd = Containerd::options(Release::V1_7).cri(&site.certs_d()).start(&site.scratch).await;
    containerd.cri().await;
    site.node("apply", &[]).await.ok();
    let image = site.registry.image("org/app:2");
    let (crictl, socket) = (parts::unpacked("kubernetes", "crictl"), containerd.socket());
    let admin = format!("http://{}", site.mirror.admin());
    let arguments = [
        "check",
        "pull",
        &image,
        "--admin",
        &admin,
        "--crictl",
        crictl.to_str().unwrap(),
        "--runtime-endpoint",
        socket.to_str().unwrap(),
    ];
    let ran = site.run(&[&arguments[..], &["-o", "json"]].concat()).await;
    assert_eq!(ran.code(), Some(0), "{}{}", ran.stdout(), ran.stderr());
    let report: serde_json::Value = serde_json::from_str(ran.stdout()).unwrap();
    let outcomes = |round: usize| -> Vec<_> {
        let steps = report["rounds"][round]["steps"].as_array().unwrap();
        steps.iter().map(|step| step["outcome"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(outcomes(0), ["miss"; 4], "manifest, config, two layers");
    assert_eq!(outcomes(1), ["hit"; 4]);
    assert!(report["rounds"][0]["steps"][2]["bytes"].as_u64().unwrap() > 1000);
    assert!(report["runtime"]["requests"].as_u64().unwrap() >= 1, "{report}");

    site.node("restore", &[]).await.ok();
    let ran = site.run(&arguments).await;
    assert_eq!(ran.code(), Some(3), "{}", ran.stdout());
    assert!(ran.stdout().contains("PG0417") && ran.stdout().contains("0 requests"), "{}", ran.stdout());
}

#[tokio::test]
async fn check_pull_names_the_class_of_a_pull_that_fails() {
    let mut site = Site::start().await;
    site.registry.stop().await;
    let ran = site.run(&["check", "pull", &site.registry.image("org/app:1")]).await;
    assert_eq!(ran.code(), Some(3));
    assert!(ran.stdout().contains("PG0422") && ran.stdout().contains("connect_refused"), "{}", ran.stdout());
}
