//! What `node apply` writes and refuses.

use std::fs;
use std::os::unix::fs::symlink;

use loadtest::registry::Registry;

use crate::setup::{Site, tree};

#[tokio::test]
async fn a_dry_run_prints_a_diff_and_changes_nothing() {
    let site = Site::start().await;
    let before = tree(&site.root);
    let ran = site.node("apply", &["--dry-run"]).await;
    assert_eq!(ran.code(), Some(0));
    assert!(ran.stdout().starts_with("--- /dev/null\n+++ "), "{}", ran.stdout());
    assert!(ran.stdout().contains(&format!("+[host.\"{}\"]", site.mirror.url())));
    assert_eq!(tree(&site.root), before);
    site.node("apply", &[]).await.ok();
    assert!(
        site.node("apply", &["--dry-run"]).await.ok().is_empty(),
        "the second time, nothing would change"
    );
    let back = site.node("restore", &["--dry-run"]).await.ok();
    assert!(back.contains("+++ /dev/null"), "{back}");
}

#[tokio::test]
async fn nothing_is_written_before_the_mirror_answers_as_a_pullgate_that_serves_the_registry() {
    let site = Site::start().await;
    let before = tree(&site.root);
    let other = Registry::start().await.unwrap();
    let closed = support::ports::Port::lease();
    let cases = [
        (format!("http://{}", closed.address()), "PG0409", "refused"),
        (other.url(), "PG0410", "without the headers of a pullgate"),
        ("http://mirror.invalid:5000".to_owned(), "PG0408", "cannot be resolved"),
    ];
    for (mirror, code, word) in cases {
        let ran = site.node("apply", &["--mirror", &mirror]).await;
        assert_eq!(ran.code(), Some(3), "{mirror}");
        assert!(ran.stdout().contains(code) && ran.stdout().contains(word), "{mirror}: {}", ran.stdout());
        assert_eq!(tree(&site.root), before);
    }
    // A pullgate, but one that knows only the built-in registries.
    let more = site.scratch.file(
        "more.toml",
        &(fs::read_to_string(&site.config).unwrap()
            + "[upstreams.more]\nregistry = \"more.test\"\nendpoints = [\"https://more.test\"]\n"),
    );
    let root = site.root.to_str().unwrap();
    let ran = support::pullgate::command(
        crate::setup::BIN,
        &["node", "apply", "--root", root, "--config", more.to_str().unwrap()],
    )
    .await;
    assert_eq!(ran.code(), Some(3));
    assert!(
        ran.stdout().contains("PG0410") && ran.stdout().contains("is not configured for more.test"),
        "{}",
        ran.stdout()
    );
    assert_eq!(tree(&site.root), before);
}

#[tokio::test]
async fn a_foreign_file_and_a_link_are_left_alone_with_a_sentence() {
    let site = Site::start().await;
    let hosts = site.hosts_toml();
    fs::create_dir_all(hosts.parent().unwrap()).unwrap();
    fs::write(&hosts, "server = \"https://a\"\n").unwrap();
    let before = tree(&site.root);
    let ran = site.node("apply", &[]).await;
    assert_eq!(ran.code(), Some(3));
    assert!(
        ran.stdout().contains("PG0405") && ran.stdout().contains("was not written by"),
        "{}",
        ran.stdout()
    );
    assert_eq!(tree(&site.root), before);

    fs::remove_file(&hosts).unwrap();
    symlink("/etc/hosts", &hosts).unwrap();
    let ran = site.node("apply", &["-o", "json"]).await;
    assert_eq!(ran.code(), Some(3));
    let lines: serde_json::Value = serde_json::from_str(ran.stdout()).unwrap();
    assert_eq!((&lines[0]["change"], &lines[0]["code"]), (&"left_alone".into(), &"PG0419".into()));
    assert!(fs::symlink_metadata(&hosts).unwrap().is_symlink());
}

#[tokio::test]
async fn distributions_that_generate_their_files_get_documents_and_no_files() {
    let site = Site::start().await;
    for target in ["talos", "bottlerocket", "gke"] {
        let ran = site.node("apply", &["--for", target]).await;
        assert_eq!(ran.code(), Some(2), "{target}");
        assert!(ran.stderr().contains(&format!("pullgate node render --for {target}")), "{}", ran.stderr());
        let rendered = site.run(&["node", "render", "--for", target]).await.ok();
        assert!(rendered.contains(&site.mirror.url()), "{rendered}");
    }
    let ran = site.node("guard", &["--for", "k3s"]).await;
    assert_eq!(ran.code(), Some(2));
    assert!(ran.stderr().contains("restart k3s"), "{}", ran.stderr());
}

#[tokio::test]
async fn a_rendered_file_that_is_copied_by_hand_can_be_taken_back() {
    let site = Site::start().await;
    let before = tree(&site.root);
    let rendered = site.run(&["node", "render", "--for", "aks"]).await.ok();
    fs::create_dir_all(site.hosts_toml().parent().unwrap()).unwrap();
    fs::write(site.hosts_toml(), rendered).unwrap();
    assert!(site.node("apply", &["--for", "aks"]).await.ok().contains("unchanged"));
    site.node("restore", &[]).await.ok();
    assert_eq!(tree(&site.root), before);
}
