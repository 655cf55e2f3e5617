//! The long explanations, stored beside the code and checked with it.

/// How the parts work together, and the four flows.
#[doc = include_str!("architecture.md")]
pub mod architecture {}

/// How to build, test and change annals.
#[doc = include_str!("contributing.md")]
pub mod contributing {}

/// How labeled data is read.
#[doc = include_str!("data.md")]
pub mod data {}

/// The log on disk, field by field.
#[doc = include_str!("format.md")]
pub mod format {}

/// How to report a vulnerability, and what is in scope.
#[doc = include_str!("security.md")]
pub mod security {}

/// What the record proves, and what it does not.
#[doc = include_str!("trust.md")]
pub mod trust {}

/// One meaning per word.
#[doc = include_str!("vocabulary.md")]
pub mod vocabulary {}

/// Choices that had alternatives, with the measurements behind them.
pub mod decisions {
    #![doc = include_str!("decisions/0001-short-openings-instead-of-a-held-database.md")]
    #![doc = include_str!("decisions/0002-sealed-blocks-in-parts.md")]
    #![doc = include_str!("decisions/0003-blake3-leaves-sha-256-nodes.md")]
    #![doc = include_str!("decisions/0004-two-programs.md")]
    #![doc = include_str!("decisions/0005-bincode-2.md")]
    #![doc = include_str!("decisions/0006-references-are-positions.md")]
    #![doc = include_str!("decisions/0007-readers-open-copy-on-write.md")]
    #![doc = include_str!("decisions/0008-a-bound-on-decoded-lengths.md")]
    #![doc = include_str!("decisions/0009-verification-in-chunks.md")]
    #![doc = include_str!("decisions/0010-classical-models-are-fitted-to-the-optimum.md")]
    #![doc = include_str!("decisions/0011-one-pass-over-the-weights.md")]
    #![doc = include_str!("decisions/0012-intervals-are-metrics.md")]
    #![doc = include_str!("decisions/0013-accumulation-draws-the-rows-of-an-update-first.md")]
    #![doc = include_str!("decisions/0014-a-run-moves-by-one-rename.md")]
    #![doc = include_str!("decisions/0015-garbage-collection-follows-from-the-log.md")]
    #![doc = include_str!("decisions/0016-test-predictions-are-stored-with-the-run.md")]
    #![doc = include_str!("decisions/0017-pictures-are-svg.md")]
    #![doc = include_str!("decisions/0018-one-definition-of-a-score.md")]
    #![doc = include_str!("decisions/0019-one-decider.md")]
    #![doc = include_str!("decisions/0020-two-digests.md")]
    #![doc = include_str!("decisions/0021-every-event-is-judged.md")]
}
