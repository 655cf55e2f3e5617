//! Models as they are loaded from their files.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::config::{self, TrainConfig};
use super::error::{ModelError, refuse_pickle};
use super::files::{ModelFile, ModelFiles};
use super::specification::Pipeline;
use crate::base::Digest;
use crate::data::Scaler;
use crate::data::lexicon::Concepts;
use crate::data::tokenizer::Tokenizer;
use crate::data::vocab::{Tokens, Vocab};

/// The labels of a model.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Labels {
    /// Their names, in the order of the scores.
    pub classes: Vec<String>,
    /// Whether a row may have any number of them.
    #[serde(default)]
    pub multi_label: bool,
}

impl Labels {
    /// One half for each label, where a row may have any number of them.
    pub fn halves(&self) -> Vec<f64> {
        if self.multi_label { vec![0.5; self.classes.len()] } else { Vec::new() }
    }
}

/// What makes tokens of a text.
pub trait TokenReader: Debug {
    /// Tokens of a text, marked with their concepts where the model knows concepts.
    ///
    /// # Errors
    /// When the tokenizer refuses the text.
    fn encode(&self, text: &str) -> Result<Tokens, ModelError>;

    /// Tokens to which texts are cut.
    fn length_max(&self) -> Option<u32>;

    /// Rows of the tables of tokens and of concepts of a model of `config`.
    fn rows(&self, config: &TrainConfig) -> (u32, u32);
}

/// What scores texts in this process.
pub trait TextScorer: Debug {
    /// Unnormalized scores of a text, one for each label.
    fn scores(&self, text: &str) -> Vec<f32>;
}

/// How a loaded model takes rows.
#[derive(Debug)]
pub enum Reader {
    /// Texts, which are scored in this process.
    Texts(Box<dyn TextScorer>),
    /// Texts, whose tokens the program of the architecture scores.
    Tokens(Box<dyn TokenReader>),
    /// Series, which that program scores once they are scaled.
    Series(Scaler),
}

/// A model whose files were read and fit each other.
#[derive(Debug)]
pub struct LoadedModel {
    /// The settings it was trained with.
    pub config: TrainConfig,
    /// Its labels.
    pub labels: Labels,
    /// From which probability on a row has each label; empty where it has one class.
    pub thresholds: Vec<f64>,
    /// Digest of the weights.
    pub weights: Digest,
    /// The folder of the weights.
    pub folder: PathBuf,
    /// How it takes rows.
    pub reader: Reader,
}

impl ModelFiles {
    /// Loads the model of these files.
    ///
    /// # Errors
    /// When a file is missing, damaged, not the recorded one, or does not fit the others.
    pub fn load(&self) -> Result<LoadedModel, ModelError> {
        if let Some((path, _)) = self.get(ModelFile::Weights) {
            refuse_pickle(path)?;
        }
        let config = config::recorded(&self.read_text(ModelFile::Config)?)
            .map_err(|e| ModelError::content(e.to_string()))?;
        self.load_as(config.model.architecture.pipeline(), config)
    }

    /// As [`load`](Self::load), of a given architecture.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_as(
        &self,
        pipeline: &dyn Pipeline,
        config: TrainConfig,
    ) -> Result<LoadedModel, ModelError> {
        let (labels, _) = self.read(ModelFile::Labels)?;
        let labels: Labels = serde_json::from_slice(&labels)
            .map_err(|e| ModelError::content(format!("labels.json of {}: {e}", self.name)))?;
        let (_, weights) = self.read(ModelFile::Weights)?;
        let folder = self.get(ModelFile::Weights).and_then(|(path, _)| path.parent());
        let folder = folder.map(Path::to_owned).unwrap_or_default();
        let reader = pipeline.load(self, &labels, &config)?;
        let thresholds = self.thresholds_of(&labels)?;
        Ok(LoadedModel { config, labels, thresholds, weights, folder, reader })
    }

    /// The recorded thresholds; one half where there are none, as in other layouts.
    fn thresholds_of(&self, labels: &Labels) -> Result<Vec<f64>, ModelError> {
        if !labels.multi_label || self.get(ModelFile::Thresholds).is_none() {
            return Ok(labels.halves());
        }
        let name = ModelFile::Thresholds.file_name();
        let (json, _) = self.read(ModelFile::Thresholds)?;
        let bad = |what: String| ModelError::content(format!("{name} of {}: {what}", self.name));
        let by_label: BTreeMap<String, f64> =
            serde_json::from_slice(&json).map_err(|e| bad(e.to_string()))?;
        let of_label = |label: &String| match by_label.get(label) {
            Some(threshold) if *threshold > 0.0 && *threshold < 1.0 => Ok(*threshold),
            Some(other) => Err(bad(format!("{label} has {other}, above 0 and below 1 expected"))),
            None => Err(bad(format!("no threshold for {label}"))),
        };
        labels.classes.iter().map(of_label).collect()
    }
}

/// Tokens of annals' own vocabulary.
#[derive(Debug)]
pub(super) struct OwnTokens {
    vocab: Vocab,
    concepts: Concepts,
    length_max: usize,
}

impl OwnTokens {
    /// Reads the vocabulary, and the concepts where the settings have a lexicon.
    pub(super) fn load(files: &ModelFiles, config: &TrainConfig) -> Result<Self, ModelError> {
        let content =
            |what: &str, e: String| ModelError::content(format!("{what}{}: {e}", files.name));
        let vocab = Vocab::parse(&files.read_text(ModelFile::Vocabulary)?)
            .map_err(|e| content("vocab.txt of ", e.to_string()))?;
        let mut concepts = Concepts::default();
        if config.lexicon.is_on() {
            let table = files.read_text(ModelFile::Concepts)?;
            let path = Path::new(ModelFile::Concepts.file_name());
            concepts = Concepts::parse(&table, path).map_err(|e| content("", e.to_string()))?;
        }
        Ok(Self { vocab, concepts, length_max: config.model.max_seq_length as usize })
    }
}

impl TokenReader for OwnTokens {
    fn encode(&self, text: &str) -> Result<Tokens, ModelError> {
        Ok(self.concepts.encode(&self.vocab, text, self.length_max))
    }

    fn length_max(&self) -> Option<u32> {
        u32::try_from(self.length_max).ok()
    }

    fn rows(&self, _: &TrainConfig) -> (u32, u32) {
        (self.vocab.len(), self.concepts.len())
    }
}

impl TokenReader for Tokenizer {
    fn encode(&self, text: &str) -> Result<Tokens, ModelError> {
        Ok(self.tokens(text)?)
    }

    fn length_max(&self) -> Option<u32> {
        self.limit()
    }

    fn rows(&self, config: &TrainConfig) -> (u32, u32) {
        (self.token_rows(config), 0)
    }
}
