//! What the trainer asks of a model: step, evaluate, save, load. An architecture implements
//! [`Learner`] and gets the loop, resume, early stopping and recording with it.

use std::io;
use std::path::Path;

use bincode::{Decode, Encode};

use crate::data::batch::Batch;
use crate::model::classical::ClassicalError;

/// Names of one optimiser update. A learner seeds its random numbers from the key before it uses
/// any, so that dropout repeats exactly after resume without a saved random state (TRN-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepKey {
    /// The seed of the run.
    pub seed: u64,
    /// Passes over the training rows completed before this step.
    pub epoch: u64,
    /// Updates done before this step, over the whole run.
    pub step: u64,
}

impl StepKey {
    /// 64 well mixed bits that follow from the key alone; `micro` counts the update's batches
    /// from 0.
    pub fn mix(self, micro: u64) -> u64 {
        let Self { seed, epoch, step } = self;
        match micro {
            0 => crate::stats::random::mix(&[seed, epoch, step]),
            later => crate::stats::random::mix(&[seed, epoch, step, later]),
        }
    }

    /// [`mix`](Self::mix) without the sign bit, for libraries that take a non-negative `i64`.
    pub fn mix_i64(self, micro: u64) -> i64 {
        (self.mix(micro) >> 1).cast_signed()
    }
}

/// What one update reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepOutput {
    /// The loss that was minimised, mean over the update's rows, before the update; with class
    /// weights, label smoothing and focal factor where those are on.
    pub loss: f64,
    /// L2 norm of all gradients before clipping.
    pub grad_norm: f64,
    /// The losses that `loss` is put together from, by name, where there is more than one.
    pub parts: Vec<(String, f64)>,
}

/// Scores of the rows of one batch, without dropout.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EvalOutput {
    /// Unnormalised scores (logits), row by row, `rows * classes` of them.
    pub logits: Vec<f32>,
    /// The same of each auxiliary head.
    pub heads: Vec<Vec<f32>>,
}

/// How a model attends on the rows of one batch, without dropout.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttentionMaps {
    /// Layers, the first one sees the input.
    pub layers: usize,
    /// Rows of the batch.
    pub rows: usize,
    /// Heads of each layer.
    pub heads: usize,
    /// Tokens per row, after padding.
    pub cols: usize,
    /// `layers * rows * heads * cols * cols` shares, a line for each query; those of a real token
    /// sum to 1 and padding has none.
    pub weights: Vec<f32>,
}

impl AttentionMaps {
    /// What the token `query` of row `row` attends to in one head.
    pub fn line(&self, layer: usize, row: usize, head: usize, query: usize) -> &[f32] {
        let map = (layer * self.rows + row) * self.heads + head;
        let start = (map * self.cols + query) * self.cols;
        &self.weights[start..start + self.cols]
    }
}

/// Why a run fails; a program may act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum FailureKind {
    /// The settings do not describe a model or a training that can run.
    Config,
    /// The prepared dataset is missing, damaged or empty.
    Data,
    /// A loss, gradient or score is NaN or infinite.
    NotFinite,
    /// The device is absent or refused the work.
    Device,
    /// Memory ran out.
    Memory,
    /// A file could not be read or written.
    Io,
    /// A training checkpoint is missing, damaged or of another run.
    Checkpoint,
    /// The other side of the protocol spoke out of turn.
    Protocol,
    /// A broken promise inside the engine (panic).
    Bug,
}

impl FailureKind {
    /// The word used in events and messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Data => "data",
            Self::NotFinite => "not_finite",
            Self::Device => "device",
            Self::Memory => "memory",
            Self::Io => "io",
            Self::Checkpoint => "checkpoint",
            Self::Protocol => "protocol",
            Self::Bug => "bug",
        }
    }
}

