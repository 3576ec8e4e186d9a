//! What a probe or a pull says about its registry.

use std::time::SystemTime;

use oci::Stage;
use prober::{Conclusion, Verdict};
use proxy::{PullOutcome, PullRecord};
use records::incident::{Evidence, Fault, Identity, Sighting, Source};
use records::record::TargetName;

/// The sighting of a probe; `None` if it came to no verdict.
pub(crate) fn of_probe(conclusion: &Conclusion<'_>, upstreams: &[config::Upstream]) -> Option<Sighting> {
    let fault = match conclusion.verdict {
        Verdict::Pending => return None,
        Verdict::Ok(_) => None,
        Verdict::Failed(failure) => Some(Fault {
            class: failure.class,
            stage: Some(failure.stage),
            evidence: Evidence::clean(failure.evidence.as_bytes()),
        }),
    };
    let upstream = upstreams.iter().find(|upstream| upstream.registry == *conclusion.registry)?;
    let identity = match conclusion.pull_secret {
        Some(secret) => Identity::clean(format!("{PULL_SECRET}{secret}").as_bytes())?,
        None => own_identity(upstream)?,
    };
    Some(Sighting {
        registry: conclusion.registry.clone(),
        identity,
        source: Source::Probe,
        image: conclusion.image.and_then(|image| TargetName::clean(image.to_string().as_bytes())),
        node: None,
        workloads: Vec::new(),
        at: SystemTime::now().into(),
        fault,
    })
}

/// The sighting of a pull; `None` if it says nothing about its registry.
pub(crate) fn of_pull(pull: &PullRecord, upstreams: &[config::Upstream]) -> Option<Sighting> {
    let upstream = upstreams.iter().find(|upstream| upstream.registry == pull.registry)?;
    let per_client = upstream.access == config::Access::PerClient;
    let fault = fault(pull);
    let clients_own = fault.as_ref().is_some_and(|fault| fault.class.rules().refuses_identity);
    if (fault.is_none() && !succeeded(pull)) || (per_client && clients_own) {
        return None;
    }
    let identity = if per_client { Identity::clean(CLIENT)? } else { own_identity(upstream)? };
    Some(Sighting {
        registry: pull.registry.clone(),
        identity,
        source: Source::Pull,
        image: TargetName::clean(pull.image.to_string().as_bytes()),
        node: TargetName::clean(&pull.node),
        workloads: Vec::new(),
        at: SystemTime::now().into(),
        fault,
    })
}

/// The failure of a pull that failed, or that was served stale because of it.
fn fault(pull: &PullRecord) -> Option<Fault> {
    let failed = matches!(pull.outcome, PullOutcome::Failed | PullOutcome::Refused | PullOutcome::Stale);
    let class = pull.class.filter(|_| failed)?;
    let evidence = evidence(pull, class.as_str());
    Some(Fault { class, stage: pull.stage, evidence: Evidence::clean(evidence.as_bytes()) })
}

fn evidence(pull: &PullRecord, class: &str) -> String {
    let stage = pull.stage.map(Stage::as_str).map(|stage| format!(" at {stage}")).unwrap_or_default();
    let codes: Vec<_> = pull.codes.iter().map(|(code, times)| format!("{code} ({times})")).collect();
    let answered = if codes.is_empty() {
        String::new()
    } else {
        format!("; the registry answered {}", codes.join(", "))
    };
    format!("{class}{stage}: pull of {}{answered}", pull.image)
}

/// True if the pull ended well and its registry answered for it. A pull from the cache alone says nothing.
fn succeeded(pull: &PullRecord) -> bool {
    let well = matches!(pull.outcome, PullOutcome::Hit | PullOutcome::Joined | PullOutcome::Miss);
    let answered = pull.codes.iter().any(|(code, _)| (200..300).contains(code));
    well && pull.class.is_none() && answered
}

/// The identity of our own requests.
fn own_identity(upstream: &config::Upstream) -> Option<Identity> {
    let name = if upstream.credentials.is_some() { upstream.id.as_str() } else { "anonymous" };
    Identity::clean(name.as_bytes())
}

/// The identity of clients that bring their own.
const CLIENT: &[u8] = b"client";
/// The beginning of the identity of a pull secret.
pub(crate) const PULL_SECRET: &str = "pull-secret ";
