//! The evidence in words, by weight.

use oci::Class;

use super::back_off::BackOff;
use super::case::{Case, Change, Event};
use super::changes::explains;
use super::choice::State;
use super::clock::time_of_day;
use super::scope::Scope;
use super::told::Told;
use crate::image::span;

oci::labels! {
    /// The source of a piece of evidence.
    Witness {
        /// The kubelet's message or event.
        Kubelet = "kubelet";
        /// The same pull, made again.
        Replay = "replay";
        /// A fault of a secret or a service account.
        Finding = "finding";
        /// The node's state.
        Node = "node";
        /// A change in the namespace.
        Change = "change";
        /// Other pods.
        Scope = "scope";
        /// The wait before the next try.
        BackOff = "back_off";
        /// A pull through the mirror.
        Pull = "pull";
        /// The prober.
        Probe = "probe";
        /// An earlier failure of the same pull.
        History = "history";
    }
}

/// A piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its source.
    pub from: Witness,
    /// What it shows.
    pub text: String,
}

/// What the lines are made from, besides the case.
pub(super) struct Known<'a> {
    pub(super) class: Class,
    pub(super) state: State,
    pub(super) told: &'a Told,
    pub(super) changes: &'a [Change],
    pub(super) scope: &'a Scope,
    pub(super) back_off: Option<BackOff>,
}

/// The evidence, by weight.
pub(super) fn lines(case: &Case, known: &Known<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut add = |from, text| lines.push(Line { from, text });
    add(Witness::Kubelet, kubelet(case, known.told));
    if let Some(text) = replay(case, known.state) {
        add(Witness::Replay, text);
    }
    case.findings.iter().for_each(|it| add(Witness::Finding, format!("{}: {}", it.code, it.seen)));
    let first = known.told.first.unwrap_or(case.now);
    known.changes.iter().for_each(|it| add(Witness::Change, change(it, first, known.class)));
    node(case).into_iter().for_each(|text| add(Witness::Node, text));
    add(Witness::Scope, known.scope.text.clone());
    if let Some(back_off) = known.back_off {
        add(Witness::BackOff, wait(case, back_off));
    }
    for (class, at) in &known.told.before {
        add(Witness::History, format!("until {} the cause was another: {class}", time_of_day(*at)));
    }
    for pull in case.pulls.iter().take(PULLS) {
        add(Witness::Pull, format!("{} {} in {}: {}", pull.start, pull.client, pull.took, pull.outcome));
    }
    if let Some(probes) = &case.probes {
        add(Witness::Probe, probes.clone());
    }
    lines
}

fn kubelet(case: &Case, told: &Told) -> String {
    let when = match (told.first, told.last) {
        (Some(first), Some(last)) if first < last => {
            format!("{} to {}, {} tries: ", time_of_day(first), time_of_day(last), told.tries)
        }
        (_, Some(last)) => format!("{}: ", time_of_day(last)),
        _ => String::new(),
    };
    let reason = case.part.reason.as_deref().unwrap_or("waiting");
    format!("{when}{reason}: {}", cause(&told.text, &case.part.written))
}

/// The text without its beginning, which only names the image again.
fn cause(text: &str, image: &str) -> String {
    let quoted = format!("\"{image}\": ");
    let end = text.rfind(&quoted).map_or(0, |at| at + quoted.len());
    let cause: String = text[end..].chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let shown = &cause[..cause.floor_char_boundary(CAUSE_MAX)];
    if shown.len() < cause.len() { format!("{shown}...") } else { cause }
}

fn replay(case: &Case, state: State) -> Option<String> {
    let replay = case.replay.as_ref()?;
    let now = time_of_day(case.now);
    let class = replay.verdict.class.map_or("", Class::as_str);
    let identity = if replay.as_the_pod { "" } else { " (without the pod's secrets, which may not be read)" };
    Some(match (state, replay.verdict.class) {
        (State::OfTheNode, None) => format!("the same pull works from here at {now}: the registry is well"),
        (_, None) => format!("the same pull works from here at {now}{identity}"),
        (State::StillFails, _) => format!("the same pull fails from here too at {now}: {class}{identity}"),
        (State::FailsOtherwise, _) => {
            format!("at {now} it fails from here for another cause: {class}{identity}")
        }
        (_, Some(_)) => format!(
            "from here it fails with {class} at {now}{identity}, which says nothing about the pod: {}",
            replay.verdict.sentence
        ),
    })
}

fn change(change: &Change, first: i64, class: Class) -> String {
    let verb = if change.created { "was created" } else { "was changed" };
    let by = change.by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
    let before = (first - change.at).unsigned_abs();
    let likely = if explains(change.kind, class) { ", and can explain this failure" } else { "" };
    let distance = match before {
        0 => "in the second of the first failure".to_owned(),
        _ => format!("{} before the first failure", span(std::time::Duration::from_secs(before))),
    };
    format!("{} {verb}{by} at {}, {distance}{likely}", change.what, time_of_day(change.at))
}

fn node(case: &Case) -> Vec<String> {
    let Some(node) = &case.node else { return Vec::new() };
    let mut lines: Vec<String> = node
        .troubles
        .iter()
        .map(|(condition, reason)| format!("{} has the condition {condition} ({reason})", node.name))
        .collect();
    if !node.taints.is_empty() {
        lines.push(format!("{} has the taints {}", node.name, node.taints.join(", ")));
    }
    lines.extend(node.events.iter().map(event));
    lines.extend(node.pulling.iter().take(PULLS).map(|(pod, image, since)| {
        let time = span(std::time::Duration::from_secs((case.now - since).unsigned_abs()));
        format!(
            "{pod} has been pulling {image} on {} for {time}; a kubelet with serializeImagePulls pulls one image at a time",
            node.name
        )
    }));
    lines
}

fn event(event: &Event) -> String {
    let at = event.last.map_or_else(String::new, |at| format!("{} ", time_of_day(at)));
    let message = &event.message[..event.message.floor_char_boundary(CAUSE_MAX)];
    format!("{at}{}: {message}", event.reason)
}

fn wait(case: &Case, back_off: BackOff) -> String {
    let tries = if back_off.tries == 1 { "1 try".to_owned() } else { format!("{} tries", back_off.tries) };
    let next = match back_off.left(case.now) {
        0 => "the next one is due".to_owned(),
        left => format!("the next one comes at {} (in {left} s)", time_of_day(back_off.next)),
    };
    format!("{tries} failed, {next}; a new pod tries at once")
}

/// The longest text of the kubelet that is shown, in bytes.
const CAUSE_MAX: usize = 500;
/// Pulls that are shown.
const PULLS: usize = 3;
