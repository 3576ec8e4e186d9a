//! The rule that begins, continues and ends incidents. Pure: every time is an argument.
//!
//! An incident begins with the second failure of one registry, class and identity within [`SILENCE`], unless a success came
//! between. It remembers the images that fail. A success takes the image off; once none is left, the incident ends. It also
//! ends when no failure was seen for a long time. A failure within [`REOPEN`] of the end continues the same incident, which
//! from then on ends only after [`STEADY`] without a failure: an unsteady registry is one incident.

use std::collections::HashMap;
use std::time::Duration;

use oci::class::Family;
use oci::{Class, RegistryHost, Stage};

use super::record::{Identity, Incident, IncidentId, Names, Resolution};
use super::sighting::{Fault, Sighting, Source};
use crate::record::text::TargetName;
use crate::time::Timestamp;

/// Failures that begin an incident.
const CONFIRMED: u64 = 2;
/// The time without a failure after which a failure is forgotten and an incident ends. The prober asks a failing target at
/// least every half hour.
pub const SILENCE: Duration = Duration::from_secs(3600);
/// The same for failures that further requests make worse: a refused credential is not tried again until it changes.
pub const LONG_SILENCE: Duration = Duration::from_secs(24 * 3600);
/// The time after its end in which an incident goes on.
pub const REOPEN: Duration = Duration::from_secs(600);
/// The time without a failure after which an incident that went on ends again.
pub const STEADY: Duration = Duration::from_secs(300);
/// Maximum number of incidents and of single failures that are remembered.
const CASES_MAX: usize = 1024;
/// Maximum number of failing images that one incident remembers.
const FAILING_MAX: usize = 256;

/// All incidents that last or have ended just now.
#[derive(Debug, Default)]
pub struct Tracker(HashMap<Key, Case>);

/// Registry, class and identity.
type Key = (RegistryHost, Class, Identity);

/// A change of an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was confirmed.
    Began(Incident),
    /// It has more failures.
    Continued(Incident),
    /// It had ended and goes on.
    Again(Incident),
    /// It ended.
    Ended(Incident),
}

impl Change {
    /// The incident after the change.
    pub fn incident(&self) -> &Incident {
        match self {
            Self::Began(it) | Self::Continued(it) | Self::Again(it) | Self::Ended(it) => it,
        }
    }
}

#[derive(Debug)]
struct Case {
    incident: Incident,
    /// False for failures that are not confirmed.
    confirmed: bool,
    /// The images that fail, each with what saw it last; `None` stands for the registry alone.
    failing: HashMap<Option<TargetName>, Source>,
    /// The success that will end it, if no failure follows.
    ending: Option<(Resolution, Option<TargetName>)>,
    /// True if it changed since it was last handed out.
    news: bool,
}

impl Tracker {
    /// Takes one probe or pull.
    pub fn see(&mut self, sighting: &Sighting) -> Vec<Change> {
        match &sighting.fault {
            None => self.succeeded(sighting),
            Some(fault) if sighting.counts(fault.class) => self.failed(sighting, fault),
            Some(_) => Vec::new(),
        }
    }

