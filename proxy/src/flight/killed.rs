//! Kills a process at each file operation in turn. The files that it leaves must have the right content, and the result
//! of each step that was reported as done must still be there.
//!
//! A process cannot watch its own death. The test therefore runs its own executable again, on a disk that kills it at
//! the n-th operation, and then examines the folder. The process that is killed notes each step as soon as the store
//! reports it as done.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use oci::{Class, Digest};
use registry::Error;
use store::events::NoEvents;
use store::faulty::{self, Fault, Trap};
use store::{Kind, Link, Scope, Store, StoreConfig};
use tempfile::TempDir;
use tokio::time::Instant;

use super::scripted::{Answer, Part, Scripted};
use super::{Flights, Opened, Source};

#[test]
fn killed_at_whichever_operation_what_is_kept_is_right_and_what_was_done_stays_done() {
    if let (Some(folder), Ok(operation)) = (std::env::var_os(FOLDER), std::env::var(OPERATION)) {
        return runtime().block_on(live(Path::new(&folder), operation.parse().unwrap()));
    }
    for operation in 0.. {
        let folder = TempDir::new().unwrap();
        let ended = one_life(folder.path(), operation);
        runtime().block_on(look_at_what_is_left(folder.path(), operation));
        if ended.success() {
            assert!(operation > 40, "a life takes more operations than {operation}");
            return assert!(Deed::Filled.is_done(folder.path()));
        }
        assert_eq!(ended.signal(), Some(SIGKILL), "operation {operation}: {ended}");
    }
}

/// The steps of one process, in this order.
#[derive(Clone, Copy, Debug)]
enum Deed {
    /// Small content is committed.
    Put,
    /// A repository's link is written.
    Linked,
    /// A fill that broke off has put its bytes aside.
    Paused,
    /// Another fill continued from there and committed the blob.
    Filled,
}

impl Deed {
    fn done(self, folder: &Path) {
        std::fs::write(self.note(folder), "").unwrap();
    }

    fn is_done(self, folder: &Path) -> bool {
        self.note(folder).exists()
    }

    fn note(self, folder: &Path) -> PathBuf {
        folder.join(format!("{self:?}"))
    }
}

/// Runs this executable again, on a disk that kills it at `operation`.
fn one_life(folder: &Path, operation: i64) -> ExitStatus {
    let name =
        "flight::killed::killed_at_whichever_operation_what_is_kept_is_right_and_what_was_done_stays_done";
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name]).env(FOLDER, folder).env(OPERATION, operation.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap()
}

async fn live(folder: &Path, operation: i64) {
    let trap = Trap::unset();
    trap.set(operation, Fault::Kill);
    let store = faulty::open(&trap, config(folder), Arc::new(NoEvents)).await.unwrap();
    let small = Digest::sha256(SMALL);
    store.put(Kind::Manifest, Bytes::from_static(SMALL), &small.verify(SMALL).unwrap()).await;
    store.flush().await;
    Deed::Put.done(folder);
    let link = Link { media_type: None, size: SMALL.len() as u64 };
    store.links().put(&scope(), Kind::Manifest, &small, link).await;
    Deed::Linked.done(folder);

    let breaks =
        [Answer::of([Part::Send(HALF), Part::Break(Class::Stalled)]), Answer::refusal(Class::RateBurst)];
    let upstream = Scripted::new(content(), breaks);
    let flights = Flights::new(store, Arc::new(NoEvents));
    read(&flights, &upstream).await.unwrap_err();
    landed(&flights).await;
    Deed::Paused.done(folder);
    assert!(read(&flights, &upstream).await.unwrap() == content());
    landed(&flights).await;
    Deed::Filled.done(folder);
}

async fn look_at_what_is_left(folder: &Path, operation: i64) {
    for file in files_below(&cache(folder).join("v1/blobs")) {
        let bytes = std::fs::read(&file).unwrap();
        assert_eq!(Digest::sha256(&bytes).hex(), file.file_name().unwrap(), "operation {operation}");
    }
    let store = Store::open(config(folder), Arc::new(NoEvents)).await.unwrap();
    let small = Digest::sha256(SMALL);
    let (kept, link) =
        (store.read_small(&small).await, store.links().get(&scope(), Kind::Manifest, &small).await);
    assert!(!Deed::Put.is_done(folder) || kept.as_deref() == Some(SMALL), "operation {operation}");
    assert!(!Deed::Linked.is_done(folder) || link.is_some(), "operation {operation}");

    let upstream = Scripted::new(content(), []);
    let flights = Flights::new(store, Arc::new(NoEvents));
    assert!(read(&flights, &upstream).await.unwrap() == content(), "operation {operation}");
    landed(&flights).await;
    let asked = upstream.requests();
    assert!(!Deed::Filled.is_done(folder) || asked.is_empty(), "operation {operation}: {asked:?}");
    let again = asked.iter().any(|start| *start < HALF);
    assert!(!Deed::Paused.is_done(folder) || !again, "operation {operation}: {asked:?}");
    for folder in ["v1/partial", "v1/tmp"].map(|name| cache(folder).join(name)) {
        assert!(files_below(&folder).is_empty(), "operation {operation}: {}", folder.display());
    }
}

async fn read(flights: &Flights, upstream: &Scripted) -> Result<Bytes, String> {
    let source = Source {
        origin: upstream.clone(),
        scope: scope(),
        repository: "org/app".parse().unwrap(),
        digest: Digest::sha256(&content()),
        size_hint: None,
        in_part: false,
        repeated: false,
        identity: None,
        caller: None,
        parallel: 1,
    };
    let opened = flights.open(source, Instant::now() + Duration::from_secs(20)).await;
    let Opened { length, reader, .. } = opened.map_err(|error: Error| error.to_string())?;
    Ok(reader.body(0..length).collect().await.map_err(|cut| cut.to_string())?.to_bytes())
}

/// Waits until no fill and no commit is running.
async fn landed(flights: &Flights) {
    while !flights.table.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    flights.store.flush().await;
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn config(folder: &Path) -> StoreConfig {
    let lock_wait = Duration::from_secs(60);
    StoreConfig { dir: cache(folder), max_size: Some(u64::MAX), pinned: Vec::new(), lock_wait }
}

fn cache(folder: &Path) -> PathBuf {
    folder.join("cache")
}

fn scope() -> Scope {
    Scope { registry: "docker.io".parse().unwrap(), repository: None }
}

/// One byte more than the largest blob that is held back until it is verified.
fn content() -> Bytes {
    let block: Vec<u8> = (0..=250).collect();
    let mut bytes = block.repeat((4 << 20) / block.len() + 1);
    bytes.truncate((4 << 20) + 1);
    bytes.into()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

const FOLDER: &str = "PULLGATE_TEST_FOLDER";
const OPERATION: &str = "PULLGATE_TEST_KILLED_AT";
const SIGKILL: i32 = 9;
const SMALL: &[u8] = b"{}";
/// The offset at which the first fill breaks off.
const HALF: u64 = 3 << 20;
