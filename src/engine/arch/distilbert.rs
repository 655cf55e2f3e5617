//! DistilBERT with a classifier on the first token: Sanh et al. 2019
//! (<https://arxiv.org/abs/1910.01108>), parameters named as Hugging Face names them, so that
//! weights go both ways without a table of names.

use tch::nn::{self, Init, Module as _};
use tch::{Kind, Tensor};

use super::linear::{Linear, frozen};
use super::{Network, Rows, Scores, Shape};

const STDEV: f64 = 0.02;
const NORM_EPSILON: f64 = 1e-12;

/// The whole network.
#[derive(Debug)]
pub(crate) struct Distilbert {
    tokens: nn::Embedding,
    positions: nn::Embedding,
    norm: nn::LayerNorm,
    layers: Vec<Layer>,
    pre_classifier: nn::Linear,
    classifier: nn::Linear,
    dropout: f64,
    classifier_dropout: f64,
}

impl Distilbert {
    /// Makes the parameters under `path`.
    pub(crate) fn new(path: &nn::Path<'_>, shape: &Shape<'_>) -> Self {
        let (model, own) = (&shape.config.model, &shape.config.distilbert);
        let width = i64::from(model.n_embd);
        let positions = i64::from(own.max_position_embeddings);
        let normal = Init::Randn { mean: 0.0, stdev: STDEV };
        let table = nn::EmbeddingConfig { ws_init: normal, ..Default::default() };
        let body = path / "distilbert";
        let embeddings = &body / "embeddings";
        let layers = body / "transformer" / "layer";
        let named = |name: &str, rows| nn::embedding(&embeddings / name, rows, width, table);
        Self {
            tokens: named("word_embeddings", shape.vocab_size),
            positions: named("position_embeddings", positions),
            norm: norm(&(&embeddings / "LayerNorm"), width),
            layers: (0..model.n_layer).map(|i| Layer::new(&(&layers / i), shape)).collect(),
            pre_classifier: linear(&(path / "pre_classifier"), width, width),
            classifier: linear(&(path / "classifier"), width, shape.classes),
            dropout: model.dropout,
            classifier_dropout: own.classifier_dropout,
        }
    }
}

impl Network for Distilbert {
    fn forward(&self, rows: &Rows, train: bool) -> Scores {
        let Rows { ids, mask, .. } = rows;
        let (_, cols) = ids.size2().unwrap_or_default();
        let positions = Tensor::arange(cols, (Kind::Int64, ids.device()));
        let x = self.tokens.forward(ids) + self.positions.forward(&positions);
        let mut x = self.norm.forward(&x).dropout(self.dropout, train);
        // [rows, 1, 1, cols]: every query of a row sees the row's tokens and no padding.
        let seen = mask.unsqueeze(1).unsqueeze(1);
        for layer in &self.layers {
            x = layer.forward(&x, &seen, train);
        }
        let pooled = self.pre_classifier.forward(&x.select(1, 0)).relu();
        let pooled = pooled.dropout(self.classifier_dropout, train);
        Scores::of_labels(self.classifier.forward(&pooled))
    }

    fn freeze(&mut self) {
        self.layers.iter_mut().for_each(Layer::freeze);
    }
}

#[derive(Debug)]
struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    /// Query, key and value side by side.
    joint: Option<Linear>,
    output: Linear,
    attention_norm: nn::LayerNorm,
    feed_forward_in: Linear,
    feed_forward_out: Linear,
    output_norm: nn::LayerNorm,
    heads: i64,
    dropout: f64,
    attention_dropout: f64,
}

impl Layer {
    fn new(path: &nn::Path<'_>, shape: &Shape<'_>) -> Self {
        let model = &shape.config.model;
        let width = i64::from(model.n_embd);
        let hidden = i64::from(shape.config.distilbert.hidden_dim);
        let (attention, feed_forward) = (path / "attention", path / "ffn");
        let projection = |name: &str| Linear::new(linear(&(&attention / name), width, width));
        Self {
            query: projection("q_lin"),
            key: projection("k_lin"),
            value: projection("v_lin"),
            joint: None,
            output: projection("out_lin"),
            attention_norm: norm(&(path / "sa_layer_norm"), width),
            feed_forward_in: Linear::new(linear(&(&feed_forward / "lin1"), width, hidden)),
            feed_forward_out: Linear::new(linear(&(&feed_forward / "lin2"), hidden, width)),
            output_norm: norm(&(path / "output_layer_norm"), width),
            heads: i64::from(model.num_heads),
            dropout: model.dropout,
            attention_dropout: model.attention_dropout,
        }
    }

    fn freeze(&mut self) {
        self.joint = Some(frozen(&[&self.query, &self.key, &self.value]));
        self.output.freeze();
        self.feed_forward_in.freeze();
        self.feed_forward_out.freeze();
    }

    /// `x`: `[rows, cols, width]`; `seen`: bool `[rows, 1, 1, cols]`.
    fn forward(&self, x: &Tensor, seen: &Tensor, train: bool) -> Tensor {
        let x = self.attention_norm.forward(&(self.attend(x, seen, train) + x));
        let hidden = self.feed_forward_in.forward(&x).gelu("none");
        let fed = self.feed_forward_out.forward(&hidden).dropout(self.dropout, train);
        self.output_norm.forward(&(fed + x))
    }

    fn attend(&self, x: &Tensor, seen: &Tensor, train: bool) -> Tensor {
        let (rows, cols, width) = x.size3().unwrap_or_default();
        let split = |numbers: Tensor| {
            let heads = numbers.view([rows, cols, self.heads, width / self.heads]);
            heads.transpose(1, 2)
        };
        let apart = || [&self.query, &self.key, &self.value].map(|layer| layer.forward(x));
        let [query, key, value] = self.joint.as_ref().map_or_else(apart, |joint| {
            let all = joint.forward(x);
            [0, 1, 2].map(|part| all.narrow(-1, part * width, width))
        });
        let attended = Tensor::scaled_dot_product_attention(
            &split(query),
            &split(key),
            &split(value),
            Some(seen),
            if train { self.attention_dropout } else { 0.0 },
            false,
            None::<f64>,
            false,
        );
        self.output.forward(&attended.transpose(1, 2).reshape([rows, cols, width]))
    }
}

fn norm(path: &nn::Path<'_>, width: i64) -> nn::LayerNorm {
    let config = nn::LayerNormConfig { eps: NORM_EPSILON, ..Default::default() };
    nn::layer_norm(path, vec![width], config)
}

fn linear(path: &nn::Path<'_>, inputs: i64, outputs: i64) -> nn::Linear {
    let config = nn::LinearConfig {
        ws_init: Init::Randn { mean: 0.0, stdev: STDEV },
        bs_init: Some(Init::Const(0.0)),
        bias: true,
    };
    nn::linear(path, inputs, outputs, config)
}
