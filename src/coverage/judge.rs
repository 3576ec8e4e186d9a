//! Decides whether an image could be pulled again. Pure.

use std::time::Duration;

use oci::{Class, ImageName};
use prober::status::Entry;
use prober::verdict::{Depth, OK, PENDING};
use proxy::Standby;

use super::document::{Restartable, Source};

/// What is known of an image at its registry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AtRegistry {
    /// The registry is not configured, so that nothing is known of it.
    NotConfigured,
    /// The image is not probed, or not yet.
    NotProbed,
    /// The registry is treated as down.
    Down,
    /// The result of the last probe with the workload's credential.
    Probed(Probed),
}

/// The result of a probe.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Probed {
    /// `pending`, `ok`, or the class.
    pub(crate) verdict: String,
    /// The depth that a successful probe reached.
    pub(crate) depth: Option<Depth>,
    /// Host, status and message of a failure.
    pub(crate) evidence: Option<String>,
    /// The status of the answer that failed.
    pub(crate) status: Option<u16>,
    /// The time since the probe.
    pub(crate) age: Duration,
}

/// Whether an image could be pulled, from where, and why not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judged {
    pub(crate) restartable: Restartable,
    /// The source of a pull that would succeed.
    pub(crate) source: Option<Source>,
    pub(crate) class: Option<Class>,
    /// The status of the registry's answer that failed.
    status: Option<u16>,
    /// The fault of the registry; for an image that only the cache has, too.
    pub(crate) cause: Option<String>,
    pub(crate) fix: Option<String>,
}

/// The judgement without the cache. A verdict that is older than `max_age` counts as none.
pub(crate) fn at_registry(known: &AtRegistry, max_age: Duration) -> Judged {
    let probed = match known {
        AtRegistry::NotConfigured => {
            return unknown(
                "its registry is not configured, and is not probed",
                "add its registry to [upstreams]",
            );
        }
        AtRegistry::NotProbed => return unknown("not probed yet", WAIT),
        AtRegistry::Down => return down(),
        AtRegistry::Probed(probed) => probed,
    };
    if probed.verdict == PENDING {
        return unknown("not probed yet", WAIT);
    }
    if probed.age > max_age {
        let age = config::units::show_duration(Duration::from_secs(probed.age.as_secs()));
        return unknown(&format!("the last probe was {age} ago ({})", probed.verdict), WAIT);
    }
    if probed.verdict == OK {
        return of_depth(probed.depth);
    }
    let evidence = probed.evidence.clone().unwrap_or_else(|| probed.verdict.clone());
    match probed.verdict.parse::<Class>() {
        Ok(class) if class != Class::Unknown => Judged { status: probed.status, ..no(class, evidence) },
        _ => unknown(&evidence, "look at the evidence: the probe names no cause"),
    }
}

/// The judgement with what the cache holds, for an image that the registry alone does not make pullable.
pub(crate) fn with_cache(direct: Judged, cache: Option<&Standby>, image: &ImageName) -> Judged {
    match cache {
        Some(Standby::Complete { outlives_removal }) if *outlives_removal || !direct.is_removed() => {
            Judged { restartable: Restartable::Yes, source: Some(Source::Cache), ..direct }
        }
        Some(cache) => {
            let cause = format!("{}; {}", direct.cause.unwrap_or_default(), in_words(cache));
            let fix = direct.fix.map(|fix| match (direct.class, cache) {
                (None, _) | (_, Standby::NotConfigured | Standby::PerClient | Standby::Complete { .. }) => {
                    fix
                }
                _ => format!("{fix}; while it can be pulled: pullgate cache warm {image}"),
            });
            Judged { cause: Some(cause), fix, ..direct }
        }
        None => direct,
    }
}

/// The judgement on a reference that no node can pull, or whose pull policy forbids it.
pub(crate) fn never(class: Class, cause: String) -> Judged {
    no(class, cause)
}

impl Judged {
    /// True if the registry itself says that it does not have the image. A tag is then not served from the cache, unless
    /// `keep_removed` is on.
    fn is_removed(&self) -> bool {
        let gone = [Class::ManifestUnknown, Class::DigestGone, Class::RepoUnknownOrPrivate];
        self.status == Some(404) && self.class.is_some_and(|class| gone.contains(&class))
    }
}

