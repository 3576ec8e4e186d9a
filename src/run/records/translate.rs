//! Converts the proxy's record of a pull into the record that is written to the file.

use std::time::Duration;

use oci::{Reference, Stage};
use proxy::{PullOutcome, PullRecord, PulledObject};
use records::record::{Failure, StageTimes, Text, Waits};
use records::{Image, ObjectRecord};

/// The record for the file.
pub(super) fn translate(pull: &PullRecord) -> records::PullRecord {
    let outcome = outcome(pull.outcome);
    let mut record = records::PullRecord::new(image(pull), pull.client, pull.start.into(), outcome);
    record.user_agent = Text::clean(pull.user_agent.as_bytes());
    record.node = Text::clean(&pull.node);
    record.duration = pull.duration;
    record.failure = pull.class.map(|class| Failure { class, stage: pull.stage });
    pull.codes.iter().for_each(|(code, times)| record.status_codes.add(*code, *times));
    record.stale = pull.stale;
    record.rescued = pull.outcome == PullOutcome::Stale && pull.class.is_some();
    pull.objects.iter().for_each(|pulled| record.push(object(pulled)));
    // Bytes of objects that are not listed count too.
    record.sent = pull.bytes;
    record.objects_left_out = record.objects_left_out.saturating_add(pull.left_out);
    record
}

fn image(pull: &PullRecord) -> Image {
    let (tag, digest) = match pull.image.reference.clone() {
        Reference::Tag(tag) => (Some(tag), pull.digest.clone()),
        Reference::Digest(digest) => (None, Some(digest)),
    };
    Image { registry: pull.registry.clone(), repository: pull.image.repository.clone(), tag, digest }
}

fn object(pulled: &PulledObject) -> ObjectRecord {
    let mut object = ObjectRecord::new(pulled.kind, pulled.outcome);
    object.digest = pulled.digest.clone();
    object.media_type = pulled.media_type.as_ref().and_then(|it| Text::clean(it.as_bytes()));
    object.size = pulled.size;
    (object.began, object.first_byte, object.transfer) = (pulled.began, pulled.first_byte, pulled.transfer);
    (object.sent, object.fetched) = (pulled.sent, pulled.fetched);
    object.waits = Waits {
        fill: pulled.fill_wait,
        quota: pulled.quota_wait,
        slot: pulled.slot_wait,
        token: pulled.token_wait,
    };
    object.stages = stages(pulled);
    (object.disk, object.verify, object.resumes) = (pulled.disk, pulled.verify, pulled.resumes);
    object
}

/// The times of the stages that a waterfall shows. The time of the challenge is added to that of the token, and the
/// wait for a token that another request fetched is subtracted.
fn stages(pulled: &PulledObject) -> StageTimes {
    let of =
        |stages: &[Stage]| -> Duration { stages.iter().filter_map(|stage| pulled.timings.of(*stage)).sum() };
    StageTimes {
        resolve: of(&[Stage::Resolve]),
        connect: of(&[Stage::Connect]),
        tls: of(&[Stage::Tls]),
        token: of(&[Stage::Challenge, Stage::Token]).saturating_sub(pulled.token_wait),
        first_byte: of(&[Stage::ManifestHead, Stage::ManifestGet, Stage::BlobFirstByte]),
        transfer: of(&[Stage::BlobTransfer]),
    }
}

fn outcome(outcome: PullOutcome) -> records::record::PullOutcome {
    use records::record::PullOutcome as Kept;
    match outcome {
        PullOutcome::Challenged => Kept::Challenged,
        PullOutcome::Hit => Kept::Hit,
        PullOutcome::Joined => Kept::Joined,
        PullOutcome::Miss => Kept::Miss,
        PullOutcome::Stale => Kept::Stale,
        PullOutcome::Absent => Kept::Absent,
        PullOutcome::Abandoned => Kept::Abandoned,
        PullOutcome::Refused => Kept::Refused,
        PullOutcome::Failed => Kept::Failed,
    }
}
