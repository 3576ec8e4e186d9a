//! Diagnoses one pod.

use cluster::api::PodState;
use config::Loaded;
use diagnose::pod::conclude;

use super::broken::{Broken, broken};
use super::case::case;
use super::document::Document;
use super::look::look;
use super::replay::replay;
use crate::cmd::diagnose::asked::Diagnose;
use crate::cmd::diagnose::cluster::Connected;

/// The diagnosis of one pod.
pub(super) async fn document(
    loaded: &Loaded,
    connected: &Connected,
    pod: &PodState,
    asked: &Diagnose,
) -> Document {
    let parts = broken(pod);
    let Some(part) = parts.first() else { return Document::of_healthy(pod) };
    of_part(loaded, connected, pod, part, asked).await.with_others(&parts[1..])
}

/// The diagnosis of one part of a pod.
pub(super) async fn of_part(
    loaded: &Loaded,
    connected: &Connected,
    pod: &PodState,
    part: &Broken,
    asked: &Diagnose,
) -> Document {
    let seen = look(&connected.reader, pod).await;
    let replayed = replay(loaded, pod, part, &seen, asked).await;
    let case = case(pod, part, &seen, replayed.as_ref());
    Document::of(pod, &case, &conclude(&case), seen, replayed)
}
