//! The parts that a process runs.

/// The parts to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Roles {
    /// The mirror.
    pub(super) proxy: bool,
    /// The prober.
    pub(super) prober: bool,
}

impl Roles {
    /// `serve`.
    pub(crate) const BOTH: Self = Self { proxy: true, prober: true };
    /// `proxy`.
    pub(crate) const PROXY: Self = Self { proxy: true, prober: false };
    /// `prober`.
    pub(crate) const PROBER: Self = Self { proxy: false, prober: true };
}
