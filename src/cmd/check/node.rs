//! `pullgate check node`: finds what makes a node's pulls go around the mirror without a message.
//!
//! It asks the mirror, asks containerd for its version and effective configuration, reads the files that containerd
//! would read, and, with `--image`, pulls through the runtime and looks for the requests at the mirror.

use std::path::Path;
use std::process::Command;

use node::check::hosts::Folder;
use node::check::{Runtime, Version};
use node::files::{self, Change, Root};
use node::render::{CERTS_D, render};
use node::{Code, Finding, Setup};

use super::pull::through_runtime;
use crate::cli::{CheckNode, Output};
use crate::cmd::findings::printed;
use crate::cmd::mirror::setup::{ask, setup};
use crate::process::exit::Exit;
use crate::process::log;

/// Checks the node and prints the findings.
pub(crate) async fn node(config: &config::Config, asked: &CheckNode, output: Output) -> Exit {
    let setup = match setup(config, &asked.wanted) {
        Ok(setup) => setup,
        Err(error) => {
            log::failure(&error.to_string());
            return Exit::Usage;
        }
    };
    let mut findings = found(config, &setup, asked).await;
    findings.retain(|finding| !asked.suppress.iter().any(|code| code == finding.code.as_str()));
    if findings.is_empty() && output == Output::Text {
        let (count, mirror) = (setup.registries.len(), setup.mirror.url.as_str());
        println!("✓ nothing found: {count} registries go through {mirror}");
        return Exit::Fine;
    }
    printed(&findings, output)
}

async fn found(config: &config::Config, setup: &Setup, asked: &CheckNode) -> Vec<Finding> {
    let mut findings = match ask(setup, &asked.place.root).await {
        Ok(findings) => findings,
        Err(error) => vec![Finding::new(Code::CaMissing, setup.mirror.url.as_str(), error.to_string())],
    };
    match asked.wanted.target.has_certs_d() {
        true => findings.extend(containerd(setup, asked)),
        false => findings.extend(own_files(setup, asked)),
    }
    if let Some(image) = &asked.image {
        match through_runtime(config, &asked.effect, image).await {
            Ok(pulled) => findings.extend(pulled.finding),
            Err(finding) => findings.push(finding),
        }
    }
    findings
}

/// The configuration of containerd, and the folder of each registry.
fn containerd(setup: &Setup, asked: &CheckNode) -> Vec<Finding> {
    let default = asked.place.root.join("etc/containerd/config.toml");
    let file = asked.containerd_config.as_ref().unwrap_or(&default);
    let (runtime, mut findings) = match runtime(&asked.containerd, file) {
        Ok(runtime) => {
            let findings = runtime.findings(&file.display().to_string());
            (runtime, findings)
        }
        Err(seen) => {
            let about = asked.containerd.display().to_string();
            (Runtime::default(), vec![Finding::new(Code::RuntimeUnknown, about, seen)])
        }
    };
    let root = &asked.place.root;
    let on_node = |path: &str| root.join(path.trim_start_matches('/'));
    let folder = runtime.folders().first().copied().unwrap_or(CERTS_D);
    for registry in &setup.registries {
        let used = Folder::find(&on_node(folder), registry);
        let exists = |path: &str| on_node(path).exists();
        findings.extend(used.findings(registry, &setup.mirror, runtime.version, &exists));
    }
    // The same for every file: once is enough.
    let mut ignored = findings.iter().filter(|finding| finding.code == Code::DialTimeoutIgnored).cloned();
    let first = ignored.next();
    findings.retain(|finding| finding.code != Code::DialTimeoutIgnored);
    findings.extend(first);
    findings
}

/// Asks the program for the configuration that takes effect; without a usable program, reads the file.
fn runtime(program: &Path, file: &Path) -> Result<Runtime, String> {
    let version = output(program, &["--version"]).ok().and_then(|line| Version::read(&line));
    let path = file.display().to_string();
    let dumped = match file.exists() {
        true => output(program, &["--config", &path, "config", "dump"]),
        false => output(program, &["config", "default"]),
    };
    let text = match dumped {
        Ok(text) => text,
        Err(why) => std::fs::read_to_string(file).map_err(|error| format!("{why}; {path}: {error}"))?,
    };
    Runtime::read(version, &text).map_err(|error| format!("{path}: {error}"))
}

fn output(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let ran = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    if !ran.status.success() {
        return Err(format!(
            "{} {}: {}",
            program.display(),
            arguments.join(" "),
            String::from_utf8_lossy(&ran.stderr).trim()
        ));
    }
    String::from_utf8(ran.stdout).map_err(|error| error.to_string())
}

/// Runtimes whose files are wholly ours: what `node apply` would change is missing.
fn own_files(setup: &Setup, asked: &CheckNode) -> Vec<Finding> {
    let root = Root::new(asked.place.root.clone(), asked.place.state.clone());
    let lines = match files::preview(&root, asked.wanted.target, &render(setup, asked.wanted.target)) {
        Ok(lines) => lines,
        Err(error) => {
            return vec![Finding::new(Code::RuntimeUnknown, asked.wanted.target.as_str(), error.to_string())];
        }
    };
    let one = |line: &files::Line| {
        let about = line.path.display().to_string();
        match (line.change, &line.left) {
            (Change::Unchanged, _) => None,
            (_, Some(why)) => Some(Finding::new(why.code(), about, why.to_string())),
            (Change::Written, None) => Some(Finding::new(Code::NoFile, about, "the file does not exist")),
            (_, None) => Some(Finding::new(
                Code::OtherMirror,
                about,
                "the file has another content than `node apply` would write",
            )),
        }
    };
    lines.iter().filter_map(one).collect()
}
