//! AdamW: Loshchilov and Hutter 2019 (<https://arxiv.org/abs/1711.05101>), with the bias
//! correction of Kingma and Ba 2015. Decay is not applied to biases, norms and other vectors.

use annals::train::LearnError;
use tch::{Device, Tensor, no_grad};

use crate::shim::{self, Lists, Rule};

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
    pub(crate) fn step(&mut self, lr: f64) -> Result<f64, LearnError> {
        no_grad(|| {
            let grads: Vec<Tensor> = self.slots.iter().map(|slot| slot.weights.grad()).collect();
            let given: Vec<(&Slot, &Tensor)> =
                self.slots.iter().zip(&grads).filter(|(_, grad)| grad.defined()).collect();
            let norm = shim::norm(&given.iter().map(|(_, grad)| *grad).collect::<Vec<_>>())?;
            if !norm.is_finite() {
                return Ok(norm);
            }
            let divisor = if self.clip_norm > 0.0 { (norm / self.clip_norm).max(1.0) } else { 1.0 };
            self.updates += 1;
            let device = self.slots.first().map_or(Device::Cpu, |slot| slot.weights.device());
            let number = |value: f64| Tensor::from(value as f32).to_device(device);
            let (step, divisor) = (number(self.updates as f64), number(divisor));
            for decays in [true, false] {
                let mut lists = Lists::default();
                for (slot, grad) in given.iter().filter(|(slot, _)| slot.decays == decays) {
                    lists.weights.push(&slot.weights);
                    lists.grads.push(grad);
                    lists.first.push(&slot.first);
                    lists.second.push(&slot.second);
                }
                let decay = if decays { self.weight_decay } else { 0.0 };
                let (betas, epsilon) = (BETAS, EPSILON);
                let (step, divisor) = (&step, &divisor);
                shim::adamw(&lists, &Rule { step, divisor, lr, betas, decay, epsilon })?;
            }
            Ok(norm)
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
