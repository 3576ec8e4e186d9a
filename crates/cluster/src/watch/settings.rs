//! The part of the cluster that is looked at.

use super::keeper::Waits;

/// The namespaces that are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All.
    Cluster,
    /// These.
    Namespaces(Vec<String>),
}

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The namespaces.
    pub scope: Scope,
    /// Whether pull secrets are read.
    pub secrets: bool,
    /// The times between two looks at a secret.
    pub waits: Waits,
}

impl Scope {
    /// The places of the watches: each namespace, or `None` for all at once.
    pub(super) fn places(&self) -> Vec<Option<&str>> {
        match self {
            Self::Cluster => vec![None],
            Self::Namespaces(names) => names.iter().map(|name| Some(name.as_str())).collect(),
        }
    }
}
