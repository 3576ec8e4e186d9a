//! Skopeo: it fills registries from image layouts, and pulls with the same library as CRI-O.

use std::path::{Path, PathBuf};
use std::process::Command;

use loadtest::image::Image;

use crate::host::parts;
use crate::host::process::{Ran, run};
use crate::host::scratch::Scratch;

/// Skopeo with its own settings; it reads no settings of the user.
#[derive(Debug)]
pub struct Skopeo {
    home: PathBuf,
    policy: PathBuf,
    registries: PathBuf,
}

impl Skopeo {
    /// A skopeo with an empty `registries.conf`.
    pub fn new(scratch: &Scratch) -> Self {
        Self::with_registries(scratch, "")
    }

    /// A skopeo with this `registries.conf`, which may contain a mirror.
    pub fn with_registries(scratch: &Scratch, registries: &str) -> Self {
        let home = scratch.folder("skopeo");
        let write = |name: &str, text: &str| {
            let path = home.join(name);
            std::fs::write(&path, text).expect("skopeo's settings");
            path
        };
        let policy = write("policy.json", r#"{"default": [{"type": "insecureAcceptAnything"}]}"#);
        let registries = write("registries.conf", registries);
        std::fs::create_dir(home.join("registries.d")).expect("a folder for signature settings");
        Self { home, policy, registries }
    }

    /// Pushes an image to `name` (`127.0.0.1:5000/library/app:1`), byte for byte.
    pub async fn push(&self, image: &Image, name: &str) -> Ran {
        let layout = tempfile::tempdir_in(&self.home).expect("a folder for a layout");
        image.write_layout(layout.path(), "pushed").expect("a layout on disk");
        self.push_layout(layout.path(), "pushed", name).await
    }

    /// Pushes the image that an OCI layout lists as `tag`.
    pub async fn push_layout(&self, layout: &Path, tag: &str, image: &str) -> Ran {
        self.copy(&format!("oci:{}:{tag}", layout.display()), &format!("docker://{image}"), &[]).await
    }

    /// Pulls `image` into a new OCI layout, under the tag `pulled`.
    pub async fn pull(&self, image: &str, layout: &Path) -> Ran {
        self.copy(&format!("docker://{image}"), &format!("oci:{}:pulled", layout.display()), &[]).await
    }

    /// Copies between any two transports, with more arguments.
    pub async fn copy(&self, from: &str, to: &str, arguments: &[&str]) -> Ran {
        let mut command = self.command();
        command.args(["copy", "--all", "--preserve-digests"]);
        command.args(["--src-tls-verify=false", "--dest-tls-verify=false"]).args(arguments);
        run(command_with(command, &[from, to])).await
    }

    /// The manifest as the registry returns it.
    pub async fn manifest(&self, image: &str) -> Ran {
        let image = format!("docker://{image}");
        run(command_with(self.command(), &["inspect", "--tls-verify=false", "--raw", &image])).await
    }

    fn command(&self) -> Command {
        let mut command = Command::new(parts::installed("skopeo"));
        command.arg("--policy").arg(&self.policy).arg("--registries.d").arg(self.home.join("registries.d"));
        // Only this hidden option sets the file: skopeo does not read the variable that podman and buildah read.
        command.arg("--registries-conf").arg(&self.registries);
        command.env("HOME", &self.home).env("XDG_RUNTIME_DIR", &self.home).env("TMPDIR", &self.home);
        command
    }
}

fn command_with(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments);
    command
}
