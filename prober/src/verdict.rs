//! Turns the result of a probe into a verdict. Pure.

use oci::{Class, Stage};
use registry::{Error, Quota};
use serde::Serialize;

/// The conclusion of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The target was not probed yet. This never counts as a success.
    Pending,
    /// The target works, to the depth that was reached.
    Ok(Depth),
    /// The target fails, with a named cause.
    Failed(Failure),
}

/// The depth that a successful probe reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// The registry answered up to its challenge; images were not tested.
    Reachable,
    /// The tag resolves; the manifest and layers were not requested, because no budget was left or the answer named no
    /// digest.
    Resolved,
    /// The manifest is known and the first bytes of a layer were received: a pull would start.
    Pullable,
}

/// The failure of a probe, with its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The named cause.
    pub class: Class,
    /// The stage that failed.
    pub stage: Stage,
    /// Host, address, status and server message in one line.
    pub evidence: String,
}

impl Verdict {
    /// The label: `pending`, `ok`, or the class.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => PENDING,
            Self::Ok(_) => OK,
            Self::Failed(failed) => failed.class.as_str(),
        }
    }

    /// True if both verdicts are the same conclusion; details such as addresses may differ.
    pub fn agrees_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Failed(a), Self::Failed(b)) => (a.class, a.stage) == (b.class, b.stage),
            _ => self == other,
        }
    }

    /// The verdict for a failed call.
    pub fn of_error(error: &Error) -> Self {
        Self::Failed(Failure { class: error.class, stage: error.stage, evidence: error.to_string() })
    }

    /// The verdict for calls that all succeeded. It is still a failure if the quota is spent: a HEAD is then answered,
    /// but the next step of a pull fails.
    pub fn of_success(depth: Depth, quota: Option<&Quota>) -> Self {
        match quota {
            Some(quota) if quota.remaining == Some(0) => Self::Failed(Failure {
                class: Class::RatePullQuota,
                stage: Stage::ManifestHead,
                evidence: spent(quota),
            }),
            _ => Self::Ok(depth),
        }
    }
}

/// Label of a target that was not probed yet.
pub const PENDING: &str = "pending";
/// Label of a target that works.
pub const OK: &str = "ok";

fn spent(quota: &Quota) -> String {
    let limit = quota.limit.map_or_else(|| "its limit".to_owned(), |limit| format!("all {limit}"));
    let window = quota.window.map_or_else(String::new, |window| format!(" in {} s", window.as_secs()));
    let source = quota.source.as_deref().map_or_else(String::new, |source| format!(", counted for {source}"));
    format!(
        "{} at manifest_head: the registry answers HEAD but says that {limit} pulls{window} are spent{source}",
        Class::RatePullQuota
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use registry::Evidence;

    fn quota(remaining: Option<u64>) -> Quota {
        Quota { limit: Some(100), remaining, window: None, source: None }
    }

    #[test]
    fn a_head_answered_with_an_empty_quota_is_no_success() {
        assert_eq!(Verdict::of_success(Depth::Pullable, Some(&quota(Some(0)))).as_str(), "rate_pull_quota");
        assert_eq!(Verdict::of_success(Depth::Pullable, Some(&quota(Some(1)))).as_str(), "ok");
    }

    #[test]
    fn an_absent_header_is_not_zero() {
        assert_eq!(Verdict::of_success(Depth::Resolved, Some(&quota(None))), Verdict::Ok(Depth::Resolved));
        assert_eq!(Verdict::of_success(Depth::Resolved, None), Verdict::Ok(Depth::Resolved));
    }

    #[test]
    fn the_same_failure_at_another_address_is_no_change() {
        let at =
            |host: &str| Verdict::of_error(&Error::new(Class::Dns, Stage::Resolve, Evidence::host(host)));
        assert!(at("a").agrees_with(&at("b")));
        assert!(!at("a").agrees_with(&Verdict::Ok(Depth::Pullable)));
        assert!(!Verdict::Pending.agrees_with(&Verdict::Ok(Depth::Reachable)));
    }
}
