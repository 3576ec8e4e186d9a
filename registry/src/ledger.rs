//! What every upstream will still allow us, in one place for all who ask it: proxy and prober alike.
//!
//! Fed with each answer's [`Quota`] and each refusal, asked before each request. One line per registry, identity and
//! endpoint; whom the registry counts (the source) is known only from its answers, and another source is another quota.
//! Every method takes the time; nothing here waits. Who waits is in `admission`.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use crate::class::Class;
use crate::demand::{Demand, Reserve};
use crate::name::RegistryHost;
use crate::quota::Quota;

mod standing;

use standing::{Pause, Standing};

/// The quotas of all upstreams; one per process. Holds as many lines as are configured.
#[derive(Debug, Default)]
pub struct Ledger {
    lines: Mutex<HashMap<Line, Account>>,
    news: Notify,
}

/// Whose quota, where.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Line {
    /// The registry as configured.
    pub registry: RegistryHost,
    /// `anonymous`, or the upstream's short id.
    pub identity: String,
    /// Host and port of the endpoint: a mirror's quota is not the registry's own.
    pub endpoint: String,
}

/// What a request may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Price {
    /// Docker Hub counts manifest GETs, nothing else.
    Counted(Demand, Reserve),
    /// Only refused while the registry refuses everything.
    Free,
    /// A token exchange.
    Login,
}

/// Why a request should not go out now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Withheld {
    /// The class the registry gave, or would give.
    pub(crate) class: Class,
    /// When it is worth looking again.
    pub(crate) until: Option<Instant>,
    /// Did the registry itself name that time?
    pub(crate) told: bool,
    /// Is the answer to a request under way all that is waited for?
    pub(crate) on_trial: bool,
    /// May a free request find out that there is quota again?
    pub(crate) may_feel: bool,
    /// In words.
    pub(crate) message: String,
}

/// One quota, for people and metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlook {
    /// Whose it is.
    pub line: Line,
    /// The registry's last word, if there was one.
    pub stated: Option<Quota>,
    /// Counted requests that may still go out, by our own count.
    pub left: Option<u64>,
    /// How long that lasts at the present rate, after all that is queued; `None` when it is unlimited or nothing is spent.
    pub empty_in: Option<Duration>,
    /// Counted requests on their way or held.
    pub queued: u64,
    /// Requests held until there is quota again.
    pub held: u64,
    /// Why, and for how long, requests are not sent.
    pub paused: Option<(Class, Duration)>,
}

/// A place in the line of those who wait; gives it up when dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    ledger: &'a Ledger,
    line: Line,
    rank: Rank,
}

/// The more urgent demand first, then who came first.
type Rank = (Demand, u64);

#[derive(Debug, Default)]
struct Account {
    standing: Standing,
    waiting: BTreeSet<Rank>,
    arrivals: u64,
    /// Those who waited go one by one, not before this.
    next_release: Option<Instant>,
    felt: Option<Instant>,
}

impl Ledger {
    /// Lets a request out, or says why not. A counted one is spent by that; it must be settled.
    pub(crate) fn ask(
        &self,
        line: &Line,
        price: Price,
        place: Option<&Place<'_>>,
        now: Instant,
    ) -> Result<(), Withheld> {
        let mut lines = self.lines();
        released(&mut lines, line, price, place, now)?;
        if price.is_counted() {
            lines.entry(line.clone()).or_default().standing.spend(now);
        }
        Ok(())
    }

    /// Could a request go out now? Spends nothing.
    pub(crate) fn would(
        &self,
        line: &Line,
        price: Price,
        place: Option<&Place<'_>>,
        now: Instant,
    ) -> Result<(), Withheld> {
        released(&mut self.lines(), line, price, place, now)
    }

    /// The counted request that was let out at `asked` was not sent.
    pub(crate) fn take_back(&self, line: &Line, asked: Instant) {
        if let Some(account) = self.lines().get_mut(line) {
            account.standing.take_back(asked);
        }
        self.news.notify_waiters();
    }

    /// A request that was sent at `asked` has ended.
    pub(crate) fn settle(
        &self,
        line: &Line,
        counted: bool,
        asked: Instant,
        quota: Option<&Quota>,
        now: Instant,
    ) {
        let mut lines = self.lines();
        if quota.is_none() && !lines.contains_key(line) {
            return;
        }
        lines.entry(line.clone()).or_default().standing.settle(counted, asked, quota, now);
        drop(lines);
        self.news.notify_waiters();
    }

