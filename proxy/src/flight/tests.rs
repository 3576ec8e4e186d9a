//! Tests of fills and readers against a scripted upstream, under paused time, on real files.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use oci::{Class, Digest, RegistryHost, Repository};
use registry::{Caller, Error};
use store::events::Quarantined;
use store::faulty::{self, Call, Fault, Trap};
use store::inventory::Purge;
use store::{Kind, Scope, StoreConfig};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::events::{Events, FillEnd, FillOutcome};
use super::flights::*;
use super::reader::Cut;
use super::scripted::{Answer, Part, Scripted};
use super::source::Source;
use crate::access::identity::Identity;

mod boot;
mod disk;
mod model;
mod parts;

const MIB: usize = 1 << 20;

/// Collects the events of fills and of the store.
#[derive(Default)]
struct Told {
    ends: Mutex<Vec<FillEnd>>,
    resumes: Mutex<Vec<Class>>,
    quarantined: Mutex<Vec<Quarantined>>,
    checks: Mutex<Vec<Quarantined>>,
    disk: Mutex<Vec<std::io::ErrorKind>>,
}

impl Events for Told {
    fn fill_ended(&self, _: &RegistryHost, end: &FillEnd) {
        self.ends.lock().unwrap().push(*end);
    }
    fn fill_resumed(&self, _: &RegistryHost, class: Class) {
        self.resumes.lock().unwrap().push(class);
    }
}

impl store::Events for Told {
    fn quarantined(&self, reason: Quarantined) {
        self.quarantined.lock().unwrap().push(reason);
    }
    fn checking(&self, reason: Quarantined) {
        self.checks.lock().unwrap().push(reason);
    }
    fn disk_failed(&self, error: &std::io::Error) {
        self.disk.lock().unwrap().push(error.kind());
    }
}

struct World {
    flights: Flights,
    upstream: Scripted,
    content: Bytes,
    told: Arc<Told>,
    trap: Trap,
    dir: TempDir,
}

impl World {
    async fn new(size: usize, script: impl Into<std::collections::VecDeque<Answer>>) -> Self {
        let content = content(size);
        let (upstream, dir) = (Scripted::new(content.clone(), script), TempDir::new().unwrap());
        let (trap, told) = (Trap::unset(), Arc::new(Told::default()));
        let flights = flights(&dir, &trap, &told).await;
        Self { flights, upstream, content, told, trap, dir }
    }

    fn source(&self) -> Source<Scripted> {
        Source {
            origin: self.upstream.clone(),
            scope: Scope { registry: "docker.io".parse().unwrap(), repository: None },
            repository: "org/app".parse().unwrap(),
            digest: Digest::sha256(&self.content),
            size_hint: None,
            parallel: 1,
            in_part: false,
            repeated: false,
            identity: None,
            caller: None,
        }
    }

    fn private(&self, repository: &str) -> Source<Scripted> {
        let repository: Repository = repository.parse().unwrap();
        let mut source = self.source();
        source.scope.repository = Some(repository.clone());
        Source { repository, ..source }
    }

    /// The blob in `repository`, asked for with the caller's own `token`.
    fn asked_by(&self, repository: &str, token: &str) -> Source<Scripted> {
        let caller = Caller::bearer(token).unwrap();
        let identity = Some(Identity::Caller(caller.id()));
        Source { identity, caller: Some(caller), ..self.private(repository) }
    }

    async fn open(&self) -> Result<Opened, Error> {
        self.open_from(self.source()).await
    }

    async fn open_from(&self, source: Source<Scripted>) -> Result<Opened, Error> {
        self.flights.open(source, Instant::now() + Duration::from_secs(10)).await
    }

    /// Opens the blob and reads it to the end.
    async fn read(&self) -> Result<Bytes, Cut> {
        let opened = self.open().await.map_err(Cut::Fill)?;
        whole(opened).await
    }

