//! Encodes values of closed lists as small integers in the file: their positions in the list.

/// The position of `value` in its list.
pub(crate) fn of<T: PartialEq>(list: &[T], value: &T) -> i64 {
    let position = list.iter().position(|known| known == value).unwrap_or(list.len());
    i64::try_from(position).unwrap_or(i64::MAX)
}

/// The value at this position; none if a newer version wrote it.
pub(crate) fn value<T: Copy>(list: &[T], code: i64) -> Option<T> {
    usize::try_from(code).ok().and_then(|position| list.get(position)).copied()
}

/// A number for the file, capped at `i64::MAX`, the largest integer of SQLite.
pub(crate) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A time for the file, in whole microseconds.
pub(crate) fn micros(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
