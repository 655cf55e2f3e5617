//! A learner in plain Rust: softmax regression on bags of tokens with Adam and token dropout.
//! It is a whole [`Learner`], with state that must be saved to resume exactly, and it can be told
//! to be slow, to fail, to crash or to yield NaN, so that everything around it can be tested.

use std::fs;
use std::path::Path;
use std::time::Duration;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::learner::{EvalOutput, LearnError, Learner, StepKey, StepOutput};
use crate::data::batch::Batch;
use crate::data::prepared::Targets;
use crate::model::WEIGHTS_FILE;
use crate::model::config::{ModelConfig, ToyConfig, TrainConfig, TrainingConfig};
use crate::stats::random::Stream;

const OPTIMIZER_FILE: &str = "optimizer.safetensors";
const PURPOSE: u64 = 0x0074_6f79; // "toy"
const BETAS: (f32, f32) = (0.9, 0.999);
const EPSILON: f32 = 1e-8;

/// The toy's weights, Adam's moments and settings.
#[derive(Debug)]
pub struct ToyLearner {
    model: ModelConfig,
    training: TrainingConfig,
    toy: ToyConfig,
    classes: usize,
    class_weights: Vec<f32>,
    /// `(vocab_size + 1) * classes`: a row per token, the last row is the bias.
    weights: Vec<f32>,
    first_moment: Vec<f32>,
    second_moment: Vec<f32>,
    updates: u64,
}

impl ToyLearner {
    /// Builds the toy with small random weights of the seed.
    ///
    /// # Errors
    /// When there are fewer than two classes.
    pub fn new(
        config: &TrainConfig,
        vocab_size: u32,
        class_counts: &[u64],
    ) -> Result<Self, LearnError> {
        let classes = class_counts.len();
        if classes < 2 {
            return Err(LearnError::Config(format!("2 classes needed, found {classes}")));
        }
        let mut stream = Stream::new(&[PURPOSE, config.training.seed]);
        let count = (vocab_size as usize + 1) * classes;
        let weights: Vec<f32> = (0..count).map(|_| (stream.unit() as f32 - 0.5) * 0.02).collect();
        let class_weights = config.training.class_weights.weights(class_counts);
        Ok(Self {
            model: config.model.clone(),
            training: config.training.clone(),
            toy: config.toy.clone(),
            classes,
            class_weights: class_weights.iter().map(|weight| *weight as f32).collect(),
            first_moment: vec![0.0; count],
            second_moment: vec![0.0; count],
            weights,
            updates: 0,
        })
    }

    fn logits(&self, tokens: &[u32]) -> Vec<f32> {
        let bias = self.weights.len() - self.classes;
        let mut logits = self.weights[bias..].to_vec();
        let scale = 1.0 / (tokens.len().max(1) as f32).sqrt();
        for token in tokens {
            let start = *token as usize * self.classes;
            for (logit, weight) in logits.iter_mut().zip(&self.weights[start..]) {
                *logit += weight * scale;
            }
        }
        logits
    }

    fn drop_tokens(&self, tokens: &[u32], stream: &mut Stream) -> Vec<u32> {
        tokens.iter().copied().filter(|_| stream.unit() >= self.model.dropout).collect()
    }

    fn misbehave(&self, step: u64) -> Result<(), LearnError> {
        std::thread::sleep(Duration::from_millis(self.toy.step_ms.into()));
        if step == self.toy.abort_at_step {
            std::process::abort();
        }
        if step == self.toy.fail_at_step {
            return Err(LearnError::Backend(format!("asked to fail at step {step}")));
        }
        if step == self.toy.nan_at_step {
            return Err(LearnError::NotFinite { what: "loss", value: f64::NAN, step: step - 1 });
        }
        Ok(())
    }

    fn adam(&mut self, gradient: &[f32], lr: f32) {
        self.updates += 1;
        let power = i32::try_from(self.updates).unwrap_or(i32::MAX);
        let (c1, c2) = (1.0 - BETAS.0.powi(power), 1.0 - BETAS.1.powi(power));
        let decay = 1.0 - lr * self.training.weight_decay as f32;
        for (index, g) in gradient.iter().enumerate() {
            let m = &mut self.first_moment[index];
            let v = &mut self.second_moment[index];
            *m = BETAS.0 * *m + (1.0 - BETAS.0) * g;
            *v = BETAS.1 * *v + (1.0 - BETAS.1) * g * g;
            let update = lr * (*m / c1) / ((*v / c2).sqrt() + EPSILON);
            self.weights[index] = self.weights[index] * decay - update;
        }
    }

    /// Cross entropy of one row with one class, binary cross entropy of one with many.
    fn fit(&self, logits: &[f32], targets: &Targets, row: usize) -> Fit {
        let truth = targets.of(row);
        let target = |class: usize| truth.iter().any(|t| *t as usize == class);
        let Some(classes) = targets.classes() else {
            let scale = 1.0 / logits.len() as f32;
            let mut fit = Fit { loss: 0.0, weight: 1.0, errors: Vec::new() };
            for (class, logit) in logits.iter().enumerate() {
                let y = if target(class) { 1.0 } else { 0.0 };
                fit.loss += (logit.max(0.0) - logit * y + (-logit.abs()).exp().ln_1p()) * scale;
                fit.errors.push((1.0 / (1.0 + (-logit).exp()) - y) * scale);
            }
            return fit;
        };
        let label = classes[row] as usize;
        let weight = self.class_weights[label];
        let probabilities = softmax(logits);
        let loss = -weight * probabilities[label].max(f32::MIN_POSITIVE).ln();
        let error =
            |(class, p): (usize, &f32)| weight * (p - if class == label { 1.0 } else { 0.0 });
        Fit { loss, weight, errors: probabilities.iter().enumerate().map(error).collect() }
    }
}

