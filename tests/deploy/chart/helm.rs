//! Helm, and what it renders.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use support::parts;

use crate::files;

/// Both majors of Helm that are maintained.
pub(super) const HELMS: [&str; 2] = ["helm-3", "helm-4"];
pub(super) const CHART: &str = "deploy/chart";

/// The names of the files in `ci`: one for each way to install the chart that is supported.
pub(super) fn shapes() -> Vec<String> {
    let shapes: Vec<_> =
        files::names(&format!("{CHART}/ci")).iter().map(|name| name.replace(".yaml", "")).collect();
    assert!(shapes.len() > 8, "{shapes:?}");
    shapes
}

/// The file of a shape, from the chart's folder.
pub(super) fn file(shape: &str) -> String {
    format!("ci/{shape}.yaml")
}

/// Renders a shape.
pub(super) fn render(helm: &str, shape: &str) -> Vec<Value> {
    documents(&text(helm, &["--values", &file(shape)]))
}

/// Renders the chart with these arguments.
pub(super) fn render_with(helm: &str, arguments: &[&str]) -> Vec<Value> {
    documents(&text(helm, arguments))
}

/// What Helm says to values that it refuses.
pub(super) fn refusal(helm: &str, arguments: &[&str]) -> String {
    let output = template(helm, arguments);
    assert!(!output.status.success(), "{helm} accepts {arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The text of all documents.
pub(super) fn text(helm: &str, arguments: &[&str]) -> String {
    let output = template(helm, arguments);
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{helm} {arguments:?}: {stderr}");
    stdout.into_owned()
}

/// Runs Helm in the chart's folder.
pub(super) fn run(helm: &str, arguments: &[&str]) -> String {
    let program = parts::unpacked(helm, "helm");
    files::run(&folder(), program.to_str().unwrap(), arguments)
}

/// The object of a kind with a name.
pub(super) fn object<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name} among {:#?}", names(objects)))
}

/// Kind and name of each object, sorted.
pub(super) fn names(objects: &[Value]) -> Vec<String> {
    let name = |object: &Value| {
        format!(
            "{} {}",
            object["kind"].as_str().unwrap_or_default(),
            object["metadata"]["name"].as_str().unwrap_or_default()
        )
    };
    let mut names: Vec<_> = objects.iter().map(name).collect();
    names.sort();
    names
}

fn template(helm: &str, arguments: &[&str]) -> Output {
    let fixed = ["template", "pullgate", ".", "--namespace", "pullgate"];
    let mut command = Command::new(parts::unpacked(helm, "helm"));
    command.current_dir(folder()).args(fixed).args(arguments).output().unwrap()
}

fn documents(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

fn folder() -> impl AsRef<Path> + std::ops::Deref<Target = Path> {
    files::path(CHART)
}
