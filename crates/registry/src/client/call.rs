//! One request to one endpoint: the answer to a challenge, the redirects, and the verdict on the final answer.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use oci::class::{Class, Stage};
use oci::credential::Secret;
use tokio::time::Instant;
use url::{Origin, Url};

use crate::auth::authorize::Authorization;
use crate::auth::challenge::{Bearer, Challenge};
use crate::classify::Asked;
use crate::client::account::Account;
use crate::client::walk::{Given, Landed, Walk, Walked};
use crate::error::{Error, Evidence, Reason};
use crate::observe::RequestKind;
use crate::quota::admission::Admitted;
use crate::timings::Timings;
use crate::trust::Follow;
use crate::wire::read::drain;
use crate::wire::target::Target;
use crate::wire::transport::Reply;
use oci::mark::VIA;

impl Walk<'_> {
    /// Sends the admitted request, and settles its admission.
    pub(crate) async fn run<T>(
        &self,
        admitted: Admitted<'_>,
        make: impl Fn(Given) -> Result<T, Error>,
    ) -> Result<Walked<T>, Error> {
        let mut account = self.account(self.request.kind);
        let ended = match self.ask(&mut account).await {
            Ok(given) => {
                let (host, peer) = (given.evidence.host.clone(), given.peer);
                make(given).map(|value| (value, host, peer))
            }
            Err(error) => Err(error),
        };
        if account.sent {
            admitted.settle(account.quota.as_ref(), ended.as_ref().err(), account.redirected);
        } else {
            admitted.unsent();
        }
        match ended {
            Ok((value, host, peer)) => {
                account.good = true;
                Ok(Walked { value, endpoint: self.endpoint, host, peer, account })
            }
            Err(error) => {
                account.report(Some(error.class));
                Err(error.with_timings(account.timings))
            }
        }
    }

    /// Sends the request, and repeats it after each challenge that may be answered: a 401 to a request without a token,
    /// or with a cached token. A 401 to a fresh token is final.
    async fn ask(&self, account: &mut Account) -> Result<Given, Error> {
        let mut authorization = self.upfront(account).await?;
        let mut renewed = false;
        loop {
            let landed = self.follow(authorization.as_ref(), account).await?;
            if self.is_expired(&landed) && !std::mem::replace(&mut renewed, true) && self.inner.may_retry() {
                drain(landed.reply.response.into_body(), self.deadline).await;
                continue;
            }
            let waited = landed.reply.waited;
            let refused = landed.reply.response.status() == StatusCode::UNAUTHORIZED && !landed.redirected;
            if refused {
                self.note_challenge(landed.reply.response.headers());
            }
            let is_final = authorization.as_ref().is_some_and(Authorization::is_final);
            if !refused || is_final || self.request.kind == RequestKind::Ping {
                account.timings.add(self.request.stage, waited);
                return self.verdict(landed, authorization.as_ref(), account).await;
            }
            let Some(challenge) = self.challenge(landed.reply.response.headers()) else {
                account.timings.add(self.request.stage, waited);
                return self.verdict(landed, authorization.as_ref(), account).await;
            };
            account.timings.add(Stage::Challenge, waited);
            account.sent = false;
            // The answer is read to its end, so that its connection can be reused.
            drain(landed.reply.response.into_body(), self.deadline).await;
            authorization = Some(self.meet(challenge, authorization, account).await?);
        }
    }

    /// True if a blob host refuses a signed URL, which may have expired: the registry can sign a new one (design
    /// decision 18).
    fn is_expired(&self, landed: &Landed) -> bool {
        let status = landed.reply.response.status();
        landed.redirected && status == StatusCode::FORBIDDEN && self.request.asked == Asked::Blob
    }

    /// Sends the request and follows its redirects, at most [`REDIRECTS_MAX`]. Each redirect is checked, and
    /// credentials are not sent to another host. If another host is a registry of its own (registry.k8s.io redirects to
    /// regional ones) and answers with a challenge, we get an anonymous token for it.
    async fn follow(
        &self,
        authorization: Option<&Authorization>,
        account: &mut Account,
    ) -> Result<Landed, Error> {
        let mut url = self.url();
        let origin = url.origin();
        let mut waited = Duration::ZERO;
        let mut hop = 0;
        let mut foreign: Option<(Origin, Authorization)> = None;
        loop {
            let redirected = url.origin() != origin;
            let authorization = match &foreign {
                Some((at, token)) if *at == url.origin() => Some(token),
                _ => authorization.filter(|_| !redirected),
            };
            let mut reply = self.hop(&url, redirected, authorization, &mut waited, account).await?;
            if redirected
                && foreign.is_none()
                && let Some(wanted) = foreign_challenge(&reply)
            {
                drain(reply.response.into_body(), self.deadline).await;
                foreign = Some((url.origin(), self.foreign_token(&url, &wanted, account).await?));
                continue;
            }
            if !is_redirect(reply.response.status()) {
                reply.waited = waited;
                let signatures = if redirected { signatures(&url) } else { Vec::new() };
                return Ok(Landed { reply, redirected, signatures });
            }
            let next = self.redirect(&url, &reply, hop)?;
            drain(reply.response.into_body(), self.deadline).await;
            url = next;
            hop += 1;
        }
    }

    /// Sends one HTTP request. For a host that a redirect led to, all time counts as waiting for the answer, not as
    /// stages of the connection to the registry.
    async fn hop(
        &self,
        url: &Url,
        redirected: bool,
        authorization: Option<&Authorization>,
        waited: &mut Duration,
        account: &mut Account,
    ) -> Result<Reply, Error> {
        let mut headers = self.headers();
        if let Some(authorization) = authorization {
            headers.insert(header::AUTHORIZATION, authorization.header());
        }
        headers.extend(self.if_range(url).map(|tag| (header::IF_RANGE, tag)));
        let outgoing = self.request(url.clone(), headers);
        let transport = &self.inner.transport;
        if !redirected {
            let sent = transport.send(&outgoing, &self.pool, &mut account.timings).await;
            account.sent |= sent.as_ref().err().is_none_or(|error| error.stage == outgoing.stage);
            let reply = sent?;
            account.answered(reply.response.status().as_u16());
            *waited += reply.waited;
            return Ok(reply);
        }
        self.check_host(url)?;
        let begun = Instant::now();
        let sent = transport.send(&outgoing, &self.pool, &mut Timings::default()).await;
        *waited += begun.elapsed();
        if let Ok(reply) = &sent {
            account.answered(reply.response.status().as_u16());
        }
        sent.map_err(|error| {
            account.timings.add(self.request.stage, *waited);
            self.elsewhere(error)
        })
    }

    /// Fails if the redirect target `url` is on a host that is still paused.
    fn check_host(&self, url: &Url) -> Result<(), Error> {
        let Some(host) = Target::of(url).map(|target| target.authority()) else { return Ok(()) };
        let Some(left) = self.inner.outbound.breakers.hosts.left(&host, Instant::now()) else {
            return Ok(());
        };
        let evidence = Evidence { retry_after: Some(left), ..Evidence::host(host) };
        let evidence = evidence.because(Reason::OwnBudget).saying("the host asked us to wait");
        Err(self.elsewhere(Error::new(Class::RateBurst, self.request.stage, evidence)))
    }

    /// The entity tag of the broken transfer, if the host of `url` sent it.
    fn if_range(&self, url: &Url) -> Option<HeaderValue> {
        let validator = self.request.rest?.validator.as_ref()?;
        let same = Target::of(url)?.authority() == validator.host;
        HeaderValue::from_str(&validator.etag).ok().filter(|_| same)
    }

    fn redirect(&self, from: &Url, reply: &Reply, hop: usize) -> Result<Url, Error> {
        let evidence = self.evidence(reply);
        let garbage = |reason, message: &str| {
            let evidence = evidence.clone().because(reason).saying(message);
            Err(Error::new(Class::ProtocolGarbage, self.request.stage, evidence))
        };
        if hop == REDIRECTS_MAX {
            return garbage(Reason::RedirectLimit, &format!("more than {REDIRECTS_MAX} redirects"));
        }
        let location = reply.response.headers().get(header::LOCATION).and_then(|it| it.to_str().ok());
        let Some(location) = location else {
            return garbage(Reason::BadRedirect, "a redirect without a readable Location");
        };
        let upstream = &self.inner.upstream;
        upstream.zone.check_redirect(&upstream.registry, from, location).map_err(|refusal| {
            let host = from.join(location).ok().as_ref().and_then(Target::of).map(|it| it.authority());
            let evidence =
                Evidence { status: evidence.status, ..Evidence::host(host.unwrap_or(evidence.host)) };
            let evidence = evidence.because(refusal.reason).saying(&refusal.message);
            Error::new(Class::TrustRefused, self.request.stage, evidence)
        })
    }

    /// The failure of a host that a redirect led to. For blobs it has the class `blob_host`, and the message names the
    /// cause.
    fn elsewhere(&self, error: Error) -> Error {
        let blob = matches!(self.request.kind, RequestKind::BlobGet | RequestKind::BlobHead);
        if !blob || error.class == Class::TrustRefused {
            let evidence = error.evidence.clone();
            return Error::new(error.class, self.request.stage, evidence);
        }
        let message = error.evidence.message.as_deref().unwrap_or_default();
        let evidence = error.evidence.clone().saying(&format!("{}: {message}", error.class));
        Error::new(Class::BlobHost, self.request.stage, evidence)
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = self.own_headers();
        headers.extend(self.request.headers.clone());
        let instance = &self.inner.outbound.instance;
        let via = match &*self.behalf.via {
            "" => instance.to_string(),
            via => format!("{via}, {instance}"),
        };
        if let Ok(value) = HeaderValue::from_str(&via) {
            headers.insert(VIA, value);
        }
        headers
    }

    fn url(&self) -> Url {
        let mut url = bare(self.endpoint().url.clone());
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&match self.repository() {
            Some(repository) => format!("{base}/v2/{repository}/{}", self.request.path),
            None => format!("{base}/v2/"),
        });
        for (name, value) in &self.request.query {
            url.query_pairs_mut().append_pair(name, value);
        }
        if self.endpoint().send_ns {
            url.query_pairs_mut().append_pair("ns", self.inner.upstream.registry.as_str());
        }
        url
    }
}

/// The URL without user name and password. Credentials are configured elsewhere.
fn bare(mut url: Url) -> Url {
    // This fails only for URLs that cannot have a user name.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url
}

/// The query values of a signed URL, which may be signatures. They allow access, so no error may contain them, and some
/// blob hosts repeat them in refusals.
fn signatures(url: &Url) -> Vec<Secret> {
    let values = url.query_pairs().map(|(_, value)| value.into_owned());
    values.filter(|value| value.len() >= SIGNATURE_MIN).map(Secret::new).collect()
}

/// The Bearer challenge in the 401 of a host that a redirect led to.
fn foreign_challenge(reply: &Reply) -> Option<Bearer> {
    let refused = reply.response.status() == StatusCode::UNAUTHORIZED;
    match refused.then(|| Challenge::from_headers(reply.response.headers()).ok()).flatten()? {
        Challenge::Bearer(wanted) => Some(wanted),
        Challenge::Basic { .. } => None,
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Shortest query value that may be a signature, in bytes.
const SIGNATURE_MIN: usize = 12;
/// Most redirects followed for one request.
const REDIRECTS_MAX: usize = 10;
