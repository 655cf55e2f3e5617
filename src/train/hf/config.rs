//! `config.json`, and the other files beside the weights.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{CONFIG_FILE, HfError, SIDE_FILES, Tokenizer};
use crate::train::config::TrainConfig;

/// What `config.json` says of a DistilBERT.
#[derive(Clone, Debug, Deserialize)]
pub struct ModelFile {
    model_type: String,
    #[serde(default = "gelu")]
    activation: String,
    /// Width.
    pub dim: u32,
    /// Attention heads.
    pub n_heads: u32,
    /// Layers.
    pub n_layers: u32,
    /// Width of the feed-forward layers.
    pub hidden_dim: u32,
    /// Rows of the position table.
    pub max_position_embeddings: u32,
    /// Rows of the token table.
    pub vocab_size: u32,
    #[serde(default)]
    id2label: BTreeMap<u32, String>,
    #[serde(default)]
    problem_type: Option<String>,
}

fn gelu() -> String {
    "gelu".to_owned()
}

impl ModelFile {
    /// Reads and checks the file of `folder`.
    ///
    /// # Errors
    /// When it cannot be read, or is of another kind of model.
    pub fn read(folder: &Path) -> Result<Self, HfError> {
        let path = folder.join(CONFIG_FILE);
        let bytes = fs::read(&path).map_err(|source| HfError::Io { path: path.clone(), source })?;
        let bad = |problem: String| HfError::File { path: path.clone(), problem };
        // The type first: files of other models lack the rest.
        let value: Value = serde_json::from_slice(&bytes).map_err(|e| bad(e.to_string()))?;
        let kind = value["model_type"].as_str().unwrap_or("none").to_owned();
        if kind != "distilbert" {
            return Err(bad(format!("model_type distilbert expected, found {kind}")));
        }
        let file: Self = serde_json::from_value(value).map_err(|e| bad(e.to_string()))?;
        if file.activation != "gelu" {
            return Err(bad(format!("activation gelu expected, found {}", file.activation)));
        }
        if file.n_heads == 0 || !file.dim.is_multiple_of(file.n_heads) {
            return Err(bad(format!(
                "dim {} is no multiple of n_heads {}",
                file.dim, file.n_heads
            )));
        }
        debug_assert_eq!(file.model_type, kind);
        Ok(file)
    }

    /// The labels, in the order of the scores; two unnamed ones where none are listed.
    pub fn labels(&self) -> Vec<String> {
        if self.id2label.is_empty() {
            return vec!["LABEL_0".to_owned(), "LABEL_1".to_owned()];
        }
        self.id2label.values().cloned().collect()
    }

    /// Whether a text may have any number of labels.
    pub fn is_multi_label(&self) -> bool {
        self.problem_type.as_deref() == Some("multi_label_classification")
    }

    /// Gives `config` the sizes of this model.
    pub(super) fn shape(&self, config: &mut TrainConfig) {
        config.model.n_embd = self.dim;
        config.model.num_heads = self.n_heads;
        config.model.n_layer = self.n_layers;
        config.model.vocab_size = self.vocab_size;
        config.distilbert.hidden_dim = self.hidden_dim;
        config.distilbert.max_position_embeddings = self.max_position_embeddings;
    }
}

/// The files beside the weights, by name, as `transformers` reads them.
pub fn side_files(
    config: &TrainConfig,
    labels: &[String],
    multi_label: bool,
    tokenizer: &Tokenizer,
) -> [(&'static str, Vec<u8>); 5] {
    let specials = json!({
        "cls_token": "[CLS]", "mask_token": "[MASK]", "pad_token": "[PAD]", "sep_token": "[SEP]",
        "unk_token": "[UNK]",
    });
    let mut settings = json!({
        "clean_up_tokenization_spaces": true,
        "model_max_length": config.model.max_seq_length,
        "tokenizer_class": "PreTrainedTokenizerFast",
    });
    if let (Value::Object(settings), Value::Object(specials)) = (&mut settings, &specials) {
        settings.extend(specials.clone());
    }
    let [model, whole, tokenizer_config, special, vocab] = SIDE_FILES;
    [
        (model, pretty(&model_json(config, labels, multi_label, tokenizer))),
        (whole, tokenizer.to_json().as_bytes().to_vec()),
        (tokenizer_config, pretty(&settings)),
        (special, pretty(&specials)),
        (vocab, tokenizer.to_vocab_text().into_bytes()),
    ]
}

fn model_json(
    config: &TrainConfig,
    labels: &[String],
    multi_label: bool,
    tokenizer: &Tokenizer,
) -> Value {
    let names = || labels.iter().enumerate();
    let id2label: Map<String, Value> = names().map(|(i, l)| (i.to_string(), json!(l))).collect();
    let label2id: Map<String, Value> = names().map(|(i, l)| (l.clone(), json!(i))).collect();
    let problem =
        if multi_label { "multi_label_classification" } else { "single_label_classification" };
    let (model, own) = (&config.model, &config.distilbert);
    json!({
        "activation": "gelu",
        "architectures": ["DistilBertForSequenceClassification"],
        "attention_dropout": model.attention_dropout,
        "dim": model.n_embd,
        "dropout": model.dropout,
        "dtype": "float32",
        "hidden_dim": own.hidden_dim,
        "id2label": id2label,
        "initializer_range": 0.02,
        "label2id": label2id,
        "max_position_embeddings": own.max_position_embeddings,
        "model_type": "distilbert",
        "n_heads": model.num_heads,
        "n_layers": model.n_layer,
        "pad_token_id": 0,
        "problem_type": problem,
        "qa_dropout": 0.1,
        "seq_classif_dropout": own.classifier_dropout,
        "sinusoidal_pos_embds": false,
        "vocab_size": tokenizer.rows(config),
    })
}

fn pretty(value: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
