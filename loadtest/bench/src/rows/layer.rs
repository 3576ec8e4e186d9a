//! A cached layer, streamed repeatedly.

use super::units::{CPU_PER_GIGABYTE, GIGA, GIGABYTES_A_SECOND};
use crate::{
    client::{Load, Reading, Until, drive},
    error::Error,
    lab::Lab,
    pin::Cores,
    report::{Goal, Section},
    servers::{Kind, Server, Setting},
    upstream::{Content, Offer, Upstream},
};

/// Plain HTTP: first with one core for the server and one for the client, then with two shared cores.
pub(super) fn plain(lab: &Lab<'_>) -> Result<Vec<Section>, Error> {
    let kinds = [Kind::Pullgate, Kind::NginxSendfile, Kind::NginxCopy, Kind::DockerRegistry];
    let alone = Stage { cores: Cores::OneEach, tls: false, readings: &[Reading::Copy, Reading::Discard] };
    let shared = Stage { cores: Cores::Shared, tls: false, readings: &[Reading::Copy] };
    let mut sections = alone.measure(lab, &kinds)?;
    sections.extend(shared.measure(lab, &kinds)?);
    Ok(sections)
}

/// TLS, with the same two distributions of cores.
pub(super) fn tls(lab: &Lab<'_>) -> Result<Vec<Section>, Error> {
    let kinds = [Kind::Pullgate, Kind::NginxSendfile, Kind::NginxCopy];
    let alone = Stage { cores: Cores::OneEach, tls: true, readings: &[Reading::Copy] };
    let shared = Stage { cores: Cores::Shared, tls: true, readings: &[Reading::Copy] };
    let mut sections = alone.measure(lab, &kinds)?;
    sections.extend(shared.measure(lab, &kinds)?);
    Ok(sections)
}

struct Stage<'a> {
    cores: Cores,
    tls: bool,
    readings: &'a [Reading],
}

impl Stage<'_> {
    fn measure(&self, lab: &Lab<'_>, kinds: &[Kind]) -> Result<Vec<Section>, Error> {
        let mut upstream = Upstream::start(&Offer { images: 1, layer: lab.layer_bytes(), rate: 0 })?;
        let setting = Setting { tls: self.tls, ..Setting::plain(self.cores, &upstream) };
        let servers: Vec<Server> =
            kinds.iter().map(|kind| kind.start(lab, &setting)).collect::<Result<_, _>>()?;
        let content = upstream.contents()[0].clone();
        servers.iter().try_for_each(|server| server.warm(&content, &mut upstream))?;
        let mut sections = Vec::new();
        for reading in self.readings {
            for connections in CONNECTIONS {
                sections.push(self.section(lab, &servers, &content, *reading, connections)?);
            }
        }
        Ok(sections.into_iter().map(|section| section.finish(lab)).collect())
    }

    fn section(
        &self,
        lab: &Lab<'_>,
        servers: &[Server],
        content: &Content,
        reading: Reading,
        connections: usize,
    ) -> Result<Section, Error> {
        let (protocol, ciphered) =
            if self.tls { ("TLS", ", records not deciphered") } else { ("plain HTTP", "") };
        let size = content.layer_bytes / 1_000_000;
        let title = format!(
            "Cached {size} MB layer, {connections} connections, {protocol}, {} client, {}",
            reading.describe(),
            self.cores.describe(),
        );
        let how = format!("One client thread (epoll), {}{ciphered}", buffer(reading));
        let mut section = Section::new(title, how);
        for _ in 0..lab.rounds() {
            for server in servers {
                let target = server.target(&content.layer_path());
                let until = Until::After(lab.slice());
                let body_bytes = content.layer_bytes;
                let done = drive(&Load {
                    server: server.process(),
                    target: &target,
                    body_bytes,
                    connections,
                    reading,
                    until,
                    cores: self.cores,
                })?;
                let gigabytes = done.bytes as f64 / GIGA;
                let name = server.kind().name();
                section.add(name, GIGABYTES_A_SECOND, gigabytes / done.wall.as_secs_f64());
                section.add(name, CPU_PER_GIGABYTE, done.server_cpu / gigabytes);
            }
        }
        self.judge(&mut section, reading);
        Ok(section)
    }

    fn judge(&self, section: &mut Section, reading: Reading) {
        let speed = |section: &Section, kind: Kind| section.median(kind.name(), GIGABYTES_A_SECOND);
        let cpu = |section: &Section, kind: Kind| section.median(kind.name(), CPU_PER_GIGABYTE);
        let decides = |goal| if reading == Reading::Copy { goal } else { Goal::Told };
        let nginx = speed(section, Kind::NginxSendfile).max(speed(section, Kind::NginxCopy));
        let pullgate = speed(section, Kind::Pullgate);
        let least = if self.tls { 1.0 } else { 1.3 };
        section.ratio("GB/s, pullgate / better nginx", pullgate / nginx, decides(Goal::AtLeast(least)));
        if self.tls {
            return;
        }
        let registry = speed(section, Kind::DockerRegistry);
        section.ratio("GB/s, pullgate / docker-registry", pullgate / registry, decides(Goal::AtLeast(1.5)));
        let cpu = cpu(section, Kind::Pullgate) / cpu(section, Kind::DockerRegistry);
        section.ratio("CPU per GB, pullgate / docker-registry", cpu, decides(Goal::AtMost(0.7)));
    }
}

fn buffer(reading: Reading) -> &'static str {
    match reading {
        Reading::Copy => "recv into one buffer of 256 KiB",
        Reading::Discard => "recv with MSG_TRUNC, 1 MiB at a time",
    }
}

const CONNECTIONS: [usize; 2] = [4, 32];
