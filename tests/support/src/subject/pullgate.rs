//! The binary under test.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use serde_json::Value;

use crate::clients::http;
use crate::host::process::{Process, Ran, Signal, run};
use crate::host::scratch::Scratch;
use crate::host::wait::wait_until;
use crate::monitoring::metrics::Metrics;
use crate::subject::leaks;

/// A running `pullgate`.
#[derive(Debug)]
pub struct Pullgate {
    binary: PathBuf,
    folder: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    cache_folders: Vec<PathBuf>,
    process: Process,
    proxy: String,
    admin: String,
}

impl Pullgate {
    /// Starts `pullgate serve` with this configuration (TOML) and waits until it is ready.
    ///
    /// `binary` is `env!("CARGO_BIN_EXE_pullgate")`. The configuration should listen on port 0 and keep its cache in
    /// the scratch folder.
    pub async fn start(binary: &str, scratch: &Scratch, config: &str) -> Self {
        Self::start_in(binary, scratch, config, &[]).await
    }

    /// Like [`Self::start`], with these environment variables.
    pub async fn start_in(binary: &str, scratch: &Scratch, config: &str, variables: &[(&str, &str)]) -> Self {
        let mut pullgate = Self::begin_in(binary, scratch, config, variables).await;
        pullgate.ready().await;
        pullgate
    }

    /// Like [`Self::start`], but waits for the admin endpoint only; [`Self::ready`] waits for the rest.
    pub async fn begin(binary: &str, scratch: &Scratch, config: &str) -> Self {
        Self::begin_in(binary, scratch, config, &[]).await
    }

    async fn begin_in(binary: &str, scratch: &Scratch, config: &str, variables: &[(&str, &str)]) -> Self {
        let folder = scratch.folder("pullgate");
        let config_file = folder.join(FILE);
        std::fs::write(&config_file, config).expect("a configuration");
        let arguments = vec!["serve".to_owned(), "--config".to_owned(), config_file.display().to_string()];
        let binary = PathBuf::from(binary);
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables: Vec<_> = variables.iter().map(owned).collect();
        let process = launch(&binary, &arguments, &variables, &folder);
        let cache_folders = leaks::cache_folders(config);
        let (proxy, admin) = (String::new(), String::new());
        let mut pullgate =
            Self { binary, folder, arguments, variables, cache_folders, process, proxy, admin };
        pullgate.answers().await;
        pullgate
    }

    /// Reads the proxy's address from the announcement on standard error, then waits for `/readyz`.
    pub async fn ready(&mut self) {
        self.proxy = self.process.says("where the proxy listens", |log| announced(log, "proxy")).await;
        wait_until("pullgate to be ready", READY_LIMIT, || async {
            self.readiness().await.status.is_success().then_some(())
        })
        .await;
    }

    /// The current answer of `/readyz`.
    pub async fn readiness(&self) -> http::Answer {
        http::get(&self.admin, "/readyz").send().await
    }

    /// The address that nodes connect to: `127.0.0.1:<port>`.
    pub fn proxy(&self) -> &str {
        &self.proxy
    }

    /// The mirror's URL, for `hosts.toml`.
    pub fn url(&self) -> String {
        format!("http://{}", self.proxy)
    }

    /// The address of the read-only admin endpoint: `127.0.0.1:<port>`.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// Starts a GET request to the proxy.
    pub fn get(&self, path: &str) -> http::Request {
        http::get(&self.proxy, path).carrying_secrets()
    }

    /// Starts a HEAD request to the proxy.
    pub fn head(&self, path: &str) -> http::Request {
        http::head(&self.proxy, path).carrying_secrets()
    }

    /// Scrapes `/metrics`.
    pub async fn metrics(&self) -> Metrics {
        Metrics::parse(&http::get(&self.admin, "/metrics").send().await.text())
    }

    /// Waits until a scrape satisfies `enough`; the counters of a pull change shortly after its last byte.
    pub async fn metrics_when(&self, what: &str, enough: impl Fn(&Metrics) -> bool) -> Metrics {
        wait_until(what, METRICS_LIMIT, || async {
            Some(self.metrics().await).filter(|metrics| enough(metrics))
        })
        .await
    }

    /// The document `/status.json`.
    pub async fn status(&self) -> Value {
        http::get(&self.admin, "/status.json").send().await.json()
    }

