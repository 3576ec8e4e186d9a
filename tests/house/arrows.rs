//! The allowed dependencies between packages, as ARCHITECTURE.md draws them, checked over `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use crate::workspace::{Package, packages};

/// The workspace packages that each package may depend on. Dev-dependencies are not limited: tests may use the
/// misbehaving registry.
const ARROWS: &[(&str, &[&str])] = &[
    ("oci", &[]),
    ("filemap", &[]),
    ("registry", &["oci"]),
    ("store", &["filemap", "oci"]),
    ("credentials", &["oci"]),
    ("records", &["oci"]),
    ("cluster", &["oci"]),
    ("series", &[]),
    ("node", &["oci"]),
    ("diagnose", &["oci"]),
    ("config", &["oci"]),
    ("proxy", &["config", "oci", "registry", "series", "store"]),
    ("prober", &["oci", "registry", "series"]),
    ("loadtest", &[]),
    ("bench", &["loadtest", "oci", "records"]),
    ("support", &["loadtest"]),
    (
        "pullgate",
        &[
            "cluster",
            "config",
            "credentials",
            "diagnose",
            "loadtest",
            "node",
            "oci",
            "prober",
            "proxy",
            "records",
            "registry",
            "series",
            "store",
        ],
    ),
];

/// External libraries, each with the only packages that may use it. A use elsewhere would break a boundary between
/// packages.
const RESERVED: &[(&str, &[&str])] = &[
    ("metrics", &["prober", "proxy", "pullgate", "series"]),
    ("clap", &["bench", "pullgate"]),
    ("toml", &["config", "node"]),
    ("http", &["bench", "loadtest", "proxy", "pullgate", "registry", "support"]),
    ("hyper", &["bench", "loadtest", "proxy", "pullgate", "registry", "support"]),
    ("hickory-resolver", &["registry"]),
    ("metrics-exporter-prometheus", &["pullgate"]),
    ("memmap2", &["filemap"]),
    ("governor", &["proxy"]),
    ("regex", &["diagnose"]),
    ("libc", &["filemap"]),
    ("rusqlite", &["records"]),
    ("kube", &["cluster"]),
    ("k8s-openapi", &["cluster"]),
    ("prost", &["support"]),
    ("tonic", &["support"]),
];

#[test]
fn packages_depend_only_along_the_arrows() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        ARROWS.iter().map(|(name, arrows)| (*name, arrows.iter().copied().collect())).collect();
    for Package { name: package, dependencies, .. } in packages() {
        let arrows =
            allowed.get(package.as_str()).unwrap_or_else(|| panic!("{package} has no line in ARROWS"));
        let ours = dependencies.iter().map(String::as_str).filter(|name| allowed.contains_key(name));
        for name in ours {
            assert!(arrows.contains(name), "{package} must not depend on {name}");
        }
    }
}

#[test]
fn reserved_libraries_are_used_only_by_their_packages() {
    for Package { name: package, dependencies, .. } in packages() {
        for (library, homes) in RESERVED {
            let used = dependencies.contains(*library);
            assert!(!used || homes.contains(&package.as_str()), "{package} must not use {library}");
        }
    }
}

#[test]
fn unsafe_code_is_forbidden_except_in_the_crate_that_maps_files() {
    for package in packages() {
        let text = std::fs::read_to_string(&package.manifest).expect("every package has a manifest");
        let workspace_lints = text.contains("[lints]\nworkspace = true");
        assert_eq!(workspace_lints, package.name != "filemap", "{}: lints", package.name);
    }
}
