//! Collects the requests of one pull into one record. No I/O; the time is an argument.
//!
//! A pull begins with one client's request for a manifest of one repository. The client's later requests for that
//! repository belong to the pull. The pull ends when every blob of its last image manifest was sent, when a manifest
//! could not be served, or when the client has sent no request for [`QUIET`], because a node does not ask for layers
//! that it has. A pull does not end while one of its requests runs.
//!
//! Clients with the same address and user agent look like one client. Their simultaneous pulls of one repository become
//! one record.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use oci::{Class, Digest, ImageName, Reference, RegistryHost, Repository, Stage};
use tokio::time::Instant;

use super::outcome::PullOutcome;
use super::record::PullRecord;

/// The pulls that have not ended.
#[derive(Debug, Default)]
pub(crate) struct Pulls {
    open: HashMap<Puller, Pull>,
}

/// The client and repository whose requests belong to one pull.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Puller {
    client: IpAddr,
    agent: u64,
    registry: RegistryHost,
    repository: Repository,
}

/// The end of one request of a pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// The outcome of the request for its pull.
    pub(crate) outcome: PullOutcome,
    /// The content that the client has now.
    pub(crate) got: Got,
    /// Body bytes sent.
    pub(crate) bytes: u64,
    /// The class of the failure, or of the reason for a stale answer.
    pub(crate) class: Option<Class>,
    /// The stage of the failure.
    pub(crate) stage: Option<Stage>,
}

/// The request for a manifest that may begin a pull.
#[derive(Clone, Copy, Debug)]
pub(crate) struct First<'a> {
    /// The requested manifest.
    pub(crate) reference: &'a Reference,
    /// The client's `User-Agent`. Empty if there is none.
    pub(crate) user_agent: &'a str,
    /// The wall time at which the request's head came.
    pub(crate) start: SystemTime,
}

/// The content that a client has after a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Got {
    /// Nothing that shows the progress of the pull.
    #[default]
    Nothing,
    /// An image manifest, which names these blobs.
    Names(Arc<[Digest]>),
    /// A whole blob.
    Blob(Digest),
    /// No manifest, so the pull cannot continue.
    NoManifest,
}

impl End {
    /// The end of a request that sent no bytes and met no failure.
    pub(crate) fn of(outcome: PullOutcome, got: Got) -> Self {
        Self { outcome, got, bytes: 0, class: None, stage: None }
    }
}

impl Pulls {
    /// Notes that a request of `puller` began. `first` is set if the request can begin a pull. Returns true if the
    /// request belongs to a pull; then [`Self::ended`] must follow.
    pub(crate) fn began(&mut self, puller: &Puller, first: Option<&First<'_>>, now: Instant) -> bool {
        if let Some(pull) = self.open.get_mut(puller) {
            pull.running += 1;
            return true;
        }
        let Some(first) = first.filter(|_| self.open.len() < OPEN_MAX) else { return false };
        self.open.insert(puller.clone(), Pull::new(puller, first, now));
        true
    }

    /// Notes that a request of `puller` ended. Returns the record if the pull ended too.
    pub(crate) fn ended(&mut self, puller: &Puller, end: End, now: Instant) -> Option<PullRecord> {
        let pull = self.open.get_mut(puller)?;
        pull.ended(end, now);
        if !pull.is_complete() {
            return None;
        }
        let pull = self.open.remove(puller)?;
        Some(pull.record(puller))
    }

    /// Ends the pulls whose clients have sent no request for [`QUIET`], and returns their records.
    pub(crate) fn quiet(&mut self, now: Instant) -> Vec<PullRecord> {
        let quiet = self.open.extract_if(|_, pull| pull.running == 0 && now - pull.last >= QUIET);
        quiet.map(|(puller, pull)| pull.record(&puller)).collect()
    }
}

impl Puller {
    /// The client at this address with the `User-Agent` `agent`, in this repository.
    pub(crate) fn new(client: IpAddr, agent: &str, registry: RegistryHost, repository: Repository) -> Self {
        let mut hasher = DefaultHasher::new();
        agent.hash(&mut hasher);
        Self { client, agent: hasher.finish(), registry, repository }
    }
}

