//! A small manifest, requested while layers stream at full speed.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use super::units::{GIGA, GIGABYTES_A_SECOND, P50, P99};
use crate::{
    client::{Load, Reading, Until, drive, probe},
    error::Error,
    lab::Lab,
    pin::Cores,
    report::{Goal, Section},
    servers::{Kind, Server, Setting},
    stats::quantile_ms,
    upstream::{Content, Offer, Upstream},
};

/// First with one core for the server and one for the client, then with two shared cores.
pub(super) fn measure(lab: &Lab<'_>) -> Result<Vec<Section>, Error> {
    [Cores::OneEach, Cores::Shared].into_iter().map(|cores| section(lab, cores)).collect()
}

fn section(lab: &Lab<'_>, cores: Cores) -> Result<Section, Error> {
    let mut upstream = Upstream::start(&Offer { images: 1, layer: lab.layer_bytes(), rate: 0 })?;
    let setting = Setting::plain(cores, &upstream);
    let servers: Vec<Server> =
        KINDS.iter().map(|kind| kind.start(lab, &setting)).collect::<Result<_, _>>()?;
    let content = upstream.contents()[0].clone();
    servers.iter().try_for_each(|server| server.warm(&content, &mut upstream))?;
    let title = format!("4 KiB manifest beside {STREAMS} streaming layers, plain HTTP, {}", cores.describe());
    let how = format!(
        "A thread asks for the manifest by digest ({} bytes) every {} ms on one connection, corrected for coordinated omission; \
         another keeps {STREAMS} connections streaming, discarding (MSG_TRUNC)",
        content.manifest_bytes,
        PERIOD.as_millis(),
    );
    let mut section = Section::new(title, how);
    for _ in 0..lab.rounds() {
        for server in &servers {
            take(lab, server, &content, cores, &mut section)?;
        }
    }
    let p99 = |kind: Kind| section.median(kind.name(), P99);
    let goal = p99(Kind::NginxSendfile).min(p99(Kind::NginxCopy)).min(P99_MOST);
    section.ratio("p99 ms of pullgate", p99(Kind::Pullgate), Goal::AtMost(goal));
    Ok(section.finish(lab))
}

fn take(
    lab: &Lab<'_>,
    server: &Server,
    content: &Content,
    cores: Cores,
    section: &mut Section,
) -> Result<(), Error> {
    let over = AtomicBool::new(false);
    let target = server.target(&content.layer_path());
    let load = Load {
        server: server.process(),
        target: &target,
        body_bytes: content.layer_bytes,
        connections: STREAMS,
        reading: Reading::Discard,
        until: Until::Told(&over),
        cores,
    };
    let (latency, done) = thread::scope(|scope| {
        let streams = scope.spawn(|| drive(&load));
        thread::sleep(RUN_UP);
        let manifest = server.target(&content.by_digest());
        let latency = probe(&[manifest], PERIOD, lab.slice() * 2, cores);
        over.store(true, Ordering::Relaxed);
        let done = streams.join().expect("invariant: the streaming thread does not panic");
        (latency, done)
    });
    let (latency, done) = (latency?, done?);
    let name = server.kind().name();
    section.add(name, P50, quantile_ms(&latency, 0.5));
    section.add(name, P99, quantile_ms(&latency, 0.99));
    section.add(name, GIGABYTES_A_SECOND, done.bytes as f64 / GIGA / done.wall.as_secs_f64());
    Ok(())
}

const KINDS: [Kind; 3] = [Kind::Pullgate, Kind::NginxSendfile, Kind::NginxCopy];
const STREAMS: usize = 3;
const PERIOD: Duration = Duration::from_millis(2);
/// The time before the first request, so that the streams run at full speed.
const RUN_UP: Duration = Duration::from_millis(200);
/// The goal of the p99, milliseconds, unless nginx is faster.
const P99_MOST: f64 = 2.0;
