//! The closed lists of failure classes and pull stages, shared by proxy, prober, diagnosis, metrics, alerts and
//! runbooks.

use crate::labels;

labels! {
    /// A named cause of failure.
    Class {
        /// The reference is not an image name; no request was sent.
        NameInvalid = "name_invalid";
        /// The pod forbids pulling and the node does not hold the image.
        NeverPolicy = "never_policy";
        /// The registry does not know this tag.
        ManifestUnknown = "manifest_unknown";
        /// The repository is missing or private; the registry does not say which.
        RepoUnknownOrPrivate = "repo_unknown_or_private";
        /// The tag exists, but the manifest of its digest does not.
        DigestGone = "digest_gone";
        /// The index has no manifest for the node's platform.
        PlatformMissing = "platform_missing";
        /// The manifest is of a kind that clients no longer read, of two kinds at once, or larger than clients accept.
        MediaType = "media_type";
        /// The registry requires a credential, and none was given.
        AuthMissing = "auth_missing";
        /// The registry refused the credential.
        AuthRejected = "auth_rejected";
        /// The credential is refused, although anonymous access works.
        AuthPoisoned = "auth_poisoned";
        /// The registry knows the identity, but does not let it read this content.
        ForbiddenPolicy = "forbidden_policy";
        /// A firewall or proxy in front of the registry blocks the request (an HTML 403).
        GeoOrWafBlock = "geo_or_waf_block";
        /// The pull quota of this identity or address is spent.
        RatePullQuota = "rate_pull_quota";
        /// Too many requests in a short time.
        RateBurst = "rate_burst";
        /// Too many failed logins for this user name.
        RateLogin = "rate_login";
        /// The kubelet's own pull limit delayed the pull.
        KubeletThrottle = "kubelet_throttle";
        /// The registry answered with a server error.
        Registry5xx = "registry_5xx";
        /// The host name does not resolve.
        Dns = "dns";
        /// No answer to the connection attempt.
        ConnectTimeout = "connect_timeout";
        /// The address refuses connections.
        ConnectRefused = "connect_refused";
        /// No route to the address.
        ConnectUnreachable = "connect_unreachable";
        /// The connection was reset.
        ConnectReset = "connect_reset";
        /// The forward proxy did not open the connection.
        HttpProxy = "http_proxy";
        /// The certificate is signed by an unknown authority.
        TlsUnknownCa = "tls_unknown_ca";
        /// The certificate has expired.
        TlsExpired = "tls_expired";
        /// The certificate is not valid yet.
        TlsNotYetValid = "tls_not_yet_valid";
        /// The certificate is for another name.
        TlsName = "tls_name";
        /// The TLS handshake failed.
        TlsOther = "tls_other";
        /// A signature policy refused the image.
        Signature = "signature";
        /// The registry works, but the host that it serves blobs from does not.
        BlobHost = "blob_host";
        /// Bytes stopped coming or came too slowly.
        Stalled = "stalled";
        /// The answer ended before its announced length.
        Truncated = "truncated";
        /// The bytes do not hash to their digest, or have the wrong length.
        Corrupt = "corrupt";
        /// The answer is not what the protocol allows.
        ProtocolGarbage = "protocol_garbage";
        /// We refused to follow the registry to that host or address.
        TrustRefused = "trust_refused";
        /// The request came back to this instance.
        Loop = "loop";
        /// Requests to this upstream are paused after failures.
        UpstreamPaused = "upstream_paused";
        /// This process is at its own limits.
        Overloaded = "overloaded";
        /// No such registry is configured here.
        NotConfigured = "not_configured";
        /// No space or no inodes left.
        DiskFull = "disk_full";
        /// The disk takes too long to read or write.
        DiskSlow = "disk_slow";
        /// The container runtime does not answer.
        CriDown = "cri_down";
        /// No other class fits.
        Unknown = "unknown";
    }
}

/// The party that has to act on a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The registry or the network towards it.
    Upstream,
    /// The client that asked: its request, or its node.
    Client,
    /// This process, its configuration or its machine.
    Ours,
}

/// The meaning of a failure for the breaker of the endpoint that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The endpoint fails, even if it gave an answer.
    Fails,
    /// The endpoint fails, unless it gave an answer.
    FailsSilent,
    /// The endpoint fails, unless it gave an answer or had too little time to give one.
    FailsInTime,
    /// The endpoint works; the fault is elsewhere.
    Well,
    /// The endpoint works if it gave an answer; otherwise its state is unknown.
    Unknown,
}