/// One pull under way.
#[derive(Debug)]
struct Pull {
    image: ImageName,
    user_agent: String,
    start: SystemTime,
    /// The class of the first failure. `stage` is the stage of the same failure.
    class: Option<Class>,
    stage: Option<Stage>,
    bytes: u64,
    began: Instant,
    last: Instant,
    running: usize,
    requests: u64,
    worst: PullOutcome,
    /// Blobs named by the last image manifest. `None` before there is a manifest, or if it names too many.
    named: Option<Arc<[Digest]>>,
    without_manifest: bool,
    had: HashSet<Digest>,
}

impl Pull {
    fn new(puller: &Puller, first: &First<'_>, now: Instant) -> Self {
        let Puller { registry, repository, .. } = puller.clone();
        Self {
            image: ImageName { registry, repository, reference: first.reference.clone() },
            user_agent: first.user_agent.to_owned(),
            start: first.start,
            class: None,
            stage: None,
            bytes: 0,
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
        self.bytes += end.bytes;
        if self.class.is_none() {
            (self.class, self.stage) = (end.class, end.stage);
        }
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

    fn record(self, puller: &Puller) -> PullRecord {
        PullRecord {
            id: None,
            image: self.image,
            registry: puller.registry.clone(),
            client: puller.client,
            user_agent: self.user_agent,
            start: self.start,
            duration: self.last - self.began,
            outcome: self.worst,
            class: self.class,
            stage: self.stage,
            bytes: self.bytes,
            requests: self.requests,
        }
    }
}

/// A client that sends no request for this time has finished its pull.
pub(crate) const QUIET: Duration = Duration::from_secs(10);
/// The most pulls followed at a time. Further pulls are served but not recorded.
const OPEN_MAX: usize = 4096;
/// The most blobs of one image that are followed. Registries have far lower limits.
const NAMED_MAX: usize = 512;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::LazyLock;

    use super::*;
    use crate::http::outcome::Outcome;

    struct FirstOfAll(LazyLock<Reference>);

    impl FirstOfAll {
        fn get(&self) -> First<'_> {
            First { reference: &self.0, user_agent: "containerd/2.1", start: SystemTime::UNIX_EPOCH }
        }
    }

