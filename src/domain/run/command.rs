//! Requests about one run.

use super::{
    ArtifactStored, Classification, MetricsUnrecorded, RunFinished, RunPlanned, RunReproduced,
    RunResumed, RunStarted, TrainCheckpointPruned, TrainCheckpointSaved,
};
use crate::domain::metric::MetricBatch;

/// What can be asked of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum RunCommand {
    /// Begin it, sorted into a category.
    Start(Box<RunStarted>, Classification),
    /// Go on from a training checkpoint; its attempt is counted here.
    Resume(Box<RunResumed>),
    /// Note how much work lies ahead.
    Plan(RunPlanned),
    /// Take in points.
    RecordMetrics(MetricBatch),
    /// Note values that are no points.
    NoteUnrecorded(MetricsUnrecorded),
    /// Note a training checkpoint.
    SaveCheckpoint(TrainCheckpointSaved),
    /// Note that a training checkpoint was removed.
    PruneCheckpoint(TrainCheckpointPruned),
    /// Note a file.
    StoreArtifact(ArtifactStored),
    /// End it.
    End(Ending),
    /// Note what came of training it again.
    Reproduce(Box<RunReproduced>),
}

/// How a run ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// By itself, with a model.
    Finish(Box<RunFinished>),
    /// Without a model.
    Fail {
        /// Why, in one line.
        reason: String,
        /// The signal that ended the trainer.
        signal: Option<i32>,
        /// The trainer's exit code.
        exit_code: Option<i32>,
        /// The last lines of its error output.
        stderr_tail: String,
    },
    /// Stopped, or its supervisor is gone.
    Interrupt {
        /// Why.
        reason: String,
    },
}
