//! The order in which a full store evicts content: a pure policy that takes time as an argument.
//!
//! S3-FIFO (Yang and others, SOSP 2023), weighted by bytes. New content enters a short queue. At the end of that queue
//! it is evicted, or moved to the main queue if it was requested again. At the end of the main queue it is evicted, or
//! moved to the beginning again if it was used since. The hash of content that was evicted from the short queue is
//! remembered for a while; if that content is fetched again, it enters the main queue directly. So a scan uses only a
//! tenth of the store. Manifests have their own queue and outlive layers: they are small, and layers are useless
//! without them.
//!
//! The policy is our own code because `quick_cache` evicts only on insertion and only by its capacity. A store also
//! evicts to free bytes and inodes of its file system, keeps leased and pinned content, and re-enters content whose
//! file could not be removed.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use tokio::time::Instant;

/// The content of a store, in the order of eviction.
#[derive(Debug)]
pub(crate) struct Order<K> {
    entries: HashMap<K, Entry>,
    queues: [Queue<K>; 3],
    ghosts: Ghosts,
    /// The number for the next place in a queue. A place is valid only while its entry has the same number.
    turn: u64,
}

/// The rank of an entry decides its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rank {
    /// A manifest: it is evicted last.
    Manifest,
    /// A blob: it is evicted by use.
    Blob,
}

#[derive(Debug)]
struct Entry {
    size: u64,
    place: Place,
    turn: u64,
    /// Number of uses that count, at most [`USES_MAX`].
    uses: u8,
    counted_at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Probation,
    Main,
    Manifests,
}

#[derive(Debug)]
struct Queue<K> {
    turns: VecDeque<(u64, K)>,
    entries: usize,
    bytes: u64,
}

impl<K: Clone + Eq + Hash> Order<K> {
    /// Adds new content. If the content is already known, its size is updated, and a manifest stays a manifest.
    pub(crate) fn insert(&mut self, key: K, rank: Rank, size: u64, now: Instant) {
        let known = self.entries.get(&key).map(|entry| entry.place);
        let came_back = self.ghosts.remove(self.ghost_of(&key));
        let place = match (rank, known) {
            (Rank::Manifest, _) | (_, Some(Place::Manifests)) => Place::Manifests,
            (Rank::Blob, Some(place)) => place,
            (Rank::Blob, None) if came_back => Place::Main,
            (Rank::Blob, None) => Place::Probation,
        };
        self.place(key, place, size, now);
    }

    /// Adds content that an earlier process stored. The caller adds the least recently used first.
    pub(crate) fn restore(&mut self, key: K, rank: Rank, size: u64, now: Instant) {
        if !self.entries.contains_key(&key) {
            let place = if rank == Rank::Manifest { Place::Manifests } else { Place::Main };
            self.place(key, place, size, now);
        }
    }

