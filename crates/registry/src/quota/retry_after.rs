//! The time that a server asks us to wait, in three spellings: seconds, a date, or GHCR's message. An unreadable value
//! is ignored.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use oci::go_duration;

/// The wait in an answer's `Retry-After` (RFC 9110, 10.2.3: seconds or a date), else in its `message` (GHCR). At most
/// [`WAIT_MAX`].
pub(crate) fn read(headers: &HeaderMap, message: &str, now: SystemTime) -> Option<Duration> {
    let wait = match headers.get(RETRY_AFTER) {
        Some(value) => from_header(value.to_str().ok()?.trim(), headers, now),
        None => in_message(message),
    };
    wait.map(|wait| wait.min(WAIT_MAX))
}

/// A date counts from the answer's own `Date`, so that a wrong local clock does not change the wait.
fn from_header(text: &str, headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(text.parse().map_or(WAIT_MAX, Duration::from_secs));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let sent = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    until.duration_since(sent.unwrap_or(now)).ok()
}

/// `retry-after: 880.092µs, allowed: 44000/minute` (GHCR).
fn in_message(message: &str) -> Option<Duration> {
    let lower = message.to_ascii_lowercase();
    let (_, rest) = lower.split_once("retry-after:")?;
    let wait = rest.trim_start().split([',', ' ', '"', ';']).next()?;
    go_duration::parse(wait).filter(|wait| !wait.is_zero())
}

/// Longest wait accepted: a much longer one is the mistake of a broken clock.
const WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// Friday, 15 January 2027, 08:00:00 GMT.
    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn wait(header: Option<&str>, date: Option<&str>, message: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        for (name, value) in [(RETRY_AFTER, header), (DATE, date)] {
            headers.extend(value.map(|value| (name, HeaderValue::from_bytes(value.as_bytes()).unwrap())));
        }
        read(&headers, message, SystemTime::UNIX_EPOCH + NOW)
    }

    #[test]
    fn seconds_and_dates_are_read_and_bounded() {
        for (header, seconds) in [
            ("30", Some(30)),
            (" 30 ", Some(30)),
            ("0", Some(0)),
            ("3155760000", Some(86_400)),
            ("99999999999999999999999999", Some(86_400)),
            ("Fri, 15 Jan 2027 08:01:00 GMT", Some(60)),
            ("Friday, 15-Jan-27 08:01:00 GMT", Some(60)),
            ("Fri Jan 15 08:01:00 2027", Some(60)),
            ("Wed, 15 Jan 2127 08:00:00 GMT", Some(86_400)),
            ("Fri, 15 Jan 1999 08:00:00 GMT", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("30 seconds", None),
            ("\u{661}", None),
            ("", None),
        ] {
            assert_eq!(wait(Some(header), None, ""), seconds.map(Duration::from_secs), "{header:?}");
        }
    }

    #[test]
    fn a_date_counts_from_the_servers_clock() {
        let date = Some("Sat, 01 Jan 2000 00:00:00 GMT");
        let until = Some("Sat, 01 Jan 2000 00:01:00 GMT");
        assert_eq!(wait(until, date, ""), Some(Duration::from_secs(60)));
        assert_eq!(wait(until, Some("nonsense"), ""), None, "the date is past by the local clock");
    }

    #[test]
    fn durations_in_ghcrs_message_are_read_in_gos_form() {
        for (message, nanos) in [
            ("retry-after: 880.092\u{b5}s, allowed: 44000/minute", Some(880_092)),
            ("retry-after: 880.092\u{3bc}s, allowed: 44000/minute", Some(880_092)),
            ("Retry-After: 1m30.5s", Some(90_500_000_000)),
            ("retry-after: 999999h", Some(86_400_000_000_000)),
            ("retry-after: 1e400s", None),
            ("retry-after: ...s", None),
            ("retry-after: NaNs", None),
            ("retry-after: 5 parsecs", None),
            ("retry-after: 5", None),
            ("retry-after: 0s", None),
            ("retry-after: -5s", None),
            ("retry-after:", None),
            ("too many requests", None),
            ("", None),
        ] {
            assert_eq!(wait(None, None, message), nanos.map(Duration::from_nanos), "{message:?}");
        }
    }

    #[test]
    fn the_header_comes_before_the_message() {
        assert_eq!(wait(Some("7"), None, "retry-after: 1s"), Some(Duration::from_secs(7)));
        assert_eq!(wait(Some("soon"), None, "retry-after: 1s"), None);
    }
}
