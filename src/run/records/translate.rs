//! The proxy's record of a pull as the record file keeps it.

use oci::Reference;
use proxy::{PullOutcome, PullRecord};
use records::record::{Failure, Text};
use records::{Image, PullId};

/// The record for the file.
pub(super) fn translate(pull: &PullRecord) -> records::PullRecord {
    let start = pull.start.into();
    let mut record = records::PullRecord::new(image(pull), pull.client, start, outcome(pull.outcome));
    record.id = PullId::new(start);
    record.user_agent = Text::clean(pull.user_agent.as_bytes());
    record.duration = pull.duration;
    record.failure = pull.class.map(|class| Failure { class, stage: pull.stage });
    record.stale = pull.outcome == PullOutcome::Stale;
    record.sent = pull.bytes;
    record
}

fn image(pull: &PullRecord) -> Image {
    let (tag, digest) = match pull.image.reference.clone() {
        Reference::Tag(tag) => (Some(tag), None),
        Reference::Digest(digest) => (None, Some(digest)),
    };
    Image { registry: pull.registry.clone(), repository: pull.image.repository.clone(), tag, digest }
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
