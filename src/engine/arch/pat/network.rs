//! The encoder of PAT and the classifier on it.

use tch::nn;
use tch::{Kind, Tensor};

use super::super::linear::Linear;
use super::super::{Network, Rows, Scores, Shape};
use super::block::dense;
use super::encoder::Encoder;
use super::mae;

/// The network that learns labels, or the one that learns the encoder without any.
pub(crate) fn build(path: &nn::Path<'_>, shape: &Shape<'_>) -> Box<dyn Network> {
    if shape.config.pat.pretrain {
        Box::new(mae::Autoencoder::new(path, shape))
    } else {
        Box::new(Pat::new(path, shape))
    }
}

/// The whole network.
#[derive(Debug)]
struct Pat {
    encoder: Encoder,
    hidden: Option<Linear>,
    output: Linear,
    dropout: f64,
    /// Whether the one output is the score of the second of two classes.
    binary: bool,
}

impl Pat {
    /// Makes the parameters under `path`.
    fn new(path: &nn::Path<'_>, shape: &Shape<'_>) -> Self {
        let width = i64::from(shape.config.model.n_embd);
        let head = path / "head";
        let units = i64::from(shape.config.pat.head_hidden);
        let hidden = (units > 0).then(|| dense(&(&head / "hidden"), width, units));
        let binary = shape.classes == 2 && !shape.multi_label;
        let outputs = if binary { 1 } else { shape.classes };
        let inputs = if units > 0 { units } else { width };
        Self {
            encoder: Encoder::new(&(path / "encoder"), shape),
            hidden,
            output: dense(&(&head / "output"), inputs, outputs),
            dropout: shape.config.model.dropout,
            binary,
        }
    }
}

impl Network for Pat {
    /// Of two classes the first scores 0, so that the softmax over both is the sigmoid of the one
    /// output.
    fn forward(&self, rows: &Rows, train: bool) -> Scores {
        let encoded = self.encoder.forward(&rows.ids, train);
        let pooled = encoded.mean_dim([1_i64].as_slice(), false, Kind::Float);
        let mut x = pooled.dropout(self.dropout, train);
        if let Some(hidden) = &self.hidden {
            x = hidden.forward(&x).relu();
        }
        let scores = self.output.forward(&x);
        let two = || Tensor::cat(&[&scores.zeros_like(), &scores], 1);
        Scores::of_labels(if self.binary { two() } else { scores })
    }
}
