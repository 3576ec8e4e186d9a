//! What processes use, read from `/proc`.

use std::fs;

/// A process and its descendants.
pub(crate) fn family(id: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|id| Some((id, parent(&read(id, "stat")?)?)))
        .collect();
    let mut family = vec![id];
    let mut next = 0;
    while let Some(&id) = family.get(next) {
        family.extend(parents.iter().filter(|(_, parent)| *parent == id).map(|(child, _)| *child));
        next += 1;
    }
    family
}

/// Processor time a process has used, user and system, seconds.
pub(crate) fn cpu_seconds(id: u32) -> Option<f64> {
    let ticks = cpu_ticks(&read(id, "stat")?)?;
    Some(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Anonymous memory a process has resident, bytes: without the page cache it has mapped.
pub(crate) fn anonymous_bytes(id: u32) -> Option<u64> {
    status_bytes(&read(id, "status")?, "RssAnon")
}

/// The load averages as the system tells them.
pub(crate) fn load_average() -> String {
    let line = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    line.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn read(id: u32, file: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/{id}/{file}")).ok()
}

/// The fields of `stat` after the name, which may hold spaces and parentheses.
fn fields(stat: &str) -> Option<impl Iterator<Item = &str>> {
    Some(stat.rsplit_once(") ")?.1.split(' '))
}

fn parent(stat: &str) -> Option<u32> {
    fields(stat)?.nth(1)?.parse().ok()
}

fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut times = fields(stat)?.skip(11);
    let (user, system): (u64, u64) = (times.next()?.parse().ok()?, times.next()?.parse().ok()?);
    Some(user + system)
}

fn status_bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "4242 (nginx: a) b) S 17 4242 4242 0 -1 4194560 1 2 3 4 250 75 9 9 20 0 1 0 100 0 0";

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        assert_eq!(parent(STAT), Some(17));
        assert_eq!(cpu_ticks(STAT), Some(325));
        assert_eq!(cpu_ticks("4242 (gone) S 1"), None);
    }

    #[test]
    fn memory_is_told_in_kibibytes() {
        let status = "Name:\tx\nRssAnonymous:\t1 kB\nRssAnon:\t    2048 kB\nRssFile:\t 1 kB\n";
        assert_eq!(status_bytes(status, "RssAnon"), Some(2 << 20));
        assert_eq!(status_bytes(status, "RssShmem"), None);
    }

    #[test]
    fn this_process_is_in_its_own_family_and_uses_memory() {
        let id = std::process::id();
        assert_eq!(family(id).first(), Some(&id));
        assert!(anonymous_bytes(id).is_some_and(|bytes| bytes > 0));
        assert!(cpu_seconds(id).is_some());
    }
}
