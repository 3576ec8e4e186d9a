//! Records for tests.

use std::time::Duration;

use oci::{Class, Digest, Stage};

use crate::record::text::Text;
use crate::record::{
    Failure, Image, ObjectKind, ObjectOutcome, ObjectRecord, PullOutcome, PullRecord, StageTimes, Waits,
};
use crate::time::Timestamp;

/// 2026-11-25, at the start of a quarter of an hour.
pub(crate) const NOON: i64 = 1_795_608_000_000;

/// The fixed time of tests.
pub(crate) fn noon() -> Timestamp {
    Timestamp::from_unix_millis(NOON)
}

/// A time in milliseconds.
pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A pull of `docker.io/library/alpine:3.20` that began this many milliseconds after noon and took a second.
pub(crate) fn pull(after_noon: i64) -> PullRecord {
    let image = Image {
        registry: "docker.io".parse().unwrap(),
        repository: "library/alpine".parse().unwrap(),
        tag: Some("3.20".parse().unwrap()),
        digest: None,
    };
    let start = Timestamp::from_unix_millis(NOON + after_noon);
    let mut pull = PullRecord::new(image, [10, 0, 0, 1].into(), start, PullOutcome::Hit);
    pull.duration = ms(1000);
    pull
}

/// A pull in which every field has a value.
pub(crate) fn wide_pull(after_noon: i64) -> PullRecord {
    let mut pull = pull(after_noon);
    pull.image.digest = Some(Digest::sha256(b"manifest"));
    pull.user_agent = Text::clean(b"containerd/2.1.4");
    pull.node = Text::clean(b"worker-3");
    pull.outcome = PullOutcome::Miss;
    pull.failure = Some(Failure { class: Class::Stalled, stage: Some(Stage::BlobTransfer) });
    pull.status_codes.add(200, 12);
    pull.status_codes.add(429, 1);
    (pull.stale, pull.rescued) = (true, true);
    for position in 0..13 {
        pull.push(object(position));
    }
    let mut odd = object(13);
    (odd.sent, odd.fetched, odd.size) = (0, 17, None);
    odd.media_type = Text::clean(b"application/x-odd");
    odd.outcome = ObjectOutcome::NotAsked;
    pull.push(odd);
    pull
}

/// An object that was fetched from an upstream: the first three have connection times, and all have transfer times.
pub(crate) fn object(position: u64) -> ObjectRecord {
    let kind = match position {
        0 => ObjectKind::Index,
        1 => ObjectKind::Manifest,
        2 => ObjectKind::Config,
        _ => ObjectKind::Layer,
    };
    let mut object = ObjectRecord::new(kind, ObjectOutcome::Miss);
    let connects = position < 3;
    let connect = |millis| if connects { ms(millis) } else { Duration::ZERO };
    object.digest = Some(Digest::sha256(&fastrand::u128(..).to_be_bytes()));
    object.media_type = Text::clean(b"application/vnd.oci.image.layer.v1.tar+gzip");
    object.size = Some(30_000_000 + position);
    (object.sent, object.fetched) = (30_000_000 + position, 30_000_000 + position);
    (object.began, object.first_byte, object.transfer) = (ms(200), ms(130), ms(900));
    object.stages = StageTimes {
        resolve: connect(3),
        connect: connect(20),
        tls: connect(40),
        token: connect(80),
        first_byte: ms(120),
        transfer: ms(880),
    };
    (object.disk, object.verify) = (ms(3), ms(2));
    object
}

/// An object with a value in every time field.
pub(crate) fn worst_object(position: u64) -> ObjectRecord {
    let mut object = object(position);
    object.waits = Waits { fill: ms(9), quota: ms(80), slot: ms(70), token: ms(60) };
    object.stages =
        StageTimes { resolve: ms(60), connect: ms(60), tls: ms(60), token: ms(60), ..object.stages };
    object.resumes = 2;
    object
}
