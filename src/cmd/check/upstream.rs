//! `pullgate check upstream`: probes each registry once and prints the time of each stage, or the cause of failure.

use std::io::Write;
use std::sync::Arc;

use oci::RegistryHost;
use prober::status::Entry;
use prober::verdict::Depth;
use serde::Serialize;

use super::login::{self, Login};
use crate::cli::Output;
use crate::process::exit::Exit;
use crate::process::log;
use crate::run::plans;
use crate::run::upstream::Origins;

/// Probes the named registries (all if none is named) and prints the verdicts.
pub(crate) async fn upstream(config: &config::Config, names: &[String], output: Output) -> Exit {
    let chosen = match choose(config, names) {
        Ok(chosen) => chosen,
        Err(message) => {
            log::failure(&message);
            return Exit::Usage;
        }
    };
    let (origins, outbound) = (Origins::default(), login::outbound());
    let plans = match plans::plans(config, &chosen, &origins, &outbound) {
        Ok(plans) => plans,
        Err(error) => {
            log::failure(&error.to_string());
            return Exit::Usage;
        }
    };
    let board = Arc::new(prober::Board::default());
    let mut prober = prober::Prober::new(plans, &plans::alone(config, &board));
    prober.round().await;
    let mut logins = Vec::new();
    for upstream in config.upstreams.iter().filter(|upstream| chosen.contains(&upstream.registry)) {
        // The probe of a target uses the same credentials, so it has tested the login already. No login is tried at an
        // unreachable registry.
        let reached = board.verdicts(&upstream.registry).contains(&prober::verdict::OK);
        if reached && !has_target(config, upstream) {
            logins.extend(login::login(upstream, &origins, &outbound).await);
        }
    }
    report(&board.entries(), &logins, output)
}

fn has_target(config: &config::Config, upstream: &config::Upstream) -> bool {
    config.prober.targets.iter().any(|target| target.image.registry == upstream.registry)
}

fn choose(config: &config::Config, names: &[String]) -> Result<Vec<RegistryHost>, String> {
    if names.is_empty() {
        return Ok(config.upstreams.iter().map(|upstream| upstream.registry.clone()).collect());
    }
    names.iter().map(|name| configured(config, name)).collect()
}

fn configured(config: &config::Config, name: &str) -> Result<RegistryHost, String> {
    let registry: RegistryHost = name.parse().map_err(|error| format!("{name}: {error}"))?;
    match config.upstream(&registry) {
        Some(upstream) => Ok(upstream.registry.clone()),
        None => {
            Err(format!("{registry} is not configured: add [upstreams.*] with registry = \"{registry}\""))
        }
    }
}

/// The JSON document: a verdict of the prober with the steps that it did not try, or the result of a login.
#[derive(Serialize)]
#[serde(untagged)]
enum Line<'a> {
    Probed {
        #[serde(flatten)]
        entry: &'a Entry,
        #[serde(skip_serializing_if = "Option::is_none")]
        not_tried: Option<&'static str>,
    },
    Login {
        login: &'a Login,
    },
}

fn report(entries: &[Entry], logins: &[Login], output: Output) -> Exit {
    let mut lines = Vec::new();
    for entry in entries {
        lines.push(Line::Probed { entry, not_tried: not_tried(entry, logins) });
        lines.extend(
            logins.iter().filter(|login| login.registry == entry.registry).map(|login| Line::Login { login }),
        );
    }
    let text = match output {
        Output::Json => serde_json::to_string_pretty(&lines).unwrap_or_default() + "\n",
        Output::Text => lines.iter().map(shown).collect(),
    };
    if std::io::stdout().write_all(text.as_bytes()).is_err() {
        return Exit::Unexpected;
    }
    let good = entries.iter().all(|entry| entry.verdict == prober::verdict::OK);
    if good && logins.iter().all(|login| login.accepted) { Exit::Fine } else { Exit::CheckFailed }
}

/// The steps of a pull that a successful check did not try.
fn not_tried(entry: &Entry, logins: &[Login]) -> Option<&'static str> {
    match entry.depth? {
        Depth::Reachable if logins.iter().any(|login| login.registry == entry.registry) => {
            Some("no target: no image was pulled")
        }
        Depth::Reachable => {
            Some("reachable only: no target and no credentials, so neither a login nor a pull was tried")
        }
        Depth::Resolved => Some("the tag resolves; manifest and layers were not asked for"),
        Depth::Pullable => None,
    }
}

fn shown(line: &Line<'_>) -> String {
    match line {
        Line::Probed { entry, not_tried } => probed(entry, *not_tried),
        Line::Login { login: Login { registry, evidence, fix: Some(fix), .. } } => {
            format!("✗ {registry} login\n    {evidence}\n    next: {fix}\n")
        }
        Line::Login { login } => format!("✓ {} login  accepted  {}\n", login.registry, login.evidence),
    }
}

fn probed(entry: &Entry, not_tried: Option<&str>) -> String {
    let what = match (&entry.image, &entry.platform) {
        (Some(image), Some(platform)) => format!("{image} ({platform})"),
        _ => entry.registry.clone(),
    };
    let order = oci::Stage::ALL.iter();
    let stages: Vec<_> = order
        .filter_map(|stage| Some(format!("{stage} {:.1} ms", entry.stages.get(stage.as_str())? * 1000.0)))
        .collect();
    let stages = stages.join(", ");
    let speaks_http = entry.evidence.as_ref().is_some_and(|evidence| evidence.contains(NOT_TLS));
    let fix = if speaks_http { Some(WRITE_HTTP) } else { entry.fix };
    match (&entry.evidence, fix) {
        (Some(evidence), Some(fix)) => format!("✗ {what}\n    {evidence}\n    next: {fix}\n    {stages}\n"),
        _ => {
            let not_tried = not_tried.map(|why| format!("    ({why})\n")).unwrap_or_default();
            format!("✓ {what}  {}  {stages}\n{not_tried}", entry.verdict)
        }
    }
}

/// The TLS library's error for an answer that is not TLS.
const NOT_TLS: &str = "InvalidContentType";
/// The next step if plain HTTP answers at an `https://` address.
const WRITE_HTTP: &str =
    "the port does not speak TLS: if it speaks plain HTTP, write `http://` in `endpoints`";
