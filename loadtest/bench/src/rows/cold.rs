//! A layer that is not cached, from an upstream with a limited rate.

use super::units::{FIRST_BYTE, WALL};
use crate::{
    client::fetch,
    error::Error,
    lab::Lab,
    pin::Cores,
    report::{Goal, Section},
    servers::{Kind, Server, Setting},
    upstream::{Offer, Upstream},
};

/// Fetches the layer through each server, and directly.
pub(super) fn measure(lab: &Lab<'_>) -> Result<Vec<Section>, Error> {
    let offer = Offer { images: lab.rounds() as u64, layer: lab.layer_bytes(), rate: RATE };
    let mut upstream = Upstream::start(&offer)?;
    lab.ran(upstream.command_line());
    let cores = Cores::Shared;
    let setting = Setting::plain(cores, &upstream);
    let servers: Vec<Server> =
        KINDS.iter().map(|kind| kind.start(lab, &setting)).collect::<Result<_, _>>()?;
    let title = format!(
        "Cold {} MB layer, one client, upstream paced to {} MB/s, plain HTTP, {}",
        offer.layer / 1_000_000,
        RATE / 1_000_000,
        cores.describe()
    );
    let mut section = Section::new(title, "One blocking connection, recv into one buffer of 256 KiB");
    for content in upstream.contents().to_vec() {
        let path = content.layer_path();
        let direct = (DIRECT, upstream.target(&path));
        let through = servers.iter().map(|server| (server.kind().name(), server.target(&path)));
        for (name, target) in std::iter::once(direct).chain(through) {
            let fetched = fetch(&target)?;
            section.add(name, WALL, fetched.wall.as_secs_f64());
            section.add(name, FIRST_BYTE, fetched.first_byte.as_secs_f64() * 1e3);
            upstream.settled(&content.layer)?;
        }
    }
    judge(&mut section);
    Ok(vec![section.finish(lab)])
}

fn judge(section: &mut Section) {
    let pullgate = Kind::Pullgate.name();
    let wall = section.median(pullgate, WALL) / section.median(DIRECT, WALL);
    section.ratio("wall, pullgate / direct", wall, Goal::AtMost(1.05));
    let beyond = section.median(pullgate, FIRST_BYTE) - 1.1 * section.median(DIRECT, FIRST_BYTE);
    section.ratio("first byte ms, pullgate − 1.1 × direct", beyond, Goal::AtMost(5.0));
}

const KINDS: [Kind; 3] = [Kind::Pullgate, Kind::NginxSendfile, Kind::DockerRegistry];
const DIRECT: &str = "direct";
const RATE: u64 = 100_000_000;
