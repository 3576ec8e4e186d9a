//! One verdict from all evidence.

use std::time::Duration;

use oci::{Class, Stage};

use super::access::{Access, access};
use super::evidence::{Depth, Evidence, Fault};
use super::vantage::{Judgement, Place, judge};
use super::{fix, sentence};

/// The conclusion of a diagnosis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The cause; `None` if the image can be pulled.
    pub class: Option<Class>,
    /// The step that fails.
    pub stage: Option<Stage>,
    /// The place of the fault.
    pub place: Place,
    /// The conclusion in one sentence.
    pub sentence: String,
    /// The remedy; lines that begin with two spaces can be pasted.
    pub fix: Vec<String>,
    /// The commands that show more.
    pub next: Vec<String>,
    /// Remarks that are no fault of this pull.
    pub notes: Vec<String>,
}

/// Concludes.
pub fn conclude(evidence: &Evidence) -> Verdict {
    let access = access(&evidence.rows);
    let mut verdict = match &access {
        Access::Poisoned { by } => poisoned(evidence, by),
        Access::Works { public, by, .. } => works(evidence, *public, by),
        Access::Fails { row } => match evidence.rows.get(*row).and_then(|row| row.fault()) {
            Some(fault) => fails(evidence, fault),
            None => works(evidence, false, &[]),
        },
    };
    verdict.notes.extend(notes(evidence, &access, verdict.place));
    verdict
}

fn poisoned(evidence: &Evidence, by: &[String]) -> Verdict {
    let faults = evidence.rows.iter().filter_map(|row| row.fault());
    let stage = faults.map(|fault| fault.stage).next();
    let fault = Fault::new(Class::AuthPoisoned, stage.unwrap_or(Stage::Token));
    Verdict {
        class: Some(Class::AuthPoisoned),
        stage,
        place: Place::Credential,
        sentence: sentence::poisoned(evidence, by),
        fix: fix::poisoned(&evidence.image.registry, by),
        next: fix::next(evidence, Some(&fault)),
        notes: Vec::new(),
    }
}

fn works(evidence: &Evidence, public: bool, by: &[String]) -> Verdict {
    let depth = evidence.rows.iter().find_map(|row| row.result.as_ref()?.as_ref().ok());
    if let (Judgement::Mirror(place), Some(mirror)) =
        (judge(Ok(Depth::Pullable), evidence.mirror.as_ref()), &evidence.mirror)
        && let Err(fault) = &mirror.result
    {
        let sentence = sentence::of_mirror(evidence, fault, &mirror.url, mirror.answered);
        let fix = mirror_fix(evidence, fault, mirror.answered, place);
        return Verdict { sentence, fix, ..of(evidence, fault, place) };
    }
    if let Some(slow) = slow(evidence) {
        return slow;
    }
    Verdict {
        class: None,
        stage: None,
        place: Place::Nowhere,
        sentence: sentence::fine(evidence, public, by, depth == Some(&Depth::Resolved)),
        fix: Vec::new(),
        next: Vec::new(),
        notes: Vec::new(),
    }
}

fn mirror_fix(evidence: &Evidence, fault: &Fault, answered: bool, place: Place) -> Vec<String> {
    if answered {
        return fix::of_fault(evidence, fault, place);
    }
    vec![
        "Start the mirror, or correct its address; nodes pull from the registry itself meanwhile, if their hosts.toml \
         names it:"
            .to_owned(),
        "  pullgate check config && systemctl status pullgate".to_owned(),
    ]
}

fn fails(evidence: &Evidence, fault: &Fault) -> Verdict {
    let place = match judge(Err(fault), evidence.mirror.as_ref()) {
        Judgement::Direct(place) | Judgement::Mirror(place) => place,
        Judgement::Fine => Place::Nowhere,
    };
    // A name that does not exist, and that nobody configured, is a slip in the image's name.
    let is_slip = fault.reason == Some(NO_SUCH_NAME) && evidence.around.upstream.is_none();
    let place = if is_slip { Place::Image } else { by_clock(evidence, fault, place) };
    let mut verdict = of(evidence, fault, place);
    if evidence.mirror.as_ref().is_some_and(|mirror| mirror.result.is_ok()) {
        verdict.sentence += " Through the mirror the image can be pulled.";
    }
    verdict
}

/// The place of a fault of a certificate that a wrong clock explains: this machine.
fn by_clock(evidence: &Evidence, fault: &Fault, place: Place) -> Place {
    if !matches!(fault.class, Class::TlsExpired | Class::TlsNotYetValid) {
        return place;
    }
    match &evidence.certificate {
        Some(certificate) if evidence.clock.explains(certificate) => Place::Machine,
        // Another clock shows that this machine's clock is right.
        Some(_) => Place::Registry,
        None => place,
    }
}

