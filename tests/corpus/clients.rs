//! The clients whose texts are collected.

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Containerd, HostsDir, Ran, Release, Scratch, parts, run};

use crate::world::{Fault, Needs, World};

/// A client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// containerd, by its CRI.
    Containerd(Release),
    /// skopeo.
    Skopeo,
    /// crane, of go-containerregistry.
    Crane,
    /// oras.
    Oras,
}

/// A client that is ready to pull.
pub(crate) enum Puller {
    /// A running containerd, asked as the kubelet asks it.
    Containerd(Box<Containerd>, Scratch),
    /// A program, with a folder for its settings and results.
    Program(Client, Scratch),
}

impl Client {
    /// The name of its file in the corpus.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Containerd(Release::System) => "containerd-1.6",
            Self::Containerd(Release::V1_7) => "containerd-1.7",
            Self::Containerd(Release::V2) => "containerd-2",
            Self::Skopeo => "skopeo",
            Self::Crane => "crane",
            Self::Oras => "oras",
        }
    }

    /// False for faults that the client does not fail from, or for which it would wait longer than a test may take.
    pub(crate) fn can_meet(self, fault: &Fault) -> bool {
        match fault.needs {
            // crane repeats what is not an answer for seconds, and asks again without TLS.
            Needs::Nothing => true,
            // The others unpack nothing, and so need no manifest of one platform, or read schema 1.
            Needs::Platform => matches!(self, Self::Containerd(_)),
            Needs::Verification => self != Self::Crane || !fault.name.starts_with("tls-plain"),
            // skopeo and crane repeat a 429 and a 5xx for half a minute, oras for longer.
            Needs::NoRetry => matches!(self, Self::Containerd(_)),
            Needs::Mirror => matches!(self, Self::Containerd(_)),
            // oras and crane of these versions do not resume or compare a broken layer when they only fetch it.
            Needs::Layers => matches!(self, Self::Containerd(_) | Self::Skopeo | Self::Crane),
        }
    }

    /// Starts the client.
    pub(crate) async fn start(self, world: &World) -> Puller {
        let scratch = Scratch::new();
        match self {
            Self::Containerd(release) => {
                let hosts = HostsDir::new(&scratch);
                world.write_hosts(&hosts);
                let containerd = Containerd::options(release).cri(&hosts).start(&scratch).await;
                Puller::Containerd(Box::new(containerd), scratch)
            }
            _ => Puller::Program(self, scratch),
        }
    }
}

impl Puller {
    /// Pulls the image of the fault, and returns what the client says about the failure.
    pub(crate) async fn fail(&self, fault: &Fault) -> String {
        match self {
            Self::Containerd(containerd, _) => {
                let answer = containerd.cri().await.pull(&fault.image, None).await;
                let status = answer.expect_err(fault.name);
                // The kubelet prints the error of the call like this, and leaves the code out if it is Unknown.
                let wrapper =
                    format!("rpc error: code = {:?} desc = ", status.code()).replace("Cancelled", "Canceled");
                let wrapper = if wrapper.contains("Unknown") { "" } else { &wrapper };
                format!("Failed to pull image \"{}\": {wrapper}{}", fault.image, status.message())
            }
            Self::Program(client, scratch) => pull(*client, fault, scratch).await.failed().trim().to_owned(),
        }
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        match self {
            Self::Containerd(_, scratch) | Self::Program(_, scratch) => scratch.path(),
        }
    }

    /// The client's name with its version.
    pub(crate) async fn version(&self) -> String {
        match self {
            Self::Containerd(containerd, ..) => format!("containerd {}", containerd.version().await),
            Self::Program(Client::Skopeo, _) => said(parts::installed("skopeo"), &["--version"]).await,
            Self::Program(Client::Crane, _) => {
                format!("crane {}", said(parts::unpacked("crane", "crane"), &["version"]).await)
            }
            Self::Program(..) => {
                let said = said(parts::unpacked("oras", "oras"), &["version"]).await;
                format!("oras {}", said.lines().next().unwrap_or_default().replace("Version:", "").trim())
            }
        }
    }
}

async fn said(program: PathBuf, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments);
    run(command).await.ok().trim().to_owned()
}

async fn pull(client: Client, fault: &Fault, scratch: &Scratch) -> Ran {
    let verifies = fault.needs == Needs::Verification;
    let target = scratch.folder("pulled").join(fault.name).display().to_string();
    let mut command = match client {
        Client::Crane => {
            let mut command = Command::new(parts::unpacked("crane", "crane"));
            command.args(["pull", &fault.image, &target]);
            command
        }
        Client::Oras => {
            let mut command = Command::new(parts::unpacked("oras", "oras"));
            command.args(["manifest", "fetch"]);
            if !verifies {
                command.arg("--plain-http");
            }
            command.arg(&fault.image);
            command
        }
        _ => {
            let policy = scratch.file("policy.json", r#"{"default": [{"type": "insecureAcceptAnything"}]}"#);
            let mut command = Command::new(parts::installed("skopeo"));
            command.arg("--policy").arg(policy).args(["copy", &format!("--src-tls-verify={verifies}")]);
            command.args([&format!("docker://{}", fault.image), &format!("dir:{target}")]);
            command
        }
    };
    let home = scratch.path();
    command.env("HOME", home).env("XDG_RUNTIME_DIR", home).env("TMPDIR", home).env("DOCKER_CONFIG", home);
    run(command).await
}