    /// A request was answered well.
    pub(crate) fn succeeded(&self, line: &Line, counted: bool) {
        if let Some(account) = self.lines().get_mut(line) {
            account.standing.succeeded(counted);
        }
        self.news.notify_waiters();
    }

    /// The registry refused with `class`; `wait` is how long it asks us to stay away.
    pub(crate) fn refused(&self, line: &Line, class: Class, wait: Option<Duration>, now: Instant) {
        let mut lines = self.lines();
        let standing = &mut lines.entry(line.clone()).or_default().standing;
        match class {
            Class::RatePullQuota => standing.refused(wait, now),
            Class::RateBurst => standing.too_fast(wait, now),
            _ => {}
        }
        drop(lines);
        self.news.notify_waiters();
    }

    /// The token endpoint refused with `class`.
    pub(crate) fn login_refused(&self, line: &Line, class: Class, wait: Option<Duration>, now: Instant) {
        self.lines().entry(line.clone()).or_default().standing.login_refused(class, wait, now);
    }

    /// Takes the right to find out, by a free request, whether there is quota again: one asks, at most every `every`.
    pub(crate) fn feel(&self, line: &Line, every: Duration, now: Instant) -> bool {
        let mut lines = self.lines();
        let Some(account) = lines.get_mut(line) else { return false };
        let heard = account.standing.word().map(|word| word.heard);
        let is_due = |at: Option<Instant>| at.is_none_or(|at| now.saturating_duration_since(at) >= every);
        let due = is_due(account.felt) && is_due(heard);
        if due {
            account.felt = Some(now);
        }
        due
    }

    /// Takes a place behind those of the same demand.
    pub(crate) fn queue(&self, line: &Line, demand: Demand) -> Place<'_> {
        let mut lines = self.lines();
        let account = lines.entry(line.clone()).or_default();
        account.arrivals += 1;
        let rank = (demand, account.arrivals);
        account.waiting.insert(rank);
        Place { ledger: self, line: line.clone(), rank }
    }

    /// Completes when something was learned that may let a waiting request out.
    pub(crate) fn news(&self) -> Notified<'_> {
        self.news.notified()
    }

    /// Every quota that something is known of, by registry, identity and endpoint.
    pub fn outlook(&self, now: Instant) -> Vec<Outlook> {
        let lines = self.lines();
        let tells =
            |outlook: &Outlook| outlook.stated.is_some() || outlook.paused.is_some() || outlook.held > 0;
        let all = lines.iter().map(|(line, account)| account.outlook(line, now));
        let mut all: Vec<_> = all.filter(tells).collect();
        all.sort_by(|one, other| one.line.cmp(&other.line));
        all
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<Line, Account>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Price {
    /// Does the registry count such requests?
    pub(crate) fn is_counted(self) -> bool {
        matches!(self, Self::Counted(..))
    }
}

impl Account {
    /// Lets a request go, and those who wait behind it a moment later.
    fn release(&mut self, price: Price, rank: Option<Rank>, now: Instant) -> Result<(), Withheld> {
        self.judge(price, rank, now)?;
        if rank.is_some() {
            self.next_release = Some(now + RELEASE_EVERY);
        }
        Ok(())
    }

    fn judge(&self, price: Price, rank: Option<Rank>, now: Instant) -> Result<(), Withheld> {
        let standing = &self.standing;
        let paused = |pause: Option<Pause>| pause.filter(|pause| now < pause.until);
        let (demand, reserve) = match price {
            Price::Login => {
                return paused(standing.login).map_or(Ok(()), |pause| Err(stay_away(pause)));
            }
            _ if let Some(pause) = paused(standing.burst) => return Err(stay_away(pause)),
            Price::Free => return self.paced(rank, now),
            Price::Counted(demand, reserve) => (demand, reserve),
        };
        if let Some(pause) = paused(standing.quota) {
            return Err(stay_away(pause));
        }
        let limit = standing.word().and_then(|word| word.quota.limit);
        let floor = demand.floor(reserve.of(limit));
        if let Some(left) = standing.left(now).filter(|left| *left <= floor) {
            return Err(too_little(left, floor, demand, standing.word().map(|word| &word.quota)));
        }
        if standing.awaits_trial() {
            let message =
                "the registry refused lately: one request finds out whether it still does".to_owned();
            return Err(Withheld { on_trial: true, ..Withheld::new(Class::RatePullQuota, message) });
        }
        self.in_turn(rank, now)
    }

    /// Who did not wait does not overtake those who do, and these go one by one.
    fn in_turn(&self, rank: Option<Rank>, now: Instant) -> Result<(), Withheld> {
        let ahead = match rank {
            Some(rank) => self.waiting.first().is_some_and(|first| *first < rank),
            None => !self.waiting.is_empty(),
        };
        if ahead { Err(not_yet(now + RELEASE_EVERY)) } else { self.paced(rank, now) }
    }

    fn paced(&self, rank: Option<Rank>, now: Instant) -> Result<(), Withheld> {
        let next = self.next_release.filter(|at| rank.is_some() && now < *at);
        next.map_or(Ok(()), |at| Err(not_yet(at)))
    }

    fn outlook(&self, line: &Line, now: Instant) -> Outlook {
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
            line: line.clone(),
            stated: self.standing.word().map(|word| word.quota.clone()),
            left: self.standing.left(now),
            empty_in: self.standing.empty_in(held, now),
            queued,
            held,
            paused: longest,
        }
    }
}

