//! Pretrained Actigraphy Transformer: Ruan et al. 2024 (<https://arxiv.org/abs/2411.15240>). A long
//! series of numbers is cut into patches; post-norm blocks with heads as wide as the model, no
//! class token, mean pooling. Keras' `MultiHeadAttention` and its Glorot start are followed, so
//! that weights of the original fit.
//!
//! The encoder's weights are under `encoder`, the output's under `head`: one can be replaced
//! without the other.

mod block;
mod mae;
mod patch;

use tch::nn;
use tch::{Kind, Tensor};

use super::linear::Linear;
use super::{Network, Rows, Scores, Shape};
use block::{Block, dense};
use patch::Patches;

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

/// Patches, positions and blocks.
#[derive(Debug)]
struct Encoder {
    patches: Patches,
    /// Float `[count, width]`; follows from the sizes, so it is not saved.
    positions: Tensor,
    blocks: Vec<Block>,
}

impl Encoder {
    fn new(path: &nn::Path<'_>, shape: &Shape<'_>) -> Self {
        let (model, pat) = (&shape.config.model, &shape.config.pat);
        let blocks = path / "blocks";
        Self {
            patches: Patches::new(&(path / "patch"), shape),
            positions: positions(pat.length / pat.patch_size, model.n_embd)
                .to_device(path.device()),
            blocks: (0..model.n_layer).map(|i| Block::new(&(&blocks / i), shape)).collect(),
        }
    }

    /// Float `[rows, numbers]` to `[rows, patches, width]`.
    fn forward(&self, values: &Tensor, train: bool) -> Tensor {
        self.blocks(self.embed(values), train)
    }

    /// Each patch as a vector that tells its position.
    fn embed(&self, values: &Tensor) -> Tensor {
        self.patches.forward(values) + &self.positions
    }

    fn blocks(&self, x: Tensor, train: bool) -> Tensor {
        self.blocks.iter().fold(x, |x, block| block.forward(&x, train))
    }
}

/// Sines of all frequencies and then their cosines, not interleaved.
fn positions(count: u32, width: u32) -> Tensor {
    let half = width / 2;
    let step = -f64::ln(10_000.0) / f64::from(width);
    let mut values = Vec::new();
    for position in 0..count {
        let angle = |i: u32| f64::from(position) * (step * f64::from(2 * i)).exp();
        values.extend((0..half).map(|i| angle(i).sin() as f32));
        values.extend((0..half).map(|i| angle(i).cos() as f32));
    }
    Tensor::from_slice(&values).view([i64::from(count), i64::from(width)])
}
