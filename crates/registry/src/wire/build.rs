//! Why a client cannot be built.

/// A client could not be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// An authority file cannot be read or holds no certificate.
    #[error("ca_file {path}: {reason}")]
    CaFile {
        /// As configured.
        path: std::path::PathBuf,
        /// The fault that was found in it.
        reason: String,
    },
}
