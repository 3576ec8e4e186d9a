//! The distribution registry, as an upstream or as a pull-through cache to compare with.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::host::parts;
use crate::host::ports::Port;
use crate::host::process::Process;
use crate::host::scratch::Scratch;

/// A running `docker-registry` that keeps its address across restarts.
#[derive(Debug)]
pub struct DockerRegistry {
    port: Port,
    folder: PathBuf,
    process: Option<Process>,
}

impl DockerRegistry {
    /// Starts an empty registry that accepts pushes.
    pub async fn start(scratch: &Scratch) -> Self {
        Self::start_with(scratch, "").await
    }

    /// Starts a pull-through cache of `upstream` (a URL).
    pub async fn start_proxying(scratch: &Scratch, upstream: &str) -> Self {
        Self::start_with(scratch, &format!("proxy: {{remoteurl: \"{upstream}\"}}\n")).await
    }

    /// `127.0.0.1:<port>`.
    pub fn address(&self) -> String {
        self.port.address()
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The full name of an image in this registry: `127.0.0.1:<port>/library/app:1`.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.address())
    }

    /// Stops the registry; connections are refused afterwards.
    pub async fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.stop().await;
        }
    }

    /// Starts the registry again on the same address with the same content.
    pub async fn start_again(&mut self) {
        self.stop().await;
        self.launch().await;
    }

    /// Every request that the registry has answered since its first start.
    pub fn requests(&self) -> Vec<Answered> {
        let log = fs::read_to_string(self.folder.join("docker-registry.log")).unwrap_or_default();
        log.lines().filter_map(Answered::parse).collect()
    }

    async fn start_with(scratch: &Scratch, more: &str) -> Self {
        let folder = scratch.folder("docker-registry");
        let mut registry = Self { port: Port::lease(), folder, process: None };
        let config = format!(
            "version: 0.1\nlog: {{level: info}}\n\
             storage: {{filesystem: {{rootdirectory: {root:?}}}, delete: {{enabled: true}}}}\n\
             http: {{addr: {address:?}, secret: not-a-secret}}\n{more}",
            root = registry.folder.join("content"),
            address = registry.address(),
        );
        fs::write(registry.folder.join("config.yml"), config).expect("a configuration");
        registry.launch().await;
        registry
    }

    async fn launch(&mut self) {
        let mut command = Command::new(parts::installed("docker-registry"));
        command.arg("serve").arg(self.folder.join("config.yml"));
        let mut process = Process::spawn("docker-registry", &mut command, &self.folder);
        process.says("that it listens", |log| log.contains("listening on").then_some(())).await;
        self.process = Some(process);
    }
}

/// A line of the access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// `GET`, `HEAD`, ...
    pub method: String,
    /// Path and query of the request.
    pub path: String,
    /// The status.
    pub status: u16,
    /// Bytes of the body.
    pub bytes: u64,
    /// The `User-Agent` that the client sent.
    pub user_agent: String,
}

impl Answered {
    /// Parses a line such as `127.0.0.1 - - [date] "GET /v2/ HTTP/1.1" 200 2 "" "skopeo/1.9.3"`.
    fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.split_once("] \"")?;
        let (request, rest) = rest.split_once("\" ")?;
        let mut words = request.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut words = rest.split(' ');
        let (status, bytes) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let user_agent = rest.rsplit('"').nth(1)?.to_owned();
        Some(Self { method, path, status, bytes, user_agent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_line_is_read_and_a_log_line_is_not() {
        let line = r#"127.0.0.1 - - [21/Nov/2026:08:00:00 +0000] "GET /v2/app/manifests/1?ns=x HTTP/1.1" 404 96 "" "containerd/1.6""#;
        let answered = Answered::parse(line).unwrap();
        assert_eq!((answered.method.as_str(), answered.path.as_str()), ("GET", "/v2/app/manifests/1?ns=x"));
        assert_eq!((answered.status, answered.bytes), (404, 96));
        assert_eq!(answered.user_agent, "containerd/1.6");
        assert_eq!(Answered::parse("level=info msg=\"listening on 127.0.0.1:1\""), None);
    }
}
