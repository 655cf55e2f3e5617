//! Models that cannot be prepared or loaded.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use super::files::WEIGHTS_FILE;
use super::hf::HfError;
use crate::base::Digest;
use crate::data::lexicon::LexiconError;
use crate::data::tokenizer::TokenizerError;
use crate::data::{DataError, Pickle};

/// A model that cannot be prepared or loaded.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The rows.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A folder in the layout of Hugging Face.
    #[error(transparent)]
    HuggingFace(#[from] HfError),
    /// A file that is not loaded.
    #[error(transparent)]
    Pickle(Pickle),
    /// A file that cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A file that the model needs.
    #[error("{model} has no {file}")]
    Missing {
        /// The model.
        model: String,
        /// The name of the file.
        file: &'static str,
    },
    /// A file that is not the recorded one.
    #[error("{} has digest {found}, {recorded} is in the log", path.display())]
    NotRecorded {
        /// The file.
        path: PathBuf,
        /// The digest in the log.
        recorded: Digest,
        /// The digest of the file.
        found: Digest,
    },
    /// A file that is damaged, or does not fit the others.
    #[error("{message}")]
    Content {
        /// What is wrong with which file.
        message: String,
        /// The error of its reader.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// A model that has no labels to answer with.
    #[error("{model} was trained without labels")]
    WithoutLabels {
        /// The model.
        model: String,
    },
}

impl ModelError {
    /// What is wrong with which file.
    pub fn content(message: impl Into<String>) -> Self {
        Self::Content { message: message.into(), source: None }
    }

    /// What cannot be used, with the error of its reader.
    pub fn caused(
        message: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Content { message: message.into(), source: Some(source.into()) }
    }
}

impl From<LexiconError> for ModelError {
    fn from(error: LexiconError) -> Self {
        Self::Data(error.into())
    }
}

impl From<TokenizerError> for ModelError {
    fn from(error: TokenizerError) -> Self {
        Self::HuggingFace(error.into())
    }
}

/// Refuses `path` where it is a pickle, or a folder with one and without weights that are read.
///
/// # Errors
/// [`ModelError::Pickle`], or [`ModelError::Read`] when it cannot be examined.
pub fn refuse_pickle(path: &Path) -> Result<(), ModelError> {
    let found = if !path.is_dir() {
        Pickle::at(path)
    } else if path.join(WEIGHTS_FILE).exists() {
        return Ok(());
    } else {
        Pickle::within(path)
    };
    match found {
        Ok(None) => Ok(()),
        Ok(Some(pickle)) => Err(ModelError::Pickle(pickle)),
        Err(source) => Err(ModelError::Read { path: path.to_owned(), source }),
    }
}
