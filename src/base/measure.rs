//! The words of measuring that training and the log share.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The part of a dataset something was measured on.
#[derive(
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Encode,
    Decode,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Rows the weights were fitted to.
    Train,
    /// Rows the model was chosen on.
    Valid,
    /// Rows the model is reported on.
    Test,
}

impl Split {
    /// Every split, in the order of use.
    pub const ALL: [Self; 3] = [Self::Train, Self::Valid, Self::Test];

    /// The word used in files and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Test => "test",
        }
    }
}

/// Whether a value counts rows, by its metric's name: it is shown without decimals.
pub fn is_count(metric: &str, value: f64) -> bool {
    let counts = metric == "support" || metric.starts_with("support_");
    counts && value >= 0.0 && value.fract() == 0.0 && value < 9e15
}

/// Whether a metric is a bound of another one's interval.
pub fn is_bound(metric: &str) -> bool {
    metric.ends_with(".ci_low") || metric.ends_with(".ci_high")
}

/// Which way a metric gets better. Declared with the metric, never guessed from its name.
#[derive(
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Encode,
    Decode,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Larger is better: accuracy, F1.
    Higher,
    /// Smaller is better: loss.
    Lower,
    /// Neither: learning rate, rows per second.
    Neutral,
}

impl Direction {
    /// The word used in files and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Higher => "higher",
            Self::Lower => "lower",
            Self::Neutral => "neutral",
        }
    }

    /// Whether `new` is strictly better than `old`.
    pub fn is_better(self, new: f64, old: f64) -> bool {
        match self {
            Self::Higher => new > old,
            Self::Lower => new < old,
            Self::Neutral => false,
        }
    }
}
