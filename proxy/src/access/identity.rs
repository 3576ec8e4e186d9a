//! The identity an upstream is asked with, and which errors concern that identity alone.

use oci::Class;
use registry::{CallerId, Error};

/// As whom an upstream is asked, where that differs from request to request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Identity {
    /// Nobody.
    Anonymous,
    /// Who brought this token.
    Caller(CallerId),
}

/// May an upstream's failure speak for the identity alone that met it, so that another fares better? Any 4xx may: a
/// quota is an account's, and what one may not see is absent to them.
pub(crate) fn is_of_identity(error: &Error) -> bool {
    matches!(error.evidence.status, Some(400..=499)) || refuses(error.class)
}

/// Is this class a refusal of an identity?
pub(super) fn refuses(class: Class) -> bool {
    matches!(
        class,
        Class::AuthMissing | Class::AuthRejected | Class::ForbiddenPolicy | Class::RepoUnknownOrPrivate
    )
}
