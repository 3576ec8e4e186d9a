//! The ledger of this process, in memory: one entry for each registry, identity and endpoint.
//!
//! Only an answer names the source, which is the party whose pulls the registry counts. Each source has its own quota.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oci::class::Class;
use oci::demand::Demand;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::quota::headers::Quota;
use crate::quota::ledger::{Ledger, Outlook, Price, QuotaKey, Rank, Withheld};
use crate::quota::standing::{Pause, Standing};

/// The quotas of all upstreams; one ledger per process. The configured upstreams bound the number of entries.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    entries: Mutex<HashMap<QuotaKey, Entry>>,
    news: Notify,
}

/// One quota, and the requests that wait for it.
#[derive(Debug, Default)]
struct Entry {
    standing: Standing,
    waiting: BTreeSet<Rank>,
    arrivals: u64,
    /// The earliest time at which the next request that waited may be sent: they go one at a time, [`RELEASE_EVERY`]
    /// apart.
    next_release: Option<Instant>,
    /// The time at which a free request was last allowed to read the quota.
    looked: Option<Instant>,
}

impl MemoryLedger {
    fn entries(&self) -> MutexGuard<'_, HashMap<QuotaKey, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for MemoryLedger {
    fn ask(&self, key: &QuotaKey, price: Price, rank: Option<Rank>, now: Instant) -> Result<(), Withheld> {
        let mut entries = self.entries();
        release(&mut entries, key, price, rank, now)?;
        if price != Price::Login
            && let Some(entry) = entries.get_mut(key)
        {
            entry.standing.probe(now);
        }
        if price.is_counted() {
            entries.entry(key.clone()).or_default().standing.spend(now);
        }
        Ok(())
    }

    fn would(&self, key: &QuotaKey, price: Price, rank: Option<Rank>, now: Instant) -> Result<(), Withheld> {
        release(&mut self.entries(), key, price, rank, now)
    }

    fn take_back(&self, key: &QuotaKey, asked: Instant) {
        if let Some(entry) = self.entries().get_mut(key) {
            entry.standing.take_back(asked);
        }
        self.news.notify_waiters();
    }

    fn settle(&self, key: &QuotaKey, counted: bool, asked: Instant, quota: Option<&Quota>, now: Instant) {
        let mut entries = self.entries();
        if quota.is_none() && !entries.contains_key(key) {
            return;
        }
        entries.entry(key.clone()).or_default().standing.settle(counted, asked, quota, now);
        drop(entries);
        self.news.notify_waiters();
    }

    fn succeeded(&self, key: &QuotaKey, counted: bool) {
        if let Some(entry) = self.entries().get_mut(key) {
            entry.standing.succeeded(counted);
        }
        self.news.notify_waiters();
    }

    fn refused(&self, key: &QuotaKey, class: Class, wait: Option<Duration>, now: Instant) {
        let mut entries = self.entries();
        let standing = &mut entries.entry(key.clone()).or_default().standing;
        match class {
            Class::RatePullQuota => standing.refused(wait, now),
            Class::RateBurst => standing.too_fast(class, wait, now),
            _ => {}
        }
        drop(entries);
        self.news.notify_waiters();
    }

    fn refused_free(&self, key: &QuotaKey, wait: Option<Duration>, now: Instant) {
        let mut entries = self.entries();
        entries.entry(key.clone()).or_default().standing.too_fast(Class::RatePullQuota, wait, now);
        drop(entries);
        self.news.notify_waiters();
    }

    fn login_refused(&self, key: &QuotaKey, class: Class, wait: Option<Duration>, now: Instant) {
        self.entries().entry(key.clone()).or_default().standing.login_refused(class, wait, now);
    }

    fn take_look(&self, key: &QuotaKey, every: Duration, now: Instant) -> bool {
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(key) else { return false };
        let received = entry.standing.statement().map(|statement| statement.received);
        let is_due = |at: Option<Instant>| at.is_none_or(|at| now.saturating_duration_since(at) >= every);
        let due = is_due(entry.looked) && is_due(received);
        if due {
            entry.looked = Some(now);
        }
        due
    }

    fn enter(&self, key: &QuotaKey, demand: Demand) -> Rank {
        let mut entries = self.entries();
        let entry = entries.entry(key.clone()).or_default();
        entry.arrivals += 1;
        let rank = (demand, entry.arrivals);
        entry.waiting.insert(rank);
        rank
    }

