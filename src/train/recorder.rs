//! What the trainer says while it works, and the port it says it to.

use std::path::PathBuf;

use bincode::{Decode, Encode};

use super::metric::Evaluation;
use crate::base::{Digest, Direction, Split};

/// Takes in what the trainer says. TRN-2: nothing a recorder does or returns reaches the numbers
/// of training; a recorder that cannot go on keeps its own error and asks for a stop.
pub trait Recorder {
    /// Takes in one event. Must not block longer than a bounded buffer makes it.
    fn record(&mut self, event: TrainEvent);
}

/// Something that happened in training.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum TrainEvent {
    /// The model stands and the first step is next.
    Started(Started),
    /// An update was done; for the screen only, sent at most a few times a second.
    Progress(Progress),
    /// Points to be recorded.
    Metrics(MetricPoints),
    /// A pass over the training rows ended and the validation rows were scored.
    EpochEnded(EpochEnded),
    /// A training checkpoint is on disk, whole and synced.
    CheckpointSaved(CheckpointSaved),
    /// A training checkpoint was removed, because better or later ones are kept.
    CheckpointPruned {
        /// Updates done when it was saved.
        step: u64,
        /// Its folder, relative to the run's folder.
        dir: PathBuf,
    },
}

/// The facts known before the first step.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Started {
    /// Trained weights.
    pub parameters: u64,
    /// Passes planned.
    pub epochs: u64,
    /// Updates planned, over all epochs.
    pub steps: u64,
    /// Rows per split.
    pub rows: Vec<(Split, u64)>,
    /// Where the work runs, such as `cpu`.
    pub device: String,
    /// Threads of one operation.
    pub threads: u32,
    /// Updates done before, when the run resumes from a training checkpoint.
    pub resumed_at_step: Option<u64>,
}

/// How far the training is.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct Progress {
    /// The running pass, from 1.
    pub epoch: u64,
    /// Passes planned.
    pub epochs: u64,
    /// The running stage of the curriculum from 1, and how many there are.
    pub stage: Option<(u32, u32)>,
    /// Updates done.
    pub step: u64,
    /// Updates planned.
    pub steps: u64,
    /// Mean loss of the running pass so far.
    pub loss: f64,
    /// Learning rate of the update just done.
    pub lr: f64,
    /// Training rows per second since the start of this process.
    pub rows_per_s: f64,
}

/// What is measured: a name on a split, with its declared direction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct MetricKey {
    /// Such as `f1_macro`, `recall_suicide_risk`, `loss`.
    pub name: String,
    /// Where it was measured; none for what has no split (learning rate).
    pub split: Option<Split>,
    /// Which way it gets better.
    pub direction: Direction,
}

/// One point of one series.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct MetricPoint {
    /// Index into [`MetricPoints::keys`].
    pub key: u16,
    /// Optimiser updates done.
    pub step: u64,
    /// Passes over the training rows, with fraction.
    pub epoch: f64,
    /// The value; finite.
    pub value: f64,
    /// Microseconds from the start of this process's training to the measurement.
    pub elapsed_us: u64,
}

/// Points in the order they were measured, at most
/// [`METRIC_BATCH_POINTS_MAX`](crate::base::limits::METRIC_BATCH_POINTS_MAX).
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct MetricPoints {
    /// The series that occur.
    pub keys: Vec<MetricKey>,
    /// The points.
    pub points: Vec<MetricPoint>,
}

/// The end of one pass.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct EpochEnded {
    /// The pass that ended, from 1.
    pub epoch: u64,
    /// Passes planned.
    pub epochs: u64,
    /// The stage of the curriculum it was in from 1, and how many there are.
    pub stage: Option<(u32, u32)>,
    /// Updates done.
    pub step: u64,
    /// Mean loss of the updates of this pass.
    pub train_loss: f64,
    /// Scores on the validation rows.
    pub valid: Evaluation,
    /// The metric the model is chosen by.
    pub metric: String,
    /// Its value.
    pub value: f64,
    /// Whether it is the best so far.
    pub best: bool,
    /// Seconds this pass took, validation included.
    pub seconds: f64,
}

/// A training checkpoint on disk.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct CheckpointSaved {
    /// Updates done.
    pub step: u64,
    /// Passes over the training rows, with fraction.
    pub epoch: f64,
    /// Its folder, relative to the run's folder.
    pub dir: PathBuf,
    /// Its files, in name order.
    pub files: Vec<SavedFile>,
    /// The metric the model is chosen by and its value here; none in the middle of a pass.
    pub metric: Option<(String, f64)>,
    /// Whether it is the best so far.
    pub best: bool,
}

/// One file of a training checkpoint or of the finished run.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SavedFile {
    /// Name inside its folder.
    pub name: String,
    /// Digest of its bytes.
    pub digest: Digest,
    /// How many bytes.
    pub bytes: u64,
}

/// The end of a training that ran to its end or stopped early by its own rule.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct TrainingResult {
    /// Passes done.
    pub epochs: u64,
    /// Updates done.
    pub steps: u64,
    /// Whether early stopping ended it.
    pub stopped_early: bool,
    /// The metric the model was chosen by, on the validation rows.
    pub metric: String,
    /// Its best value.
    pub best_value: f64,
    /// The pass of the best value, from 1.
    pub best_epoch: u64,
    /// The update of the best value.
    pub best_step: u64,
    /// Scores of the chosen weights on the validation and the test rows.
    pub evaluations: Vec<Evaluation>,
    /// Folder of the chosen training checkpoint, relative to the run's folder.
    pub best_dir: PathBuf,
    /// The chosen weights, in [`best_dir`](Self::best_dir).
    pub weights: SavedFile,
    /// Trained weights.
    pub parameters: u64,
    /// Seconds this process trained and scored.
    pub seconds: f64,
    /// Training rows per second, over the time spent in updates.
    pub rows_per_s: f64,
    /// Milliseconds that scoring one test row took, as the mean over all; none where there are no
    /// test rows.
    pub inference_ms: Option<f64>,
}

/// The end of a training that was asked to stop.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Interrupted {
    /// Updates done.
    pub step: u64,
    /// Folder of the training checkpoint to resume from, relative to the run's folder.
    pub dir: Option<PathBuf>,
}

/// Forgets everything: for tests and for measuring the cost of recording.
pub struct NoRecorder;

impl Recorder for NoRecorder {
    fn record(&mut self, _: TrainEvent) {}
}

impl<F: FnMut(TrainEvent)> Recorder for F {
    fn record(&mut self, event: TrainEvent) {
        self(event);
    }
}