    /// Notes a use. Uses within [`ONE_USE`] count as one, because they belong to one pull or one rollout.
    pub(crate) fn touch(&mut self, key: &K, now: Instant) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if now.saturating_duration_since(entry.counted_at) >= ONE_USE {
            entry.uses = (entry.uses + 1).min(USES_MAX);
            entry.counted_at = now;
        }
    }

    /// Removes an entry whose content is gone, and returns its size.
    pub(crate) fn remove(&mut self, key: &K) -> Option<u64> {
        let entry = self.entries.remove(key)?;
        self.queue(entry.place).left(entry.size);
        Some(entry.size)
    }

    /// Removes the next entry for which `spared` is false. `None` if there is no such entry.
    pub(crate) fn evict(&mut self, mut spared: impl FnMut(&K) -> bool) -> Option<(K, u64)> {
        let [probation, main, manifests] = [0, 1, 2].map(|at: usize| self.queues[at].bytes);
        let content = probation + main;
        let mut order = [Place::Main, Place::Probation, Place::Manifests];
        if probation > content / PROBATION_PART {
            order = [Place::Probation, Place::Main, Place::Manifests];
        }
        if manifests > (content + manifests) / MANIFEST_PART {
            order.rotate_right(1);
        }
        order.into_iter().find_map(|place| self.evict_from(place, &mut spared))
    }

    /// Size of an entry in bytes, if there is one.
    pub(crate) fn size(&self, key: &K) -> Option<u64> {
        self.entries.get(key).map(|entry| entry.size)
    }

    /// Rank of an entry, if there is one.
    pub(crate) fn rank(&self, key: &K) -> Option<Rank> {
        self.entries.get(key).map(|entry| entry.place.rank())
    }

    /// All keys, in no order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.keys()
    }

    /// Number of entries of a rank, and their bytes.
    pub(crate) fn holds(&self, rank: Rank) -> (u64, u64) {
        let places = [Place::Probation, Place::Main, Place::Manifests].into_iter();
        places.filter(|place| place.rank() == rank).fold((0, 0), |(entries, bytes), place| {
            let queue = &self.queues[place as usize];
            (entries + queue.entries as u64, bytes + queue.bytes)
        })
    }

    fn evict_from(&mut self, place: Place, spared: &mut impl FnMut(&K) -> bool) -> Option<(K, u64)> {
        // An entry passes the front once for each remaining use, and once more to be evicted.
        for _ in 0..self.queue(place).turns.len() * (usize::from(USES_MAX) + 1) {
            let (turn, key) = self.queue(place).turns.pop_front()?;
            let Some(entry) = self.entries.get(&key).filter(|entry| entry.turn == turn) else { continue };
            let (size, uses, counted_at) = (entry.size, entry.uses, entry.counted_at);
            let onward = match place {
                _ if spared(&key) => Some((place, uses)),
                Place::Probation if uses > 0 => Some((Place::Main, 0)),
                _ => uses.checked_sub(1).map(|uses| (place, uses)),
            };
            let Some((onward, uses)) = onward else {
                self.remove(&key);
                if place == Place::Probation {
                    let most = self.entries.len().max(GHOSTS_MIN);
                    self.ghosts.add(self.ghost_of(&key), most);
                }
                return Some((key, size));
            };
            self.place(key.clone(), onward, size, counted_at);
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.uses = uses;
            }
        }
        None
    }

    fn place(&mut self, key: K, place: Place, size: u64, counted_at: Instant) {
        self.turn += 1;
        let turn = self.turn;
        let entry = Entry { size, place, turn, uses: 0, counted_at };
        if let Some(before) = self.entries.insert(key.clone(), entry) {
            self.queue(before.place).left(before.size);
        }
        self.queue(place).enter(turn, key, size);
    }

    fn queue(&mut self, place: Place) -> &mut Queue<K> {
        &mut self.queues[place as usize]
    }

    fn ghost_of(&self, key: &K) -> u64 {
        self.entries.hasher().hash_one(key)
    }
}

impl<K> Default for Order<K> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            queues: [(); 3].map(|()| Queue { turns: VecDeque::new(), entries: 0, bytes: 0 }),
            ghosts: Ghosts::default(),
            turn: 0,
        }
    }
}

impl Place {
    fn rank(self) -> Rank {
        match self {
            Self::Manifests => Rank::Manifest,
            Self::Probation | Self::Main => Rank::Blob,
        }
    }
}

impl<K> Queue<K> {
    fn enter(&mut self, turn: u64, key: K, size: u64) {
        self.turns.push_back((turn, key));
        self.entries += 1;
        self.bytes += size;
    }

    /// Subtracts an entry from the counts. Its turn stays in the queue and is skipped later.
    fn left(&mut self, size: u64) {
        self.entries -= 1;
        self.bytes -= size;
        if self.entries == 0 {
            self.turns.clear();
        }
    }
}

/// Hashes of the keys that were evicted from the short queue. The oldest are forgotten first.
#[derive(Debug, Default)]
struct Ghosts {
    known: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Ghosts {
    fn add(&mut self, hash: u64, most: usize) {
        if self.known.insert(hash) {
            self.order.push_back(hash);
        }
        while self.order.len() > most {
            let Some(oldest) = self.order.pop_front() else { return };
            self.known.remove(&oldest);
        }
    }

    fn remove(&mut self, hash: u64) -> bool {
        self.known.remove(&hash)
    }
}

/// The largest number of uses that is counted: an entry without further requests stays in its queue for at most this
/// many rounds.
const USES_MAX: u8 = 3;
/// Uses within this time count as one.
const ONE_USE: Duration = Duration::from_secs(60);
/// The short queue's part of the blobs, as a divisor: a tenth.
const PROBATION_PART: u64 = 10;
/// Manifests are evicted before blobs when they use more than this part of the store, as a divisor: an eighth.
const MANIFEST_PART: u64 = 8;
/// Minimum number of remembered hashes, even with few entries.
const GHOSTS_MIN: usize = 1000;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A store of `limit` bytes that stores every requested key.
    struct Cache {
        order: Order<u32>,
        limit: u64,
        now: Instant,
    }

    impl Cache {
        fn new(limit: u64) -> Self {
            Self { order: Order::default(), limit, now: Instant::now() }
        }

        /// Requests `key`. True if it was a hit.
        fn ask(&mut self, key: u32, size: u64) -> bool {
            self.now += Duration::from_secs(1);
            if self.order.size(&key).is_some() {
                self.order.touch(&key, self.now);
                return true;
            }
            while self.bytes() + size > self.limit {
                self.order.evict(|_| false).unwrap();
            }
            self.order.insert(key, Rank::Blob, size, self.now);
            false
        }

