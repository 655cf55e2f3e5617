//! Linear layers that are trained, and then asked many times with weights that change no more.
//!
//! oneDNN multiplies in both lives, see [`shim::linear`]. Asked, their weights also lie transposed:
//! a text of 32 tokens is then read in a half to three quarters of the time.

use tch::{Kind, Tensor, nn};

use crate::shim;

/// A linear layer with a bias.
#[derive(Debug)]
pub(crate) struct Linear {
    /// `[outputs, inputs]`.
    weights: Tensor,
    bias: Tensor,
}

impl Linear {
    /// # Panics
    /// When `layer` has no bias.
    pub(crate) fn new(layer: nn::Linear) -> Self {
        let nn::Linear { ws, bs } = layer;
        Self { weights: ws, bias: bs.expect("BUG: a linear layer without a bias") }
    }

    /// Float `[.., inputs]` to `[.., outputs]`.
    pub(crate) fn forward(&self, input: &Tensor) -> Tensor {
        shim::linear(input, &self.weights, &self.bias)
    }

    /// Takes the weights as they are for good.
    pub(crate) fn freeze(&mut self) {
        *self = frozen(&[self]);
    }
}

/// Several layers with the same input, frozen as one: their outputs side by side.
pub(crate) fn frozen(layers: &[&Linear]) -> Linear {
    let joined = |parts: Vec<&Tensor>| Tensor::cat(&parts, 0).detach();
    let weights = joined(layers.iter().map(|layer| &layer.weights).collect());
    let bias = joined(layers.iter().map(|layer| &layer.bias).collect());
    let is_read_by_onednn = !weights.device().is_cuda() && weights.kind() == Kind::Float;
    let weights = if is_read_by_onednn { weights.tr().contiguous().tr() } else { weights };
    Linear { weights, bias }
}
