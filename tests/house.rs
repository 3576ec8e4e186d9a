//! Who may know whom: the arrows of ARCHITECTURE.md, checked over `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// What each package may depend on among ours. Dev-dependencies are free: tests may borrow the misbehaving registry.
const ARROWS: &[(&str, &[&str])] = &[
    ("registry", &[]),
    ("config", &["registry"]),
    ("filemap", &[]),
    ("proxy", &["config", "filemap", "registry"]),
    ("prober", &["registry"]),
    ("loadtest", &["registry"]),
    ("support", &["loadtest"]),
    ("pullgate", &["config", "loadtest", "prober", "proxy", "registry"]),
];

/// What only some packages may use: protocols and libraries that would blur a boundary elsewhere.
const RESERVED: &[(&str, &[&str])] = &[
    ("metrics", &["prober", "proxy", "pullgate"]),
    ("clap", &["loadtest", "pullgate"]),
    ("toml", &["config"]),
    ("hickory-resolver", &["registry"]),
    ("metrics-exporter-prometheus", &["pullgate"]),
    ("memmap2", &["filemap"]),
    ("governor", &["proxy"]),
    ("libc", &["filemap"]),
    ("prost", &["support"]),
    ("tonic", &["support"]),
];

#[test]
fn packages_depend_only_where_the_arrows_point() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        ARROWS.iter().map(|(name, arrows)| (*name, arrows.iter().copied().collect())).collect();
    for (package, dependencies) in dependencies() {
        let arrows =
            allowed.get(package.as_str()).unwrap_or_else(|| panic!("{package} has no line in ARROWS"));
        let ours = dependencies.iter().map(String::as_str).filter(|name| allowed.contains_key(name));
        for name in ours {
            assert!(arrows.contains(name), "{package} must not depend on {name}");
        }
    }
}

#[test]
fn libraries_that_mark_a_boundary_stay_behind_it() {
    for (package, dependencies) in dependencies() {
        for (library, homes) in RESERVED {
            let used = dependencies.contains(*library);
            assert!(!used || homes.contains(&package.as_str()), "{package} must not use {library}");
        }
    }
}

#[test]
fn the_store_knows_no_http() {
    let store = concat!(env!("CARGO_MANIFEST_DIR"), "/proxy/src/store");
    let files = std::fs::read_dir(store)
        .expect("proxy/src/store exists")
        .map(|entry| entry.expect("readable").path());
    for file in files.filter(|path| path.is_file()) {
        let text = std::fs::read_to_string(&file).expect("readable source");
        for word in ["hyper::", "http::", "http_body", "registry::client", "registry::Client"] {
            assert!(!text.contains(word), "{} mentions {word}", file.display());
        }
    }
}

#[test]
fn unsafe_code_is_forbidden_but_in_the_crate_that_maps_files() {
    for (package, _) in ARROWS {
        let folder = match *package {
            "pullgate" => ".",
            "support" => "tests/support",
            package => package,
        };
        let manifest = format!("{}/{folder}/Cargo.toml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(manifest).expect("every package has a manifest");
        let workspace_lints = text.contains("[lints]\nworkspace = true");
        assert_eq!(workspace_lints, *package != "filemap", "{package}: lints");
    }
}

/// Every package of the workspace with its normal dependencies.
fn dependencies() -> Vec<(String, BTreeSet<String>)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages.iter().map(|package| (text(&package["name"]), normal(&package["dependencies"]))).collect()
}

fn normal(dependencies: &Value) -> BTreeSet<String> {
    let all = dependencies.as_array().expect("dependencies");
    all.iter()
        .filter(|dependency| dependency["kind"].is_null())
        .map(|dependency| text(&dependency["name"]))
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}
