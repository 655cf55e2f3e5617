//! A folder to fine-tune from or to predict with.

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;

use super::{HfError, ModelFile, Tokenizer};
use crate::base::Digest;
use crate::train::WEIGHTS_FILE;
use crate::train::config::{Architecture, TrainConfig};

/// A folder whose files fit each other.
#[derive(Clone, Debug)]
pub struct Pretrained {
    folder: PathBuf,
    /// What `config.json` says.
    pub model: ModelFile,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// Most tokens of a text.
    pub length_max: u32,
    /// Digest of the weights.
    pub weights: Digest,
    has_head: bool,
}

impl Pretrained {
    /// Reads the folder: every header is checked, and the weights are digested.
    ///
    /// # Errors
    /// When a file is missing or damaged, or they do not fit each other.
    pub fn open(folder: &Path) -> Result<Self, HfError> {
        let model = ModelFile::read(folder)?;
        let tokenizer = Tokenizer::read(folder)?;
        let path = folder.join(WEIGHTS_FILE);
        let bytes = fs::read(&path).map_err(|source| HfError::Io { path: path.clone(), source })?;
        let bad = |problem: String| HfError::File { path: path.clone(), problem };
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| bad(e.to_string()))?;
        let tokens = "distilbert.embeddings.word_embeddings.weight";
        let table = tensors.tensor(tokens).map_err(|e| bad(e.to_string()))?;
        let wanted = [model.vocab_size as usize, model.dim as usize];
        if table.shape() != wanted {
            let found = table.shape();
            return Err(bad(format!("{tokens} has shape {found:?}, config.json says {wanted:?}")));
        }
        if tokenizer.len() > model.vocab_size {
            let (tokens, rows) = (tokenizer.len(), model.vocab_size);
            return Err(HfError::Vocabulary { path: folder.to_owned(), tokens, rows });
        }
        let head = tensors.tensor("classifier.weight").ok();
        let labels = model.labels().len();
        if let Some(rows) = head.as_ref().and_then(|head| head.shape().first())
            && *rows != labels
        {
            return Err(bad(format!("{rows} outputs, config.json lists {labels} labels")));
        }
        let has_head = head.is_some();
        let length_max = length_max(folder).min(model.max_position_embeddings);
        let weights = Digest::of(&bytes);
        Ok(Self { folder: folder.to_owned(), model, tokenizer, length_max, weights, has_head })
    }

    /// Makes `config` train from this folder: its sizes, its place and the weights' digest.
    ///
    /// # Errors
    /// When `config` names another digest, or longer texts than the weights have positions for.
    pub fn settle(&self, config: &mut TrainConfig) -> Result<(), HfError> {
        self.model.shape(config);
        let positions = self.model.max_position_embeddings;
        if config.model.max_seq_length > positions {
            let problem = format!(
                "it has {positions} positions, but `model.max_seq_length` is {}; \
                 --set model.max_seq_length={positions} cuts longer texts off",
                config.model.max_seq_length
            );
            return Err(HfError::File { path: self.folder.clone(), problem });
        }
        config.model.architecture = Architecture::Distilbert;
        config.distilbert.init_from = self.folder.display().to_string();
        let expected = &mut config.distilbert.init_digest;
        let found = self.weights;
        if !expected.is_empty() && *expected != found.to_string() {
            let path = self.folder.join(WEIGHTS_FILE);
            return Err(HfError::Digest { path, expected: expected.clone(), found });
        }
        *expected = found.to_string();
        Ok(())
    }

    /// Refuses data whose labels are not those of the classifier; without one, any will do, and
    /// where they were never named, as many.
    ///
    /// # Errors
    /// When the labels or their order differ.
    pub fn check_labels(&self, labels: &[String]) -> Result<(), HfError> {
        let known = self.model.labels();
        let named = !(0..).zip(&known).all(|(i, label)| *label == format!("LABEL_{i}"));
        let fits = if named { known == labels } else { known.len() == labels.len() };
        if !self.has_head || fits {
            return Ok(());
        }
        let (known, found) = (known.join(", "), labels.join(", "));
        Err(HfError::Labels { path: self.folder.clone(), known, found })
    }

    /// Whether the weights have a classifier; a fresh one is made where they have none.
    pub fn has_head(&self) -> bool {
        self.has_head
    }
}

/// `model_max_length` of `tokenizer_config.json`; Hugging Face writes 1e30 for no bound.
fn length_max(folder: &Path) -> u32 {
    let settings = fs::read(folder.join("tokenizer_config.json")).unwrap_or_default();
    let settings: serde_json::Value = serde_json::from_slice(&settings).unwrap_or_default();
    settings["model_max_length"].as_f64().map_or(u32::MAX, |length| length as u32)
}

impl Tokenizer {
    /// The tokenizer a training uses: the one of the folder it starts from, or one learned from
    /// its training texts.
    ///
    /// # Errors
    /// When the folder does not fit, or its classifier is for other labels.
    pub fn for_training<'a>(
        config: &TrainConfig,
        labels: &[String],
        texts: impl Iterator<Item = &'a str>,
    ) -> Result<Self, HfError> {
        let tokenizer = if config.distilbert.init_from.is_empty() {
            Self::learn(texts, config.model.vocab_size, config.data.min_count)?
        } else {
            let found = Pretrained::open(Path::new(&config.distilbert.init_from))?;
            found.check_labels(labels)?;
            found.tokenizer
        };
        tokenizer.limited(config.model.max_seq_length)
    }

    /// Rows of the token table of a model of `config` that uses this tokenizer.
    pub fn rows(&self, config: &TrainConfig) -> u32 {
        if config.distilbert.init_from.is_empty() { self.len() } else { config.model.vocab_size }
    }
}
