//! A large layer from an upstream that limits each connection.

use super::units::WALL;
use crate::{
    client::fetch,
    error::Error,
    lab::Lab,
    pin::Cores,
    report::{Goal, Section},
    servers::{Kind, Setting, knows},
    upstream::{Offer, Upstream},
};

/// Fetches the layer directly, and through pullgate with several ranges at a time.
pub(super) fn measure(lab: &Lab<'_>) -> Result<Vec<Section>, Error> {
    let upstream = Upstream::start(&Offer { images: 1, layer: lab.layer_bytes() * 2, rate: RATE })?;
    lab.ran(upstream.command_line());
    let plain = Setting::plain(Cores::Shared, &upstream);
    let parallel = Setting { upstream_keys: PARALLEL.to_owned(), ..plain.clone() };
    let known = knows(&lab.options.pullgate, &lab.folder("question")?, &parallel)?;
    let server = Kind::Pullgate.start(lab, if known { &parallel } else { &plain })?;
    let content = upstream.contents()[0].clone();
    let title = format!(
        "Cold {} MB layer, one client, upstream limited to {} MB/s a connection, plain HTTP",
        content.layer_bytes / 1_000_000,
        RATE / 1_000_000
    );
    let mut section = Section::new(title, "One blocking connection, recv into one buffer of 256 KiB");
    let path = content.layer_path();
    for (name, target) in [("direct", upstream.target(&path)), ("pullgate", server.target(&path))] {
        section.add(name, WALL, fetch(&target)?.wall.as_secs_f64());
    }
    if known {
        section.note(format!("pullgate with `{}`.", PARALLEL.trim()));
    } else {
        section.note(format!("This pullgate does not know `{}`: measured without.", PARALLEL.trim()));
    }
    let faster = section.median("direct", WALL) / section.median("pullgate", WALL);
    section.ratio("wall, direct / pullgate", faster, Goal::AtLeast(3.0));
    Ok(vec![section.finish(lab)])
}

const RATE: u64 = 20_000_000;
/// The key for pullgate's upstream section.
const PARALLEL: &str = "parallel = 8\n";