    static FIRST: FirstOfAll = FirstOfAll(LazyLock::new(|| "3".parse().unwrap()));

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
        End::of(outcome, got)
    }

    fn after(began: Instant, seconds: u64) -> Instant {
        began + Duration::from_secs(seconds)
    }

    /// A request for a manifest that names `blobs`, from second 0 to second 1.
    fn with_manifest(pulls: &mut Pulls, puller: &Puller, blobs: &[u8]) -> Instant {
        let began = Instant::now();
        assert!(pulls.began(puller, Some(&FIRST.get()), began));
        let names = Got::Names(blobs.iter().copied().map(blob).collect());
        assert_eq!(pulls.ended(puller, end(PullOutcome::Miss, names), after(began, 1)), None);
        began
    }

    #[test]
    fn a_pull_ends_with_the_last_byte_of_the_last_blob_its_manifest_names() {
        let (mut pulls, node) = (Pulls::default(), node());
        let began = with_manifest(&mut pulls, &node, &[1, 2]);
        assert!(pulls.began(&node, None, after(began, 1)));
        assert!(pulls.began(&node, None, after(began, 1)));
        let first = end(PullOutcome::Hit, Got::Blob(blob(1)));
        assert_eq!(pulls.ended(&node, first, after(began, 2)), None);
        let second = end(PullOutcome::Hit, Got::Blob(blob(2)));
        let record = pulls.ended(&node, second, after(began, 40)).unwrap();
        assert_eq!((record.outcome, record.requests), (PullOutcome::Miss, 3));
        assert_eq!(record.duration, Duration::from_secs(40));
        assert_eq!(pulls.quiet(after(began, 1000)), []);
    }

    #[test]
    fn the_pull_of_a_node_that_has_some_layers_ends_when_it_is_quiet_and_the_silence_is_not_counted() {
        let (mut pulls, node) = (Pulls::default(), node());
        let began = with_manifest(&mut pulls, &node, &[1, 2]);
        assert!(pulls.began(&node, None, after(began, 2)));
        assert_eq!(pulls.ended(&node, end(PullOutcome::Hit, Got::Blob(blob(1))), after(began, 3)), None);
        assert_eq!(pulls.quiet(after(began, 12)), []);
        let records = pulls.quiet(after(began, 13));
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].duration, Duration::from_secs(3));
    }

    #[test]
    fn a_pull_does_not_end_during_a_long_transfer() {
        let (mut pulls, node) = (Pulls::default(), node());
        let began = with_manifest(&mut pulls, &node, &[1]);
        assert!(pulls.began(&node, None, after(began, 2)));
        assert_eq!(pulls.quiet(after(began, 3600)), []);
        let whole = end(PullOutcome::Joined, Got::Blob(blob(1)));
        assert!(pulls.ended(&node, whole, after(began, 3601)).is_some());
    }

    #[test]
    fn a_pull_has_the_outcome_of_its_worst_request() {
        let (mut pulls, node) = (Pulls::default(), node());
        let began = with_manifest(&mut pulls, &node, &[1]);
        for outcome in [PullOutcome::Failed, PullOutcome::Hit] {
            assert!(pulls.began(&node, None, after(began, 2)));
            assert_eq!(pulls.ended(&node, end(outcome, Got::Nothing), after(began, 2)), None);
        }
        assert_eq!(pulls.quiet(after(began, 12))[0].outcome, PullOutcome::Failed);
    }

    #[test]
    fn a_pull_ends_if_its_manifest_cannot_be_served() {
        let (mut pulls, node) = (Pulls::default(), node());
        let now = Instant::now();
        for outcome in [PullOutcome::Absent, PullOutcome::Failed] {
            assert!(pulls.began(&node, Some(&FIRST.get()), now));
            let record = pulls.ended(&node, end(outcome, Got::NoManifest), now).unwrap();
            assert_eq!((record.outcome, record.requests), (outcome, 1));
        }
    }

    #[test]
    fn pulls_of_different_clients_and_repositories_are_separate() {
        let mut pulls = Pulls::default();
        let now = Instant::now();
        for (client, agent, repository) in [
            (1, "containerd/2.1", "a"),
            (2, "containerd/2.1", "a"),
            (1, "skopeo/1", "a"),
            (1, "skopeo/1", "b"),
        ] {
            let puller = puller(client, agent, repository);
            assert!(pulls.began(&puller, Some(&FIRST.get()), now));
            pulls.ended(&puller, end(PullOutcome::Hit, Got::Nothing), now);
        }
        assert_eq!(pulls.quiet(now + QUIET).len(), 4);
    }

    #[test]
    fn a_blob_alone_is_no_pull() {
        let mut pulls = Pulls::default();
        assert!(!pulls.began(&node(), None, Instant::now()));
    }

    #[test]
    fn a_pull_that_begins_while_too_many_are_open_is_not_recorded() {
        let mut pulls = Pulls::default();
        let now = Instant::now();
        for number in 0..OPEN_MAX {
            assert!(pulls.began(&puller(1, &number.to_string(), "a"), Some(&FIRST.get()), now));
        }
        assert!(!pulls.began(&node(), Some(&FIRST.get()), now));
        assert!(pulls.began(&puller(1, "0", "a"), None, now), "open pulls go on");
    }

    #[test]
    fn an_answered_challenge_does_not_change_the_outcome_of_the_pull() {
        let (mut pulls, node) = (Pulls::default(), node());
        let now = Instant::now();
        let challenged = || end(PullOutcome::of(Outcome::Refused, 401), Got::Nothing);
        for end in [challenged(), end(PullOutcome::Miss, Got::Nothing)] {
            assert!(pulls.began(&node, Some(&FIRST.get()), now));
            assert_eq!(pulls.ended(&node, end, now), None);
        }
        assert_eq!(pulls.quiet(now + QUIET)[0].outcome, PullOutcome::Miss);
        assert!(pulls.began(&node, Some(&FIRST.get()), now));
        assert_eq!(pulls.ended(&node, challenged(), now), None);
        assert_eq!(pulls.quiet(now + QUIET)[0].outcome, PullOutcome::Challenged);
    }

    #[test]
    fn a_404_of_the_upstream_is_absent_and_not_a_miss() {
        assert_eq!(PullOutcome::of(Outcome::Miss, 404), PullOutcome::Absent);
        assert_eq!(PullOutcome::of(Outcome::Miss, 200), PullOutcome::Miss);
    }
}
