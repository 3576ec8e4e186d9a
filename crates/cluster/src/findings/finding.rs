//! A finding: what was seen, and a fix that a person can paste.

use oci::ImageName;

use super::code::{Code, Level};
use super::pages;
use crate::images::WorkloadId;

/// The objects that a finding is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct About {
    /// The namespace; empty for the whole cluster.
    pub namespace: Box<str>,
    /// The pull secret.
    pub secret: Option<Box<str>>,
    /// The workload.
    pub workload: Option<WorkloadId>,
    /// The image.
    pub image: Option<ImageName>,
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The stable code.
    pub code: Code,
    /// The objects that it is about.
    pub about: About,
    /// The observation. It names objects and host keys, and never the contents of a secret.
    pub seen: String,
    /// The remedy, as commands to paste where that is possible.
    pub fix: String,
}

impl Finding {
    /// The title of its code.
    pub fn title(&self) -> &'static str {
        pages::row(self.code).title
    }

    /// The weight of its code.
    pub fn level(&self) -> Level {
        pages::row(self.code).level
    }

    /// The path of the page that explains the code, in the repository.
    pub fn page(&self) -> String {
        format!("docs/checks/{}.md", self.code)
    }
}
