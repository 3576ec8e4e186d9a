//! Before a request goes out: does the registry's quota, or its wish to be left alone, allow it? Who may wait, waits here.
//!
//! A refusal of ours has the class the registry gave and the reason `own_budget`: nothing was sent.

use std::time::Duration;

use http::Method;
use oci::OnExhausted;
use oci::class::{Class, Stage};
use oci::demand::Demand;
use tokio::time::{Instant, sleep_until};

use crate::client::request::UpstreamRequest;
use crate::client::walk::Walk;
use crate::error::{Error, Evidence, Reason};
use crate::health::callers::{CallerPauses, Paused};
use crate::observe::RequestKind;
use crate::quota::headers::Quota;
use crate::quota::ledger::{Ledger, Price, QuotaKey, Rank, Waiting, Withheld};
use crate::wire::target::Target;

/// A request that the ledger let out. It must be settled, or given back unsent; one that is dropped counts as sent.
pub(crate) struct Admitted<'a> {
    ledger: &'a dyn Ledger,
    key: QuotaKey,
    counted: bool,
    /// When it was let out.
    asked: Instant,
    /// The pauses of callers and this request's place in them, if it shows a caller's token: the quota in its answer is
    /// the caller's and not ours.
    callers: Option<(&'a CallerPauses, Paused)>,
    /// True until it is settled or given back.
    open: bool,
}