/// Families of classes that one alert and one runbook chapter may treat together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// The requested name or content.
    Content,
    /// Credentials and permissions.
    Access,
    /// Limits on requests.
    Limit,
    /// The connection to the registry, and its answers.
    Reachability,
    /// TLS and its certificates.
    Certificate,
    /// The configuration of this process.
    Configuration,
    /// The resources of this machine.
    Capacity,
}

/// One row of the table of classes: what follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The party that has to act.
    pub side: Side,
    /// The meaning for the endpoint's breaker.
    pub endpoint: Endpoint,
    /// The family for alerts.
    pub family: Family,
    /// True if the rest of a body may be requested after the failure. False if the answer is final for the content or
    /// the identity, and for rate limits (design decision 18).
    pub resumes: bool,
    /// True if the failure is a refusal of the identity that asked, so that another identity may succeed.
    pub refuses_identity: bool,
    /// True if a request that got no answer is sent once more after the failure.
    pub repeats_once: bool,
    /// True if further requests make the failure worse, so that probes become rare.
    pub worsens: bool,
    /// True if the content of the digest is at fault, so that the failure lasts until the tag names another digest.
    pub of_content: bool,
    /// True if the transfer of a body failed. A blob whose transfers repeatedly fail like this is refused for a while.
    pub of_body: bool,
}

impl Rules {
    const fn of(side: Side, endpoint: Endpoint, family: Family) -> Self {
        let no = false;
        Self {
            side,
            endpoint,
            family,
            resumes: no,
            refuses_identity: no,
            repeats_once: no,
            worsens: no,
            of_content: no,
            of_body: no,
        }
    }

    const fn resumes(self) -> Self {
        Self { resumes: true, ..self }
    }

    const fn refuses_identity(self) -> Self {
        Self { refuses_identity: true, ..self }
    }

    const fn repeats_once(self) -> Self {
        Self { repeats_once: true, ..self }
    }

    const fn worsens(self) -> Self {
        Self { worsens: true, ..self }
    }

    const fn of_content(self) -> Self {
        Self { of_content: true, ..self }
    }

    const fn of_body(self) -> Self {
        Self { of_body: true, ..self }
    }
}

