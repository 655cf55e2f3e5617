//! `config.json`, and the other files beside the weights.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{HfError, SIDE_FILES};
use crate::base::counted;
use crate::data::tokenizer::{CONFIG_FILE, Tokenizer, VOCABULARY_MAX};
use crate::model::config::TrainConfig;

/// What `config.json` says of a DistilBERT, with the defaults and the other names that Transformers
/// knows.
#[derive(Clone, Debug, Deserialize)]
pub struct ConfigFile {
    #[serde(default = "gelu")]
    activation: String,
    /// Width.
    #[serde(default = "sizes::dim", alias = "hidden_size")]
    pub dim: u32,
    /// Attention heads.
    #[serde(default = "sizes::heads", alias = "num_attention_heads")]
    pub n_heads: u32,
    /// Layers.
    #[serde(default = "sizes::layers", alias = "num_hidden_layers")]
    pub n_layers: u32,
    /// Width of the feed-forward layers.
    #[serde(default = "sizes::hidden")]
    pub hidden_dim: u32,
    /// Rows of the position table.
    #[serde(default = "sizes::positions")]
    pub max_position_embeddings: u32,
    /// Rows of the token table.
    #[serde(default = "sizes::vocabulary")]
    pub vocab_size: u32,
    #[serde(default)]
    id2label: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    label2id: Option<BTreeMap<String, Value>>,
    #[serde(skip)]
    num_labels: Option<Value>,
    #[serde(default)]
    problem_type: Option<String>,
}

fn gelu() -> String {
    "gelu".to_owned()
}

/// What Transformers takes for what `config.json` leaves out.
mod sizes {
    pub(super) fn dim() -> u32 {
        768
    }
    pub(super) fn heads() -> u32 {
        12
    }
    pub(super) fn layers() -> u32 {
        6
    }
    pub(super) fn hidden() -> u32 {
        3_072
    }
    pub(super) fn positions() -> u32 {
        512
    }
    pub(super) fn vocabulary() -> u32 {
        30_522
    }
}

/// Labels of a classifier at most, as for any model.
const LABELS_MAX: u64 = 10_000;