    fn leave(&self, key: &QuotaKey, rank: Rank) {
        if let Some(entry) = self.entries().get_mut(key) {
            entry.waiting.remove(&rank);
        }
        self.news.notify_waiters();
    }

    fn news(&self) -> &Notify {
        &self.news
    }

    fn outlook(&self, now: Instant) -> Vec<Outlook> {
        let entries = self.entries();
        let tells =
            |outlook: &Outlook| outlook.stated.is_some() || outlook.paused.is_some() || outlook.held > 0;
        let all = entries.iter().map(|(key, entry)| entry.outlook(key, now));
        let mut all: Vec<_> = all.filter(tells).collect();
        all.sort_by(|one, other| one.key.cmp(&other.key));
        all
    }
}

impl Entry {
    /// Admits a request. If it waited, the next request that waits may go [`RELEASE_EVERY`] later.
    fn release(&mut self, price: Price, rank: Option<Rank>, now: Instant) -> Result<(), Withheld> {
        self.verdict(price, rank, now)?;
        if rank.is_some() {
            self.next_release = Some(now + RELEASE_EVERY);
        }
        Ok(())
    }

    fn verdict(&self, price: Price, rank: Option<Rank>, now: Instant) -> Result<(), Withheld> {
        let standing = &self.standing;
        let paused = |pause: Option<Pause>| pause.filter(|pause| now < pause.until);
        let (demand, reserve) = match price {
            Price::Login => {
                return paused(standing.login).map_or(Ok(()), |pause| Err(withheld_by_pause(pause)));
            }
            _ if let Some(pause) = paused(standing.burst) => {
                return Err(Withheld { may_look: false, ..withheld_by_pause(pause) });
            }
            _ if standing.is_probed(now) => {
                let message = "the registry refused lately: one request finds out whether it still refuses";
                let class = standing.burst.map_or(Class::RateBurst, |pause| pause.class);
                return Err(Withheld { after_others: true, ..Withheld::new(class, message.to_owned()) });
            }
            Price::Free => return self.paced(rank, now),
            Price::Counted(demand, reserve) => (demand, reserve),
        };
        if let Some(pause) = paused(standing.quota) {
            return Err(withheld_by_pause(pause));
        }
        let limit = standing.statement().and_then(|statement| statement.quota.limit);
        let floor = demand.floor(reserve.of(limit));
        if let Some(left) = standing.left(now).filter(|left| *left <= floor) {
            return Err(withheld_by_quota(
                left,
                floor,
                demand,
                standing.statement().map(|statement| &statement.quota),
            ));
        }
        if standing.awaits_trial() {
            let message =
                "the registry refused lately: one request finds out whether it still refuses".to_owned();
            return Err(Withheld { after_others: true, ..Withheld::new(Class::RatePullQuota, message) });
        }
        self.in_turn(rank, now)
    }

    /// Requests that wait go in the order of their rank, and one that has not waited must queue behind them.
    fn in_turn(&self, rank: Option<Rank>, now: Instant) -> Result<(), Withheld> {
        let ahead = match rank {
            Some(rank) => self.waiting.first().is_some_and(|first| *first < rank),
            None => !self.waiting.is_empty(),
        };
        if ahead { Err(withheld_by_queue(now + RELEASE_EVERY)) } else { self.paced(rank, now) }
    }

    /// Spaces requests that waited by [`RELEASE_EVERY`].
    fn paced(&self, rank: Option<Rank>, now: Instant) -> Result<(), Withheld> {
        let next = self.next_release.filter(|at| rank.is_some() && now < *at);
        next.map_or(Ok(()), |at| Err(withheld_by_queue(at)))
    }

    fn outlook(&self, key: &QuotaKey, now: Instant) -> Outlook {
        let held = self.waiting.len() as u64;
        let queued = held + self.standing.in_flight();
        let pauses = [self.standing.burst, self.standing.quota, self.standing.login];
        let longest = pauses
            .into_iter()
            .flatten()
            .filter_map(|pause| Some((pause.class, pause.until.checked_duration_since(now)?)))
            .filter(|(_, time)| !time.is_zero())
            .max_by_key(|(_, time)| *time);
        Outlook {
            key: key.clone(),
            stated: self.standing.statement().map(|statement| statement.quota.clone()),
            left: self.standing.left(now),
            empty_in: self.standing.empty_in(held, now),
            queued,
            held,
            paused: longest,
        }
    }
}