        fn bytes(&self) -> u64 {
            self.order.holds(Rank::Blob).1 + self.order.holds(Rank::Manifest).1
        }
    }

    fn size_of(key: u32) -> u64 {
        1 + fastrand::Rng::with_seed(u64::from(key)).u64(..64)
    }

    /// Share of hits while the hot set is requested in random order; `beside` runs between the requests, for example a
    /// scan.
    fn hits(
        cache: &mut Cache,
        random: &mut fastrand::Rng,
        hot: u32,
        beside: &mut dyn FnMut(&mut Cache),
    ) -> f64 {
        let asked = hot * 20;
        let hits = (0..asked).filter(|_| {
            beside(cache);
            let key = random.u32(..hot);
            cache.ask(key, size_of(key))
        });
        hits.count() as f64 / f64::from(asked)
    }

    #[test]
    fn a_scan_of_five_times_the_cache_costs_the_hot_set_at_most_five_points() {
        for seed in 0..20 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut cache = Cache::new(32_000);
            // The hot set is about 70 % of the store; another fifth is requested now and then.
            let hot = 700;
            let alone = hits(&mut cache, &mut random, hot, &mut |_| {});
            let mut scanned = 0;
            let mut key = 1_000_000;
            let per_ask = 5 * cache.limit / u64::from(hot * 20) + 1;
            let beside = hits(&mut cache, &mut random, hot, &mut |cache| {
                let until = scanned + per_ask;
                while scanned < until {
                    cache.ask(key, size_of(key));
                    scanned += size_of(key);
                    key += 1;
                }
            });
            assert!(scanned >= 5 * cache.limit);
            let after = hits(&mut cache, &mut random, hot, &mut |_| {});
            assert!(beside >= alone - 0.05, "seed {seed}: {alone:.3} alone, {beside:.3} beside a scan");
            assert!(after >= alone - 0.05, "seed {seed}: {alone:.3} alone, {after:.3} after a scan");
        }
    }

    #[test]
    fn the_counts_match_the_entries_after_random_operations() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut order = Order::<u32>::default();
        let mut model = HashMap::new();
        let mut now = Instant::now();
        for _ in 0..100_000 {
            now += Duration::from_secs(random.u64(..100));
            let key = random.u32(..500);
            match random.u8(..6) {
                0 | 1 => {
                    let rank = if random.u8(..5) == 0 { Rank::Manifest } else { Rank::Blob };
                    order.insert(key, rank, u64::from(key), now);
                    model.insert(key, u64::from(key));
                }
                2 => order.touch(&key, now),
                3 => assert_eq!(order.remove(&key), model.remove(&key)),
                _ => {
                    let spared = |key: &u32| key.is_multiple_of(3);
                    match order.evict(spared) {
                        Some((key, size)) => {
                            assert!(!spared(&key));
                            assert_eq!(model.remove(&key), Some(size));
                        }
                        None => assert!(model.keys().all(spared)),
                    }
                }
            }
            let (content, manifests) = (order.holds(Rank::Blob), order.holds(Rank::Manifest));
            assert_eq!(content.0 + manifests.0, model.len() as u64);
            assert_eq!(content.1 + manifests.1, model.values().sum::<u64>());
        }
    }

    #[test]
    fn manifests_outlive_layers() {
        let mut order = Order::default();
        let now = Instant::now();
        for key in 0..10 {
            order.insert(key, Rank::Manifest, 1, now);
            order.insert(100 + key, Rank::Blob, 1000, now);
        }
        let left: Vec<u32> = std::iter::from_fn(|| Some(order.evict(|_| false)?.0)).collect();
        assert!(left[..10].iter().all(|key| *key >= 100), "{left:?}");
        assert_eq!(left.len(), 20);
    }

    #[test]
    fn the_uses_of_one_pull_count_as_one() {
        let mut order = Order::default();
        let now = Instant::now();
        for key in [1, 2] {
            order.insert(key, Rank::Blob, 1, now);
        }
        for _ in 0..100 {
            order.touch(&1, now + Duration::from_secs(1));
        }
        order.touch(&2, now + ONE_USE);
        assert_eq!(order.evict(|_| false).unwrap().0, 1);
    }

    #[test]
    fn content_that_is_fetched_again_stays_longer_than_new_content() {
        let mut order = Order::default();
        let now = Instant::now();
        order.insert(1, Rank::Blob, 1, now);
        assert_eq!(order.evict(|_| false).unwrap().0, 1);
        order.insert(1, Rank::Blob, 1, now);
        order.insert(2, Rank::Blob, 1, now);
        assert_eq!(order.evict(|_| false).unwrap().0, 2);
    }
}
