//! The health of the disk, for display. While the disk fails or is full, pulls pass through and nothing is stored.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use oci::{RegistryHost, Repository, Tag};
use tokio::time::{Instant, sleep};

use super::storing::{StopReason, Stopped};
use crate::checks::progress::Scrubbed;
use crate::disk::slow::{CALM, SLOW, Slow, Spell};
use crate::disk::tenure::is_refusal;
use crate::disk::timed::Clock;
use crate::events::{Events, Evicted, Quarantined};
use crate::records::scope::Kind;
use crate::records::tag_record::TagMove;

/// Passes the events on to the sink. Stores whether content can be stored, and the last trouble.
pub(crate) struct Health {
    events: Arc<dyn Events>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Set when storing stops; cleared when content is stored again, or when a check shows that it can be.
    stop: Option<Stop>,
    /// The stop that was reported, until its end is reported.
    reported: Option<Reported>,
    /// Trouble with a single content or call, and the time at which it last happened.
    trouble: Option<(String, Instant)>,
    /// The last trouble that was reported, and the time at which it last happened.
    last_reported: Option<(String, Instant)>,
    /// The recent slow operations, and the time of the last report.
    slow: Option<(Spell, Instant)>,
}

/// The state of a store that cannot store content, and the size of content that would show that it can again.
struct Stop {
    stopped: Stopped,
    /// The size in bytes of content that could not be stored. Storing smaller content does not end the stop, because
    /// small content may fit on a disk that is still almost full.
    needed: u64,
    /// True if no room was found before anything was written.
    lacked_room: bool,
    /// The last time at which content could not be stored for this reason.
    last: Instant,
}

struct Reported {
    stopped: Stopped,
    /// The time from which content could be stored again.
    over: Option<Instant>,
}

impl Stop {
    fn needed(&self) -> u64 {
        if self.last.elapsed() < REMEMBERED { self.needed } else { 0 }
    }
}

impl State {
    /// Notes a stop. Returns it if it is to be reported.
    fn stop(
        &mut self,
        reason: StopReason,
        detail: String,
        needed: u64,
        lacked_room: bool,
    ) -> Option<Stopped> {
        if reason == StopReason::Full && !lacked_room && self.lacks_inodes_still() {
            return None;
        }
        let known = self.reported.as_mut().filter(|reported| reported.stopped.reason == reason);
        let since = known.as_ref().map_or_else(SystemTime::now, |known| known.stopped.since);
        let stopped = Stopped { reason, detail, since };
        let before = self.stop.as_ref().filter(|stop| stop.stopped.reason == reason).map_or(0, Stop::needed);
        let (needed, last) = (needed.max(before), Instant::now());
        self.stop = Some(Stop { stopped: stopped.clone(), needed, lacked_room, last });
        if let Some(known) = known {
            known.over = None;
            return None;
        }
        self.reported = Some(Reported { stopped: stopped.clone(), over: None });
        Some(stopped)
    }

    /// Notes another error if the present stop is a lack of inodes, and returns true. False for any other state. The
    /// system has one error for both a lack of bytes and a lack of inodes.
    fn lacks_inodes_still(&mut self) -> bool {
        let lacking = self.stop.as_mut().filter(|stop| stop.stopped.reason == StopReason::NoInodes);
        lacking.map(|stop| stop.last = Instant::now()).is_some()
    }

    fn resume(&mut self) {
        (self.stop, self.trouble) = (None, None);
        if let Some(reported) = &mut self.reported {
            reported.over.get_or_insert_with(Instant::now);
        }
    }

    /// The stop whose end is to be reported now.
    fn resumed(&mut self) -> Option<Stopped> {
        let over = self.reported.as_ref().and_then(|reported| reported.over);
        over.filter(|over| over.elapsed() >= CALM)?;
        self.reported.take().map(|reported| reported.stopped)
    }
}

impl Health {
    pub(crate) fn new(events: Arc<dyn Events>) -> Self {
        Self { events, state: Mutex::default() }
    }

