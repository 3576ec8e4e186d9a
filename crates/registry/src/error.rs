//! The failure of a call to a registry: its stage, its class, and the evidence for both.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

pub use oci::class::Side;
use oci::class::{Class, Stage};
use oci::credential::Secret;
use oci::labels;

use crate::auth::credential;
use crate::timings::Timings;

/// A failed call to an upstream. Cheap to move; its parts are read through [`std::ops::Deref`] to [`ErrorParts`].
#[derive(Clone, Debug)]
pub struct Error(Box<ErrorParts>);

/// The parts of an [`Error`].
#[derive(Clone, Debug)]
pub struct ErrorParts {
    /// The named cause.
    pub class: Class,
    /// Where on the way it happened.
    pub stage: Stage,
    /// The observations it was concluded from.
    pub evidence: Evidence,
    /// How long each stage took until the failure, the failing one included.
    pub timings: Timings,
}

/// The observations a failure was concluded from. Holds no secret: URLs lose their query, messages are cut and cleaned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Host (and port, unless it is the scheme's) that failed us, or that we refused to follow to; empty if the fault is
    /// ours.
    pub host: String,
    /// The address dialled or refused.
    pub address: Option<SocketAddr>,
    /// HTTP status of the answer judged.
    pub status: Option<u16>,
    /// The finer cause.
    pub reason: Option<Reason>,
    /// First OCI error code of the answer's body, as sent.
    pub code: Option<String>,
    /// The server's or library's message, at most [`Evidence::MESSAGE_MAX`] bytes, control characters replaced.
    pub message: Option<String>,
    /// How long the server asks us to stay away.
    pub retry_after: Option<Duration>,
    /// With `upstream_paused`: class and stage of the failure that began the pause, or of its last probe.
    pub paused_after: Option<(Class, Stage)>,
}

labels! {
    /// Finer causes, as evidence beside a class; a closed list.
    Reason {
        /// Plain HTTP came back on a TLS port.
        PlainHttpOnTls = "plain_http_on_tls";
        /// The peer sent a TLS alert.
        TlsAlert = "tls_alert";
        /// No common TLS version or cipher.
        TlsIncompatible = "tls_incompatible";
        /// The peer closed in the handshake.
        TlsClosed = "tls_closed";
        /// The certificate is broken in another way (usage, signature, encoding).
        BadCertificate = "bad_certificate";
        /// The name does not exist (NXDOMAIN).
        NameUnknown = "name_unknown";
        /// The name has no address (NODATA).
        NameEmpty = "name_empty";
        /// The name server failed or refused (SERVFAIL, REFUSED).
        NameServerFailed = "name_server_failed";
        /// No name server answered.
        NameServerSilent = "name_server_silent";
        /// The connection closed before any byte of the answer.
        ClosedBeforeAnswer = "closed_before_answer";
        /// Headers did not come in time.
        HeaderTimeout = "header_timeout";
        /// HTML where JSON or content belongs.
        Html = "html";
        /// The body is not the JSON it should be.
        BadJson = "bad_json";
        /// The answer is not HTTP.
        NotHttp = "not_http";
        /// An announced length contradicts another.
        LengthMismatch = "length_mismatch";
        /// Body shorter than announced.
        ShortBody = "short_body";
        /// Body longer than announced.
        LongBody = "long_body";
        /// The content hashes to another digest.
        WrongDigest = "wrong_digest";
        /// The answer names another digest than was asked for.
        DigestHeader = "digest_header";
        /// No byte within the progress timeout.
        NoProgress = "no_progress";
        /// Bytes come below the minimum rate.
        SlowDrip = "slow_drip";
        /// The answer is compressed though we asked for identity.
        Encoded = "encoded";
        /// A range was answered with something else.
        RangeIgnored = "range_ignored";
        /// A fixed limit on sizes was passed (manifest, token body, tag list).
        TooLarge = "too_large";
        /// More redirects than we follow.
        RedirectLimit = "redirect_limit";
        /// A redirect without a usable target.
        BadRedirect = "bad_redirect";
        /// The redirect's host is not trusted.
        RedirectHost = "redirect_host";
        /// From https to http.
        Downgrade = "downgrade";
        /// The token realm's host is not trusted.
        RealmHost = "realm_host";
        /// The challenge cannot be read or names no realm.
        BadChallenge = "bad_challenge";
        /// The address lies outside the upstream's zone.
        AddressOutsideZone = "address_outside_zone";
        /// Loopback, link-local, metadata, unspecified or multicast.
        AddressForbidden = "address_forbidden";
        /// The address is where we listen ourselves.
        OwnAddress = "own_address";
        /// The token endpoint refused a credential.
        TokenRefused = "token_refused";
        /// A token was refused by the registry.
        TokenNotAccepted = "token_not_accepted";
        /// The registry did not say what the token lacks.
        InsufficientScope = "insufficient_scope";
        /// The credential could not be read.
        CredentialUnreadable = "credential_unreadable";
        /// A server error status.
        ServerError = "server_error";
        /// Another pullgate in front of the registry answered that the registry fails.
        MirrorFailed = "mirror_failed";
        /// The request was not sent: the registry would refuse it, or its remaining quota is reserved for other
        /// requests.
        OwnBudget = "own_budget";
        /// Every endpoint was tried.
        EndpointsExhausted = "endpoints_exhausted";
        /// An operation of the cache's disk was slow; the message names it and its time.
        SlowDisk = "slow_disk";
    }
}

