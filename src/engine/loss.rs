//! The loss of an update: sums over rows, so that micro-batches add up to one batch. What the sum
//! is divided by is known before the first of them goes through the network.

use annals::data::batch::Batch;
use annals::data::prepared::Targets;
use annals::model::config::TrainingConfig;
use tch::{Device, Kind, Reduction, Tensor};

/// Cross entropy for rows of one class, binary cross entropy for rows of any number.
pub(crate) struct Loss {
    /// By class: of a row of the class, or of the label's positive rows.
    weights: Vec<f32>,
    on_device: Tensor,
    smoothing: f64,
    gamma: f64,
    device: Device,
}

impl Loss {
    pub(crate) fn new(training: &TrainingConfig, weights: &[f64], device: Device) -> Self {
        let weights: Vec<f32> = weights.iter().map(|weight| *weight as f32).collect();
        Self {
            on_device: Tensor::from_slice(&weights).to_device(device),
            weights,
            smoothing: training.label_smoothing,
            gamma: training.focal_gamma,
            device,
        }
    }

    /// What the sums over `batches` are divided by to be the mean: the weight of the rows' classes,
    /// or rows times labels.
    pub(crate) fn divisor(&self, batches: &[Batch]) -> f64 {
        let of_batch = |batch: &Batch| match &batch.targets {
            Targets::Single(classes) => {
                classes.iter().map(|class| f64::from(self.weights[*class as usize])).sum()
            }
            Targets::Multi(sets) => (sets.len() * self.weights.len()) as f64,
        };
        batches.iter().map(of_batch).sum()
    }

    /// The loss of all rows, summed; `logits` are float `[rows, classes]`.
    ///
    /// With `focal_gamma` g each term weighs (1 - p)^g more, p the probability that the model
    /// gives to the right answer (Lin and others 2017, <https://arxiv.org/abs/1708.02002>).
    pub(crate) fn sum(&self, logits: &Tensor, targets: &Targets) -> Tensor {
        match targets {
            Targets::Single(classes) => self.one_of(logits, classes),
            Targets::Multi(sets) => self.any_of(logits, sets),
        }
    }

    fn one_of(&self, logits: &Tensor, classes: &[u32]) -> Tensor {
        let classes: Vec<i64> = classes.iter().map(|class| i64::from(*class)).collect();
        let classes = Tensor::from_slice(&classes).to_device(self.device);
        let weights = Some(&self.on_device);
        let entropy = |reduction| {
            logits.cross_entropy_loss(&classes, weights, reduction, -100, self.smoothing)
        };
        if self.gamma == 0.0 {
            return entropy(Reduction::Sum);
        }
        let right = logits.softmax(-1, Kind::Float).gather(1, &classes.unsqueeze(1), false);
        self.focal(&right.squeeze_dim(1), &entropy(Reduction::None))
    }

    fn any_of(&self, logits: &Tensor, sets: &[Vec<u32>]) -> Tensor {
        let width = self.weights.len();
        let off = self.smoothing as f32 / 2.0;
        let mut wanted = vec![off; sets.len() * width];
        for (row, set) in sets.iter().enumerate() {
            for class in set {
                wanted[row * width + *class as usize] = 1.0 - off;
            }
        }
        let wanted = Tensor::from_slice(&wanted).view_as(logits).to_device(self.device);
        let (none, weights) = (None::<&Tensor>, Some(&self.on_device));
        let entropy =
            |reduction| logits.binary_cross_entropy_with_logits(&wanted, none, weights, reduction);
        if self.gamma == 0.0 {
            return entropy(Reduction::Sum);
        }
        let positive = logits.sigmoid();
        let right = &positive * &wanted + (1.0 - &positive) * (1.0 - &wanted);
        self.focal(&right, &entropy(Reduction::None))
    }

    fn focal(&self, right: &Tensor, entropy: &Tensor) -> Tensor {
        // At p = 1 the derivative of a power below 1 is infinite, and infinity times 0 is NaN.
        let missing: Tensor = 1.0 - right;
        (missing.clamp_min(1e-7).pow_tensor_scalar(self.gamma) * entropy).sum(Kind::Float)
    }
}