    /// True if the stored content, if any, hashes to its digest.
    async fn committed_is_right(&self) -> bool {
        let digest = self.source().digest;
        let Some(blob) = self.flights.store.blob(&digest).await.unwrap() else { return true };
        let bytes = blob.content().read(0, blob.length() as usize).await.unwrap();
        digest.verify(&bytes).is_ok()
    }

    /// Waits until no fill and no commit is running.
    async fn landed(&self) {
        while !self.flights.table.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.flights.store.flush().await;
    }

    /// Ends the process and starts another on the same folder.
    async fn restart(&mut self) {
        self.landed().await;
        let elsewhere = TempDir::new().unwrap();
        self.flights = flights(&elsewhere, &Trap::unset(), &self.told).await;
        self.flights = flights(&self.dir, &self.trap, &self.told).await;
    }
}

async fn flights(dir: &TempDir, trap: &Trap, told: &Arc<Told>) -> Flights {
    let lock_wait = Duration::from_secs(60);
    let config =
        StoreConfig { dir: dir.path().to_owned(), max_size: Some(u64::MAX), pinned: Vec::new(), lock_wait };
    let store = faulty::open(trap, config, told.clone()).await.unwrap();
    Flights::new(store, told.clone())
}

/// Content whose MiB blocks all differ.
fn content(size: usize) -> Bytes {
    let mut block = vec![0; MIB];
    fastrand::Rng::with_seed(1).fill(&mut block);
    let mut bytes = block.repeat(size.div_ceil(MIB));
    for (number, block) in bytes.chunks_mut(MIB).enumerate() {
        block[..8].copy_from_slice(&number.to_le_bytes());
    }
    bytes.truncate(size);
    bytes.into()
}

async fn whole(opened: Opened) -> Result<Bytes, Cut> {
    let body = opened.reader.body(0..opened.length);
    Ok(body.collect().await?.to_bytes())
}

#[tokio::test(start_paused = true)]
async fn many_readers_cost_one_transfer() {
    let world = World::new(10 * MIB, []).await;
    let opened = futures_util::future::try_join_all((0..50).map(|_| world.open())).await.unwrap();
    let misses = opened.iter().filter(|opened| opened.outcome == Origination::Miss).count();
    assert_eq!(misses, 1);
    for read in futures_util::future::try_join_all(opened.into_iter().map(whole)).await.unwrap() {
        assert!(read == world.content);
    }
    world.landed().await;
    let hit = world.open().await.unwrap();
    assert_eq!((hit.outcome, hit.reader.is_committed()), (Origination::Hit, true));
    assert!(whole(hit).await.unwrap() == world.content);
    assert_eq!(world.upstream.requests(), [0]);
    let ends = world.told.ends.lock().unwrap();
    assert_eq!((ends.len(), ends[0].outcome), (1, FillOutcome::Committed));
    assert_eq!(ends[0].bytes, world.content.len() as u64);
}

#[tokio::test(start_paused = true)]
async fn clients_get_bytes_at_once_but_the_last_piece_only_after_the_hash_agrees() {
    let gate = Arc::new(Semaphore::new(0));
    let size = 8 * MIB;
    let parts = [Part::Send(size as u64 - 1), Part::Await(gate.clone()), Part::Rest];
    let world = World::new(size, [Answer::of(parts)]).await;
    let opened = world.open().await.unwrap();
    assert!(!opened.reader.is_committed());
    let mut body = opened.reader.body(0..opened.length);
    let mut read = 0;
    while let Ok(frame) = tokio::time::timeout(Duration::from_secs(60), body.frame()).await {
        read += frame.unwrap().unwrap().into_data().unwrap().len();
    }
    assert!((7 * MIB..=size - 64 * 1024).contains(&read), "{read} bytes left before the hash agreed");
    gate.add_permits(1);
    read += body.collect().await.unwrap().to_bytes().len();
    assert_eq!(read, size);
}

