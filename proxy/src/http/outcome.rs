//! The outcome of a request: the label of metrics and log lines, and the value of the response header.

oci::labels! {
    /// The outcome of a request.
    Outcome {
        /// From the store.
        Hit = "hit";
        /// From an upstream transfer that another client began.
        Joined = "joined";
        /// From the upstream.
        Miss = "miss";
        /// From the store, because the upstream could not be asked.
        Stale = "stale";
        /// Refused for a reason in the request itself.
        Refused = "refused";
        /// Not answered, because the upstream or this mirror failed.
        Failed = "failed";
    }
}
