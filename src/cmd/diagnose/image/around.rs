//! What this machine knows of the image: the cache, the pull records, the probes of a running instance.

use std::time::Duration;

use config::Loaded;
use oci::{ImageName, Reference};
use records::{Filter, Limit, Reader};
use serde::Serialize;
use serde_json::Value;
use store::inventory::Explanation;
use tokio::time::timeout;

use crate::cmd::cache;
use crate::cmd::top;
use crate::process::control::{Reply, Request};
use crate::pulls::words;

/// What this machine knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Around {
    pub(super) cache: Option<Explanation>,
    pub(super) pulls: Vec<Pull>,
    pub(super) probes: Option<Probes>,
}

/// A recent pull of the image.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Pull {
    /// The beginning of its id.
    pub(crate) id: String,
    /// UTC.
    pub(crate) start: String,
    /// The node, else the address of the client.
    pub(crate) client: String,
    /// The outcome, with the class of a failure.
    pub(crate) outcome: String,
    /// The time that it took.
    pub(crate) took: String,
}

/// The state of the registry, as a running instance knows it.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Probes {
    /// The verdict of each target of this registry: image (none for a reach probe) and verdict.
    pub(crate) targets: Vec<(Option<String>, String)>,
    /// The class of the failure for which an endpoint is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) paused: Option<String>,
    /// The class of the last failure, and seconds since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_failure: Option<(String, u64)>,
}

/// Looks around. Every part that is not there within [`WAIT`] is left out.
pub(super) async fn look(loaded: &Loaded, image: &ImageName) -> Around {
    let (cache, probes) =
        tokio::join!(timeout(WAIT, cached(loaded, image)), timeout(WAIT, probes(loaded, image)));
    Around { cache: cache.ok().flatten(), pulls: pulls(loaded, image), probes: probes.ok().flatten() }
}

async fn cached(loaded: &Loaded, image: &ImageName) -> Option<Explanation> {
    let reply = cache::ask(loaded, &Request::Explain(image.to_string())).await.ok()?;
    match reply {
        Reply::Fine(document) => serde_json::from_value(document).ok(),
        _ => None,
    }
}

fn pulls(loaded: &Loaded, image: &ImageName) -> Vec<Pull> {
    let text = match &image.reference {
        Reference::Tag(tag) => format!("{}:{tag}", image.repository),
        Reference::Digest(_) => image.repository.to_string(),
    };
    let limit = Limit::new(PULLS).unwrap_or_default();
    let registry = Some(image.registry.to_string());
    let filter = Filter { registry, image: Some(text), limit, ..Filter::default() };
    let page = Reader::open(&loaded.config.records.file).and_then(|reader| reader.pulls(&filter));
    page.map(|page| page.pulls.iter().map(|summary| pull(&summary.pull)).collect()).unwrap_or_default()
}

fn pull(record: &records::PullRecord) -> Pull {
    Pull {
        id: words::id(record),
        start: words::time(record.start),
        client: record
            .node
            .as_ref()
            .map_or_else(|| record.client.to_string(), |node| node.as_str().to_owned()),
        outcome: words::outcome(record),
        took: words::span(record.duration),
    }
}

async fn probes(loaded: &Loaded, image: &ImageName) -> Option<Probes> {
    let listen = loaded.config.admin.listen;
    if listen.port() == 0 {
        return None;
    }
    let status = top::status(listen).await?;
    let registries = status["registries"].as_array()?;
    let found = registries.iter().find(|registry| registry["registry"] == image.registry.as_str())?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let target = |probe: &Value| Some((text(&probe["image"]), text(&probe["verdict"])?));
    let failure = &found["last_failure"];
    let last_failure = text(&failure["class"]).zip(failure["seconds"].as_u64());
    Some(Probes {
        targets: found["probes"].as_array()?.iter().filter_map(target).collect(),
        paused: text(&found["paused"][0]["class"]),
        last_failure,
    })
}

/// The longest wait for another process of this machine, and for the cache folder.
const WAIT: Duration = Duration::from_secs(2);
/// The newest pulls that are shown.
const PULLS: i64 = 5;
