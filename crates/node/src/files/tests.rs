//! Apply and restore on random trees of files, with a crash at every step.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fastrand::Rng;

use super::*;
use crate::model::{Mirror, Registry, Setup};
use crate::render::{Document, render};
use crate::target::Target;

/// The disk, which fails at one step as a crash does: a file may be half written, and nothing works afterwards.
struct Crashing {
    real: RealDisk,
    left: usize,
    is_off: bool,
}

impl Crashing {
    fn new(left: usize) -> Self {
        Self { real: RealDisk, left, is_off: false }
    }

    fn step(&mut self) -> io::Result<()> {
        self.is_off |= self.left == 0;
        self.left = self.left.saturating_sub(1);
        if self.is_off { Err(io::Error::other("the machine is off")) } else { Ok(()) }
    }
}

impl Disk for Crashing {
    fn make_folder(&mut self, path: &Path) -> io::Result<()> {
        self.step()?;
        self.real.make_folder(path)
    }

    fn write_new(&mut self, path: &Path, bytes: &[u8], attributes: Attributes) -> io::Result<()> {
        let was_off = self.is_off;
        if let Err(off) = self.step() {
            // Only the write at which the machine stops is torn; the later ones never begin.
            if !was_off {
                self.real.write_new(path, &bytes[..bytes.len() / 2], attributes)?;
            }
            return Err(off);
        }
        self.real.write_new(path, bytes, attributes)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        self.real.rename(from, to)
    }

    fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        self.step()?;
        self.real.remove_file(path)
    }

    fn remove_folder(&mut self, path: &Path) -> io::Result<()> {
        self.step()?;
        self.real.remove_folder(path)
    }

    fn sync_folder(&mut self, path: &Path) -> io::Result<()> {
        self.step()?;
        self.real.sync_folder(path)
    }
}

/// Path below the root, mode, and the content: bytes of a file, target of a link, nothing of a folder.
type Tree = BTreeMap<PathBuf, (u32, Option<Vec<u8>>)>;

fn tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    collect(root, root, &mut tree);
    tree
}

fn collect(root: &Path, folder: &Path, tree: &mut Tree) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let found = path.symlink_metadata().unwrap();
        let content = match (found.is_symlink(), found.is_dir()) {
            (true, _) => Some(fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()),
            (false, true) => None,
            (false, false) => Some(fs::read(&path).unwrap()),
        };
        tree.insert(path.strip_prefix(root).unwrap().to_path_buf(), (found.permissions().mode(), content));
        if found.is_dir() {
            collect(root, &path, tree);
        }
    }
}

fn setup(mirror: &str, hosts: &[&str]) -> Setup {
    let registry = |host: &&str| Registry {
        host: host.parse().unwrap(),
        server: format!("https://{host}").parse().unwrap(),
    };
    Setup {
        mirror: Mirror { url: mirror.parse().unwrap(), ca: None, dial_timeout: Duration::from_secs(1) },
        registries: hosts.iter().map(registry).collect(),
        node: Some("worker-3".parse().unwrap()),
    }
}

const HOSTS: &[&str] = &["docker.io", "ghcr.io", "quay.io", "registry.test:5000"];
const TARGETS: &[Target] = &[Target::Containerd, Target::Crio, Target::Docker, Target::K3s, Target::Rke2];

