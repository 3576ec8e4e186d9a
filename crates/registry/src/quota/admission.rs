//! The check before a request is sent: whether the registry's quota and its pauses allow it. A request that may wait
//! for quota, or for the end of a pause, waits here.
//!
//! A request that is withheld fails with the class of the registry's refusal and the reason `own_budget`, because
//! nothing was sent.

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

/// A request that the ledger admitted. It must be settled or given back unsent; if it is dropped, it counts as sent.
pub(crate) struct Admitted<'a> {
    ledger: &'a dyn Ledger,
    key: QuotaKey,
    counted: bool,
    /// The time of the admission.
    asked: Instant,
    /// The pauses of callers, and this request's key in them, if the request carries a caller's token. The quota that
    /// the answer states is then the caller's, not ours.
    callers: Option<(&'a CallerPauses, Paused)>,
    /// True until the request is settled or given back.
    open: bool,
}

/// Sends a free HEAD, whose answer states the remaining quota.
pub(crate) trait Look {
    /// Sends the request of the walk, if its breaker allows it. The ledger reads the answer's quota, so only a failure
    /// is returned.
    async fn look(&self, walk: &Walk<'_>) -> Result<(), Error>;
}

impl Walk<'_> {
    /// Admits the walk's request, now or after a wait within its deadline.
    pub(crate) async fn admit(&self, look: &impl Look) -> Result<Admitted<'_>, Error> {
        let ledger = &*self.inner.outbound.ledger;
        let (key, price) = (self.quota_key(), self.price(self.request.kind));
        let callers = self.caller_pause()?;
        let begun = Instant::now();
        let asked = self.wait(&key, look, |rank, now| ledger.ask(&key, price, rank, now)).await;
        if let Some(trail) = &self.behalf.trail {
            trail.held(begun.elapsed());
        }
        let asked = asked?;
        Ok(Admitted { ledger, key, counted: price.is_counted(), asked, callers, open: true })
    }

    /// The request's key in the pauses of callers; `None` if it carries no caller's token.
    ///
    /// # Errors
    /// `rate_pull_quota` while the caller is paused, because the caller's quota is spent.
    fn caller_pause(&self) -> Result<Option<(&CallerPauses, Paused)>, Error> {
        let Some(caller) = self.caller() else { return Ok(None) };
        let counted = self.request.kind == RequestKind::ManifestGet;
        let request = Paused { endpoint: self.host(), caller: caller.id(), counted };
        let pauses = &self.inner.outbound.breakers.callers;
        let Some(until) = pauses.until(&request, Instant::now()) else {
            return Ok(Some((pauses, request)));
        };
        let message = "the registry refused this caller's token because its quota is spent".to_owned();
        let withheld = Withheld::new(Class::RatePullQuota, message);
        Err(self.withheld(Withheld { until: Some(until), named: true, ..withheld }, self.request.stage))
    }

    /// Like [`Walk::admit`] for a manifest GET that the caller will make next, but spends nothing.
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

    /// Notes the end of one of our token exchanges.
    pub(crate) fn exchanged(&self, error: Option<&Error>) {
        let Some(error) = error.filter(|error| error.evidence.status == Some(429)) else { return };
        let wait = error.evidence.retry_after;
        self.inner.outbound.ledger.login_refused(&self.quota_key(), error.class, wait, Instant::now());
    }

    /// True if the request may be sent again after this refusal. False if the ledger would not hold the request until
    /// there is quota, because the request would then be repeated in a tight loop.
    pub(crate) fn may_ask_again(&self, error: &Error) -> bool {
        let is_counted = self.price(self.request.kind).is_counted();
        self.holds() && is_counted && is_refusal(error) && error.class == Class::RatePullQuota
    }

    /// True if a request that the quota does not allow is held. False if another endpoint can still be asked, or if the
    /// demand is low enough that a stale answer or none will do.
    fn holds(&self) -> bool {
        let policy = self.inner.upstream.on_exhausted;
        policy == OnExhausted::Hold && self.is_last && self.behalf.demand <= Demand::NewPull
    }

    /// Asks the ledger until it admits the request, and returns the time of the admission. Waits at most [`BRIEF`], or
    /// until the deadline if requests are held.
    async fn wait(
        &self,
        key: &QuotaKey,
        look: &impl Look,
        ask: impl Fn(Option<Rank>, Instant) -> Result<(), Withheld>,
    ) -> Result<Instant, Error> {
        let ledger = &*self.inner.outbound.ledger;
        let hold = self.holds();
        let begun = Instant::now();
        let wait_until = if hold { self.deadline } else { self.deadline.min(begun + BRIEF) };
        let mut waiting = None;
        loop {
            // Registered before the ledger is asked, so that no notification in between is missed.
            let mut news = std::pin::pin!(ledger.news().notified());
            news.as_mut().enable();
            let now = Instant::now();
            let Err(withheld) = ask(waiting.as_ref().map(Waiting::rank), now) else { return Ok(now) };
            let every = if hold { LOOK_HELD } else { LOOK_RELEASED };
            if withheld.may_look && now < self.deadline && ledger.take_look(key, every, now) {
                self.look(look).await;
                continue;
            }
            let ends_in_time =
                withheld.after_others || withheld.until.is_some_and(|until| until <= wait_until);
            let gives_up = if hold { withheld.named && !ends_in_time } else { !ends_in_time };
            if gives_up || now >= wait_until {
                let observer = &self.inner.outbound.observer;
                observer.withheld(&key.registry, withheld.class, self.behalf.demand);
                return Err(self.withheld(withheld, self.request.stage));
            }
            waiting.get_or_insert_with(|| Waiting::enter(ledger, key, self.behalf.demand));
            let wake = withheld.until.unwrap_or(now + WAKE_EVERY).min(now + WAKE_EVERY).min(wait_until);
            tokio::select! {
                () = news => {}
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Sends a free HEAD for the manifest, so that the ledger learns the remaining quota. An open breaker prevents it.
    async fn look(&self, look: &impl Look) {
        let request = UpstreamRequest {
            kind: RequestKind::ManifestHead,
            stage: Stage::ManifestHead,
            asked: self.request.asked,
            method: Method::HEAD,
            repository: self.request.repository,
            path: self.request.path.clone(),
            query: Vec::new(),
            headers: self.request.headers.clone(),
            rest: None,
            read: None,
            deadline: self.deadline,
        };
        let walk = self.with(&request);
        if let Err(error) = look.look(&walk).await {
            tracing::debug!(registry = %self.inner.upstream.registry, class = error.class.as_str(), evidence = %error, "the quota could not be read");
        }
    }

    fn price(&self, kind: RequestKind) -> Price {
        match kind {
            // The registry counts a caller's pulls against the caller's quota, not ours.
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
    /// Notes the end of the request, with the quota that the endpoint stated, and the failure. The failure of a host
    /// that the endpoint `redirected` to is not a refusal of the registry.
    pub(crate) fn settle(mut self, quota: Option<&Quota>, error: Option<&Error>, redirected: bool) {
        self.open = false;
        let (now, ours) = (Instant::now(), self.callers.is_none());
        self.ledger.settle(&self.key, self.counted, self.asked, quota.filter(|_| ours), now);
        match error {
            None => self.ledger.succeeded(&self.key, self.counted),
            Some(error) if !redirected && is_refusal(error) => {
                let wait = error.evidence.retry_after;
                if let (Class::RatePullQuota, Some((pauses, request))) = (error.class, self.callers.take()) {
                    pauses.pause(request, wait, now);
                } else if !self.counted && error.class == Class::RatePullQuota {
                    self.ledger.refused_free(&self.key, wait, now);
                } else {
                    self.ledger.refused(&self.key, error.class, wait, now);
                }
            }
            _ => {}
        }
    }

    /// Gives the admission back, because the request was not sent.
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

/// True if the registry itself, not its token endpoint or blob host, refused the request for its rate or quota.
fn is_refusal(error: &Error) -> bool {
    matches!(error.class, Class::RatePullQuota | Class::RateBurst)
        && error.stage != Stage::Token
        && error.evidence.status == Some(429)
}

/// The longest wait if requests are not held. It is too short for a client to notice, and it can save a pull.
const BRIEF: Duration = Duration::from_secs(1);
/// The time between two free HEADs for the quota while requests are held.
const LOOK_HELD: Duration = Duration::from_secs(1);
/// The time between two free HEADs for the quota while requests are refused.
const LOOK_RELEASED: Duration = Duration::from_secs(30);
/// The longest sleep of a waiting request. It then asks the ledger again, because no event marks the time when requests
/// leave the window.
const WAKE_EVERY: Duration = Duration::from_secs(1);