fn of(evidence: &Evidence, fault: &Fault, place: Place) -> Verdict {
    Verdict {
        class: Some(fault.class),
        stage: Some(fault.stage),
        place,
        sentence: sentence::of_fault(evidence, fault, place),
        fix: fix::of_fault(evidence, fault, place),
        next: fix::next(evidence, Some(fault)),
        notes: Vec::new(),
    }
}

/// The verdict on layers that take longer than a rollout waits.
fn slow(evidence: &Evidence) -> Option<Verdict> {
    let layer =
        evidence.layer.as_ref().filter(|layer| layer.read >= SAMPLE_MIN || layer.time >= SAMPLE_TIME)?;
    layer.time_of(evidence.bytes).filter(|time| *time > TOO_LONG)?;
    let fault = Fault::new(Class::Stalled, Stage::BlobTransfer);
    let (sentence, fix) = (sentence::slow(layer, evidence.bytes), fix::slow());
    Some(Verdict { sentence, fix, ..of(evidence, &fault, Place::Path) })
}

/// Remarks for readers who will pull again.
fn notes(evidence: &Evidence, access: &Access, place: Place) -> Vec<String> {
    let mut notes = Vec::new();
    if let Access::Works { refused, .. } = access {
        let of = |name: &String| format!("The credential of {name} is refused; the pull works without it.");
        notes.extend(refused.iter().map(of));
    }
    // Where the clock is the fault, the fix names it.
    let clock = evidence.clock.off().filter(|_| place != Place::Machine);
    notes.extend(clock.map(|(host, ahead)| {
        let way = if ahead > 0 { "ahead of" } else { "behind" };
        let time = sentence::span(Duration::from_secs(ahead.unsigned_abs()));
        format!("This machine's clock is {time} {way} the clock of {host}.")
    }));
    notes.extend(near_their_end(evidence));
    if evidence.around.upstream.is_none() {
        let registry = &evidence.image.registry;
        notes.push(format!("{registry} is not configured in pullgate: it was asked with the defaults."));
    }
    notes.extend(evidence.around.unusable.iter().map(|(name, why)| format!("{name}: {why}.")));
    notes
}

/// A certificate that expires soon, and a quota that is nearly spent.
fn near_their_end(evidence: &Evidence) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(certificate) =
        evidence.certificate.as_ref().filter(|it| it.verified && it.left < EXPIRES_SOON)
    {
        let left = Duration::from_secs(u64::try_from(certificate.left).unwrap_or(0));
        notes.push(format!("The certificate of {} expires in {}.", certificate.host, sentence::span(left)));
    }
    if let Some(quota) = &evidence.quota
        && let (Some(limit), Some(remaining @ 1..)) = (quota.limit, quota.remaining)
        && remaining * 10 < limit
    {
        notes.push(format!("Only {remaining} of {limit} pulls are left."));
    }
    notes
}

