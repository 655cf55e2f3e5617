//! From patches of numbers to vectors.

use annals::model::config::PatchEmbedding;
use tch::nn::{self, Init, Module as _};
use tch::{Kind, Tensor};

use super::super::Shape;
use super::super::linear::Linear;
use super::block::{dense, glorot};

const POOLED_KERNEL: i64 = 3;

/// One vector for each patch.
#[derive(Debug)]
pub(super) struct Patches {
    kind: Embedding,
    size: i64,
    width: i64,
}

#[derive(Debug)]
enum Embedding {
    Linear(Linear),
    Conv(nn::Conv1D),
    ConvPooled(nn::Conv1D),
}

impl Patches {
    pub(super) fn new(path: &nn::Path<'_>, shape: &Shape<'_>) -> Self {
        let (width, size) =
            (i64::from(shape.config.model.n_embd), i64::from(shape.config.pat.patch_size));
        let conv = |kernel: i64, stride: i64, padding: i64| {
            // Keras counts a kernel's inputs and outputs by its width.
            let config = nn::ConvConfig {
                stride,
                padding,
                ws_init: glorot(kernel, kernel * width),
                bs_init: Init::Const(0.0),
                ..Default::default()
            };
            nn::conv1d(path, 1, width, kernel, config)
        };
        let kind = match shape.config.pat.patch_embedding {
            PatchEmbedding::Linear => Embedding::Linear(dense(path, size, width)),
            PatchEmbedding::Conv => Embedding::Conv(conv(size, size, 0)),
            PatchEmbedding::ConvPooled => Embedding::ConvPooled(conv(POOLED_KERNEL, 1, 1)),
        };
        Self { kind, size, width }
    }

    /// Float `[rows, numbers]` to `[rows, patches, width]`.
    pub(super) fn forward(&self, values: &Tensor) -> Tensor {
        let (rows, numbers) = values.size2().unwrap_or_default();
        let count = numbers / self.size;
        match &self.kind {
            Embedding::Linear(layer) => layer.forward(&values.view([rows, count, self.size])),
            Embedding::Conv(layer) => layer.forward(&values.unsqueeze(1)).transpose(1, 2),
            Embedding::ConvPooled(layer) => layer
                .forward(&values.view([rows * count, 1, self.size]))
                .relu()
                .mean_dim([2_i64].as_slice(), false, Kind::Float)
                .view([rows, count, self.width]),
        }
    }
}
