//! The kinds of names in a text, which a mask replaces.

/// The kinds of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// An image reference with a tag or with nothing.
    Ref = 1,
    /// An image reference with a digest.
    DigestRef = 2,
    /// A digest, an id, a hash.
    Digest = 3,
    /// A path of a file.
    Path = 4,
    /// A path of a unix socket.
    Socket = 5,
    /// `map[...]` as Go prints the details of a registry's error.
    Detail = 6,
    /// A URL of a manifest by tag.
    TagUrl = 7,
    /// The same, at Docker Hub.
    HubUrl = 8,
    /// A URL of a manifest by digest.
    DigestUrl = 0x0e,
    /// A URL of a blob at the registry.
    BlobUrl = 0x0f,
    /// A URL of a token server.
    TokenUrl = 0x10,
    /// The URL `/v2/`.
    PingUrl = 0x11,
    /// Another URL of the registry's API.
    ApiUrl = 0x12,
    /// A URL of another host, which content is redirected to.
    OtherUrl = 0x13,
    /// What is no part of a failed pull: it matches nothing.
    Noise = 0x14,
}

impl Kind {
    /// Every kind.
    pub(crate) const ALL: [Self; 15] = [
        Self::Ref,
        Self::DigestRef,
        Self::Digest,
        Self::Path,
        Self::Socket,
        Self::Detail,
        Self::TagUrl,
        Self::HubUrl,
        Self::DigestUrl,
        Self::BlobUrl,
        Self::TokenUrl,
        Self::PingUrl,
        Self::ApiUrl,
        Self::OtherUrl,
        Self::Noise,
    ];

    /// The byte that overwrites a name of this kind.
    pub(crate) fn filler(self) -> u8 {
        self as u8
    }

    /// True if `name` (in a pattern's angle brackets) means this kind, perhaps among others.
    pub(crate) fn is_named(self, name: &str) -> bool {
        match name {
            "ref" => matches!(self, Self::Ref | Self::DigestRef),
            "digest-ref" => self == Self::DigestRef,
            "digest" => self == Self::Digest,
            "path" => matches!(self, Self::Path | Self::Socket),
            "socket" => self == Self::Socket,
            "detail" => self == Self::Detail,
            "url" => self.is_url(),
            "tag-url" => matches!(self, Self::TagUrl | Self::HubUrl),
            "hub-url" => self == Self::HubUrl,
            "digest-url" => self == Self::DigestUrl,
            "blob-url" => self == Self::BlobUrl,
            "token-url" => self == Self::TokenUrl,
            "ping-url" => self == Self::PingUrl,
            "other-url" => self == Self::OtherUrl,
            _ => false,
        }
    }

    fn is_url(self) -> bool {
        matches!(
            self,
            Self::TagUrl
                | Self::HubUrl
                | Self::DigestUrl
                | Self::BlobUrl
                | Self::TokenUrl
                | Self::PingUrl
                | Self::ApiUrl
                | Self::OtherUrl
        )
    }
}
