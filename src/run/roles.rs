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
    /// The name in the log.
    pub(super) fn as_str(self) -> &'static str {
        match (self.proxy, self.prober) {
            (true, true) => "proxy,prober",
            (true, false) => "proxy",
            (false, _) => "prober",
        }
    }

    /// `serve`.
    pub(crate) const BOTH: Self = Self { proxy: true, prober: true };
    /// `proxy`.
    pub(crate) const PROXY: Self = Self { proxy: true, prober: false };
    /// `prober`.
    pub(crate) const PROBER: Self = Self { proxy: false, prober: true };
}
