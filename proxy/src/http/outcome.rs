//! How a request was answered: the label of metrics, log lines and the response header.

oci::labels! {
    /// How a request was answered.
    Outcome {
        /// From the store.
        Hit = "hit";
        /// From an upstream transfer another client began.
        Joined = "joined";
        /// From the upstream.
        Miss = "miss";
        /// From the store, because the upstream could not be asked.
        Stale = "stale";
        /// Refused because of the request itself.
        Refused = "refused";
        /// Not answered, because the upstream or we could not.
        Failed = "failed";
    }
}
