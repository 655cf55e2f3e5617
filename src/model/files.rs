//! The files of a model: one list of their names, and reading them as they were recorded.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::error::ModelError;
use crate::base::Digest;

/// The name of the file that holds the weights of a trained model alone (safetensors).
pub const WEIGHTS_FILE: &str = ModelFile::Weights.file_name();

/// A file that decides what a model answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ModelFile {
    /// The members of an ensemble.
    Ensemble,
    /// The numbers of the model.
    Weights,
    /// Its settings.
    Config,
    /// The tokens, one a line.
    Vocabulary,
    /// The concepts of a lexicon.
    Concepts,
    /// A tokenizer in the layout of Hugging Face.
    Tokenizer,
    /// The terms of a classical baseline.
    Vectorizer,
    /// The scale of each column of a series.
    Scaler,
    /// The labels, in class order.
    Labels,
    /// The probability from which on a row has each label.
    Thresholds,
    /// The settings, for Transformers.
    HfConfig,
    /// How Transformers reads the tokenizer.
    HfTokenizerConfig,
    /// The special tokens, for Transformers.
    HfSpecials,
}

/// The files that a model answers from, in the order in which they are stored.
pub const MODEL_FILES: [ModelFile; 10] = [
    ModelFile::Ensemble,
    ModelFile::Weights,
    ModelFile::Config,
    ModelFile::Vocabulary,
    ModelFile::Concepts,
    ModelFile::Tokenizer,
    ModelFile::Vectorizer,
    ModelFile::Scaler,
    ModelFile::Labels,
    ModelFile::Thresholds,
];

/// Files that other programs load the same model with.
pub const SIDE_FILES: [ModelFile; 3] =
    [ModelFile::HfConfig, ModelFile::HfTokenizerConfig, ModelFile::HfSpecials];

impl ModelFile {
    /// What the file is called as an artifact of a run.
    pub const fn artifact(self) -> &'static str {
        match self {
            Self::Ensemble => "ensemble",
            Self::Weights => "weights",
            Self::Config => "config",
            Self::Vocabulary => "vocabulary",
            Self::Concepts => "concepts",
            Self::Tokenizer => "tokenizer",
            Self::Vectorizer => "vectorizer",
            Self::Scaler => "scaler",
            Self::Labels => "labels",
            Self::Thresholds => "thresholds",
            Self::HfConfig | Self::HfTokenizerConfig | Self::HfSpecials => self.file_name(),
        }
    }

    /// Its name in a folder of a model.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Ensemble => "ensemble.json",
            Self::Weights => "model.safetensors",
            Self::Config => "config.yaml",
            Self::Vocabulary => "vocab.txt",
            Self::Concepts => "concepts.tsv",
            Self::Tokenizer => "tokenizer.json",
            Self::Vectorizer => "vectorizer.json",
            Self::Scaler => "scaler.json",
            Self::Labels => "labels.json",
            Self::Thresholds => "thresholds.json",
            Self::HfConfig => "config.json",
            Self::HfTokenizerConfig => "tokenizer_config.json",
            Self::HfSpecials => "special_tokens_map.json",
        }
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        MODEL_FILES.into_iter().chain(SIDE_FILES)
    }

    /// The file that an artifact of a run is.
    pub fn of_artifact(name: &str) -> Option<Self> {
        Self::all().find(|file| file.artifact() == name)
    }

    /// The file of that name in a folder of a model.
    pub fn of_file_name(name: &str) -> Option<Self> {
        Self::all().find(|file| file.file_name() == name)
    }
}

/// Where a file is, and its digest where one was recorded.
pub type Known = (PathBuf, Option<Digest>);

/// Where the files of a model are.
#[derive(Clone, Debug, Default)]
pub struct ModelFiles {
    /// What the model is called, for messages.
    pub name: String,
    files: BTreeMap<ModelFile, Known>,
}

impl ModelFiles {
    /// No files yet.
    pub fn of(name: impl Into<String>) -> Self {
        Self { name: name.into(), files: BTreeMap::new() }
    }

    /// Adds a file.
    pub fn insert(&mut self, file: ModelFile, known: Known) {
        self.files.insert(file, known);
    }

    /// Where a file is, and its recorded digest.
    pub fn get(&self, file: ModelFile) -> Option<&Known> {
        self.files.get(&file)
    }

    /// Reads a file, which must have the digest that was recorded.
    ///
    /// # Errors
    /// When it is missing, cannot be read, or is not the recorded one.
    pub fn read(&self, file: ModelFile) -> Result<(Vec<u8>, Digest), ModelError> {
        let Some((path, recorded)) = self.get(file) else {
            let (model, file) = (self.name.clone(), file.file_name());
            return Err(ModelError::Missing { model, file });
        };
        let bytes =
            fs::read(path).map_err(|source| ModelError::Read { path: path.clone(), source })?;
        let found = Digest::of(&bytes);
        match *recorded {
            Some(recorded) if recorded != found => {
                Err(ModelError::NotRecorded { path: path.clone(), recorded, found })
            }
            _ => Ok((bytes, found)),
        }
    }

    /// As [`read`](Self::read), as text.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_text(&self, file: ModelFile) -> Result<String, ModelError> {
        let (bytes, _) = self.read(file)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_found_by_both_names_and_listed_once() {
        let all: Vec<ModelFile> = ModelFile::all().collect();
        for file in &all {
            assert_eq!(ModelFile::of_artifact(file.artifact()), Some(*file));
            assert_eq!(ModelFile::of_file_name(file.file_name()), Some(*file));
            assert_eq!(all.iter().filter(|other| *other == file).count(), 1);
        }
        assert_eq!(ModelFile::of_artifact("model_card"), None);
    }

    #[test]
    fn a_file_with_another_digest_than_the_recorded_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.json");
        crate::base::durable::write(&path, b"{}").unwrap();
        let mut files = ModelFiles::of("m");
        let missing = files.read(ModelFile::Labels).unwrap_err();
        assert_eq!(missing.to_string(), "m has no labels.json");
        files.insert(ModelFile::Labels, (path.clone(), Some(Digest::of(b"{}"))));
        assert_eq!(files.read_text(ModelFile::Labels).unwrap(), "{}");
        files.insert(ModelFile::Labels, (path, Some(Digest::of(b"[]"))));
        let changed = files.read(ModelFile::Labels).unwrap_err();
        assert!(matches!(changed, ModelError::NotRecorded { .. }), "{changed}");
    }
}