impl Class {
    /// The consequences of a failure of this class. Every decision by class reads this table; a new class needs a row.
    #[rustfmt::skip]
    pub const fn rules(self) -> Rules {
        match self {
            Self::NameInvalid => Rules::of(Side::Client, Endpoint::Unknown, Family::Content),
            Self::NeverPolicy => Rules::of(Side::Client, Endpoint::Unknown, Family::Content),
            Self::ManifestUnknown => Rules::of(Side::Client, Endpoint::Unknown, Family::Content),
            Self::RepoUnknownOrPrivate => Rules::of(Side::Upstream, Endpoint::Unknown, Family::Content).refuses_identity(),
            Self::DigestGone => Rules::of(Side::Upstream, Endpoint::Unknown, Family::Content).of_content(),
            Self::PlatformMissing => Rules::of(Side::Client, Endpoint::Unknown, Family::Content).of_content(),
            Self::MediaType => Rules::of(Side::Client, Endpoint::Unknown, Family::Content).of_content(),
            Self::AuthMissing => Rules::of(Side::Ours, Endpoint::Unknown, Family::Access).refuses_identity(),
            Self::AuthRejected => Rules::of(Side::Ours, Endpoint::Unknown, Family::Access).refuses_identity().worsens(),
            Self::AuthPoisoned => Rules::of(Side::Ours, Endpoint::Unknown, Family::Access).worsens(),
            Self::ForbiddenPolicy => Rules::of(Side::Upstream, Endpoint::Unknown, Family::Access).refuses_identity().worsens(),
            Self::GeoOrWafBlock => Rules::of(Side::Upstream, Endpoint::Unknown, Family::Reachability),
            Self::RatePullQuota => Rules::of(Side::Upstream, Endpoint::Unknown, Family::Limit),
            Self::RateBurst => Rules::of(Side::Upstream, Endpoint::Unknown, Family::Limit).worsens(),
            Self::RateLogin => Rules::of(Side::Upstream, Endpoint::Unknown, Family::Limit).worsens(),
            Self::KubeletThrottle => Rules::of(Side::Client, Endpoint::Unknown, Family::Limit),
            Self::Registry5xx => Rules::of(Side::Upstream, Endpoint::Fails, Family::Reachability).resumes(),
            Self::Dns => Rules::of(Side::Upstream, Endpoint::FailsInTime, Family::Reachability).resumes(),
            Self::ConnectTimeout => Rules::of(Side::Upstream, Endpoint::FailsInTime, Family::Reachability).resumes(),
            Self::ConnectRefused => Rules::of(Side::Upstream, Endpoint::FailsSilent, Family::Reachability).resumes(),
            Self::ConnectUnreachable => Rules::of(Side::Upstream, Endpoint::FailsSilent, Family::Reachability).resumes(),
            Self::ConnectReset => Rules::of(Side::Upstream, Endpoint::FailsSilent, Family::Reachability).resumes().repeats_once().of_body(),
            Self::HttpProxy => Rules::of(Side::Upstream, Endpoint::Fails, Family::Reachability).resumes(),
            Self::TlsUnknownCa => Rules::of(Side::Upstream, Endpoint::FailsSilent, Family::Certificate),
            Self::TlsExpired => Rules::of(Side::Upstream, Endpoint::FailsSilent, Family::Certificate),
            Self::TlsNotYetValid => Rules::of(Side::Upstream, Endpoint::FailsSilent, Family::Certificate),
            Self::TlsName => Rules::of(Side::Upstream, Endpoint::FailsSilent, Family::Certificate),
            Self::TlsOther => Rules::of(Side::Upstream, Endpoint::FailsSilent, Family::Certificate),
            Self::Signature => Rules::of(Side::Client, Endpoint::Unknown, Family::Content),
            Self::BlobHost => Rules::of(Side::Upstream, Endpoint::Well, Family::Reachability).resumes(),
            Self::Stalled => Rules::of(Side::Upstream, Endpoint::FailsInTime, Family::Reachability).resumes().of_body(),
            Self::Truncated => Rules::of(Side::Upstream, Endpoint::Unknown, Family::Reachability).resumes().of_body(),
            Self::Corrupt => Rules::of(Side::Upstream, Endpoint::Unknown, Family::Content).of_body(),
            Self::ProtocolGarbage => Rules::of(Side::Upstream, Endpoint::Unknown, Family::Reachability).resumes().of_body(),
            Self::TrustRefused => Rules::of(Side::Ours, Endpoint::Unknown, Family::Configuration),
            Self::Loop => Rules::of(Side::Ours, Endpoint::Unknown, Family::Configuration),
            Self::UpstreamPaused => Rules::of(Side::Ours, Endpoint::Unknown, Family::Reachability),
            Self::Overloaded => Rules::of(Side::Ours, Endpoint::Unknown, Family::Capacity).resumes(),
            Self::NotConfigured => Rules::of(Side::Ours, Endpoint::Unknown, Family::Configuration),
            Self::DiskFull => Rules::of(Side::Ours, Endpoint::Unknown, Family::Capacity),
            Self::DiskSlow => Rules::of(Side::Ours, Endpoint::Unknown, Family::Capacity),
            Self::CriDown => Rules::of(Side::Ours, Endpoint::Unknown, Family::Capacity),
            Self::Unknown => Rules::of(Side::Upstream, Endpoint::Unknown, Family::Reachability),
        }
    }