impl Withheld {
    fn new(class: Class, message: String) -> Self {
        Self { class, until: None, told: false, on_trial: false, may_feel: false, message }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(account) = self.ledger.lines().get_mut(&self.line) {
            account.waiting.remove(&self.rank);
        }
        self.ledger.news.notify_waiters();
    }
}

/// May a request go out? Where nothing is known of the line, it may.
fn released(
    lines: &mut HashMap<Line, Account>,
    line: &Line,
    price: Price,
    place: Option<&Place<'_>>,
    now: Instant,
) -> Result<(), Withheld> {
    let rank = place.map(|place| place.rank);
    lines.get_mut(line).map_or(Ok(()), |account| account.release(price, rank, now))
}

/// Its turn comes, one after the other.
fn not_yet(until: Instant) -> Withheld {
    let message = "others have waited longer for this registry".to_owned();
    Withheld { until: Some(until), on_trial: true, ..Withheld::new(Class::RatePullQuota, message) }
}

fn stay_away(pause: Pause) -> Withheld {
    let whose = if pause.told { "the registry asked us to stay away" } else { "the registry refused lately" };
    let may_feel = pause.class == Class::RatePullQuota && !pause.told;
    Withheld {
        until: Some(pause.until),
        told: pause.told,
        may_feel,
        ..Withheld::new(pause.class, whose.to_owned())
    }
}

fn too_little(left: u64, floor: u64, demand: Demand, stated: Option<&Quota>) -> Withheld {
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
        format!("the registry allows {left}{limit} pulls{source}; {what} wants more than {floor} left");
    Withheld { may_feel: true, ..Withheld::new(Class::RatePullQuota, message) }
}

