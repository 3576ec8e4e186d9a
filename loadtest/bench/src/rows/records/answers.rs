//! The page, the list of pulls and the start of the process with a full record file.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tokio::time::Instant;

use super::fill::{LAYERS, REGISTRIES, fill, size};
use crate::{
    client::{Target, fetch},
    error::{Doing, Error},
    lab::Lab,
    pin::Cores,
    report::{Goal, Measure, Section},
    rows::{startup::wait_until_ready, units::P50},
    servers::{Kind, Server, Setting},
    stats::median,
    upstream::{Offer, Upstream},
};

/// Fills a file, then measures its size, the answers from it, and starts with it beside starts with an empty file.
pub(super) fn measure(lab: &Lab<'_>) -> Result<Vec<Section>, Error> {
    let upstream = Upstream::start(&Offer { images: 1, layer: 1_000_000, rate: 0 })?;
    let file = lab.folder("records")?.join("records.db");
    let began = Instant::now();
    fill(&file, lab.records())?;
    let took = began.elapsed().as_secs_f64();
    let bytes = size(&file)? as f64 / lab.records() as f64;
    let full = setting(&upstream, &file);
    let mut answers = answers(lab, &full, &file)?;
    answers.ratio(format!("bytes a record of {LAYERS} layers"), bytes, Goal::AtMost(BYTES_MOST));
    answers.note(format!("The file was filled in {took:.0} s, through the writer that pullgate uses."));
    let empty = setting(&upstream, &lab.folder("records")?.join("records.db"));
    Ok(vec![answers.finish(lab), starts(lab, &empty, &full)?])
}

/// The setup of an instance with this record file, and an upstream for every registry in it.
fn setting(upstream: &Upstream, file: &PathBuf) -> Setting {
    let mut setting = Setting::plain(CORES, upstream);
    setting.sections = format!("[records]\nfile = {file:?}\nmax_size = \"100GiB\"\n");
    for (number, registry) in REGISTRIES.iter().enumerate().skip(1) {
        setting.sections += &format!(
            "[upstreams.bench{number}]\nregistry = \"{registry}\"\nendpoints = [\"{}\"]\naddresses = [\"127.0.0.0/8\"]\n",
            setting.upstream
        );
    }
    setting
}

fn answers(lab: &Lab<'_>, full: &Setting, file: &Path) -> Result<Section, Error> {
    let title = format!("Page and pulls with {} pull records, {}", lab.records(), CORES.describe());
    let how = format!(
        "One blocking connection for each request, or one process for each command, beside the running instance; {ASKED} \
         times a round. The slowest answer of a round counts"
    );
    let mut section = Section::new(title, how);
    let server = Kind::Pullgate.start(lab, full)?;
    wait_until_ready(&server)?;
    for _ in 0..lab.rounds() {
        for path in [PAGE, SLOWEST].iter().chain(FILTERS) {
            ask(&server, path, &mut section)?;
        }
        for command in COMMANDS {
            list(lab, file, command, &mut section)?;
        }
    }
    if section.median(NEWEST, BYTES) < BYTES_LEAST {
        return Err(Error::Answer("the instance does not list the pulls of the file".to_owned()));
    }
    let slowest = |path: &str| section.median(path, MOST);
    let filters = FILTERS.iter().map(|path| slowest(path)).fold(0.0, f64::max);
    let commands = COMMANDS.iter().map(|command| slowest(command)).fold(0.0, f64::max);
    let (page, order) = (slowest(PAGE), slowest(SLOWEST));
    section.ratio("ms, the page", page, Goal::AtMost(PAGE_MOST));
    section.ratio("ms, order=slowest", order, Goal::AtMost(LIST_MOST));
    section.ratio("ms, the slowest of the filters", filters, Goal::AtMost(LIST_MOST));
    section.ratio("ms, the slowest of the commands", commands, Goal::AtMost(LIST_MOST));
    Ok(section)
}

fn ask(server: &Server, path: &str, section: &mut Section) -> Result<(), Error> {
    let target = Target::plain(admin(server)?, path);
    let answers = (0..ASKED).map(|_| fetch(&target)).collect::<Result<Vec<_>, _>>()?;
    let times: Vec<f64> = answers.iter().map(|answer| answer.wall.as_secs_f64() * 1e3).collect();
    section.add(path, P50, median(&times));
    section.add(path, MOST, times.iter().copied().fold(0.0, f64::max));
    section.add(path, BYTES, answers.iter().map(|answer| answer.bytes as f64).fold(0.0, f64::max));
    Ok(())
}

