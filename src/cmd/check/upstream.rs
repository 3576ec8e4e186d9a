//! `pullgate check upstream`: walks to each registry once and prints the time of each stage, or the cause of failure.

use std::io::Write;
use std::sync::Arc;

use oci::RegistryHost;
use prober::status::Entry;
use registry::observe::Deaf;
use registry::upstream::Outbound;

use crate::cli::Output;
use crate::process::exit::Exit;
use crate::run::instance::instance;
use crate::run::plans;
use crate::run::upstream::Origins;

/// Probes the named registries (all when none is named) and prints what it saw.
pub(crate) async fn upstream(config: &config::Config, names: &[String], output: Output) -> Exit {
    let chosen = match choose(config, names) {
        Ok(chosen) => chosen,
        Err(message) => {
            eprintln!("pullgate: {message}");
            return Exit::Usage;
        }
    };
    let outbound = Outbound::from_env(Arc::new(Deaf), instance());
    let plans = match plans::plans(config, &chosen, &Origins::default(), &outbound) {
        Ok(plans) => plans,
        Err(error) => {
            eprintln!("pullgate: {error}");
            return Exit::Usage;
        }
    };
    let board = Arc::new(prober::Board::default());
    let (pace, traffic, memory) = (plans::pace(config), plans::no_traffic(), Arc::default());
    let mut prober = prober::Prober::new(plans, pace, &traffic, board.clone(), memory);
    prober.round().await;
    report(&board.entries(), output)
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

fn report(entries: &[Entry], output: Output) -> Exit {
    let text = match output {
        Output::Json => serde_json::to_string_pretty(entries).unwrap_or_default() + "\n",
        Output::Text => entries.iter().map(line).collect(),
    };
    if std::io::stdout().write_all(text.as_bytes()).is_err() {
        return Exit::Unexpected;
    }
    if entries.iter().all(|entry| entry.verdict == prober::verdict::OK) {
        Exit::Fine
    } else {
        Exit::CheckFailed
    }
}

fn line(entry: &Entry) -> String {
    let what = match (&entry.image, &entry.platform) {
        (Some(image), Some(platform)) => format!("{image} ({platform})"),
        _ => entry.registry.clone(),
    };
    let order = oci::Stage::ALL.iter();
    let stages: Vec<_> = order
        .filter_map(|stage| Some(format!("{stage} {:.1} ms", entry.stages.get(stage.as_str())? * 1000.0)))
        .collect();
    let stages = stages.join(", ");
    match (&entry.evidence, entry.fix) {
        (Some(evidence), Some(fix)) => format!("✗ {what}\n    {evidence}\n    next: {fix}\n    {stages}\n"),
        _ => format!("✓ {what}  {}  {stages}\n", entry.verdict),
    }
}
