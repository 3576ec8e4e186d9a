//! The endpoint of a request, as a label.

use crate::http::route::Request;

oci::labels! {
    /// The endpoint a request names.
    Endpoint {
        /// `/v2/`.
        Ping = "ping";
        /// A manifest.
        Manifest = "manifest";
        /// A blob.
        Blob = "blob";
        /// A list of tags.
        Tags = "tags";
        /// The referrers of a digest.
        Referrers = "referrers";
        /// Nothing we offer.
        Other = "other";
    }
}

impl Endpoint {
    /// The endpoint of `request`.
    pub(crate) fn of(request: Option<&Request>) -> Self {
        match request {
            Some(Request::Ping { .. }) => Self::Ping,
            Some(Request::Manifest { .. }) => Self::Manifest,
            Some(Request::Blob { .. }) => Self::Blob,
            Some(Request::Tags { .. }) => Self::Tags,
            Some(Request::Referrers { .. }) => Self::Referrers,
            None => Self::Other,
        }
    }
}
