//! Pre-norm Transformer encoder with masked pooling: Vaswani et al. 2017
//! (<https://arxiv.org/abs/1706.03762>), layer norm before each branch as in Xiong et al. 2020
//! (<https://arxiv.org/abs/2002.04745>), learned positions, GELU. A convolution before the layers,
//! where asked for, knows short sequences of tokens, which few rows do not teach attention.

use annals::model::config::Pooling;
use tch::nn::{self, Init, Module as _, ModuleT as _};
use tch::{Kind, Tensor};

use super::linear::Linear;
use super::{Attention, Network, Rows, Scores, Shape};

const FEED_FORWARD_FACTOR: i64 = 4;
const EMBEDDING_STDEV: f64 = 0.02;

/// The whole network.
#[derive(Debug)]
pub(crate) struct Encoder {
    tokens: nn::Embedding,
    positions: nn::Embedding,
    convolution: Option<nn::Conv1D>,
    concepts: Option<nn::Embedding>,
    layers: Vec<Layer>,
    norm: nn::LayerNorm,
    classifier: nn::Linear,
    heads: Vec<nn::Linear>,
    pooling: Pooling,
    dropout: f64,
}

impl Encoder {
    /// Makes the parameters under `path`.
    pub(crate) fn new(path: &nn::Path<'_>, shape: &Shape<'_>) -> Self {
        let model = &shape.config.model;
        let width = i64::from(model.n_embd);
        let embedding = nn::EmbeddingConfig {
            ws_init: Init::Randn { mean: 0.0, stdev: EMBEDDING_STDEV },
            ..Default::default()
        };
        let length = i64::from(model.max_seq_length);
        let (layers, heads) = (path / "layers", path / "heads");
        let head = |(name, classes): &(String, i64)| linear(&(&heads / name), width, *classes, 1.0);
        Self {
            tokens: nn::embedding(path / "tokens", shape.vocab_size, width, embedding),
            positions: nn::embedding(path / "positions", length, width, embedding),
            convolution: convolution(path, width, shape.config.encoder.convolution.into()),
            concepts: (shape.concepts > 0).then(|| {
                // From nothing: a concept begins to count when it helps. Row 0 stays nothing.
                let ws_init = Init::Const(0.0);
                let nothing = nn::EmbeddingConfig { ws_init, padding_idx: 0, ..Default::default() };
                nn::embedding(path / "concepts", shape.concepts + 1, width, nothing)
            }),
            layers: (0..model.n_layer).map(|i| Layer::new(&(&layers / i), shape)).collect(),
            norm: nn::layer_norm(path / "norm", vec![width], Default::default()),
            classifier: linear(&(path / "classifier"), width, shape.classes, 1.0),
            heads: shape.heads.iter().map(head).collect(),
            pooling: shape.config.encoder.pooling,
            dropout: model.dropout,
        }
    }
}

impl Encoder {
    /// Float `[rows, cols, width]` to `[rows, width]`, over the tokens of each row.
    fn pool(&self, x: &Tensor, mask: &Tensor) -> Tensor {
        match self.pooling {
            Pooling::Mean => {
                let weights = mask.to_kind(Kind::Float).unsqueeze(-1);
                let sums = (x * &weights).sum_dim_intlist([1_i64].as_slice(), false, Kind::Float);
                sums / weights.sum_dim_intlist([1_i64].as_slice(), false, Kind::Float)
            }
            Pooling::Max => {
                let padding = mask.logical_not().unsqueeze(-1);
                x.masked_fill(&padding, f64::NEG_INFINITY).max_dim(1, false).0
            }
        }
    }
}

impl Network for Encoder {
    fn forward(&self, rows: &Rows, train: bool) -> Scores {
        let Rows { ids, mask, .. } = rows;
        let (_, cols) = ids.size2().unwrap_or_default();
        let positions = Tensor::arange(cols, (Kind::Int64, ids.device()));
        let mut x = self.tokens.forward(ids) + self.positions.forward(&positions);
        if let (Some(vectors), Some(concepts)) = (&self.concepts, &rows.concepts) {
            x += vectors.forward(concepts);
        }
        x = x.dropout(self.dropout, train);
        if let Some(convolution) = &self.convolution {
            // [rows, width, cols]; padding is nothing to the tokens beside it.
            let tokens = (&x * mask.to_kind(Kind::Float).unsqueeze(-1)).transpose(1, 2);
            x += convolution.forward(&tokens).gelu("none").transpose(1, 2);
        }
        // [rows, 1, 1, cols]: every query of a row sees the row's tokens and no padding.
        let seen = mask.unsqueeze(1).unsqueeze(1);
        let mut attention = Vec::new();
        for (number, layer) in (1..).zip(&self.layers) {
            let wanted = match rows.attention {
                Attention::None => false,
                Attention::Last => number == self.layers.len(),
                Attention::All => true,
            };
            let (out, shares) = layer.forward(&x, &seen, wanted, train);
            x = out;
            attention.extend(shares);
        }
        let x = self.norm.forward(&x);
        let pooled = self.pool(&x, mask).dropout(self.dropout, train);
        Scores {
            logits: self.classifier.forward_t(&pooled, train),
            heads: self.heads.iter().map(|head| head.forward_t(&pooled, train)).collect(),
            attention,
        }
    }

