//! A measured server: a child process with its output in a file.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use crate::{
    error::{Doing, Error},
    pin::Cores,
    usage,
};

/// A running server. Dropping it ends the process and its children.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    command_line: String,
}

impl Process {
    /// Starts `command` on the cores of servers.
    pub(crate) fn start(name: &str, command: &[String], cores: Cores, folder: &Path) -> Result<Self, Error> {
        let words: Vec<String> = ["taskset", "-c", cores.of_servers()]
            .map(str::to_owned)
            .into_iter()
            .chain(command.iter().cloned())
            .collect();
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log).doing(format!("creating {}", log.display()))?;
        let errors = output.try_clone().doing("sharing a log")?;
        let child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .doing(format!("starting {name}"))?;
        Ok(Self { name: name.to_owned(), child, log, command_line: words.join(" ") })
    }

    /// Waits until `find` returns a value for the output of the server.
    pub(crate) fn says<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> Result<T, Error> {
        let until = Instant::now() + START_LIMIT;
        loop {
            let said = fs::read_to_string(&self.log).unwrap_or_default();
            if let Some(found) = find(&said) {
                return Ok(found);
            }
            if Instant::now() > until || matches!(self.child.try_wait(), Ok(Some(_))) {
                let log = said.lines().rev().take(3).collect::<Vec<_>>().join(" | ");
                return Err(Error::Start {
                    server: self.name.clone(),
                    what: what.to_owned(),
                    limit: START_LIMIT,
                    log,
                });
            }
            sleep(POLL);
        }
    }

    /// The id of the process. It is the server's own id, because `taskset` executes the server in its place.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The command line that started it, for the report.
    pub(crate) fn command_line(&self) -> &str {
        &self.command_line
    }

    /// Processor time so far, with its children, seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        usage::family(self.id()).into_iter().filter_map(usage::cpu_seconds).sum()
    }

    /// Anonymous memory now, with its children, bytes.
    pub(crate) fn anonymous_bytes(&self) -> u64 {
        usage::family(self.id()).into_iter().filter_map(usage::anonymous_bytes).sum()
    }

    fn ended_within(&mut self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            sleep(POLL);
        }
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGTERM comes first, because nginx then ends its workers.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        if !self.ended_within(STOP_LIMIT) {
            for id in usage::family(self.id()) {
                if let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw) {
                    let _ = kill_process(id, Signal::KILL);
                }
            }
            let _ = self.child.wait();
        }
    }
}

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(5);
