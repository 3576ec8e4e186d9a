//! The container image: packed reproducibly, pushed, pulled and run by containerd; and the chart as an OCI artifact.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use support::{Containerd, DockerRegistry, HostsDir, Release, Scratch, parts, run};

use crate::files;

/// `make dist` sets it to the release's static binary. Without it, a small static program stands in for pullgate, because
/// the tests' own binary needs a C library that the image does not have.
const BINARY: &str = "PULLGATE_BINARY";

#[tokio::test]
async fn an_image_is_the_same_bytes_each_time_and_containerd_unpacks_it() {
    let scratch = Scratch::new();
    let binary = binary(&scratch);
    let [first, second] = ["first.tar", "second.tar"].map(|name| pack(&binary, &scratch, name));
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap(), "two runs differ");
    let registry = DockerRegistry::start(&scratch).await;
    let image = registry.image("pullgate/pullgate:0.1.0");

    push(&first, &image).await;

    let containerd = Containerd::start(Release::V2, &scratch).await;
    let hosts = HostsDir::new(&scratch);
    hosts.only(&registry.address(), &registry.url());
    containerd.pull(&image, &hosts).await.ok();
    let files = containerd.files(&image).await;
    assert_eq!(files["pullgate"], fs::read(&binary).unwrap());
    assert!(files.contains_key("etc/ssl/certs/ca-certificates.crt"));
    assert_eq!(files.len(), 4, "{:?}", files.keys());
    let said = files::run(scratch.path(), binary.to_str().unwrap(), &["--version"]);
    assert_eq!(said, format!("pullgate {}\n", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn an_image_names_its_source_its_time_and_a_user_without_rights() {
    let scratch = Scratch::new();
    let archive = pack(&binary(&scratch), &scratch, "image.tar");
    let reference = format!("oci-archive:{}", archive.display());
    let skopeo = parts::installed("skopeo");
    let config = files::run(scratch.path(), skopeo.to_str().unwrap(), &["inspect", "--config", &reference]);
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["created"], "2026-01-02T03:04:05Z");
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/pullgate"]));
    let labels = &config["config"]["Labels"];
    assert_eq!(labels["org.opencontainers.image.created"], "2026-01-02T03:04:05Z");
    assert_eq!(labels["org.opencontainers.image.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(labels["org.opencontainers.image.licenses"], "Apache-2.0");
}

#[test]
fn a_binary_that_needs_a_loader_is_refused() {
    let scratch = Scratch::new();
    let out = scratch.path().join("image.tar");
    let mut build = Command::new(files::path("deploy/image/build"));
    let output = build.args([parts::installed("cc"), out.clone()]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("dynamic loader"));
    assert!(!out.exists());
}

#[tokio::test]
async fn the_chart_is_pushed_and_pulled_as_an_oci_artifact() {
    for helm in ["helm-3", "helm-4"] {
        let scratch = Scratch::new();
        let registry = DockerRegistry::start(&scratch).await;
        let program = parts::unpacked(helm, "helm");
        let helm = |arguments: &[&str]| files::run(scratch.path(), program.to_str().unwrap(), arguments);
        let chart = files::path("deploy/chart");
        helm(&["package", chart.to_str().unwrap()]);
        let repository = format!("oci://{}/charts", registry.address());
        helm(&["push", "pullgate-0.1.0.tgz", &repository, "--plain-http"]);
        let from = format!("{repository}/pullgate");
        let objects =
            helm(&["template", "pullgate", &from, "--version", "0.1.0", "--plain-http", "-n", "pullgate"]);
        assert!(objects.contains("kind: StatefulSet"), "{objects}");
        let listed = files::run(scratch.path(), "tar", &["tzf", "pullgate-0.1.0.tgz"]);
        assert!(!listed.contains("/ci/") && listed.contains("files/rules.yaml"), "{listed}");
    }
}

async fn push(archive: &std::path::Path, image: &str) {
    let mut skopeo = Command::new(parts::installed("skopeo"));
    skopeo.args(["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]);
    skopeo.arg(format!("oci-archive:{}", archive.display())).arg(format!("docker://{image}"));
    run(skopeo).await.ok();
}

fn pack(binary: &std::path::Path, scratch: &Scratch, name: &str) -> PathBuf {
    let out = scratch.path().join(name);
    let mut build = Command::new(files::path("deploy/image/build"));
    let build = build.arg(binary).arg(&out).env("SOURCE_DATE_EPOCH", "1767323045").output().unwrap();
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    out
}

fn binary(scratch: &Scratch) -> PathBuf {
    if let Some(binary) = std::env::var_os(BINARY) {
        return binary.into();
    }
    let source =
        scratch.file("pullgate.c", "int puts(const char *); int main() { puts(\"pullgate 0.1.0\"); }\n");
    let program = scratch.path().join("pullgate");
    let output =
        Command::new(parts::installed("cc")).arg("-static").arg("-o").arg(&program).arg(source).output();
    assert!(output.unwrap().status.success(), "cc");
    program
}
