//! The probes of one registry, one after another. Each registry has its own lane, so that a slow registry does not
//! delay the probes of others.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use oci::{Class, ImageName, RegistryHost};
use registry::Client;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::conclusion::{Conclusion, Conclusions};
use crate::lane::assigned::{Assignment, Assignments};
use crate::lane::gate::Gate;
use crate::lane::slot::Slot;
use crate::memory::Memory;
use crate::probe::{Walk, is_public, reach};
use crate::schedule::{Due, Pace};
use crate::seen::Seen;
use crate::status::Board;
use crate::target::{Plan, Target};
use crate::telemetry::Telemetry;
use crate::verdict::{Depth, Failure, Verdict};

/// Traffic of the proxy: a recent success replaces a probe.
pub trait Traffic: Send + Sync {
    /// The time since a request of the proxy to this registry last succeeded.
    fn last_success(&self, registry: &RegistryHost) -> Option<Duration>;

    /// The time since this image was last pulled through the proxy, with its manifest or a layer from the registry.
    fn last_pull(&self, _image: &ImageName) -> Option<Duration> {
        None
    }
}

/// Everything that the lanes of one prober share.
#[derive(Clone)]
pub struct Common {
    /// The time between probes.
    pub pace: Pace,
    /// The latest verdicts.
    pub board: Arc<Board>,
    /// Budgets and facts that outlive a lane.
    pub memory: Arc<Memory>,
    /// Traffic of the proxy.
    pub traffic: Arc<dyn Traffic>,
    /// Targets that change at run time.
    pub assignments: Arc<Assignments>,
    /// Takes the conclusion of each probe.
    pub conclusions: Arc<dyn Conclusions>,
}

/// Probes the targets of one registry.
pub struct Lane {
    client: Client,
    slots: Vec<Slot>,
    assigned: watch::Receiver<Arc<[Assignment]>>,
    gate: Gate,
    /// The credentials that the registry refuses as such, by their number, with the verdict of the refusal.
    refused: BTreeMap<u64, Failure>,
    start: Instant,
    common: Common,
    telemetry: Telemetry,
}

impl Lane {
    /// A lane whose first probes are due within seconds of `start`.
    pub fn new(plan: Plan, common: Common, start: Instant) -> Self {
        let mut targets: Vec<_> = plan.targets.into_iter().map(Some).collect();
        if targets.is_empty() && plan.reach {
            targets.push(None);
        }
        let due = || Due::first(start, common.pace.interval, fastrand::f64());
        let slots: Vec<_> = targets.into_iter().map(|target| Slot::planned(target, due())).collect();
        for slot in &slots {
            common.board.pending(&plan.registry, slot);
        }
        let mut lane = Self {
            telemetry: Telemetry::new(&plan.registry),
            assigned: common.assignments.subscribe(&plan.registry),
            gate: Gate::new(common.pace.assigned_per_hour, start),
            client: plan.client,
            refused: BTreeMap::new(),
            slots,
            start,
            common,
        };
        lane.take_assignments(start);
        lane
    }

    /// The time when the next probe is due.
    pub fn next_due(&self) -> Instant {
        self.next().map_or(self.start + IDLE, |(_, at)| at)
    }

    /// Probes on schedule until the future is dropped.
    pub async fn run(mut self) {
        loop {
            let due = self.next_due();
            tokio::select! {
                changed = self.assigned.changed() => match changed {
                    Ok(()) => self.take_assignments(Instant::now()),
                    Err(_) => return,
                },
                () = tokio::time::sleep_until(due) => self.turn(Instant::now()).await,
            }
        }
    }

    /// Makes the probe that has been due longest. `now` is the time of the schedule, which may run faster in a test.
    pub async fn turn(&mut self, now: Instant) {
        if let Some((at, _)) = self.next().filter(|(_, due)| *due <= now) {
            if self.slots[at].assigned {
                self.gate.take(now);
            }
            self.probe(at, now).await;
        }
    }

    /// Probes every target once.
    pub async fn round(&mut self) {
        for at in 0..self.slots.len() {
            self.probe(at, Instant::now()).await;
        }
    }

    /// Takes the assigned targets as they are now. Those that stay keep their verdict and their schedule.
    pub fn take_assignments(&mut self, now: Instant) {
        let list = self.assigned.borrow_and_update().clone();
        let registry = self.client.registry().clone();
        let (before, planned): (Vec<Slot>, Vec<Slot>) =
            std::mem::take(&mut self.slots).into_iter().partition(|slot| slot.assigned);
        self.slots = planned;
        let planned = self.slots.len();
        let mut before: HashMap<_, Slot> =
            before.into_iter().map(|slot| ((slot.target.clone(), slot.number()), slot)).collect();
        for assignment in list.iter() {
            // A configured target with the same credential is the same probe.
            if self.slots[..planned].iter().any(|slot| slot.is(assignment)) {
                continue;
            }
            let key = (Some(assignment.target.clone()), assignment.login.as_ref().map(|login| login.number));
            let slot = match before.remove(&key) {
                Some(slot) => self.renewed(slot, assignment, now),
                None => {
                    let slot = Slot::assigned(assignment, now, self.common.pace);
                    self.common.board.pending(&registry, &slot);
                    slot
                }
            };
            self.slots.push(slot);
        }
        for slot in before.into_values() {
            self.common.board.remove(&registry, &slot);
        }
        let numbers: BTreeSet<u64> = self.slots.iter().filter_map(Slot::number).collect();
        self.refused.retain(|number, _| numbers.contains(number));
        self.tell();
    }

