//! The savings of each pull, for the counters. They do not need the record file.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use oci::RegistryHost;
use records::PullRecord;
use records::histogram::Histogram;
use records::record::Saved;

/// The throughput of each registry's transfers since the start, to tell how long saved bytes would have taken.
#[derive(Debug, Default)]
pub(crate) struct Savings(Mutex<HashMap<RegistryHost, Histogram>>);

impl Savings {
    /// The savings of `pull`, whose own transfers count for the throughput.
    pub(super) fn of(&self, pull: &PullRecord) -> proxy::Saved {
        let Saved { bytes, requests, counted_pull, rescued } = Saved::of(pull);
        proxy::Saved {
            bytes,
            requests,
            counted_pulls: counted_pull.into(),
            time: self.time(pull, bytes),
            rescued_pulls: rescued.into(),
        }
    }

    /// The time for these bytes at the median throughput; zero while none is known.
    fn time(&self, pull: &PullRecord, bytes: u64) -> Duration {
        let mut registries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for rate in pull.objects.iter().filter_map(|object| object.upstream_rate()) {
            // Only configured registries transfer anything, which bounds the map.
            registries.entry(pull.image.registry.clone()).or_default().add(rate);
        }
        registries.get(&pull.image.registry).and_then(|rates| rates.time_for(bytes)).unwrap_or_default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::SystemTime;

    use records::record::{ObjectKind, ObjectOutcome, PullOutcome};
    use records::{Image, ObjectRecord};

    use super::*;

    fn pull(registry: &str, objects: &[(ObjectKind, ObjectOutcome, u64)]) -> PullRecord {
        let image = Image {
            registry: registry.parse().unwrap(),
            repository: "library/alpine".parse().unwrap(),
            tag: None,
            digest: None,
        };
        let start = SystemTime::now().into();
        let mut pull = PullRecord::new(image, [10, 0, 0, 1].into(), start, PullOutcome::Hit);
        for (kind, outcome, bytes) in objects {
            let mut object = ObjectRecord::new(*kind, *outcome);
            object.sent = *bytes;
            if *outcome == ObjectOutcome::Miss {
                object.fetched = *bytes;
                object.stages.transfer = Duration::from_secs(1);
            }
            pull.push(object);
        }
        pull
    }

    #[test]
    fn saved_bytes_take_as_long_as_the_registrys_transfers_took() {
        use ObjectKind::{Layer, Manifest};
        use ObjectOutcome::{Hit, Miss};
        let savings = Savings::default();
        let hits = [(Manifest, Hit, 1000), (Layer, Hit, 39_999_000)];
        let early = savings.of(&pull("a.test", &hits));
        let expected =
            proxy::Saved { bytes: 40_000_000, requests: 2, counted_pulls: 1, ..Default::default() };
        assert_eq!(early, expected, "no transfer was measured yet");

        let cold = savings.of(&pull("a.test", &[(Manifest, Miss, 1000), (Layer, Miss, 10_000_000)]));
        assert_eq!(cold, proxy::Saved::default());

        let seconds = |registry| savings.of(&pull(registry, &hits)).time.as_secs_f64();
        let four = seconds("a.test");
        assert!((3.5..4.5).contains(&four), "40 MB at 10 MB/s are 4 s, within the histogram's error: {four}");
        assert_eq!(seconds("b.test"), 0.0, "another registry has its own throughput");
    }
}