/// A node's root with anything that may lie in the way.
fn node(random: &mut Rng) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let path = |relative: &str| root.path().join(relative);
    fs::create_dir_all(path("var/lib")).unwrap();
    for folder in [
        "etc/containerd/certs.d/docker.io",
        "etc/containerd/certs.d/ghcr.io",
        "etc/docker",
        "etc/rancher/k3s",
    ] {
        if random.bool() {
            fs::create_dir_all(path(folder)).unwrap();
            fs::set_permissions(
                path(folder),
                fs::Permissions::from_mode(*random.choice(&[0o755, 0o700, 0o751]).unwrap()),
            )
            .unwrap();
        }
    }
    let file = |relative: &str, text: &[u8], mode: u32| {
        if path(relative).parent().unwrap().is_dir() {
            fs::write(path(relative), text).unwrap();
            fs::set_permissions(path(relative), fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    let texts: [&[u8]; 6] = [
        b"",
        b"{}",
        b"{\"debug\": true}\n",
        b"{\"registry-mirrors\":[\"https://b\"],\"x\":[1,2]}",
        b"no json \xff",
        b"[]",
    ];
    for relative in [
        "etc/docker/daemon.json",
        "etc/containerd/certs.d/docker.io/hosts.toml",
        "etc/rancher/k3s/registries.yaml",
    ] {
        if random.bool() {
            file(relative, random.choice(texts).unwrap(), *random.choice(&[0o600, 0o644, 0o444]).unwrap());
        }
    }
    if random.u8(..4) == 0 && !path("etc/containers").exists() {
        fs::create_dir_all(path("etc/elsewhere")).unwrap();
        symlink("elsewhere", path("etc/containers")).unwrap();
    }
    root
}

/// Some of the targets with some registries, mirrors changing between runs.
fn documents(random: &mut Rng) -> (Target, Vec<Document>) {
    let target = *random.choice(TARGETS).unwrap();
    let hosts: Vec<_> = HOSTS.iter().copied().filter(|_| random.u8(..4) > 0).collect();
    let mirror = random.choice(&["http://10.96.0.50:5000", "http://10.43.0.50:5000"]).unwrap();
    (target, render(&setup(mirror, &hosts), target))
}

/// Runs a case for many seeds; the seed stands in the message of a failure.
fn for_seeds(count: u64, case: impl Fn(&mut Rng)) {
    for seed in 0..count {
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(&mut Rng::with_seed(seed))));
        assert!(ran.is_ok(), "failed with seed {seed}");
    }
}

#[test]
fn apply_then_restore_leaves_every_byte_mode_and_folder_as_it_was() {
    for_seeds(100, |random| {
        let folder = node(random);
        let root = Root::new(folder.path().to_path_buf(), None);
        let before = tree(folder.path());
        for _ in 0..random.usize(1..4) {
            let (target, documents) = documents(random);
            let shown: Vec<_> =
                preview(&root, target, &documents).unwrap().iter().map(|line| line.change).collect();
            let done: Vec<_> =
                apply(&root, target, &documents).unwrap().iter().map(|line| line.change).collect();
            assert_eq!(shown, done, "the preview tells what is done");
            let applied = tree(folder.path());
            let again = apply(&root, target, &documents).unwrap();
            assert!(again.iter().all(|line| matches!(line.change, Change::Unchanged | Change::LeftAlone)));
            assert_eq!(tree(folder.path()), applied, "a second time changes nothing");
        }
        preview_restore(&root, None).unwrap();
        let lines = restore(&root, None).unwrap();
        assert!(lines.iter().all(|line| line.left.is_none()), "{lines:?}");
        assert_eq!(tree(folder.path()), before);
        assert!(restore(&root, None).unwrap().is_empty());
    });
}

#[test]
fn a_crash_at_any_step_of_apply_and_of_restore_is_taken_back() {
    for_seeds(6, |random| {
        let (seed, target_seed) = (random.u64(..), random.u64(..));
        for left in 0..400 {
            let folder = node(&mut Rng::with_seed(seed));
            let root = Root::new(folder.path().to_path_buf(), None);
            let before = tree(folder.path());
            let mut random = Rng::with_seed(target_seed);
            let (first, second) = (documents(&mut random), documents(&mut random));
            apply(&root, first.0, &first.1).unwrap();
            let mut disk = Crashing::new(left);
            let applied = apply_on(&root, second.0, &second.1, &mut disk);
            let restored = restore_on(&root, None, &mut disk);
            let finished = !disk.is_off;
            restore(&root, None).unwrap();
            assert_eq!(tree(folder.path()), before, "crash after {left} steps: {applied:?}, {restored:?}");
            if finished {
                return;
            }
        }
        panic!("the steps do not end");
    });
}

