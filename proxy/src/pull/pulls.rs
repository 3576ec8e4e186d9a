//! Collects the requests of one pull into one record. No I/O; the time is an argument.
//!
//! A pull begins with a request for a manifest, by one client in one repository. The client's later requests for that
//! repository belong to the pull that expects them: the tag or digest that it began with, a manifest that its tag or its
//! index led to, a blob that its manifest names. It ends when every blob of the last image manifest was handed over, or
//! when the client has been quiet for [`super::pulling::QUIET`]: a node never asks for layers that it holds. After no
//! manifest could be served, a shorter silence ends it. A pull does not end while one of its requests runs.
//!
//! Clients with the same address, user agent and node name look like one client. Their simultaneous pulls of one tag
//! become one record. To ask for a tag again, after its answer and [`super::pulling::SETTLED`] of silence, begins another
//! pull: so each check of a tag leaves a record.

use std::collections::HashMap;

use tokio::time::Instant;

use super::puller::{Caller, Puller, Wanted};
use super::pulling::{End, Pull};
use super::record::PullRecord;

/// The pulls that have not ended.
#[derive(Debug, Default)]
pub(crate) struct Pulls {
    open: HashMap<Puller, Vec<Pull>>,
    /// The number of pulls, and the sum of their weights.
    pulls: usize,
    weight: usize,
    /// The number of the last pull.
    last: u64,
}

impl Pulls {
    /// Notes that a request of `puller` began. The number of the pull that it belongs to; then [`Self::ended`] must
    /// follow.
    pub(crate) fn began(
        &mut self,
        puller: &Puller,
        caller: &Caller<'_>,
        wanted: Wanted<'_>,
        now: Instant,
    ) -> Option<u64> {
        let open = self.open.get_mut(puller).and_then(|pulls| fitting(pulls, wanted, now));
        if let Some(pull) = open {
            pull.began();
            return Some(pull.number);
        }
        let Wanted::Manifest(reference, start) = wanted else { return None };
        if self.pulls >= OPEN_MAX {
            return None;
        }
        (self.pulls, self.last) = (self.pulls + 1, self.last + 1);
        let mut pull = Pull::new(self.last, puller, caller, (reference, start), now);
        pull.began();
        self.open.entry(puller.clone()).or_default().push(pull);
        Some(self.last)
    }

    /// Notes that a request of pull `number` of `puller` ended. Returns the record if the pull ended too.
    pub(crate) fn ended(
        &mut self,
        puller: &Puller,
        number: u64,
        end: End,
        now: Instant,
    ) -> Option<PullRecord> {
        let pulls = self.open.get_mut(puller)?;
        let at = pulls.iter().position(|pull| pull.number == number)?;
        let others = self.weight.saturating_sub(pulls[at].weight());
        pulls[at].ended(end, WEIGHT_MAX.saturating_sub(self.weight), now);
        self.weight = others + pulls[at].weight();
        if !pulls[at].is_complete() {
            return None;
        }
        let pull = pulls.swap_remove(at);
        if pulls.is_empty() {
            self.open.remove(puller);
        }
        self.forget(&pull);
        Some(pull.record(puller))
    }

    /// Ends the pulls whose clients have sent no request for [`QUIET`], and returns their records.
    pub(crate) fn quiet(&mut self, now: Instant) -> Vec<PullRecord> {
        self.take(|pull| pull.is_quiet(now))
    }

    /// All pulls, ended now.
    pub(crate) fn all(&mut self) -> Vec<PullRecord> {
        self.take(|_| true)
    }

    fn take(&mut self, ends: impl Fn(&Pull) -> bool) -> Vec<PullRecord> {
        let mut ended = Vec::new();
        for (puller, pulls) in &mut self.open {
            ended.extend(pulls.extract_if(.., |pull| ends(pull)).map(|pull| (puller.clone(), pull)));
        }
        self.open.retain(|_, pulls| !pulls.is_empty());
        ended.iter().for_each(|(_, pull)| self.forget(pull));
        ended.into_iter().map(|(puller, pull)| pull.record(&puller)).collect()
    }

    fn forget(&mut self, pull: &Pull) {
        self.pulls = self.pulls.saturating_sub(1);
        self.weight = self.weight.saturating_sub(pull.weight());
    }
}

/// The pull that a request belongs to: the one that expects it most surely, of several the one that began last.
fn fitting<'a>(pulls: &'a mut [Pull], wanted: Wanted<'_>, now: Instant) -> Option<&'a mut Pull> {
    let fit = |pull: &Pull| match wanted {
        Wanted::Manifest(reference, _) => pull.fits_manifest(reference, now),
        Wanted::Blob(digest) => Some(pull.fits_blob(digest)),
    };
    let best = pulls.iter_mut().filter_map(|pull| Some((fit(pull)?, pull)));
    best.max_by_key(|(fit, pull)| (*fit, pull.number)).map(|(_, pull)| pull)
}

/// The most pulls followed at once. Further pulls are served but not recorded.
const OPEN_MAX: usize = 4096;
/// The most objects and names of all open pulls together, of less than a kilobyte each; a record counts the objects
/// beyond it, and does not know the names.
const WEIGHT_MAX: usize = 65_536;
