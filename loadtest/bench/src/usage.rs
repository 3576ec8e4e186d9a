//! The resources that processes use, read from `/proc`.

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

/// Processor time that a process has used, user and system, seconds.
pub(crate) fn cpu_seconds(id: u32) -> Option<f64> {
    let ticks = cpu_ticks(&read(id, "stat")?)?;
    Some(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Resident anonymous memory of a process, bytes; mapped files do not count.
pub(crate) fn anonymous_bytes(id: u32) -> Option<u64> {
    status_bytes(&read(id, "status")?, "RssAnon")
}

/// The working set of the process's cgroup as the kubelet computes it, bytes: the memory charged to the cgroup, without
/// inactive file pages. If the cgroup has other processes too, the number includes them.
pub(crate) fn cgroup_working_set(id: u32) -> Option<u64> {
    let group = MemoryGroup::of(&read(id, "cgroup")?)?;
    let text = |file: &str| fs::read_to_string(format!("{}/{file}", group.folder)).ok();
    let usage: u64 = text(group.usage)?.trim().parse().ok()?;
    Some(usage.saturating_sub(stat_value(&text("memory.stat")?, group.inactive)?))
}

/// The memory in TCP buffers of the kernel, over all connections of the machine, bytes.
pub(crate) fn tcp_bytes() -> Option<u64> {
    tcp_pages(&fs::read_to_string("/proc/net/sockstat").ok()?)
        .map(|pages| pages * rustix::param::page_size() as u64)
}

/// The system's load averages.
pub(crate) fn load_average() -> String {
    let line = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    line.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// The files with a cgroup's memory figures; the two versions of cgroups name them differently.
#[derive(Debug, PartialEq, Eq)]
struct MemoryGroup {
    folder: String,
    usage: &'static str,
    inactive: &'static str,
}

impl MemoryGroup {
    /// Finds the files from the text of `/proc/PID/cgroup`.
    fn of(table: &str) -> Option<Self> {
        let first = table.lines().find_map(|line| line.split_once(":memory:"));
        if let Some((_, path)) = first {
            let folder = format!("/sys/fs/cgroup/memory{path}");
            return Some(Self { folder, usage: "memory.usage_in_bytes", inactive: "total_inactive_file" });
        }
        let path = table.lines().find_map(|line| line.strip_prefix("0::"))?;
        let folder = format!("/sys/fs/cgroup{path}");
        Some(Self { folder, usage: "memory.current", inactive: "inactive_file" })
    }
}

/// The pages of TCP buffers, from the line `TCP: inuse 9 orphan 0 tw 216 alloc 14 mem 101`.
fn tcp_pages(sockstat: &str) -> Option<u64> {
    let line = sockstat.lines().find_map(|line| line.strip_prefix("TCP: "))?;
    line.split_once("mem ")?.1.trim().parse().ok()
}

fn stat_value(stat: &str, name: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?.trim().parse().ok()
}

fn read(id: u32, file: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/{id}/{file}")).ok()
}

/// The fields of `stat` after the process name; the name may contain spaces and parentheses.
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
    fn kibibytes_become_bytes() {
        let status = "Name:\tx\nRssAnonymous:\t1 kB\nRssAnon:\t    2048 kB\nRssFile:\t 1 kB\n";
        assert_eq!(status_bytes(status, "RssAnon"), Some(2 << 20));
        assert_eq!(status_bytes(status, "RssShmem"), None);
    }

    #[test]
    fn both_versions_of_cgroups_are_read() {
        let first = MemoryGroup::of("9:name=systemd:/\n4:memory:/pods/a\n0::/\n");
        assert_eq!(first.map(|group| group.folder).as_deref(), Some("/sys/fs/cgroup/memory/pods/a"));
        let second = MemoryGroup::of("0::/kubepods/b\n");
        assert_eq!(second.map(|group| group.folder).as_deref(), Some("/sys/fs/cgroup/kubepods/b"));
        let stat = "inactive_anon 1\ninactive_file 4096\ntotal_inactive_file 8192\n";
        assert_eq!(stat_value(stat, "inactive_file"), Some(4096));
        assert_eq!(stat_value(stat, "total_inactive_file"), Some(8192));
    }

    #[test]
    fn the_kernel_counts_pages_of_tcp() {
        let sockstat = "sockets: used 9\nTCP: inuse 9 orphan 0 tw 216 alloc 14 mem 101\nUDP: inuse 1 mem 7\n";
        assert_eq!(tcp_pages(sockstat), Some(101));
    }

    #[test]
    fn this_process_is_in_its_own_family_and_uses_memory() {
        let id = std::process::id();
        assert_eq!(family(id).first(), Some(&id));
        assert!(anonymous_bytes(id).is_some_and(|bytes| bytes > 0));
        assert!(cpu_seconds(id).is_some());
    }
}
