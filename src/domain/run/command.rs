//! Requests about one run.

use super::{
    ArchiveFacts, ArtifactStored, Category, MetricsUnrecorded, PackedFiles, RunEdit, RunFinished,
    RunPlanned, RunReproduced, RunResumed, RunStarted, TrainCheckpointPruned, TrainCheckpointSaved,
};
use crate::domain::file_move::MovePlanned;
use crate::domain::metric::MetricBatch;

/// What can be asked of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum RunCommand {
    /// Begin it, in the category that somebody chose or by the words of its name and tags.
    Start(Box<RunStarted>, Option<Category>),
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
    /// Change what people say about it.
    Edit(RunEdit),
    /// Check that it may go into an archive now; makes no event. The files move after it.
    AllowArchive(ArchiveFacts),
    /// Check that its files may be removed now; makes no event.
    AllowRemoval(ArchiveFacts),
    /// Check that it may come back from its archive now; makes no event.
    AllowRestore,
    /// Note that its files are where a move brought them, or gone.
    NoteMoved(Box<MovePlanned>, Option<PackedFiles>),
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
