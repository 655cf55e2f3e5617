//! Files of a tokenizer that cannot be used.

use std::io;
use std::path::PathBuf;

/// A tokenizer that cannot be read, or a text that it refuses.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that is damaged or says something else than expected.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The tokenizer refused.
    #[error("cannot tokenise: {0}")]
    Refused(String),
}
