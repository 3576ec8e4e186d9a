//! Starts with a full cache, compared with starts with ten blobs.

use std::{fs, path::Path, thread::sleep, time::Duration};

use tokio::time::Instant;

use super::units::{P50, P99};
use crate::{
    client::{Target, fetch, probe},
    error::{Doing, Error},
    lab::Lab,
    pin::Cores,
    report::{Goal, Measure, Section},
    seed::{Amount, SIZE, Seeded, seed},
    servers::{Kind, Server, Setting, UPSTREAM},
    stats::quantile_ms,
    upstream::{Offer, Upstream},
};

/// First with ten and with a hundred thousand blobs in the page cache, then with a hundred thousand on the disk only.
pub(super) fn measure(lab: &Lab<'_>) -> Result<Vec<Section>, Error> {
    let many = if lab.options.quick { QUICK } else { MANY };
    let upstream = Upstream::start(&Offer { images: 1, layer: 1_000_000, rate: 0 })?;
    let title = format!(
        "Start-up with {} blobs, {} links and {} manifests, {}",
        many.blobs,
        many.blobs * SCOPES.len() + many.manifests,
        many.manifests,
        CORES.describe()
    );
    let how = format!(
        "One blocking connection, {SIZE} bytes an answer. Ready: from starting the process until /readyz says so. \
         First answer: until a cached blob has been read whole. Hits: ten blobs in turn; and all blobs, each asked once",
    );
    let mut section = Section::new(title, how);
    let (small, large) = (Stage::new(lab, FEW, &upstream)?, Stage::new(lab, many, &upstream)?);
    for _ in 0..lab.rounds() {
        small.take(lab, FEW_WARM, &mut section)?;
        large.take(lab, MANY_WARM, &mut section)?;
    }
    match drop_caches() {
        Ok(()) => large.take(lab, MANY_COLD, &mut section)?,
        Err(error) => section.note(format!("The page cache could not be dropped: {error}.")),
    }
    judge(&mut section);
    Ok(vec![section.finish(lab)])
}

fn judge(section: &mut Section) {
    let of = |subject: &str, measure| section.median(subject, measure);
    let ratio = |measure| of(MANY_WARM, measure) / of(FEW_WARM, measure);
    let (ready, p50, p99) = (of(MANY_WARM, READY), ratio(P50), ratio(P99));
    let waits = of(MANY_WARM, FIRST) / of(MANY_WARM, READY);
    section.ratio("ready s, warm", ready, Goal::AtMost(2.0));
    section.ratio("first answer / ready, warm", waits, Goal::Told);
    section.ratio("hit p50, many / ten", p50, Goal::AtMost(1.1));
    section.ratio("hit p99, many / ten", p99, Goal::AtMost(1.1));
}

struct Stage {
    setting: Setting,
    seeded: Seeded,
}

impl Stage {
    fn new(lab: &Lab<'_>, amount: Amount, upstream: &Upstream) -> Result<Self, Error> {
        let cache = lab.folder("seeded")?;
        let seeded = seed(&cache, amount, &SCOPES)?;
        let setting = Setting { cache: Some(cache), ..Setting::plain(CORES, upstream) };
        Ok(Self { setting, seeded })
    }

    fn take(&self, lab: &Lab<'_>, name: &str, section: &mut Section) -> Result<(), Error> {
        let began = Instant::now();
        let server = Kind::Pullgate.start(lab, &self.setting)?;
        fetch(&self.blob(&server, 0))?;
        section.add(name, FIRST, began.elapsed().as_secs_f64());
        wait_until_ready(&server)?;
        section.add(name, READY, began.elapsed().as_secs_f64());
        let manifest = server.target(&format!("/v2/app/manifests/{}", self.seeded.manifests[0]));
        fetch(&manifest)?;
        let ten: Vec<Target> = (0..FEW.blobs).map(|number| self.blob(&server, number)).collect();
        let hits = probe(&ten, Duration::ZERO, lab.slice() * 2, CORES)?;
        section.add(name, P50, quantile_ms(&hits, 0.5));
        section.add(name, P99, quantile_ms(&hits, 0.99));
        // The stride shares no factor with the count, so that neighbours on disk are not requested one after another.
        let count = self.seeded.blobs.len();
        let all: Vec<Target> =
            (0..count.min(SPREAD)).map(|step| self.blob(&server, step * 7919 % count)).collect();
        let hits = probe(&all, Duration::ZERO, lab.slice() * 2, CORES)?;
        section.add(name, SPREAD_P50, quantile_ms(&hits, 0.5));
        section.add(name, SPREAD_P99, quantile_ms(&hits, 0.99));
        Ok(())
    }

    fn blob(&self, server: &Server, number: usize) -> Target {
        server.target(&format!("/v2/app/blobs/{}", self.seeded.blobs[number]))
    }
}

/// Waits until `/readyz` of a pullgate says so.
pub(super) fn wait_until_ready(server: &Server) -> Result<(), Error> {
    let admin = server.admin().ok_or_else(|| Error::Answer("no admin endpoint".to_owned()))?;
    let until = Instant::now() + READY_LIMIT;
    while fetch(&Target::plain(admin, "/readyz")).is_err() {
        if Instant::now() > until {
            return Err(Error::Answer(format!("not ready within {READY_LIMIT:?}")));
        }
        sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn drop_caches() -> Result<(), Error> {
    rustix::fs::sync();
    fs::write(Path::new("/proc/sys/vm/drop_caches"), "3").doing("dropping the page cache (as root)")
}

const SCOPES: [&str; 3] = [UPSTREAM, "second.example", "third.example"];
const CORES: Cores = Cores::Shared;
const FEW: Amount = Amount { blobs: 10, manifests: 2 };
const QUICK: Amount = Amount { blobs: 10_000, manifests: 2_000 };
const MANY: Amount = Amount { blobs: 100_000, manifests: 20_000 };
const FEW_WARM: &str = "10 blobs, warm";
const MANY_WARM: &str = "many, warm";
const MANY_COLD: &str = "many, page cache dropped";
/// The largest number of different blobs to request.
const SPREAD: usize = 100_000;
const FIRST: Measure = Measure { name: "first answer s", digits: 3 };
const READY: Measure = Measure { name: "ready s", digits: 3 };
const SPREAD_P50: Measure = Measure { name: "all: p50 ms", digits: 3 };
const SPREAD_P99: Measure = Measure { name: "all: p99 ms", digits: 3 };
const READY_LIMIT: Duration = Duration::from_secs(60);
