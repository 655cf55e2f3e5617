//! Training without torch: settings, data, the loop, and what it says while it works.
//!
//! [`Learner`] is what a model must do; the trainer drives any of them and tells a [`Recorder`].
//! `annals-engine` and the toy engine speak to `annals` through [`protocol`].
//!
//! May use: `base`. Must never see: `store`, `domain`, `cli`, tch; no folder of a workspace is
//! known here, every path is given.
//!
//! TRN-1: n steps = k steps, kill, resume, n-k steps, bit for bit on CPU. TRN-2: recording never
//! changes the numbers of training.
//!
//! To add an architecture: its settings in `config/`, its [`Learner`] in `engine/arch/`. Start
//! reading at [`Learner`].

pub mod checkpoint;
pub mod classical;
pub mod config;
mod curriculum;
pub mod data;
mod evaluate;
pub mod explain;
mod guard;
pub mod hf;
mod learner;
pub mod metric;
mod metrics_out;
mod order;
pub mod pat;
mod pickle;
pub mod prepared;
pub mod protocol;
pub mod random;
mod recorder;
pub mod schedule;
mod session;
#[cfg(test)]
mod tests;
pub mod toy;
mod trainer;

pub use learner::{
    AttentionMaps, Batch, EvalOutput, FailureKind, LearnError, Learner, StepKey, StepOutput,
    WEIGHTS_FILE,
};
pub use pickle::Pickle;
pub use recorder::{
    CheckpointSaved, EpochEnded, Finished, Interrupted, MetricKey, MetricPoint, MetricPoints,
    NoRecorder, Progress, Recorder, SavedFile, Started, TrainEvent,
};
pub use session::{serve, toy_hello};
pub use trainer::{Outcome, TrainError, Trainer, weights_path};
