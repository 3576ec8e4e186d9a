//! Registries that are treated as down on purpose, each for a limited time.
//!
//! A mark holds only requests of clients with pooled connections, which serve pulls. Probes go on, because they measure
//! the registry itself. No breaker hears of a held request, so that nothing of a drill is left when it ends. The marks
//! are in memory only: a restart ends them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oci::class::{Class, Stage};
use oci::name::RegistryHost;
use tokio::time::Instant;

use crate::error::{Error, Evidence, Reason};

/// The marks of one process.
#[derive(Debug, Default)]
pub struct Drills(Mutex<BTreeMap<RegistryHost, Instant>>);

/// The registry has a mark already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a drill for this registry runs already, for {} s more", .left.as_secs())]
pub struct AlreadyMarked {
    /// The time until that mark ends.
    pub left: Duration,
}

impl Drills {
    /// Treats `registry` as down for `length`, which is cut to [`LENGTH_MAX`].
    ///
    /// # Errors
    /// If a mark of this registry has not ended.
    pub fn begin(
        &self,
        registry: &RegistryHost,
        length: Duration,
        now: Instant,
    ) -> Result<(), AlreadyMarked> {
        let mut marks = self.marks();
        if let Some(left) = left(&marks, registry, now) {
            return Err(AlreadyMarked { left });
        }
        marks.insert(registry.clone(), now + length.min(LENGTH_MAX));
        Ok(())
    }

    /// Removes the mark; true if it had not ended.
    pub fn end(&self, registry: &RegistryHost, now: Instant) -> bool {
        self.marks().remove(registry).is_some_and(|until| until > now)
    }

    /// The time until the mark of `registry` ends; `None` if it has none.
    pub fn left(&self, registry: &RegistryHost, now: Instant) -> Option<Duration> {
        left(&self.marks(), registry, now)
    }

    /// The registries with a mark, each with the time until it ends.
    pub fn running(&self, now: Instant) -> Vec<(RegistryHost, Duration)> {
        let marks = self.marks();
        marks.keys().filter_map(|registry| Some((registry.clone(), left(&marks, registry, now)?))).collect()
    }

    /// The failure of a request to `registry`, if it has a mark.
    pub(crate) fn check(&self, registry: &RegistryHost, now: Instant) -> Result<(), Error> {
        let Some(left) = self.left(registry, now) else { return Ok(()) };
        let message = format!("not asked: a drill treats the registry as down for {} s more", left.as_secs());
        let evidence = Evidence::host(registry.as_str()).because(Reason::Drill).saying(&message);
        Err(Error::new(Class::ConnectRefused, Stage::Connect, evidence))
    }

    fn marks(&self) -> MutexGuard<'_, BTreeMap<RegistryHost, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn left(marks: &BTreeMap<RegistryHost, Instant>, registry: &RegistryHost, now: Instant) -> Option<Duration> {
    marks.get(registry).map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero())
}

/// The longest time of a mark. A forgotten drill must not become an outage.
pub const LENGTH_MAX: Duration = Duration::from_secs(3600);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn host(name: &str) -> RegistryHost {
        name.parse().unwrap()
    }

    #[test]
    fn a_mark_holds_one_registry_and_ends_by_itself() {
        let (drills, now) = (Drills::default(), Instant::now());
        let minute = Duration::from_secs(60);
        drills.begin(&host("docker.io"), minute, now).unwrap();
        let held = drills.check(&host("docker.io"), now).unwrap_err();
        assert_eq!((held.class, held.stage), (Class::ConnectRefused, Stage::Connect));
        assert_eq!(held.evidence.reason, Some(Reason::Drill));
        assert!(drills.check(&host("quay.io"), now).is_ok());
        assert!(drills.check(&host("docker.io"), now + minute).is_ok());
        assert_eq!(drills.running(now + minute), []);
        assert!(!drills.end(&host("docker.io"), now + minute), "it ended before");
    }

    #[test]
    fn a_second_mark_is_refused_until_the_first_ends() {
        let (drills, now) = (Drills::default(), Instant::now());
        let minute = Duration::from_secs(60);
        drills.begin(&host("docker.io"), minute, now).unwrap();
        let refused = drills.begin(&host("docker.io"), minute, now + minute / 2).unwrap_err();
        assert_eq!(refused, AlreadyMarked { left: minute / 2 });
        assert!(drills.end(&host("docker.io"), now));
        assert!(drills.check(&host("docker.io"), now).is_ok());
        drills.begin(&host("docker.io"), minute, now).unwrap();
        drills.begin(&host("docker.io"), minute, now + minute).unwrap();
    }

    #[test]
    fn no_mark_is_longer_than_an_hour() {
        let (drills, now) = (Drills::default(), Instant::now());
        drills.begin(&host("docker.io"), 2 * LENGTH_MAX, now).unwrap();
        assert_eq!(drills.left(&host("docker.io"), now), Some(LENGTH_MAX));
    }
}