#[test]
fn what_is_not_ours_is_left_alone_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = |relative: &str| folder.path().join(relative);
    for name in ["docker.io", "ghcr.io", "quay.io"] {
        fs::create_dir_all(path("etc/containerd/certs.d").join(name)).unwrap();
    }
    fs::create_dir_all(path("var/lib")).unwrap();
    fs::write(path("etc/containerd/certs.d/docker.io/hosts.toml"), "server = 'https://a'\n").unwrap();
    symlink("../docker.io/hosts.toml", path("etc/containerd/certs.d/ghcr.io/hosts.toml")).unwrap();
    fs::create_dir(path("etc/containerd/certs.d/quay.io/hosts.toml")).unwrap();
    let before = tree(folder.path());
    let root = Root::new(folder.path().to_path_buf(), None);
    let documents = render(&setup("http://10.96.0.50:5000", &HOSTS[..3]), Target::Containerd);
    let why: Vec<_> = apply(&root, Target::Containerd, &documents)
        .unwrap()
        .into_iter()
        .map(|line| line.left.unwrap().to_string())
        .collect();
    assert!(why[0].contains("not written by `pullgate node apply`"), "{why:?}");
    assert!(why[1].contains("is a symbolic link"), "{why:?}");
    assert!(why[2].contains("is no regular file"), "{why:?}");
    assert_eq!(tree(folder.path()), before, "not even a journal");
}

#[test]
fn an_edited_file_is_neither_updated_nor_removed_and_then_taken_up_again() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("var/lib")).unwrap();
    let before = tree(folder.path());
    let root = Root::new(folder.path().to_path_buf(), None);
    let documents = |mirror: &str| render(&setup(mirror, &["ghcr.io"]), Target::Containerd);
    apply(&root, Target::Containerd, &documents("http://a:1")).unwrap();
    let hosts = folder.path().join("etc/containerd/certs.d/ghcr.io/hosts.toml");
    let edited = fs::read_to_string(&hosts).unwrap() + "# mine\n";
    fs::write(&hosts, &edited).unwrap();
    let again = apply(&root, Target::Containerd, &documents("http://b:1")).unwrap();
    assert_eq!(again[0].left, Some(LeftAlone::Edited));
    assert_eq!(restore(&root, None).unwrap()[0].left, Some(LeftAlone::Edited));
    assert_eq!(fs::read_to_string(&hosts).unwrap(), edited);
    fs::remove_file(&hosts).unwrap();
    assert!(restore(&root, None).unwrap()[0].left.is_none());
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn docker_keeps_what_its_owner_wrote_after_us() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("var/lib")).unwrap();
    fs::create_dir_all(folder.path().join("etc/docker")).unwrap();
    let file = folder.path().join("etc/docker/daemon.json");
    fs::write(&file, "{\"debug\": true}").unwrap();
    let root = Root::new(folder.path().to_path_buf(), None);
    let documents = render(&setup("http://a:1", &["docker.io"]), Target::Docker);
    apply(&root, Target::Docker, &documents).unwrap();
    let edited = fs::read_to_string(&file).unwrap().replace("true", "false");
    fs::write(&file, edited).unwrap();
    assert_eq!(restore(&root, None).unwrap()[0].change, Change::MirrorTakenOut);
    let left: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(left, serde_json::json!({"debug": false, "registry-mirrors": []}));
}

#[test]
fn files_of_a_lost_journal_are_known_by_their_mark() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("var/lib")).unwrap();
    let root = Root::new(folder.path().to_path_buf(), None);
    let documents = render(&setup("http://a:1", HOSTS), Target::Containerd);
    apply(&root, Target::Containerd, &documents).unwrap();
    fs::remove_file(folder.path().join("var/lib/pullgate-node.json")).unwrap();
    assert_eq!(restore(&root, None).unwrap().len(), HOSTS.len());
    assert!(fs::read_dir(folder.path().join("etc/containerd/certs.d")).unwrap().next().is_none());
}

