//! Shared code of the tests: configurations, a node with pullgate between it and its registry, and counts of answers.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use loadtest::image::{Blob, Image};
use loadtest::registry::{Registry, Rule};
use serde_json::Value;
use support::containerd::Options;
use support::pullgate::command;
use support::{Containerd, DockerRegistry, HostsDir, Pullgate, Ran, Scratch, Skopeo, files_of, wait_until};

/// The binary under test.
pub(crate) const BIN: &str = env!("CARGO_BIN_EXE_pullgate");
/// A registry name for image names. No name server knows it: only configurations contain its address.
pub(crate) const REGISTRY: &str = "registry.test";
/// The repository and tag of every test that needs only one image.
pub(crate) const APP: &str = "library/app:1";

/// A configuration without upstreams: listeners on any free port, and a cache in the scratch folder.
pub(crate) fn config(scratch: &Scratch) -> String {
    format!(
        "builtin_upstreams = false\nadmin.listen = \"127.0.0.1:0\"\nprober.reach = false\n\
         [proxy]\nlisten = \"127.0.0.1:0\"\ncache.dir = {:?}\n",
        cache(scratch)
    )
}

/// The cache folder of [`config`].
pub(crate) fn cache(scratch: &Scratch) -> PathBuf {
    scratch.path().join("cache")
}

/// The section of an upstream on loopback whose tags are checked at every request. More keys may follow it.
pub(crate) fn upstream(id: &str, registry: &str, url: &str) -> String {
    upstream_of_lasting_tags(id, registry, url) + "tag_max_age = \"1ms\"\n"
}

/// Like [`upstream`], but its tags stay fresh for the default time.
pub(crate) fn upstream_of_lasting_tags(id: &str, registry: &str, url: &str) -> String {
    format!(
        "[upstreams.{id}]\nregistry = {registry:?}\nendpoints = [{url:?}]\naddresses = [\"127.0.0.0/8\"]\n"
    )
}

/// Pullgate in front of one upstream, under the name [`REGISTRY`].
pub(crate) async fn pullgate(scratch: &Scratch, url: &str) -> Pullgate {
    Pullgate::start(BIN, scratch, &(config(scratch) + &upstream("test", REGISTRY, url))).await
}

/// A docker-registry that holds the image as [`APP`].
pub(crate) async fn registry_with(scratch: &Scratch, image: &Image) -> DockerRegistry {
    let registry = DockerRegistry::start(scratch).await;
    Skopeo::new(scratch).push(image, &registry.image(APP)).await.ok();
    registry
}

/// A containerd that pulls [`REGISTRY`] from pullgate, and from the upstream directly if pullgate fails.
pub(crate) struct Node {
    pub(crate) containerd: Containerd,
    pub(crate) hosts: HostsDir,
    pub(crate) pullgate: Pullgate,
    pub(crate) upstream: DockerRegistry,
    image: Image,
    scratch: Scratch,
}

impl Node {
    /// Starts everything; no image is pulled yet.
    pub(crate) async fn start(options: Options, image: Image) -> Self {
        let scratch = Scratch::new();
        let upstream = registry_with(&scratch, &image).await;
        let pullgate = pullgate(&scratch, &upstream.url()).await;
        let hosts = HostsDir::new(&scratch);
        hosts.mirror(REGISTRY, &pullgate.url(), &upstream.url());
        let containerd = options.start(&scratch).await;
        Self { containerd, hosts, pullgate, upstream, image, scratch }
    }

    /// The folder of the test.
    pub(crate) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// The cache folder of pullgate.
    pub(crate) fn cache(&self) -> PathBuf {
        cache(&self.scratch)
    }

    /// Digest and size of each blob of the image.
    pub(crate) fn blobs(&self) -> Vec<(String, u64)> {
        self.image.blobs().map(|blob| (blob.digest.clone(), blob.bytes.len() as u64)).collect()
    }

    /// Pulls, and compares the unpacked files with what was pushed.
    pub(crate) async fn pull(&self) {
        self.pull_as(&format!("{REGISTRY}/{APP}")).await;
    }

    /// Like [`Self::pull`], under another name.
    pub(crate) async fn pull_as(&self, name: &str) {
        self.containerd.pull(name, &self.hosts).await.ok();
        assert_eq!(self.containerd.files(name).await, files_of(&self.image));
    }

