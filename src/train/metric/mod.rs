//! Scores of predictions against labels, each with its declared direction.

mod evaluation;

pub use evaluation::{ClassScore, Evaluation, MetricValue};
