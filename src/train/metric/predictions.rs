//! What a model said of each test row: what two runs are compared by, and curves are drawn from.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// Where a run keeps them, relative to its folder: one JSON object a line, a [`PredictedRow`].
pub const PREDICTIONS_FILE: &str = "results/test_predictions.jsonl";
/// Probabilities kept at most; more would not fit one message of the engine.
pub(super) const PROBABILITIES_MAX: usize = 2_000_000;

/// One row: what is right and what was said, as indices of labels in rising order.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Prediction {
    /// The record number in the data file.
    pub row: u32,
    /// The labels the row has.
    pub truth: Vec<u32>,
    /// The labels that were said.
    pub said: Vec<u32>,
    /// The probability of each label.
    pub probabilities: Vec<f32>,
}

/// A line of [`PREDICTIONS_FILE`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictedRow {
    /// The record number in the data file.
    pub row: u32,
    /// The labels the row has.
    pub labels: Vec<String>,
    /// The labels that were said.
    pub predicted: Vec<String>,
    /// The probability of each label, in the order of the model's outputs.
    pub probabilities: Vec<f32>,
}

/// [`PREDICTIONS_FILE`] of `predictions`, whose labels are called `names`.
pub fn predictions_file(predictions: &[Prediction], names: &[String]) -> Vec<u8> {
    let named = |labels: &[u32]| labels.iter().map(|l| names[*l as usize].clone()).collect();
    let mut file = Vec::new();
    for prediction in predictions {
        let line = PredictedRow {
            row: prediction.row,
            labels: named(&prediction.truth),
            predicted: named(&prediction.said),
            probabilities: prediction.probabilities.clone(),
        };
        let text = serde_json::to_vec(&line).expect("BUG: a prediction does not fit JSON");
        file.extend_from_slice(&text);
        file.push(b'\n');
    }
    file
}

/// The lines of a [`PREDICTIONS_FILE`].
///
/// # Errors
/// Names the first line that is none, from 1.
pub fn read_predictions(bytes: &[u8]) -> Result<Vec<PredictedRow>, String> {
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(n, line)| serde_json::from_slice(line).map_err(|e| format!("line {}: {e}", n + 1)))
        .collect()
}
