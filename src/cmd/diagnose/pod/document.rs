//! The result of a diagnosis of a pod: the JSON document, from which the text is made too. `schema` grows when a field
//! changes its meaning.

use cluster::api::PodState;
use cluster::findings::{Finding, Refused};
use diagnose::pod::{Case, Diagnosis, time_of_day};
use serde::Serialize;

use super::broken::Broken;
use super::case::faults;
use super::look::Seen;
use super::replay::Replayed;
use crate::cmd::diagnose::image;
use crate::cmd::diagnose::secret::FindingLine;

/// The result.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Document {
    pub(super) schema: u32,
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) node: Option<String>,
    /// The workload that made the pod: `deployment/web`.
    pub(super) owner: Option<String>,
    pub(super) phase: String,
    /// True if an image of the pod does not come.
    pub(super) fault: bool,
    /// The part that waits: its kind and its name.
    pub(super) part: Option<PartLine>,
    pub(super) class: Option<&'static str>,
    pub(super) stage: Option<&'static str>,
    pub(super) host: Option<String>,
    /// `image`, `credential`, `registry`, `path`, `mirror`, `machine`, `node` or `pod`.
    pub(super) place: Option<&'static str>,
    /// What the replay shows: `still_fails`, `fails_otherwise`, `works_now`, `works_here`, `of_the_node`, `not_replayed`.
    pub(super) state: Option<&'static str>,
    pub(super) sentence: String,
    /// What to do; lines that begin with two spaces can be pasted.
    pub(super) fix: Vec<String>,
    pub(super) next: Vec<String>,
    /// The evidence, by weight.
    pub(super) evidence: Vec<EvidenceLine>,
    pub(super) scope: Option<ScopeLine>,
    /// Changes that may explain the failure, the most likely first.
    pub(super) changes: Vec<ChangeLine>,
    pub(super) back_off: Option<BackOffLine>,
    /// The first and the last failed try, in seconds since 1970.
    pub(super) failed: Option<(i64, i64)>,
    pub(super) findings: Vec<FindingLine>,
    /// What could not be looked at, with the rule that would allow it.
    pub(super) not_seen: Vec<FindingLine>,
    /// The other images of the pod that do not come.
    pub(super) others: Vec<PartLine>,
    /// The pull, made again, as `diagnose IMAGE` shows it.
    pub(super) replay: Option<image::Document>,
}

/// A part of a pod.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PartLine {
    pub(super) role: &'static str,
    pub(super) name: String,
    /// The image as it is written.
    pub(super) image: String,
    pub(super) reason: String,
    /// The class that the message alone tells.
    pub(super) class: &'static str,
}

/// A piece of evidence.
#[derive(Clone, Debug, Serialize)]
pub(super) struct EvidenceLine {
    pub(super) from: &'static str,
    pub(super) text: String,
}

/// How far the failure reaches.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ScopeLine {
    /// `pod`, `image`, `node`, `registry` or `all`.
    pub(super) extent: &'static str,
    pub(super) pods: usize,
    pub(super) text: String,
}

/// A change.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ChangeLine {
    pub(super) kind: &'static str,
    pub(super) what: String,
    /// Seconds since 1970.
    pub(super) at: i64,
    pub(super) created: bool,
    pub(super) by: Option<String>,
}

/// The wait before the next try.
#[derive(Clone, Debug, Serialize)]
pub(super) struct BackOffLine {
    pub(super) tries: u32,
    pub(super) wait_seconds: i64,
    /// Seconds since 1970.
    pub(super) next: i64,
    /// The time of day of the next try (UTC).
    pub(super) next_utc: String,
    pub(super) left_seconds: i64,
}

impl Document {
    /// The result for a pod whose images are all here, or on their way.
    pub(super) fn of_healthy(pod: &PodState) -> Self {
        let count = pod.containers.iter().filter(|it| !it.image_id.is_empty()).count();
        let sentence = match count == pod.containers.len() && count > 0 {
            true => "No image of this pod fails: all of them are on its node.".to_owned(),
            false => format!(
                "No image of this pod fails: {count} of {} are on its node, and none of the others has failed.",
                pod.containers.len()
            ),
        };
        Self { sentence, ..Self::of_state(pod) }
    }

