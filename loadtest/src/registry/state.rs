//! The state that all connections of a registry share.

use std::sync::{Mutex, atomic::AtomicU64};

use super::{
    answers::{access::AccessControl, content::Content, quota::Quota, signed_urls::Signer},
    log::Journal,
    rules::book::Rules,
};

/// The shared state.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) content: Mutex<Content>,
    pub(crate) access: Mutex<AccessControl>,
    pub(crate) rules: Rules,
    pub(crate) journal: Journal,
    pub(crate) quota: Mutex<Option<Quota>>,
    pub(crate) signer: Mutex<Option<Signer>>,
    pub(crate) referrers: Mutex<bool>,
    /// The number of referrers on a page; `None` puts all on one page.
    pub(crate) referrers_page: Mutex<Option<usize>>,
    pub(crate) rate: AtomicU64,
}
