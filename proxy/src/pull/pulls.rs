//! Collects the requests of one pull into one record. No I/O; the time is an argument.
//!
//! A pull begins with a request for a manifest, by one client in one repository. The client's later requests for that
//! repository belong to the pull that they match best: a request for the tag or digest that the pull began with, for a
//! manifest that this tag or an index of the pull names, or for a blob that a manifest of the pull names. A pull ends
//! when the client has every blob of the last image manifest, or has sent no request for [`super::pulling::QUIET`]: a
//! node does not request layers that it already has. If no manifest could be served,
//! [`super::pulling::QUIET_AFTER_FAILURE`] is enough. A pull does not end while one of its requests runs.
//!
//! Clients with the same address, user agent and node name count as one client. Their simultaneous pulls of one tag
//! become one record. If a client requests a tag again, after the first answer and after [`super::pulling::SETTLED`]
//! without a request, another pull begins. So each check of a tag has a record.

use std::collections::HashMap;

use tokio::time::Instant;

use super::puller::{Caller, Puller, Wanted};
use super::pulling::{End, Pull};
use super::record::PullRecord;

/// The pulls that have not ended.
#[derive(Debug, Default)]
pub(crate) struct Pulls {
    open: HashMap<Puller, Vec<Pull>>,
    /// The number of open pulls.
    pulls: usize,
    /// The sum of their weights.
    weight: usize,
    /// The number of the last pull.
    last: u64,
}

impl Pulls {
    /// Notes that a request of `puller` began. Returns the number of the pull that the request belongs to, and then
    /// [`Self::ended`] must be called when the request ends. `None` if the request belongs to no pull.
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

    /// Ends the pulls whose clients have sent no request for long enough ([`Pull::is_quiet`]), and returns their
    /// records.
    pub(crate) fn quiet(&mut self, now: Instant) -> Vec<PullRecord> {
        self.take(|pull| pull.is_quiet(now))
    }

    /// Ends all pulls now, and returns their records.
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

/// The pull that a request belongs to: the pull with the highest fit; among equal ones, the pull that began last.
fn fitting<'a>(pulls: &'a mut [Pull], wanted: Wanted<'_>, now: Instant) -> Option<&'a mut Pull> {
    let fit = |pull: &Pull| match wanted {
        Wanted::Manifest(reference, _) => pull.fits_manifest(reference, now),
        Wanted::Blob(digest) => Some(pull.fits_blob(digest)),
    };
    let best = pulls.iter_mut().filter_map(|pull| Some((fit(pull)?, pull)));
    best.max_by_key(|(fit, pull)| (*fit, pull.number)).map(|(_, pull)| pull)
}

/// The largest number of open pulls. Further pulls are served but not recorded.
const OPEN_MAX: usize = 4096;
/// The largest number of objects and names in all open pulls together, each of less than a kilobyte. Objects beyond it
/// are only counted in the record, and names beyond it are unknown.
const WEIGHT_MAX: usize = 65_536;