/// Admits a request, or returns the reason why not. A request for an unknown quota is admitted.
fn release(
    entries: &mut HashMap<QuotaKey, Entry>,
    key: &QuotaKey,
    price: Price,
    rank: Option<Rank>,
    now: Instant,
) -> Result<(), Withheld> {
    entries.get_mut(key).map_or(Ok(()), |entry| entry.release(price, rank, now))
}

/// Withholds a request because others have waited longer.
fn withheld_by_queue(until: Instant) -> Withheld {
    let message = "others have waited longer for this registry".to_owned();
    Withheld { until: Some(until), after_others: true, ..Withheld::new(Class::RatePullQuota, message) }
}

fn withheld_by_pause(pause: Pause) -> Withheld {
    let message = if pause.named { "the registry asked us to wait" } else { "the registry refused lately" };
    let may_look = pause.class == Class::RatePullQuota && !pause.named;
    Withheld {
        until: Some(pause.until),
        named: pause.named,
        may_look,
        ..Withheld::new(pause.class, message.to_owned())
    }
}

fn withheld_by_quota(left: u64, floor: u64, demand: Demand, stated: Option<&Quota>) -> Withheld {
    let limit = stated.and_then(|quota| quota.limit).map_or_else(String::new, |limit| format!(" of {limit}"));
    let source = stated.and_then(|quota| quota.source.as_deref());
    let source = source.map_or_else(String::new, |source| format!(" for {source}"));
    let what = match demand {
        Demand::InProgress => "a pull in progress",
        Demand::NewPull => "a new pull",
        Demand::Revalidation => "keeping a tag fresh",
        Demand::WarmUp => "warming",
    };
    let message =
        format!("the registry allows {left}{limit} pulls{source}; {what} needs more than {floor} left");
    Withheld { may_look: true, ..Withheld::new(Class::RatePullQuota, message) }
}

