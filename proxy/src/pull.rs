//! Stitches the requests of one pull into one record; pure: the time is an argument.
//!
//! A pull begins with a request for a manifest, by one client in one repository. What this client asks of that repository
//! from then on belongs to it. It ends when every blob of the last image manifest was handed over, when a manifest was
//! not to be had, or when the client has been quiet for [`QUIET`]: nodes that hold some layers never ask for those. While
//! a request runs, no pull ends.
//!
//! Clients behind one address and with one user agent look like one; two such pulls of one repository at one time
//! are recorded as one.

pub(crate) mod step;

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use oci::{Digest, RegistryHost, Repository};
use tokio::time::Instant;

use crate::respond::Outcome;

oci::labels! {
    /// How a pull ended: the worst that any of its requests met, in rising order.
    PullOutcome {
        /// Asked for a token, which the client did not bring.
        Challenged = "challenged";
        /// All of it came from the store.
        Hit = "hit";
        /// Some of it came from an upstream transfer that another client began.
        Joined = "joined";
        /// Some of it came from the upstream.
        Miss = "miss";
        /// The tag was answered as last known.
        Stale = "stale";
        /// The upstream says there is no such thing.
        Absent = "absent";
        /// The client left before it had everything it asked for.
        Abandoned = "abandoned";
        /// Not answered, for what was asked.
        Refused = "refused";
        /// The upstream or we could not answer, or a body broke.
        Failed = "failed";
    }
}

/// The pulls that have not ended.
#[derive(Debug, Default)]
pub(crate) struct Pulls {
    open: HashMap<Puller, Pull>,
}

/// Whose requests belong together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Puller {
    client: IpAddr,
    agent: u64,
    registry: RegistryHost,
    repository: Repository,
}

/// A pull that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Where it pulled from.
    pub(crate) registry: RegistryHost,
    /// How it ended.
    pub(crate) outcome: PullOutcome,
    /// Requests it took.
    pub(crate) requests: u64,
    /// From the head of its first request to the last byte of its last answer.
    pub(crate) took: Duration,
}

/// What one request of a pull came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// How it was answered.
    pub(crate) outcome: PullOutcome,
    /// What the client has now.
    pub(crate) got: Got,
}

/// What a client has after a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Got {
    /// Nothing that tells how far the pull is.
    #[default]
    Nothing,
    /// An image manifest, which names these blobs.
    Names(Arc<[Digest]>),
    /// A whole blob.
    Blob(Digest),
    /// No manifest: there is nothing to go on with.
    NoManifest,
}

impl Pulls {
    /// A request of `puller` began; `by_manifest` if it can begin a pull. Says whether it belongs to one: then
    /// [`Self::ended`] must follow.
    pub(crate) fn began(&mut self, puller: &Puller, by_manifest: bool, now: Instant) -> bool {
        if let Some(pull) = self.open.get_mut(puller) {
            pull.running += 1;
            return true;
        }
        let begins = by_manifest && self.open.len() < OPEN_MAX;
        if begins {
            self.open.insert(puller.clone(), Pull::new(now));
        }
        begins
    }

    /// A request of `puller` ended; with it, perhaps, the pull.
    pub(crate) fn ended(&mut self, puller: &Puller, end: End, now: Instant) -> Option<Record> {
        let pull = self.open.get_mut(puller)?;
        pull.ended(end, now);
        if !pull.is_complete() {
            return None;
        }
        let pull = self.open.remove(puller)?;
        Some(pull.record(puller))
    }

    /// The pulls whose clients went quiet.
    pub(crate) fn quiet(&mut self, now: Instant) -> Vec<Record> {
        let quiet = self.open.extract_if(|_, pull| pull.running == 0 && now - pull.last >= QUIET);
        quiet.map(|(puller, pull)| pull.record(&puller)).collect()
    }
}

impl Puller {
    /// The client at this address that calls itself `agent`, in this repository.
    pub(crate) fn new(client: IpAddr, agent: &str, registry: RegistryHost, repository: Repository) -> Self {
        let mut hasher = DefaultHasher::new();
        agent.hash(&mut hasher);
        Self { client, agent: hasher.finish(), registry, repository }
    }
}

impl PullOutcome {
    /// What an answer with this outcome and status code means to a pull.
    pub(crate) fn of(outcome: Outcome, code: u16) -> Self {
        match outcome {
            Outcome::Miss if code == NOT_FOUND => Self::Absent,
            Outcome::Refused if code == UNAUTHORIZED => Self::Challenged,
            Outcome::Hit => Self::Hit,
            Outcome::Joined => Self::Joined,
            Outcome::Miss => Self::Miss,
            Outcome::Stale => Self::Stale,
            Outcome::Refused => Self::Refused,
            Outcome::Failed => Self::Failed,
        }
    }
}

