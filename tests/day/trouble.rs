//! The parts of the day and their faults.

use std::fmt;

use loadtest::registry::Quota;

use crate::world::World;

/// The fault in one part of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Trouble {
    /// No fault: everything is pulled for the first time.
    Morning,
    /// Manifest GETs are refused with 429; HEADs are free.
    QuotaDry,
    /// The token server refuses connections, and the tokens that it issued are revoked.
    TokenServerDown,
    /// The registry's certificate has expired.
    TlsExpired,
    /// Blobs are redirected to a host that refuses connections.
    BlobHostGone,
    /// No fault again.
    Evening,
}

impl Trouble {
    /// All parts, in the order of the day.
    pub(crate) const ALL: [Self; 6] = [
        Self::Morning,
        Self::QuotaDry,
        Self::TokenServerDown,
        Self::TlsExpired,
        Self::BlobHostGone,
        Self::Evening,
    ];

    pub(crate) async fn begin(self, world: &World) {
        match self {
            Self::Morning => world.upstream.set_quota(Some(Quota::of(PULLS))),
            Self::QuotaDry => {
                world.upstream.set_quota(Some(Quota::of(PULLS).remaining(0)));
                world.move_the_tag();
            }
            Self::TokenServerDown => {
                world.token_host.stop().await;
                world.upstream.revoke_tokens();
            }
            Self::TlsExpired => world.show(world.authority.expired(&["localhost"])).await,
            Self::BlobHostGone => world.upstream.stop_cdn().await,
            Self::Evening => world.move_the_tag(),
        }
    }

    pub(crate) async fn end(self, world: &World) {
        match self {
            Self::Morning | Self::Evening => {}
            Self::QuotaDry => {
                world.upstream.set_quota(Some(Quota::of(PULLS)));
                world.move_the_tag_back();
            }
            Self::TokenServerDown => world.token_host.restart().unwrap(),
            Self::TlsExpired => world.show(world.authority.certificate(&["localhost"])).await,
            Self::BlobHostGone => world.upstream.cdn().unwrap().restart().unwrap(),
        }
    }

    /// The classes with which pullgate may refuse content that is not cached; `upstream_paused` occurs while the breaker is open.
    pub(crate) fn classes(self) -> &'static [&'static str] {
        match self {
            Self::Morning | Self::Evening => &[],
            Self::QuotaDry => &["rate_pull_quota"],
            Self::TokenServerDown => &["connect_refused", "upstream_paused"],
            Self::TlsExpired => &["tls_expired", "upstream_paused"],
            Self::BlobHostGone => &["blob_host", "upstream_paused"],
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Morning => "all is well",
            Self::QuotaDry => "quota spent",
            Self::TokenServerDown => "token server down",
            Self::TlsExpired => "TLS expired",
            Self::BlobHostGone => "blob host gone",
            Self::Evening => "all is well again",
        })
    }
}

/// The pulls that the registry allows in a window: more than a day needs.
const PULLS: u64 = 1000;