/// The finer cause of a name that does not exist.
const NO_SUCH_NAME: &str = "name_unknown";
/// The time that a Deployment waits for progress by default (`progressDeadlineSeconds`).
const TOO_LONG: Duration = Duration::from_secs(600);
/// Bytes from which a sample tells a rate.
const SAMPLE_MIN: u64 = 256 * 1024;
/// The time from which even a small sample tells a rate.
const SAMPLE_TIME: Duration = Duration::from_secs(1);
/// Certificates that end in less than this time are mentioned, in seconds: two weeks.
const EXPIRES_SOON: i64 = 14 * 86_400;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::clock::Certificate;
    use super::super::evidence::{Layer, Mirror, Quota, Row, RowKind, Served, Surroundings, Tags};
    use super::*;

    fn evidence(result: Result<Depth, Fault>) -> Evidence {
        let row =
            Row { name: "anonymous".to_owned(), kind: RowKind::Anonymous, result: Some(result), token: true };
        Evidence {
            image: "ghcr.io/org/app:1".parse().unwrap(),
            platform: "linux/amd64".parse().unwrap(),
            rows: vec![row],
            mirror: None,
            clock: Default::default(),
            certificate: None,
            quota: None,
            platforms: Vec::new(),
            tags: None,
            layer: None,
            bytes: 0,
            around: Surroundings { upstream: Some("ghcr".to_owned()), ..Surroundings::default() },
        }
    }

    /// The same evidence with every detail that a sentence may use.
    fn detailed(fault: Fault) -> Evidence {
        let certificate = Certificate {
            host: "ghcr.io".to_owned(),
            issuer: "CN=someone".to_owned(),
            left: -7200,
            begins_in: Some(-9000),
            verified: false,
        };
        let layer = Layer { size: 9, read: 5, time: Duration::from_secs(1), host: "cdn".to_owned() };
        let tags = Tags { nearest: vec!["1.0".to_owned()], seen: 3, more: true };
        let window = Some(Duration::from_secs(21_600));
        let quota =
            Quota { limit: Some(100), remaining: Some(0), window, source: Some("10.0.0.1".to_owned()) };
        Evidence {
            certificate: Some(certificate),
            layer: Some(layer),
            tags: Some(tags),
            quota: Some(quota),
            platforms: vec!["linux/s390x".parse().unwrap()],
            ..evidence(Err(fault))
        }
    }

    #[test]
    fn every_class_at_every_stage_has_a_sentence_and_a_fix() {
        for class in Class::ALL.iter().copied() {
            for stage in Stage::ALL.iter().copied() {
                let host = "ghcr.io:443".to_owned();
                let fault =
                    Fault { host, message: "why".to_owned(), status: Some(500), ..Fault::new(class, stage) };
                for evidence in [evidence(Err(Fault::new(class, stage))), detailed(fault)] {
                    let verdict = conclude(&evidence);
                    assert_eq!((verdict.class, verdict.stage), (Some(class), Some(stage)));
                    let sentence = &verdict.sentence;
                    assert!(
                        sentence.ends_with('.') && !sentence.contains("  ") && sentence.len() < 300,
                        "{sentence}"
                    );
                    assert!(!verdict.fix.is_empty() && verdict.place != Place::Nowhere, "{class}");
                    assert!(
                        verdict.fix.iter().all(|line| !line.trim().is_empty()),
                        "{class}: {:?}",
                        verdict.fix
                    );
                }
            }
        }
    }

    #[test]
    fn a_host_that_does_not_exist_is_a_slip_in_the_name_unless_it_is_configured() {
        let fault = Fault { reason: Some(NO_SUCH_NAME), ..Fault::new(Class::Dns, Stage::Resolve) };
        let configured = evidence(Err(fault));
        assert_eq!(conclude(&configured).place, Place::Path);
        let around = Surroundings { upstream: None, ..Surroundings::default() };
        assert_eq!(conclude(&Evidence { around, ..configured }).place, Place::Image);
    }

    #[test]
    fn a_sample_tells_a_slow_host_only_if_it_is_long_enough() {
        let slow = |read, seconds| {
            let layer =
                Layer { size: 1 << 30, read, time: Duration::from_secs(seconds), host: "cdn".to_owned() };
            conclude(&Evidence { layer: Some(layer), bytes: 1 << 30, ..evidence(Ok(Depth::Pullable)) })
        };
        assert_eq!(slow(1 << 20, 2).class, Some(Class::Stalled));
        assert_eq!(slow(64 << 20, 2).class, None, "fast enough");
        assert_eq!(slow(1000, 0).class, None, "nothing was measured");
    }

    #[test]
    fn a_fault_of_the_mirror_alone_is_the_verdict() {
        let fault = Fault::new(Class::UpstreamPaused, Stage::Connect);
        let url = "http://mirror:5000".to_owned();
        let mirror = Mirror { url, result: Err(fault), answered: true, served: Served::Registry };
        let verdict = conclude(&Evidence { mirror: Some(mirror), ..evidence(Ok(Depth::Pullable)) });
        assert_eq!((verdict.class, verdict.place), (Some(Class::UpstreamPaused), Place::Mirror));
        assert!(verdict.sentence.contains("the mirror http://mirror:5000 fails"), "{}", verdict.sentence);
    }

    #[test]
    fn what_is_near_its_end_is_a_note() {
        let certificate = Certificate {
            host: "ghcr.io".to_owned(),
            issuer: String::new(),
            left: 86_400,
            begins_in: Some(-9),
            verified: true,
        };
        let quota = Quota { limit: Some(100), remaining: Some(3), ..Quota::default() };
        let clock = super::super::clock::Clock { ahead_of: vec![("ghcr.io".to_owned(), -300)] };
        let near = Evidence {
            certificate: Some(certificate),
            quota: Some(quota),
            clock,
            ..evidence(Ok(Depth::Pullable))
        };
        let notes = conclude(&near).notes.join(" ");
        for part in
            ["expires in 1 d", "Only 3 of 100 pulls are left", "clock is 5 min behind the clock of ghcr.io"]
        {
            assert!(notes.contains(part), "{part}: {notes}");
        }
        assert!(conclude(&evidence(Ok(Depth::Pullable))).notes.is_empty());
    }
}
