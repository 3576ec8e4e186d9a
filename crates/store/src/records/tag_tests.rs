//! Tag records move forward only, in whatever order answers are written, and they remember their moves.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use oci::digest::Algorithm;
use oci::{Digest, RegistryHost, Repository, Tag};
use tempfile::TempDir;

use super::record::RECORD_MAX;
use super::tag_record::{TagMove, TagRecord};
use crate::config::StoreConfig;
use crate::events::{Events, NoEvents};
use crate::store::Store;

/// A tag of a store on a real folder.
struct OneTag {
    store: Store,
    registry: RegistryHost,
    repository: Repository,
    tag: Tag,
}

impl OneTag {
    async fn open(dir: &Path) -> Self {
        Self::watched(dir, Arc::new(NoEvents)).await
    }

    async fn watched(dir: &Path, events: Arc<dyn Events>) -> Self {
        Self::named(dir, events, ("docker.io", "a/b", "1")).await
    }

    async fn named(
        dir: &Path,
        events: Arc<dyn Events>,
        (registry, repository, tag): (&str, &str, &str),
    ) -> Self {
        let config = StoreConfig {
            dir: dir.to_owned(),
            max_size: Some(u64::MAX),
            pinned: Vec::new(),
            lock_wait: Duration::ZERO,
        };
        Self {
            store: Store::open(config, events).await.unwrap(),
            registry: registry.parse().unwrap(),
            repository: repository.parse().unwrap(),
            tag: tag.parse().unwrap(),
        }
    }

    async fn get(&self) -> Option<TagRecord> {
        self.store.tags().get(&self.registry, &self.repository, &self.tag).await
    }

    async fn put(&self, record: TagRecord, now: u64) {
        self.store.tags().put(&self.registry, &self.repository, &self.tag, record, at(now)).await;
    }

    async fn gone(&self, seconds: u64, now: u64) {
        self.store.tags().gone(&self.registry, &self.repository, &self.tag, at(seconds), at(now)).await;
    }

    async fn moves(&self) -> Vec<TagMove> {
        self.store.tags().moves(&self.registry, &self.repository, &self.tag).await
    }
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

fn means(content: &str, seconds: u64) -> TagRecord {
    TagRecord {
        digest: Digest::sha256(content.as_bytes()),
        media_type: "a/b".to_owned(),
        checked_at: at(seconds),
        gone_at: None,
    }
}

fn moved(from: &str, to: &str, seconds: u64) -> TagMove {
    TagMove { from: Digest::sha256(from.as_bytes()), to: Digest::sha256(to.as_bytes()), at: at(seconds) }
}

#[tokio::test]
async fn a_tag_moves_forward_only_and_survives_a_restart() {
    let dir = TempDir::new().unwrap();
    let tag = OneTag::open(dir.path()).await;
    assert_eq!(tag.get().await, None);
    tag.put(means("new", 10), 10).await;
    tag.put(means("old", 9), 10).await;
    assert_eq!(tag.get().await, Some(means("new", 10)));
    drop(tag);

    let tag = OneTag::open(dir.path()).await;
    tag.put(means("old", 9), 11).await;
    assert_eq!(tag.get().await, Some(means("new", 10)));
    tag.put(means("newer", 11), 11).await;
    assert_eq!(tag.get().await, Some(means("newer", 11)));
}

#[tokio::test]
async fn an_answer_that_is_minutes_old_does_not_replace_a_newer_one() {
    let dir = TempDir::new().unwrap();
    let tag = OneTag::open(dir.path()).await;
    tag.put(means("new", 500), 500).await;
    tag.put(means("old", 1), 600).await;
    assert_eq!(tag.get().await, Some(means("new", 500)));
}

#[tokio::test]
async fn a_record_with_a_time_in_the_future_is_replaced() {
    let dir = TempDir::new().unwrap();
    let tag = OneTag::open(dir.path()).await;
    tag.put(means("tomorrow", 86_400), 86_400).await;
    tag.put(means("today", 10), 10).await;
    assert_eq!(tag.get().await, Some(means("today", 10)));
}

#[tokio::test]
async fn a_record_with_a_time_in_the_future_is_marked_gone_and_then_replaced() {
    let dir = TempDir::new().unwrap();
    let tag = OneTag::open(dir.path()).await;
    tag.put(means("tomorrow", 86_400), 86_400).await;
    tag.gone(10, 10).await;
    assert_eq!(tag.get().await.unwrap().gone_at, Some(at(10)));
    tag.put(means("today", 11), 11).await;
    assert_eq!(tag.get().await, Some(means("today", 11)));
}

/// Collects the reported moves of tags.
#[derive(Default)]
struct Moves(Mutex<Vec<TagMove>>);

impl Events for Moves {
    fn tag_moved(&self, _: &RegistryHost, _: &Repository, _: &Tag, moved: &TagMove) {
        self.0.lock().unwrap().push(moved.clone());
    }
}

#[tokio::test]
async fn moves_are_reported_once_and_remembered_across_restarts() {
    let dir = TempDir::new().unwrap();
    let reported = Arc::new(Moves::default());
    let tag = OneTag::watched(dir.path(), reported.clone()).await;
    for (content, seconds) in [("a", 1), ("a", 2), ("b", 3), ("b", 3), ("b", 4), ("a", 5), ("late", 2)] {
        tag.put(means(content, seconds), seconds).await;
    }
    let moves = [moved("a", "b", 3), moved("b", "a", 5)];
    assert_eq!(*reported.0.lock().unwrap(), moves);
    drop(tag);
    assert_eq!(OneTag::open(dir.path()).await.moves().await, moves);
}

#[tokio::test]
async fn a_tag_with_many_moves_keeps_the_last_ones_in_a_readable_record() {
    let dir = TempDir::new().unwrap();
    let registry = format!("{}.test:65535", vec!["r".repeat(60); 3].join("."));
    let names = (registry.as_str(), &*"a".repeat(255), &*"t".repeat(128));
    let tag = OneTag::named(dir.path(), Arc::new(NoEvents), names).await;
    for second in 0..50 {
        let digest = Digest::of(Algorithm::Sha512, &[second as u8]);
        let record = TagRecord { digest, media_type: "m".repeat(255), ..means("", second) };
        tag.put(record, second).await;
    }
    drop(tag);
    let tag = OneTag::named(dir.path(), Arc::new(NoEvents), names).await;
    let moves = tag.moves().await;
    assert_eq!((moves.len(), moves[9].at, &moves[9].to), (10, at(49), &tag.get().await.unwrap().digest));
    let path = tag.store.0.folder.layout.tag(&tag.registry, &tag.repository, &tag.tag);
    assert!(fs::metadata(path).unwrap().len() < RECORD_MAX);
}

#[tokio::test]
async fn a_record_of_an_earlier_version_is_read() {
    let dir = TempDir::new().unwrap();
    let tag = OneTag::open(dir.path()).await;
    let path = tag.store.0.folder.layout.tag(&tag.registry, &tag.repository, &tag.tag);
    let old = means("old", 7);
    let line = serde_json::json!({ "registry": "docker.io", "repository": "a/b", "tag": "1",
        "digest": old.digest.to_string(), "media_type": "a/b", "checked_at_ms": 1_700_000_007_000_u64 });
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, line.to_string()).unwrap();
    assert_eq!(tag.get().await, Some(old));
    tag.put(means("new", 8), 8).await;
    assert_eq!(tag.moves().await, [moved("old", "new", 8)]);
}

