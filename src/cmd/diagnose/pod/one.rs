//! Diagnoses one pod.

use cluster::api::PodState;
use config::Loaded;
use diagnose::pod::{State, conclude};

use super::broken::{Broken, broken, on_its_way};
use super::case::{LONG_PULL, case, running};
use super::document::Document;
use super::look::look;
use super::replay::replay;
use crate::cmd::diagnose::asked::Diagnose;
use crate::cmd::diagnose::cluster::Connected;
use crate::cmd::diagnose::secret::now;

/// The diagnosis of one pod.
pub(super) async fn document(
    loaded: &Loaded,
    connected: &Connected,
    pod: &PodState,
    asked: &Diagnose,
) -> Document {
    let parts = broken(pod);
    let Some(part) = parts.first() else { return healthy(loaded, connected, pod, asked).await };
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

/// A pod without a fault. If its image is on its way, the pulls in front of it are named.
async fn healthy(loaded: &Loaded, connected: &Connected, pod: &PodState, asked: &Diagnose) -> Document {
    let namespace = &*pod.workload.id.namespace;
    let waits = pod.containers.iter().any(|container| container.image_id.is_empty());
    if !waits {
        return Document::of_healthy(pod);
    }
    let (pods, events) =
        tokio::join!(connected.reader.pods(namespace), connected.reader.events_of_pods(namespace));
    let (pods, events) = (pods.unwrap_or_default(), events.unwrap_or_default());
    let own = running(std::iter::once(pod), &events);
    let Some((_, image, since)) = own.first() else { return Document::of_healthy(pod) };
    // The kubelet says nothing before a pull has failed; a replay knows earlier.
    let long = now() - since >= LONG_PULL;
    if let Some(part) = on_its_way(pod, image, *since).filter(|_| long) {
        let document = of_part(loaded, connected, pod, &part, asked).await;
        if document.state == Some(State::StillFails.as_str()) {
            return document;
        }
    }
    let on_node = pods.iter().filter(|it| it.uid != pod.uid && it.workload.node == pod.workload.node);
    let mut before = running(on_node, &events);
    before.retain(|(_, _, begun)| begun <= since);
    Document::of_pulling(pod, (image, now() - since), &before)
}
