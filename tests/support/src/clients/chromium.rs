//! Headless Chromium: the pages as a browser shows them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::host::process::{Ran, run};
use crate::host::scratch::Scratch;

/// A browser without a window, with a profile of its own.
#[derive(Debug)]
pub struct Chromium {
    profile: PathBuf,
}

impl Chromium {
    /// A browser whose profile lies in the scratch folder.
    pub fn new(scratch: &Scratch) -> Self {
        Self { profile: scratch.path().join("chromium") }
    }

    /// The document after its scripts have run, in a window of this width.
    pub async fn document(&self, url: &str, width: u32) -> String {
        let size = format!("--window-size={width},2000");
        self.run(&[&size, "--virtual-time-budget=20000", "--dump-dom", url]).await.ok()
    }

    /// Writes a picture of the page in a window of this width and height.
    pub async fn picture(&self, url: &str, (width, height): (u32, u32), file: &Path) {
        let size = format!("--window-size={width},{height}");
        let to = format!("--screenshot={}", file.display());
        self.run(&[&size, "--hide-scrollbars", &to, url]).await.ok();
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        let mut chromium = Command::new("chromium");
        chromium.args(["--headless", "--no-sandbox", "--disable-gpu"]);
        chromium.arg(format!("--user-data-dir={}", self.profile.display())).args(arguments);
        tokio::time::timeout(PATIENCE, run(chromium)).await.expect("chromium ends")
    }
}

const PATIENCE: Duration = Duration::from_secs(120);
