//! Parts of texts about pulls.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oci::Digest;
use records::{Finding, PullRecord, Timestamp};

/// The digits of an id that a list prints: the time, and enough of the rest to tell pulls of one millisecond apart.
const ID_DIGITS: usize = 18;
/// The hexadecimal digits of a digest that a text prints.
const DIGEST_DIGITS: usize = 12;

/// The beginning of a pull's id, which `pulls show` accepts.
pub(crate) fn id(pull: &PullRecord) -> String {
    pull.id.to_string().chars().take(ID_DIGITS).collect()
}

/// A point in time in UTC: `2026-11-30T12:00:00Z`.
pub(crate) fn time(at: Timestamp) -> String {
    humantime::format_rfc3339_seconds(printable(at)).to_string()
}

/// A point in time in UTC, in milliseconds: `2026-11-30T12:00:00.123Z`.
pub(crate) fn precise_time(at: Timestamp) -> String {
    humantime::format_rfc3339_millis(printable(at)).to_string()
}

/// The nearest time that has a date of four digits.
fn printable(at: Timestamp) -> SystemTime {
    let after_1970 = Duration::from_millis(u64::try_from(at.unix_millis()).unwrap_or(0));
    UNIX_EPOCH + after_1970.min(YEAR_9999)
}

/// The image, its digest shortened and only where there is no tag.
pub(crate) fn image(pull: &PullRecord) -> String {
    let image = &pull.image;
    let name = format!("{}/{}", image.registry.as_str(), image.repository.as_str());
    match (&image.tag, &image.digest) {
        (Some(tag), _) => format!("{name}:{}", tag.as_str()),
        (None, Some(digest)) => format!("{name}@{}", short(digest)),
        (None, None) => name,
    }
}

/// A digest with a few of its digits.
pub(crate) fn short(digest: &Digest) -> String {
    let text = digest.to_string();
    let algorithm = text.split(':').next().unwrap_or_default();
    let digits = digest.hex().get(..DIGEST_DIGITS).unwrap_or(digest.hex());
    format!("{algorithm}:{digits}")
}

/// The outcome, with the class of the first failure.
pub(crate) fn outcome(pull: &PullRecord) -> String {
    match pull.failure {
        Some(failure) => format!("{} ({})", pull.outcome, failure.class.as_str()),
        None => pull.outcome.to_string(),
    }
}

/// The bottleneck of a pull in one sentence, without the digest of an object where names are hidden. `median` is the median
/// rate of its registry, in bytes a second.
pub(crate) fn sentence(finding: &Finding, pull: &PullRecord, median: Option<u64>, names: bool) -> String {
    if names {
        return finding.sentence(pull, median);
    }
    let mut nameless = pull.clone();
    nameless.objects.iter_mut().for_each(|object| object.digest = None);
    finding.sentence(&nameless, median)
}

/// A duration as people read it: `0`, `0.4 ms`, `120 ms`, `7.9 s`, `2 min 5 s`.
pub(crate) fn span(time: Duration) -> String {
    match time.as_millis() {
        0 if time < TENTH_OF_MILLISECOND => "0".to_owned(),
        0..10 => format!("{:.1} ms", time.as_secs_f64() * 1000.0),
        10..1000 => format!("{} ms", time.as_millis()),
        1000..60_000 => format!("{:.1} s", time.as_secs_f64()),
        _ => format!("{} min {} s", time.as_secs() / 60, time.as_secs() % 60),
    }
}

const TENTH_OF_MILLISECOND: Duration = Duration::from_micros(100);

/// The end of the times that a date of four digits has.
const YEAR_9999: Duration = Duration::from_secs(253_402_300_799);
