//! What a record does not know: values of a run that are no points of it, with their names, numbers
//! and reasons, and facts that nobody stated. A value that is dropped without a word, or a zero in
//! the place of an unknown, would be the worst fault of a record.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::{Split, are, counted};

/// Values that were printed or reported and are no points of the run.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct MetricsUnrecorded {
    /// The attempt.
    pub attempt: u32,
    /// By name and reason, at most a hundred.
    pub series: Vec<UnrecordedSeries>,
    /// Values of all further names.
    pub others: u64,
}

/// Values of one name that were not recorded, for one reason.
#[derive(
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
    Clone,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub struct UnrecordedSeries {
    /// The metric, or what was printed in its place, cut to 100 bytes.
    pub name: String,
    /// Where it was measured, if that is known.
    pub split: Option<Split>,
    /// Why.
    pub reason: UnrecordedReason,
    /// How many values.
    pub values: u64,
    /// Step of the first one, if it has one.
    pub first_step: Option<u64>,
    /// Step of the last one.
    pub last_step: Option<u64>,
    /// Whether the last value of the series is among them.
    pub ends_so: bool,
}

/// Why a value is no point of the run.
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
    Encode,
    Decode,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum UnrecordedReason {
    /// NaN, an infinity, or too large for a number of 64 bits.
    NotFinite,
    /// A text, a truth value, a list.
    NotANumber,
    /// A name that is empty, longer than 100 bytes or has control characters.
    BadName,
    /// A step that is no whole number from 0, or an epoch that is no number from 0.
    BadStep,
    /// The name stands twice in one line, or is that of another series.
    Repeated,
    /// More series, or more final values, than a run keeps.
    TooMany,
    /// A line, or a confusion matrix, that cannot be read.
    Unreadable,
    /// A file to keep that is not there, or has no legal name.
    NoFile,
}

impl UnrecordedReason {
    /// The reason, as the end of "N values ...".
    pub fn words(self) -> &'static str {
        match self {
            Self::NotFinite => "not finite",
            Self::NotANumber => "not a number",
            Self::BadName => "without a legal name (1 to 100 bytes, no control characters)",
            Self::BadStep => "with a step or epoch that is not a number from 0",
            Self::Repeated => "under the name of another value",
            Self::TooMany => "beyond the number of series or final values that a run keeps",
            Self::Unreadable => "unreadable",
            Self::NoFile => "not a file that can be kept",
        }
    }
}

impl UnrecordedSeries {
    /// In one line, such as `2 values of valid/loss are not finite (steps 3 to 4)`.
    pub fn line(&self) -> String {
        let split = self.split.map_or(String::new(), |split| format!("{}/", split.word()));
        let (count, is) = (counted(self.values, "value"), are(&self.values));
        let steps = match (self.first_step, self.last_step) {
            (Some(first), Some(last)) if first != last => format!(" (steps {first} to {last})"),
            (Some(step), _) => format!(" (step {step})"),
            _ => String::new(),
        };
        let end = match self.reason {
            UnrecordedReason::NotFinite if self.ends_so => ", also the last one",
            _ => "",
        };
        format!("{count} of {split}{} {is} {}{steps}{end}", self.name, self.reason.words())
    }

    /// Whether the metric stopped being finite.
    pub fn diverged(&self) -> bool {
        self.ends_so && self.reason == UnrecordedReason::NotFinite
    }
}

/// A fact about a run of another trainer that its script did not state.
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
    Encode,
    Decode,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Unstated {
    /// The seed.
    Seed,
    /// Whether the data was generated.
    DataOrigin,
    /// How many valid and test rows also stand in the training rows.
    LeakedRows,
}

/// In the place of a fact that nobody stated.
pub const NOT_STATED: &str = "not stated";