/// Between two of those who waited.
const RELEASE_EVERY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    const RESERVE: Reserve = Reserve::Percent(10);

    fn line() -> Line {
        let registry = "registry.test".parse().expect("a registry");
        Line { registry, identity: "anonymous".to_owned(), endpoint: "registry.test".to_owned() }
    }

    fn counted(demand: Demand) -> Price {
        Price::Counted(demand, RESERVE)
    }

    fn quota(remaining: u64) -> Quota {
        let window = Some(Duration::from_secs(21_600));
        Quota { limit: Some(100), remaining: Some(remaining), window, source: None }
    }

    fn told(remaining: u64, now: Instant) -> Ledger {
        let ledger = Ledger::default();
        ledger.settle(&line(), false, now, Some(&quota(remaining)), now);
        ledger
    }

    fn class(asked: Result<(), Withheld>) -> Option<Class> {
        asked.err().map(|withheld| withheld.class)
    }

    #[tokio::test]
    async fn each_rank_stops_at_its_floor_and_a_pull_in_progress_last() {
        let now = Instant::now();
        for (left, allowed) in [(21, 4), (20, 3), (11, 3), (10, 2), (3, 2), (2, 1), (1, 1), (0, 0)] {
            let ledger = told(left, now);
            let goes = |demand: &&Demand| ledger.would(&line(), counted(**demand), None, now).is_ok();
            assert_eq!(Demand::ALL.iter().filter(goes).count(), allowed, "{left} left");
            assert!(ledger.ask(&line(), Price::Free, None, now).is_ok(), "HEADs and blobs are free");
        }
    }

    #[tokio::test]
    async fn the_three_refusals_pause_three_different_things() {
        let (now, wait) = (Instant::now(), Some(Duration::from_secs(5)));
        let paused = |ledger: &Ledger| {
            let prices = [counted(Demand::InProgress), Price::Free, Price::Login];
            prices.map(|price| class(ledger.would(&line(), price, None, now)))
        };
        let ledger = Ledger::default();
        ledger.refused(&line(), Class::RatePullQuota, wait, now);
        assert_eq!(paused(&ledger), [Some(Class::RatePullQuota), None, None]);
        let ledger = Ledger::default();
        ledger.refused(&line(), Class::RateBurst, wait, now);
        assert_eq!(paused(&ledger), [Some(Class::RateBurst), Some(Class::RateBurst), None]);
        let ledger = Ledger::default();
        ledger.login_refused(&line(), Class::RateLogin, wait, now);
        assert_eq!(paused(&ledger), [None, None, Some(Class::RateLogin)]);
        assert_eq!(ledger.outlook(now)[0].paused, Some((Class::RateLogin, Duration::from_secs(5))));
        let other = Line { identity: "dockerhub".to_owned(), ..line() };
        assert!(ledger.would(&other, Price::Login, None, now).is_ok(), "only of this identity");
    }

    #[tokio::test]
    async fn a_pause_of_token_exchanges_has_the_class_and_the_length_of_its_refusal() {
        let now = Instant::now();
        for (refused, seconds) in [(Class::RateLogin, 600), (Class::RateBurst, 2)] {
            let ledger = Ledger::default();
            ledger.login_refused(&line(), refused, None, now);
            assert_eq!(class(ledger.would(&line(), Price::Login, None, now)), Some(refused));
            assert_eq!(ledger.outlook(now)[0].paused, Some((refused, Duration::from_secs(seconds))));
        }
    }

    #[tokio::test]
    async fn those_who_waited_go_by_demand_and_arrival_one_by_one() {
        let now = Instant::now();
        let ledger = told(50, now);
        let first = ledger.queue(&line(), Demand::NewPull);
        let warming = ledger.queue(&line(), Demand::WarmUp);
        let begun = ledger.queue(&line(), Demand::InProgress);
        fn goes(ledger: &Ledger, demand: Demand, place: Option<&Place<'_>>, at: Instant) -> bool {
            ledger.ask(&line(), counted(demand), place, at).is_ok()
        }
        assert!(!goes(&ledger, Demand::NewPull, Some(&first), now), "a pull in progress goes before");
        assert!(!goes(&ledger, Demand::NewPull, None, now), "nobody overtakes those who wait");
        assert!(goes(&ledger, Demand::InProgress, Some(&begun), now));
        drop(begun);
        assert!(!goes(&ledger, Demand::NewPull, Some(&first), now), "not in the same moment");
        assert!(goes(&ledger, Demand::NewPull, Some(&first), now + RELEASE_EVERY));
        drop(first);
        assert!(goes(&ledger, Demand::WarmUp, Some(&warming), now + RELEASE_EVERY * 2));
        drop(warming);
        assert!(goes(&ledger, Demand::NewPull, None, now + RELEASE_EVERY * 2));
    }

    #[tokio::test]
    async fn after_a_pause_one_request_finds_out_for_all() {
        let now = Instant::now();
        let ledger = Ledger::default();
        let price = counted(Demand::NewPull);
        ledger.refused(&line(), Class::RatePullQuota, Some(Duration::from_secs(3)), now);
        let later = now + Duration::from_secs(3);
        assert!(ledger.ask(&line(), price, None, later).is_ok());
        let waits = ledger.ask(&line(), price, None, later).expect_err("one is on its way");
        assert!(waits.on_trial);
        ledger.settle(&line(), true, later, None, later);
        ledger.succeeded(&line(), true);
        assert!(ledger.ask(&line(), price, None, later).is_ok());
    }

    #[tokio::test]
    async fn the_outlook_says_what_is_left_held_and_paused() {
        let now = Instant::now();
        let ledger = told(30, now);
        assert!(ledger.ask(&line(), counted(Demand::NewPull), None, now).is_ok());
        ledger.refused(&line(), Class::RateBurst, Some(Duration::from_secs(7)), now);
        let _held = ledger.queue(&line(), Demand::NewPull);
        let outlook = ledger.outlook(now).remove(0);
        assert_eq!((outlook.left, outlook.queued, outlook.held), (Some(29), 2, 1));
        assert_eq!(outlook.paused, Some((Class::RateBurst, Duration::from_secs(7))));
        assert_eq!(outlook.empty_in, Some(Duration::from_secs(28 * 60)), "28 more at one a minute");
        assert_eq!(Ledger::default().outlook(now), []);
    }
}