    /// The advice for this class, worded to follow a colon.
    pub fn fix(self) -> &'static str {
        match self {
            Self::NameInvalid => "correct the reference: lower case, no spaces, no scheme",
            Self::NeverPolicy => "preload the image, or change imagePullPolicy from Never",
            Self::ManifestUnknown => "check the tag; the registry answered, so it is not an outage",
            Self::RepoUnknownOrPrivate => {
                "check the repository's name, or give a credential that may read it"
            }
            Self::DigestGone => {
                "push the image again or pin a digest that exists; the registry removed or blocked this one"
            }
            Self::PlatformMissing => "build the image for this platform or select other nodes",
            Self::MediaType => "rebuild and push the image with a current tool",
            Self::AuthMissing => "configure credentials for this registry, with a host key that matches",
            Self::AuthRejected => "rotate or correct the credential of this registry",
            Self::AuthPoisoned => "remove the stale credential: the image is public",
            Self::ForbiddenPolicy => "grant read permission in the registry, or check its IP allow-list",
            Self::GeoOrWafBlock => {
                "ask the registry which address or region is blocked; credentials do not matter here"
            }
            Self::RatePullQuota => "wait for the window to pass, or authenticate for a larger quota",
            Self::RateBurst => "lower the concurrency towards this registry; it recovers by itself",
            Self::RateLogin => "stop using the credential for ten minutes, then correct it",
            Self::KubeletThrottle => "raise registryPullQPS and registryBurst on the node",
            Self::Registry5xx => "check the registry's status page; the fault is theirs",
            Self::Dns => {
                "check the name, the resolver in /etc/resolv.conf, and the network policy for port 53"
            }
            Self::ConnectTimeout => "check firewall and egress policy towards this address",
            Self::ConnectRefused => "check that the service runs and that the port is right",
            Self::ConnectUnreachable => "check routes and the address family (IPv6 without a route?)",
            Self::ConnectReset => "look for a firewall or load balancer that cuts connections",
            Self::HttpProxy => "check HTTPS_PROXY and NO_PROXY, and the proxy's own access rules",
            Self::TlsUnknownCa => "set ca_file for this upstream; for a public host suspect interception",
            Self::TlsExpired => "the registry must renew it; if it looks valid, check this machine's clock",
            Self::TlsNotYetValid => "check this machine's clock, then the certificate",
            Self::TlsName => "check the endpoint's host name against the names in the certificate",
            Self::TlsOther => "check protocol versions, client certificates, and that the port speaks TLS",
            Self::Signature => "sign the image or change the policy; the registry is fine",
            Self::BlobHost => "allow and check the blob host named here, besides the registry",
            Self::Stalled => "check bandwidth, MTU and the registry's health",
            Self::Truncated => "retry; if it repeats, something between us and the registry cuts answers",
            Self::Corrupt => "purge caches before us; the registry or something between serves wrong content",
            Self::ProtocolGarbage => {
                "check that the address is a registry and not a login page or another service"
            }
            Self::TrustRefused => "if it is right, allow it with the key named here",
            Self::Loop => "an endpoint points at this mirror: correct `endpoints`",
            Self::UpstreamPaused => "wait: one probe goes out when the pause ends",
            Self::Overloaded => "raise the limit named here, or add a replica",
            Self::NotConfigured => "add an [upstreams.*] section, or pull without the mirror",
            Self::DiskFull => "free space; the mirror passes content through meanwhile",
            Self::DiskSlow => "check the disk's load and health; the mirror passes content through meanwhile",
            Self::CriDown => "check the runtime's service on the node",
            Self::Unknown => "read the evidence, and report it so that the list can grow",
        }
    }
}

labels! {
    /// A named step of a pull, in the order of a node's pull.
    Stage {
        /// Resolution of the host name to addresses.
        Resolve = "resolve";
        /// TCP connection.
        Connect = "connect";
        /// TLS handshake.
        Tls = "tls";
        /// A request without a token, up to the registry's challenge.
        Challenge = "challenge";
        /// Token exchange.
        Token = "token";
        /// A manifest by tag or digest, headers only.
        ManifestHead = "manifest_head";
        /// A manifest with its body.
        ManifestGet = "manifest_get";
        /// A blob request up to its first byte, including redirects.
        BlobFirstByte = "blob_first_byte";
        /// The rest of the blob.
        BlobTransfer = "blob_transfer";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::UnknownLabel;

    #[test]
    fn labels_and_values_correspond() {
        for class in Class::ALL {
            assert_eq!(class.as_str().parse(), Ok(*class));
        }
        for stage in Stage::ALL {
            assert_eq!(stage.as_str().parse(), Ok(*stage));
        }
        assert_eq!("ok".parse::<Class>(), Err(UnknownLabel));
    }

    #[test]
    fn a_class_that_may_be_resumed_is_no_refusal_and_is_not_worsened_by_requests() {
        for class in Class::ALL.iter().copied() {
            let rules = class.rules();
            assert!(
                !rules.resumes || !(rules.refuses_identity || rules.worsens || rules.of_content),
                "{class}"
            );
            assert!(!rules.repeats_once || rules.resumes, "{class}");
            assert!(
                rules.family != Family::Limit || !rules.resumes,
                "{class}: a rate limit is never retried"
            );
            assert!(rules.family != Family::Capacity || rules.side == Side::Ours, "{class}");
        }
    }
}
