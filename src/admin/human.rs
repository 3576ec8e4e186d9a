//! Numbers formatted for people.

/// A duration in seconds, formatted for people.
pub(crate) fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A number with its noun: `1 image`, `2 images`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A number of bytes, formatted for people.
pub(crate) fn size(bytes: u64) -> String {
    let scale = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)]
        .into_iter()
        .find(|(_, shift)| bytes >= 1_u64 << shift);
    scale.map_or_else(
        || format!("{bytes} B"),
        |(unit, shift)| format!("{:.1} {unit}", bytes as f64 / (1_u64 << shift) as f64),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_formatted_for_people() {
        assert_eq!((count(1, "upstream"), count(2, "upstream")), ("1 upstream".into(), "2 upstreams".into()));
        assert_eq!((size(512), size(5 << 40)), ("512 B".into(), "5.0 TiB".into()));
        assert_eq!((age(59), age(7200)), ("59 s".into(), "2 h 0 min".into()));
    }
}
