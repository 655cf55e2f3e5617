//! Scores of predictions against labels, each with its declared direction.
//!
//! Pure functions of logits and labels, in `f64`, in row order: the same numbers on every
//! machine for the same logits. What counts decide is defined in [`crate::base::score`].
//!
//! To add a metric: a line in [`NAMES`] and in `base/score.rs` if counts decide it, in `score.rs`
//! if it needs each row, or in `ranking.rs` if it needs every answer; with an interval, in
//! `interval.rs`. Start reading at [`Scorer`].

mod evaluation;
mod interval;
mod predictions;
mod ranking;
mod score;
mod threshold;

pub use crate::base::score::{NAMES, can_choose, direction_of};
pub use evaluation::{ClassScore, Evaluation, MetricValue};
pub use predictions::{
    PREDICTIONS_FILE, PredictedRow, Prediction, predictions_file, read_predictions,
};
pub use score::{ScoreError, Scorer, row_loss};
pub use threshold::{Thresholds, probability};
