//! Clinical vocabulary: terms of a lexicon found in texts, as numbers of concepts beside tokens.
//!
//! [`learn`] keeps the concepts that stand in the training rows; all their synonyms are kept with
//! them, so that a synonym no training row has still finds its concept. What is kept is written
//! beside the vocabulary and is itself a lexicon.
//!
//! To add a lexicon format: an arm in `source.rs` and its reader in `read.rs`. Start reading at
//! [`learn`].

mod concepts;
mod config;
mod read;
mod source;

pub use concepts::{Concept, Concepts, Learned, learn};
pub use config::LexiconConfig;
pub use source::Source;

use std::io;
use std::path::PathBuf;

/// A lexicon that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LexiconError {
    /// The file cannot be read.
    #[error("cannot read the lexicon {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line that is not what the format asks for.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// No lexicon of this name comes with annals.
    #[error("there is no lexicon \"{name}\" (known: {known}; a path to a .tsv or .RRF works too)")]
    Unknown {
        /// As configured.
        name: String,
        /// All names.
        known: String,
    },
    /// Nothing of the lexicon stands in the training rows.
    #[error(
        "of the lexicon {}, {terms} terms pass the filters and none occurs in the training rows",
        path.display()
    )]
    Nothing {
        /// The file.
        path: PathBuf,
        /// Terms that pass the filters.
        terms: u64,
    },
}