#[tokio::test(start_paused = true)]
async fn a_small_blob_with_wrong_bytes_is_fetched_again_before_a_client_is_answered() {
    let world = World::new(MIB, [Answer::of([Part::WrongRest])]).await;
    assert!(world.read().await.unwrap() == world.content);
    assert_eq!(world.upstream.requests(), [0, 0]);
    assert_eq!(*world.told.quarantined.lock().unwrap(), [Quarantined::Fill]);
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_always_sends_wrong_bytes_is_an_error_and_no_body() {
    let world = World::new(MIB, vec![Answer::of([Part::WrongRest]); 10]).await;
    assert_eq!(world.open().await.unwrap_err().class, Class::Corrupt);
    world.landed().await;
    assert!(world.flights.store.blob(&world.source().digest).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_large_blob_with_a_wrong_byte_is_cut_for_all_readers_and_fetched_again() {
    let world = World::new(6 * MIB, [Answer::of([Part::WrongRest])]).await;
    let (first, second) = (world.open().await.unwrap(), world.open().await.unwrap());
    for read in [whole(first).await, whole(second).await] {
        assert!(matches!(read, Err(Cut::Fill(error)) if error.class == Class::Corrupt));
    }
    assert!(world.read().await.unwrap() == world.content);
    assert_eq!(world.upstream.requests(), [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_blob_whose_fills_fail_is_refused_until_a_background_fill_succeeds() {
    let world = World::new(6 * MIB, vec![Answer::of([Part::WrongRest]); 3]).await;
    for _ in 0..2 {
        assert!(matches!(world.read().await, Err(Cut::Fill(error)) if error.class == Class::Corrupt));
    }
    let refused = async || world.open().await.unwrap_err().class;
    assert_eq!((refused().await, world.upstream.requests().len()), (Class::Corrupt, 2));
    // The first new try fails too, and the pause grows.
    for (pause, requests) in [(30, 3), (59, 3), (2, 4)] {
        tokio::time::advance(Duration::from_secs(pause)).await;
        assert_eq!(refused().await, Class::Corrupt);
        world.landed().await;
        assert_eq!(world.upstream.requests().len(), requests, "after {pause} s more");
    }
    let hit = world.open().await.unwrap();
    assert_eq!(hit.outcome, Origination::Hit);
    assert!(whole(hit).await.unwrap() == world.content);
}

#[tokio::test(start_paused = true)]
async fn the_fill_that_tries_again_goes_on_without_readers() {
    let wrong = || Answer::of([Part::WrongRest]);
    let gate = Arc::new(Semaphore::new(0));
    let slow = Answer::of([Part::Send(MIB as u64), Part::Await(gate.clone()), Part::Rest]);
    let world = World::new(140 * MIB, [wrong(), wrong(), slow]).await;
    for _ in 0..2 {
        world.read().await.unwrap_err();
    }
    tokio::time::advance(Duration::from_secs(31)).await;
    world.open().await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!world.flights.table.is_empty(), "it waits for the upstream");
    gate.add_permits(1);
    world.landed().await;
    assert_eq!(world.open().await.unwrap().outcome, Origination::Hit);
}

#[tokio::test(start_paused = true)]
async fn a_broken_transfer_is_resumed_and_readers_see_a_pause() {
    let at = 5 * MIB as u64;
    let script = [
        Answer::of([Part::Send(at), Part::Break(Class::ConnectReset)]),
        Answer::refusal(Class::Registry5xx),
        Answer { whole: true, ..Answer::of([Part::Send(at + 7), Part::Break(Class::Truncated)]) },
    ];
    let world = World::new(9 * MIB, script).await;
    assert!(world.read().await.unwrap() == world.content);
    assert_eq!(world.upstream.requests(), [0, at, at, at + 7]);
    let resumes = world.told.resumes.lock().unwrap();
    assert_eq!(*resumes, [Class::ConnectReset, Class::Registry5xx, Class::Truncated]);
}

#[tokio::test(start_paused = true)]
async fn a_transfer_without_progress_is_cut_and_its_bytes_serve_the_next_request() {
    let at = 5 * MIB as u64;
    let mut script = vec![Answer::of([Part::Send(at), Part::Break(Class::Stalled)])];
    script.extend(vec![Answer::refusal(Class::Stalled); 3]);
    let world = World::new(9 * MIB, script).await;
    assert!(matches!(world.read().await, Err(Cut::Fill(error)) if error.class == Class::Stalled));
    world.landed().await;
    assert!(world.read().await.unwrap() == world.content);
    assert_eq!(world.upstream.requests(), [0, at, at, at, at]);
}

#[tokio::test(start_paused = true)]
async fn a_fill_does_not_ask_again_after_a_rate_limit() {
    let script =
        [Answer::of([Part::Send(9), Part::Break(Class::Stalled)]), Answer::refusal(Class::RateBurst)];
    let world = World::new(9 * MIB, script).await;
    assert!(matches!(world.read().await, Err(Cut::Fill(error)) if error.class == Class::RateBurst));
    assert_eq!(world.upstream.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn kept_bytes_survive_a_restart() {
    let at = 5 * MIB as u64;
    let script =
        [Answer::of([Part::Send(at), Part::Break(Class::Stalled)]), Answer::refusal(Class::RateBurst)];
    let mut world = World::new(9 * MIB, script).await;
    world.read().await.unwrap_err();
    world.restart().await;
    assert!(world.read().await.unwrap() == world.content);
    assert_eq!(world.upstream.requests(), [0, at, at]);
}

#[tokio::test(start_paused = true)]
async fn kept_bytes_that_rotted_do_not_pass_the_hash() {
    let at = 5 * MIB as u64;
    let script =
        [Answer::of([Part::Send(at), Part::Break(Class::Stalled)]), Answer::refusal(Class::RateBurst)];
    let mut world = World::new(9 * MIB, script).await;
    world.read().await.unwrap_err();
    world.landed().await;
    let name = world.source().digest.to_string().replace(':', "-");
    let path = world.dir.path().join("v1/partial").join(name);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[77] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    world.restart().await;
    assert!(matches!(world.read().await, Err(Cut::Fill(error)) if error.class == Class::Corrupt));
    assert!(world.read().await.unwrap() == world.content);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_does_not_end_a_fill_worth_finishing() {
    let gate = Arc::new(Semaphore::new(0));
    let world =
        World::new(8 * MIB, [Answer::of([Part::Send(9), Part::Await(gate.clone()), Part::Rest])]).await;
    drop(world.open().await.unwrap());
    gate.add_permits(1);
    world.landed().await;
    assert_eq!(world.open().await.unwrap().outcome, Origination::Hit);
}

#[tokio::test(start_paused = true)]
async fn an_unread_fill_with_much_missing_pauses_and_keeps_its_bytes() {
    let gate = Arc::new(Semaphore::new(0));
    let at = 3 * MIB as u64;
    let world = World::new(70 * MIB, [Answer::of([Part::Send(at), Part::Await(gate)])]).await;
    drop(world.open().await.unwrap());
    world.landed().await;
    assert_eq!(world.told.ends.lock().unwrap()[0].outcome, FillOutcome::Paused);
    assert!(world.read().await.unwrap() == world.content);
    assert_eq!(world.upstream.requests(), [0, at]);
}

#[tokio::test(start_paused = true)]
async fn an_unread_fill_keeps_nothing_from_an_upstream_that_sent_wrong_bytes() {
    let gate = Arc::new(Semaphore::new(0));
    let left = Answer::of([Part::Send(3 * MIB as u64), Part::Await(gate)]);
    let world = World::new(70 * MIB, [Answer::of([Part::WrongRest]), left]).await;
    world.read().await.unwrap_err();
    drop(world.open().await.unwrap());
    world.landed().await;
    assert_eq!(world.told.ends.lock().unwrap()[1].outcome, FillOutcome::Paused);
    assert!(world.read().await.unwrap() == world.content);
    assert_eq!(world.upstream.requests(), [0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_concerns_its_own_repository_only() {
    for private in [false, true] {
        let gate = Arc::new(Semaphore::new(0));
        let parts = vec![Part::Await(gate.clone())];
        let world = World::new(MIB, [Answer { parts, ..Answer::refusal(Class::AuthRejected) }]).await;
        let source = |repository: &str| match private {
            true => world.private(repository),
            false => Source { repository: repository.parse().unwrap(), ..world.source() },
        };
        let first = world.open_from(source("org/closed"));
        let others = async {
            while world.upstream.requests().is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let release = async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                gate.add_permits(1);
            };
            let (same, other) = (world.open_from(source("org/closed")), world.open_from(source("org/open")));
            tokio::join!(same, other, release)
        };
        let (first, (same, other, ())) = tokio::join!(first, others);
        assert_eq!(first.unwrap_err().class, Class::AuthRejected);
        assert_eq!(same.unwrap_err().class, Class::AuthRejected);
        assert!(whole(other.unwrap()).await.unwrap() == world.content);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fill_whose_token_is_refused_goes_on_with_the_token_of_another_caller() {
    let (gate, at) = (Arc::new(Semaphore::new(0)), 5 * MIB as u64);
    let script = [
        Answer::of([Part::Send(at), Part::Await(gate.clone()), Part::Break(Class::Truncated)]),
        Answer::refusal(Class::AuthRejected),
    ];
    let world = World::new(9 * MIB, script).await;
    let aboard = async |repository, token| world.open_from(world.asked_by(repository, token)).await.unwrap();
    let (ann, bob) = (aboard("team/a", "ann").await, aboard("team/a", "bob").await);
    let eve = aboard("team/other", "eve").await;
    gate.add_permits(1);
    for opened in [ann, bob, eve] {
        assert!(whole(opened).await.unwrap() == world.content);
    }
    let callers = world.upstream.0.callers.lock().unwrap().clone();
    assert!(
        callers == [Caller::bearer("bob").unwrap().id()],
        "of the same repository, and not the one refused"
    );
    assert_eq!(world.upstream.requests(), [0, at, at]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_fails_the_request_of_its_caller_only() {
    let gate = Arc::new(Semaphore::new(0));
    let parts = vec![Part::Await(gate.clone())];
    let world = World::new(MIB, [Answer { parts, ..Answer::refusal(Class::AuthRejected) }]).await;
    let release = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        gate.add_permits(1);
    };
    let ann = world.open_from(world.asked_by("team/a", "ann"));
    let bob = async {
        // By now ann has begun the fill.
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.open_from(world.asked_by("team/a", "bob")).await
    };
    let (ann, bob, ()) = tokio::join!(ann, bob, release);
    assert_eq!(ann.unwrap_err().class, Class::AuthRejected);
    assert!(whole(bob.unwrap()).await.unwrap() == world.content);
}

#[tokio::test(start_paused = true)]
async fn a_request_from_another_scope_earns_the_link_before_it_joins() {
    let gate = Arc::new(Semaphore::new(0));
    let world = World::new(8 * MIB, [Answer::of([Part::Await(gate.clone()), Part::Rest])]).await;
    world.upstream.0.sizes.lock().unwrap().push_back(Err(Class::RepoUnknownOrPrivate));
    let leader = world.open_from(world.private("org/a")).await.unwrap();
    let refused = world.open_from(world.private("org/b")).await;
    assert_eq!(refused.unwrap_err().class, Class::RepoUnknownOrPrivate);
    let joined = world.open_from(world.private("org/c")).await.unwrap();
    assert_eq!(joined.outcome, Origination::Joined);
    gate.add_permits(1);
    assert!(whole(joined).await.unwrap() == world.content && whole(leader).await.unwrap() == world.content);
    world.landed().await;
    let heads = || world.upstream.0.heads.load(Ordering::SeqCst);
    assert_eq!(heads(), 2);
    assert_eq!(world.open_from(world.private("org/c")).await.unwrap().outcome, Origination::Hit);
    assert_eq!(heads(), 2, "the link was earned and kept");
    assert_eq!(world.open_from(world.private("org/d")).await.unwrap().outcome, Origination::Hit);
    assert_eq!(heads(), 3, "a stored blob is no permission");
}

#[tokio::test(start_paused = true)]
async fn the_length_comes_from_the_answer_from_head_or_from_the_manifest() {
    let unannounced = || Answer { announce: false, ..Answer::of([Part::Rest]) };
    let large = 6 * MIB;
    let world = World::new(large, [unannounced()]).await;
    assert_eq!(world.open().await.unwrap().length, large as u64, "from HEAD");
    let world = World::new(large, [unannounced()]).await;
    let hinted = Source { size_hint: Some(large as u64), ..world.source() };
    assert!(whole(world.open_from(hinted).await.unwrap()).await.unwrap() == world.content);
    assert_eq!(world.upstream.0.heads.load(Ordering::SeqCst), 0, "the descriptor said it");
    let world = World::new(MIB, [unannounced()]).await;
    world.upstream.0.sizes.lock().unwrap().push_back(Ok(None));
    assert!(world.read().await.unwrap() == world.content, "finished first");
    let world = World::new(large, [unannounced()]).await;
    world.upstream.0.sizes.lock().unwrap().push_back(Ok(None));
    assert_eq!(world.open().await.unwrap_err().class, Class::ProtocolGarbage);
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_a_silent_upstream_until_the_deadline() {
    let world = World::new(MIB, [Answer::of([Part::Await(Arc::new(Semaphore::new(0)))])]).await;
    let opened = world.open().await.unwrap();
    assert_eq!(opened.length, MIB as u64, "headers were judged: the answer begins, its bytes held back");
    let unannounced = Answer { announce: false, ..Answer::of([Part::Await(Arc::new(Semaphore::new(0)))]) };
    let world = World::new(MIB, [unannounced]).await;
    world.upstream.0.sizes.lock().unwrap().push_back(Ok(None));
    let before = Instant::now();
    assert_eq!(world.open().await.unwrap_err().class, Class::Stalled);
    assert_eq!(before.elapsed(), Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn any_range_of_a_growing_blob_is_right() {
    let world = World::new(9 * MIB, []).await;
    for range in [0..1, 5..300_000, 9 * MIB - 1..9 * MIB, 4 * MIB..9 * MIB, 7..7] {
        let opened = world.open().await.unwrap();
        let body = opened.reader.body(range.start as u64..range.end as u64);
        assert!(body.collect().await.unwrap().to_bytes() == world.content[range]);
    }
    assert_eq!(world.upstream.requests(), [0]);
}

#[tokio::test(start_paused = true)]
async fn purging_everything_also_removes_the_bytes_of_paused_fills() {
    let at = 5 * MIB as u64;
    let script =
        [Answer::of([Part::Send(at), Part::Break(Class::Stalled)]), Answer::refusal(Class::RateBurst)];
    let world = World::new(9 * MIB, script).await;
    world.read().await.unwrap_err();
    world.landed().await;
    let purge = async |dry_run| world.flights.store.purge(&Purge::All, dry_run).await.unwrap().partial_bytes;
    assert_eq!((purge(true).await, purge(false).await, purge(false).await), (at, at, 0));
    assert_eq!(std::fs::read_dir(world.dir.path().join("v1/partial")).unwrap().count(), 0);
    assert!(world.read().await.unwrap() == world.content);
    assert_eq!(world.upstream.requests(), [0, at, 0]);
}

const EIO: i32 = 5;
