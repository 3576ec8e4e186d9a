//! The limit on open files and sockets, raised as far as the system allows.
//!
//! Most shells and containers start a process with a soft limit of 1024, far fewer than the mirror's connections.

use rustix::io;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit on open files (RLIMIT_NOFILE) to the hard limit, and returns it; `None` means no limit.
///
/// # Errors
/// If the system refuses; the limit is then unchanged.
pub(crate) fn raise() -> io::Result<Option<u64>> {
    let limits = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits })?;
    Ok(limits.maximum)
}

/// The number of connections to serve at once, if the configuration has the number `wanted`.
///
/// A default is lowered to the number that the limit on open files allows. A number from the configuration file stays,
/// and the log warns if it can need more open files than are allowed.
pub(crate) fn connections(wanted: usize, is_default: bool) -> usize {
    let Some((allowed, needed)) = shortage(getrlimit(Resource::Nofile).current, wanted) else {
        return wanted;
    };
    if is_default {
        let served = affordable(allowed);
        tracing::info!(allowed, "at most {served} connections at once, by the limit on open files");
        return served;
    }
    tracing::warn!(
        allowed,
        needed,
        "proxy.max_connections ({wanted}) can need more open files than this process may have: raise the limit \
         (LimitNOFILE of systemd, ulimit -Hn) or lower max_connections"
    );
    wanted
}

/// The number of connections for which `allowed` open files suffice. At least half of the files are for connections.
fn affordable(allowed: u64) -> usize {
    let files = allowed.saturating_sub(BESIDE).max(allowed / 2);
    usize::try_from(files / FOR_A_CONNECTION).unwrap_or(usize::MAX).max(1)
}

/// The number of files allowed and the number needed, if more are needed.
fn shortage(allowed: Option<u64>, connections: usize) -> Option<(u64, u64)> {
    let needed = (connections as u64).saturating_mul(FOR_A_CONNECTION).saturating_add(BESIDE);
    allowed.filter(|allowed| *allowed < needed).map(|allowed| (allowed, needed))
}

/// Open files per connection: the client's socket, and the cached file that the client reads. At worst, each client
/// reads a different file.
const FOR_A_CONNECTION: u64 = 2;
/// Open files for all other uses: fills, upstreams, records, at most 256 files whose commit is not finished, and the
/// process itself.
const BESIDE: u64 = 1280;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let before = getrlimit(Resource::Nofile);
        if let Some(hard) = before.maximum {
            setrlimit(Resource::Nofile, Rlimit { current: Some(hard.min(256)), ..before }).unwrap();
        }
        assert_eq!(raise().unwrap(), before.maximum);
        assert_eq!(getrlimit(Resource::Nofile).current, before.maximum);
    }

    #[test]
    fn a_shortage_depends_on_the_number_of_connections() {
        assert_eq!(shortage(Some(1024), 16384), Some((1024, 34_048)));
        assert_eq!(shortage(Some(34_048), 16384), None);
        assert_eq!(shortage(None, usize::MAX), None);
    }

    #[test]
    fn the_default_is_lowered_to_what_the_limit_allows() {
        assert_eq!((affordable(20_000), affordable(1024), affordable(0)), (9360, 256, 1));
        assert_eq!(connections(1, true), 1);
    }
}
