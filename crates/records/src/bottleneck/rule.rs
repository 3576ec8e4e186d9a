//! The rule that names the bottleneck of a pull.
//!
//! For each cause, take the wall time in which it held at least one object of the pull: objects that are held at the
//! same time count once. The bottleneck is the cause with the most such time. It is named only if that time is at least
//! [`TIME_MIN`] and at least [`SHARE_MIN_PERCENT`] of the pull's duration; otherwise the finding is
//! [`Bottleneck::None`]. In a tie, the cause that comes first in [`Bottleneck::ALL`] is chosen.
//!
//! The tests of the real binary provoke each cause except [`Bottleneck::Verify`]. The hash is computed while the bytes
//! arrive, so that no registry, disk or client can make its check slow; only a machine without a free processor can, and
//! there every other time grows too. How the time of the check is measured is tested with the pulls of the proxy.

use std::time::Duration;

use super::cause::Bottleneck;
use super::part::{Part, parts};
use crate::record::pull::PullRecord;

/// A cause that held the objects of a pull for less time than this is not named.
pub const TIME_MIN: Duration = Duration::from_millis(50);
/// A cause that held a pull for a smaller share of its duration, in percent, is not named.
pub const SHARE_MIN_PERCENT: u32 = 20;

/// An object counts as held too if it was held for this part of the time of the longest.
const HELD_TOO: u64 = 10;

/// The bottleneck of one pull, with its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The bottleneck.
    pub bottleneck: Bottleneck,
    /// The wall time in which the bottleneck held at least one object; zero if no bottleneck is named.
    pub held: Duration,
    /// The number of objects that the bottleneck held for at least a tenth of the time of the one that it held longest.
    pub objects: usize,
    /// The position in [`PullRecord::objects`] of the object that the bottleneck held longest; none if it held none.
    pub longest: Option<usize>,
}

/// The bottleneck of this pull.
pub fn find(pull: &PullRecord) -> Finding {
    let parts: Vec<(usize, Part)> = pull
        .objects
        .iter()
        .enumerate()
        .flat_map(|(index, object)| parts(object).into_iter().map(move |part| (index, part)))
        .collect();
    let nothing = Finding { bottleneck: Bottleneck::None, held: Duration::ZERO, objects: 0, longest: None };
    let causes = Bottleneck::ALL.iter().map(|&cause| finding(cause, &parts));
    let most = causes.fold(nothing, |most, next| if next.held > most.held { next } else { most });
    let share = pull.duration.saturating_mul(SHARE_MIN_PERCENT) / 100;
    let worth_naming = most.held >= TIME_MIN && most.held >= share;
    if worth_naming { Finding { held: most.held.min(pull.duration), ..most } } else { nothing }
}

fn finding(cause: Bottleneck, parts: &[(usize, Part)]) -> Finding {
    let mut spans: Vec<(u64, u64)> = Vec::new();
    let mut by_object: Vec<(usize, u64)> = Vec::new();
    for (index, part) in parts.iter().filter(|(_, part)| part.cause == cause) {
        spans.push((part.from, part.to));
        match by_object.last_mut() {
            Some((last, time)) if last == index => *time = time.saturating_add(part.to - part.from),
            _ => by_object.push((*index, part.to - part.from)),
        }
    }
    let most = by_object.iter().map(|(_, time)| *time).max().unwrap_or(0);
    Finding {
        bottleneck: cause,
        held: Duration::from_micros(union(spans)),
        objects: by_object.iter().filter(|(_, time)| *time >= most / HELD_TOO).count(),
        longest: by_object.iter().rev().max_by_key(|(_, time)| *time).map(|(index, _)| *index),
    }
}

