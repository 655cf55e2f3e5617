//! Which lexicon a training uses, as its settings have it.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A vocabulary of concepts, found in the texts beside their tokens.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LexiconConfig {
    /// `clinical` for the one annals brings, or a table (`.tsv`) or `MRCONSO.RRF` of the UMLS;
    /// empty for none.
    pub file: String,
    /// `MRSTY.RRF`, which tells the semantic types of the concepts in `MRCONSO.RRF`.
    pub types_file: String,
    /// Concepts of these types only, by name or (UMLS) by number; all where none is listed.
    pub semantic_types: Vec<String>,
    /// Whether a concept is found by all its names, not only by the preferred one.
    pub expand_synonyms: bool,
    /// Whether each concept has a learned vector that is added to those of its tokens.
    pub embeddings: bool,
}

impl LexiconConfig {
    /// Whether `file` is a path, and not the name of one that annals brings.
    pub fn names_a_file(&self) -> bool {
        std::path::Path::new(&self.file).extension().is_some()
    }

    /// Whether concepts have vectors.
    pub fn has_vectors(&self) -> bool {
        self.is_on() && self.embeddings
    }

    /// Whether there is one.
    pub fn is_on(&self) -> bool {
        !self.file.is_empty()
    }
}
