//! Reads and writes durations and byte sizes with units.
//!
//! The crate `bytesize` is not used for sizes: it accepts a number without a unit, accepts fractions, turns an overflow
//! into `u64::MAX`, and writes `50.0 GiB` for a size that is not exactly 50 GiB.

use std::time::Duration;

/// Reads `60s`, `7d`, `1h30m`, `500ms`. A unit is required, except for `0`.
pub fn duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok()
}

/// Writes a duration in the largest units that fit; [`duration`] reads the same value back.
pub fn show_duration(duration: Duration) -> String {
    let (mut seconds, mut text) = (duration.as_secs(), String::new());
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
        if seconds / length > 0 {
            text.push_str(&format!("{}{unit}", seconds / length));
        }
        seconds %= length;
    }
    for (unit, part) in [
        ("ms", duration.subsec_millis()),
        ("us", duration.subsec_micros() % 1000),
        ("ns", duration.subsec_nanos() % 1000),
    ] {
        if part > 0 {
            text.push_str(&format!("{part}{unit}"));
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Reads `50GiB`, `50Gi` (1024s), `50GB`, `50G` (1000s), `512B`. A unit is required, except for `0`.
pub fn bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let unit = unit.trim_start();
    if unit.is_empty() {
        return (number == 0).then_some(0);
    }
    number.checked_mul(factor(unit)?)
}

/// Writes a size in the largest unit that divides it; [`bytes`] reads the same value back.
pub fn show_bytes(bytes: u64) -> String {
    let exact = |unit: &&(&str, u64)| bytes > 0 && bytes.is_multiple_of(unit.1);
    match UNITS.iter().filter(exact).max_by_key(|(_, factor)| *factor) {
        Some((unit, factor)) => format!("{}{unit}", bytes / factor),
        None => format!("{bytes}B"),
    }
}

fn factor(unit: &str) -> Option<u64> {
    let same = |known: &str| {
        unit.eq_ignore_ascii_case(known) || unit.eq_ignore_ascii_case(known.trim_end_matches('B'))
    };
    if unit.eq_ignore_ascii_case("b") {
        return Some(1);
    }
    UNITS.iter().find(|(known, _)| same(known)).map(|(_, factor)| *factor)
}

const UNITS: [(&str, u64); 10] = [
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("PB", 1_000_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("PiB", 1 << 50),
];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_every_common_spelling() {
        for (text, size) in [
            ("0", 0),
            ("512B", 512),
            ("50GiB", 50 << 30),
            ("50 GiB", 50 << 30),
            ("50Gi", 50 << 30),
            ("50gib", 50 << 30),
            ("50GB", 50_000_000_000),
            ("50G", 50_000_000_000),
            ("1k", 1000),
        ] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for text in ["", "50", "GiB", "-1GiB", "1.5GiB", "50XB", "99999999PiB", "5 0GB", "1GiB x"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(duration("7d"), Some(Duration::from_secs(604_800)));
        for text in ["", "60", "s", "-1s", "1x", "99999999999999999999s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    /// Random values from a fixed seed: a written value is read back the same.
    #[test]
    fn a_written_value_is_read_back() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let size = state >> (state % 64);
            assert_eq!(bytes(&show_bytes(size)), Some(size), "{size}");
            let time = Duration::new((state >> 20) >> (state % 44), (state % 1_000_000_000) as u32);
            assert_eq!(duration(&show_duration(time)), Some(time), "{time:?} {}", show_duration(time));
        }
        assert_eq!(show_bytes(50 << 30), "50GiB");
        assert_eq!(show_duration(Duration::from_secs(5400)), "1h30m");
        assert_eq!(show_duration(Duration::ZERO), "0s");
    }
}