/// The length of the union of spans.
fn union(mut spans: Vec<(u64, u64)>) -> u64 {
    spans.sort_unstable();
    let (mut length, mut reached) = (0_u64, 0_u64);
    for (from, to) in spans {
        length = length.saturating_add(to.saturating_sub(from.max(reached)));
        reached = reached.max(to);
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bottleneck::cause::UpstreamStage;
    use crate::record::object::ObjectRecord;
    use crate::record::outcome::PullOutcome;
    use crate::time::Timestamp;
    use oci::{ObjectKind, ObjectOutcome};

    /// A pull of this many milliseconds.
    fn pull(duration: u64, objects: Vec<ObjectRecord>) -> PullRecord {
        let image = crate::record::Image {
            registry: "docker.io".parse().unwrap(),
            repository: "library/alpine".parse().unwrap(),
            tag: Some("3.20".parse().unwrap()),
            digest: None,
        };
        let start = Timestamp::from_unix_millis(1_700_000_000_000);
        let mut pull = PullRecord::new(image, [10, 0, 0, 1].into(), start, PullOutcome::Miss);
        pull.duration = ms(duration);
        objects.into_iter().for_each(|object| pull.push(object));
        pull
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A layer that begins at this many milliseconds.
    fn layer(began: u64, change: impl FnOnce(&mut ObjectRecord)) -> ObjectRecord {
        let mut object = ObjectRecord::new(ObjectKind::Layer, ObjectOutcome::Miss);
        object.began = ms(began);
        change(&mut object);
        object
    }

    /// A hit of 100 MB that the client takes in this many milliseconds.
    fn hit(transfer: u64) -> ObjectRecord {
        layer(0, |o| (o.sent, o.transfer) = (100_000_000, ms(transfer)))
    }

    #[test]
    fn each_bottleneck_is_named() {
        use UpstreamStage::*;
        let table: Vec<(ObjectRecord, Bottleneck)> = vec![
            (layer(0, |o| o.stages.resolve = ms(900)), Bottleneck::Upstream(Resolve)),
            (layer(0, |o| o.stages.connect = ms(900)), Bottleneck::Upstream(Connect)),
            (layer(0, |o| o.stages.tls = ms(900)), Bottleneck::Upstream(Tls)),
            (layer(0, |o| o.stages.token = ms(900)), Bottleneck::Upstream(Token)),
            (layer(0, |o| o.waits.token = ms(900)), Bottleneck::Upstream(Token)),
            (layer(0, |o| o.stages.first_byte = ms(900)), Bottleneck::Upstream(FirstByte)),
            (layer(0, |o| o.stages.transfer = ms(900)), Bottleneck::Upstream(Transfer)),
            (layer(0, |o| o.waits.fill = ms(900)), Bottleneck::WaitingForFill),
            (layer(0, |o| o.waits.slot = ms(900)), Bottleneck::WaitingForFill),
            (layer(0, |o| o.waits.quota = ms(900)), Bottleneck::QuotaHold),
            (layer(0, |o| o.disk = ms(900)), Bottleneck::Disk),
            (layer(0, |o| o.verify = ms(900)), Bottleneck::Verify),
            (hit(9000), Bottleneck::ClientSlow),
            (hit(900), Bottleneck::None),
            (layer(0, |_| ()), Bottleneck::None),
        ];
        for (object, expected) in table {
            let named = find(&pull(1000, vec![object.clone()]));
            assert_eq!(named.bottleneck, expected, "{object:?}");
            assert_eq!(named.longest, (expected != Bottleneck::None).then_some(0));
        }
    }

    #[test]
    fn objects_held_at_the_same_time_count_once() {
        let two_transfers = [0, 100].map(|began| layer(began, |o| o.stages.transfer = ms(400)));
        let hold = layer(0, |o| o.waits.quota = ms(450));
        let objects = two_transfers.into_iter().chain([hold]).collect();
        let named = find(&pull(1000, objects));
        assert_eq!(named.bottleneck, Bottleneck::Upstream(UpstreamStage::Transfer));
        assert_eq!((named.held, named.objects), (ms(500), 2));
    }

    #[test]
    fn objects_held_one_after_another_add_up() {
        let tokens = [0, 200, 400].map(|began| layer(began, |o| o.stages.token = ms(150)));
        let transfer = layer(0, |o| o.stages.transfer = ms(400));
        let named = find(&pull(1000, tokens.into_iter().chain([transfer]).collect()));
        assert_eq!((named.bottleneck, named.held), (Bottleneck::Upstream(UpstreamStage::Token), ms(450)));
    }

    #[test]
    fn the_finding_names_the_object_held_longest() {
        let objects = [100, 700, 300].map(|time| layer(0, |o| o.stages.transfer = ms(time)));
        assert_eq!(find(&pull(800, objects.into())).longest, Some(1));
    }

    #[test]
    fn objects_held_for_moments_are_not_counted() {
        let objects = [2, 900, 90, 89].map(|time| layer(0, |o| o.stages.transfer = ms(time)));
        assert_eq!(find(&pull(1000, objects.into())).objects, 2);
    }

    #[test]
    fn small_times_and_small_shares_are_not_named() {
        let blink = layer(0, |o| o.stages.transfer = ms(49));
        assert_eq!(find(&pull(50, vec![blink])).bottleneck, Bottleneck::None);
        let share = layer(0, |o| o.stages.transfer = ms(199));
        assert_eq!(find(&pull(1000, vec![share])).bottleneck, Bottleneck::None);
    }

    #[test]
    fn a_tie_goes_to_the_first_of_the_list() {
        let both = layer(0, |o| (o.stages.tls, o.stages.connect) = (ms(400), ms(400)));
        let named = find(&pull(1000, vec![both]));
        assert_eq!(named.bottleneck, Bottleneck::Upstream(UpstreamStage::Connect));
    }

    #[test]
    fn a_slow_client_behind_a_fast_upstream_is_named() {
        let object = layer(0, |o| {
            (o.stages.first_byte, o.stages.transfer) = (ms(100), ms(300));
            (o.first_byte, o.transfer, o.sent) = (ms(120), ms(5000), 10_000_000);
        });
        let named = find(&pull(5200, vec![object]));
        assert_eq!((named.bottleneck, named.held), (Bottleneck::ClientSlow, ms(4720)));
    }

    #[test]
    fn absurd_times_cause_no_panic() {
        let object = layer(u64::MAX, |o| {
            o.stages.transfer = Duration::MAX;
            (o.first_byte, o.transfer, o.sent) = (Duration::MAX, Duration::MAX, u64::MAX);
        });
        let mut record = pull(0, vec![object.clone(), object]);
        find(&record);
        record.duration = Duration::MAX;
        find(&record);
        assert_eq!(find(&pull(5, Vec::new())).bottleneck, Bottleneck::None);
    }
}
