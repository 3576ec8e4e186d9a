//! Makes the walks: as each identity, then through the mirror, then the questions that the first answers raise.

use std::time::{Duration, SystemTime};

use config::Loaded;
use diagnose::image::{RowKind, Tags, nearest};
use oci::class::Family;
use oci::{Class, ImageName, Platform, Reference, Stage};
use prober::{Examination, Examiner, Sample, Target};
use registry::client::BuildError;
use registry::{Client, Error};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::around::{self, Around};
use super::asked::Asked;
use super::heard::{Heard, Met};
use super::identities::{self, Identity, client, outbound, without_credentials};
use super::mirror::{self, Mirror, Through};
use super::options::ImageOptions;
use crate::run::upstream::Origins;

/// Everything that was seen.
pub(crate) struct Seen {
    pub(super) image: ImageName,
    pub(super) platform: Platform,
    /// The short id of the registry, if it is configured.
    pub(super) upstream: Option<String>,
    /// The first endpoint.
    pub(super) endpoint: Option<Url>,
    /// The host of the forward proxy that the first endpoint is reached through.
    pub(super) forward_proxy: Option<String>,
    /// One walk for each identity, the anonymous one first.
    pub(super) walks: Vec<Walked>,
    pub(super) mirror: Option<Through>,
    pub(super) tags: Option<Tags>,
    /// Another clock: host and the seconds by which this machine is ahead.
    pub(super) witness: Option<(String, i64)>,
    pub(super) unusable: Vec<(String, String)>,
    pub(super) around: Around,
    pub(super) now: SystemTime,
    /// The namespace and the service account of the pod that pulls.
    pub(super) namespace: Option<String>,
    pub(super) account: Option<String>,
}

/// The walk of one identity.
pub(super) struct Walked {
    pub(super) name: String,
    pub(super) kind: RowKind,
    /// `None` if the walk was not made, since it would end as the first.
    pub(super) examination: Option<Examination>,
    pub(super) met: Met,
}

/// Looks.
///
/// # Errors
/// If a file of authorities cannot be read.
pub(crate) async fn look(loaded: &Loaded, image: ImageName, asked: Asked<'_>) -> Result<Seen, BuildError> {
    let of = identities::upstream_of(&loaded.config, &image.registry);
    let options = asked.options;
    let platform = asked.platform.clone().or_else(|| options.platform.clone());
    let platform = platform.unwrap_or_else(Platform::of_this_machine);
    let all = identities::identities(loaded, &image, &of, &asked).await?;
    let named = options.proxy.as_ref();
    let is_itself = named.is_none() && mirror::is_itself(&loaded.config, &image);
    let mirror = mirror::mirror(&loaded.config, &of, named, all.given.clone(), options.timeout)?
        .filter(|_| !is_itself && asked.mirror);
    let target = Target { image: image.clone(), platform: platform.clone() };
    let both = both_ways(&all.all, mirror, target, options);
    let ((walks, mirror), around) = tokio::join!(both, around::look(loaded, &image));
    let endpoint = of.endpoints.first().map(|endpoint| endpoint.url.clone());
    Ok(Seen {
        upstream: loaded.config.upstream(&image.registry).map(|upstream| upstream.id.clone()),
        forward_proxy: endpoint.as_ref().and_then(forward_proxy),
        tags: tags(&image, &all.all, &walks, options.timeout).await,
        witness: witness(&of, &walks).await,
        unusable: all.unusable,
        namespace: asked.namespace,
        account: asked.account,
        now: SystemTime::now(),
        image,
        platform,
        endpoint,
        walks,
        mirror,
        around,
    })
}

/// The direct walks, then the way through the mirror.
async fn both_ways(
    identities: &[Identity],
    mirror: Option<Mirror>,
    target: Target,
    options: &ImageOptions,
) -> (Vec<Walked>, Option<Through>) {
    let mut examiner = Examiner::new(target, options.timeout);
    let walks = walks(identities, &mut examiner, options).await;
    let through = match mirror {
        Some(mirror) => mirror.ask(&mut examiner).await,
        None => None,
    };
    (walks, through)
}

/// Walks as each identity. If the first walk shows that the registry or the path fails, the others are left out: they
/// would end in the same way.
async fn walks(identities: &[Identity], examiner: &mut Examiner, options: &ImageOptions) -> Vec<Walked> {
    let mut walks = Vec::new();
    let mut is_over = false;
    for identity in identities {
        let sample = sample(options, examiner);
        let examination = if is_over { None } else { Some(examiner.examine(&identity.client, sample).await) };
        is_over |= examination.as_ref().is_some_and(|made| ends_all(made.result.as_ref().err()));
        let (name, kind) = (identity.name.clone(), identity.kind);
        walks.push(Walked { name, kind, examination, met: identity.heard.met() });
    }
    walks.sort_by_key(|walk| walk.kind != RowKind::Anonymous);
    walks
}

