//! Settings of how a network is fitted.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::Rules;
use super::threshold::Threshold;
use crate::base::score;

/// How the network is fitted.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Seed of weights, splits, order and dropout.
    pub seed: u64,
    /// Rows that go through the network together.
    pub batch_size: u32,
    /// Batches of one update; the gradients of all rows weigh the same.
    pub accumulation_steps: u32,
    /// Passes over the training rows, at most.
    pub num_epochs: u32,
    /// Peak learning rate of AdamW.
    pub learning_rate: f64,
    /// Decoupled weight decay; not on biases and norms.
    pub weight_decay: f64,
    /// Largest L2 norm of all gradients together; 0 turns clipping off.
    pub gradient_clip_norm: f64,
    /// Shape of the learning rate after warm-up.
    pub schedule: ScheduleKind,
    /// Times `cosine_with_restarts` falls to 0.
    pub cosine_cycles: u32,
    /// Share of all updates in which the learning rate rises from 0.
    pub warmup_fraction: f64,
    /// Number of warm-up updates, instead of `warmup_fraction`; 0 uses the fraction.
    pub warmup_steps: u32,
    /// How classes weigh in the loss.
    pub class_weights: ClassWeights,
    /// Share of the target spread over all classes.
    pub label_smoothing: f64,
    /// Focal-loss gamma: down-weights well-classified rows; 0 is plain cross-entropy.
    pub focal_gamma: f64,
    /// What matrix products are computed in; weights and sums stay 32 bits wide.
    pub precision: Precision,
    /// Probability from which a row gets a label, if a row may have any number of labels.
    pub threshold: Threshold,
    /// The validation metric the model is chosen by and early stopping watches.
    pub best_metric: String,
    /// When to stop before `num_epochs`.
    pub early_stopping: EarlyStopping,
    /// Training checkpoints with the best validation metric to keep, at least 1.
    pub keep_best: u32,
    /// Newest training checkpoints to keep, at least 1.
    pub keep_last: u32,
    /// Updates between training checkpoints inside a pass; 0 saves at the end of passes only.
    pub save_steps: u32,
}

impl TrainingConfig {
    /// Rows of one update.
    pub fn update_rows(&self) -> usize {
        self.batch_size as usize * self.accumulation_steps as usize
    }
}

/// Shape of the learning rate after warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// Stays.
    Constant,
    /// Falls to 0 in a straight line.
    Linear,
    /// Falls to 0 along half a cosine.
    Cosine,
    /// Falls to 0 along half a cosine `cosine_cycles` times, from the peak each time.
    CosineWithRestarts,
}

/// What matrix products are computed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32 bits.
    Fp32,
    /// 16 bits with 8 of exponent, where the device has them; refused elsewhere.
    Bf16,
    /// `bf16` where the device has it, else `fp32`.
    Auto,
}

/// How classes weigh in the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    /// All alike.
    None,
    /// rows / (classes * rows of the class).
    Balanced,
    /// Square root of `balanced`.
    SqrtBalanced,
}

impl ClassWeights {
    /// The weight of each class, given the training rows of each. A class without rows weighs 1
    /// and is not counted, as scikit-learn knows only the classes that occur.
    pub fn weights(self, counts: &[u64]) -> Vec<f64> {
        let rows: u64 = counts.iter().sum();
        let classes = counts.iter().filter(|count| **count > 0).count();
        let balanced = |count: u64| rows as f64 / (classes as f64 * count as f64);
        counts
            .iter()
            .map(|count| match self {
                _ if *count == 0 => 1.0,
                Self::None => 1.0,
                Self::Balanced => balanced(*count),
                Self::SqrtBalanced => balanced(*count).sqrt(),
            })
            .collect()
    }

    /// The weight of each label's positive rows where a row has any number of labels: `balanced`
    /// makes positives and negatives weigh the same. A label without rows weighs 1.
    pub fn positive_weights(self, counts: &[u64], rows: u64) -> Vec<f64> {
        let balanced = |count: u64| rows.saturating_sub(count).max(1) as f64 / count as f64;
        counts
            .iter()
            .map(|count| match self {
                _ if *count == 0 => 1.0,
                Self::None => 1.0,
                Self::Balanced => balanced(*count),
                Self::SqrtBalanced => balanced(*count).sqrt(),
            })
            .collect()
    }
}

/// When to stop before the last pass.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    /// Passes without improvement after which training ends; 0 never ends early.
    pub patience: u32,
    /// Improvements up to this size do not count.
    pub threshold: f64,
}

pub(super) fn rules(t: &TrainingConfig, rules: &mut Rules) {
    rules.whole("training.batch_size", t.batch_size, 1, 65_536);
    rules.whole("training.accumulation_steps", t.accumulation_steps, 1, 65_536);
    rules.whole("training.num_epochs", t.num_epochs, 1, 100_000);
    rules.whole("training.cosine_cycles", t.cosine_cycles, 1, 100_000);
    rules.whole("training.keep_best", t.keep_best, 1, 1_000);
    rules.whole("training.keep_last", t.keep_last, 1, 1_000);
    rules.share("training.weight_decay", t.weight_decay, 100.0);
    rules.share("training.gradient_clip_norm", t.gradient_clip_norm, 1e9);
    rules.share("training.warmup_fraction", t.warmup_fraction, 1.0);
    rules.share("training.label_smoothing", t.label_smoothing, 1.0);
    rules.share("training.focal_gamma", t.focal_gamma, 100.0);
    rules.share("training.early_stopping.threshold", t.early_stopping.threshold, 1e9);
    rules.inside("training.learning_rate", t.learning_rate, 0.0, 1e3);
    rules.require(
        score::can_choose(&t.best_metric),
        "training.best_metric",
        format!("\"{}\"", t.best_metric),
        format!("one of {}, or f1_LABEL, recall_LABEL, precision_LABEL", score::NAMES.join(", ")),
    );
}
