//! One rule: a pattern, and what it means.

use oci::{Class, Stage};

use crate::reason::Reason;

/// A pattern over the masked text, and what it means.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// The class.
    pub(crate) class: Class,
    /// The finer cause.
    pub(crate) reason: Option<Reason>,
    /// The stage, where the pattern alone tells it; else URL and method do.
    pub(crate) stage: Option<Stage>,
    /// The pattern, in the notation of [`super::pattern`].
    pub(crate) pattern: &'static str,
}

/// A rule for `class`.
pub(crate) const fn rule(class: Class, pattern: &'static str) -> Rule {
    Rule { class, reason: None, stage: None, pattern }
}

impl Rule {
    /// The rule with a finer cause.
    pub(crate) const fn because(self, reason: Reason) -> Self {
        Self { reason: Some(reason), ..self }
    }

    /// The rule with a stage.
    pub(crate) const fn at(self, stage: Stage) -> Self {
        Self { stage: Some(stage), ..self }
    }
}