/// The time between two requests that waited.
const RELEASE_EVERY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::ledger::Waiting;
    use oci::demand::Reserve;

    const RESERVE: Reserve = Reserve::Percent(10);

    fn key() -> QuotaKey {
        let registry = "registry.test".parse().expect("a registry");
        QuotaKey { registry, identity: "anonymous".to_owned(), endpoint: "registry.test".to_owned() }
    }

    fn counted(demand: Demand) -> Price {
        Price::Counted(demand, RESERVE)
    }

    fn quota(remaining: u64) -> Quota {
        let window = Some(Duration::from_secs(21_600));
        Quota { limit: Some(100), remaining: Some(remaining), window, source: None }
    }

    fn stating(remaining: u64, now: Instant) -> MemoryLedger {
        let ledger = MemoryLedger::default();
        ledger.settle(&key(), false, now, Some(&quota(remaining)), now);
        ledger
    }

    fn class(asked: Result<(), Withheld>) -> Option<Class> {
        asked.err().map(|withheld| withheld.class)
    }

    #[tokio::test]
    async fn each_demand_stops_at_its_floor_and_a_pull_in_progress_last() {
        let now = Instant::now();
        for (left, allowed) in [(21, 4), (20, 3), (11, 3), (10, 2), (3, 2), (2, 1), (1, 1), (0, 0)] {
            let ledger = stating(left, now);
            let goes = |demand: &&Demand| ledger.would(&key(), counted(**demand), None, now).is_ok();
            assert_eq!(Demand::ALL.iter().filter(goes).count(), allowed, "{left} left");
            assert!(ledger.ask(&key(), Price::Free, None, now).is_ok(), "HEADs and blobs are free");
        }
    }

    #[tokio::test]
    async fn the_three_refusals_pause_three_different_things() {
        let (now, wait) = (Instant::now(), Some(Duration::from_secs(5)));
        let paused = |ledger: &MemoryLedger| {
            let prices = [counted(Demand::InProgress), Price::Free, Price::Login];
            prices.map(|price| class(ledger.would(&key(), price, None, now)))
        };
        let ledger = MemoryLedger::default();
        ledger.refused(&key(), Class::RatePullQuota, wait, now);
        assert_eq!(paused(&ledger), [Some(Class::RatePullQuota), None, None]);
        let ledger = MemoryLedger::default();
        ledger.refused(&key(), Class::RateBurst, wait, now);
        assert_eq!(paused(&ledger), [Some(Class::RateBurst), Some(Class::RateBurst), None]);
        let ledger = MemoryLedger::default();
        ledger.login_refused(&key(), Class::RateLogin, wait, now);
        assert_eq!(paused(&ledger), [None, None, Some(Class::RateLogin)]);
        assert_eq!(ledger.outlook(now)[0].paused, Some((Class::RateLogin, Duration::from_secs(5))));
        let other = QuotaKey { identity: "dockerhub".to_owned(), ..key() };
        assert!(ledger.would(&other, Price::Login, None, now).is_ok(), "only this identity is paused");
    }

    #[tokio::test]
    async fn a_pause_of_token_exchanges_has_the_class_and_the_length_of_its_refusal() {
        let now = Instant::now();
        for (refused, seconds) in [(Class::RateLogin, 600), (Class::RateBurst, 2)] {
            let ledger = MemoryLedger::default();
            ledger.login_refused(&key(), refused, None, now);
            assert_eq!(class(ledger.would(&key(), Price::Login, None, now)), Some(refused));
            assert_eq!(ledger.outlook(now)[0].paused, Some((refused, Duration::from_secs(seconds))));
        }
    }

    #[tokio::test]
    async fn waiting_requests_go_by_demand_and_arrival_one_at_a_time() {
        let now = Instant::now();
        let ledger = stating(50, now);
        let first = Waiting::enter(&ledger, &key(), Demand::NewPull);
        let warming = Waiting::enter(&ledger, &key(), Demand::WarmUp);
        let begun = Waiting::enter(&ledger, &key(), Demand::InProgress);
        fn goes(ledger: &MemoryLedger, demand: Demand, waiting: Option<&Waiting<'_>>, at: Instant) -> bool {
            ledger.ask(&key(), counted(demand), waiting.map(Waiting::rank), at).is_ok()
        }
        assert!(!goes(&ledger, Demand::NewPull, Some(&first), now), "a pull in progress goes before");
        assert!(!goes(&ledger, Demand::NewPull, None, now), "a new request does not overtake waiting ones");
        assert!(goes(&ledger, Demand::InProgress, Some(&begun), now));
        drop(begun);
        assert!(!goes(&ledger, Demand::NewPull, Some(&first), now), "requests that waited are spaced");
        assert!(goes(&ledger, Demand::NewPull, Some(&first), now + RELEASE_EVERY));
        drop(first);
        assert!(goes(&ledger, Demand::WarmUp, Some(&warming), now + RELEASE_EVERY * 2));
        drop(warming);
        assert!(goes(&ledger, Demand::NewPull, None, now + RELEASE_EVERY * 2));
    }

    #[tokio::test]
    async fn after_a_pause_one_request_tries_and_the_others_wait_for_its_answer() {
        let now = Instant::now();
        let ledger = MemoryLedger::default();
        let price = counted(Demand::NewPull);
        ledger.refused(&key(), Class::RatePullQuota, Some(Duration::from_secs(3)), now);
        let later = now + Duration::from_secs(3);
        assert!(ledger.ask(&key(), price, None, later).is_ok());
        let waits = ledger.ask(&key(), price, None, later).expect_err("one is on its way");
        assert!(waits.after_others);
        ledger.settle(&key(), true, later, None, later);
        ledger.succeeded(&key(), true);
        assert!(ledger.ask(&key(), price, None, later).is_ok());
    }

    #[tokio::test]
    async fn the_outlook_states_requests_left_and_held_and_the_pause() {
        let now = Instant::now();
        let ledger = stating(30, now);
        assert!(ledger.ask(&key(), counted(Demand::NewPull), None, now).is_ok());
        ledger.refused(&key(), Class::RateBurst, Some(Duration::from_secs(7)), now);
        let _held = Waiting::enter(&ledger, &key(), Demand::NewPull);
        let outlook = ledger.outlook(now).remove(0);
        assert_eq!((outlook.left, outlook.queued, outlook.held), (Some(29), 2, 1));
        assert_eq!(outlook.paused, Some((Class::RateBurst, Duration::from_secs(7))));
        assert_eq!(outlook.empty_in, Some(Duration::from_secs(28 * 60)), "28 more at one a minute");
        assert_eq!(MemoryLedger::default().outlook(now), []);
    }
}
