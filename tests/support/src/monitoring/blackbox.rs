//! The blackbox exporter of Prometheus: a prober by others, as a judge of ours.

use std::process::Command;

use crate::clients::http;
use crate::host::parts;
use crate::host::process::Process;
use crate::host::scratch::Scratch;
use crate::monitoring::prometheus::listening_address;

/// A running blackbox exporter with one module, `registry`: an answer of 200 or 401 to `/v2/` is up.
#[derive(Debug)]
pub struct Blackbox {
    address: String,
    _process: Process,
}

impl Blackbox {
    /// Starts it. `authority` is a PEM file with certificates that it trusts instead of the system's.
    pub async fn start(scratch: &Scratch, authority: &str) -> Self {
        let folder = scratch.folder("blackbox");
        let config = format!(
            "modules: {{registry: {{prober: http, timeout: 3s, http: {{valid_status_codes: [200, 401], \
             preferred_ip_protocol: ip4, tls_config: {{ca_file: {authority:?}}}}}}}}}\n"
        );
        let file = folder.join("blackbox.yml");
        std::fs::write(&file, config).expect("a configuration");
        let mut command = Command::new(parts::installed("prometheus-blackbox-exporter"));
        command.arg("--config.file").arg(&file).arg("--web.listen-address=127.0.0.1:0");
        let mut process = Process::spawn("blackbox", &mut command, &folder);
        let address = process.says("where it listens", listening_address).await;
        Self { address, _process: process }
    }

    /// True if the registry at this URL is up.
    pub async fn is_up(&self, registry: &str) -> bool {
        let path = format!("/probe?module=registry&target={registry}/v2/");
        let text = http::get(&self.address, &path).send().await.text();
        let line = text.lines().find(|line| line.starts_with("probe_success "));
        line.unwrap_or_else(|| panic!("no verdict about {registry}: {text}")).ends_with(" 1")
    }
}
