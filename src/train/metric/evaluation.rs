//! The result of scoring one split.

use bincode::{Decode, Encode};

use super::predictions::Prediction;
use crate::base::{Direction, Split};

/// Predictions against labels on one split.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Evaluation {
    /// Where.
    pub split: Split,
    /// Rows scored.
    pub rows: u64,
    /// Every score by name: `loss`, `accuracy`, `f1_macro`, `recall_<label>` and so on; on the test
    /// rows also the ends of 95 % intervals: `f1_macro.ci_low`, `f1_macro.ci_high`.
    pub metrics: Vec<MetricValue>,
    /// Scores of each label, in label order.
    pub classes: Vec<ClassScore>,
    /// `confusion[i][j]`: rows of label i predicted as label j.
    pub confusion: Vec<Vec<u64>>,
    /// From which probability on a row has each label; empty where a row has one class.
    pub thresholds: Vec<f64>,
    /// What was said of each row, in row order; of the test rows only.
    pub predictions: Vec<Prediction>,
}

impl Evaluation {
    /// The value of the metric `name`, if it is one of this evaluation.
    pub fn get(&self, name: &str) -> Option<&MetricValue> {
        self.metrics.iter().find(|metric| metric.name == name)
    }

    /// The scores that are recorded as points of a series: no counts, no ends of intervals.
    pub fn series(&self) -> impl Iterator<Item = &MetricValue> {
        self.metrics.iter().filter(|metric| {
            let of_interval = [".ci_low", ".ci_high"].iter().any(|end| metric.name.ends_with(end));
            !of_interval && !metric.name.starts_with("support_")
        })
    }
}

/// One score.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct MetricValue {
    /// Its name.
    pub name: String,
    /// Which way it gets better.
    pub direction: Direction,
    /// The value; finite.
    pub value: f64,
}

/// Precision, recall and F1 of one label.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct ClassScore {
    /// The label.
    pub label: String,
    /// Right predictions among all predictions of the label; 0 without any.
    pub precision: f64,
    /// Right predictions among all rows of the label; 0 without any.
    pub recall: f64,
    /// Harmonic mean of both; 0 where both are 0.
    pub f1: f64,
    /// Rows of the label.
    pub support: u64,
}
