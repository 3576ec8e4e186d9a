//! A real containerd: start, pull, inspect, reset.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use loadtest::image::Image;

use super::options::{Options, own_mounts};
use super::release::{Release, SNAPSHOTTER};
use crate::clients::cri::Cri;
use crate::clients::hosts::HostsDir;
use crate::host::process::{Process, Ran, run};
use crate::host::scratch::Scratch;

impl Options {
    /// Starts a containerd with these options.
    pub async fn start(self, scratch: &Scratch) -> Containerd {
        let folder = scratch.folder("containerd");
        fs::write(folder.join("config.toml"), self.config(&folder)).expect("a configuration");
        let namespace = self.namespace();
        Containerd::launch(self.release, folder, namespace, self.entry).await
    }
}

/// A running containerd.
#[derive(Debug)]
pub struct Containerd {
    release: Release,
    folder: PathBuf,
    namespace: &'static str,
    /// The beginning of the daemon's command.
    entry: Vec<String>,
    process: Process,
}

impl Containerd {
    /// Starts a containerd with CRI off and otherwise its own defaults.
    pub async fn start(release: Release, scratch: &Scratch) -> Self {
        Self::options(release).start(scratch).await
    }

    /// The [`Options`] to start a containerd with.
    pub fn options(release: Release) -> Options {
        Options::new(release)
    }

    /// The version that the server reports.
    pub async fn version(&self) -> String {
        let text = self.ctr(&["version"]).await.ok();
        let server = text.split("Server:").nth(1).unwrap_or_default();
        let version = server.lines().find_map(|line| line.trim().strip_prefix("Version:"));
        version.expect("a version of the server").trim().to_owned()
    }

    /// Pulls and unpacks an image; `hosts` configures the addresses of registries.
    pub async fn pull(&self, image: &str, hosts: &HostsDir) -> Ran {
        self.pull_with(image, hosts, &[]).await
    }

    /// Like [`Self::pull`], with more arguments, for example `--user`, `name:secret`.
    pub async fn pull_with(&self, image: &str, hosts: &HostsDir, arguments: &[&str]) -> Ran {
        let hosts = hosts.path().display().to_string();
        let fixed = ["images", "pull", "--hosts-dir", &hosts, "--snapshotter", SNAPSHOTTER];
        self.ctr(&[&fixed, arguments, &[image]].concat()).await
    }

    /// Begins a pull that ends when the result is dropped.
    pub fn begin_pull(&self, image: &str, hosts: &HostsDir) -> Process {
        let mut command = Command::new(self.release.program("ctr"));
        self.address(&mut command).args(["images", "pull", "--hosts-dir"]).arg(hosts.path());
        command.args(["--snapshotter", SNAPSHOTTER, image]);
        Process::spawn("ctr", &mut command, &self.folder)
    }

    /// Fetches an image without unpacking it.
    pub async fn fetch(&self, image: &str, hosts: &HostsDir) -> Ran {
        let hosts = hosts.path().display().to_string();
        self.ctr(&["content", "fetch", "--hosts-dir", &hosts, image]).await
    }

    /// The files of an unpacked image: path without leading slash, and content.
    pub async fn files(&self, image: &str) -> BTreeMap<String, Bytes> {
        let mount = tempfile::tempdir_in(&self.folder).expect("a folder to mount on");
        let copy = tempfile::tempdir_in(&self.folder).expect("a folder to copy to");
        let script = r#""$@" >/dev/null && cp -a "$MOUNT/." "$COPY/" && umount "$MOUNT""#;
        let mut command = beginning(&own_mounts());
        command.args(["sh", "-ec", script, "sh"]).env("MOUNT", mount.path()).env("COPY", copy.path());
        self.address(command.arg(self.release.program("ctr")));
        command.args(["images", "mount", "--snapshotter", SNAPSHOTTER, image]).arg(mount.path());
        run(command).await.ok();
        let view = mount.path().display().to_string();
        // containerd 1.6 has removed the view already; later releases leave it.
        let _ = self.ctr(&["snapshots", "--snapshotter", SNAPSHOTTER, "rm", &view]).await;
        let mut files = BTreeMap::new();
        collect(copy.path(), copy.path(), &mut files);
        files
    }

    /// Removes an image with all its content, so that the next pull requests everything again.
    pub async fn forget(&self, image: &str) {
        self.ctr(&["images", "rm", "--sync", image]).await.ok();
    }

    /// The digests of all content in its store.
    pub async fn content(&self) -> Vec<String> {
        let listed = self.ctr(&["content", "ls", "--quiet"]).await.ok();
        listed.lines().map(str::to_owned).collect()
    }

    /// Restarts on empty folders, so that nothing of a broken pull is left.
    pub async fn reset(&mut self) {
        self.process.stop().await;
        for folder in ["root", "state"] {
            fs::remove_dir_all(self.folder.join(folder)).expect("containerd's folder to be removed");
        }
        self.start_again().await;
    }

    /// The CRI client, if the options turned CRI on. Panics if the plugin did not load.
    pub async fn cri(&self) -> Cri {
        Cri::ready(&self.socket()).await
    }

    /// Path of its configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.join("config.toml")
    }

    /// Path of its gRPC socket; with CRI on, the CRI is served there too.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("containerd.sock")
    }

    /// The log of the daemon.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The process that was started, which may not be the daemon itself but the command that starts it.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Starts the daemon again on its folders, after its end.
    pub(crate) async fn start_again(&mut self) {
        self.process = launch(self.release, &self.folder, &self.entry);
        self.ready().await;
    }

    /// Runs `ctr` of the same release against this daemon.
    pub async fn ctr(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(self.release.program("ctr"));
        self.address(&mut command).args(arguments);
        run(command).await
    }

    /// Adds the arguments by which `ctr` finds this containerd and its images.
    fn address<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.arg("--address").arg(self.socket()).args(["--namespace", self.namespace])
    }

    async fn launch(release: Release, folder: PathBuf, namespace: &'static str, entry: Vec<String>) -> Self {
        let process = launch(release, &folder, &entry);
        let mut containerd = Self { release, folder, namespace, entry, process };
        containerd.ready().await;
        containerd
    }

    async fn ready(&mut self) {
        let booted = |log: &str| log.contains("containerd successfully booted").then_some(());
        self.process.says("that it has booted", booted).await;
    }
}

/// The result that [`Containerd::files`] must give for an image; later layers win.
pub fn files_of(image: &Image) -> BTreeMap<String, Bytes> {
    image.files().into_iter().map(|file| (file.path, file.bytes)).collect()
}

fn launch(release: Release, folder: &Path, entry: &[String]) -> Process {
    let program = release.program("containerd");
    let mut command = beginning(entry);
    // containerd looks for its shim in PATH first, where the shim of another release may be.
    command.env("PATH", release.path());
    command.arg(program).arg("--config").arg(folder.join("config.toml"));
    Process::spawn("containerd", &mut command, folder)
}

/// A command that begins with these words.
fn beginning(words: &[String]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, Bytes>) {
    for entry in fs::read_dir(folder).expect("a folder of the image") {
        let entry = entry.expect("an entry of the image");
        let path = entry.path();
        if entry.file_type().expect("a file type").is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).expect("invariant: below the root").display().to_string();
            files.insert(name, fs::read(&path).expect("a file of the image").into());
        }
    }
}
