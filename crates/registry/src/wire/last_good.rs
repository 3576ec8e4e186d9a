//! The addresses of the last successful lookup of each name, for use while the name servers fail.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

/// The last good answer of each name, bounded in number and age.
#[derive(Default)]
pub(crate) struct LastGood(HashMap<String, Known>);

struct Known {
    addresses: Vec<IpAddr>,
    since: Instant,
    /// The time at which the name servers last failed to resolve the name.
    failed: Option<Instant>,
}

impl LastGood {
    /// Stores the addresses of a successful lookup.
    pub(crate) fn store(&mut self, host: &str, addresses: &[IpAddr], now: Instant) {
        if self.0.len() >= NAMES_MAX && !self.0.contains_key(host) {
            self.0.retain(|_, known| now < known.since + AGE_MAX);
        }
        if self.0.len() < NAMES_MAX || self.0.contains_key(host) {
            let known = Known { addresses: addresses.to_owned(), since: now, failed: None };
            self.0.insert(host.to_owned(), known);
        }
    }

    /// The stored addresses, after a lookup failed now; `None` if there are none or they are too old.
    pub(crate) fn after_failure(&mut self, host: &str, now: Instant) -> Option<Vec<IpAddr>> {
        let known = self.0.get_mut(host).filter(|known| now < known.since + AGE_MAX)?;
        known.failed = Some(now);
        Some(known.addresses.clone())
    }

    /// The stored addresses, if the name servers failed less than [`ASK_AGAIN_AFTER`] ago. A new lookup would probably
    /// only cost time.
    pub(crate) fn during_failure(&self, host: &str, now: Instant) -> Option<Vec<IpAddr>> {
        let known = self.0.get(host).filter(|known| now < known.since + AGE_MAX)?;
        known.failed.filter(|failed| now < *failed + ASK_AGAIN_AFTER).map(|_| known.addresses.clone())
    }

    /// Removes the name, because a name server answered that it does not exist.
    pub(crate) fn remove(&mut self, host: &str) {
        self.0.remove(host);
    }
}

/// The age up to which an old answer is used. Addresses in clouds are reassigned.
const AGE_MAX: Duration = Duration::from_secs(10 * 60);
/// The time after a failure in which the name servers are not asked.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Most names held. There are few endpoints, token hosts and blob hosts.
const NAMES_MAX: usize = 256;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_old_answer_is_used_for_a_bounded_time() {
        let (mut names, now) = (LastGood::default(), Instant::now());
        let addresses = vec!["192.0.2.1".parse().unwrap()];
        assert_eq!(names.after_failure("a.test", now), None);
        names.store("a.test", &addresses, now);
        assert_eq!(names.during_failure("a.test", now), None, "nothing failed yet");
        assert_eq!(names.after_failure("a.test", now), Some(addresses.clone()));
        assert_eq!(names.during_failure("a.test", now + ASK_AGAIN_AFTER / 2), Some(addresses.clone()));
        assert_eq!(names.during_failure("a.test", now + ASK_AGAIN_AFTER), None, "asked again");
        assert_eq!(names.after_failure("a.test", now + AGE_MAX), None, "too old");
        names.store("a.test", &addresses, now + AGE_MAX);
        assert_eq!(names.during_failure("a.test", now + AGE_MAX), None, "a success ends the failure");
        names.remove("a.test");
        assert_eq!(names.after_failure("a.test", now + AGE_MAX), None);
    }

    #[test]
    fn the_number_of_names_is_bounded() {
        let (mut names, now) = (LastGood::default(), Instant::now());
        for n in 0..2 * NAMES_MAX {
            names.store(&format!("{n}.test"), &["192.0.2.1".parse().unwrap()], now);
        }
        assert_eq!(names.0.len(), NAMES_MAX);
        names.store("late.test", &["192.0.2.1".parse().unwrap()], now + AGE_MAX);
        assert_eq!(names.0.len(), 1);
    }
}
