//! Runs credential programs to their end, with a limit on time and output, each in its own process group.

use std::ffi::OsStr;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use oci::Secret;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// The reason why a program gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The program could not be started.
    #[error("{0}")]
    Start(io::Error),
    /// The program exceeded the time limit and was killed with its process group.
    #[error("no answer within {} s", .0.as_secs())]
    TimeLimit(Duration),
    /// The program exited with a failure.
    #[error("{0}")]
    Failed(ExitStatus),
    /// The program wrote more than [`OUTPUT_MAX`] bytes.
    #[error("the answer is larger than {} KiB", OUTPUT_MAX / 1024)]
    TooLarge,
    /// The program's output cannot be read.
    #[error("the answer cannot be read: {0}")]
    Unreadable(io::Error),
}

/// Runs `program` with `input` on its standard input, and returns its standard output.
///
/// Standard error is discarded, because such programs may write secrets there. The program is killed with its whole
/// process group after `limit`, or when the future is dropped.
pub(crate) async fn run(
    program: impl AsRef<OsStr>,
    arguments: &[String],
    environment: &Environment,
    input: &[u8],
    limit: Duration,
) -> Result<Secret, RunError> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Environment::Only(variables) = environment {
        command.env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
    }
    let child = command.process_group(0).kill_on_drop(true).spawn().map_err(RunError::Start)?;
    // `group` is dropped before `child`: while the leader is not reaped, no other process group can have its id.
    let mut child = child;
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let answer = tokio::time::timeout(limit, answer(&mut child, input)).await;
    if matches!(answer, Ok(Ok(_))) {
        group.0 = None;
    }
    answer.unwrap_or(Err(RunError::TimeLimit(limit)))
}

/// The environment of a program.
pub(crate) enum Environment {
    /// The environment of this process.
    Inherited,
    /// These variables and no others.
    Only(Vec<(String, String)>),
}

async fn answer(child: &mut Child, input: &[u8]) -> Result<Secret, RunError> {
    if let Some(mut stdin) = child.stdin.take() {
        // A write error is ignored: a program may answer without reading its input.
        let _ = stdin.write_all(input).await;
    }
    let mut answer = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(OUTPUT_MAX + 1).read_to_end(&mut answer).await.map_err(RunError::Unreadable)?;
    }
    if answer.len() as u64 > OUTPUT_MAX {
        return Err(RunError::TooLarge);
    }
    let status = child.wait().await.map_err(RunError::Unreadable)?;
    if !status.success() {
        return Err(RunError::Failed(status));
    }
    let text =
        String::from_utf8(answer).map_err(|_| RunError::Unreadable(io::ErrorKind::InvalidData.into()))?;
    Ok(Secret::new(text))
}

/// Kills a process group on drop.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Fails if the group has ended already.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Largest answer, bytes.
const OUTPUT_MAX: u64 = 64 * 1024;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::testing::{FORKS, program};

    async fn ran(path: &Path, limit: Duration) -> Result<Secret, RunError> {
        run(path, &["one".to_owned()], &Environment::Inherited, b"question\n", limit).await
    }

    #[tokio::test]
    async fn question_arguments_and_answer_are_passed() {
        let _alone = FORKS.lock().await;
        let (_dir, path) = program("read asked; echo \"$1 $asked\"");
        assert_eq!(ran(&path, LONG).await.unwrap().expose(), "one question\n");
    }

    #[tokio::test]
    async fn the_error_of_a_failed_program_has_its_status_and_none_of_its_output() {
        let _alone = FORKS.lock().await;
        let (_dir, path) = program("echo canary; echo canary >&2; exit 3");
        assert_eq!(ran(&path, LONG).await.err().unwrap().to_string(), "exit status: 3");
    }

    #[tokio::test]
    async fn an_answer_without_end_is_cut_off() {
        let _alone = FORKS.lock().await;
        let (_dir, path) = program("exec yes canary");
        assert!(matches!(ran(&path, LONG).await, Err(RunError::TooLarge)));
        let (_dir, path) = program("printf '\\377'");
        assert!(matches!(ran(&path, LONG).await, Err(RunError::Unreadable(_))));
    }

    #[tokio::test]
    async fn at_the_limit_the_whole_group_is_killed() {
        let _alone = FORKS.lock().await;
        let (dir, path) = program("cd \"$(dirname \"$0\")\"; sleep 600 & echo $! >part; mv part child; wait");
        let child = dir.path().join("child");
        let running = tokio::spawn(async move { ran(&path, Duration::from_secs(2)).await });
        let id: i32 = loop {
            match std::fs::read_to_string(&child) {
                Ok(text) => break text.trim().parse().unwrap(),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        assert!(matches!(running.await.unwrap(), Err(RunError::TimeLimit(_))));
        // The process has ended: its new parent has reaped it, or it is a zombie.
        let ended = || match std::fs::read_to_string(format!("/proc/{id}/stat")) {
            Ok(stat) => stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'),
            Err(_) => true,
        };
        let waited = async {
            while !ended() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LONG, waited).await.expect("the grandchild was killed");
    }

    #[tokio::test]
    async fn a_program_gets_only_the_given_environment() {
        let _alone = FORKS.lock().await;
        let (_dir, path) = program("/usr/bin/env | /usr/bin/sort");
        let only = Environment::Only(vec![("GIVEN".to_owned(), "yes".to_owned())]);
        let seen = run(&path, &[], &only, b"", LONG).await.unwrap();
        let names: Vec<_> = seen.expose().lines().filter_map(|line| line.split('=').next()).collect();
        assert!(names.contains(&"GIVEN") && !names.contains(&"HOME"), "{names:?}");
    }

    const LONG: Duration = Duration::from_secs(30);
}
