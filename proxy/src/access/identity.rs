//! The identity that an upstream is asked with, and the errors that concern only that identity.

use oci::Class;
use registry::{CallerId, Error};

/// The identity that an upstream is asked with, if it differs from request to request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Identity {
    /// A request without a token.
    Anonymous,
    /// The holder of this token.
    Caller(CallerId),
}

/// True if an upstream's failure may concern only the identity that was used. Any 4xx may: a quota belongs to an
/// account, and an upstream answers 404 to a caller that may not see the content.
pub(crate) fn is_of_identity(error: &Error) -> bool {
    matches!(error.evidence.status, Some(400..=499)) || refuses(error.class)
}

/// True if the class is a refusal of an identity.
pub(super) fn refuses(class: Class) -> bool {
    class.rules().refuses_identity
}
