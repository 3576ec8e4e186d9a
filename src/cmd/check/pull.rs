//! `pullgate check pull`: proves that the mirror is used. It pulls an image twice from the mirror, and, if a runtime is
//! named, once more through it, and then looks for the requests at the mirror.

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use node::{Code, Finding, MirrorUrl};
use oci::ImageName;
use serde::Serialize;

use crate::cli::{CheckPull, Effect, Output};
use crate::cmd::findings::{Shown, exit, shown};
use crate::cmd::mirror::client::Client;
use crate::cmd::mirror::image::{Step, pull_image};
use crate::cmd::mirror::setup::{SetupError, mirror_url};
use crate::process::exit::Exit;
use crate::process::log;

/// Pulls, and prints the way of each request.
pub(crate) async fn pull(config: &config::Config, asked: &CheckPull, output: Output) -> Exit {
    let (client, image) = match prepared(config, asked) {
        Ok(prepared) => prepared,
        Err(why) => {
            log::failure(&why);
            return Exit::Usage;
        }
    };
    let mut report = Report::default();
    for round in ["first", "second"] {
        let is_whole = report.round(&client, &image, round).await;
        if !is_whole {
            break;
        }
    }
    if asked.effect.runtime_endpoint.is_some() && report.findings.is_empty() {
        match through_runtime(config, &asked.effect, &asked.image).await {
            Ok(pulled) => {
                report.findings.extend(pulled.finding.clone());
                report.runtime = Some(pulled);
            }
            Err(finding) => report.findings.push(finding),
        }
    }
    report.print(output)
}

fn prepared(config: &config::Config, asked: &CheckPull) -> Result<(Client, ImageName), String> {
    let mirror = mirror_url(config, asked.mirror.as_ref()).map_err(|error: SetupError| error.to_string())?;
    let client = Client::new(&mirror, asked.mirror_ca.as_deref().map(std::path::Path::new))?;
    let image = asked.image.parse().map_err(|error| format!("{}: {error}", asked.image))?;
    Ok((client, image))
}

/// Everything that was pulled, and what was wrong with it.
#[derive(Default)]
struct Report {
    rounds: Vec<Round>,
    runtime: Option<ThroughRuntime>,
    findings: Vec<Finding>,
}

/// One pull from the mirror.
#[derive(Serialize)]
struct Round {
    name: &'static str,
    steps: Vec<Step>,
}

impl Report {
    /// Pulls once more; false if the pull failed.
    async fn round(&mut self, client: &Client, image: &ImageName, name: &'static str) -> bool {
        let (steps, failure) = pull_image(client, image).await;
        let (is_second, fetched) = (name == "second", steps.iter().find(|step| step.outcome != "hit"));
        let failed = failure.map(|seen| Finding::new(Code::PullFailed, image.to_string(), seen));
        let is_whole = failed.is_none();
        self.findings.extend(failed);
        if let (true, true, Some(step)) = (is_whole, is_second, fetched) {
            let seen = format!("{} was a {}", step.object, step.outcome);
            self.findings.push(Finding::new(Code::NotCached, image.to_string(), seen));
        }
        self.rounds.push(Round { name, steps });
        is_whole
    }

    fn print(&self, output: Output) -> Exit {
        let text = match output {
            Output::Json => {
                let findings: Vec<_> = self.findings.iter().map(Shown::of).collect();
                let document = serde_json::json!({
                    "schema": 1, "rounds": self.rounds, "runtime": self.runtime, "findings": findings,
                });
                serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
            }
            Output::Text => self.text(),
        };
        if std::io::stdout().write_all(text.as_bytes()).is_err() {
            return Exit::Unexpected;
        }
        exit(&self.findings)
    }

    fn text(&self) -> String {
        let mut text: String = self.rounds.iter().map(Round::text).collect();
        if let Some(runtime) = &self.runtime {
            let mark = if runtime.finding.is_none() { "✓" } else { "✗" };
            text += &format!(
                "{mark} through the runtime  {:.0} ms, {} requests for {} at the mirror\n",
                runtime.milliseconds, runtime.requests, runtime.registry
            );
        }
        text + &self.findings.iter().map(shown).collect::<String>()
    }
}

impl Round {
    fn text(&self) -> String {
        let (bytes, milliseconds) =
            self.steps.iter().fold((0, 0.0), |sum, step| (sum.0 + step.bytes, sum.1 + step.milliseconds));
        let head = format!("{} pull through the mirror: {bytes} bytes in {milliseconds:.0} ms\n", self.name);
        let line = |step: &Step| {
            format!(
                "    {:<8} {:<6} {:>12} bytes {:>9.1} ms (first byte {:.1} ms)  {}\n",
                step.kind,
                step.outcome,
                step.bytes,
                step.milliseconds,
                step.first_byte_milliseconds,
                step.object
            )
        };
        head + &self.steps.iter().map(line).collect::<String>()
    }
}

