//! The finding as a sentence, with its numbers.

use std::time::Duration;

use oci::Digest;

use super::cause::{Bottleneck, UpstreamStage};
use super::rule::Finding;
use crate::record::object::ObjectRecord;
use crate::record::pull::PullRecord;

/// The number of hexadecimal digits of a digest in a sentence.
const DIGEST_DIGITS: usize = 12;

impl Finding {
    /// The finding in one sentence, without a full stop: "7.9 s of 9.1 s were the upstream's transfer of layer
    /// sha256:ab12… at 3.1 MB/s; this registry's median is 41 MB/s".
    ///
    /// `pull` is the record that the finding was made from. `median` is the registry's median throughput in bytes per
    /// second; it is named only where a transfer from the upstream is the bottleneck.
    pub fn sentence(&self, pull: &PullRecord, median: Option<u64>) -> String {
        if self.bottleneck == Bottleneck::None {
            return format!("no single cause took a large part of {}", seconds(pull.duration));
        }
        let longest = self.longest.and_then(|index| pull.objects.get(index));
        let times = format!("{} of {} were ", seconds(self.held), seconds(pull.duration));
        let what = describe(self.bottleneck);
        let whose = longest.map(|object| self.objects_clause(object)).unwrap_or_default();
        let rate = longest.map(|object| rate_clause(self.bottleneck, object)).unwrap_or_default();
        times + what + &whose + &rate + &median_clause(self.bottleneck, median)
    }

    fn objects_clause(&self, longest: &ObjectRecord) -> String {
        let name = match &longest.digest {
            Some(digest) => format!("{} {}", longest.kind, short(digest)),
            None => longest.kind.to_string(),
        };
        let joint = preposition(self.bottleneck);
        match self.objects {
            0 | 1 => format!(" {joint} {name}"),
            several => format!(" {joint} {several} objects, longest {name}"),
        }
    }
}

fn describe(bottleneck: Bottleneck) -> &'static str {
    match bottleneck {
        Bottleneck::Upstream(UpstreamStage::Resolve) => "resolving the upstream's host name",
        Bottleneck::Upstream(UpstreamStage::Connect) => "connecting to the upstream",
        Bottleneck::Upstream(UpstreamStage::Tls) => "the TLS handshake with the upstream",
        Bottleneck::Upstream(UpstreamStage::Token) => "the upstream's token exchange",
        Bottleneck::Upstream(UpstreamStage::FirstByte) => "waiting for the upstream's first byte",
        Bottleneck::Upstream(UpstreamStage::Transfer) => "the upstream's transfer",
        Bottleneck::WaitingForFill => "waiting for another client's transfer",
        Bottleneck::QuotaHold => "a hold until the registry's quota allows more requests",
        Bottleneck::ClientSlow => "the client's own download",
        Bottleneck::Disk => "the mirror's disk",
        Bottleneck::Verify => "the check of the hash",
        Bottleneck::None => "nothing in particular",
    }
}

fn preposition(bottleneck: Bottleneck) -> &'static str {
    match bottleneck {
        Bottleneck::Upstream(UpstreamStage::Transfer) | Bottleneck::ClientSlow | Bottleneck::Verify => "of",
        _ => "for",
    }
}

fn rate_clause(bottleneck: Bottleneck, object: &ObjectRecord) -> String {
    let rate = match bottleneck {
        Bottleneck::Upstream(UpstreamStage::Transfer) => object.upstream_throughput(),
        Bottleneck::ClientSlow => object.client_throughput(),
        _ => None,
    };
    rate.map(|rate| format!(" at {}", throughput(rate))).unwrap_or_default()
}

fn median_clause(bottleneck: Bottleneck, median: Option<u64>) -> String {
    match (bottleneck, median) {
        (Bottleneck::Upstream(UpstreamStage::Transfer), Some(median)) => {
            format!("; this registry's median is {}", throughput(median))
        }
        _ => String::new(),
    }
}

fn short(digest: &Digest) -> String {
    let digits = digest.hex().get(..DIGEST_DIGITS).unwrap_or(digest.hex());
    let text = digest.to_string();
    let algorithm = text.split(':').next().unwrap_or("sha256");
    format!("{algorithm}:{digits}\u{2026}")
}

/// A time for display: `7.9 s`, `120 ms`.
fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        return format!("{} ms", time.as_millis());
    }
    format!("{:.1} s", time.as_secs_f64())
}

/// A throughput for display, in decimal units: `3.1 MB/s`, `41 MB/s`.
fn throughput(bytes_per_second: u64) -> String {
    let rate = bytes_per_second as f64;
    let (value, unit) = match bytes_per_second {
        0..1_000_000 => (rate / 1e3, "kB/s"),
        1_000_000..1_000_000_000 => (rate / 1e6, "MB/s"),
        _ => (rate / 1e9, "GB/s"),
    };
    if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bottleneck::rule::find;
    use crate::record::outcome::PullOutcome;
    use crate::time::Timestamp;
    use oci::{ObjectKind, ObjectOutcome};

    fn pull(millis: u64, objects: Vec<ObjectRecord>) -> PullRecord {
        let image = crate::record::Image {
            registry: "ghcr.io".parse().unwrap(),
            repository: "org/app".parse().unwrap(),
            tag: None,
            digest: None,
        };
        let mut pull = PullRecord::new(image, [10, 0, 0, 1].into(), Timestamp::default(), PullOutcome::Miss);
        pull.duration = Duration::from_millis(millis);
        objects.into_iter().for_each(|object| pull.push(object));
        pull
    }

    fn layer(millis: u64, bytes: u64) -> ObjectRecord {
        let mut object = ObjectRecord::new(ObjectKind::Layer, ObjectOutcome::Miss);
        object.digest = Some(Digest::sha256(b""));
        object.fetched = bytes;
        object.stages.transfer = Duration::from_millis(millis);
        object
    }

    #[test]
    fn one_layers_transfer_is_named_with_its_numbers() {
        let pull = pull(9_100, vec![layer(7_900, 24_490_000)]);
        let sentence = find(&pull).sentence(&pull, Some(41_000_000));
        assert_eq!(
            sentence,
            "7.9 s of 9.1 s were the upstream's transfer of layer sha256:e3b0c44298fc\u{2026} at 3.1 MB/s; \
             this registry's median is 41 MB/s"
        );
    }

    #[test]
    fn several_objects_are_counted() {
        let pull = pull(1_000, vec![layer(500, 0), layer(800, 400_000)]);
        assert_eq!(
            find(&pull).sentence(&pull, None),
            "800 ms of 1.0 s were the upstream's transfer of 2 objects, longest layer \
             sha256:e3b0c44298fc\u{2026} at 500 kB/s"
        );
    }

    #[test]
    fn other_causes_name_no_median() {
        let mut object = ObjectRecord::new(ObjectKind::Manifest, ObjectOutcome::Miss);
        object.waits.quota = Duration::from_secs(20);
        let pull = pull(21_000, vec![object]);
        assert_eq!(
            find(&pull).sentence(&pull, Some(1)),
            "20.0 s of 21.0 s were a hold until the registry's quota allows more requests for manifest"
        );
    }

    #[test]
    fn a_pull_without_a_bottleneck_has_a_sentence_too() {
        let pull = pull(30, Vec::new());
        assert_eq!(find(&pull).sentence(&pull, None), "no single cause took a large part of 30 ms");
    }

    #[test]
    fn a_finding_of_another_pull_causes_no_panic() {
        let long = pull(1_000, vec![layer(10, 1), layer(900, 1)]);
        let short = pull(1, Vec::new());
        find(&long).sentence(&short, None);
    }
}