    /// The text that the process wrote to standard error.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Writes another configuration and requests a reload. Returns before the reload is done.
    pub fn reconfigure(&self, config: &str) {
        std::fs::write(self.folder.join(FILE), config).expect("a configuration");
        self.signal(Signal::HUP);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits until the process has ended by itself. Panics after `limit`.
    pub async fn exited(&mut self, limit: Duration) -> ExitStatus {
        self.process.exited(limit).await
    }

    /// Requests the end of the process and waits for it.
    pub async fn stop(&mut self) -> ExitStatus {
        self.process.stop().await
    }

    /// Kills the process, as a power cut would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts the process again with the same configuration and cache, after [`Self::stop`] or [`Self::kill`]. With
    /// port 0 it gets new addresses; a test that needs the old ones configures a [`crate::host::ports::Port`].
    pub async fn start_again(&mut self) {
        assert!(self.process.has_ended(), "pullgate still runs");
        self.process = launch(&self.binary, &self.arguments, &self.variables, &self.folder);
        self.answers().await;
        self.ready().await;
    }

    async fn answers(&mut self) {
        self.admin =
            self.process.says("where the admin endpoint listens", |log| announced(log, "admin")).await;
    }
}

/// Runs a subcommand to its end: `command(BIN, &["check", "config", ...])`.
pub async fn command(binary: &str, arguments: &[&str]) -> Ran {
    let mut command = Command::new(binary);
    command.args(arguments);
    let ran = run(command).await;
    leaks::none_in("what a command prints", format!("{}{}", ran.stdout(), ran.stderr()).as_bytes());
    ran
}

impl Drop for Pullgate {
    /// Every run ends with a search for the secrets that the process was given.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        leaks::none_in("its log", &self.process.whole_log());
        if !self.process.has_ended() {
            leaks::none_at(&self.admin);
            leaks::none_beside(self.process.id());
        }
        self.cache_folders.iter().for_each(|folder| leaks::none_below(folder));
    }
}

fn launch(binary: &Path, arguments: &[String], variables: &[(String, String)], folder: &Path) -> Process {
    let mut command = Command::new(binary);
    command.args(arguments).envs(variables.iter().map(|(name, value)| (name, value)));
    Process::spawn("pullgate", &mut command, folder)
}

/// The address in a line such as `pullgate: proxy listening on 127.0.0.1:5000`.
fn announced(log: &str, listener: &str) -> Option<String> {
    let begin = format!("pullgate: {listener} listening on ");
    // A line without its end may still be incomplete.
    let mut lines = log.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    lines.find_map(|line| line.strip_prefix(begin.as_str())).map(|address| address.trim().to_owned())
}

/// The name of the configuration file in the folder of the process.
const FILE: &str = "pullgate.toml";
const READY_LIMIT: Duration = Duration::from_secs(30);
const METRICS_LIMIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::monitoring::alertmanager::Webhook;

    /// A program that announces listeners as pullgate does; the webhook behind them answers 200 to every request.
    fn stand_in(scratch: &Scratch, webhook: &Webhook) -> PathBuf {
        let address = webhook.address();
        let script = format!(
            "#!/bin/sh\necho 'pullgate: proxy listening on {address}' >&2\n\
             echo 'pullgate: admin listening on {address}' >&2\nexec sleep 60\n"
        );
        let path = scratch.file("stand-in", &script);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[tokio::test]
    async fn pullgate_is_ready_after_both_announcements_and_starts_again_after_a_kill() {
        let scratch = Scratch::new();
        let webhook = Webhook::start().await;
        let binary = stand_in(&scratch, &webhook);
        let mut pullgate = Pullgate::start(binary.to_str().unwrap(), &scratch, "").await;
        assert_eq!((pullgate.proxy(), pullgate.admin()), (webhook.address(), webhook.address()));
        let first = pullgate.id();
        pullgate.kill();
        pullgate.start_again().await;
        assert_ne!(pullgate.id(), first);
        assert!(!pullgate.stop().await.success());
    }

    #[test]
    fn an_address_is_read_once_its_line_is_complete() {
        let log = "pullgate: proxy listening on 127.0.0.1:5000\npullgate: admin listening on 127.0.0.1:50";
        assert_eq!(announced(log, "proxy").as_deref(), Some("127.0.0.1:5000"));
        assert_eq!(announced(log, "admin"), None);
    }
}
