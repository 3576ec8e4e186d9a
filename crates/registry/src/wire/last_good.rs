//! Addresses that names had when they were last looked up with success: for the time the name servers fail.

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
    /// When the name servers last failed to say it again.
    failed: Option<Instant>,
}

impl LastGood {
    /// A lookup succeeded.
    pub(crate) fn learn(&mut self, host: &str, addresses: &[IpAddr], now: Instant) {
        if self.0.len() >= NAMES_MAX && !self.0.contains_key(host) {
            self.0.retain(|_, known| now < known.since + AGE_MAX);
        }
        if self.0.len() < NAMES_MAX || self.0.contains_key(host) {
            let known = Known { addresses: addresses.to_owned(), since: now, failed: None };
            self.0.insert(host.to_owned(), known);
        }
    }

    /// The earlier answer, for use while the name servers fail; `None` if it is too old.
    pub(crate) fn after_failure(&mut self, host: &str, now: Instant) -> Option<Vec<IpAddr>> {
        let known = self.0.get_mut(host).filter(|known| now < known.since + AGE_MAX)?;
        known.failed = Some(now);
        Some(known.addresses.clone())
    }

    /// The same, while they failed so lately that asking again would only cost time.
    pub(crate) fn instead(&self, host: &str, now: Instant) -> Option<Vec<IpAddr>> {
        let known = self.0.get(host).filter(|known| now < known.since + AGE_MAX)?;
        known.failed.filter(|failed| now < *failed + ASK_AGAIN_AFTER).map(|_| known.addresses.clone())
    }

    /// The name is gone, on good authority.
    pub(crate) fn forget(&mut self, host: &str) {
        self.0.remove(host);
    }
}

/// How long an old answer may stand in: addresses in clouds change hands.
const AGE_MAX: Duration = Duration::from_secs(10 * 60);
/// How long after a failure the name servers are left alone.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Most names held: endpoints, token hosts and blob hosts are few.
const NAMES_MAX: usize = 256;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_stands_in_for_a_bounded_time() {
        let (mut names, now) = (LastGood::default(), Instant::now());
        let addresses = vec!["192.0.2.1".parse().unwrap()];
        assert_eq!(names.after_failure("a.test", now), None);
        names.learn("a.test", &addresses, now);
        assert_eq!(names.instead("a.test", now), None, "nothing failed yet");
        assert_eq!(names.after_failure("a.test", now), Some(addresses.clone()));
        assert_eq!(names.instead("a.test", now + ASK_AGAIN_AFTER / 2), Some(addresses.clone()));
        assert_eq!(names.instead("a.test", now + ASK_AGAIN_AFTER), None, "asked again");
        assert_eq!(names.after_failure("a.test", now + AGE_MAX), None, "too old");
        names.learn("a.test", &addresses, now + AGE_MAX);
        assert_eq!(names.instead("a.test", now + AGE_MAX), None, "a success ends the failure");
        names.forget("a.test");
        assert_eq!(names.after_failure("a.test", now + AGE_MAX), None);
    }

    #[test]
    fn the_number_of_names_is_bounded() {
        let (mut names, now) = (LastGood::default(), Instant::now());
        for n in 0..2 * NAMES_MAX {
            names.learn(&format!("{n}.test"), &["192.0.2.1".parse().unwrap()], now);
        }
        assert_eq!(names.0.len(), NAMES_MAX);
        names.learn("late.test", &["192.0.2.1".parse().unwrap()], now + AGE_MAX);
        assert_eq!(names.0.len(), 1);
    }
}
