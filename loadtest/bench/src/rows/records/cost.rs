//! The cost of records and traces for pulls: pullgate with them beside pullgate without.

use std::{
    cell::Cell,
    path::{Path, PathBuf},
};

use records::{Filter, Limit, QueryError, Reader, query::LIMIT_MAX};

use super::sink::Sink;
use crate::{
    client::{Load, Reading, Until, drive},
    error::Error,
    lab::Lab,
    pin::Cores,
    report::{Goal, Measure, Section},
    rows::units::{GIGA, GIGABYTES_A_SECOND},
    servers::{Kind, Server, Setting},
    stats::median,
    upstream::{Content, Offer, Upstream},
};

/// Measures whole pulls, a cached layer, then a cached manifest by digest and by tag.
pub(super) fn measure(lab: &Lab<'_>) -> Result<Vec<Section>, Error> {
    let mut upstream = Upstream::start(&Offer { images: 1, layer: LAYER, rate: 0 })?;
    let sink = Sink::start()?;
    let sides: Vec<Side> =
        SIDES.into_iter().map(|side| Side::start(side, lab, &upstream, &sink)).collect::<Result<_, _>>()?;
    let content = upstream.contents()[0].clone();
    sides.iter().try_for_each(|side| side.server.warm(&content, &mut upstream))?;
    let sections = figures(&content).into_iter().map(|figure| figure.section(lab, &sides));
    let mut sections = sections.collect::<Result<Vec<_>, _>>()?;
    let traced: u64 = sides.iter().filter(|side| side.traces).map(|side| side.pulls.get()).sum();
    let (pulls, kept) = kept(sides)?;
    if sink.exports() == 0 && traced >= SURELY_TRACED {
        return Err(Error::Answer("traces are on, and none was exported".to_owned()));
    }
    if let Some(last) = sections.last_mut() {
        last.note(format!(
            "A client that repeats a request without a pause is one pull. Only the first figure has a record for each pull, \
             and its writing: the instances with records kept {kept} of them, for {pulls} whole pulls of that figure."
        ));
    }
    Ok(sections)
}

/// A running instance, with or without records and traces.
struct Side {
    name: &'static str,
    records: bool,
    traces: bool,
    cache: PathBuf,
    server: Server,
    /// The whole pulls so far.
    pulls: Cell<u64>,
}

impl Side {
    fn start(
        (name, records, traces): (&'static str, bool, bool),
        lab: &Lab<'_>,
        upstream: &Upstream,
        sink: &Sink,
    ) -> Result<Self, Error> {
        let cache = lab.folder("cache")?;
        let sections = if records { String::new() } else { "[records]\nenabled = false\n".to_owned() };
        let environment = if traces { sink.environment() } else { Vec::new() };
        let plain = Setting::plain(CORES, upstream);
        let setting = Setting { cache: Some(cache.clone()), sections, environment, ..plain };
        let server = Kind::Pullgate.start(lab, &setting)?;
        Ok(Self { name, records, traces, cache, server, pulls: Cell::new(0) })
    }
}

/// A rate that is measured on every side.
struct Figure {
    what: String,
    asked: Asked,
    body_bytes: u64,
    connections: usize,
    measure: Measure,
}

/// The requests of a figure's load.
enum Asked {
    /// One path, again and again.
    Path(String),
    /// Whole pulls, each by another node.
    Pulls(Content),
}

fn figures(content: &Content) -> [Figure; 4] {
    let size = content.layer_bytes / 1_000_000;
    let layers = |what: String, asked| Figure {
        what,
        asked,
        body_bytes: content.layer_bytes,
        connections: LAYER_CONNECTIONS,
        measure: GIGABYTES_A_SECOND,
    };
    let manifest = |by: &str, path: String| Figure {
        what: format!("Cached manifest by {by}"),
        asked: Asked::Path(path),
        body_bytes: content.manifest_bytes,
        connections: MANIFEST_CONNECTIONS,
        measure: REQUESTS,
    };
    [
        layers(
            format!("Cached pulls of a {size} MB layer, each by another node"),
            Asked::Pulls(content.clone()),
        ),
        layers(format!("Cached {size} MB layer"), Asked::Path(content.layer_path())),
        manifest("digest", content.by_digest()),
        manifest("tag", content.by_tag()),
    ]
}

impl Figure {
    fn section(&self, lab: &Lab<'_>, sides: &[Side]) -> Result<Section, Error> {
        let Self { what, connections, measure, .. } = self;
        let title = format!(
            "{what}, with and without pull records and traces, {connections} connections, plain HTTP, {}",
            CORES.describe()
        );
        let how = format!(
            "One client thread (epoll) that copies; {TURNS} turns a round, each with every instance once. A ratio is the \
             median of the ratios of all turns; the two instances without records show the noise. Traces: one pull in a hundred"
        );
        let mut section = Section::new(title, how);
        let (mut cost, mut traced, mut noise) = (Vec::new(), Vec::new(), Vec::new());
        for turn in 0..TURNS * lab.rounds() {
            let [on, off, again, traces] = self.turn(lab, sides, turn, &mut section)?;
            cost.push(on / off);
            traced.push(traces / on);
            noise.push(again / off);
        }
        let unit = measure.name;
        section.ratio(format!("{unit}, records / no records"), median(&cost), Goal::AtLeast(RATE_LEAST));
        section.ratio(
            format!("{unit}, records and traces / records"),
            median(&traced),
            Goal::AtLeast(TRACED_LEAST),
        );
        section.ratio(format!("{unit}, no records / no records"), median(&noise), Goal::Told);
        Ok(section.finish(lab))
    }

