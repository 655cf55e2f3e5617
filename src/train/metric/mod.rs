//! Scores of predictions against labels, each with its declared direction.
//!
//! Pure functions of logits and labels, in `f64`, in row order: the same numbers on every
//! machine for the same logits. Precision, recall and F1 are 0 where their divisor is 0.
//!
//! To add a metric: a line in [`NAMES`] and in `score.rs`, or in `ranking.rs` if it needs every
//! answer; with an interval, in `interval.rs`. Start reading at [`Scorer`].

mod evaluation;
mod interval;
mod predictions;
mod ranking;
mod score;
mod threshold;

pub use evaluation::{ClassScore, Evaluation, MetricValue};
pub use predictions::{
    PREDICTIONS_FILE, PredictedRow, Prediction, predictions_file, read_predictions,
};
pub use score::{NAMES, ScoreError, Scorer, can_choose, direction_of, row_loss};
pub use threshold::{Thresholds, probability};
