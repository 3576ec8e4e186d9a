//! Programs that run next to a test: daemons that end with their owner, and commands that end by themselves.

use std::fmt;
use std::fs::{self, File};
use std::future::ready;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process};
use tokio::time::timeout;

pub use rustix::process::Signal;

use crate::host::scratch::tail;
use crate::host::wait::wait_until;

/// A daemon. Dropping it ends it: first with SIGTERM, then with SIGKILL.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    /// Offset in bytes in the log at which the output of this run begins; earlier runs may have written before it.
    begin: usize,
}

impl Process {
    /// Starts a command whose output is appended to `<folder>/<name>.log`.
    pub fn spawn(name: &str, command: &mut Command, folder: &Path) -> Self {
        let log = folder.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log).expect("a log file");
        let begin = output.metadata().map_or(0, |log| log.len()) as usize;
        let errors = output.try_clone().expect("a second handle of the log");
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
        let child = child.unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { name: name.to_owned(), child, log, begin }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The output of the process since its start.
    pub fn log(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(log.get(self.begin..).unwrap_or_default()).into_owned()
    }

    /// The whole log, including earlier runs.
    pub fn whole_log(&self) -> Vec<u8> {
        fs::read(&self.log).unwrap_or_default()
    }

    /// Waits until `find` returns a value for the log. Panics if the process ends before, or after 30 s.
    pub async fn says<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        wait_until(&format!("{} to say {what}", self.name), START_LIMIT, || {
            let ended = self.has_ended();
            let log = self.log();
            let found = find(&log);
            assert!(found.is_some() || !ended, "{} ended without {what}:\n{}", self.name, tail(&log));
            ready(found)
        })
        .await
    }

    /// True if the process has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal)
            .unwrap_or_else(|error| panic!("cannot signal {}: {error}", self.name));
    }

    /// Waits until the process has ended by itself. Panics after `limit`.
    pub async fn exited(&mut self, limit: Duration) -> ExitStatus {
        let ended = wait_until("the end of a process", limit + AFTER_LIMIT, || {
            ready(self.child.try_wait().expect("a child to wait for"))
        });
        match timeout(limit, ended).await {
            Ok(status) => status,
            Err(_) => {
                panic!("{} runs on after {limit:?}\n{}\n{}", self.name, self.threads(), tail(&self.log()))
            }
        }
    }

    /// The threads of the process and the function of the kernel in which each waits, to find out why it hangs.
    fn threads(&self) -> String {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
        let line = |task: fs::DirEntry| {
            let [name, place] = ["comm", "wchan"].map(|file| read(task.path().join(file)));
            format!("thread {} in {}", name.trim(), place.trim())
        };
        tasks.map(line).collect::<Vec<_>>().join("\n")
    }

    /// Sends SIGTERM and waits. Panics if the process takes more than 30 s to end.
    pub async fn stop(&mut self) -> ExitStatus {
        if !self.has_ended() {
            self.signal(Signal::TERM);
        }
        self.exited(STOP_LIMIT).await
    }

    /// Sends SIGKILL, which ends the process as a power cut would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.has_ended() {
            return;
        }
        let _ = kill_process(self.pid(), Signal::TERM);
        let deadline = Instant::now() + DROP_GRACE;
        while !self.has_ended() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.kill();
    }
}

/// The result of a command that ended by itself.
#[derive(Debug)]
pub struct Ran {
    what: String,
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

impl Ran {
    /// Its standard output. Panics if the command failed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.status.success(), "{self}");
        self.stdout
    }

    /// Everything it printed. Panics if the command did not fail.
    #[track_caller]
    pub fn failed(self) -> String {
        assert!(!self.status.success(), "expected a failure: {self}");
        self.stderr + &self.stdout
    }

    /// True if the command succeeded.
    pub fn succeeded(&self) -> bool {
        self.status.success()
    }

    /// The exit code; `None` if a signal ended the command.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The text on standard output.
    pub fn stdout(&self) -> &str {
        &self.stdout
    }

    /// The text on standard error.
    pub fn stderr(&self) -> &str {
        &self.stderr
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})\n{}\n{}", self.what, self.status, tail(&self.stdout), tail(&self.stderr))
    }
}

/// Runs a command to its end. Panics if it takes more than two minutes.
pub async fn run(command: Command) -> Ran {
    let what = format!("{command:?}");
    let mut command = tokio::process::Command::from(command);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(RUN_LIMIT, output)
        .await
        .unwrap_or_else(|_| panic!("{what} has not ended after {RUN_LIMIT:?}"));
    let output = output.unwrap_or_else(|error| panic!("{what}: {error}"));
    Ran {
        what,
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The longest wait for a daemon's log. Daemons start in well under a second, but a loaded machine takes longer.
const START_LIMIT: Duration = Duration::from_secs(30);
/// By this much the search for the end outlives a limit, so that the limit is told with the state of the process.
const AFTER_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const RUN_LIMIT: Duration = Duration::from_secs(120);
/// The wait between SIGTERM and SIGKILL when a process is dropped. It is short, because it blocks the test's thread.
const DROP_GRACE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::scratch::Scratch;

    #[tokio::test]
    async fn a_dropped_process_ends_even_if_it_ignores_sigterm() {
        let scratch = Scratch::new();
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"]);
        let mut process = Process::spawn("stubborn", &mut command, scratch.path());
        process.says("ready", |log| log.contains("ready").then_some(())).await;
        let id = process.id();
        drop(process);
        assert!(!Path::new(&format!("/proc/{id}")).exists());
    }

    #[tokio::test]
    async fn a_process_that_ends_early_fails_the_wait_at_once() {
        let scratch = Scratch::new();
        let mut process = Process::spawn("early", &mut Command::new("true"), scratch.path());
        let wait =
            async move { process.says("a welcome", |log| log.contains("welcome").then_some(())).await };
        let panic = tokio::spawn(wait).await.unwrap_err().into_panic();
        assert!(panic.downcast_ref::<String>().unwrap().contains("early ended without a welcome"));
    }

    #[tokio::test]
    async fn a_command_gives_its_code_and_both_outputs() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        let ran = run(command).await;
        assert_eq!((ran.code(), ran.stdout(), ran.stderr()), (Some(3), "out\n", "err\n"));
    }
}
