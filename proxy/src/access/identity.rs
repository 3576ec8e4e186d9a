//! The identity an upstream is asked with, and which errors concern that identity alone.

use oci::Class;
use registry::{CallerId, Error};

/// The identity an upstream is asked with, where it differs from request to request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Identity {
    /// Nobody.
    Anonymous,
    /// The holder of this token.
    Caller(CallerId),
}

/// True if an upstream's failure may concern only the identity that met it. Any 4xx may: a
/// quota is an account's, and content that a caller may not see is absent for that caller.
pub(crate) fn is_of_identity(error: &Error) -> bool {
    matches!(error.evidence.status, Some(400..=499)) || refuses(error.class)
}

/// True if the class is a refusal of an identity.
pub(super) fn refuses(class: Class) -> bool {
    class.rules().refuses_identity
}
