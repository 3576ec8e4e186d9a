//! A registry with an image, a mirror in front of it, and the root of a node.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use loadtest::image::Image;
use support::ports::Port;
use support::pullgate::command;
use support::{DockerRegistry, HostsDir, Metrics, Pullgate, Ran, Scratch, Skopeo};

pub(crate) const BIN: &str = env!("CARGO_BIN_EXE_pullgate");
pub(crate) const NODE: &str = "worker-3";

/// A registry with the images `org/app:1` and `org/app:2`, a mirror that serves it, and a node's root with other
/// people's files in it.
pub(crate) struct Site {
    pub(crate) mirror: Pullgate,
    pub(crate) registry: DockerRegistry,
    /// The configuration that the commands read.
    pub(crate) config: PathBuf,
    pub(crate) root: PathBuf,
    pub(crate) scratch: Scratch,
    _port: Port,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| String::new()).await
    }

    /// With more keys of `[proxy]`, which may name files in the scratch folder.
    pub(crate) async fn start_with(keys: impl Fn(&Scratch) -> String) -> Self {
        let scratch = Scratch::new();
        let registry = DockerRegistry::start(&scratch).await;
        for (tag, seed) in [("1", 1), ("2", 2)] {
            let image = Image::with_layers(seed, &[100_000, 2_000]);
            Skopeo::new(&scratch).push(&image, &registry.image(&format!("org/app:{tag}"))).await.ok();
        }
        let port = Port::lease();
        let text = format!(
            "builtin_upstreams = false\nadmin.listen = \"127.0.0.1:0\"\nprober.reach = false\n\
             [proxy]\nlisten = {:?}\ncache.dir = {:?}\n{}\
             [upstreams.test]\nregistry = {:?}\nendpoints = [{:?}]\naddresses = [\"127.0.0.0/8\"]\n",
            port.address(),
            scratch.path().join("cache"),
            keys(&scratch),
            registry.address(),
            registry.url(),
        );
        let mirror = Pullgate::start(BIN, &scratch, &text).await;
        let config = scratch.file("node.toml", &text);
        let root = root(&scratch);
        Self { mirror, registry, config, root, scratch, _port: port }
    }

    /// Runs a command of pullgate with the site's configuration.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        let config = ["--config", self.config.to_str().unwrap()];
        command(BIN, &[arguments, &config].concat()).await
    }

    /// Runs `pullgate node VERB` below the site's root.
    pub(crate) async fn node(&self, verb: &str, arguments: &[&str]) -> Ran {
        let root = ["node", verb, "--root", self.root.to_str().unwrap()];
        self.run(&[&root, arguments].concat()).await
    }

    pub(crate) fn certs_d(&self) -> HostsDir {
        HostsDir::at(self.root.join("etc/containerd/certs.d"))
    }

    /// The file that sends the site's registry to the mirror.
    pub(crate) fn hosts_toml(&self) -> PathBuf {
        let folder = self.registry.address().replace(':', "_") + "_";
        self.certs_d().path().join(folder).join("hosts.toml")
    }

    /// Waits until the mirror has counted so many answers for the registry; fails the test if it does not.
    pub(crate) async fn mirrored(&self, count: usize) {
        let (name, registry) = ("pullgate_proxy_requests_total", self.registry.address());
        let enough = |series: &Metrics| series.sum(name, &[("registry", &registry)]) >= count as f64;
        self.mirror.metrics_when("the mirror to be asked", enough).await;
    }

    /// The number of containerd's own requests that the registry has answered.
    pub(crate) fn direct(&self) -> usize {
        self.registry.requests().iter().filter(|request| request.user_agent.contains("containerd")).count()
    }
}

/// A node's root that other people configured too.
fn root(scratch: &Scratch) -> PathBuf {
    let root = scratch.folder("root");
    for folder in ["var/lib", "etc/containerd/certs.d/other.test", "etc/docker"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::write(root.join("etc/containerd/certs.d/other.test/hosts.toml"), "server = \"https://other.test\"\n")
        .unwrap();
    fs::write(root.join("etc/docker/daemon.json"), "{\n  \"log-driver\": \"journald\"\n}\n").unwrap();
    fs::set_permissions(root.join("etc/docker/daemon.json"), fs::Permissions::from_mode(0o640)).unwrap();
    root
}

/// Every path below a folder with its mode and its bytes; no bytes for a folder.
pub(crate) fn tree(root: &Path) -> BTreeMap<PathBuf, (u32, Option<Vec<u8>>)> {
    let mut tree = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let found = path.symlink_metadata().unwrap();
            let bytes = found.is_file().then(|| fs::read(&path).unwrap());
            tree.insert(path.clone(), (found.permissions().mode(), bytes));
            if found.is_dir() {
                folders.push(path);
            }
        }
    }
    tree
}
