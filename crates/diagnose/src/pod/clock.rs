//! Times as people read them.

/// The time of day (UTC), to the second.
pub fn time_of_day(at: i64) -> String {
    let second = at.rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}
