//! The reasons why a request has no answer: refusals by this mirror and failures of upstreams.

use oci::{Class, RegistryHost, Stage};
use registry::Error;

use super::outcome::Outcome;
use super::range::RangeError;
use super::route::Refusal;
use crate::access::challenge::Challenge;
use crate::freshness::policy::is_absence;

/// The reason why a request has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The request itself is not acceptable.
    #[error("{0}")]
    Request(#[from] Refusal),
    /// The requested range is not answered.
    #[error("{0}")]
    Range(#[from] RangeError),
    /// The registry is not configured.
    #[error("registry {0} is not configured here")]
    NotConfigured(RegistryHost),
    /// This upstream demands credentials of each client, in a form that must not pass through this mirror.
    #[error("access to {0} is per client: pull from the registry itself, with your own credentials")]
    PerClient(RegistryHost),
    /// This upstream demands a token of each client, and the challenge says where to get one.
    #[error("{} wants {} of each client", .0.registry, if .0.again { "another token" } else { "a token" })]
    Challenge(Box<Challenge>),
    /// The client's `Authorization` cannot be read.
    #[error("{0}")]
    Authorization(#[from] BadAuthorization),
    /// The request came from this mirror itself.
    #[error("request to {0} came back to this mirror")]
    Loop(RegistryHost),
    /// The request passed more mirrors than an operator would chain.
    #[error(
        "request to {0} passed more than {max} mirrors; the chain of endpoints is too long or a circle",
        max = MIRRORS_MAX
    )]
    TooManyMirrors(RegistryHost),
    /// The upstream failed, or the request did not reach it.
    #[error("{0}")]
    Upstream(#[from] Error),
}

/// The reason why an `Authorization` header cannot be used. The text of the header is never repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadAuthorization {
    /// There are several such headers, and it is not clear which one is meant.
    #[error("`Authorization` must be given once")]
    Twice,
    /// The scheme is not Bearer and not Basic, or no token follows.
    #[error("`Authorization` must be `Bearer` and a token of at most 16 KiB")]
    Unreadable,
}

impl Failure {
    /// The outcome of the request.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Request(_) | Self::Range(_) | Self::NotConfigured(_) | Self::PerClient(_) => {
                Outcome::Refused
            }
            Self::Challenge(_) | Self::Authorization(_) => Outcome::Refused,
            Self::Upstream(error) if is_absence(error) => Outcome::Miss,
            Self::Loop(_) | Self::TooManyMirrors(_) | Self::Upstream(_) => Outcome::Failed,
        }
    }

    /// The class of the failure, if it has one.
    pub(crate) fn class(&self) -> Option<Class> {
        match self {
            Self::Request(Refusal::Name(_)) => Some(Class::NameInvalid),
            Self::Request(_) | Self::Range(_) | Self::Authorization(_) => None,
            Self::NotConfigured(_) => Some(Class::NotConfigured),
            Self::Challenge(challenge) if challenge.again => Some(Class::AuthRejected),
            Self::PerClient(_) | Self::Challenge(_) => Some(Class::AuthMissing),
            Self::Loop(_) | Self::TooManyMirrors(_) => Some(Class::Loop),
            Self::Upstream(error) => Some(error.class),
        }
    }

    /// The part of the request that is wrong, where the request is at fault and no class says so.
    pub(crate) fn part(&self) -> Option<&'static str> {
        match self {
            Self::Request(Refusal::Name(_)) => None,
            Self::Request(refusal) => Some(refusal.part()),
            Self::Range(_) => Some("range"),
            Self::Authorization(_) => Some("authorization"),
            _ => None,
        }
    }

    /// The stage that failed. `None` if this mirror itself refused the request.
    pub(crate) fn stage(&self) -> Option<Stage> {
        match self {
            Self::Upstream(error) => Some(error.stage),
            _ => None,
        }
    }
}

/// The most mirrors that a request may have passed before this one. Operators chain fewer.
pub(crate) const MIRRORS_MAX: usize = 8;