/// Sends a free HEAD. Its answer states the rest of the quota.
pub(crate) trait Look {
    /// Takes the walk's turn, through its breaker. Only the failure is of use: the ledger hears the rest.
    async fn look(&self, walk: &Walk<'_>) -> Result<(), Error>;
}

impl Walk<'_> {
    /// Lets the walk's question out, now or within its deadline.
    pub(crate) async fn admit(&self, look: &impl Look) -> Result<Admitted<'_>, Error> {
        let ledger = &*self.inner.outbound.ledger;
        let (key, price) = (self.quota_key(), self.price(self.question.kind));
        let callers = self.caller_pause()?;
        let begun = Instant::now();
        let asked = self.wait(&key, look, |rank, now| ledger.ask(&key, price, rank, now)).await;
        if let Some(trail) = &self.behalf.trail {
            trail.held(begun.elapsed());
        }
        let asked = asked?;
        Ok(Admitted { ledger, key, counted: price.is_counted(), asked, callers, open: true })
    }

    /// The place of the request in the pauses of callers; `None` if it shows no caller's token.
    ///
    /// # Errors
    /// `rate_pull_quota` while the caller's own quota is spent by the registry's word.
    fn caller_pause(&self) -> Result<Option<(&CallerPauses, Paused)>, Error> {
        let Some(caller) = self.caller() else { return Ok(None) };
        let counted = self.question.kind == RequestKind::ManifestGet;
        let request = Paused { endpoint: self.host(), caller: caller.id(), counted };
        let pauses = &self.inner.outbound.breakers.callers;
        let Some(until) = pauses.until(&request, Instant::now()) else {
            return Ok(Some((pauses, request)));
        };
        let message = "the registry refused this caller's token because its quota is spent".to_owned();
        let withheld = Withheld::new(Class::RatePullQuota, message);
        Err(self.withheld(Withheld { until: Some(until), told: true, ..withheld }, self.question.stage))
    }

    /// As [`Walk::admit`] for a counted request that somebody will make next, without spending it.
    pub(crate) async fn afford(&self, look: &impl Look) -> Result<(), Error> {
        let ledger = &*self.inner.outbound.ledger;
        let (key, price) = (self.quota_key(), self.price(RequestKind::ManifestGet));
        self.wait(&key, look, |rank, now| ledger.would(&key, price, rank, now)).await.map(drop)
    }

    /// Checks that a token may be exchanged now.
    pub(crate) fn admit_login(&self) -> Result<(), Error> {
        let asked = self.inner.outbound.ledger.would(&self.quota_key(), Price::Login, None, Instant::now());
        asked.map_err(|withheld| self.withheld(withheld, Stage::Token))
    }

    /// A token exchange of ours ended.
    pub(crate) fn exchanged(&self, error: Option<&Error>) {
        let Some(error) = error.filter(|error| error.evidence.status == Some(429)) else { return };
        let wait = error.evidence.retry_after;
        self.inner.outbound.ledger.login_refused(&self.quota_key(), error.class, wait, Instant::now());
    }

    /// After this refusal, may the request wait for quota and be sent again? Not where it would not wait: it would be sent
    /// again and again.
    pub(crate) fn may_ask_again(&self, error: &Error) -> bool {
        let is_counted = self.price(self.question.kind).is_counted();
        self.holds() && is_counted && is_refusal(error) && error.class == Class::RatePullQuota
    }

    /// True if a request that the quota does not allow is kept waiting. Not where another endpoint is still to be asked, nor where
    /// a stale answer or none at all does as well.
    fn holds(&self) -> bool {
        let policy = self.inner.upstream.on_exhausted;
        policy == OnExhausted::Hold && self.is_last && self.behalf.demand <= Demand::NewPull
    }

    /// Asks the ledger until it lets the request out, and returns when that was. Waits [`BRIEF`] at most; to the deadline,
    /// where requests are held.
    async fn wait(
        &self,
        key: &QuotaKey,
        look: &impl Look,
        ask: impl Fn(Option<Rank>, Instant) -> Result<(), Withheld>,
    ) -> Result<Instant, Error> {
        let ledger = &*self.inner.outbound.ledger;
        let hold = self.holds();
        let begun = Instant::now();
        let patience = if hold { self.deadline } else { self.deadline.min(begun + BRIEF) };
        let mut waiting = None;
        loop {
            // Before the question, so that nothing learned meanwhile is missed.
            let mut news = std::pin::pin!(ledger.news().notified());
            news.as_mut().enable();
            let now = Instant::now();
            let Err(withheld) = ask(waiting.as_ref().map(Waiting::rank), now) else { return Ok(now) };
            let every = if hold { LOOK_HELD } else { LOOK_RELEASED };
            if withheld.may_look && now < self.deadline && ledger.take_look(key, every, now) {
                self.look(look).await;
                continue;
            }
            let passes = withheld.after_others || withheld.until.is_some_and(|until| until <= patience);
            let hopeless = if hold { withheld.told && !passes } else { !passes };
            if hopeless || now >= patience {
                let observer = &self.inner.outbound.observer;
                observer.withheld(&key.registry, withheld.class, self.behalf.demand);
                return Err(self.withheld(withheld, self.question.stage));
            }
            waiting.get_or_insert_with(|| Waiting::enter(ledger, key, self.behalf.demand));
            let wake = withheld.until.unwrap_or(now + WAKE_EVERY).min(now + WAKE_EVERY).min(patience);
            tokio::select! {
                () = news => {}
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Asks for the manifest's headers, which is free, so that the ledger learns the rest of the quota. An open breaker
    /// forbids it.
    async fn look(&self, look: &impl Look) {
        let question = UpstreamRequest {
            kind: RequestKind::ManifestHead,
            stage: Stage::ManifestHead,
            asked: self.question.asked,
            method: Method::HEAD,
            repository: self.question.repository,
            path: self.question.path.clone(),
            query: Vec::new(),
            headers: self.question.headers.clone(),
            rest: None,
            read: None,
            deadline: self.deadline,
        };
        let walk = self.with(&question);
        if let Err(error) = look.look(&walk).await {
            tracing::debug!(registry = %self.inner.upstream.registry, %error, "the quota could not be read");
        }
    }

    fn price(&self, kind: RequestKind) -> Price {
        match kind {
            // A caller's own quota is between the caller and the registry.
            RequestKind::ManifestGet if self.caller().is_none() => {
                Price::Counted(self.behalf.demand, self.inner.upstream.quota_reserve)
            }
            _ => Price::Free,
        }
    }

    fn quota_key(&self) -> QuotaKey {
        QuotaKey {
            registry: self.inner.upstream.registry.clone(),
            identity: self.identity().to_owned(),
            endpoint: self.host(),
        }
    }

    fn host(&self) -> String {
        Target::of(&self.endpoint().url).map(|target| target.authority()).unwrap_or_default()
    }

    fn withheld(&self, withheld: Withheld, stage: Stage) -> Error {
        let Withheld { class, until, message, .. } = withheld;
        let evidence = Evidence::host(self.host()).because(Reason::OwnBudget).saying(&message);
        let retry_after = until.map(|until| until.saturating_duration_since(Instant::now()));
        Error::new(class, stage, Evidence { retry_after, ..evidence })
    }
}

impl Admitted<'_> {
    /// Notes that the request ended, what the endpoint said of the quota, and the failure. A failure of a host that the
    /// endpoint `redirected` to is not the registry's refusal.
    pub(crate) fn settle(mut self, quota: Option<&Quota>, error: Option<&Error>, redirected: bool) {
        self.open = false;
        let (now, ours) = (Instant::now(), self.callers.is_none());
        self.ledger.settle(&self.key, self.counted, self.asked, quota.filter(|_| ours), now);
        match error {
            None => self.ledger.succeeded(&self.key, self.counted),
            Some(error) if !redirected && is_refusal(error) => {
                let wait = error.evidence.retry_after;
                if let (Class::RatePullQuota, Some((pauses, request))) = (error.class, self.callers.take()) {
                    if let Some(wait) = wait {
                        pauses.pause(request, wait, now);
                    }
                } else if !self.counted && error.class == Class::RatePullQuota {
                    self.ledger.refused_free(&self.key, wait, now);
                } else {
                    self.ledger.refused(&self.key, error.class, wait, now);
                }
            }
            _ => {}
        }
    }

    /// The request did not go out after all.
    pub(crate) fn unsent(mut self) {
        self.open = false;
        if self.counted {
            self.ledger.take_back(&self.key, self.asked);
        }
        self.ledger.settle(&self.key, false, self.asked, None, Instant::now());
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if self.open {
            self.ledger.settle(&self.key, self.counted, self.asked, None, Instant::now());
        }
    }
}

/// True if the registry itself, not its token endpoint or blob host, asked us to slow down.
fn is_refusal(error: &Error) -> bool {
    matches!(error.class, Class::RatePullQuota | Class::RateBurst)
        && error.stage != Stage::Token
        && error.evidence.status == Some(429)
}

/// Every policy waits for this time: no client notices, and a pull is saved.
const BRIEF: Duration = Duration::from_secs(1);
/// Between two looks at the quota while requests are held.
const LOOK_HELD: Duration = Duration::from_secs(1);
/// Between two looks at the quota while requests are refused.
const LOOK_RELEASED: Duration = Duration::from_secs(30);
/// The longest sleep of a waiting request. It looks again then, because no registry reports that requests left the
/// window.
const WAKE_EVERY: Duration = Duration::from_secs(1);