    fn freeze(&mut self) {
        self.layers.iter_mut().for_each(Layer::freeze);
    }
}

#[derive(Debug)]
struct Layer {
    attention_norm: nn::LayerNorm,
    query_key_value: Linear,
    attention_output: Linear,
    feed_forward_norm: nn::LayerNorm,
    feed_forward_in: Linear,
    feed_forward_out: Linear,
    heads: i64,
    dropout: f64,
    attention_dropout: f64,
}

impl Layer {
    fn new(path: &nn::Path<'_>, shape: &Shape<'_>) -> Self {
        let model = &shape.config.model;
        let width = i64::from(model.n_embd);
        let hidden = FEED_FORWARD_FACTOR * width;
        // Branches add up over the layers: their outputs start smaller.
        let branch = 1.0 / (2.0 * f64::from(model.n_layer)).sqrt();
        let norm = |name: &str| nn::layer_norm(path / name, vec![width], Default::default());
        let layer = |name: &str, inputs, outputs, scale| {
            Linear::new(linear(&(path / name), inputs, outputs, scale))
        };
        Self {
            attention_norm: norm("attention_norm"),
            query_key_value: layer("query_key_value", width, 3 * width, 1.0),
            attention_output: layer("attention_output", width, width, branch),
            feed_forward_norm: norm("feed_forward_norm"),
            feed_forward_in: layer("feed_forward_in", width, hidden, 1.0),
            feed_forward_out: layer("feed_forward_out", hidden, width, branch),
            heads: i64::from(model.num_heads),
            dropout: model.dropout,
            attention_dropout: model.attention_dropout,
        }
    }

    fn freeze(&mut self) {
        let layers = [
            &mut self.query_key_value,
            &mut self.attention_output,
            &mut self.feed_forward_in,
            &mut self.feed_forward_out,
        ];
        layers.into_iter().for_each(Linear::freeze);
    }

    /// `x`: `[rows, cols, width]`; `seen`: bool `[rows, 1, 1, cols]`. Gives the attention besides
    /// where it is wanted.
    fn forward(
        &self,
        x: &Tensor,
        seen: &Tensor,
        wanted: bool,
        train: bool,
    ) -> (Tensor, Option<Tensor>) {
        let (attended, attention) =
            self.attend(&self.attention_norm.forward(x), seen, wanted, train);
        let x = x + attended.dropout(self.dropout, train);
        let hidden = self.feed_forward_in.forward(&self.feed_forward_norm.forward(&x)).gelu("none");
        (&x + self.feed_forward_out.forward(&hidden).dropout(self.dropout, train), attention)
    }

    fn attend(
        &self,
        x: &Tensor,
        seen: &Tensor,
        wanted: bool,
        train: bool,
    ) -> (Tensor, Option<Tensor>) {
        let (rows, cols, width) = x.size3().unwrap_or_default();
        let heads = self
            .query_key_value
            .forward(x)
            .view([rows, cols, 3, self.heads, width / self.heads])
            .permute([2, 0, 3, 1, 4]);
        let (query, key, value) = (heads.get(0), heads.get(1), heads.get(2));
        let (attended, attention) = if wanted {
            let scores = query.matmul(&key.transpose(-2, -1)) * scale(width / self.heads);
            let scores = scores.masked_fill(&seen.logical_not(), f64::NEG_INFINITY);
            let shares = scores.softmax(-1, Kind::Float);
            (shares.dropout(self.attention_dropout, train).matmul(&value), Some(shares))
        } else {
            let (dropout, none) = (if train { self.attention_dropout } else { 0.0 }, None::<f64>);
            let attended = Tensor::scaled_dot_product_attention(
                &query,
                &key,
                &value,
                Some(seen),
                dropout,
                false,
                none,
                false,
            );
            (attended, None)
        };
        let joined = attended.transpose(1, 2).reshape([rows, cols, width]);
        (self.attention_output.forward(&joined), attention)
    }
}

/// Over `window` tokens at once; none for 0.
fn convolution(path: &nn::Path<'_>, width: i64, window: i64) -> Option<nn::Conv1D> {
    (window > 0).then(|| {
        let stdev = (1.0 / (window * width) as f64).sqrt();
        let config = nn::ConvConfig {
            padding: window / 2,
            ws_init: Init::Randn { mean: 0.0, stdev },
            bs_init: Init::Const(0.0),
            ..Default::default()
        };
        nn::conv1d(path / "convolution", width, width, window, config)
    })
}

/// What dot products of this many numbers are multiplied by.
fn scale(width: i64) -> f64 {
    1.0 / (width as f64).sqrt()
}

fn linear(path: &nn::Path<'_>, inputs: i64, outputs: i64, scale: f64) -> nn::Linear {
    let stdev = scale * (1.0 / inputs as f64).sqrt();
    let config = nn::LinearConfig {
        ws_init: Init::Randn { mean: 0.0, stdev },
        bs_init: Some(Init::Const(0.0)),
        bias: true,
    };
    nn::linear(path, inputs, outputs, config)
}
