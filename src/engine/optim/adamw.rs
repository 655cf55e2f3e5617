//! AdamW: Loshchilov and Hutter 2019 (<https://arxiv.org/abs/1711.05101>), with the bias
//! correction of Kingma and Ba 2015. Decay is not applied to biases, norms and other vectors.

use tch::{Kind, Tensor, no_grad};

const BETAS: (f64, f64) = (0.9, 0.999);
const EPSILON: f64 = 1e-8;

/// One trained tensor and its moments.
struct Slot {
    name: String,
    weights: Tensor,
    first: Tensor,
    second: Tensor,
    decays: bool,
}

/// The optimiser of all weights, in the order of their names.
pub(crate) struct AdamW {
    slots: Vec<Slot>,
    weight_decay: f64,
    clip_norm: f64,
    updates: u64,
}

impl AdamW {
    /// Takes the weights by name; `clip_norm` 0 turns clipping off.
    pub(crate) fn new(
        mut weights: Vec<(String, Tensor)>,
        weight_decay: f64,
        clip_norm: f64,
    ) -> Self {
        weights.sort_by(|a, b| a.0.cmp(&b.0));
        let slots = weights.into_iter().map(|(name, weights)| Slot {
            first: weights.zeros_like().detach(),
            second: weights.zeros_like().detach(),
            decays: weights.dim() > 1,
            name,
            weights,
        });
        Self { slots: slots.collect(), weight_decay, clip_norm, updates: 0 }
    }

    /// Forgets the gradients of the step before.
    pub(crate) fn zero_grad(&mut self) {
        for slot in &mut self.slots {
            slot.weights.zero_grad();
        }
    }

    /// Updates the weights from their gradients and gives the gradients' norm before clipping; a
    /// norm that is not finite changes nothing.
    pub(crate) fn step(&mut self, lr: f64) -> f64 {
        no_grad(|| {
            let grads: Vec<Tensor> = self.slots.iter().map(|slot| slot.weights.grad()).collect();
            let squares: Vec<Tensor> = grads
                .iter()
                .filter(|g| g.defined())
                .map(|g| g.square().sum(Kind::Double))
                .collect();
            let norm = Tensor::stack(&squares, 0).sum(Kind::Double).double_value(&[]).sqrt();
            if !norm.is_finite() {
                return norm;
            }
            let scale = if self.clip_norm > 0.0 { (self.clip_norm / norm).min(1.0) } else { 1.0 };
            self.updates += 1;
            let power = i32::try_from(self.updates).unwrap_or(i32::MAX);
            let corrections = (1.0 - BETAS.0.powi(power), 1.0 - BETAS.1.powi(power));
            for (slot, grad) in self.slots.iter_mut().zip(&grads) {
                if grad.defined() {
                    let decay = if slot.decays { self.weight_decay } else { 0.0 };
                    slot.update(&(grad * scale), lr, decay, corrections);
                }
            }
            norm
        })
    }

    /// The state by name: two moments for each weight.
    pub(crate) fn state(&self) -> Vec<(String, &Tensor)> {
        let moments = self.slots.iter().flat_map(|slot| {
            [
                (format!("{}.first", slot.name), &slot.first),
                (format!("{}.second", slot.name), &slot.second),
            ]
        });
        moments.collect()
    }

    /// Updates done.
    pub(crate) fn updates(&self) -> u64 {
        self.updates
    }

    /// Takes back a saved state.
    pub(crate) fn restore(
        &mut self,
        updates: u64,
        find: impl Fn(&str, &Tensor) -> Result<Tensor, String>,
    ) -> Result<(), String> {
        self.updates = updates;
        no_grad(|| {
            for slot in &mut self.slots {
                let first = find(&format!("{}.first", slot.name), &slot.first)?;
                let second = find(&format!("{}.second", slot.name), &slot.second)?;
                slot.first.copy_(&first);
                slot.second.copy_(&second);
            }
            Ok(())
        })
    }
}

impl Slot {
    fn update(&mut self, grad: &Tensor, lr: f64, decay: f64, corrections: (f64, f64)) {
        if decay > 0.0 {
            let _ = self.weights.g_mul_scalar_(1.0 - lr * decay);
        }
        let _ = self.first.g_mul_scalar_(BETAS.0);
        self.first += grad * (1.0 - BETAS.0);
        let _ = self.second.g_mul_scalar_(BETAS.1);
        self.second += grad.square() * (1.0 - BETAS.1);
        let root = (&self.second / corrections.1).sqrt() + EPSILON;
        self.weights -= &self.first / root * (lr / corrections.0);
    }
}
