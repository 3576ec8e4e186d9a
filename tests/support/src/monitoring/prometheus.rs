//! Prometheus as operators run it (it scrapes, evaluates rules and sends alerts), and promtool.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::clients::http;
use crate::host::parts;
use crate::host::process::{Process, Ran, run};
use crate::host::scratch::Scratch;
use crate::host::wait::wait_until;

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    address: String,
    _process: Process,
}

impl Prometheus {
    /// Starts with a configuration (YAML); [`scraping`] makes the usual one.
    pub async fn start(scratch: &Scratch, config: &str) -> Self {
        let folder = scratch.folder("prometheus");
        let config_file = folder.join("prometheus.yml");
        std::fs::write(&config_file, config).expect("a configuration");
        let mut command = Command::new(parts::installed("prometheus"));
        command.arg("--config.file").arg(&config_file).arg("--storage.tsdb.path").arg(folder.join("data"));
        command.arg("--web.listen-address=127.0.0.1:0");
        let mut process = Process::spawn("prometheus", &mut command, &folder);
        let address = process.says("where it listens", listening_address).await;
        let ready = |log: &str| log.contains("Server is ready").then_some(());
        process.says("that it is ready", ready).await;
        Self { address, _process: process }
    }

    /// `127.0.0.1:<port>`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The result of an instant query: every series with its labels (`metric`) and its `value`.
    pub async fn query(&self, promql: &str) -> Vec<Value> {
        let path = format!("/api/v1/query?query={}", percent_encode(promql));
        let answer = self.ask(&path).await;
        answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{promql}: {answer}")).clone()
    }

    /// Waits until a query has a result, and returns its first value.
    pub async fn value(&self, promql: &str, limit: Duration) -> f64 {
        wait_until(&format!("a value of {promql}"), limit, || async {
            let result = self.query(promql).await;
            result.first()?["value"][1].as_str()?.parse().ok()
        })
        .await
    }

    /// The alerts that are pending or firing.
    pub async fn alerts(&self) -> Vec<Value> {
        let answer = self.ask("/api/v1/alerts").await;
        answer["data"]["alerts"].as_array().expect("a list of alerts").clone()
    }

    async fn ask(&self, path: &str) -> Value {
        http::get(&self.address, path).send().await.json()
    }
}

/// A configuration that scrapes `targets` (`127.0.0.1:5080`) every second under the proxy's job name in the rules,
/// evaluates `rules` every second and sends alerts to `alertmanagers`.
pub fn scraping(targets: &[&str], rules: &[&Path], alertmanagers: &[&str]) -> String {
    format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: {rules:?}\n\
         alerting: {{alertmanagers: [{{static_configs: [{{targets: {alertmanagers:?}}}]}}]}}\n\
         scrape_configs: [{{job_name: pullgate-proxy, static_configs: [{{targets: {targets:?}}}]}}]\n"
    )
}

/// Runs `promtool`, for example `check rules FILE` or `test rules FILE`.
pub async fn promtool(arguments: &[&str]) -> Ran {
    let mut command = Command::new(parts::installed("promtool"));
    command.args(arguments);
    run(command).await
}

/// Lints a scrape with `promtool check metrics`.
pub async fn check_metrics(scratch: &Scratch, scrape: &str) -> Ran {
    let file: PathBuf = scratch.file("scrape.txt", scrape);
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" check metrics <\"$1\""]).arg(parts::installed("promtool")).arg(file);
    run(command).await
}

/// The address that the program bound, from its log. Prometheus and Alertmanager share the exporter toolkit, which logs
/// the address.
pub(crate) fn listening_address(log: &str) -> Option<String> {
    let line = log.lines().find(|line| line.contains("\"Listening on\""))?;
    let address = line.rsplit_once("address=")?.1;
    Some(address.split_whitespace().next()?.to_owned())
}

fn percent_encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}
