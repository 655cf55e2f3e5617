//! Training without torch: the loop, and what it reports while it works.
//!
//! [`Learner`] is what a model must do; the trainer drives any of them and tells a [`Recorder`].
//! `annals-engine` and the toy engine speak to `annals` through [`protocol`].
//!
//! May use: `base`, `stats`, `data`, `model`. Must never see: `store`, `domain`, `cli`, tch; no
//! folder of a workspace is known here, every path is given.
//!
//! TRN-1: n steps = k steps, kill, resume, n-k steps, bit for bit on CPU. TRN-2: recording never
//! changes the numbers of training.
//!
//! To add an architecture: see [`model`](crate::model). Start reading at [`Learner`].

pub mod checkpoint;
pub mod classical;
mod curriculum;
mod evaluate;
pub mod explain;
mod learner;
pub mod metric;
mod metrics_out;
mod order;
pub mod protocol;
mod recorder;
pub mod schedule;
mod session;
#[cfg(test)]
mod tests;
pub mod toy;
mod trainer;

pub use learner::{
    AttentionMaps, EvalOutput, FailureKind, LearnError, Learner, StepKey, StepOutput,
};
pub use recorder::{
    CheckpointSaved, EpochEnded, Interrupted, MetricKey, MetricPoint, MetricPoints, NoRecorder,
    Progress, Recorder, SavedFile, Started, TrainEvent, TrainingResult,
};
pub use session::{serve, toy_hello};
pub use trainer::{Outcome, TrainError, Trainer, weights_path};
