//! Two looks compared: what happened a second between them.

use tokio::time::Instant;

use super::look::{Look, Upstream};

/// The last look, and the one before.
#[derive(Default)]
pub(super) struct Rates {
    last: Option<(Instant, Look)>,
    before: Option<(Instant, Look)>,
}

/// The traffic of one registry.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rate {
    /// Requests a second; `None` before there are two looks.
    pub(super) requests: Option<f64>,
    /// Body bytes sent to clients a second; `None` before there are two looks.
    pub(super) bytes: Option<f64>,
    /// The part of all answers since the start that needed no transfer from the registry, 0 to 1; `None` before the
    /// first answer.
    pub(super) cached: Option<f64>,
}

impl Rates {
    /// Takes the next look.
    pub(super) fn add(&mut self, look: Look) {
        self.before = self.last.replace((Instant::now(), look));
    }

    /// The last look.
    pub(super) fn look(&self) -> Option<&Look> {
        self.last.as_ref().map(|(_, look)| look)
    }

    /// The traffic of `registry`.
    pub(super) fn of(&self, registry: &str) -> Rate {
        let Some((at, now)) = &self.last else { return Rate::default() };
        let Some(upstream) = upstream(now, registry) else { return Rate::default() };
        let earlier = self.before.as_ref().and_then(|(then, look)| {
            let seconds = (*at - *then).as_secs_f64();
            let restarted = look.uptime_seconds > now.uptime_seconds;
            (seconds > 0.0 && !restarted).then_some((seconds, self::upstream(look, registry)?))
        });
        let per_second = |of: fn(&Upstream) -> u64| {
            earlier.map(|(seconds, earlier)| of(upstream).saturating_sub(of(earlier)) as f64 / seconds)
        };
        let counted = |outcomes: &[&str]| {
            outcomes.iter().filter_map(|outcome| upstream.answers.get(*outcome)).sum::<u64>()
        };
        let answered = counted(&["hit", "joined", "stale", "miss"]);
        let cached = counted(&["hit", "joined", "stale"]);
        Rate {
            requests: per_second(|upstream| upstream.answers.values().sum()),
            bytes: per_second(|upstream| upstream.sent_bytes),
            cached: (answered > 0).then(|| cached as f64 / answered as f64),
        }
    }
}

fn upstream<'a>(look: &'a Look, registry: &str) -> Option<&'a Upstream> {
    look.proxy.as_ref()?.upstreams.iter().find(|upstream| upstream.registry == registry)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn look(uptime: u64, hits: u64, misses: u64, bytes: u64) -> Look {
        serde_json::from_value(serde_json::json!({"uptime_seconds": uptime, "proxy": {"upstreams": [{
            "registry": "a.test", "answers": {"hit": hits, "miss": misses, "failed": 1}, "sent_bytes": bytes,
        }]}}))
        .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn rates_are_differences_a_second_and_a_restart_has_none() {
        let mut rates = Rates::default();
        assert_eq!(rates.of("a.test"), Rate::default());
        rates.add(look(10, 3, 1, 100));
        let first = rates.of("a.test");
        assert_eq!((first.requests, first.cached), (None, Some(0.75)));
        tokio::time::advance(Duration::from_secs(2)).await;
        rates.add(look(12, 9, 1, 500));
        let second = rates.of("a.test");
        assert_eq!((second.requests, second.bytes, second.cached), (Some(3.0), Some(200.0), Some(0.9)));
        assert_eq!(rates.of("b.test"), Rate::default());
        tokio::time::advance(Duration::from_secs(2)).await;
        rates.add(look(1, 1, 0, 1));
        assert_eq!(rates.of("a.test").requests, None);
    }
}