    /// The rates of all sides. Each turn begins with another side, so that no side is always first.
    fn turn(
        &self,
        lab: &Lab<'_>,
        sides: &[Side],
        turn: usize,
        section: &mut Section,
    ) -> Result<[f64; SIDES.len()], Error> {
        let mut rates = [f64::NAN; SIDES.len()];
        for step in 0..sides.len() {
            let at = (turn + step) % sides.len();
            rates[at] = self.rate(lab, &sides[at])?;
        }
        for (side, rate) in sides.iter().zip(rates) {
            section.add(side.name, self.measure, rate);
        }
        Ok(rates)
    }

    fn rate(&self, lab: &Lab<'_>, Side { server, pulls, .. }: &Side) -> Result<f64, Error> {
        let target = match &self.asked {
            Asked::Path(path) => server.target(path),
            Asked::Pulls(content) => server.pull(content),
        };
        let done = drive(&Load {
            server: server.process(),
            target: &target,
            body_bytes: self.body_bytes,
            connections: self.connections,
            reading: Reading::Copy,
            until: Until::After(lab.slice()),
            cores: CORES,
        })?;
        if matches!(self.asked, Asked::Pulls(_)) {
            // A pull that the end of the load cuts off leaves a record too, so this count is at most the number of records.
            pulls.set(pulls.get() + done.answers / (1 + target.rest.len() as u64));
        }
        let amount = if self.measure == REQUESTS { done.answers as f64 } else { done.bytes as f64 / GIGA };
        Ok(amount / done.wall.as_secs_f64())
    }
}

/// Ends the instances, and counts the whole pulls of those with records and the records that they kept. Fewer records than
/// pulls are an error: the figures would then compare less than their names say.
fn kept(sides: Vec<Side>) -> Result<(u64, u64), Error> {
    let sides: Vec<_> = sides
        .into_iter()
        .map(|side| (side.records, side.cache.join("records.db"), side.pulls.get()))
        .collect();
    let (mut all_pulls, mut all_kept) = (0, 0);
    for (records, file, pulls) in sides {
        if records {
            let kept = count(&file).map_err(|error| Error::Answer(format!("the record file: {error}")))?;
            if kept == 0 || kept < pulls {
                return Err(Error::Answer(format!("{kept} records were kept of {pulls} pulls or more")));
            }
            (all_pulls, all_kept) = (all_pulls + pulls, all_kept + kept);
        } else if file.exists() {
            return Err(Error::Answer("records are off, and there is a file".to_owned()));
        }
    }
    Ok((all_pulls, all_kept))
}

fn count(file: &Path) -> Result<u64, QueryError> {
    let reader = Reader::open(file)?;
    let mut filter = Filter { limit: Limit::new(LIMIT_MAX)?, ..Filter::default() };
    let mut count = 0;
    loop {
        let page = reader.pulls(&filter)?;
        count += page.pulls.len() as u64;
        match page.next {
            Some(next) => filter.cursor = Some(next),
            None => return Ok(count),
        }
    }
}

/// The instances: name, records, traces.
const SIDES: [(&str, bool, bool); 4] = [
    ("records", true, false),
    ("no records", false, false),
    ("no records, again", false, false),
    ("records and traces", true, true),
];
/// The layer of a pull, bytes.
const LAYER: usize = 20_000_000;
const CORES: Cores = Cores::OneEach;
const REQUESTS: Measure = Measure { name: "requests/s", digits: 0 };
const LAYER_CONNECTIONS: usize = 4;
const MANIFEST_CONNECTIONS: usize = 32;
/// Turns of a round. The bound is close to one, so that a ratio needs many of them.
const TURNS: usize = 5;
/// After this many pulls, of which one in a hundred is traced, a collector that heard of none is a fault.
const SURELY_TRACED: u64 = 2_000;
/// Records may cost 3 % of a rate.
const RATE_LEAST: f64 = 0.97;
/// Traces of one pull in a hundred may cost 2 % more.
const TRACED_LEAST: f64 = 0.98;