/// What one row adds to loss and gradient.
struct Fit {
    loss: f32,
    weight: f32,
    /// Derivative of the loss by each logit.
    errors: Vec<f32>,
}

impl Learner for ToyLearner {
    fn step(&mut self, batches: &[Batch], lr: f64, key: StepKey) -> Result<StepOutput, LearnError> {
        self.misbehave(key.step + 1)?;
        let mut stream = Stream::new(&[PURPOSE, key.mix(0)]);
        let mut gradient = vec![0.0_f32; self.weights.len()];
        let bias = self.weights.len() - self.classes;
        let (mut loss, mut total) = (0.0_f32, 0.0_f32);
        let rows = batches.iter().flat_map(|batch| (0..batch.len()).map(move |row| (batch, row)));
        for (batch, row) in rows {
            let tokens = self.drop_tokens(batch.row(row), &mut stream);
            let fit = self.fit(&self.logits(&tokens), &batch.targets, row);
            loss += fit.loss;
            total += fit.weight;
            let scale = 1.0 / (tokens.len().max(1) as f32).sqrt();
            for (class, error) in fit.errors.into_iter().enumerate() {
                gradient[bias + class] += error;
                for token in &tokens {
                    gradient[*token as usize * self.classes + class] += error * scale;
                }
            }
        }
        let mut norm = 0.0_f64;
        for g in &mut gradient {
            *g /= total;
            norm += f64::from(*g).powi(2);
        }
        let norm = norm.sqrt();
        let clip = self.training.gradient_clip_norm;
        if clip > 0.0 && norm > clip {
            let factor = (clip / norm) as f32;
            gradient.iter_mut().for_each(|g| *g *= factor);
        }
        self.adam(&gradient, lr as f32);
        Ok(StepOutput { loss: f64::from(loss / total), grad_norm: norm, ..StepOutput::default() })
    }

    fn evaluate(&mut self, batch: &Batch) -> Result<EvalOutput, LearnError> {
        let logits = (0..batch.len()).flat_map(|row| self.logits(batch.row(row))).collect();
        Ok(EvalOutput { logits, ..EvalOutput::default() })
    }

    fn save(&self, dir: &Path) -> Result<(), LearnError> {
        let shape = [self.weights.len() / self.classes, self.classes];
        let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
        write(dir, WEIGHTS_FILE, &[("weights", Dtype::F32, &shape, bytes(&self.weights))])?;
        let optimizer: [Tensor<'_>; 3] = [
            ("first_moment", Dtype::F32, &shape, bytes(&self.first_moment)),
            ("second_moment", Dtype::F32, &shape, bytes(&self.second_moment)),
            ("updates", Dtype::U64, &[1], self.updates.to_le_bytes().to_vec()),
        ];
        write(dir, OPTIMIZER_FILE, &optimizer)
    }

    fn load(&mut self, dir: &Path) -> Result<(), LearnError> {
        let bytes = self.weights.len() * 4;
        let floats = |file, tensor| -> Result<Vec<f32>, LearnError> {
            let bytes = read(dir, file, tensor, bytes)?;
            Ok(bytes
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect())
        };
        self.load_weights(dir)?;
        self.first_moment = floats(OPTIMIZER_FILE, "first_moment")?;
        self.second_moment = floats(OPTIMIZER_FILE, "second_moment")?;
        let updates = read(dir, OPTIMIZER_FILE, "updates", 8)?;
        self.updates = updates.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte));
        Ok(())
    }

    fn load_weights(&mut self, dir: &Path) -> Result<(), LearnError> {
        let bytes = read(dir, WEIGHTS_FILE, "weights", self.weights.len() * 4)?;
        let float = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        self.weights = bytes.chunks_exact(4).map(float).collect();
        Ok(())
    }

    fn parameter_count(&self) -> u64 {
        self.weights.len() as u64
    }
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exp: Vec<f32> = logits.iter().map(|logit| (logit - max).exp()).collect();
    let sum: f32 = exp.iter().sum();
    exp.iter().map(|e| e / sum).collect()
}

/// Name, type, shape and bytes.
type Tensor<'a> = (&'a str, Dtype, &'a [usize], Vec<u8>);

fn write(dir: &Path, name: &str, tensors: &[Tensor<'_>]) -> Result<(), LearnError> {
    let path = dir.join(name);
    let state = |e: safetensors::SafeTensorError| LearnError::State {
        file: name.to_owned(),
        message: e.to_string(),
    };
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| {
            TensorView::new(*dtype, shape.to_vec(), bytes).map(|view| (*name, view))
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(state)?;
    let file = safetensors::serialize(views, None).map_err(state)?;
    crate::base::durable::write(&path, &file).map_err(|source| LearnError::Io {
        verb: "write",
        path: path.display().to_string(),
        source,
    })
}

fn read(dir: &Path, name: &str, tensor: &str, bytes: usize) -> Result<Vec<u8>, LearnError> {
    let path = dir.join(name);
    let file = fs::read(&path).map_err(|source| LearnError::Io {
        verb: "read",
        path: path.display().to_string(),
        source,
    })?;
    let state = |message: String| LearnError::State { file: name.to_owned(), message };
    let tensors = SafeTensors::deserialize(&file).map_err(|e| state(e.to_string()))?;
    let data = tensors.tensor(tensor).map_err(|e| state(e.to_string()))?.data().to_vec();
    if data.len() == bytes {
        Ok(data)
    } else {
        Err(state(format!("{tensor}: {bytes} bytes expected, found {}", data.len())))
    }
}
