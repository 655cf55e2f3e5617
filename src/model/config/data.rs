//! Settings of how texts become rows and rows become splits.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::Rules;
pub use crate::data::split::{SplitConfig, SplitRule};

/// How texts become rows and rows become splits.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// How rows become splits.
    pub split: SplitConfig,
    /// Removes training rows whose text also occurs in validation or test.
    pub dedupe: bool,
    /// Times a term must stand in the training rows to enter the vocabulary.
    pub min_count: u32,
}

pub(super) fn rules(data: &DataConfig, rules: &mut Rules) {
    rules.whole("data.min_count", data.min_count, 1, 1_000_000);
    rules.inside("data.split.valid_fraction", data.split.valid_fraction, 0.0, 0.9);
    rules.inside("data.split.test_fraction", data.split.test_fraction, 0.0, 0.9);
}