    /// The result for a pod whose image is on its way for these seconds. `before` are the pulls of the node that began
    /// earlier and go on.
    pub(super) fn of_pulling(
        pod: &PodState,
        (image, seconds): (&str, i64),
        before: &[(String, String, i64)],
    ) -> Self {
        let node = pod.workload.node.as_deref().unwrap_or_default();
        let mut sentence =
            format!("No image of this pod fails: {image} is being pulled by {node} for {seconds} s.");
        let mut fix = Vec::new();
        if !before.is_empty() {
            sentence += " Other pulls of this node began earlier and go on; it may wait behind them.";
            fix = vec![
                "If the kubelet pulls one image after another, let it pull several, in its configuration:"
                    .to_owned(),
                "  serializeImagePulls: false".to_owned(),
                "  maxParallelImagePulls: 5".to_owned(),
            ];
        }
        let line = |(pod, image, since): &(String, String, i64)| EvidenceLine {
            from: diagnose::pod::Witness::Node.as_str(),
            text: format!("{pod} has been pulling {image} since {}", time_of_day(*since)),
        };
        let evidence = before.iter().map(line).collect();
        Self { sentence, fix, evidence, ..Self::of_state(pod) }
    }

    /// The result for a failing pod.
    pub(super) fn of(
        pod: &PodState,
        case: &Case,
        found: &Diagnosis,
        seen: Seen,
        replayed: Option<Replayed>,
    ) -> Self {
        let part = Broken {
            name: case.part.name.clone(),
            role: case.part.role,
            written: case.part.written.clone(),
            image: case.part.image.clone(),
            reason: case.part.reason.clone().unwrap_or_default(),
            message: case.part.message.clone(),
        };
        Self {
            fault: true,
            class: Some(found.class.as_str()),
            stage: found.stage.map(|stage| stage.as_str()),
            host: found.host.clone(),
            place: Some(found.place.as_str()),
            state: Some(found.state.as_str()),
            sentence: found.sentence.clone(),
            fix: found.fix.clone(),
            next: found.next.clone(),
            evidence: found.evidence.iter().map(evidence).collect(),
            scope: Some(scope(found)),
            changes: found.changes.iter().map(change).collect(),
            back_off: found.back_off.map(|it| back_off(it, case.now)),
            failed: found.period,
            findings: faults(pod, &part, &seen).iter().map(FindingLine::from).collect(),
            not_seen: seen.refused.iter().map(Refused::finding).map(|it: Finding| (&it).into()).collect(),
            part: Some(PartLine::from(&part)),
            replay: replayed.map(|replayed| replayed.document),
            ..Self::of_state(pod)
        }
    }

    /// The same result with the other parts that fail.
    pub(super) fn with_others(self, others: &[Broken]) -> Self {
        Self { others: others.iter().map(PartLine::from).collect(), ..self }
    }

    fn of_state(pod: &PodState) -> Self {
        let workload = &pod.workload;
        let owner = workload.owner.as_ref();
        Self {
            schema: SCHEMA,
            namespace: workload.id.namespace.to_string(),
            pod: workload.id.name.to_string(),
            node: workload.node.as_ref().map(ToString::to_string),
            owner: owner.map(|it| format!("{}/{}", it.kind.to_ascii_lowercase(), it.name)),
            phase: pod.phase.to_string(),
            ..Self::default()
        }
    }
}

impl From<&Broken> for PartLine {
    fn from(part: &Broken) -> Self {
        Self {
            role: part.role,
            name: part.name.clone(),
            image: part.written.clone(),
            reason: part.reason.clone(),
            class: part.class().as_str(),
        }
    }
}

fn evidence(line: &diagnose::pod::Line) -> EvidenceLine {
    EvidenceLine { from: line.from.as_str(), text: line.text.clone() }
}

fn scope(found: &Diagnosis) -> ScopeLine {
    let scope = &found.scope;
    ScopeLine { extent: scope.extent.as_str(), pods: scope.pods, text: scope.text.clone() }
}

fn change(it: &diagnose::pod::Change) -> ChangeLine {
    let (what, by) = (it.what.clone(), it.by.clone());
    ChangeLine { kind: it.kind.as_str(), what, at: it.at, created: it.created, by }
}

fn back_off(it: diagnose::pod::BackOff, now: i64) -> BackOffLine {
    BackOffLine {
        tries: it.tries,
        wait_seconds: it.wait,
        next: it.next,
        next_utc: time_of_day(it.next),
        left_seconds: it.left(now),
    }
}

/// The version of the document.
pub(super) const SCHEMA: u32 = 1;
