//! A folder to fine-tune from or to predict with.

use std::fs;
use std::path::{Path, PathBuf};

use super::weights::{self, Weights};
use super::{ConfigFile, HfError};
use crate::base::Digest;
use crate::data::tokenizer::{CONFIG_FILE, Tokenizer};
use crate::model::config::{Architecture, TrainConfig};

/// A folder whose files fit each other.
#[derive(Clone, Debug)]
pub struct Pretrained {
    folder: PathBuf,
    /// What `config.json` says.
    pub model: ConfigFile,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// Most tokens of a text.
    pub length_max: u32,
    /// The labels of the classifier, in the order of its outputs; none without a classifier.
    pub labels: Vec<String>,
    /// Whether a text may have any number of them.
    pub multi_label: bool,
    /// Digest of the weights.
    pub weights: Digest,
    /// What a user has to know of the weights: tensors that are missing or were not used.
    pub notes: Vec<String>,
    /// The tensors of a classifier that the weights lack; new ones are made of them.
    pub missing: Vec<&'static str>,
}

impl Pretrained {
    /// Reads the folder: every name and shape is checked, and the weights are digested.
    ///
    /// # Errors
    /// When a file is missing or damaged, or they do not fit each other.
    pub fn open(folder: &Path) -> Result<Self, HfError> {
        let model = ConfigFile::read(folder)?;
        let tokenizer = Tokenizer::read(folder)?;
        let weights = Weights::open(folder, model.n_layers)?;
        check_body(folder, &model, &weights)?;
        if tokenizer.len() > model.vocab_size {
            let (tokens, rows) = (tokenizer.len(), model.vocab_size);
            return Err(HfError::Vocabulary { path: folder.to_owned(), tokens, rows });
        }
        let mut notes = Vec::new();
        let (mut labels, mut multi_label) = (Vec::new(), false);
        if let Some(head) = weights.get("classifier.weight") {
            let bad = |problem| HfError::File { path: folder.join(CONFIG_FILE), problem };
            (labels, multi_label) = model.labels().map_err(bad)?;
            notes.extend(model.contradiction());
            let (outputs, listed) = (head.shape.first().copied().unwrap_or(0), labels.len());
            if outputs != listed {
                let problem = format!("{outputs} outputs, {CONFIG_FILE} has {listed} labels");
                return Err(HfError::File { path: weights.path_of("classifier.weight"), problem });
            }
            check_shape(&weights, "classifier.weight", &[outputs, model.dim as usize])?;
        }
        // A bias without its weights is of no use.
        let width = model.dim as usize;
        for (name, shape) in [
            ("classifier.bias", vec![labels.len()]),
            ("pre_classifier.weight", vec![width, width]),
            ("pre_classifier.bias", vec![width]),
        ] {
            check_shape(&weights, name, &shape)?;
        }
        let missing = weights.missing_head();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            notes.push(format!("the weights lack {missing}: training starts with new ones"));
        }
        if !weights.ignored.is_empty() {
            let ignored = weights.ignored.join(", ");
            notes.push(format!("not used of the weights: {ignored}"));
        }
        let length_max = length_max(folder).min(model.max_position_embeddings);
        let weights = weights.digest;
        let folder = folder.to_owned();
        Ok(Self {
            folder,
            model,
            tokenizer,
            length_max,
            labels,
            multi_label,
            weights,
            notes,
            missing,
        })
    }

    /// Makes `config` train from this folder: its sizes, its place and the weights' digest.
    ///
    /// # Errors
    /// When `config` names another digest, or longer texts than the weights have positions for.
    pub fn resolve(&self, config: &mut TrainConfig) -> Result<(), HfError> {
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
            let path = self.folder.clone();
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
        let known = &self.labels;
        let named = !(0..).zip(known).all(|(i, label)| *label == format!("LABEL_{i}"));
        let fits = if named { known == labels } else { known.len() == labels.len() };
        if known.is_empty() || fits {
            return Ok(());
        }
        let (known, found) = (known.join(", "), labels.join(", "));
        Err(HfError::Labels { path: self.folder.clone(), known, found })
    }
}

/// Refuses weights whose body is not the one that `config.json` describes.
fn check_body(folder: &Path, model: &ConfigFile, weights: &Weights) -> Result<(), HfError> {
    let (width, hidden) = (model.dim as usize, model.hidden_dim as usize);
    for name in weights::body(model.n_layers) {
        let parts: Vec<&str> = name.rsplit('.').take(2).collect();
        let shape = match parts[..] {
            ["weight", "word_embeddings"] => vec![model.vocab_size as usize, width],
            ["weight", "position_embeddings"] => {
                vec![model.max_position_embeddings as usize, width]
            }
            ["weight", "lin1"] => vec![hidden, width],
            ["bias", "lin1"] => vec![hidden],
            ["weight", "lin2"] => vec![width, hidden],
            ["weight", part] if part.ends_with("_lin") => vec![width, width],
            _ => vec![width],
        };
        if weights.get(&name).is_none() {
            let mut problem = format!("the weights have no {name}");
            if let Some(other) = weights.ignored.first() {
                problem += &format!(" (they have {other})");
            }
            return Err(HfError::File { path: folder.to_owned(), problem });
        }
        check_shape(weights, &name, &shape)?;
    }
    Ok(())
}

fn check_shape(weights: &Weights, name: &str, wanted: &[usize]) -> Result<(), HfError> {
    match weights.get(name) {
        Some(found) if found.shape != wanted => {
            let found = found.shape;
            let problem = format!(
                "{name} has shape {found:?}, but {CONFIG_FILE} requires \
                 {wanted:?}"
            );
            Err(HfError::File { path: weights.path_of(name), problem })
        }
        _ => Ok(()),
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
        Ok(tokenizer.limited(config.model.max_seq_length)?)
    }

    /// Rows of the token table of a model of `config` that uses this tokenizer.
    pub fn token_rows(&self, config: &TrainConfig) -> u32 {
        if config.distilbert.init_from.is_empty() { self.len() } else { config.model.vocab_size }
    }
}