    /// The number of requests that the upstream received from containerd directly.
    pub(crate) fn direct_requests(&self) -> usize {
        self.upstream.requests().iter().filter(|asked| asked.user_agent.starts_with("containerd")).count()
    }

    /// Checks that the upstream sent each blob of the image once and whole, and no other blob.
    pub(crate) fn each_blob_left_the_upstream_once(&self) {
        each_left_once(&self.upstream, self.image.blobs());
    }
}

/// See [`Node::each_blob_left_the_upstream_once`].
pub(crate) fn each_left_once<'a>(upstream: &DockerRegistry, blobs: impl Iterator<Item = &'a Blob>) {
    let mut sent: Vec<(String, u64)> = Vec::new();
    for asked in upstream.requests() {
        if let ("GET", Some((_, digest))) = (asked.method.as_str(), asked.path.rsplit_once("/blobs/")) {
            sent.push((digest.to_owned(), asked.bytes));
        }
    }
    let mut held: Vec<_> = blobs.map(|blob| (blob.digest.clone(), blob.bytes.len() as u64)).collect();
    sent.sort();
    held.sort();
    assert_eq!(sent, held);
}

/// Runs the rest of the test named `name` again in its own mount namespace, where mounts are visible only to it and
/// its children and end with it; there this function returns `false`.
pub(crate) async fn own_mounts(name: &str) -> bool {
    own_namespaces(name, &[]).await
}

/// Like [`own_mounts`], with more namespaces of its own, as options of `unshare`.
pub(crate) async fn own_namespaces(name: &str, more: &[&str]) -> bool {
    if std::env::var_os(OWN_MOUNTS).is_some() {
        return false;
    }
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount"]).args(more);
    command.arg(std::env::current_exe().unwrap()).args(["--exact", name, "--nocapture"]);
    command.env(OWN_MOUNTS, "yes");
    let ran = support::run(command).await;
    assert!(ran.succeeded() && ran.stdout().contains("1 passed"), "{ran}");
    true
}

/// Environment variable that is set inside [`own_mounts`].
const OWN_MOUNTS: &str = "PULLGATE_TEST_OWN_MOUNTS";

/// The answers of pullgate to requests for content so far.
#[derive(Clone, Debug)]
pub(crate) struct Answers(BTreeMap<(String, String), u64>);

impl Answers {
    /// Reads the counts from the metrics.
    pub(crate) async fn of(pullgate: &Pullgate) -> Self {
        let mut answers = BTreeMap::new();
        for series in pullgate.metrics().await.series() {
            if series.name == "pullgate_proxy_requests_total" && series.labels["kind"] != "ping" {
                let key = (series.labels["kind"].clone(), series.labels["outcome"].clone());
                *answers.entry(key).or_default() += series.value as u64;
            }
        }
        Self(answers)
    }

    /// The answers after `earlier`, by kind and outcome, without zeros.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let more = |(key, count): (&(String, String), &u64)| {
            let more = count - earlier.0.get(key).copied().unwrap_or_default();
            (more > 0).then(|| (key.clone(), more))
        };
        Self(self.0.iter().filter_map(more).collect())
    }

    /// The number of answers of this kind (`manifest`, `blob`).
    pub(crate) fn of_kind(&self, kind: &str) -> u64 {
        self.0.iter().filter(|((of, _), _)| of == kind).map(|(_, count)| count).sum()
    }

    /// Every outcome that occurred.
    pub(crate) fn outcomes(&self) -> Vec<&str> {
        let mut outcomes: Vec<_> = self.0.keys().map(|(_, outcome)| outcome.as_str()).collect();
        outcomes.sort_unstable();
        outcomes.dedup();
        outcomes
    }
}

/// Pulls an image as a client does and compares every byte: first the tag, then everything it refers to.
pub(crate) async fn pull_by_hand(pullgate: &Pullgate, image: &Image) {
    let get = |path: String| pullgate.get(&format!("/v2/{path}?ns={REGISTRY}")).send();
    let manifest = get("library/app/manifests/1".to_owned()).await;
    assert_eq!(
        (manifest.status.as_u16(), &manifest.body),
        (200, &image.manifest.bytes),
        "{}",
        manifest.text()
    );
    for blob in image.blobs() {
        let got = get(format!("library/app/blobs/{}", blob.digest)).await;
        assert!(
            got.is_whole() && got.body == blob.bytes,
            "{} {:?}",
            got.status,
            got.header("x-pullgate-class")
        );
    }
}

