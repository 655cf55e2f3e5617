//! The long explanations, kept beside the code and checked with it.

/// How the parts work together.
#[doc = include_str!("architecture.md")]
pub mod architecture {}

/// How labelled data is read.
#[doc = include_str!("data.md")]
pub mod data {}

/// The log on disk, field by field.
#[doc = include_str!("format.md")]
pub mod format {}

/// What the record proves, and what it does not.
#[doc = include_str!("trust.md")]
pub mod trust {}

/// One meaning per word.
#[doc = include_str!("vocabulary.md")]
pub mod vocabulary {}

/// Choices that had losers, with the numbers behind them.
#[doc = include_str!("decisions.md")]
#[doc = include_str!("decisions/0019-one-decider.md")]
pub mod decisions {}
