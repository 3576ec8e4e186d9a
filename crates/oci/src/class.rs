//! The closed lists of failure classes and pull stages, shared by proxy, prober, diagnosis, metrics, alerts and runbooks.

use crate::labels;

labels! {
    /// A named cause of failure.
    Class {
        /// The reference is no image name; nothing was sent.
        NameInvalid = "name_invalid";
        /// The pod forbids pulling and the node does not hold the image.
        NeverPolicy = "never_policy";
        /// The registry does not know this tag.
        ManifestUnknown = "manifest_unknown";
        /// The registry does not say whether the repository is missing or private.
        RepoUnknownOrPrivate = "repo_unknown_or_private";
        /// The tag resolves, its digest does not.
        DigestGone = "digest_gone";
        /// The index has no manifest for the node's platform.
        PlatformMissing = "platform_missing";
        /// The manifest is of a kind clients no longer read, of two kinds at once, or larger than clients take.
        MediaType = "media_type";
        /// The registry wants a credential and none was given.
        AuthMissing = "auth_missing";
        /// The registry refused the credential.
        AuthRejected = "auth_rejected";
        /// A credential is refused where anonymous access works.
        AuthPoisoned = "auth_poisoned";
        /// The identity is known and may not read this.
        ForbiddenPolicy = "forbidden_policy";
        /// Something before the registry blocks us (an HTML 403).
        GeoOrWafBlock = "geo_or_waf_block";
        /// The pull quota of this identity or address is spent.
        RatePullQuota = "rate_pull_quota";
        /// Too many requests at once.
        RateBurst = "rate_burst";
        /// Too many failed logins for this user name.
        RateLogin = "rate_login";
        /// The kubelet's own pull limit held the pull back.
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
        /// The forward proxy would not connect us.
        HttpProxy = "http_proxy";
        /// The certificate is signed by an authority we do not know.
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
        /// The registry works, the host it sends blobs from does not.
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
        /// The request came back to ourselves.
        Loop = "loop";
        /// We pause requests to this upstream after failures.
        UpstreamPaused = "upstream_paused";
        /// We are at our own limits.
        Overloaded = "overloaded";
        /// No such registry is configured here.
        NotConfigured = "not_configured";
        /// No space or no inodes left.
        DiskFull = "disk_full";
        /// The container runtime does not answer.
        CriDown = "cri_down";
        /// Nothing in the list fits.
        Unknown = "unknown";
    }
}

impl Class {
    /// What to do next, as a clause to follow a colon.
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
            Self::CriDown => "check the runtime's service on the node",
            Self::Unknown => "read the evidence, and report it so that the list can grow",
        }
    }
}

labels! {
    /// A named step of a pull, in the order a node walks them.
    Stage {
        /// Name to addresses.
        Resolve = "resolve";
        /// TCP connection.
        Connect = "connect";
        /// TLS handshake.
        Tls = "tls";
        /// Request without a token, up to the registry's challenge.
        Challenge = "challenge";
        /// Token exchange.
        Token = "token";
        /// Manifest by tag or digest, headers only.
        ManifestHead = "manifest_head";
        /// Manifest with its body.
        ManifestGet = "manifest_get";
        /// Blob request up to its first byte, redirects included.
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
}
