//! Images to complete in the background, so that clients can pull them to their end while the upstream fails.

use std::time::Duration;

use moka::sync::Cache;
use oci::{ImageName, Reference};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::endpoint::asking::Asking;
use crate::http::answer::Content;
use crate::http::outcome::Outcome;
use crate::http::route::Verb;

/// The queue of manifests that clients were given. Answers add to it, and [`crate::endpoint::completion`] takes from
/// it.
pub(crate) struct Incomplete {
    queue: mpsc::Sender<Noted>,
    /// Images that were noted lately.
    lately: Cache<ImageName, ()>,
}

/// A manifest that a client was given.
pub(crate) struct Noted {
    /// The image, by digest.
    pub(crate) image: ImageName,
    pub(crate) at: Instant,
}

impl Incomplete {
    /// An empty queue, and the receiver from which the background task takes the manifests.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Noted>) {
        let (queue, noted) = mpsc::channel(QUEUE_MAX);
        let lately = Cache::builder().max_capacity(LATELY_MAX).time_to_live(NOT_AGAIN_FOR).build();
        (Self { queue, lately }, noted)
    }

    /// Notes the manifest that a client was just given, if its upstream has `complete`. If the queue is full, the
    /// manifest is not noted, and the next request for the image tries again.
    pub(crate) fn note(&self, asking: &Asking<'_>, content: &Content) {
        let announced = asking.verb == Verb::Head && content.outcome == Outcome::Miss;
        if !asking.served.complete || asking.peer.is_none() || announced || content.outcome == Outcome::Stale
        {
            return;
        }
        let place = asking.place;
        let image = ImageName {
            registry: place.registry.clone(),
            repository: place.repository.clone(),
            reference: Reference::Digest(content.digest.clone()),
        };
        if self.lately.contains_key(&image) {
            return;
        }
        if self.queue.try_send(Noted { image: image.clone(), at: Instant::now() }).is_ok() {
            self.lately.insert(image, ());
        }
    }
}

/// The most images in the queue. Further images are not noted.
const QUEUE_MAX: usize = 1024;
/// The time after which an image may be noted again.
const NOT_AGAIN_FOR: Duration = Duration::from_secs(600);
/// The most images remembered as noted. A forgotten image may be noted again earlier.
const LATELY_MAX: u64 = 10_000;
