//! The headers by which a pullgate instance recognises requests and answers of another instance.

/// Request header: the instances that the request has passed, separated by commas. An instance that finds its own name
/// in it has found a loop.
pub const VIA: &str = "x-pullgate-via";
/// Answer header: the origin of the answer, such as `hit` or [`STALE`].
pub const OUTCOME: &str = "x-pullgate-outcome";
/// Answer header: the [`Class`](crate::Class) of the failure, or of the failure that made the answer stale.
pub const CLASS: &str = "x-pullgate-class";
/// Answer header: the [`Stage`](crate::Stage) of the failure.
pub const STAGE: &str = "x-pullgate-stage";

/// The value of [`OUTCOME`] for an answer that is served stale.
pub const STALE: &str = "stale";

/// The value of a `Warning` header (RFC 7234, 5.5: code 299, no agent) that marks an answer as stale, with the reason.
///
/// `reason` must hold no quotation mark.
pub fn stale_warning(reason: &str) -> String {
    format!("{STALE_PREFIX}{reason}\"")
}

/// True if the value of a `Warning` header marks an answer as stale: the value of [`stale_warning`], or code 110 of any
/// cache (RFC 7234, 5.5.1).
pub fn is_stale_warning(value: &str) -> bool {
    value.starts_with("110 ") || value.starts_with(STALE_PREFIX)
}

/// The beginning of each [`stale_warning`].
const STALE_PREFIX: &str = "299 - \"pullgate: stale: ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_answer_of_another_pullgate_is_recognised() {
        assert!(is_stale_warning(&stale_warning("registry.test last confirmed this 5 s ago, now: dns")));
        assert!(is_stale_warning("110 - \"Response is Stale\""));
        assert!(!is_stale_warning("299 - \"deprecated\""));
        assert!(!is_stale_warning("299 - \"pullgate: other\""));
    }
}
