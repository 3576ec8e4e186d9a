//! The series about the process itself, under the names that Prometheus client libraries use.

use metrics::{counter, gauge};
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use super::metric_names::{CPU, MAX, OPEN, RESIDENT, START, VIRTUAL};

/// Updates the series from `/proc`; on a system without `/proc` they are absent.
pub(crate) fn update() {
    if let Some(seen) = std::fs::read_to_string("/proc/self/stat").ok().and_then(|text| Stat::parse(&text)) {
        let ticks = clock_ticks_per_second() as f64;
        gauge!(RESIDENT).set(seen.resident_pages as f64 * page_size() as f64);
        gauge!(VIRTUAL).set(seen.virtual_bytes as f64);
        // Whole seconds, because counters of this recorder are integers.
        counter!(CPU).absolute((seen.cpu_ticks as f64 / ticks) as u64);
        if let Some(booted) = booted() {
            gauge!(START).set(booted + seen.start_ticks as f64 / ticks);
        }
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // One of the open files is the folder that is being read.
        gauge!(OPEN).set(open.count().saturating_sub(1) as f64);
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        gauge!(MAX).set(most as f64);
    }
}

/// Fields of `/proc/self/stat` (proc(5)).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    /// Parses the line. The name in parentheses may contain any character; the fields are counted after it.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        // Field 3, the state, is the first field after the name.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// The start of the system, in seconds since 1970.
fn booted() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_a_name_with_spaces_and_parentheses() {
        let text = "7 (a ) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 3 0 12345 999424 321 18446744073709551615";
        let expected =
            Stat { cpu_ticks: 300, start_ticks: 12345, virtual_bytes: 999_424, resident_pages: 321 };
        assert_eq!(Stat::parse(text), Some(expected));
        assert_eq!(Stat::parse("nothing"), None);
    }
}
