//! The closed list of bottlenecks.

use std::fmt;

oci::labels! {
    /// A stage of an upstream exchange, as the waterfall of a pull shows it.
    UpstreamStage {
        /// The host name is resolved.
        Resolve = "resolve";
        /// The connection is made.
        Connect = "connect";
        /// The TLS handshake runs.
        Tls = "tls";
        /// A token is exchanged, by this pull or by another that this pull waits for.
        Token = "token";
        /// The upstream has received the request and has not sent a byte of the body.
        FirstByte = "first_byte";
        /// The upstream sends the body.
        Transfer = "transfer";
    }
}

/// The cause that took most of the time of a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bottleneck {
    /// A stage of the upstream.
    Upstream(UpstreamStage),
    /// The pull waits for a transfer that another client began, or for a free slot for transfers.
    WaitingForFill,
    /// A spent quota or budget delayed requests.
    QuotaHold,
    /// The client, or the network towards it, receives bytes slowly.
    ClientSlow,
    /// The disk of the mirror.
    Disk,
    /// The hash over the content.
    Verify,
    /// No single cause took a large share of the time.
    None,
}

impl Bottleneck {
    /// Every bottleneck, in the order in which a tie is decided. The position in this list is part of the file format.
    pub const ALL: &[Self] = &[
        Self::Upstream(UpstreamStage::Resolve),
        Self::Upstream(UpstreamStage::Connect),
        Self::Upstream(UpstreamStage::Tls),
        Self::Upstream(UpstreamStage::Token),
        Self::Upstream(UpstreamStage::FirstByte),
        Self::Upstream(UpstreamStage::Transfer),
        Self::WaitingForFill,
        Self::QuotaHold,
        Self::ClientSlow,
        Self::Disk,
        Self::Verify,
        Self::None,
    ];

    /// The stable name, without the stage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upstream(_) => "upstream",
            Self::WaitingForFill => "waiting_for_fill",
            Self::QuotaHold => "quota_hold",
            Self::ClientSlow => "client_slow",
            Self::Disk => "disk",
            Self::Verify => "verify",
            Self::None => "none",
        }
    }

    /// The stage of the upstream; none for other bottlenecks.
    pub fn stage(self) -> Option<UpstreamStage> {
        match self {
            Self::Upstream(stage) => Some(stage),
            _ => None,
        }
    }
}

impl fmt::Display for Bottleneck {
    /// The stable name, with the stage in parentheses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self.stage() {
            Some(stage) => write!(f, " ({stage})"),
            None => Ok(()),
        }
    }
}
