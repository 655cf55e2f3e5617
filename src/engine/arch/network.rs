//! What a network is, and the list of them.

use annals::model::config::{Architecture, TrainConfig};
use annals::train::LearnError;
use tch::{Tensor, nn};

use super::{distilbert, encoder, pat};

/// A network: rows to class scores.
pub(crate) trait Network {
    /// Scores rows.
    fn forward(&self, rows: &Rows, train: bool) -> Scores;

    /// Takes the weights as they are for good, to answer faster; nothing is trained after.
    fn freeze(&mut self) {}
}

/// Rows that go through a network together.
pub(crate) struct Rows {
    /// Token ids, int64 `[rows, cols]`, padded with 0; numbers, float, where rows are series.
    pub(crate) ids: Tensor,
    /// Bool `[rows, cols]`, true at tokens.
    pub(crate) mask: Tensor,
    /// The concept of each token, int64 like `ids`, 0 for none; none without a lexicon.
    pub(crate) concepts: Option<Tensor>,
    /// Whose attention is wanted besides.
    pub(crate) attention: Attention,
}

/// Layers whose attention is given back. It is computed apart then, which is slower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attention {
    /// Of none.
    None,
    /// Of the last one.
    Last,
    /// Of all.
    All,
}

/// What a network says of rows.
pub(crate) struct Scores {
    /// Float `[rows, classes]`.
    pub(crate) logits: Tensor,
    /// The same of each auxiliary head.
    pub(crate) heads: Vec<Tensor>,
    /// Float `[rows, heads, cols, cols]` of each layer that was asked for, before dropout.
    pub(crate) attention: Vec<Tensor>,
}

impl Scores {
    /// Of the labels alone.
    pub(crate) fn of_labels(logits: Tensor) -> Self {
        Self { logits, heads: Vec::new(), attention: Vec::new() }
    }
}

/// What a network is built from.
pub(crate) struct Shape<'a> {
    /// The settings.
    pub(crate) config: &'a TrainConfig,
    /// Entries of the vocabulary.
    pub(crate) vocab_size: i64,
    /// Concepts that have a vector; 0 for none.
    pub(crate) concepts: i64,
    /// Outputs.
    pub(crate) classes: i64,
    /// Whether a row may have any number of labels.
    pub(crate) multi_label: bool,
    /// Name and outputs of each auxiliary head.
    pub(crate) heads: Vec<(String, i64)>,
}

type Build = fn(&nn::Path<'_>, &Shape<'_>) -> Box<dyn Network>;

const ALL: &[(Architecture, &str, Build)] = &[
    (Architecture::Encoder, "encoder", |path, shape| Box::new(encoder::Encoder::new(path, shape))),
    (Architecture::Distilbert, "distilbert", |path, shape| {
        Box::new(distilbert::Distilbert::new(path, shape))
    }),
    (Architecture::Pat, "pat", pat::build),
];

/// The names of all networks.
pub(crate) fn names() -> Vec<String> {
    ALL.iter().map(|(_, name, _)| (*name).to_owned()).collect()
}

/// Builds the network of `shape.config` with its parameters under `path`.
pub(crate) fn build(
    path: &nn::Path<'_>,
    shape: &Shape<'_>,
) -> Result<Box<dyn Network>, LearnError> {
    let wanted = shape.config.model.architecture;
    let found = ALL.iter().find(|(architecture, ..)| *architecture == wanted);
    let (_, _, build) = found
        .ok_or_else(|| LearnError::Config(format!("this engine has no architecture {wanted:?}")))?;
    Ok(build(path, shape))
}
