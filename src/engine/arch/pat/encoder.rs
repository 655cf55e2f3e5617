//! The encoder: patches with their positions, and the blocks.

use tch::{Tensor, nn};

use super::super::Shape;
use super::block::Block;
use super::patch::Patches;

/// Patches, positions and blocks.
#[derive(Debug)]
pub(super) struct Encoder {
    patches: Patches,
    /// Float `[count, width]`; follows from the sizes, so it is not saved.
    pub(super) positions: Tensor,
    blocks: Vec<Block>,
}

impl Encoder {
    pub(super) fn new(path: &nn::Path<'_>, shape: &Shape<'_>) -> Self {
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
    pub(super) fn forward(&self, values: &Tensor, train: bool) -> Tensor {
        self.blocks(self.embed(values), train)
    }

    /// Each patch as a vector that tells its position.
    pub(super) fn embed(&self, values: &Tensor) -> Tensor {
        self.patches.forward(values) + &self.positions
    }

    pub(super) fn blocks(&self, x: Tensor, train: bool) -> Tensor {
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