/// The time up to which a verdict counts: an hour, or longer where probes come more rarely.
pub(crate) fn verdict_max_age(interval: Duration, images: usize, per_hour: u32) -> Duration {
    let round = Duration::from_secs(3600) * u32::try_from(images).unwrap_or(u32::MAX) / per_hour.max(1);
    (3 * interval).max(2 * round).max(VERDICT_MAX_AGE)
}

impl Probed {
    /// The probe of a line of the board, `now` in seconds since 1970.
    pub(crate) fn of(entry: &Entry, now: u64) -> Self {
        Self {
            verdict: entry.verdict.to_owned(),
            depth: entry.depth,
            evidence: entry.evidence.clone(),
            status: entry.status,
            age: Duration::from_secs(now.saturating_sub(entry.probed_at.unwrap_or(now))),
        }
    }
}

fn of_depth(depth: Option<Depth>) -> Judged {
    match depth {
        Some(Depth::Pullable) => Judged {
            restartable: Restartable::Yes,
            source: Some(Source::Registry),
            class: None,
            status: None,
            cause: None,
            fix: None,
        },
        _ => unknown("the tag is there, but no budget was left to probe its layers", WAIT),
    }
}

fn down() -> Judged {
    no(Class::ConnectRefused, "the registry is treated as down".to_owned())
}

fn no(class: Class, cause: String) -> Judged {
    let fix = Some(class.fix().to_owned());
    Judged {
        restartable: Restartable::No,
        source: None,
        class: Some(class),
        status: None,
        cause: Some(cause),
        fix,
    }
}

fn unknown(cause: &str, fix: &str) -> Judged {
    let (cause, fix) = (Some(cause.to_owned()), Some(fix.to_owned()));
    Judged { restartable: Restartable::Unknown, source: None, class: None, status: None, cause, fix }
}

fn in_words(cache: &Standby) -> String {
    match cache {
        Standby::Complete { .. } => {
            "the cache has it, but does not serve a tag that the registry removed (keep_removed)".to_owned()
        }
        Standby::Absent => "the cache does not have it".to_owned(),
        Standby::Expired { age, limit } => format!(
            "the cache has it, but the tag was confirmed {} ago (stale_limit {})",
            config::units::show_duration(Duration::from_secs(age.as_secs())),
            config::units::show_duration(*limit)
        ),
        Standby::Removed => {
            "the cache does not serve a tag that the registry removed (keep_removed)".to_owned()
        }
        Standby::Platform(platform) => format!("the cache does not have it for {platform}"),
        Standby::Incomplete(gap) => format!("in the cache {gap}"),
        Standby::PerClient => "access is per-client, so that the cache alone serves nobody".to_owned(),
        Standby::NotConfigured => "the cache does not serve this registry".to_owned(),
    }
}

