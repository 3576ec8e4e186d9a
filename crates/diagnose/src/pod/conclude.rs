//! One diagnosis from all evidence about a pod.

use oci::{Class, Stage};

use super::back_off::{BackOff, back_off};
use super::case::{Case, Change};
use super::choice::{Choice, State, choose};
use super::clock::time_of_day;
use super::evidence::{Known, Line, lines};
use super::scope::{Scope, scope};
use super::told::{Told, told};
use super::{changes, fix, local};
use crate::image::{self, Clock, Evidence, Fault, Place, Row, RowKind, Surroundings, Verdict};

/// The conclusion about a failing pod.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// The cause.
    pub class: Class,
    /// The step that fails.
    pub stage: Option<Stage>,
    /// The host at fault.
    pub host: Option<String>,
    /// The place of the fault.
    pub place: Place,
    /// The result of the replay.
    pub state: State,
    /// The conclusion in one sentence.
    pub sentence: String,
    /// The remedy; lines that begin with two spaces can be pasted.
    pub fix: Vec<String>,
    /// The commands that show more.
    pub next: Vec<String>,
    /// The evidence, by weight.
    pub evidence: Vec<Line>,
    /// The reach of the failure.
    pub scope: Scope,
    /// The changes that may explain it, the most likely first.
    pub changes: Vec<Change>,
    /// The wait before the next try.
    pub back_off: Option<BackOff>,
    /// The times of the first and the last failed try, if their events are left.
    pub period: Option<(i64, i64)>,
}

/// Concludes.
pub fn conclude(case: &Case) -> Diagnosis {
    let told = told(&case.part, &case.events);
    let choice = choose(&told.reading, case.replay.as_ref());
    let verdict = verdict(case, &told, choice);
    let class = verdict.class.unwrap_or(Class::Unknown);
    let scope = scope(case, class);
    let changes = told.first.map(|first| changes::related(&case.changes, first, class)).unwrap_or_default();
    let back_off = back_off(&told).filter(|_| choice.state != State::OfTheNode || retries(class));
    let known = Known { class, state: choice.state, told: &told, changes: &changes, scope: &scope, back_off };
    let evidence = lines(case, &known);
    Diagnosis {
        class,
        stage: verdict.stage,
        host: host(case, &told, choice),
        place: if fix::cause(case, class).is_some() { Place::Credential } else { verdict.place },
        state: choice.state,
        sentence: sentence(case, class, choice.state, &told, &verdict),
        fix: fix::fix(case, class, choice.state, &verdict),
        next: verdict.next,
        evidence,
        scope,
        changes,
        back_off,
        period: told.first.zip(told.last),
    }
}

/// True if the kubelet waits longer and longer between two tries.
fn retries(class: Class) -> bool {
    !matches!(class, Class::NameInvalid | Class::NeverPolicy)
}

fn verdict(case: &Case, told: &Told, choice: Choice) -> Verdict {
    match (&case.replay, &case.part.image) {
        _ if choice.state == State::OfTheNode => local::verdict(case, &told.reading),
        (Some(replay), _) if choice.by_replay => replay.verdict.clone(),
        (_, Some(image)) => image::conclude(&of_text(case, image, told)),
        (_, None) => local::verdict(case, &told.reading),
    }
}

/// The evidence that the text alone gives.
fn of_text(case: &Case, image: &oci::ImageName, told: &Told) -> Evidence {
    let reading = &told.reading;
    let fault = Fault {
        host: reading.host.clone().unwrap_or_default(),
        status: reading.status,
        reason: reading.reason.map(|reason| reason.as_str()),
        ..Fault::new(reading.class, reading.stage.unwrap_or(Stage::ManifestHead))
    };
    let secret = case.pod.pull_secrets.first();
    let (kind, name) = match secret {
        Some(name) => (RowKind::Given, format!("secret {}/{name}", case.pod.namespace)),
        None => (RowKind::Anonymous, "anonymous".to_owned()),
    };
    Evidence {
        image: image.clone(),
        platform: case.part.platform.clone(),
        rows: vec![Row { name, kind, result: Some(Err(fault)), token: false }],
        mirror: None,
        clock: Clock::default(),
        certificate: None,
        quota: None,
        platforms: Vec::new(),
        tags: None,
        layer: None,
        bytes: 0,
        around: Surroundings {
            namespace: Some(case.pod.namespace.clone()),
            account: Some(case.pod.service_account.clone()),
            ..Surroundings::default()
        },
    }
}

fn host(case: &Case, told: &Told, choice: Choice) -> Option<String> {
    let replayed = case.replay.as_ref().filter(|_| choice.by_replay).and_then(|replay| replay.host.clone());
    let registry = || case.part.image.as_ref().map(|image| image.registry.to_string());
    let is_remote = choice.state != State::OfTheNode;
    replayed.or_else(|| told.reading.host.clone()).or_else(registry).filter(|_| is_remote)
}

fn sentence(case: &Case, class: Class, state: State, told: &Told, verdict: &Verdict) -> String {
    let registry = case.part.image.as_ref().map_or("the registry", |image| image.registry.as_str());
    let status = told.reading.status.map_or_else(String::new, |status| format!(" ({status})"));
    let period = match (told.first, told.last) {
        (Some(first), Some(last)) if first < last => {
            format!(" from {} to {}", time_of_day(first), time_of_day(last))
        }
        (_, Some(last)) => format!(" at {}", time_of_day(last)),
        _ => String::new(),
    };
    match state {
        State::WorksNow => {
            format!("The pull failed{period} with {class}{status}; {registry} is healthy since.")
        }
        State::WorksHere => {
            let node = case.pod.node.as_deref().unwrap_or("the node");
            format!(
                "{} It works from here: {node} fails alone, or {registry} is healthy since{}.",
                verdict.sentence,
                period.replace(" at ", " ").replace(" from ", " ")
            )
        }
        _ => match fix::cause(case, class) {
            Some(finding) => format!("{} {}", fix::capital(&finding.seen), verdict.sentence),
            None => verdict.sentence.clone(),
        },
    }
}