    /// The reason why content is not stored now, or was recently not stored.
    pub(crate) fn warning(&self) -> Option<String> {
        let state = self.state();
        let trouble = state.trouble.as_ref().filter(|(_, at)| at.elapsed() < REMEMBERED);
        let stopped = state.stop.as_ref().map(|stop| stop.stopped.detail.clone());
        stopped.or_else(|| trouble.map(|(trouble, _)| trouble.clone()))
    }

    /// The reason why the store cannot store content, and the time at which that began; `None` if it can.
    pub(crate) fn stopped(&self) -> Option<Stopped> {
        self.state().stop.as_ref().map(|stop| stop.stopped.clone())
    }

    /// Bytes of content for which there must be room before content can be stored again.
    pub(crate) fn needed(&self) -> u64 {
        self.state().stop.as_ref().map_or(0, Stop::needed)
    }

    /// The last slow operation, if it was reported within `time`.
    pub(crate) fn slow_within(&self, time: Duration) -> Option<Slow> {
        self.state().slow.filter(|(_, at)| at.elapsed() < time).map(|(spell, _)| spell.last)
    }

    /// The recent slow operations, together with the operation that is slow `now`.
    pub(crate) fn spell(&self, now: Option<Slow>) -> Option<Spell> {
        let (mut spell, _) = self.state().slow?;
        if let Some(now) = now {
            spell.add(&now);
        }
        Some(spell)
    }

    /// Notes that a single content could not be stored, while other content still can.
    pub(crate) fn note_trouble(&self, trouble: String) {
        let mut state = self.state();
        let now = Instant::now();
        let is_known = state
            .last_reported
            .as_ref()
            .is_some_and(|(known, at)| *known == trouble && at.elapsed() < REMEMBERED);
        (state.last_reported, state.trouble) = (Some((trouble.clone(), now)), Some((trouble.clone(), now)));
        drop(state);
        if !is_known {
            self.events.troubled(&trouble);
        }
    }

    /// Notes that content cannot be stored, and reports a reason that is new.
    fn stop(&self, reason: StopReason, detail: String, needed: u64) {
        let news = self.state().stop(reason, detail, needed, false);
        if let Some(stopped) = news {
            self.events.storing_stopped(&stopped);
        }
    }

    /// Like [`Self::stop`], because no room was found for `needed` bytes.
    pub(crate) fn lacks_room(&self, reason: StopReason, detail: String, needed: u64) {
        let news = self.state().stop(reason, detail, needed, true);
        if let Some(stopped) = news {
            self.events.storing_stopped(&stopped);
        }
    }

    /// Notes that room was found for `bytes`.
    pub(crate) fn has_room(&self, bytes: u64) {
        let mut state = self.state();
        if state.stop.as_ref().is_some_and(|stop| stop.lacked_room && bytes >= stop.needed()) {
            state.resume();
        }
    }

    /// Notes that content can be stored again. This is reported once it has lasted for [`CALM`].
    pub(crate) fn resume(&self) {
        self.state().resume();
    }

    /// Notes that the disk failed to store something.
    pub(crate) fn cannot_store(&self, error: &io::Error) {
        if !is_refusal(error) {
            let reason = StopReason::of(error).unwrap_or(StopReason::DiskFailed);
            self.stop(reason, failure(error), proof(reason));
        }
    }

