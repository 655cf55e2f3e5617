//! Classical baselines that cannot be fitted, written or read.

use std::io;

/// A baseline that cannot be fitted, written or read.
#[derive(Debug, thiserror::Error)]
pub enum ClassicalError {
    /// The model cannot be fitted to these rows.
    #[error("cannot build the model: {0}")]
    Config(String),
    /// A file that is damaged or does not fit the others.
    #[error("saved state {file}: {message}")]
    State {
        /// The file.
        file: String,
        /// What does not fit.
        message: String,
    },
    /// A file could not be read or written.
    #[error("cannot {verb} {path}")]
    Io {
        /// `read`, `write`.
        verb: &'static str,
        /// The file.
        path: String,
        /// The error of the system.
        source: io::Error,
    },
    /// The numbers cannot be encoded.
    #[error("{0}")]
    Backend(String),
}
