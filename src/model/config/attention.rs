//! Settings of what is made of the attention of a network.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TrainConfig;
use super::rules::Rules;

/// What is made of the encoder's attention.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttentionConfig {
    /// Test rows whose attention is written as JSON and as a picture.
    pub export_rows: u32,
    /// Test rows on which comprehensiveness and sufficiency are measured.
    pub faithfulness_rows: u32,
    /// Loss weight of attention outside the rationales or the terms of the lexicon; 0 disables it.
    pub supervision_weight: f64,
    /// Column of rationales: passages of the text, separated by `|`. Empty for none.
    pub rationale_column: String,
}

pub(super) fn rules(config: &TrainConfig, rules: &mut Rules) {
    let weight = config.attention.supervision_weight;
    let rationale = &config.attention.rationale_column;
    let has_reasons = config.lexicon.is_on() || !rationale.is_empty();
    rules.require(
        weight == 0.0 || (weight > 0.0 && weight < 1e3 && has_reasons),
        "attention.supervision_weight",
        weight,
        "0, or with a `lexicon.file` or `attention.rationale_column` above 0 and below 1000",
    );
    rules.require(
        rationale.is_empty() || (weight > 0.0 && !config.lexicon.is_on()),
        "attention.rationale_column",
        format!("\"{rationale}\""),
        "empty without `attention.supervision_weight`, and with a `lexicon.file`",
    );
}
