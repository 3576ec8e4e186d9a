//! A layer that is not cached, requested by two hundred clients at once.

use std::{thread, time::Duration};

use super::units::{GIGA, GIGABYTES_A_SECOND, MEBI, MEMORY, WALL};
use crate::{
    client::{Done, Load, Reading, Until, drive, fetch, fetch_digest},
    error::Error,
    lab::Lab,
    pin::Cores,
    report::{Goal, Measure, Section},
    servers::{Kind, Server, Setting},
    upstream::{Content, Offer, Upstream},
};

/// Measures one cold fetch, two hundred warm ones and two hundred cold ones.
pub(super) fn measure(lab: &Lab<'_>) -> Result<Vec<Section>, Error> {
    let mut upstream = Upstream::start(&Offer { images: 2, layer: lab.layer_bytes(), rate: RATE })?;
    lab.ran(upstream.command_line());
    let server = Kind::Pullgate.start(lab, &Setting::plain(CORES, &upstream))?;
    let [first, second] = upstream.contents() else {
        return Err(Error::Answer("the upstream has not two images".to_owned()));
    };
    let (first, second) = (first.clone(), second.clone());
    let title = format!(
        "Cold {} MB layer, {CLIENTS} clients at once, upstream paced to {} MB/s a connection, plain HTTP, {}",
        first.layer_bytes / 1_000_000,
        RATE / 1_000_000,
        CORES.describe()
    );
    let mut section = Section::new(title, "One client thread (epoll), copying into one buffer of 256 KiB");
    let alone = fetch(&server.target(&first.layer_path()))?;
    section.add("one client, cold", WALL, alone.wall.as_secs_f64());
    let idle = server.process().anonymous_bytes();
    let warm = crowd(&server, &first)?;
    note("200 clients, warm", &warm, &first, &mut section);
    let cold = crowd(&server, &second)?;
    note("200 clients, cold", &cold, &second, &mut section);
    if fetch_digest(&server.target(&second.layer_path()))? != second.layer {
        return Err(Error::Answer("the layer is not what its digest says".to_owned()));
    }
    let amplification = upstream.settled(&second.layer)? as f64 / second.layer_bytes as f64;
    section.ratio("bytes the upstream sent / size of the layer", amplification, Goal::AtMost(1.0));
    section.ratio("clients that got all of it", cold.done.answers as f64, Goal::AtLeast(CLIENTS as f64));
    let both = alone.wall + warm.done.wall;
    let wall = cold.done.wall.as_secs_f64() / both.as_secs_f64();
    section.ratio("wall, cold / (one cold + 200 warm)", wall, Goal::AtMost(1.3));
    let above = cold.peak.saturating_sub(idle) as f64 / MEBI;
    section.ratio("RssAnon MiB above idle, at its highest", above, Goal::AtMost(64.0));
    Ok(vec![section.finish(lab)])
}

struct Crowd {
    done: Done,
    peak: u64,
}

fn crowd(server: &Server, content: &Content) -> Result<Crowd, Error> {
    let target = server.target(&content.layer_path());
    let load = Load {
        server: server.process(),
        target: &target,
        body_bytes: content.layer_bytes,
        connections: CLIENTS,
        reading: Reading::Copy,
        until: Until::Once,
        cores: CORES,
    };
    thread::scope(|scope| {
        let clients = scope.spawn(|| drive(&load));
        let mut peak = 0;
        while !clients.is_finished() {
            peak = peak.max(server.process().anonymous_bytes());
            thread::sleep(BETWEEN_LOOKS);
        }
        let done = clients.join().expect("invariant: the client thread does not panic")?;
        Ok(Crowd { done, peak })
    })
}

fn note(name: &str, crowd: &Crowd, content: &Content, section: &mut Section) {
    let wall = crowd.done.wall.as_secs_f64();
    section.add(name, WALL, wall);
    section.add(name, MEMORY, crowd.peak as f64 / MEBI);
    section.add(name, WHOLE, crowd.done.answers as f64);
    let all = crowd.done.bytes as f64 / GIGA;
    section.add(name, GIGABYTES_A_SECOND, all / wall);
    if crowd.done.broken > 0 {
        section.note(format!("{name}: {} answers of {} ended short.", crowd.done.broken, content.layer));
    }
}

const CLIENTS: usize = 200;
const RATE: u64 = 100_000_000;
const CORES: Cores = Cores::Shared;
const WHOLE: Measure = Measure { name: "whole answers", digits: 0 };
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
