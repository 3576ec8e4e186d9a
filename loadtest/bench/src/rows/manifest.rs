//! A cached manifest, requested repeatedly.

use super::units::{P50, P99};
use crate::{
    client::{Load, Reading, Until, drive},
    error::Error,
    lab::Lab,
    pin::Cores,
    report::{Goal, Measure, Section},
    servers::{Kind, Server, Setting},
    stats::quantile_ms,
    upstream::{Content, Offer, Upstream},
};

/// Measures requests by digest, then by tag.
pub(super) fn measure(lab: &Lab<'_>) -> Result<Vec<Section>, Error> {
    let mut upstream = Upstream::start(&Offer { images: 1, layer: SMALL_LAYER, rate: 0 })?;
    let setting = Setting::plain(Cores::OneEach, &upstream);
    let servers: Vec<Server> =
        KINDS.iter().map(|kind| kind.start(lab, &setting)).collect::<Result<_, _>>()?;
    let content = upstream.contents()[0].clone();
    servers.iter().try_for_each(|server| server.warm(&content, &mut upstream))?;
    let by_digest = section(lab, &servers, &content, "digest", &content.by_digest())?;
    let mut by_tag = section(lab, &servers, &content, "tag", &content.by_tag())?;
    by_tag.note("docker-registry asks the upstream about a tag each time; pullgate and nginx hold it for an hour here.");
    Ok(vec![by_digest.finish(lab), by_tag.finish(lab)])
}

fn section(
    lab: &Lab<'_>,
    servers: &[Server],
    content: &Content,
    by: &str,
    path: &str,
) -> Result<Section, Error> {
    let cores = Cores::OneEach;
    let title =
        format!("Cached manifest by {by}, {CONNECTIONS} connections, plain HTTP, {}", cores.describe());
    let how = format!(
        "{} bytes; one client thread (epoll) that copies; each connection asks again as soon as it has its answer",
        content.manifest_bytes
    );
    let mut section = Section::new(title, how);
    for _ in 0..lab.rounds() {
        for server in servers {
            let target = server.target(path);
            let load = Load {
                server: server.process(),
                target: &target,
                body_bytes: content.manifest_bytes,
                connections: CONNECTIONS,
                reading: Reading::Copy,
                until: Until::After(lab.slice()),
                cores,
            };
            let done = drive(&load)?;
            let name = server.kind().name();
            section.add(name, REQUESTS, done.answers as f64 / done.wall.as_secs_f64());
            section.add(name, CPU_PER_REQUEST, done.server_cpu * 1e6 / done.answers as f64);
            section.add(name, P50, quantile_ms(&done.latency, 0.5));
            section.add(name, P99, quantile_ms(&done.latency, 0.99));
        }
    }
    let rate = |kind: Kind| section.median(kind.name(), REQUESTS);
    let (pullgate, nginx, registry) =
        (rate(Kind::Pullgate), rate(Kind::NginxSendfile), rate(Kind::DockerRegistry));
    section.ratio("requests/s, pullgate / nginx", pullgate / nginx, Goal::AtLeast(1.0));
    section.ratio("requests/s, pullgate / docker-registry", pullgate / registry, Goal::AtLeast(5.0));
    Ok(section)
}

const KINDS: [Kind; 3] = [Kind::Pullgate, Kind::NginxSendfile, Kind::DockerRegistry];
const REQUESTS: Measure = Measure { name: "requests/s", digits: 0 };
const CPU_PER_REQUEST: Measure = Measure { name: "server CPU µs per request", digits: 1 };
const CONNECTIONS: usize = 32;
/// Size of the layer, bytes. It is small because only the manifest is measured.
const SMALL_LAYER: usize = 1_000_000;
