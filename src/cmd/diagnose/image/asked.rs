//! The pull that is asked for: its options and identities.

use oci::Platform;

use super::options::ImageOptions;
use crate::cmd::diagnose::secret::OfSecret;

/// A pull to make.
pub(crate) struct Asked<'a> {
    pub(crate) options: &'a ImageOptions,
    /// The platform, if it is known better than from the options.
    pub(crate) platform: Option<Platform>,
    /// The credentials of pull secrets, in the order in which the kubelet tries them.
    pub(crate) secrets: Vec<OfSecret>,
    /// Pull secrets without an entry for the image, with the reason.
    pub(crate) unusable: Vec<(String, String)>,
    /// True if the credential of the mirror's configuration counts.
    pub(crate) configured: bool,
    /// True if the mirror is asked too.
    pub(crate) mirror: bool,
    pub(crate) namespace: Option<String>,
    pub(crate) account: Option<String>,
}

impl<'a> Asked<'a> {
    /// A pull with the identities that the options name.
    pub(crate) fn of(options: &'a ImageOptions) -> Self {
        let (secrets, unusable) = (Vec::new(), Vec::new());
        let (platform, namespace, account) = (None, None, None);
        Self { options, platform, secrets, unusable, configured: true, mirror: true, namespace, account }
    }
}