    /// Ends what has been silent or steady for long enough, forgets what has ended, and hands out what changed.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        self.0.retain(|_, case| {
            if case.incident.is_active() && case.confirmed {
                changes.extend(case.look(now));
            }
            case.is_remembered(now)
        });
        changes
    }

    /// Ends the incidents of registries that are not among these.
    pub fn keep_only(&mut self, registries: &[RegistryHost], now: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        self.0.retain(|(registry, ..), case| {
            let kept = registries.contains(registry);
            if !kept && case.confirmed && case.incident.is_active() {
                changes.push(case.end(now, (Resolution::Removed, None)));
            }
            kept
        });
        changes
    }

    /// Takes incidents of an earlier process. Those that last go on. A new one of the same kind becomes part of the old.
    pub fn restore(&mut self, incidents: Vec<Incident>, now: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        for incident in incidents {
            let key = (incident.registry.clone(), incident.class, incident.identity.clone());
            let mut case = Case::restored(incident);
            let lasts = case.incident.is_active();
            if !lasts && (self.0.contains_key(&key) || !case.is_remembered(now)) {
                continue;
            }
            if let Some(newer) = self.0.remove(&key) {
                case.absorb(newer);
            }
            if lasts {
                changes.push(Change::Continued(case.incident.clone()));
            }
            self.0.insert(key, case);
        }
        changes
    }

    /// The incidents that last, the oldest first.
    pub fn active(&self) -> Vec<Incident> {
        let cases = self.0.values().filter(|case| case.confirmed && case.incident.is_active());
        let mut active: Vec<_> = cases.map(|case| case.incident.clone()).collect();
        active.sort_by_key(|incident| (incident.began, incident.id));
        active
    }

    fn failed(&mut self, sighting: &Sighting, fault: &Fault) -> Vec<Change> {
        let key = (sighting.registry.clone(), fault.class, sighting.identity.clone());
        if !self.0.contains_key(&key) && self.0.len() >= CASES_MAX {
            return Vec::new();
        }
        let case = self.0.entry(key).or_insert_with(|| Case::new(sighting, fault));
        if !case.is_remembered(sighting.at) {
            *case = Case::new(sighting, fault);
        }
        let mut changes: Vec<Change> = case.fail(sighting).into_iter().collect();
        if case.confirmed {
            changes.extend(self.replaced(sighting, fault.class));
        }
        changes
    }

    /// The image fails with another class now.
    fn replaced(&mut self, sighting: &Sighting, by: Class) -> Vec<Change> {
        let others = self.of(sighting).filter(|case| case.incident.class != by && case.confirmed);
        let name = TargetName::clean(by.as_str().as_bytes());
        let is_same = |failing: &Option<TargetName>, _| *failing == sighting.image;
        others
            .filter_map(|case| case.clear(is_same, sighting.at, (Resolution::OtherClass, name.clone())))
            .collect()
    }

    fn succeeded(&mut self, sighting: &Sighting) -> Vec<Change> {
        let by = match sighting.source {
            Source::Probe => Resolution::Probe,
            Source::Pull => Resolution::Pull,
        };
        let mut changes = Vec::new();
        for case in self.of(sighting) {
            let (class, stage) = (case.incident.class, case.incident.stage);
            let clears = |failing: &Option<TargetName>, source| {
                *failing == sighting.image || speaks_for(sighting, failing.as_ref(), source, (class, stage))
            };
            changes.extend(case.clear(clears, sighting.at, (by, sighting.image.clone())));
        }
        self.0.retain(|_, case| case.confirmed || !case.failing.is_empty());
        changes
    }

    /// The cases of the sighting's registry and identity that have not ended.
    fn of<'a>(&'a mut self, sighting: &'a Sighting) -> impl Iterator<Item = &'a mut Case> {
        let cases = self.0.values_mut().filter(|case| case.incident.is_active());
        cases.filter(|case| {
            case.incident.registry == sighting.registry && case.incident.identity == sighting.identity
        })
    }
}

/// True if a success with one image shows that another one, which failed like this, no longer fails. An image that was
/// probed is probed again; for one that was pulled nothing else may ever be known.
fn speaks_for(
    success: &Sighting,
    failing: Option<&TargetName>,
    source: Source,
    (class, stage): (Class, Option<Stage>),
) -> bool {
    let family = class.rules().family;
    let of_one_image = matches!(family, Family::Content | Family::Access);
    match (failing, &success.image) {
        (None, _) => true,
        (Some(_), Some(_)) => source == Source::Pull && !of_one_image,
        (Some(_), None) => source == Source::Pull && stage.is_some_and(|stage| stage <= Stage::Challenge),
    }
}

impl Case {
    fn new(sighting: &Sighting, fault: &Fault) -> Self {
        let incident = Incident {
            id: IncidentId::new(sighting.at),
            registry: sighting.registry.clone(),
            class: fault.class,
            identity: sighting.identity.clone(),
            stage: fault.stage,
            evidence: fault.evidence.clone(),
            began: sighting.at,
            last_seen: sighting.at,
            ended: None,
            resolved: None,
            resolved_by: None,
            probes: 0,
            pulls: 0,
            again: 0,
            images: Names::default(),
            workloads: Names::default(),
            nodes: Names::default(),
        };
        Self { incident, confirmed: false, failing: HashMap::new(), ending: None, news: false }
    }

