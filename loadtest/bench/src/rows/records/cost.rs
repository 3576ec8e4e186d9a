//! The cost of records for pulls: pullgate with records beside pullgate without.

use std::path::{Path, PathBuf};

use records::{Filter, Reader};

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

/// Measures a cached layer, then a cached manifest by digest and by tag.
pub(super) fn measure(lab: &Lab<'_>) -> Result<Vec<Section>, Error> {
    let mut upstream = Upstream::start(&Offer { images: 1, layer: lab.layer_bytes(), rate: 0 })?;
    let sides: Vec<Side> =
        SIDES.into_iter().map(|side| Side::start(side, lab, &upstream)).collect::<Result<_, _>>()?;
    let content = upstream.contents()[0].clone();
    sides.iter().try_for_each(|side| side.server.warm(&content, &mut upstream))?;
    let sections = figures(&content).into_iter().map(|figure| figure.section(lab, &sides));
    let mut sections = sections.collect::<Result<Vec<_>, _>>()?;
    let kept = kept(sides)?;
    if let Some(last) = sections.last_mut() {
        last.note(format!(
            "A client that repeats a request without a pause is one pull. The figures therefore include the work for each \
             request, and hardly any write to the file: the instance kept {kept} records."
        ));
    }
    Ok(sections)
}

/// A running instance, with or without records.
struct Side {
    name: &'static str,
    records: bool,
    cache: PathBuf,
    server: Server,
}

impl Side {
    fn start(
        (name, records): (&'static str, bool),
        lab: &Lab<'_>,
        upstream: &Upstream,
    ) -> Result<Self, Error> {
        let cache = lab.folder("cache")?;
        let sections = if records { String::new() } else { "[records]\nenabled = false\n".to_owned() };
        let setting = Setting { cache: Some(cache.clone()), sections, ..Setting::plain(CORES, upstream) };
        Ok(Self { name, records, cache, server: Kind::Pullgate.start(lab, &setting)? })
    }
}

/// A rate that is measured on every side.
struct Figure {
    what: String,
    path: String,
    body_bytes: u64,
    connections: usize,
    measure: Measure,
}

fn figures(content: &Content) -> [Figure; 3] {
    let manifest = |by: &str, path: String| Figure {
        what: format!("Cached manifest by {by}"),
        path,
        body_bytes: content.manifest_bytes,
        connections: MANIFEST_CONNECTIONS,
        measure: REQUESTS,
    };
    let layer = Figure {
        what: format!("Cached {} MB layer", content.layer_bytes / 1_000_000),
        path: content.layer_path(),
        body_bytes: content.layer_bytes,
        connections: LAYER_CONNECTIONS,
        measure: GIGABYTES_A_SECOND,
    };
    [layer, manifest("digest", content.by_digest()), manifest("tag", content.by_tag())]
}

impl Figure {
    fn section(&self, lab: &Lab<'_>, sides: &[Side]) -> Result<Section, Error> {
        let Self { what, connections, measure, .. } = self;
        let title = format!(
            "{what} with and without pull records, {connections} connections, plain HTTP, {}",
            CORES.describe()
        );
        let how = format!(
            "One client thread (epoll) that copies; {TURNS} turns a round, each with every instance once. A ratio is the \
             median of the ratios of all turns; the two instances without records show the noise"
        );
        let mut section = Section::new(title, how);
        let (mut cost, mut noise) = (Vec::new(), Vec::new());
        for turn in 0..TURNS * lab.rounds() {
            let [on, off, again] = self.turn(lab, sides, turn, &mut section)?;
            cost.push(on / off);
            noise.push(again / off);
        }
        let unit = measure.name;
        section.ratio(format!("{unit}, records / no records"), median(&cost), Goal::AtLeast(RATE_LEAST));
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
            rates[at] = self.rate(lab, &sides[at].server)?;
        }
        for (side, rate) in sides.iter().zip(rates) {
            section.add(side.name, self.measure, rate);
        }
        Ok(rates)
    }

    fn rate(&self, lab: &Lab<'_>, server: &Server) -> Result<f64, Error> {
        let done = drive(&Load {
            server: server.process(),
            target: &server.target(&self.path),
            body_bytes: self.body_bytes,
            connections: self.connections,
            reading: Reading::Copy,
            until: Until::After(lab.slice()),
            cores: CORES,
        })?;
        let amount = if self.measure == REQUESTS { done.answers as f64 } else { done.bytes as f64 / GIGA };
        Ok(amount / done.wall.as_secs_f64())
    }
}

/// Ends the instances and counts the records that they kept, so that the figures compare what their names say.
fn kept(sides: Vec<Side>) -> Result<usize, Error> {
    let sides: Vec<_> = sides.into_iter().map(|side| (side.records, side.cache.join("records.db"))).collect();
    let mut kept = 0;
    for (records, file) in sides {
        match (records, file.exists()) {
            (true, _) => kept += count(&file)?,
            (false, true) => return Err(Error::Answer("records are off, and there is a file".to_owned())),
            (false, false) => (),
        }
    }
    if kept == 0 { Err(Error::Answer("records are on, and none was kept".to_owned())) } else { Ok(kept) }
}

fn count(file: &Path) -> Result<usize, Error> {
    let pulls = Reader::open(file).and_then(|reader| reader.pulls(&Filter::default()));
    pulls.map(|page| page.pulls.len()).map_err(|error| Error::Answer(format!("the record file: {error}")))
}

const SIDES: [(&str, bool); 3] = [("records", true), ("no records", false), ("no records, again", false)];
const CORES: Cores = Cores::OneEach;
const REQUESTS: Measure = Measure { name: "requests/s", digits: 0 };
const LAYER_CONNECTIONS: usize = 4;
const MANIFEST_CONNECTIONS: usize = 32;
/// Turns of a round. The bound is close to one, so that a ratio needs many of them.
const TURNS: usize = 5;
/// Records may cost 3 % of a rate.
const RATE_LEAST: f64 = 0.97;
