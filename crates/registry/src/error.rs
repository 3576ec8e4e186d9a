//! The error of a call to a registry: its class, its stage, and the evidence for both.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

pub use oci::class::Side;
use oci::class::{Class, Stage};
use oci::credential::Secret;
use oci::labels;

use crate::auth::credential;
use crate::timings::Timings;

/// The error of a call to an upstream. It is cheap to move, and dereferences to [`ErrorParts`].
#[derive(Clone, Debug)]
pub struct Error(Box<ErrorParts>);

/// The parts of an [`Error`].
#[derive(Clone, Debug)]
pub struct ErrorParts {
    /// The named cause.
    pub class: Class,
    /// The step of the pull that failed.
    pub stage: Stage,
    /// The observations from which class and stage were concluded.
    pub evidence: Evidence,
    /// The time of each stage up to the failure, including the failing one.
    pub timings: Timings,
}

/// The observations from which a failure was concluded. It holds no secret: URLs are stored without their query, and
/// messages are shortened and cleaned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The host that failed or that we refused to contact, with its port unless that is the default of the scheme.
    /// Empty if the fault is ours.
    pub host: String,
    /// The address dialled or refused.
    pub address: Option<SocketAddr>,
    /// HTTP status of the answer.
    pub status: Option<u16>,
    /// The detailed cause.
    pub reason: Option<Reason>,
    /// First OCI error code of the answer's body, as sent.
    pub code: Option<String>,
    /// The server's or library's message, at most [`Evidence::MESSAGE_MAX`] bytes, control characters replaced.
    pub message: Option<String>,
    /// The time to wait before the next request, as named by the server or by our own pause.
    pub retry_after: Option<Duration>,
    /// For `upstream_paused`: class and stage of the failure that began the pause, or of the last failed probe.
    pub paused_after: Option<(Class, Stage)>,
}

labels! {
    /// The detailed causes, as evidence with a class; a closed list.
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
        /// HTML came instead of JSON or content.
        Html = "html";
        /// The body is not the expected JSON.
        BadJson = "bad_json";
        /// The answer is not HTTP.
        NotHttp = "not_http";
        /// Two announced lengths contradict each other.
        LengthMismatch = "length_mismatch";
        /// Body shorter than announced.
        ShortBody = "short_body";
        /// Body longer than announced.
        LongBody = "long_body";
        /// The content hashes to another digest.
        WrongDigest = "wrong_digest";
        /// The answer names another digest than the requested one.
        DigestHeader = "digest_header";
        /// No byte within the progress timeout.
        NoProgress = "no_progress";
        /// Bytes come below the minimum rate.
        SlowDrip = "slow_drip";
        /// The answer is compressed though we asked for identity.
        Encoded = "encoded";
        /// The answer does not hold the requested range.
        RangeIgnored = "range_ignored";
        /// A fixed size limit was exceeded (manifest, token body, tag list).
        TooLarge = "too_large";
        /// More redirects than we follow.
        RedirectLimit = "redirect_limit";
        /// A redirect without a usable target.
        BadRedirect = "bad_redirect";
        /// The redirect's host is not trusted.
        RedirectHost = "redirect_host";
        /// A redirect or realm leads from https to http.
        Downgrade = "downgrade";
        /// The token realm's host is not trusted.
        RealmHost = "realm_host";
        /// The challenge cannot be read or names no realm.
        BadChallenge = "bad_challenge";
        /// The address lies outside the upstream's zone.
        AddressOutsideZone = "address_outside_zone";
        /// Loopback, link-local, metadata, unspecified or multicast.
        AddressForbidden = "address_forbidden";
        /// This process itself listens at the address.
        OwnAddress = "own_address";
        /// The token endpoint refused a credential.
        TokenRefused = "token_refused";
        /// The registry refused a token.
        TokenNotAccepted = "token_not_accepted";
        /// The registry answered that the token's scope is insufficient.
        InsufficientScope = "insufficient_scope";
        /// The credential could not be read.
        CredentialUnreadable = "credential_unreadable";
        /// A server error status.
        ServerError = "server_error";
        /// A pullgate between us and the registry answered that the registry fails.
        MirrorFailed = "mirror_failed";
        /// The request was not sent: the registry would refuse it, or its remaining quota is reserved for other
        /// requests.
        OwnBudget = "own_budget";
        /// Every endpoint was tried.
        EndpointsExhausted = "endpoints_exhausted";
        /// An operation of the cache's disk was slow; the message names it and its time.
        SlowDisk = "slow_disk";
        /// The request was not sent: a drill treats the registry as down.
        Drill = "drill";
    }
}

impl Error {
    /// An error of `class` in `stage`, with `evidence`.
    pub fn new(class: Class, stage: Stage, evidence: Evidence) -> Self {
        Self(Box::new(ErrorParts { class, stage, evidence, timings: Timings::default() }))
    }

    /// The same error with the stage times known so far.
    #[must_use]
    pub fn with_timings(mut self, timings: Timings) -> Self {
        self.0.timings = timings;
        self
    }

    /// The same error, with `***` for each of `secrets` that a server repeated.
    #[must_use]
    pub(crate) fn without(mut self, secrets: &[Secret]) -> Self {
        let evidence = &mut self.0.evidence;
        for text in [&mut evidence.message, &mut evidence.code].into_iter().flatten() {
            if let Some(clean) = credential::without(text, secrets) {
                *text = clean;
            }
        }
        self
    }

    /// True if a host that the registry redirected to answered 429, or is still paused for it. The request must not be
    /// repeated before [`Evidence::retry_after`] is over.
    pub fn is_pause_of_blob_host(&self) -> bool {
        let asked = self.evidence.status == Some(429) || self.evidence.reason == Some(Reason::OwnBudget);
        self.class == Class::BlobHost && asked
    }

    /// True if the rest of a body may be requested after this failure. After a rate limit of any host, it may not
    /// (design decision 18).
    pub fn may_resume(&self) -> bool {
        self.class.rules().resumes && !self.is_pause_of_blob_host()
    }

    /// The party that must fix the cause.
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
    /// Writes `class at stage: [host] [address] [status] [reason] [message]`. The advice is in [`Class::fix`].
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

    /// Evidence with only a host.
    pub fn host(host: impl Into<String>) -> Self {
        Self { host: host.into(), ..Self::default() }
    }

    /// The same evidence with a reason.
    #[must_use]
    pub fn because(mut self, reason: Reason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// The same evidence with a message, shortened and cleaned for logs and headers.
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