/// One pull under way.
#[derive(Debug)]
struct Pull {
    began: Instant,
    last: Instant,
    running: usize,
    requests: u64,
    worst: PullOutcome,
    /// Blobs that the last image manifest named; `None` before there was one, or when it names too many.
    named: Option<Arc<[Digest]>>,
    without_manifest: bool,
    had: HashSet<Digest>,
}

impl Pull {
    fn new(now: Instant) -> Self {
        Self {
            began: now,
            last: now,
            running: 1,
            requests: 0,
            worst: PullOutcome::Challenged,
            named: None,
            without_manifest: false,
            had: HashSet::new(),
        }
    }

    fn ended(&mut self, end: End, now: Instant) {
        self.running = self.running.saturating_sub(1);
        self.requests += 1;
        self.last = now;
        self.worst = self.worst.max(end.outcome);
        match end.got {
            Got::Nothing => {}
            Got::NoManifest => self.without_manifest = true,
            Got::Names(blobs) => self.named = Some(blobs).filter(|blobs| blobs.len() <= NAMED_MAX),
            Got::Blob(digest) => {
                if self.had.len() < NAMED_MAX {
                    self.had.insert(digest);
                }
            }
        }
    }

    fn is_complete(&self) -> bool {
        let had = |blobs: &Arc<[Digest]>| blobs.iter().all(|digest| self.had.contains(digest));
        self.running == 0 && (self.without_manifest || self.named.as_ref().is_some_and(had))
    }

    fn record(self, puller: &Puller) -> Record {
        Record {
            registry: puller.registry.clone(),
            outcome: self.worst,
            requests: self.requests,
            took: self.last - self.began,
        }
    }
}

