//! The state that all groups of rows share: options, scratch folders, sizes, and the list of commands that ran.

use std::{
    cell::{Cell, RefCell},
    fs,
    path::PathBuf,
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

use crate::{
    error::{Doing, Error},
    options::Options,
};

/// The state of a run.
#[derive(Debug)]
pub(crate) struct Lab<'a> {
    /// The options of the run.
    pub(crate) options: &'a Options,
    scratch: TempDir,
    folders: Cell<usize>,
    commands: RefCell<Vec<String>>,
}

impl<'a> Lab<'a> {
    /// Checks that the pullgate binary exists, and makes the scratch folder.
    pub(crate) fn new(options: &'a Options) -> Result<Self, Error> {
        if !options.pullgate.is_file() {
            return Err(Error::NoPullgate(options.pullgate.clone()));
        }
        let scratch = tempfile::Builder::new().prefix("pullgate-bench-").tempdir_in(&options.scratch);
        let scratch = scratch.doing(format!("making a folder in {}", options.scratch.display()))?;
        // Clients and servers inherit the limit; the slow readers need thousands of sockets.
        let allowed = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: allowed.maximum, ..allowed })
            .doing("raising a limit")?;
        Ok(Self { options, scratch, folders: Cell::new(0), commands: RefCell::default() })
    }

    /// A new folder.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf, Error> {
        let number = self.folders.replace(self.folders.get() + 1);
        let folder = self.scratch.path().join(format!("{number}-{name}"));
        fs::create_dir(&folder).doing(format!("making {}", folder.display()))?;
        Ok(folder)
    }

    /// Notes a command for the report, so that readers can repeat it.
    pub(crate) fn ran(&self, command: &str) {
        let scratch = self.scratch.path().display().to_string();
        self.commands.borrow_mut().push(command.replace(&scratch, "$SCRATCH"));
    }

    /// The commands noted since the last call.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.commands.take()
    }

    /// The number of times that a figure is taken.
    pub(crate) fn rounds(&self) -> usize {
        self.options.rounds
    }

    /// The duration of a measurement that nothing else limits.
    pub(crate) fn slice(&self) -> Duration {
        Duration::from_millis(if self.options.quick { 300 } else { 1_000 })
    }

    /// The number of records in the full record file.
    pub(crate) fn records(&self) -> usize {
        self.options.records
    }

    /// Size of a layer, bytes.
    pub(crate) fn layer_bytes(&self) -> usize {
        if self.options.quick { 40_000_000 } else { 200_000_000 }
    }
}
