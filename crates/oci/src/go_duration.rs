//! Durations in the form that Go's `time.Duration` prints. Messages of registries and answers of credential providers
//! use this form.

use std::time::Duration;

/// Parses `12h0m0s`, `1.5h`, `880.092µs`, `0s` or `0`: numbers, each followed by its unit. Returns `None` for
/// anything else, including a sign (<https://pkg.go.dev/time#ParseDuration>).
pub fn parse(text: &str) -> Option<Duration> {
    if text.is_empty() {
        return None;
    }
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        seconds += number.parse::<f64>().ok()? * unit_seconds(unit)?;
        rest = after;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

fn unit_seconds(unit: &str) -> Option<f64> {
    match unit {
        "ns" => Some(1e-9),
        // Go prints U+00B5, the micro sign; U+03BC, the Greek letter, looks the same.
        "us" | "\u{b5}s" | "\u{3bc}s" => Some(1e-6),
        "ms" => Some(1e-3),
        "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_that_go_prints_are_read() {
        for (text, nanos) in [
            ("12h0m0s", 43_200_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("1m30.5s", 90_500_000_000),
            ("20ms", 20_000_000),
            ("880.092\u{b5}s", 880_092),
            ("880.092\u{3bc}s", 880_092),
            ("7us", 7_000),
            ("3ns", 3),
            ("0s", 0),
            ("0", 0),
        ] {
            assert_eq!(parse(text), Some(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", " ", "5", "s", "-5s", "+5s", "5 s", "5 parsecs", "1e400s", "...s", "NaNs", "1d", "1H"]
        {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
