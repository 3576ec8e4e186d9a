//! The changes shortly before the first failure.

use oci::Class;
use oci::class::Family;

use super::case::{Change, ChangeKind};

/// The changes that may explain the failure, the most likely first. `first` is the time of the first failure.
///
/// Secrets, service accounts and network policies count if they changed within ten minutes before it, else within thirty.
/// Rollouts count within one hour, else within two, because nodes pull one after another.
pub(super) fn related(changes: &[Change], first: i64, class: Class) -> Vec<Change> {
    let mut found = within(changes, first, is_setting, [TEN_MINUTES, THIRTY_MINUTES]);
    found.extend(within(changes, first, is_rollout, [ONE_HOUR, TWO_HOURS]));
    found.sort_by_key(|change| (!explains(change.kind, class), first - change.at));
    found
}

fn within(changes: &[Change], first: i64, is: fn(&Change) -> bool, windows: [i64; 2]) -> Vec<Change> {
    let in_window = |window: i64| -> Vec<Change> {
        let is_near = |change: &&Change| is(change) && (0..=window).contains(&(first - change.at));
        changes.iter().filter(is_near).cloned().collect()
    };
    let near = in_window(windows[0]);
    if near.is_empty() { in_window(windows[1]) } else { near }
}

fn is_setting(change: &Change) -> bool {
    matches!(change.kind, ChangeKind::Secret | ChangeKind::ServiceAccount | ChangeKind::NetworkPolicy)
}

fn is_rollout(change: &Change) -> bool {
    change.kind == ChangeKind::Rollout
}

/// True if a change of this kind can cause a failure of this class.
pub(super) fn explains(kind: ChangeKind, class: Class) -> bool {
    let rules = class.rules();
    match kind {
        ChangeKind::Secret | ChangeKind::ServiceAccount => {
            rules.family == Family::Access || rules.refuses_identity
        }
        ChangeKind::NetworkPolicy => rules.family == Family::Reachability && class != Class::Registry5xx,
        ChangeKind::Rollout => rules.family == Family::Content,
        ChangeKind::Other => false,
    }
}

const TEN_MINUTES: i64 = 600;
const THIRTY_MINUTES: i64 = 1800;
const ONE_HOUR: i64 = 3600;
const TWO_HOURS: i64 = 7200;

#[cfg(test)]
mod tests {
    use super::*;

    fn change(kind: ChangeKind, at: i64) -> Change {
        Change { kind, what: format!("{kind} {at}"), at, created: false, by: None }
    }

    #[test]
    fn changes_count_within_their_windows_and_the_likely_ones_come_first() {
        use ChangeKind::{NetworkPolicy, Other, Rollout, Secret, ServiceAccount};
        let first = 10_000;
        let before = |kind, seconds| change(kind, first - seconds);
        for (all, class, expected) in [
            (vec![before(Secret, 60)], Class::AuthRejected, vec![60]),
            (vec![before(Secret, 0)], Class::AuthRejected, vec![0]),
            (vec![before(Secret, -1)], Class::AuthRejected, vec![]),
            (vec![before(Secret, 1800)], Class::AuthRejected, vec![1800]),
            (vec![before(Secret, 1801)], Class::AuthRejected, vec![]),
            // What is near makes the wider window needless.
            (vec![before(Secret, 1800), before(ServiceAccount, 600)], Class::AuthMissing, vec![600]),
            (vec![before(Rollout, 7200)], Class::ManifestUnknown, vec![7200]),
            (vec![before(Rollout, 7201)], Class::ManifestUnknown, vec![]),
            (vec![before(Rollout, 7200), before(Rollout, 3600)], Class::ManifestUnknown, vec![3600]),
            (vec![before(Other, 5)], Class::ManifestUnknown, vec![]),
            (vec![before(NetworkPolicy, 20), before(Secret, 500)], Class::AuthRejected, vec![500, 20]),
            (vec![before(Secret, 20), before(NetworkPolicy, 500)], Class::ConnectTimeout, vec![500, 20]),
            (vec![before(Secret, 20), before(Rollout, 3000)], Class::ManifestUnknown, vec![3000, 20]),
        ] {
            let found: Vec<i64> = related(&all, first, class).iter().map(|it| first - it.at).collect();
            assert_eq!(found, expected, "{all:?}");
        }
    }
}
