//! Applies a changed configuration file at run time. A file with errors changes nothing and is reported.

use std::path::PathBuf;
use std::time::Duration;

use config::{Config, Loaded};
use metrics::gauge;
use prober::Prober;
use proxy::Proxy;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::AbortHandle;

use super::error::StartError;
use super::metric_names::LAST_RELOAD_SUCCESS;
use super::parts::Shared;
use super::refused::in_one_line;
use crate::process::log;

/// Watches the file and applies its changes: upstreams, targets, the cache's size limit and pins. Changes of listeners,
/// of the cache folder and of the record file need a restart, and the log says so.
pub(crate) struct Reloader {
    path: PathBuf,
    text: Option<String>,
    loaded: Loaded,
    shared: Shared,
    proxy: Option<Proxy>,
    probing: Option<Probing>,
    hangup: Signal,
}

/// The running prober, which a reload replaces.
pub(crate) struct Probing(Option<(AbortHandle, tokio::task::JoinHandle<()>)>);

/// The reasons why a changed file cannot take effect.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error("{0}")]
    Config(#[from] config::Report),
    #[error(transparent)]
    Start(#[from] StartError),
}

impl ReloadError {
    fn in_one_line(&self) -> String {
        match self {
            Self::Config(report) => in_one_line(report),
            Self::Start(error) => error.to_string(),
        }
    }
}

impl Probing {
    /// Runs a prober.
    pub(crate) fn start(prober: Prober) -> Self {
        let task = tokio::spawn(prober.run());
        Self(Some((task.abort_handle(), task)))
    }

    /// Stops the prober, waits until its series are removed, and runs another.
    async fn replace(&mut self, prober: impl FnOnce() -> Prober) {
        if let Some((abort, task)) = self.0.take() {
            abort.abort();
            let _aborted = task.await;
        }
        *self = Self::start(prober());
    }
}

impl Drop for Probing {
    fn drop(&mut self) {
        if let Some((abort, _)) = &self.0 {
            abort.abort();
        }
    }
}

impl Reloader {
    /// Watches the file of `loaded`. From now on SIGHUP requests a reload and no longer ends the process.
    ///
    /// # Errors
    /// If signals cannot be waited for.
    pub(crate) fn new(
        path: PathBuf,
        loaded: Loaded,
        shared: Shared,
        proxy: Option<Proxy>,
        probing: Option<Probing>,
    ) -> std::io::Result<Self> {
        let hangup = signal(SignalKind::hangup())?;
        let text = std::fs::read_to_string(&path).ok();
        gauge!(LAST_RELOAD_SUCCESS).set(1.0);
        Ok(Self { path, text, loaded, shared, proxy, probing, hangup })
    }

    /// Checks the file every [`LOOK`], and at once on SIGHUP, until the future is dropped.
    pub(crate) async fn run(mut self) {
        loop {
            let asked = tokio::select! {
                _ = self.hangup.recv() => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            let text = tokio::fs::read_to_string(&self.path).await.ok();
            if asked || text != self.text {
                self.text = text;
                self.take_effect().await;
            }
        }
    }

    async fn take_effect(&mut self) {
        let result = self.reload().await;
        gauge!(LAST_RELOAD_SUCCESS).set(if result.is_ok() { 1.0 } else { 0.0 });
        match result {
            Ok(()) => {
                self.shared.refused.clear();
                tracing::info!(file = %self.path.display(), "configuration reloaded");
            }
            Err(error) => {
                self.shared.refused.set(&self.path, &error.in_one_line());
                // The whole report quotes lines of the file, which can name images.
                let reason = if log::shows_names() { error.to_string() } else { error.in_one_line() };
                tracing::error!("the configuration stays as it was:\n{reason}");
            }
        }
    }

    async fn reload(&mut self) -> Result<(), ReloadError> {
        let loaded = Config::load(Some(&self.path))?;
        self.shared.forget_answers();
        self.shared.observed.expect(&loaded.config.upstreams);
        // Every step that can fail comes before the first change.
        let served = self.shared.served(&loaded.config)?;
        let plans = self.shared.plans(&loaded.config)?;
        log::show_names(loaded.config.log.names);
        if let Some(probing) = &mut self.probing {
            probing.replace(|| self.shared.prober(plans, &loaded.config)).await;
        }
        if let Some(proxy) = &self.proxy {
            proxy.replace_upstreams(served);
            let cache = &loaded.config.proxy.cache;
            proxy.allow(cache.max_size, cache.pinned.clone()).await;
        }
        self.shared.observed.keep_only(&self.shared.upstreams.load(), &loaded.config.upstreams);
        self.shared.reconfigured(&loaded.config);
        self.tell_what_waits(&loaded);
        self.loaded = loaded;
        Ok(())
    }

    fn tell_what_waits(&self, loaded: &Loaded) {
        let before = self.loaded.effective();
        for now in loaded.effective().iter().filter(|value| needs_restart(&value.key)) {
            let same = before.iter().any(|value| value.key == now.key && value.value == now.value);
            if !same {
                tracing::warn!(key = %now.key, "takes effect at the next start");
            }
        }
    }
}

/// Ignores SIGHUP: without a file there is nothing to reload, and the signal must not end the process.
pub(crate) async fn ignore_hangups() {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    while hangup.recv().await.is_some() {
        tracing::info!("no configuration file to reload");
    }
}

fn needs_restart(key: &str) -> bool {
    READ_AT_START.iter().any(|section| key.starts_with(section)) && !APPLIED_MEANWHILE.contains(&key)
}

/// Name of the gauge.
/// The time between two checks of the file. The reference promises that a change is seen within this time.
const LOOK: Duration = Duration::from_secs(2);
/// Sections read only at the start.
const READ_AT_START: &[&str] = &["proxy.", "admin.", "records."];
/// Keys of these sections that a reload applies nevertheless.
const APPLIED_MEANWHILE: &[&str] = &["proxy.cache.max_size", "proxy.cache.pinned"];