/// Runs a command that lists pulls, from its start to its end.
fn list(lab: &Lab<'_>, file: &Path, command: &str, section: &mut Section) -> Result<(), Error> {
    let config = file.with_extension("toml");
    fs::write(&config, format!("[records]\nfile = {file:?}\n")).doing("writing a configuration")?;
    let (mut times, mut most) = (Vec::new(), 0);
    for _ in 0..ASKED {
        let mut program = Command::new(&lab.options.pullgate);
        program.args(command.split(' ').skip(1)).arg("--config").arg(&config).stderr(Stdio::inherit());
        let began = Instant::now();
        let done = program.output().doing(command)?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        if !done.status.success() {
            return Err(Error::Answer(format!("`{command}` failed")));
        }
        most = most.max(done.stdout.len());
    }
    section.add(command, P50, median(&times));
    section.add(command, MOST, times.iter().copied().fold(0.0, f64::max));
    section.add(command, BYTES, most as f64);
    Ok(())
}

fn starts(lab: &Lab<'_>, empty: &Setting, full: &Setting) -> Result<Section, Error> {
    let title = format!("Start-up with {} pull records, {}", lab.records(), CORES.describe());
    let how = format!(
        "{STARTS} starts a round, the two files in turn. Ready: from starting the process until /readyz says so. Page: the \
         first one after that"
    );
    let mut section = Section::new(title, how);
    for _ in 0..STARTS * lab.rounds() {
        start(lab, EMPTY, empty, &mut section)?;
        start(lab, FULL, full, &mut section)?;
    }
    let later = section.median(FULL, READY) - section.median(EMPTY, READY);
    section.ratio("ready ms, full − empty", later, Goal::AtMost(LATER_MOST));
    section.ratio("ms, the first page", section.median(FULL, FIRST_PAGE), Goal::AtMost(PAGE_MOST));
    Ok(section.finish(lab))
}

fn start(lab: &Lab<'_>, name: &str, setting: &Setting, section: &mut Section) -> Result<(), Error> {
    let began = Instant::now();
    let server = Kind::Pullgate.start(lab, setting)?;
    wait_until_ready(&server)?;
    section.add(name, READY, began.elapsed().as_secs_f64() * 1e3);
    let page = fetch(&Target::plain(admin(&server)?, PAGE))?;
    section.add(name, FIRST_PAGE, page.wall.as_secs_f64() * 1e3);
    Ok(())
}

fn admin(server: &Server) -> Result<std::net::SocketAddr, Error> {
    server.admin().ok_or_else(|| Error::Answer("no admin endpoint".to_owned()))
}

const CORES: Cores = Cores::Shared;
const PAGE: &str = "/";
const NEWEST: &str = "/api/v1/pulls";
const SLOWEST: &str = "/api/v1/pulls?order=slowest";
/// Each filter alone, some that find nothing in the whole file, and some together.
const FILTERS: &[&str] = &[
    NEWEST,
    "/api/v1/pulls?limit=1000",
    "/api/v1/pulls?since=7d",
    "/api/v1/pulls?until=15d",
    "/api/v1/pulls?registry=third.example",
    "/api/v1/pulls?node=worker-7",
    "/api/v1/pulls?image=team-3/app-77:v1",
    "/api/v1/pulls?image=app",
    "/api/v1/pulls?image=nonsense",
    "/api/v1/pulls?outcome=stale",
    "/api/v1/pulls?outcome=absent",
    "/api/v1/pulls?failed=true",
    "/api/v1/pulls?node=worker-7&image=app-77&failed=true",
    "/api/v1/pulls?image=app&outcome=absent",
    "/api/v1/pulls?order=slowest&node=worker-7",
    "/api/v1/pulls?order=slowest&image=team-3/app-77:v1",
    "/api/v1/pulls?order=slowest&outcome=absent",
    "/api/v1/pulls?order=slowest&since=15d",
    "/api/v1/pulls?order=slowest&since=2d&until=1d",
];
/// The filters of the command.
const COMMANDS: &[&str] = &[
    "pullgate pulls",
    "pullgate pulls --slowest",
    "pullgate pulls --slowest --since 15d",
    "pullgate pulls --since 7d",
    "pullgate pulls --registry third.example",
    "pullgate pulls --image team-3/app-77:v1",
    "pullgate pulls --image nonsense",
    "pullgate pulls --node worker-7",
    "pullgate pulls --outcome stale",
    "pullgate pulls --failed",
    "pullgate pulls --limit 1000 -o json",
];
const ASKED: usize = 10;
const STARTS: usize = 5;
const EMPTY: &str = "empty file";
const FULL: &str = "full file";
const MOST: Measure = Measure { name: "slowest ms", digits: 1 };
const BYTES: Measure = Measure { name: "answer bytes", digits: 0 };
const READY: Measure = Measure { name: "ready ms", digits: 1 };
const FIRST_PAGE: Measure = Measure { name: "first page ms", digits: 1 };
/// The least bytes of a page of fifty pulls.
const BYTES_LEAST: f64 = 10_000.0;
const BYTES_MOST: f64 = 1_500.0;
const PAGE_MOST: f64 = 100.0;
const LIST_MOST: f64 = 300.0;
/// The waits for the listeners and for readiness look every 5 ms each, so that a smaller difference cannot be seen.
const LATER_MOST: f64 = 10.0;