    /// An incident from the file. Which of its images still fail is not known: a success with any of them counts.
    fn restored(incident: Incident) -> Self {
        let images = incident.images.as_slice().iter().cloned().map(Some);
        let mut failing: HashMap<_, _> = images.map(|image| (image, Source::Pull)).collect();
        if failing.is_empty() {
            failing.insert(None, Source::Probe);
        }
        Self { incident, confirmed: true, failing, ending: None, news: false }
    }

    /// Adds the failures of a case that began before this one was found in the file.
    fn absorb(&mut self, newer: Self) {
        let (to, from) = (&mut self.incident, newer.incident);
        to.last_seen = to.last_seen.max(from.last_seen);
        to.probes = to.probes.saturating_add(from.probes);
        to.pulls = to.pulls.saturating_add(from.pulls);
        for (names, more) in
            [(&mut to.images, from.images), (&mut to.workloads, from.workloads), (&mut to.nodes, from.nodes)]
        {
            more.as_slice().iter().cloned().for_each(|name| names.add(name));
        }
        self.failing.extend(newer.failing);
    }

    fn fail(&mut self, sighting: &Sighting) -> Option<Change> {
        let was_over = self.incident.ended.take().is_some();
        self.add(sighting);
        self.ending = None;
        if was_over {
            (self.incident.resolved, self.incident.resolved_by) = (None, None);
            self.incident.again = self.incident.again.saturating_add(1);
            return Some(Change::Again(self.hand_out()));
        }
        let confirms = !self.confirmed && self.incident.probes + self.incident.pulls >= CONFIRMED;
        self.confirmed |= confirms;
        self.news = true;
        confirms.then(|| Change::Began(self.hand_out()))
    }

    fn add(&mut self, sighting: &Sighting) {
        let incident = &mut self.incident;
        incident.last_seen = incident.last_seen.max(sighting.at);
        match sighting.source {
            Source::Probe => incident.probes = incident.probes.saturating_add(1),
            Source::Pull => incident.pulls = incident.pulls.saturating_add(1),
        }
        sighting.image.iter().cloned().for_each(|image| incident.images.add(image));
        sighting.node.iter().cloned().for_each(|node| incident.nodes.add(node));
        sighting.workloads.iter().cloned().for_each(|workload| incident.workloads.add(workload));
        if self.failing.len() < FAILING_MAX || self.failing.contains_key(&sighting.image) {
            self.failing.insert(sighting.image.clone(), sighting.source);
        }
    }

    /// Takes images off the list of those that fail. Ends the incident if none is left, now or after [`STEADY`].
    fn clear(
        &mut self,
        cleared: impl Fn(&Option<TargetName>, Source) -> bool,
        at: Timestamp,
        by: (Resolution, Option<TargetName>),
    ) -> Option<Change> {
        let before = self.failing.len();
        self.failing.retain(|image, source| !cleared(image, *source));
        if !self.failing.is_empty() || before == 0 || !self.confirmed {
            return None;
        }
        if self.incident.again > 0 && at.since(self.incident.last_seen) < STEADY {
            self.ending = Some(by);
            return None;
        }
        Some(self.end(at, by))
    }

    /// Ends an incident that lasts if its time has come, else hands out its news.
    fn look(&mut self, now: Timestamp) -> Option<Change> {
        let quiet = now.since(self.incident.last_seen);
        if quiet >= STEADY
            && let Some(by) = self.ending.take()
        {
            return Some(self.end(now, by));
        }
        if quiet >= silence(self.incident.class) {
            return Some(self.end(now, (Resolution::Silence, None)));
        }
        self.news.then(|| Change::Continued(self.hand_out()))
    }

    fn end(&mut self, at: Timestamp, by: (Resolution, Option<TargetName>)) -> Change {
        self.incident.ended = Some(at);
        (self.incident.resolved, self.incident.resolved_by) = (Some(by.0), by.1);
        self.failing.clear();
        Change::Ended(self.hand_out())
    }

    fn hand_out(&mut self) -> Incident {
        self.news = false;
        self.incident.clone()
    }

    fn is_remembered(&self, now: Timestamp) -> bool {
        match self.incident.ended {
            Some(ended) => now.since(ended) < REOPEN,
            None => now.since(self.incident.last_seen) < silence(self.incident.class),
        }
    }
}

fn silence(class: Class) -> Duration {
    if class.rules().worsens { LONG_SILENCE } else { SILENCE }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
