//! The packages of the workspace, as `cargo metadata` lists them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// One package of the workspace.
pub(crate) struct Package {
    /// The package's name.
    pub(crate) name: String,
    /// The path of its `Cargo.toml`.
    pub(crate) manifest: PathBuf,
    /// The crate roots of its library and binaries.
    pub(crate) roots: Vec<PathBuf>,
    /// Names of its dependencies, without dev-dependencies.
    pub(crate) dependencies: BTreeSet<String>,
}

/// Every package of the workspace.
pub(crate) fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    metadata["packages"].as_array().expect("packages").iter().map(package).collect()
}

/// The root of the checkout.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn package(of: &Value) -> Package {
    let dependencies = of["dependencies"].as_array().expect("dependencies").iter();
    let targets = of["targets"].as_array().expect("targets").iter();
    let is_product = |target: &&Value| {
        target["kind"].as_array().expect("kinds").iter().any(|kind| kind == "lib" || kind == "bin")
    };
    Package {
        name: text(&of["name"]),
        manifest: text(&of["manifest_path"]).into(),
        roots: targets.filter(is_product).map(|target| text(&target["src_path"]).into()).collect(),
        dependencies: dependencies
            .filter(|dependency| dependency["kind"].is_null())
            .map(|dependency| text(&dependency["name"]))
            .collect(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}
