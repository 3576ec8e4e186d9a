//! Commands that the kernel ends when their owner dies, so that a killed test leaves no daemon behind.

use std::ffi::OsStr;
use std::process::Command;

use crate::host::parts;

/// Starts the description of a command that gets SIGKILL when the thread that spawns it ends, for whatever reason. The
/// thread of a test is the right one; a thread that tokio lends to blocking code may end earlier.
pub(super) fn owned(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(parts::installed("setpriv"));
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}
