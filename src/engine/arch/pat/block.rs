//! One block: attention and feed-forward, each added to its input and normed after.

use tch::Tensor;
use tch::nn::{self, Init, Module as _};

use super::super::Shape;
use super::super::linear::Linear;

const NORM_EPSILON: f64 = 1e-6;

/// Attention with heads as wide as the model, then a feed-forward layer.
#[derive(Debug)]
pub(super) struct Block {
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: nn::LayerNorm,
    feed_forward_in: Linear,
    feed_forward_out: Linear,
    feed_forward_norm: nn::LayerNorm,
    heads: i64,
    dropout: f64,
    attention_dropout: f64,
}

impl Block {
    pub(super) fn new(path: &nn::Path<'_>, shape: &Shape<'_>) -> Self {
        let model = &shape.config.model;
        let (width, heads) = (i64::from(model.n_embd), i64::from(model.num_heads));
        let hidden = i64::from(shape.config.pat.feed_forward);
        // Keras counts the inputs and outputs of a kernel [width, heads, width] like those of a
        // convolution: the first dimension multiplies both others.
        let fan = (width * heads, width * width);
        let project = |name: &str| {
            let path = path / name;
            linear(&path, (width, heads * width), glorot(fan.0, fan.1))
        };
        let norm = |name: &str| {
            let config = nn::LayerNormConfig { eps: NORM_EPSILON, ..Default::default() };
            nn::layer_norm(path / name, vec![width], config)
        };
        Self {
            query: project("query"),
            key: project("key"),
            value: project("value"),
            attention_output: {
                let init = glorot(heads * width, heads * width);
                linear(&(path / "attention_output"), (heads * width, width), init)
            },
            attention_norm: norm("attention_norm"),
            feed_forward_in: dense(&(path / "feed_forward_in"), width, hidden),
            feed_forward_out: dense(&(path / "feed_forward_out"), hidden, width),
            feed_forward_norm: norm("feed_forward_norm"),
            heads,
            dropout: model.dropout,
            attention_dropout: model.attention_dropout,
        }
    }

    /// Float `[rows, patches, width]` to the same shape.
    pub(super) fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let attended = self.attend(x, train).dropout(self.dropout, train);
        let x = self.attention_norm.forward(&(x + attended));
        let hidden = self.feed_forward_in.forward(&x).relu();
        let added = self.feed_forward_out.forward(&hidden).dropout(self.dropout, train);
        self.feed_forward_norm.forward(&(x + added))
    }

    fn attend(&self, x: &Tensor, train: bool) -> Tensor {
        let (rows, count, width) = x.size3().unwrap_or_default();
        let heads = |layer: &Linear| {
            layer.forward(x).view([rows, count, self.heads, width]).transpose(1, 2)
        };
        let attended = Tensor::scaled_dot_product_attention(
            &heads(&self.query),
            &heads(&self.key),
            &heads(&self.value),
            None::<&Tensor>,
            if train { self.attention_dropout } else { 0.0 },
            false,
            None::<f64>,
            false,
        );
        let joined = attended.transpose(1, 2).reshape([rows, count, self.heads * width]);
        self.attention_output.forward(&joined)
    }
}

/// A linear layer that starts as Keras' `Dense`.
pub(super) fn dense(path: &nn::Path<'_>, inputs: i64, outputs: i64) -> Linear {
    linear(path, (inputs, outputs), glorot(inputs, outputs))
}

/// Uniform with variance 2 / (inputs + outputs): Glorot and Bengio 2010.
pub(super) fn glorot(inputs: i64, outputs: i64) -> Init {
    let bound = (6.0 / (inputs + outputs) as f64).sqrt();
    Init::Uniform { lo: -bound, up: bound }
}

fn linear(path: &nn::Path<'_>, (inputs, outputs): (i64, i64), ws_init: Init) -> Linear {
    let config = nn::LinearConfig { ws_init, bs_init: Some(Init::Const(0.0)), bias: true };
    Linear::new(nn::linear(path, inputs, outputs, config))
}
