//! A pull for tests.

use std::time::Duration;

use records::record::PullOutcome;
use records::{Image, ObjectRecord, PullRecord, Timestamp};

/// A pull of `docker.io/library/alpine:3.20` that took eight seconds.
#[allow(clippy::unwrap_used)]
pub(crate) fn pull(objects: Vec<ObjectRecord>) -> PullRecord {
    let image = Image {
        registry: "docker.io".parse().unwrap(),
        repository: "library/alpine".parse().unwrap(),
        tag: Some("3.20".parse().unwrap()),
        digest: None,
    };
    let mut pull = PullRecord::new(image, [10, 0, 0, 1].into(), Timestamp::default(), PullOutcome::Miss);
    pull.duration = Duration::from_secs(8);
    objects.into_iter().for_each(|object| pull.push(object));
    pull
}
