//! The error of a client that cannot be built.

/// A client cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// An authority file cannot be read or holds no certificate.
    #[error("ca_file {path}: {reason}")]
    CaFile {
        /// The path as configured.
        path: std::path::PathBuf,
        /// The fault of the file.
        reason: String,
    },
}