#[test]
fn a_registry_that_is_no_longer_configured_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("var/lib")).unwrap();
    let root = Root::new(folder.path().to_path_buf(), None);
    let documents = |hosts: &[&str]| render(&setup("http://a:1", hosts), Target::Containerd);
    apply(&root, Target::Containerd, &documents(HOSTS)).unwrap();
    let lines = apply(&root, Target::Containerd, &documents(&HOSTS[..1])).unwrap();
    assert_eq!(lines.iter().filter(|line| line.change == Change::Removed).count(), HOSTS.len() - 1);
    assert!(
        !folder.path().join("etc/containerd/certs.d/quay.io").exists(),
        "an empty folder would hide _default"
    );
}

#[test]
fn the_journal_needs_its_folder_and_a_foreign_journal_stops_everything() {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::new(folder.path().to_path_buf(), None);
    let documents = render(&setup("http://a:1", HOSTS), Target::Containerd);
    assert!(matches!(apply(&root, Target::Containerd, &documents), Err(JournalError::NoFolder(_))));
    fs::create_dir_all(folder.path().join("var/lib")).unwrap();
    fs::write(folder.path().join("var/lib/pullgate-node.json"), "{\"schema\":9,\"files\":{},\"folders\":[]}")
        .unwrap();
    assert!(matches!(apply(&root, Target::Containerd, &documents), Err(JournalError::Unreadable(..))));
    assert!(!folder.path().join("etc").exists());
}

#[test]
fn a_place_that_cannot_be_written_is_a_line_of_the_report() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("var/lib")).unwrap();
    let before = tree(folder.path());
    let root = Root::new(folder.path().to_path_buf(), None);
    let documents = render(&setup("http://a:1", &["ghcr.io"]), Target::Containerd);
    // The journal takes four steps.
    let lines = apply_on(&root, Target::Containerd, &documents, &mut Crashing::new(4)).unwrap();
    let why = lines[0].left.clone().unwrap();
    assert!(matches!(why, LeftAlone::Write(_)) && why.to_string().contains("cannot be written"), "{why}");
    restore(&root, None).unwrap();
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn processes_that_apply_and_restore_at_once_wait_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("var/lib")).unwrap();
    let before = tree(folder.path());
    let root = Root::new(folder.path().to_path_buf(), None);
    let targets =
        [(Target::Containerd, "http://a:1"), (Target::Crio, "http://b:1"), (Target::K3s, "http://c:1")];
    std::thread::scope(|threads| {
        for (target, mirror) in targets {
            let (root, documents) = (&root, render(&setup(mirror, &HOSTS[..2]), target));
            threads.spawn(move || {
                for _ in 0..10 {
                    let lines = apply(root, target, &documents).unwrap();
                    assert!(lines.iter().all(|line| line.left.is_none()), "{lines:?}");
                    restore(root, Some(target)).unwrap();
                }
                apply(root, target, &documents).unwrap();
            });
        }
    });
    assert_eq!(restore(&root, None).unwrap().len(), 4);
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn a_diff_shows_old_and_new() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("var/lib")).unwrap();
    let root = Root::new(folder.path().to_path_buf(), None);
    let documents = |mirror: &str| render(&setup(mirror, &["ghcr.io"]), Target::Containerd);
    let first = preview(&root, Target::Containerd, &documents("http://a:1")).unwrap()[0].diff();
    assert!(first.starts_with("--- /dev/null\n+++ "), "{first}");
    apply(&root, Target::Containerd, &documents("http://a:1")).unwrap();
    let second = preview(&root, Target::Containerd, &documents("http://b:1")).unwrap()[0].diff();
    assert!(second.contains("-[host.\"http://a:1\"]\n+[host.\"http://b:1\"]\n"), "{second}");
}
