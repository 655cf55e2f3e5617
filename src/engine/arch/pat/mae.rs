//! Masked autoencoder, by which the encoder learns without labels: He et al. 2022
//! (<https://arxiv.org/abs/2111.06377>) as Ruan et al. 2024 use it. The encoder sees only the
//! patches that are not hidden; a small decoder makes the whole series of them.

use tch::nn::{self, Init};
use tch::{Kind, Tensor};

use super::super::linear::Linear;
use super::super::{Network, Rows, Scores, Shape};
use super::block::{Block, dense};
use super::encoder::Encoder;

/// What is hidden where nothing is learned: always the same, so that scores can be compared.
const EVALUATION_SEED: i64 = 0x006d_6165;
/// The original's numbers stay within two standard deviations.
const RANGE: f64 = 2.0;
const TOKEN_STDEV: f64 = 0.05;

/// Encoder and decoder.
#[derive(Debug)]
pub(super) struct Autoencoder {
    encoder: Encoder,
    token: Tensor,
    decoder: Block,
    output: Linear,
    hidden_share: f64,
}

impl Autoencoder {
    pub(super) fn new(path: &nn::Path<'_>, shape: &Shape<'_>) -> Self {
        let (model, pat) = (&shape.config.model, &shape.config.pat);
        let width = i64::from(model.n_embd);
        let decoder = path / "decoder";
        let init = Init::Randn { mean: 0.0, stdev: TOKEN_STDEV };
        Self {
            encoder: Encoder::new(&(path / "encoder"), shape),
            token: decoder.var("mask_token", &[1, 1, width], init),
            decoder: Block::new(&(&decoder / "block"), shape),
            output: dense(&(&decoder / "output"), width, i64::from(pat.patch_size)),
            hidden_share: pat.mask_ratio,
        }
    }
}

impl Network for Autoencoder {
    /// Instead of scores, the mean squared error of each row over all its numbers, `[rows, 1]`.
    fn forward(&self, rows: &Rows, train: bool) -> Scores {
        let values = &rows.ids;
        let embedded = self.encoder.embed(values);
        let (count, patches, width) = embedded.size3().unwrap_or_default();
        if !train {
            tch::manual_seed(EVALUATION_SEED);
        }
        // Drawn on the CPU, so that every device hides the same patches.
        let order = Tensor::randperm(patches, (Kind::Int64, tch::Device::Cpu));
        let order = order.to_device(values.device());
        let hidden = ((patches as f64 * self.hidden_share).round() as i64).clamp(1, patches - 1);
        let visible = order.narrow(0, hidden, patches - hidden);
        let seen = self.encoder.blocks(embedded.index_select(1, &visible), train);
        let tokens = self.token.expand([count, hidden, width], false);
        let joined = Tensor::cat(&[&tokens, &seen], 1);
        let in_place = joined.index_select(1, &order.argsort(0, false));
        let decoded = self.decoder.forward(&(in_place + &self.encoder.positions), train);
        let made = self.output.forward(&decoded).tanh() * RANGE;
        let errors = (made.view_as(values) - values).square();
        let errors = errors.mean_dim([1_i64].as_slice(), true, Kind::Float);
        Scores::of_labels(errors)
    }
}
