//! One target of a lane, with its schedule and its last verdict.

use std::sync::Arc;

use oci::{Class, Platform};
use tokio::time::{Duration, Instant};

use crate::lane::assigned::{Assignment, Login};
use crate::schedule::{Due, Pace};
use crate::target::Target;
use crate::verdict::Verdict;

/// One target.
pub(crate) struct Slot {
    /// The image to probe; `None` for the reach probe.
    pub(crate) target: Option<Target>,
    /// Other platforms that an index must have.
    pub(crate) also: Arc<[Platform]>,
    /// The credential; `None` for the identity of the plan.
    pub(crate) login: Option<Arc<Login>>,
    /// True if it was assigned at run time.
    pub(crate) assigned: bool,
    pub(crate) due: Due,
    pub(crate) verdict: Verdict,
    /// The times in a row that the credential was refused.
    refusals: u8,
    /// True if it was not probed since it was assigned or changed.
    news: bool,
}

impl Slot {
    /// A target of the plan.
    pub(crate) fn planned(target: Option<Target>, due: Due) -> Self {
        Self {
            target,
            also: Arc::from([]),
            login: None,
            assigned: false,
            due,
            verdict: Verdict::Pending,
            refusals: 0,
            news: true,
        }
    }

    /// A target that was assigned at `now`.
    pub(crate) fn assigned(from: &Assignment, now: Instant, pace: Pace) -> Self {
        Self {
            also: from.also.clone(),
            login: from.login.clone(),
            assigned: true,
            ..Self::planned(Some(from.target.clone()), Due::first(now, pace.interval, fastrand::f64()))
        }
    }

    /// True if both are the same image with the same credential.
    pub(crate) fn is(&self, assignment: &Assignment) -> bool {
        self.target.as_ref() == Some(&assignment.target)
            && self.number() == assignment.login.as_ref().map(|login| login.number)
    }

    /// The number of its credential.
    pub(crate) fn number(&self) -> Option<u64> {
        self.login.as_ref().map(|login| login.number)
    }

    /// Takes what may have changed; true if the credential has another version. It is then tried at once.
    pub(crate) fn renew(&mut self, from: &Assignment, now: Instant, pace: Pace) -> bool {
        let version = |login: &Option<Arc<Login>>| login.as_ref().map(|login| login.version.clone());
        let changed = version(&self.login) != version(&from.login);
        if changed || self.also != from.also {
            self.refusals = 0;
            self.news = true;
            self.due = Due::first(now, pace.interval, fastrand::f64());
        }
        self.login.clone_from(&from.login);
        self.also.clone_from(&from.also);
        changed
    }

    /// Notes the verdict of a probe with the slot's credential. True if it was just refused a second time: it is then
    /// not tried again before its version changes, because repeated logins lock the account for real pulls, too.
    pub(crate) fn judge(&mut self, verdict: &Verdict) -> bool {
        let refused = self.login.is_some() && is_refusal(verdict);
        self.news = false;
        self.refusals = if refused { self.refusals.saturating_add(1) } else { 0 };
        self.refusals == CONFIRMED
    }

    /// Waits for a change of the credential.
    pub(crate) fn hold(&mut self, now: Instant) {
        self.refusals = CONFIRMED;
        self.due.at = now + NEVER;
    }

    /// True while the slot waits for a change of its credential.
    pub(crate) fn is_held(&self) -> bool {
        self.refusals >= CONFIRMED
    }

    /// The order among assigned slots: what is new or changed first, then what has been due longest.
    pub(crate) fn rank(&self) -> (bool, Instant) {
        (!self.news, self.due.at)
    }
}

/// True if the registry refuses the credential itself.
fn is_refusal(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Failed(failed) if matches!(failed.class, Class::AuthRejected | Class::RateLogin))
}

/// The refusals after which a credential is not tried again.
const CONFIRMED: u8 = 2;
/// Beyond the life of a process.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