impl Error {
    /// A failure of `class` in `stage`, on `evidence`.
    pub fn new(class: Class, stage: Stage, evidence: Evidence) -> Self {
        Self(Box::new(ErrorParts { class, stage, evidence, timings: Timings::default() }))
    }

    /// The same with the stage times known so far.
    #[must_use]
    pub fn with_timings(mut self, timings: Timings) -> Self {
        self.0.timings = timings;
        self
    }

    /// The same, with stars for secrets that a server repeated to us.
    #[must_use]
    pub(crate) fn without(mut self, secrets: &[Secret]) -> Self {
        let evidence = &mut self.0.evidence;
        for told in [&mut evidence.message, &mut evidence.code].into_iter().flatten() {
            if let Some(clean) = credential::without(told, secrets) {
                *told = clean;
            }
        }
        self
    }

    /// True if a host that the registry redirected to asked us to slow down, or we keep the pause it asked for. Nothing is
    /// asked again then before [`Evidence::retry_after`] is over.
    pub fn is_pause_of_blob_host(&self) -> bool {
        let asked = self.evidence.status == Some(429) || self.evidence.reason == Some(Reason::OwnBudget);
        self.class == Class::BlobHost && asked
    }

    /// True if the rest of a body may be asked for after this failure. A rate limit, of whichever host, is not answered by
    /// asking again (design decision 18).
    pub fn may_resume(&self) -> bool {
        self.class.rules().resumes && !self.is_pause_of_blob_host()
    }

    /// The party that has to act on it.
    pub fn side(&self) -> Side {
        self.class.rules().side
    }
}

impl std::ops::Deref for Error {
    type Target = ErrorParts;

    fn deref(&self) -> &ErrorParts {
        &self.0
    }
}

impl std::ops::DerefMut for Error {
    fn deref_mut(&mut self) -> &mut ErrorParts {
        &mut self.0
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    /// `class at stage: [host] [address] [status] [reason] [message]`, without advice (that is [`Class::fix`]).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let evidence = &self.evidence;
        write!(f, "{} at {}:", self.class, self.stage)?;
        if !evidence.host.is_empty() {
            write!(f, " {}", evidence.host)?;
        }
        if let Some(address) = evidence.address.filter(|address| address.to_string() != evidence.host) {
            write!(f, " ({address})")?;
        }
        if let Some(status) = evidence.status {
            write!(f, " answered {status}")?;
        }
        if let Some(reason) = evidence.reason {
            write!(f, " [{reason}]")?;
        }
        match &evidence.message {
            Some(message) => write!(f, " {message}"),
            None => Ok(()),
        }
    }
}

impl Evidence {
    /// Longest message kept, in bytes.
    pub const MESSAGE_MAX: usize = 300;

    /// Evidence that is only a host.
    pub fn host(host: impl Into<String>) -> Self {
        Self { host: host.into(), ..Self::default() }
    }

    /// The same with a reason.
    #[must_use]
    pub fn because(mut self, reason: Reason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// The same with a message, cut and cleaned for logs and headers.
    #[must_use]
    pub fn saying(mut self, message: &str) -> Self {
        let cleaned: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mut text = cleaned.trim().to_owned();
        if text.len() > Self::MESSAGE_MAX {
            let end = (0..=Self::MESSAGE_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(end);
        }
        self.message = (!text.is_empty()).then_some(text);
        self
    }
}