/// A learner that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// The model cannot be built from the settings.
    #[error("cannot build the model: {0}")]
    Config(String),
    /// A number that must be finite is not.
    #[error("{what} is {value} at step {step}")]
    NotFinite {
        /// Which number.
        what: &'static str,
        /// NaN or an infinity.
        value: f64,
        /// Updates done before it appeared.
        step: u64,
    },
    /// The device is absent or refused the work.
    #[error("device {device}: {message}")]
    Device {
        /// As asked for, such as `cuda:0`.
        device: String,
        /// What the device's library said.
        message: String,
    },
    /// Memory ran out.
    #[error("out of memory: {0}")]
    Memory(String),
    /// Saved state that does not fit this model.
    #[error("saved state {file}: {message}")]
    State {
        /// The file inside the training checkpoint.
        file: String,
        /// What does not fit.
        message: String,
    },
    /// A file could not be read or written.
    #[error("cannot {verb} {path}")]
    Io {
        /// `read`, `write`.
        verb: &'static str,
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The learner's own library failed in a way that has no better name.
    #[error("{0}")]
    Backend(String),
}

impl From<ClassicalError> for LearnError {
    fn from(error: ClassicalError) -> Self {
        match error {
            ClassicalError::Config(message) => Self::Config(message),
            ClassicalError::State { file, message } => Self::State { file, message },
            ClassicalError::Io { verb, path, source } => Self::Io { verb, path, source },
            ClassicalError::Backend(message) => Self::Backend(message),
        }
    }
}

impl LearnError {
    /// The kind that goes into `run.failed`.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Config(_) => FailureKind::Config,
            Self::NotFinite { .. } => FailureKind::NotFinite,
            Self::Device { .. } => FailureKind::Device,
            Self::Memory(_) => FailureKind::Memory,
            Self::State { .. } => FailureKind::Checkpoint,
            Self::Io { .. } => FailureKind::Io,
            Self::Backend(_) => FailureKind::Bug,
        }
    }
}

/// A model with its optimiser. Everything that decides its next numbers is in what
/// [`save`](Learner::save) writes, in the batch and in the [`StepKey`]; nothing else may (TRN-1).
pub trait Learner {
    /// Does one optimiser update with learning rate `lr` on the rows of `batches`, which go
    /// through the model one batch after the other: but for dropout and the order of sums it is
    /// the update of one batch of all of them.
    ///
    /// # Errors
    /// When the loss or a gradient is not finite, or the backend fails.
    fn step(&mut self, batches: &[Batch], lr: f64, key: StepKey) -> Result<StepOutput, LearnError>;

    /// Scores `batch` without changing the model and without dropout.
    ///
    /// # Errors
    /// When the backend fails.
    fn evaluate(&mut self, batch: &Batch) -> Result<EvalOutput, LearnError>;

    /// How the model attends on `batch`, without changing it; none for models without attention.
    ///
    /// # Errors
    /// When the backend fails.
    fn attend(&mut self, batch: &Batch) -> Result<Option<AttentionMaps>, LearnError> {
        let _ = batch;
        Ok(None)
    }

    /// Writes weights and optimiser state into the empty folder `dir`. The weights alone must be
    /// in [`WEIGHTS_FILE`](crate::model::WEIGHTS_FILE), and writing the same state twice must give
    /// the same bytes. The caller syncs, digests and renames; the learner only writes.
    ///
    /// # Errors
    /// When a file cannot be written.
    fn save(&self, dir: &Path) -> Result<(), LearnError>;

    /// Takes back all that [`save`](Learner::save) wrote into `dir`, bit for bit.
    ///
    /// # Errors
    /// When a file is missing or does not fit this model.
    fn load(&mut self, dir: &Path) -> Result<(), LearnError>;

    /// Takes back the weights alone that [`save`](Learner::save) wrote into `dir`, to score rows.
    ///
    /// # Errors
    /// When the file is missing or does not fit this model.
    fn load_weights(&mut self, dir: &Path) -> Result<(), LearnError>;

    /// Takes the weights as they are for good, to answer faster; no step follows.
    fn freeze(&mut self) {}

    /// How many weights are trained.
    fn parameter_count(&self) -> u64;
}