/// The age up to which a verdict counts in any case.
const VERDICT_MAX_AGE: Duration = Duration::from_secs(3600);
/// The advice for what the prober has not reached.
const WAIT: &str = "wait for the next probe";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn probed(verdict: &str, depth: Option<Depth>, age: Duration) -> AtRegistry {
        let evidence = Some(format!("{verdict} at manifest_head: r.test answered 404"));
        AtRegistry::Probed(Probed { verdict: verdict.to_owned(), depth, evidence, status: Some(404), age })
    }

    fn image() -> ImageName {
        "r.test/app:1".parse().unwrap()
    }

    fn judged(
        registry: &AtRegistry,
        cache: Option<Standby>,
    ) -> (Restartable, Option<Source>, Option<&'static str>) {
        let direct = at_registry(registry, HOUR);
        let judged = match direct.restartable {
            Restartable::Yes => direct,
            _ => with_cache(direct, cache.as_ref(), &image()),
        };
        (judged.restartable, judged.source, judged.class.map(Class::as_str))
    }

    #[test]
    fn registry_and_cache_together_decide() {
        use Restartable::{No, Unknown, Yes};
        let pullable = || probed("ok", Some(Depth::Pullable), HOUR);
        let kept = || Some(Standby::Complete { outlives_removal: true });
        let tag = || Some(Standby::Complete { outlives_removal: false });
        let gone = || probed("manifest_unknown", None, Duration::ZERO);
        let amd64 = || "linux/amd64".parse().unwrap();
        let late = || Some(Standby::Expired { age: 2 * HOUR, limit: HOUR });
        let (registry, cache) = (Some(Source::Registry), Some(Source::Cache));
        let rows = [
            (pullable(), None, (Yes, registry, None)),
            (pullable(), kept(), (Yes, registry, None)),
            (probed("ok", Some(Depth::Pullable), 2 * HOUR), Some(Standby::Absent), (Unknown, None, None)),
            (probed("ok", Some(Depth::Pullable), 2 * HOUR), tag(), (Yes, cache, None)),
            (probed("ok", Some(Depth::Resolved), HOUR), Some(Standby::Absent), (Unknown, None, None)),
            (probed("ok", Some(Depth::Resolved), HOUR), tag(), (Yes, cache, None)),
            (probed("ok", Some(Depth::Reachable), HOUR), None, (Unknown, None, None)),
            (probed("pending", None, Duration::ZERO), None, (Unknown, None, None)),
            (probed("probe_could_not_run", None, HOUR), None, (Unknown, None, None)),
            (probed("unknown", None, HOUR), Some(Standby::Absent), (Unknown, None, None)),
            (AtRegistry::NotProbed, tag(), (Yes, cache, None)),
            (AtRegistry::NotConfigured, Some(Standby::NotConfigured), (Unknown, None, None)),
            (gone(), Some(Standby::Absent), (No, None, Some("manifest_unknown"))),
            (gone(), kept(), (Yes, cache, Some("manifest_unknown"))),
            (gone(), tag(), (No, None, Some("manifest_unknown"))),
            (gone(), Some(Standby::Removed), (No, None, Some("manifest_unknown"))),
            (probed("auth_rejected", None, HOUR), Some(Standby::Absent), (No, None, Some("auth_rejected"))),
            (
                probed("auth_rejected", None, HOUR),
                Some(Standby::PerClient),
                (No, None, Some("auth_rejected")),
            ),
            (probed("auth_rejected", None, HOUR), tag(), (Yes, cache, Some("auth_rejected"))),
            (probed("auth_rejected", None, 2 * HOUR), None, (Unknown, None, None)),
            (
                probed("platform_missing", None, HOUR),
                Some(Standby::Platform(amd64())),
                (No, None, Some("platform_missing")),
            ),
            (probed("dns", None, HOUR), late(), (No, None, Some("dns"))),
            (probed("dns", None, HOUR), Some(Standby::Incomplete("x".to_owned())), (No, None, Some("dns"))),
            (probed("dns", None, HOUR), tag(), (Yes, cache, Some("dns"))),
            (AtRegistry::Down, tag(), (Yes, cache, Some("connect_refused"))),
            (AtRegistry::Down, Some(Standby::Absent), (No, None, Some("connect_refused"))),
            (AtRegistry::Down, None, (No, None, Some("connect_refused"))),
        ];
        for (registry, cache, expected) in rows {
            assert_eq!(judged(&registry, cache.clone()), expected, "{registry:?} {cache:?}");
        }
    }

    #[test]
    fn a_no_says_what_the_cache_lacks_and_how_to_fill_it() {
        let direct = at_registry(&AtRegistry::Down, HOUR);
        let judged = with_cache(direct, Some(&Standby::Platform("linux/arm64".parse().unwrap())), &image());
        let (cause, fix) = (judged.cause.unwrap(), judged.fix.unwrap());
        assert_eq!(cause, "the registry is treated as down; the cache does not have it for linux/arm64");
        assert!(fix.ends_with("pullgate cache warm r.test/app:1"), "{fix}");
        let judged = with_cache(at_registry(&AtRegistry::NotProbed, HOUR), Some(&Standby::Absent), &image());
        assert_eq!(judged.cause.unwrap(), "not probed yet; the cache does not have it");
        assert_eq!(judged.fix.unwrap(), WAIT);
    }

    #[test]
    fn a_verdict_counts_for_an_hour_or_two_rounds_of_the_prober() {
        let minute = Duration::from_secs(60);
        assert_eq!(verdict_max_age(minute, 10, 600), HOUR);
        assert_eq!(verdict_max_age(minute, 6000, 600), 20 * HOUR);
        assert_eq!(verdict_max_age(HOUR, 0, 0), 3 * HOUR);
    }
}
