//! Alertmanager, and a webhook that receives its notifications.

use std::convert::Infallible;
use std::process::Command;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::host::parts;
use crate::host::process::{Process, Ran, run};
use crate::host::scratch::Scratch;
use crate::monitoring::prometheus::listening_address;

/// A running Alertmanager.
#[derive(Debug)]
pub struct Alertmanager {
    address: String,
    _process: Process,
}

impl Alertmanager {
    /// Starts with a configuration (YAML); [`paging`] makes a short one.
    pub async fn start(scratch: &Scratch, config: &str) -> Self {
        let folder = scratch.folder("alertmanager");
        let config_file = folder.join("alertmanager.yml");
        std::fs::write(&config_file, config).expect("a configuration");
        let mut command = Command::new(parts::installed("prometheus-alertmanager"));
        command.arg("--config.file").arg(&config_file).arg("--storage.path").arg(folder.join("data"));
        command.args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address="]);
        let mut process = Process::spawn("alertmanager", &mut command, &folder);
        let address = process.says("where it listens", listening_address).await;
        Self { address, _process: process }
    }

    /// `127.0.0.1:<port>`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Runs `amtool` against this Alertmanager, for example `alert query`.
    pub async fn amtool(&self, arguments: &[&str]) -> Ran {
        let url = format!("--alertmanager.url=http://{}", self.address);
        amtool(&[&[url.as_str()], arguments].concat()).await
    }
}

/// A configuration that sends every alert to one webhook at once.
pub fn paging(webhook: &Webhook) -> String {
    format!(
        "route: {{receiver: page, group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}\n\
         receivers: [{{name: page, webhook_configs: [{{url: {:?}}}]}}]\n",
        webhook.url()
    )
}

/// Runs `amtool` without an Alertmanager, for example `check-config FILE`.
pub async fn amtool(arguments: &[&str]) -> Ran {
    let mut command = Command::new(parts::installed("amtool"));
    command.args(arguments);
    run(command).await
}

/// A server that receives notifications.
#[derive(Debug)]
pub struct Webhook {
    address: String,
    received: UnboundedReceiver<Value>,
    /// Alerts that arrived while the test waited for others.
    passed: Vec<Value>,
    server: AbortHandle,
}

impl Webhook {
    /// Starts the server.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port for the webhook");
        let address = listener.local_addr().expect("an address").to_string();
        let (sender, received) = unbounded_channel();
        let server = tokio::spawn(accept(listener, sender)).abort_handle();
        Self { address, received, passed: Vec::new(), server }
    }

    /// `127.0.0.1:<port>`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The URL to send notifications to.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Waits for an alert of that name in that state (`firing` or `resolved`); other alerts are skipped.
    pub async fn alert(&mut self, name: &str, state: &str, limit: Duration) -> Value {
        self.alert_with(&[("alertname", name)], state, limit).await
    }

    /// Waits for an alert with these labels in that state. An alert that arrived during an earlier wait counts.
    pub async fn alert_with(&mut self, labels: &[(&str, &str)], state: &str, limit: Duration) -> Value {
        let wanted = |alert: &Value| {
            let carries = |(label, value): &(&str, &str)| alert["labels"][*label] == *value;
            alert["status"] == state && labels.iter().all(carries)
        };
        let wait = async {
            loop {
                if let Some(at) = self.passed.iter().position(wanted) {
                    return self.passed.swap_remove(at);
                }
                let notification =
                    self.received.recv().await.expect("invariant: the server holds the sender");
                self.passed.extend(notification["alerts"].as_array().cloned().unwrap_or_default());
            }
        };
        let found = timeout(limit, wait).await;
        found.unwrap_or_else(|_| {
            panic!("{labels:?} was not {state} within {limit:?}; came: {:#?}", self.passed)
        })
    }

    /// Drops the alerts that arrived so far: only later alerts count.
    pub fn forget(&mut self) {
        self.passed.clear();
        while self.received.try_recv().is_ok() {}
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, sender: UnboundedSender<Value>) {
    while let Ok((stream, _)) = listener.accept().await {
        let sender = sender.clone();
        let service = service_fn(move |request| take(request, sender.clone()));
        tokio::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
        );
    }
}

async fn take(
    request: Request<Incoming>,
    sender: UnboundedSender<Value>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    if let Ok(notification) = serde_json::from_slice(&body) {
        // The receiver is gone if the test is over.
        let _ = sender.send(notification);
    }
    Ok(Response::new(Empty::new()))
}