/// A client that asked nothing for so long has all it wanted.
pub(crate) const QUIET: Duration = Duration::from_secs(10);
/// Pulls followed at once; what begins beyond is served and not recorded.
const OPEN_MAX: usize = 4096;
/// Blobs of one image that are followed; registries stop far earlier.
const NAMED_MAX: usize = 512;
/// The status code of an upstream's own "no".
const NOT_FOUND: u16 = 404;
/// That of a challenge: who can meet it comes back, and the pull goes on.
const UNAUTHORIZED: u16 = 401;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn puller(client: u8, agent: &str, repository: &str) -> Puller {
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, client));
        Puller::new(address, agent, "docker.io".parse().unwrap(), repository.parse().unwrap())
    }

    fn node() -> Puller {
        puller(1, "containerd/2.1", "library/alpine")
    }

    fn blob(name: u8) -> Digest {
        format!("sha256:{}", format!("{name:02x}").repeat(32)).parse().unwrap()
    }

    fn end(outcome: PullOutcome, got: Got) -> End {
        End { outcome, got }
    }

    fn after(began: Instant, seconds: u64) -> Instant {
        began + Duration::from_secs(seconds)
    }

    /// A manifest by digest that names `blobs`, from second 0 to second 1.
    fn with_manifest(pulls: &mut Pulls, puller: &Puller, blobs: &[u8]) -> Instant {
        let began = Instant::now();
        assert!(pulls.began(puller, true, began));
        let names = Got::Names(blobs.iter().copied().map(blob).collect());
        assert_eq!(pulls.ended(puller, end(PullOutcome::Miss, names), after(began, 1)), None);
        began
    }

    #[test]
    fn a_pull_ends_with_the_last_byte_of_the_last_blob_its_manifest_names() {
        let (mut pulls, node) = (Pulls::default(), node());
        let began = with_manifest(&mut pulls, &node, &[1, 2]);
        assert!(pulls.began(&node, false, after(began, 1)));
        assert!(pulls.began(&node, false, after(began, 1)));
        let first = end(PullOutcome::Hit, Got::Blob(blob(1)));
        assert_eq!(pulls.ended(&node, first, after(began, 2)), None);
        let second = end(PullOutcome::Hit, Got::Blob(blob(2)));
        let record = pulls.ended(&node, second, after(began, 40)).unwrap();
        assert_eq!((record.outcome, record.requests), (PullOutcome::Miss, 3));
        assert_eq!(record.took, Duration::from_secs(40));
        assert_eq!(pulls.quiet(after(began, 1000)), []);
    }

    #[test]
    fn a_node_that_has_some_layers_ends_its_pull_by_going_quiet_and_the_silence_is_not_counted() {
        let (mut pulls, node) = (Pulls::default(), node());
        let began = with_manifest(&mut pulls, &node, &[1, 2]);
        assert!(pulls.began(&node, false, after(began, 2)));
        assert_eq!(pulls.ended(&node, end(PullOutcome::Hit, Got::Blob(blob(1))), after(began, 3)), None);
        assert_eq!(pulls.quiet(after(began, 12)), []);
        let records = pulls.quiet(after(began, 13));
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].took, Duration::from_secs(3));
    }

    #[test]
    fn a_long_transfer_is_not_silence() {
        let (mut pulls, node) = (Pulls::default(), node());
        let began = with_manifest(&mut pulls, &node, &[1]);
        assert!(pulls.began(&node, false, after(began, 2)));
        assert_eq!(pulls.quiet(after(began, 3600)), []);
        let whole = end(PullOutcome::Joined, Got::Blob(blob(1)));
        assert!(pulls.ended(&node, whole, after(began, 3601)).is_some());
    }

    #[test]
    fn the_worst_request_names_the_pull() {
        let (mut pulls, node) = (Pulls::default(), node());
        let began = with_manifest(&mut pulls, &node, &[1]);
        for outcome in [PullOutcome::Failed, PullOutcome::Hit] {
            assert!(pulls.began(&node, false, after(began, 2)));
            assert_eq!(pulls.ended(&node, end(outcome, Got::Nothing), after(began, 2)), None);
        }
        assert_eq!(pulls.quiet(after(began, 12))[0].outcome, PullOutcome::Failed);
    }

    #[test]
    fn without_a_manifest_there_is_nothing_to_wait_for() {
        let (mut pulls, node) = (Pulls::default(), node());
        let now = Instant::now();
        for outcome in [PullOutcome::Absent, PullOutcome::Failed] {
            assert!(pulls.began(&node, true, now));
            let record = pulls.ended(&node, end(outcome, Got::NoManifest), now).unwrap();
            assert_eq!((record.outcome, record.requests), (outcome, 1));
        }
    }

    #[test]
    fn clients_and_repositories_are_told_apart() {
        let mut pulls = Pulls::default();
        let now = Instant::now();
        for (client, agent, repository) in [
            (1, "containerd/2.1", "a"),
            (2, "containerd/2.1", "a"),
            (1, "skopeo/1", "a"),
            (1, "skopeo/1", "b"),
        ] {
            let puller = puller(client, agent, repository);
            assert!(pulls.began(&puller, true, now));
            pulls.ended(&puller, end(PullOutcome::Hit, Got::Nothing), now);
        }
        assert_eq!(pulls.quiet(now + QUIET).len(), 4);
    }

    #[test]
    fn a_blob_alone_is_no_pull() {
        let mut pulls = Pulls::default();
        assert!(!pulls.began(&node(), false, Instant::now()));
    }

    #[test]
    fn what_begins_while_too_many_are_open_is_not_followed() {
        let mut pulls = Pulls::default();
        let now = Instant::now();
        for number in 0..OPEN_MAX {
            assert!(pulls.began(&puller(1, &number.to_string(), "a"), true, now));
        }
        assert!(!pulls.began(&node(), true, now));
        assert!(pulls.began(&puller(1, "0", "a"), false, now), "open pulls go on");
    }

    #[test]
    fn a_challenge_that_is_met_leaves_no_mark_on_the_pull() {
        let (mut pulls, node) = (Pulls::default(), node());
        let now = Instant::now();
        let challenged = || end(PullOutcome::of(Outcome::Refused, 401), Got::Nothing);
        for end in [challenged(), end(PullOutcome::Miss, Got::Nothing)] {
            assert!(pulls.began(&node, true, now));
            assert_eq!(pulls.ended(&node, end, now), None);
        }
        assert_eq!(pulls.quiet(now + QUIET)[0].outcome, PullOutcome::Miss);
        assert!(pulls.began(&node, true, now));
        assert_eq!(pulls.ended(&node, challenged(), now), None);
        assert_eq!(pulls.quiet(now + QUIET)[0].outcome, PullOutcome::Challenged);
    }

    #[test]
    fn the_upstream_s_own_no_is_absent_and_not_a_miss() {
        assert_eq!(PullOutcome::of(Outcome::Miss, 404), PullOutcome::Absent);
        assert_eq!(PullOutcome::of(Outcome::Miss, 200), PullOutcome::Miss);
    }
}