impl ConfigFile {
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
        if !value["quantization_config"].is_null() {
            return Err(bad("quantized weights are not read (quantization_config)".into()));
        }
        let num_labels = value.get("num_labels").cloned();
        let mut file: Self = serde_json::from_value(value).map_err(|e| bad(e.to_string()))?;
        file.num_labels = num_labels;
        if !["gelu", "gelu_python"].contains(&file.activation.as_str()) {
            return Err(bad(format!("activation gelu expected, found {}", file.activation)));
        }
        if file.n_heads == 0 || !file.dim.is_multiple_of(file.n_heads) {
            return Err(bad(format!(
                "dim {} is not a multiple of n_heads {}",
                file.dim, file.n_heads
            )));
        }
        // As for settings: what follows names every layer and makes room for every row.
        for (name, size, most) in [
            ("dim", file.dim, 16_384),
            ("n_layers", file.n_layers, 1_000),
            ("hidden_dim", file.hidden_dim, 65_536),
            ("max_position_embeddings", file.max_position_embeddings, 65_536),
            ("vocab_size", file.vocab_size, VOCABULARY_MAX),
        ] {
            if size > most {
                return Err(bad(format!("{name} is {size}, at most {most} is supported")));
            }
        }
        Ok(file)
    }

    /// The labels of the classifier, in the order of the scores, and whether a text may have any
    /// number of them; `LABEL_0` and so on where none are named.
    ///
    /// # Errors
    /// The reason why these are not the labels of a classifier.
    pub fn labels(&self) -> Result<(Vec<String>, bool), String> {
        let count = match &self.num_labels {
            None => None,
            Some(count) => match count.as_u64().filter(|count| *count <= LABELS_MAX) {
                Some(count) => Some(count),
                None => return Err(format!("num_labels is {count}, 2 to {LABELS_MAX} expected")),
            },
        };
        let labels = match (&self.id2label, count) {
            (Some(named), _) if count.is_none_or(|count| count == named.len() as u64) => {
                names(named)?
            }
            // Where both differ, the number counts and the names are lost, as in Transformers.
            _ => (0..count.unwrap_or(2)).map(|id| format!("LABEL_{id}")).collect(),
        };
        let multi_label = match self.problem_type.as_deref() {
            _ if labels.len() < 2 => {
                let count = labels.len();
                let labels = counted(count, "label");
                return Err(format!("{labels}: a classifier needs at least 2"));
            }
            None | Some("single_label_classification") => false,
            Some("multi_label_classification") => true,
            Some(other) => return Err(format!("problem_type {other} is not supported")),
        };
        Ok((labels, multi_label))
    }

    /// Where `config.json` contradicts itself about the labels, and what counts.
    pub(super) fn contradiction(&self) -> Option<String> {
        let named = self.id2label.as_ref()?;
        if let Some(count) = self.num_labels.as_ref().and_then(Value::as_u64)
            && count != named.len() as u64
        {
            return Some(format!(
                "{CONFIG_FILE}: num_labels is {count}, id2label has {} labels; num_labels counts \
                 and the names are not used, as in Transformers",
                named.len()
            ));
        }
        let ids = self.label2id.as_ref()?;
        let differs = |(id, name): &(&String, &Value)| {
            let found = ids.get(&plain(name)?).map(plain);
            found.filter(|found| found.as_ref() != Some(*id))
        };
        let (id, name) = named.iter().find(|entry| differs(entry).is_some())?;
        Some(format!(
            "{CONFIG_FILE}: id2label calls class {id} {name}, label2id gives {name} another \
             number; id2label counts, as in Transformers"
        ))
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
    let specials = tokenizer.specials();
    let mut settings = json!({
        "clean_up_tokenization_spaces": true,
        "model_max_length": config.model.max_seq_length,
        "tokenizer_class": "PreTrainedTokenizerFast",
    });
    if let Value::Object(settings) = &mut settings {
        settings.extend(specials.clone());
    }
    let [model, whole, tokenizer_config, special, vocab] = SIDE_FILES;
    [
        (model, pretty(&model_json(config, labels, multi_label, tokenizer))),
        (whole, tokenizer.to_json().as_bytes().to_vec()),
        (tokenizer_config, pretty(&settings)),
        (special, pretty(&Value::Object(specials))),
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
        "vocab_size": tokenizer.token_rows(config),
    })
}

/// The names of classes 0, 1, 2 and so on.
fn names(named: &BTreeMap<String, Value>) -> Result<Vec<String>, String> {
    let mut by_id = BTreeMap::new();
    for (id, name) in named {
        let number: u32 = id.trim().parse().map_err(|_| format!("id2label has the id {id:?}"))?;
        let name = plain(name).ok_or_else(|| format!("id2label calls class {id} {name}"))?;
        if by_id.insert(number, name).is_some() {
            return Err(format!("id2label names class {number} twice"));
        }
    }
    if let Some((expected, _)) = (0..).zip(by_id.keys()).find(|(at, id)| at != *id) {
        let ids: Vec<String> = by_id.keys().map(u32::to_string).collect();
        return Err(format!(
            "id2label names the classes {}, but not class {expected}",
            ids.join(", ")
        ));
    }
    let names: Vec<String> = by_id.into_values().collect();
    for (at, name) in names.iter().enumerate() {
        if let Some(first) = names[..at].iter().position(|known| known == name) {
            return Err(format!("id2label calls both class {first} and class {at} {name:?}"));
        }
    }
    Ok(names)
}

/// A text, or a number as text.
fn plain(name: &Value) -> Option<String> {
    match name {
        Value::String(name) if !name.is_empty() => Some(name.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn pretty(value: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
