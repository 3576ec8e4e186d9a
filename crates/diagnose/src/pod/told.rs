//! The text that tells most about a failure: the message of the waiting container, or an event.

use super::case::{Event, Part};
use crate::reading::Reading;
use crate::{classify, redact};

/// The report of the kubelet.
#[derive(Clone, Debug)]
pub struct Told {
    /// The reading of the text.
    pub reading: Reading,
    /// The text, redacted.
    pub text: String,
    /// Failed tries that the events show.
    pub tries: u32,
    /// The time of the first failed try; `None` if its event is gone.
    pub first: Option<i64>,
    /// The time of the last one.
    pub last: Option<i64>,
    /// The other classes that the failure had before, with the time of each last one.
    pub before: Vec<(oci::Class, i64)>,
}

/// Reads all texts and keeps the one that tells most. A known cause counts more than an unknown one, then the newest
/// counts; the message of the waiting container is newer than every event.
pub fn told(part: &Part, events: &[Event]) -> Told {
    let about: Vec<&Event> = events.iter().filter(|event| is_about(event, &part.written)).collect();
    let failed: Vec<&Event> = about.iter().copied().filter(|event| is_failed_pull(event)).collect();
    let of_events = about.iter().map(|event| (event.message.clone(), event.last.unwrap_or(0)));
    let waiting = part.message.iter().map(|message| (message.clone(), i64::MAX));
    let alone = part.reason.iter().map(|reason| (reason.clone(), i64::MIN));
    let read = of_events.chain(waiting).chain(alone).map(|(text, at)| (classify(&text), text, at));
    let (reading, text, _) = read
        .max_by_key(|(reading, _, at)| (!reading.is_unknown(), *at))
        .unwrap_or_else(|| (classify(""), String::new(), 0));
    Told {
        before: before(&failed, reading.class),
        tries: failed.iter().map(|event| event.count.max(1)).sum(),
        first: failed.iter().filter_map(|event| event.first).min(),
        last: failed.iter().filter_map(|event| event.last).max(),
        text: redact(&text),
        reading,
    }
}

fn is_about(event: &Event, image: &str) -> bool {
    PULL_EVENTS.contains(&event.reason.as_str()) && event.message.contains(image)
}

/// True for the event of a failed try. A repeated text has a prefix.
fn is_failed_pull(event: &Event) -> bool {
    event.reason == "Failed" && event.message.contains("Failed to pull image")
        || matches!(event.reason.as_str(), "InspectFailed" | "ErrImageNeverPull")
}

fn before(failed: &[&Event], now: oci::Class) -> Vec<(oci::Class, i64)> {
    let mut before: Vec<(oci::Class, i64)> = Vec::new();
    for event in failed {
        let (class, at) = (classify(&event.message).class, event.last.unwrap_or(0));
        if class != now && class != oci::Class::Unknown {
            before.retain(|(known, _)| *known != class);
            before.push((class, at));
        }
    }
    before
}

/// The reasons for which a container waits because of its image.
pub const PULL_REASONS: &[&str] = &[
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
];

/// The reasons of events about a pull. `BackOff` is of type `Normal`.
const PULL_EVENTS: &[&str] = &["Failed", "BackOff", "InspectFailed", "ErrImageNeverPull"];