/// The first walk that gets so far reads the configuration and more of the layer.
fn sample(options: &ImageOptions, examiner: &Examiner) -> Sample {
    match (examiner.knows_the_manifest(), options.whole) {
        (true, _) => Sample::Layer,
        (false, true) => Sample::Everything,
        (false, false) => Sample::ConfigAndLayer { bytes: SAMPLE_BYTES, time: SAMPLE_TIME },
    }
}

fn ends_all(error: Option<&Error>) -> bool {
    error.is_some_and(|error| {
        let family = error.class.rules().family;
        matches!(family, Family::Reachability | Family::Certificate | Family::Configuration)
            || error.class == Class::RateBurst
    })
}

/// The tags of the repository, if the tag is unknown: the first pages, as the identity that learned it.
async fn tags(image: &ImageName, identities: &[Identity], walks: &[Walked], wait: Duration) -> Option<Tags> {
    let Reference::Tag(wanted) = &image.reference else { return None };
    let unknown = |walk: &&Walked| {
        let result = walk.examination.as_ref().map(|made| &made.result);
        matches!(result, Some(Err(error)) if error.class == Class::ManifestUnknown)
    };
    let walk = walks.iter().find(unknown)?;
    let identity = identities.iter().find(|identity| identity.name == walk.name)?;
    let (seen, more) = pages(&identity.client, image, Instant::now() + wait).await;
    Some(Tags { seen: seen.len(), more, nearest: nearest(wanted.as_str(), seen, NEAREST) })
}

/// The tags of the first pages, and whether there are more.
async fn pages(client: &Client, image: &ImageName, deadline: Instant) -> (Vec<String>, bool) {
    let mut seen = Vec::new();
    let mut query = vec![("n".to_owned(), PAGE.to_string())];
    for _ in 0..PAGES {
        let Ok(page) = client.tags(&image.repository, &query, deadline).await else { return (seen, false) };
        seen.extend(page.value.tags.into_iter().take(PAGE));
        match page.value.next {
            Some(next) => query = next,
            None => return (seen, false),
        }
    }
    (seen, true)
}

/// The clock of the registry's host, asked over plain HTTP, if its certificate is not valid now: an answer over TLS cannot
/// come then. The answer itself does not matter, and no credential is sent.
async fn witness(of: &config::Upstream, walks: &[Walked]) -> Option<(String, i64)> {
    let results = walks.iter().filter_map(|walk| walk.examination.as_ref());
    let error = results.filter_map(|made| made.result.as_ref().err()).next()?;
    if error.stage != Stage::Tls || !matches!(error.class, Class::TlsExpired | Class::TlsNotYetValid) {
        return None;
    }
    let mut url = of.endpoints.first()?.url.clone();
    url.set_port(None).and_then(|()| url.set_scheme("http")).ok()?;
    let mut upstream = without_credentials(Origins::default().client_upstream(of));
    upstream.endpoints.truncate(1);
    upstream.endpoints.first_mut()?.url = url;
    let heard = std::sync::Arc::new(Heard::default());
    let client = client(upstream, outbound(&heard), WITNESS_WAIT).ok()?;
    let deadline = Instant::now() + WITNESS_WAIT;
    let _ = timeout_at(deadline, client.reach(deadline)).await;
    let answers = heard.met().answers;
    answers.into_iter().find_map(|head| Some((head.host, head.ahead?)))
}

/// The forward proxy of the environment for `url`, without its user name and password.
fn forward_proxy(url: &Url) -> Option<String> {
    let matcher = hyper_util::client::proxy::matcher::Matcher::from_env();
    let intercept = matcher.intercept(&url.as_str().parse().ok()?)?;
    let uri = intercept.uri();
    let port = uri.port_u16().map_or_else(String::new, |port| format!(":{port}"));
    Some(format!("{}{port}", uri.host()?))
}

/// Bytes of the largest layer that are read: enough to tell its rate.
const SAMPLE_BYTES: u64 = 1 << 20;
/// The time after which no more of the layer is read.
const SAMPLE_TIME: Duration = Duration::from_secs(2);
/// Tags on one page.
const PAGE: usize = 1000;
/// Pages of tags that are read.
const PAGES: usize = 3;
/// Similar tags that are named.
const NEAREST: usize = 3;
/// The longest wait for another clock.
const WITNESS_WAIT: Duration = Duration::from_secs(1);
