//! Settings of the shape of a network, which all architectures share.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::Rules;
use super::{Architecture, TrainConfig};

/// What the network looks like.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Which network.
    pub architecture: Architecture,
    /// Most entries of the vocabulary.
    pub vocab_size: u32,
    /// Width of the residual stream.
    pub n_embd: u32,
    /// Attention heads; divides `n_embd`.
    pub num_heads: u32,
    /// Encoder layers.
    pub n_layer: u32,
    /// Classes; 0 takes the number of labels of the data.
    pub num_classes: u32,
    /// Most tokens of a text; the rest is cut off.
    pub max_seq_length: u32,
    /// Dropout of embeddings, residual branches and the classifier's input.
    pub dropout: f64,
    /// Dropout of attention probabilities; 0 keeps the fast attention kernel.
    pub attention_dropout: f64,
}

pub(super) fn rules(config: &TrainConfig, rules: &mut Rules) {
    let m = &config.model;
    rules.whole("model.vocab_size", m.vocab_size, 16, 1_000_000);
    rules.whole("model.n_embd", m.n_embd, 1, 16_384);
    rules.whole("model.num_heads", m.num_heads, 1, 1_024);
    let layers_min = m.architecture.specification().layers_min(config);
    rules.whole("model.n_layer", m.n_layer, layers_min, 1_000);
    rules.whole("model.num_classes", m.num_classes, 0, 10_000);
    rules.whole("model.max_seq_length", m.max_seq_length, 2, 65_536);
    rules.share("model.dropout", m.dropout, 1.0);
    rules.share("model.attention_dropout", m.attention_dropout, 1.0);
    rules.require(
        m.num_heads > 0 && m.n_embd.is_multiple_of(m.num_heads),
        "model.n_embd",
        m.n_embd,
        format!("a multiple of `model.num_heads` ({})", m.num_heads),
    );
    rules.require(m.num_classes != 1, "model.num_classes", 1, "0, or 2 and more");
}
