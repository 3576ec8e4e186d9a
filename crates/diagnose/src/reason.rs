//! The finer causes, where a class is broad.

use oci::labels;

labels! {
    /// The finer causes of a class; a closed list.
    Reason {
        /// The file system is full.
        NoSpace = "no_space";
        /// The file system has no inodes left.
        NoInodes = "no_inodes";
        /// A quota of the file system is spent.
        DiskQuota = "disk_quota";
        /// The kubelet evicts or collects because the disk is nearly full.
        DiskPressure = "disk_pressure";
        /// The file system is mounted read-only, often after an error.
        ReadOnly = "read_only";
        /// The disk or its file system reports errors.
        DiskError = "disk_error";
        /// The name has no registry, and the runtime does not know where to look.
        ShortName = "short_name";
        /// Plain HTTP came back on a port where TLS was expected.
        PlainHttpOnTls = "plain_http_on_tls";
        /// Plain HTTP was spoken to a port that expects TLS.
        TlsOnPlainHttp = "tls_on_plain_http";
        /// The server refused or missed a client certificate.
        ClientCertificate = "client_certificate";
        /// The peer sent a TLS alert.
        TlsAlert = "tls_alert";
        /// No common TLS version or cipher.
        TlsIncompatible = "tls_incompatible";
        /// The certificate is broken in another way (usage, signature, encoding).
        BadCertificate = "bad_certificate";
        /// The text does not say whether the certificate has expired or is not valid yet.
        ExpiredOrNotYetValid = "expired_or_not_yet_valid";
        /// The TLS handshake did not finish in time.
        HandshakeTimeout = "handshake_timeout";
        /// The forward proxy answered CONNECT with a refusal.
        ConnectRefusedByProxy = "connect_refused_by_proxy";
        /// The name does not exist.
        NameUnknown = "name_unknown";
        /// The name server failed or refused.
        NameServerFailed = "name_server_failed";
        /// The name server did not answer, or could not be reached.
        NameServerSilent = "name_server_silent";
        /// The node's own firewall or policy forbids the connection.
        LocalFirewall = "local_firewall";
        /// The connection closed before any byte of the answer.
        ClosedBeforeAnswer = "closed_before_answer";
        /// No byte within the time limit.
        NoProgress = "no_progress";
        /// The time limit of the whole pull or request was over.
        Deadline = "deadline";
        /// The pull was ended, by a limit or by its caller.
        Canceled = "canceled";
        /// HTML came instead of JSON or content.
        Html = "html";
        /// The answer is not HTTP.
        NotHttp = "not_http";
        /// More redirects than clients follow.
        RedirectLimit = "redirect_limit";
        /// The registry blocks a country or region.
        Region = "region";
        /// No credential matched, so that the token was asked for anonymously.
        AnonymousToken = "anonymous_token";
        /// A credential was sent for a token, and refused.
        OauthToken = "oauth_token";
        /// The text says that the credential is wrong, expired or disabled.
        CredentialRefused = "credential_refused";
        /// A credential helper or provider failed on the node.
        CredentialHelper = "credential_helper";
        /// The host that content is redirected to answered with an error.
        BlobHostStatus = "blob_host_status";
        /// The name of the host that content is redirected to does not resolve.
        BlobHostDns = "blob_host_dns";
        /// The host that content is redirected to cannot be connected to.
        BlobHostConnect = "blob_host_connect";
        /// The manifest is of schema 1.
        SchemaOne = "schema_one";
        /// The client offers too few kinds of manifests.
        NarrowAccept = "narrow_accept";
        /// The archive of a layer cannot be read.
        BadArchive = "bad_archive";
        /// The answer has a status of 500 or above.
        ServerError = "server_error";
        /// The text says only that the kubelet waits before the next try.
        BackOffOnly = "back_off_only";
        /// The text ends within pullgate's own word.
        CutWord = "cut_word";
    }
}

impl Reason {
    /// The advice that is more specific than that of the class, worded to follow a colon.
    pub fn fix(self) -> Option<&'static str> {
        Some(match self {
            Self::NoSpace => "free space on the node's image file system: `crictl rmi --prune`, then `df -h`",
            Self::NoInodes => {
                "free inodes on the node's image file system: `df -i`, then remove unused images"
            }
            Self::DiskQuota => "raise the quota of the node's image file system, or remove unused images",
            Self::DiskPressure => "free space on the node; the kubelet found too little to collect",
            Self::ReadOnly => {
                "look for errors of the disk in `dmesg`, repair it, and mount it writable again"
            }
            Self::DiskError => "look for errors of the disk in `dmesg`; move the pods away and replace it",
            Self::ShortName => "write the registry in front of the image's name: docker.io/library/NAME",
            Self::PlainHttpOnTls => {
                "the port speaks plain HTTP: give the runtime an http:// endpoint for this registry, or serve TLS"
            }
            Self::TlsOnPlainHttp => {
                "the port speaks TLS: give the runtime an https:// endpoint for this registry"
            }
            Self::ClientCertificate => "give the runtime the client certificate that this registry asks for",
            Self::TlsIncompatible => "make the registry offer TLS 1.2 or 1.3 with a current cipher",
            Self::ExpiredOrNotYetValid => "compare the node's clock with the dates of the certificate",
            Self::HandshakeTimeout => {
                "look for a firewall that inspects TLS, and for a wrong MTU: the connection was made, then fell silent"
            }
            Self::ConnectRefusedByProxy => {
                "allow the host in the forward proxy, or add it to NO_PROXY of the runtime's service"
            }
            Self::NameServerFailed | Self::NameServerSilent => {
                "check the node's name servers (/etc/resolv.conf) and the path to their port 53"
            }
            Self::LocalFirewall => {
                "look for a rule of the node's own firewall or a network policy: the kernel refused to connect"
            }
            Self::Deadline => {
                "find out what was slow: the size of the image, the bandwidth, a pull that it waited for"
            }
            Self::AnonymousToken => {
                "no credential matched: give the pod a pull secret in its namespace, with a host key that matches"
            }
            Self::OauthToken => {
                "a credential was sent and refused: renew the pull secret's user name and password"
            }
            Self::CredentialHelper => {
                "repair the credential helper or provider on the node; its log has the cause"
            }
            Self::SchemaOne => {
                "build and push the image again with a current tool: schema 1 is no longer read"
            }
            Self::NarrowAccept => "use a client that accepts OCI and multi-platform manifests",
            Self::BackOffOnly => "read the event `Failed` of the same pod: it has the cause",
            Self::CutWord => "read the whole text: pullgate's log and the pod's message name the class",
            _ => return None,
        })
    }
}