#[tokio::test]
async fn the_record_of_a_gone_tag_keeps_the_first_time_until_the_tag_is_back() {
    let dir = TempDir::new().unwrap();
    let tag = OneTag::open(dir.path()).await;
    tag.gone(1, 4).await;
    assert_eq!(tag.get().await, None, "nothing to keep");
    tag.put(means("a", 2), 2).await;
    tag.gone(1, 4).await;
    assert_eq!(tag.get().await, Some(means("a", 2)), "it was there later");
    tag.gone(3, 4).await;
    tag.gone(4, 4).await;
    let gone = TagRecord { gone_at: Some(at(3)), ..means("a", 2) };
    assert_eq!(tag.get().await, Some(gone.clone()), "since the first time");
    tag.put(means("a", 2), 5).await;
    assert_eq!(tag.get().await, Some(gone), "it was gone later");
    tag.put(means("a", 6), 6).await;
    assert_eq!(tag.get().await, Some(means("a", 6)));
}

/// Simulates requests that overlap, answers that wait for their manifest, and endpoints that lag behind each other. In
/// whatever order the answers are written, the record is the answer to the latest request that was answered.
#[tokio::test]
async fn a_record_never_goes_back_in_whatever_order_answers_are_written() {
    for seed in 0..40 {
        let dir = TempDir::new().unwrap();
        crossing_answers(OneTag::open(dir.path()).await, fastrand::Rng::with_seed(seed)).await;
    }
}

async fn crossing_answers(tag: OneTag, mut random: fastrand::Rng) {
    let (mut now, mut asked, mut open) = (0, BTreeMap::new(), Vec::new());
    let (mut latest, mut expected): (u64, Option<TagRecord>) = (0, None);
    for _ in 0..60 {
        now += random.u64(1..120);
        if open.is_empty() || random.bool() {
            // The answer may come from a HEAD, a GET or a lagging endpoint; only the time of the request counts.
            let answer = (random.u8(0..8) > 0).then(|| random.char('a'..='d').to_string());
            asked.insert(now, answer.clone());
            open.push(now);
            continue;
        }
        let question = open.swap_remove(random.usize(0..open.len()));
        match &asked[&question] {
            Some(content) => tag.put(means(content, question), now).await,
            None => tag.gone(question, now).await,
        }
        if question > latest {
            match (&asked[&question], &mut expected) {
                (Some(content), expected) => *expected = Some(means(content, question)),
                (None, Some(known)) => known.gone_at = known.gone_at.or(Some(at(question))),
                (None, None) => continue,
            }
            // A tag that is gone keeps the time at which that was first seen.
            latest = expected.as_ref().unwrap().gone_at.map_or(question, seconds);
        }
        assert_eq!(tag.get().await, expected);
        let moves = tag.moves().await;
        for pair in moves.windows(2) {
            assert!(pair[0].to == pair[1].from && pair[0].at < pair[1].at, "{moves:?}");
        }
        assert!(moves.last().is_none_or(|last| last.to == expected.as_ref().unwrap().digest));
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(at(0)).unwrap().as_secs()
}
