//! The text for people and the document for programs. The golden files show whole texts; `UPDATE=1` writes them again.

use std::path::PathBuf;

use loadtest::image::{Image, Index};
use loadtest::registry::{Access, Registry, Rule, Tokens};

use super::{Desk, app, password, registry};
use crate::setup::REGISTRY;

/// Compares a text with its golden file. Times, ports and rates are replaced.
#[track_caller]
fn golden(name: &str, text: &str, registry: &Registry) {
    let text = text.replace(&registry.authority(), "127.0.0.1:PORT0");
    // A rate decides where its line is wrapped.
    let mut in_size = false;
    let is_steady = |line: &&str| {
        in_size = line.starts_with("  size ") || (in_size && line.starts_with("      "));
        !in_size
    };
    let text: String = text.lines().filter(is_steady).map(steady).collect();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/diagnose/golden").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{}: UPDATE=1 writes it again", path.display());
}

/// The line without the times, which differ from run to run.
fn steady(line: &str) -> String {
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    for at in 1..words.len() {
        if words[at] == "ms" {
            words[at - 1] = "1.0".to_owned();
        }
    }
    let line = words.join(" ");
    // The padding before a time depends on its length.
    let line = match line.find("1.0 ms") {
        Some(at) => format!("{} 1.0 ms{}", line[..at].trim_end(), &line[at + 6..]),
        None => line,
    };
    line + "\n"
}

#[tokio::test]
async fn the_texts_of_typical_nights_are_as_reviewed() {
    let (registry, image) = registry().await;
    registry.add_image("library/app", "1.19", &image);
    let desk = Desk::of(&registry.url(), "");
    let show = async |name: &str, image: &str, arguments: &[&str]| {
        let ran = desk.run(image, arguments).await;
        golden(name, ran.stdout(), &registry);
    };
    show("fine.txt", &app(), &[]).await;
    show("tag.txt", &format!("{REGISTRY}/library/app:1.2O"), &[]).await;
    show("name.txt", &format!("{REGISTRY}/Library/app:1.20"), &[]).await;
    let images = ["amd64", "s390x"].map(|it| Image::builder(5).layer_of(50).platform("linux", it).finish());
    registry.add_index("library/app", "multi", &Index::oci(images.to_vec()));
    show("platform.txt", &format!("{REGISTRY}/library/app:multi"), &["--platform", "linux/arm64"]).await;
    registry.require(Access::Tokens(Tokens::new().user("robot", &password())));
    desk.docker_config(REGISTRY, "robot", "of-last-year");
    show("poisoned.txt", &app(), &["--docker-config", "robot.json"]).await;
    registry.require(Access::Open);
    registry.fault(Rule::manifest().unavailable(503));
    show("outage.txt", &app(), &[]).await;
}

#[tokio::test]
async fn a_text_fits_into_80_columns_and_begins_with_the_verdict() {
    let (registry, _) = registry().await;
    registry.fault(Rule::manifest().oci_error(500, "UNKNOWN", &"word ".repeat(50)));
    let ran = Desk::of(&registry.url(), "").run(&app(), &[]).await;
    let text = ran.stdout();
    assert!(text.starts_with("✗ registry_5xx  registry.test/library/app:1.20\n"), "{text}");
    let long: Vec<_> = text.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(long.is_empty() && !text.contains('\u{1b}'), "{long:#?}");
    let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("no {part}: {text}"));
    assert!(
        place("\nFix\n") < place("\nStep by step") && place("\nStep by step") < place("\nWho can pull\n")
    );
}

#[tokio::test]
async fn options_that_are_wrong_are_refused() {
    let (registry, _) = registry().await;
    let desk = Desk::of(&registry.url(), "");
    for arguments in [
        ["--platform", "amd64"],
        ["--timeout", "0s"],
        ["--timeout", "2h"],
        ["--proxy", "node-7:5000"],
        ["--proxy", "http://user:pass@node-7"],
    ] {
        let ran = desk.run(&app(), &arguments).await;
        assert_eq!(ran.code(), Some(2), "{arguments:?}: {ran}");
    }
    assert_eq!(registry.log().connections(), 0);
}

#[tokio::test]
async fn the_document_has_the_fields_of_its_schema() {
    let (registry, _) = registry().await;
    let document = Desk::of(&registry.url(), "").diagnose(&app(), &[]).await.document;
    let mut keys: Vec<_> = document.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let expected = [
        "cache",
        "certificate",
        "class",
        "clocks",
        "fault",
        "fix",
        "identities",
        "identity",
        "image",
        "layers",
        "manifest_gets",
        "mirror",
        "next",
        "notes",
        "place",
        "platform",
        "platforms",
        "probes",
        "pulls",
        "quotas",
        "schema",
        "sentence",
        "stage",
        "stages",
        "tags",
    ];
    assert_eq!((keys.as_slice(), &document["schema"]), (&expected[..], &1.into()));
    let stage = &document["stages"][1];
    assert_eq!((&stage["stage"], &stage["state"]), (&"connect".into(), &"ok".into()));
    assert!(stage["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{stage}");
}
