//! The pauses of the hosts that registries redirect to. Each host is paused alone, so that requests to the registry and
//! its other hosts continue.

use std::time::Duration;

use tokio::time::Instant;

use super::pauses::{Growth, Pauses};

/// The pauses by host, with the port unless it is the default of the scheme.
#[derive(Debug, Default)]
pub(crate) struct HostPauses(Pauses<String, HOSTS_MAX>);

impl HostPauses {
    /// Pauses `host` for `wait`, the time that it named; if it named none, for the time that [`UNNAMED`] gives. A pause
    /// that ends later stays.
    pub(crate) fn pause(&self, host: &str, wait: Option<Duration>, now: Instant) {
        self.0.pause(host.to_owned(), wait, UNNAMED, now);
    }

    /// The rest of the pause of `host`; `None` if it may be asked.
    pub(crate) fn left(&self, host: &str, now: Instant) -> Option<Duration> {
        self.0.until(host, now).map(|until| until.saturating_duration_since(now))
    }
}

/// The pause after a refusal that names no time. A host for content has limits for bursts, which are over in seconds.
const UNNAMED: Growth = Growth { first: Duration::from_secs(2), longest: Duration::from_secs(10) };
/// Most hosts remembered: registries redirect to few.
const HOSTS_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_paused_for_the_time_it_names_and_other_hosts_are_not() {
        let (hosts, now) = (HostPauses::default(), Instant::now());
        hosts.pause("cdn.test", Some(Duration::from_secs(7)), now);
        hosts.pause("cdn.test", None, now);
        assert_eq!(hosts.left("cdn.test", now), Some(Duration::from_secs(7)));
        assert_eq!(hosts.left("other.test", now), None);
        assert_eq!(hosts.left("cdn.test", now + Duration::from_secs(7)), None);
        hosts.pause("other.test", None, now);
        assert_eq!(hosts.left("other.test", now), Some(UNNAMED.first));
    }
}
