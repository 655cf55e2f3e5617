//! One run: one execution of an experiment, from its start to its end.

mod admit;
mod archive;
mod beginning;
mod classify;
mod command;
mod decide;
mod edit;
mod event;
mod evidence;
mod state;
mod test_rows;
mod unrecorded;
mod upcast;

#[cfg(test)]
mod tests;

pub(in crate::domain) use admit::{Recording, admits};
pub use archive::{Archive, ArchiveFacts, Pack};
pub(in crate::domain) use archive::{archived_sizes, renamed, size_of};
pub(in crate::domain) use beginning::without_parameters;
use classify::classify;
pub(crate) use classify::words;
pub use classify::{CHOSEN, Category, Classification};
pub use command::{
    Ending, Reproduction, RunCommand, RunOutcome, RunStart, StoredFile, UnrecordedValues,
};
pub use decide::{RunFacts, RunStream, Teller};
pub use edit::RunEdit;
pub(in crate::domain) use edit::printable;
pub use event::{
    ArtifactStored, BestPoint, CODE_NOT_RECORDED, CandidateAssessed, DataFile, DataRecord,
    DroppedFile, Environment, EnvironmentDifference, Git, MetricsRecorded, NumberDifference,
    PackedFiles, RenamedFile, RunArchived, RunClassified, RunDeleted, RunEvent, RunFailed,
    RunFinished, RunInterrupted, RunNoted, RunPinned, RunPlanned, RunRelocated, RunRenamed,
    RunReproduced, RunRestored, RunResumed, RunShared, RunStarted, RunTagged, RunUnpinned,
    SCRIPT_SPLIT_RULE, SplitRows, Synthetic, TrainCheckpointPruned, TrainCheckpointSaved,
};
pub use evidence::{RunEvidence, is_model};
pub use state::{Artifact, RunState, RunStatus, SavedTrainCheckpoint, add_rows};
pub use test_rows::{Sameness, TEST_ROW_ORDER, TEST_ROWS, TestRows};
pub use unrecorded::{MetricsUnrecorded, NOT_STATED, UnrecordedReason, UnrecordedSeries, Unstated};
pub(in crate::domain) use upcast::DroppedFileV1;
