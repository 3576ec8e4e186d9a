//! The quota headers of an answer: how many pulls a registry still allows.
//!
//! A [`Quota`] holds the headers of one answer. The [ledger](crate::quota::ledger) keeps the last one of each registry,
//! identity and endpoint.

use std::time::Duration;

use http::HeaderMap;

/// Pull quota as stated by one answer. The field of an absent header is `None`, not zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Pulls allowed in a window (`ratelimit-limit: 100;w=21600`).
    pub limit: Option<u64>,
    /// Pulls left in the window (`ratelimit-remaining`).
    pub remaining: Option<u64>,
    /// Length of the window.
    pub window: Option<Duration>,
    /// The party whose pulls the registry counts (`docker-ratelimit-source`): an address or an account.
    pub source: Option<String>,
}

impl Quota {
    /// Reads the quota headers of an answer; `None` if it has no readable one.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let limit = counted(headers, "ratelimit-limit");
        let remaining = counted(headers, "ratelimit-remaining");
        let window = |count: &Option<Count>| count.as_ref().and_then(|count| count.window);
        let quota = Self {
            window: window(&limit).or(window(&remaining)),
            limit: limit.map(|count| count.number),
            remaining: remaining.map(|count| count.number),
            source: headers.get("docker-ratelimit-source").and_then(|value| source(value.to_str().ok()?)),
        };
        (quota.limit.is_some() || quota.remaining.is_some()).then_some(quota)
    }
}

struct Count {
    number: u64,
    window: Option<Duration>,
}

/// The value of the header `name`, or of its older spelling with the prefix `x-`.
fn counted(headers: &HeaderMap, name: &str) -> Option<Count> {
    let value = headers.get(name).or_else(|| headers.get(format!("x-{name}")))?;
    let first = value.to_str().ok()?.split(',').next()?;
    let mut parts = first.split(';').map(str::trim);
    let number = parts.next()?.parse().ok().filter(|number| *number <= COUNT_MAX)?;
    let window = parts
        .find_map(|part| part.strip_prefix("w="))
        .and_then(|seconds| seconds.parse().ok())
        .filter(|seconds| (1..=WINDOW_MAX).contains(seconds))
        .map(Duration::from_secs);
    Some(Count { number, window })
}

/// An address or account. It becomes a label, so a value with unusual characters is dropped.
fn source(text: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'-' | b'_' | b'/');
    (!text.is_empty() && text.len() <= SOURCE_MAX && text.bytes().all(plain)).then(|| text.to_owned())
}

/// The largest number accepted, in pulls. A larger one limits no client in practice.
const COUNT_MAX: u64 = 1_000_000_000_000;
/// Longest window accepted, in seconds: a year.
const WINDOW_MAX: u64 = 366 * 24 * 60 * 60;
/// Longest source accepted, in bytes: room for an IPv6 prefix or a UUID.
const SOURCE_MAX: usize = 64;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Option<Quota> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        Quota::from_headers(&headers)
    }

    #[test]
    fn docker_hubs_headers_are_read() {
        let quota = read(&[
            ("RateLimit-Limit", "100;w=21600"),
            ("RateLimit-Remaining", "20;w=21600"),
            ("Docker-RateLimit-Source", "192.0.2.7"),
        ]);
        let window = Some(Duration::from_secs(21600));
        let source = Some("192.0.2.7".to_owned());
        assert_eq!(quota, Some(Quota { limit: Some(100), remaining: Some(20), window, source }));
    }

    #[test]
    fn the_field_of_an_absent_header_is_none_and_not_zero() {
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[("docker-ratelimit-source", "192.0.2.7")]), None);
        let only_remaining = read(&[("ratelimit-remaining", "0;w=60")]).unwrap();
        assert_eq!((only_remaining.limit, only_remaining.remaining), (None, Some(0)));
        assert_eq!(only_remaining.window, Some(Duration::from_secs(60)));
    }

    #[test]
    fn variants_are_read() {
        for (value, limit, window) in [
            ("100", 100, None),
            (" 100 ; w=60 ", 100, Some(60)),
            ("100;w=60, 5000;w=86400", 100, Some(60)),
            ("100;comment=x;w=60", 100, Some(60)),
            ("100;w=0", 100, None),
            ("100;w=-1", 100, None),
            ("100;w=99999999999999999999", 100, None),
            ("100;w=31622401", 100, None),
        ] {
            for name in ["ratelimit-limit", "x-ratelimit-limit"] {
                let quota = read(&[(name, value)]).unwrap();
                assert_eq!(
                    (quota.limit, quota.window.map(|w| w.as_secs())),
                    (Some(limit), window),
                    "{value}"
                );
            }
        }
    }

    #[test]
    fn nonsense_is_ignored() {
        for value in [
            "",
            ";",
            "w=60",
            "-1",
            "1e9",
            "0x10",
            "100 per hour",
            "ten",
            "NaN",
            "18446744073709551616",
            "1000000000001",
            "\u{661}\u{660}",
            ",100",
        ] {
            assert_eq!(read(&[("ratelimit-limit", value)]), None, "{value:?}");
        }
        for odd in ["", "a b", "a\"b", "<script>", &"1".repeat(65)] {
            let quota = read(&[("ratelimit-limit", "1"), ("docker-ratelimit-source", odd)]).unwrap();
            assert_eq!(quota.source, None, "{odd:?}");
        }
    }
}
