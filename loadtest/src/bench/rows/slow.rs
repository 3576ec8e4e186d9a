//! A thousand readers that hardly read, and one that wants its layer.

use std::{thread::sleep, time::Duration};

use super::{GIGA, GIGABYTES_A_SECOND, MEBI, MEMORY};
use crate::bench::{
    Error, Lab,
    client::{Load, Reading, SlowReaders, Until, drive, fetch},
    pin::Cores,
    report::{Goal, Measure, Section},
    servers::{Kind, Server, Setting},
    upstream::{Content, Offer, Upstream},
};

/// Cached, in flight, and over TLS.
pub(super) fn measure(lab: &Lab<'_>) -> Result<Vec<Section>, Error> {
    let title = format!(
        "{READERS} slow readers of one layer, and a healthy client beside them, {}",
        CORES.describe()
    );
    let how = "Readers take 8 KiB a second each, from receive buffers of 16 KiB; the healthy client copies, 256 KiB at a time";
    let mut section = Section::new(title, how);
    cached(lab, "cached, plain HTTP", false, &mut section)?;
    in_flight(lab, "in flight, plain HTTP", &mut section)?;
    cached(lab, "cached, TLS", true, &mut section)?;
    Ok(vec![section.finish(lab)])
}

fn cached(lab: &Lab<'_>, name: &str, tls: bool, section: &mut Section) -> Result<(), Error> {
    let mut upstream = Upstream::start(&Offer { images: 1, layer: lab.layer_bytes(), rate: 0 })?;
    let setting = Setting { tls, ..Setting::plain(CORES, &upstream) };
    let server = Kind::Pullgate.start(lab, &setting)?;
    let content = upstream.contents()[0].clone();
    server.warm(&content, &mut upstream)?;
    let alone = healthy(lab, &server, &content)?;
    let idle = server.process().anonymous_bytes();
    let readers = SlowReaders::start(&server.target(&content.layer_path()), READERS, CORES)?;
    sleep(SETTLE);
    let memory = server.process().anonymous_bytes();
    let beside = healthy(lab, &server, &content)?;
    let memory = memory.max(server.process().anonymous_bytes());
    tell(name, &Seen { idle, memory, alone, beside, held: readers.stop() }, section);
    Ok(())
}

fn in_flight(lab: &Lab<'_>, name: &str, section: &mut Section) -> Result<(), Error> {
    let offer =
        Offer { images: 2, layer: lab.layer_bytes(), rate: lab.layer_bytes() as u64 / IN_FLIGHT_SECONDS };
    let upstream = Upstream::start(&offer)?;
    let server = Kind::Pullgate.start(lab, &Setting::plain(CORES, &upstream))?;
    let speed = |path: &str| {
        let fetched = fetch(&server.target(path))?;
        Ok::<_, Error>(fetched.bytes as f64 / GIGA / fetched.wall.as_secs_f64())
    };
    let paths: Vec<String> = upstream.contents().iter().map(Content::layer_path).collect();
    let alone = speed(&paths[0])?;
    let idle = server.process().anonymous_bytes();
    let (beside, memory, held) = std::thread::scope(|scope| {
        let client = scope.spawn(|| speed(&paths[1]));
        let readers = SlowReaders::start(&server.target(&paths[1]), READERS, CORES)?;
        let mut memory = server.process().anonymous_bytes();
        while !client.is_finished() {
            memory = memory.max(server.process().anonymous_bytes());
            sleep(BETWEEN_LOOKS);
        }
        let beside = client.join().expect("invariant: the healthy client does not panic")?;
        Ok::<_, Error>((beside, memory, readers.stop()))
    })?;
    tell(name, &Seen { idle, memory, alone, beside, held }, section);
    Ok(())
}

/// What one case showed: memory in bytes, speeds of the healthy client in GB/s, readers that were still served.
struct Seen {
    idle: u64,
    memory: u64,
    alone: f64,
    beside: f64,
    held: usize,
}

fn tell(name: &str, seen: &Seen, section: &mut Section) {
    section.add(name, IDLE, seen.idle as f64 / MEBI);
    section.add(name, MEMORY, seen.memory as f64 / MEBI);
    section.add(name, HELD, seen.held as f64);
    section.add(name, ALONE, seen.alone);
    section.add(name, GIGABYTES_A_SECOND, seen.beside);
    section.ratio(format!("{name}: RssAnon MiB"), seen.memory as f64 / MEBI, Goal::AtMost(150.0));
    section.ratio(
        format!("{name}: healthy client, beside / alone"),
        seen.beside / seen.alone,
        Goal::AtLeast(0.9),
    );
}

/// The speed of a client that reads as fast as it can, GB/s.
fn healthy(lab: &Lab<'_>, server: &Server, content: &Content) -> Result<f64, Error> {
    let load = Load {
        server: server.process(),
        target: &server.target(&content.layer_path()),
        body_bytes: content.layer_bytes,
        connections: 1,
        reading: Reading::Copy,
        until: Until::After(lab.slice() * 2),
        cores: CORES,
    };
    let done = drive(&load)?;
    Ok(done.bytes as f64 / GIGA / done.wall.as_secs_f64())
}

const READERS: usize = 1000;
const CORES: Cores = Cores::Shared;
/// How long a fill takes, so that all readers come while it runs.
const IN_FLIGHT_SECONDS: u64 = 8;
const SETTLE: Duration = Duration::from_secs(2);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
const IDLE: Measure = Measure { name: "RssAnon MiB before", digits: 1 };
const ALONE: Measure = Measure { name: "GB/s without them", digits: 2 };
const HELD: Measure = Measure { name: "readers held", digits: 0 };
