//! Parts of a question about pulls, as text.

use std::time::{Duration, SystemTime};

use records::record::PullOutcome;
use records::{Limit, Timestamp};

/// A time before now (`30m`, `2h`, `7d`), or a date (RFC 3339).
///
/// # Errors
/// In words for the caller: it is neither, or longer ago than records are kept.
pub(crate) fn since(text: &str) -> Result<Timestamp, String> {
    let wrong = || "give a time before now (30m, 2h, 7d) or a date (2026-11-30T12:00:00Z)".to_owned();
    if let Some(ago) = config::units::duration(text) {
        let too_long = || format!("records are kept for {} at most", config::units::show_duration(SINCE_MAX));
        return (ago <= SINCE_MAX)
            .then(|| Timestamp::from(SystemTime::now()).earlier(ago))
            .ok_or_else(too_long);
    }
    humantime::parse_rfc3339_weak(text).map(Timestamp::from).map_err(|_| wrong())
}

/// A length of time, such as `10m`.
///
/// # Errors
/// In words for the caller.
pub(crate) fn length(text: &str) -> Result<Duration, String> {
    config::units::duration(text).ok_or_else(|| "give a time such as 30s, 10m or 1h".to_owned())
}

/// The size of a page.
///
/// # Errors
/// In words for the caller.
pub(crate) fn limit(text: &str) -> Result<Limit, String> {
    let number: i64 = text.parse().map_err(|_| "give a whole number".to_owned())?;
    Limit::new(number).map_err(|error| error.to_string())
}

/// The outcome of a pull.
///
/// # Errors
/// In words for the caller.
pub(crate) fn outcome(text: &str) -> Result<PullOutcome, String> {
    let known = || PullOutcome::ALL.iter().map(|outcome| outcome.as_str()).collect::<Vec<_>>().join(", ");
    text.parse().map_err(|_| format!("give one of: {}", known()))
}

/// The longest time that `--since` reaches back: ten years, the most that `records.max_age` may be.
const SINCE_MAX: Duration = Duration::from_secs(3650 * 86_400);
