//! A thousand slow readers, and one client that reads at full speed.

use std::{thread::sleep, time::Duration};

use super::units::{MEBI, MEMORY};
use crate::{
    client::{Load, Reading, SlowReaders, Until, drive, fetch},
    error::Error,
    lab::Lab,
    pin::Cores,
    report::{Goal, Measure, Section},
    servers::{Kind, Server, Setting},
    upstream::{Content, Offer, Upstream},
    usage,
};

/// Measures with a cached layer, with a layer that is still being filled, and over TLS.
pub(super) fn measure(lab: &Lab<'_>) -> Result<Vec<Section>, Error> {
    let title = format!(
        "{READERS} slow readers of one layer, and a healthy client beside them, {}",
        CORES.describe()
    );
    let how = "Readers take 8 KiB a second each, from receive buffers of 16 KiB; the healthy client copies, 256 KiB at a time";
    let mut section = Section::new(title, how);
    cached(lab, Kind::Pullgate, "cached, plain HTTP", false, &mut section)?;
    in_flight(lab, "in flight, plain HTTP", &mut section)?;
    cached(lab, Kind::Pullgate, "cached, TLS", true, &mut section)?;
    cached(lab, Kind::NginxCopy, "nginx: cached, plain HTTP", false, &mut section)?;
    cached(lab, Kind::NginxCopy, "nginx: cached, TLS", true, &mut section)?;
    section.note("The cgroup is the server's own only where the benchmark runs in one of its own; else it holds the neighbours too.");
    Ok(vec![section.finish(lab)])
}

fn cached(lab: &Lab<'_>, kind: Kind, name: &str, tls: bool, section: &mut Section) -> Result<(), Error> {
    let mut upstream = Upstream::start(&Offer { images: 1, layer: lab.layer_bytes(), rate: 0 })?;
    let setting = Setting { tls, ..Setting::plain(CORES, &upstream) };
    let server = kind.start(lab, &setting)?;
    let content = upstream.contents()[0].clone();
    server.warm(&content, &mut upstream)?;
    let alone = healthy(lab, &server, &content)?;
    let idle = server.process().anonymous_bytes();
    let readers = SlowReaders::start(&server.target(&content.layer_path()), READERS, CORES)?;
    sleep(SETTLE);
    let memory = server.process().anonymous_bytes();
    let beside = healthy(lab, &server, &content)?;
    let memory = memory.max(server.process().anonymous_bytes());
    let (working_set, kernel) = (usage::cgroup_working_set(server.process().id()), usage::tcp_bytes());
    let seen = Seen { idle, memory, working_set, kernel, alone, beside, held: readers.stop() };
    tell(name, &seen, section);
    if kind == Kind::Pullgate {
        judge(name, &seen, section);
    }
    Ok(())
}

fn in_flight(lab: &Lab<'_>, name: &str, section: &mut Section) -> Result<(), Error> {
    let offer =
        Offer { images: 2, layer: lab.layer_bytes(), rate: lab.layer_bytes() as u64 / IN_FLIGHT_SECONDS };
    let upstream = Upstream::start(&offer)?;
    let server = Kind::Pullgate.start(lab, &Setting::plain(CORES, &upstream))?;
    let speed = |path: &str| {
        let fetched = fetch(&server.target(path))?;
        Ok::<_, Error>(fetched.bytes as f64 / 1e6 / fetched.wall.as_secs_f64())
    };
    let paths: Vec<String> = upstream.contents().iter().map(Content::layer_path).collect();
    let alone = speed(&paths[0])?;
    let idle = server.process().anonymous_bytes();
    let (beside, memory, (working_set, kernel), held) = std::thread::scope(|scope| {
        let client = scope.spawn(|| speed(&paths[1]));
        let readers = SlowReaders::start(&server.target(&paths[1]), READERS, CORES)?;
        let mut memory = server.process().anonymous_bytes();
        while !client.is_finished() {
            memory = memory.max(server.process().anonymous_bytes());
            sleep(BETWEEN_LOOKS);
        }
        let beside = client.join().expect("invariant: the healthy client does not panic")?;
        let around = (usage::cgroup_working_set(server.process().id()), usage::tcp_bytes());
        Ok::<_, Error>((beside, memory, around, readers.stop()))
    })?;
    let seen = Seen { idle, memory, working_set, kernel, alone, beside, held };
    tell(name, &seen, section);
    judge(name, &seen, section);
    Ok(())
}

/// The figures of one case: the memory of the process, of its cgroup and of the kernel's TCP buffers, in bytes; the speed
/// of the healthy client alone and beside the readers, in MB/s; the number of readers that were still served.
struct Seen {
    idle: u64,
    memory: u64,
    working_set: Option<u64>,
    kernel: Option<u64>,
    alone: f64,
    beside: f64,
    held: usize,
}

fn tell(name: &str, seen: &Seen, section: &mut Section) {
    section.add(name, IDLE, seen.idle as f64 / MEBI);
    section.add(name, MEMORY, seen.memory as f64 / MEBI);
    section.add(name, WORKING_SET, seen.working_set.map_or(f64::NAN, |bytes| bytes as f64 / MEBI));
    section.add(name, KERNEL, seen.kernel.map_or(f64::NAN, |bytes| bytes as f64 / MEBI));
    section.add(name, HELD, seen.held as f64);
    section.add(name, ALONE, seen.alone);
    section.add(name, BESIDE, seen.beside);
}

fn judge(name: &str, seen: &Seen, section: &mut Section) {
    section.ratio(format!("{name}: RssAnon MiB"), seen.memory as f64 / MEBI, Goal::AtMost(150.0));
    section.ratio(
        format!("{name}: healthy client, beside / alone"),
        seen.beside / seen.alone,
        Goal::AtLeast(0.9),
    );
}

/// The speed of a client that reads as fast as it can, MB/s.
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
    Ok(done.bytes as f64 / 1e6 / done.wall.as_secs_f64())
}

const READERS: usize = 1000;
const CORES: Cores = Cores::Shared;
/// The duration of a fill: long enough for all readers to connect during the fill.
const IN_FLIGHT_SECONDS: u64 = 8;
const SETTLE: Duration = Duration::from_secs(2);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
const IDLE: Measure = Measure { name: "RssAnon MiB before", digits: 1 };
const ALONE: Measure = Measure { name: "healthy client alone MB/s", digits: 1 };
const BESIDE: Measure = Measure { name: "beside them MB/s", digits: 1 };
const WORKING_SET: Measure = Measure { name: "cgroup working set MiB", digits: 0 };
/// The kernel's own count of TCP buffers, over all connections of the machine.
const KERNEL: Measure = Measure { name: "TCP buffers MiB", digits: 0 };
const HELD: Measure = Measure { name: "readers held", digits: 0 };
