//! Linear layers that are trained, and then asked many times with weights that change no more.
//!
//! Asked, their weights lie as oneDNN wants to read them: on processors where MKL is slow, a text
//! of 32 tokens then takes about half the time. The sums are the same but for their order.

use tch::nn::{self, Module as _};
use tch::{Kind, Tensor};

use crate::shim::Packed;

/// Rows of a single short text, for which the layout is chosen.
const ROWS: i64 = 32;

/// A linear layer.
#[derive(Debug)]
pub(crate) struct Linear {
    trained: nn::Linear,
    packed: Option<Packed>,
}

impl Linear {
    pub(crate) fn new(trained: nn::Linear) -> Self {
        Self { trained, packed: None }
    }

    pub(crate) fn forward(&self, input: &Tensor) -> Tensor {
        self.packed
            .as_ref()
            .map_or_else(|| self.trained.forward(input), |packed| packed.ask(input, false))
    }

    /// What comes out, through GELU.
    pub(crate) fn forward_gelu(&self, input: &Tensor) -> Tensor {
        self.packed.as_ref().map_or_else(
            || self.trained.forward(input).gelu("none"),
            |packed| packed.ask(input, true),
        )
    }

    /// Takes the weights as they are for good.
    pub(crate) fn freeze(&mut self) {
        self.packed = pack(&[&self.trained]);
    }
}

/// Several layers with the same input, frozen as one: their outputs side by side.
pub(crate) fn pack(layers: &[&nn::Linear]) -> Option<Packed> {
    let weights: Vec<&Tensor> = layers.iter().map(|layer| &layer.ws).collect();
    let biases: Vec<&Tensor> =
        layers.iter().map(|layer| layer.bs.as_ref()).collect::<Option<_>>()?;
    let (weights, biases) = (Tensor::cat(&weights, 0).detach(), Tensor::cat(&biases, 0).detach());
    let known = !weights.device().is_cuda() && weights.kind() == Kind::Float;
    // A libtorch without oneDNN goes on as it was.
    known.then(|| Packed::new(&weights, &biases, ROWS).ok()).flatten()
}