    fn renewed(&mut self, mut slot: Slot, from: &Assignment, now: Instant) -> Slot {
        if slot.also != from.also {
            self.common.memory.forget(&from.target);
        }
        if slot.renew(from, now, self.common.pace)
            && let Some(number) = slot.number()
        {
            self.refused.remove(&number);
        }
        slot
    }

    /// The slot to probe next, and the time when it is due.
    fn next(&self) -> Option<(usize, Instant)> {
        let slots = || self.slots.iter().enumerate();
        let planned = slots().filter(|(_, slot)| !slot.assigned).min_by_key(|(_, slot)| slot.due.at);
        let assigned = slots().filter(|(_, slot)| slot.assigned).min_by_key(|(_, slot)| slot.rank());
        let planned = planned.map(|(at, slot)| (at, slot.due.at));
        let assigned = assigned.map(|(at, slot)| (at, slot.due.at.max(self.gate.opens())));
        planned.into_iter().chain(assigned).min_by_key(|(_, due)| *due)
    }

    async fn probe(&mut self, at: usize, now: Instant) {
        let refused = self.slots[at].number().and_then(|number| self.refused.get(&number)).cloned();
        let known = refused.is_some();
        let (at_time, begun) = (SystemTime::now(), Instant::now());
        let mut seen = match (&self.slots[at].target, refused) {
            (None, _) => self.reach().await,
            (Some(_), Some(refused)) => Seen::without_request(Verdict::Failed(refused)),
            (Some(target), None) => self.pull(&self.slots[at], target, now).await,
        };
        let slot = &mut self.slots[at];
        slot.due =
            slot.due.after(now, &seen.verdict, seen.retry_after, self.common.pace.interval, fastrand::f64());
        if slot.judge(&seen.verdict) || known {
            slot.hold(now);
            self.confirm(at, &mut seen).await;
        }
        let slot = &mut self.slots[at];
        let before = std::mem::replace(&mut slot.verdict, seen.verdict.clone());
        self.common.board.record(self.client.registry(), slot, &seen);
        self.telemetry.probed(slot, &before, &seen);
        if seen.asked {
            self.conclude(at, &seen, (at_time, begun.elapsed()));
        }
        self.tell();
    }

    fn conclude(&self, at: usize, seen: &Seen, (begun, took): (SystemTime, Duration)) {
        let stage = match &seen.verdict {
            Verdict::Failed(failure) => Some(failure.stage),
            _ => seen.timings.iter().map(|(stage, _)| stage).max(),
        };
        self.common.conclusions.concluded(&Conclusion {
            registry: self.client.registry(),
            image: self.slots[at].target.as_ref().map(|target| &target.image),
            pull_secret: self.slots[at].login.as_ref().map(|login| &*login.name),
            verdict: &seen.verdict,
            stage,
            at: begun,
            took,
        });
    }

    /// A credential is refused for good. If the registry refuses it as such, no other image is tried with it. If the
    /// image can be pulled without it, the credential is what breaks the pull.
    async fn confirm(&mut self, at: usize, seen: &mut Seen) {
        let slot = &self.slots[at];
        let (Some(login), Some(target)) = (slot.login.clone(), slot.target.clone()) else { return };
        let Verdict::Failed(failure) = &mut seen.verdict else { return };
        if seen.status == Some(UNAUTHORIZED) || failure.class == Class::RateLogin {
            self.refused.insert(login.number, failure.clone());
        }
        let rejected = failure.class == Class::AuthRejected;
        if rejected && is_public(&login.anonymous, &target, self.common.pace).await {
            failure.class = Class::AuthPoisoned;
            failure.evidence =
                format!("without a credential the image can be pulled; with it: {}", failure.evidence);
        }
    }

    /// The probe of an image, unless fresh traffic of the proxy shows that it can be pulled.
    async fn pull(&self, slot: &Slot, target: &Target, now: Instant) -> Seen {
        let pace = self.common.pace;
        let traffic = &self.common.traffic;
        if slot.login.is_none() && traffic.last_pull(&target.image).is_some_and(|age| age < pace.interval) {
            return Seen::without_request(Verdict::Ok(Depth::Pullable));
        }
        let client = slot.login.as_ref().map_or(&self.client, |login| &login.client);
        let memory = &self.common.memory;
        let walk = Walk::new(client, target, memory, pace, self.start, now).with_platforms(&slot.also);
        let (seen, learned) = walk.run(memory.recall(target)).await;
        memory.keep(target, learned);
        seen
    }

    async fn reach(&self) -> Seen {
        let pace = self.common.pace;
        let last = self.common.traffic.last_success(self.client.registry());
        if last.is_some_and(|age| age < pace.interval) {
            return Seen::without_request(Verdict::Ok(Depth::Reachable));
        }
        reach(&self.client, pace).await
    }

    fn tell(&mut self) {
        let registry = self.client.registry();
        self.telemetry.states(&self.common.board.verdicts(registry));
        let held = self.slots.iter().filter(|slot| slot.is_held()).filter_map(Slot::number);
        self.common.assignments.tell_refused(registry, held.collect());
    }
}

/// Status of an answer to a credential that the registry does not accept at all. A 403 may be about one repository.
const UNAUTHORIZED: u16 = 401;
/// The wait of a lane without any target.
const IDLE: Duration = Duration::from_secs(365 * 24 * 3600);