/// A pull through the node's runtime.
#[derive(Clone, Serialize)]
pub(super) struct ThroughRuntime {
    registry: String,
    /// Requests for the registry that arrived at the mirror meanwhile, by anybody.
    requests: u64,
    milliseconds: f64,
    #[serde(skip)]
    pub(super) finding: Option<Finding>,
}

/// Pulls with crictl, and compares the mirror's counters before and after. No request at all proves that the node went
/// around the mirror.
pub(super) async fn through_runtime(
    config: &config::Config,
    effect: &Effect,
    image: &str,
) -> Result<ThroughRuntime, Finding> {
    let failed = |seen: String| Finding::new(Code::PullFailed, image, seen);
    let name: ImageName = image.parse().map_err(|error| failed(format!("{error}")))?;
    let registry = name.registry.to_string();
    let admin = admin(config, effect).map_err(failed)?;
    let before = counted(&admin, &registry).await.map_err(failed)?;
    let begun = tokio::time::Instant::now();
    crictl(effect, image).await.map_err(failed)?;
    let time: Duration = begun.elapsed();
    let requests = arrived(&admin, &registry, before).await.map_err(failed)?;
    let seen = "the runtime pulled the image, and no request for its registry arrived at the mirror";
    let finding = (requests == 0).then(|| Finding::new(Code::Bypassed, image, seen));
    Ok(ThroughRuntime { registry, requests, milliseconds: time.as_secs_f64() * 1000.0, finding })
}

fn admin(config: &config::Config, effect: &Effect) -> Result<Client, String> {
    let mut listen = config.admin.listen;
    if listen.ip().is_unspecified() {
        listen.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let url = effect.admin.clone().unwrap_or_else(|| format!("http://{listen}"));
    let url: MirrorUrl =
        url.parse().map_err(|_| format!("--admin: {url} is no address; write http://HOST:PORT"))?;
    Client::new(&url, None)
}

/// The requests that arrived since `before` was read. A request is counted shortly after its last byte.
async fn arrived(admin: &Client, registry: &str, before: u64) -> Result<u64, String> {
    for _ in 0..COUNT_LOOKS {
        let requests = counted(admin, registry).await?.saturating_sub(before);
        if requests > 0 {
            return Ok(requests);
        }
        tokio::time::sleep(COUNT_PAUSE).await;
    }
    Ok(0)
}

/// The requests for a registry that the mirror has answered.
async fn counted(admin: &Client, registry: &str) -> Result<u64, String> {
    let mut text = Vec::new();
    let answer = admin.get("/metrics", "*/*", |bytes| text.extend_from_slice(bytes)).await;
    let answer = answer.map_err(|error| format!("the admin endpoint of the mirror (--admin): {error}"))?;
    if !answer.status().is_success() {
        return Err(format!("the admin endpoint of the mirror (--admin) answers {}", answer.status()));
    }
    let label = format!("registry=\"{registry}\"");
    let text = String::from_utf8_lossy(&text);
    let series = text.lines().filter(|line| line.starts_with(REQUESTS) && line.contains(&label));
    Ok(series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64)
}

async fn crictl(effect: &Effect, image: &str) -> Result<(), String> {
    let endpoint = effect.runtime_endpoint.clone().unwrap_or_default();
    let socket = if endpoint.contains("://") { endpoint } else { format!("unix://{endpoint}") };
    let mut command = Command::new(&effect.crictl);
    command.args([
        "--image-endpoint",
        &socket,
        "--runtime-endpoint",
        &socket,
        "--timeout",
        "10s",
        "pull",
        image,
    ]);
    let program = effect.crictl.display().to_string();
    let ran = tokio::process::Command::from(command).output().await;
    let ran = ran.map_err(|error| format!("{program}: {error}; install crictl, or name it with --crictl"))?;
    if ran.status.success() {
        Ok(())
    } else {
        Err(format!("{program}: {}", String::from_utf8_lossy(&ran.stderr).trim()))
    }
}

/// Two seconds without a count prove that there was no request.
const COUNT_LOOKS: u32 = 20;
const COUNT_PAUSE: Duration = Duration::from_millis(100);
const REQUESTS: &str = "pullgate_proxy_requests_total{";
