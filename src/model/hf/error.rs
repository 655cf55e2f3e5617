//! What is wrong with a folder in the layout of Hugging Face.

use std::io;
use std::path::PathBuf;

use crate::base::Digest;
use crate::data::tokenizer::TokenizerError;

/// A folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HfError {
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
    /// Other weights than the settings name.
    #[error("the weights in {} have digest {found}, {expected} expected", path.display())]
    Digest {
        /// The folder.
        path: PathBuf,
        /// What the settings name.
        expected: String,
        /// What was found.
        found: Digest,
    },
    /// More tokens than the weights have rows for.
    #[error("{}: the vocabulary has {tokens} tokens, the weights have rows for {rows}",
        path.display())]
    Vocabulary {
        /// The folder.
        path: PathBuf,
        /// Tokens of the tokenizer.
        tokens: u32,
        /// Rows of the token table.
        rows: u32,
    },
    /// A classifier that was trained for other labels.
    #[error("{}: the weights were trained for the labels {known}, the data has {found}",
        path.display())]
    Labels {
        /// The folder.
        path: PathBuf,
        /// Labels of the checkpoint.
        known: String,
        /// Labels of the data.
        found: String,
    },
    /// The tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}