/// Pullgate with the most verbose log, and with programs of the scratch folder in its search path.
pub(crate) fn talkative(scratch: &Scratch) -> PathBuf {
    let script = format!("PATH=\"{}:$PATH\" RUST_LOG=trace exec {BIN:?} \"$@\"", scratch.path().display());
    program(scratch, "talkative-pullgate", &script)
}

/// Writes a shell script into the scratch folder and makes it executable.
pub(crate) fn program(scratch: &Scratch, name: &str, body: &str) -> PathBuf {
    let path: PathBuf = scratch.file(name, &format!("#!/bin/sh\n{body}\n"));
    executable(&path);
    path
}

fn executable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The file of a blob in the cache folder.
pub(crate) fn file_of(scratch: &Scratch, digest: &str) -> PathBuf {
    let hex = digest.strip_prefix("sha256:").unwrap();
    cache(scratch).join("v1/blobs/sha256").join(&hex[..2]).join(hex)
}

/// Number of tag records in the cache folder.
pub(crate) fn tags(scratch: &Scratch) -> usize {
    let tags = cache(scratch).join("v1/tags");
    if tags.exists() { files_below(&tags).len() } else { 0 }
}

/// Every regular file below a folder; the control socket is not one.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The records of one instance, read by the command.
pub(crate) struct Records {
    config: String,
}

impl Records {
    /// The record file in this cache folder.
    pub(crate) fn of(scratch: &Scratch, cache: PathBuf) -> Self {
        let text = format!("[records]\nfile = {:?}\n", cache.join("records.db"));
        Self { config: scratch.file("pulls.toml", &text).display().to_string() }
    }

    /// The configuration file that names the record file.
    pub(crate) fn config(&self) -> &str {
        &self.config
    }

    /// Runs `pullgate pulls` with these arguments.
    pub(crate) async fn ask(&self, arguments: &[&str]) -> Ran {
        command(BIN, &[&["pulls", "--config", &self.config], arguments].concat()).await
    }

    /// The pulls that pass these filters, the newest first.
    pub(crate) async fn pulls(&self, filters: &[&str]) -> Vec<Value> {
        let lines = self.ask(&[&["-o", "json"], filters].concat()).await.ok();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A pull with its objects.
    pub(crate) async fn show(&self, pull: &Value) -> Value {
        let shown = self.ask(&["show", pull["id"].as_str().unwrap(), "-o", "json"]).await.ok();
        serde_json::from_str(&shown).unwrap()
    }

    /// The pulls, once there are so many: a record is written when its client has gone quiet.
    pub(crate) async fn when(&self, number: usize) -> Vec<Value> {
        wait_until(&format!("{number} records"), RECORDED, || async {
            let ran = self.ask(&["-o", "json"]).await;
            let lines = ran.stdout().lines().count();
            (ran.succeeded() && lines >= number).then_some(())
        })
        .await;
        let pulls = self.pulls(&[]).await;
        assert_eq!(pulls.len(), number, "{pulls:#?}");
        pulls
    }
}

/// Longer than the time after which a quiet client has finished its pull.
const RECORDED: Duration = Duration::from_secs(30);

/// Pullgate after `pulls` pulls of [`APP`] and one that failed because the registry had begun to answer 503. `more` is
/// configuration at the top level.
pub(crate) async fn after_pulls(
    scratch: &Scratch,
    image: &Image,
    pulls: usize,
    more: &str,
) -> (Registry, Pullgate, Records) {
    let registry = Registry::start().await.unwrap();
    registry.add_image("library/app", "1", image);
    let text = config(scratch).replace("prober.reach", &format!("{more}prober.reach"));
    let pullgate =
        Pullgate::start(BIN, scratch, &(text + &upstream("test", REGISTRY, &registry.url()))).await;
    let records = Records::of(scratch, cache(scratch));
    for count in 1..=pulls {
        pull_by_hand(&pullgate, image).await;
        records.when(count).await;
    }
    registry.fault(Rule::manifest().unavailable(503));
    let missing = pullgate.get(&format!("/v2/library/none/manifests/1?ns={REGISTRY}")).send().await;
    assert_eq!(missing.status.as_u16(), 503);
    records.when(pulls + 1).await;
    (registry, pullgate, records)
}