    /// Reports the ends of trouble; `is_slow` says that an operation is slow now.
    fn report_ends(&self, is_slow: bool) {
        let mut state = self.state();
        let resumed = state.resumed();
        let calm = state.slow.filter(|(_, at)| !is_slow && at.elapsed() >= CALM);
        if calm.is_some() {
            state.slow = None;
        }
        drop(state);
        if let Some(stopped) = resumed {
            self.events.storing_resumed(&stopped);
        }
        if let Some((spell, _)) = calm {
            self.events.slow_ended(&spell);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks the disk's operations and reports the ends of trouble, until `gone` returns true because the store is closed.
pub(crate) async fn keep(health: Arc<Health>, clock: Arc<Clock>, gone: impl Fn() -> bool + Send) {
    while !gone() {
        clock.look();
        health.report_ends(clock.slowest().is_some());
        sleep(SLOW).await;
    }
}

impl Events for Health {
    fn committed(&self, kind: Kind, bytes: u64) {
        let mut state = self.state();
        match &state.stop {
            Some(stop) if bytes < stop.needed() => {}
            Some(_) => state.resume(),
            None => state.trouble = None,
        }
        drop(state);
        self.events.committed(kind, bytes);
    }

    fn quarantined(&self, reason: Quarantined) {
        self.events.quarantined(reason);
    }

    fn checking(&self, reason: Quarantined) {
        self.events.checking(reason);
    }

    fn scrubbed(&self, progress: &Scrubbed) {
        self.events.scrubbed(progress);
    }

    fn disk_failed(&self, error: &io::Error) {
        if is_refusal(error) {
            return;
        }
        match StopReason::of(error) {
            // A single file of another owner does not stop other content from being stored.
            Some(StopReason::NoPermission) | None => self.note_trouble(failure(error)),
            Some(reason) => self.stop(reason, failure(error), proof(reason)),
        }
        self.events.disk_failed(error);
    }

    fn troubled(&self, trouble: &str) {
        self.events.troubled(trouble);
    }

    fn disk_slow(&self, slow: &Slow) {
        let mut state = self.state();
        let begins = state.slow.is_none();
        let (spell, at) = state.slow.get_or_insert_with(|| (Spell::new(slow), Instant::now()));
        if !begins {
            spell.add(slow);
            *at = Instant::now();
        }
        drop(state);
        if begins {
            self.events.slow_began(slow);
        }
        self.events.disk_slow(slow);
    }

    fn slow_began(&self, slow: &Slow) {
        self.events.slow_began(slow);
    }

    fn slow_ended(&self, spell: &Spell) {
        self.events.slow_ended(spell);
    }

    fn storing_stopped(&self, stopped: &Stopped) {
        self.events.storing_stopped(stopped);
    }

    fn storing_resumed(&self, stopped: &Stopped) {
        self.events.storing_resumed(stopped);
    }

    fn file_system(&self, bytes: u64) {
        self.events.file_system(bytes);
    }

    fn oversized(&self, limit: u64, file_system: u64) {
        self.events.oversized(limit, file_system);
    }

    fn fits(&self, limit: u64, file_system: u64) {
        self.events.fits(limit, file_system);
    }

    fn folder_founded(&self) {
        self.resume();
        self.events.folder_founded();
    }

    fn folder_lost(&self, reason: &str) {
        self.stop(StopReason::FolderLost, reason.to_owned(), 0);
        self.events.folder_lost(reason);
    }

    fn holds(&self, kind: Kind, objects: u64, bytes: u64) {
        self.events.holds(kind, objects, bytes);
    }

    fn evicted(&self, reason: Evicted, bytes: u64) {
        self.events.evicted(reason, bytes);
    }

    fn tag_moved(&self, registry: &RegistryHost, repository: &Repository, tag: &Tag, moved: &TagMove) {
        self.events.tag_moved(registry, repository, tag, moved);
    }
}

fn failure(error: &io::Error) -> String {
    format!("the cache's disk failed: {error}; pulls pass through, unstored")
}

/// The size in bytes of content that shows, once stored, that the reason no longer exists.
fn proof(reason: StopReason) -> u64 {
    if reason == StopReason::Full { ROOM_AGAIN } else { 0 }
}

/// The time for which trouble is shown after it last happened.
const REMEMBERED: Duration = Duration::from_secs(600);
/// The size in bytes of content that, once stored, shows that a full disk has room again.
const ROOM_AGAIN: u64 = 1 << 20;
