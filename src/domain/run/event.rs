//! Facts about one run.

use std::collections::{BTreeMap, BTreeSet};

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Archive, Category, MetricsUnrecorded, Pack, Unstated};
use crate::base::{Digest, MoveId, RunId, Sha256Digest, Split};
use crate::domain::RuleResult;
use crate::domain::metric::{Evaluation, FinalMetric, MetricBatch};

stream_events! {
    /// What can happen to one run.
    pub enum RunEvent of Run {
        0x0401 STARTED "run.started" 4 Text Started(RunStarted),
        0x0402 CLASSIFIED "run.classified" 2 Decision Classified(RunClassified),
        0x0403 METRICS_RECORDED "run.metrics_recorded" 1 Bulk MetricsRecorded(MetricsRecorded),
        0x0404 CHECKPOINT_SAVED "run.train_checkpoint_saved" 1 Fact
            CheckpointSaved(TrainCheckpointSaved),
        0x0405 CHECKPOINT_PRUNED "run.train_checkpoint_pruned" 1 Fact
            CheckpointPruned(TrainCheckpointPruned),
        0x0406 ARTIFACT_STORED "run.artifact_stored" 2 Fact ArtifactStored(ArtifactStored),
        0x0407 FINISHED "run.finished" 2 Decision Finished(RunFinished),
        0x0408 FAILED "run.failed" 1 Text Failed(RunFailed),
        0x0409 INTERRUPTED "run.interrupted" 1 Text Interrupted(RunInterrupted),
        0x040a ASSESSED "candidate.assessed" 1 Decision Assessed(CandidateAssessed),
        0x040b RESUMED "run.resumed" 1 Decision Resumed(RunResumed),
        0x040c REPRODUCED "run.reproduced" 1 Decision Reproduced(RunReproduced),
        0x040d METRICS_UNRECORDED "run.metrics_unrecorded" 1 Fact
            MetricsUnrecorded(MetricsUnrecorded),
        0x0410 TAGGED "run.tagged" 1 Text Tagged(RunTagged),
        0x0411 NOTED "run.noted" 1 Text Noted(RunNoted),
        0x0412 PINNED "run.pinned" 1 Text Pinned(RunPinned),
        0x0413 UNPINNED "run.unpinned" 1 Text Unpinned(RunUnpinned),
        0x0414 RENAMED "run.renamed" 1 Text Renamed(RunRenamed),
        0x0415 ARCHIVED "run.archived" 2 Text Archived(RunArchived),
        0x0416 RESTORED "run.restored" 2 Text Restored(RunRestored),
        0x0417 DELETED "run.deleted" 2 Text Deleted(RunDeleted),
        0x0418 RELOCATED "run.relocated" 2 Decision Relocated(RunRelocated),
        0x0419 PLANNED "run.planned" 1 Fact Planned(RunPlanned),
        0x041a SHARED "run.shared" 1 Decision Shared(RunShared),
    }
}

impl RunEvent {
    /// Whether it is a fact that only those record who may, and not an edit or an account of files.
    pub fn is_recorded_fact(&self) -> bool {
        matches!(
            self,
            Self::MetricsRecorded(_)
                | Self::MetricsUnrecorded(_)
                | Self::Planned(_)
                | Self::CheckpointSaved(_)
                | Self::CheckpointPruned(_)
                | Self::ArtifactStored(_)
                | Self::Finished(_)
                | Self::Failed(_)
                | Self::Resumed(_)
        )
    }
}

/// A run began.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct RunStarted {
    /// The run's id.
    pub run: RunId,
    /// The experiment's name, as the user gave it.
    pub name: String,
    /// The unique name: `<name>_<YYYYmmdd_HHMMSS>`, with a number where that was taken.
    pub experiment_id: String,
    /// The run's folder, relative to the workspace.
    pub folder: String,
    /// What the run is for.
    pub description: String,
    /// Words for finding it.
    pub tags: Vec<String>,
    /// 1, and one more for each time it is resumed.
    pub attempt: u32,
    /// Name of the configuration it was made from.
    pub config_name: String,
    /// Digest of the resolved configuration, which is an artifact of the run.
    pub config: Digest,
    /// The resolved configuration, flattened: `model.n_embd` to its JSON text.
    pub parameters: BTreeMap<String, String>,
    /// Everything random follows from it.
    pub seed: u64,
    /// What it learns from.
    pub data: DataRecord,
    /// Where it ran.
    pub environment: Environment,
    /// The program that trains, such as `annals-engine 0.1.0`.
    pub trainer: String,
    /// Facts that nobody stated: what stands in their place above is no fact.
    pub unstated: BTreeSet<Unstated>,
    /// Whether all that is recorded while it runs is signed as well, points in groups.
    pub points_signed: bool,
}

/// The split rule of a run whose rows annals never saw (stored).
pub const SCRIPT_SPLIT_RULE: &str = "as the script says";

/// What a run learns from.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct DataRecord {
    /// The files, with the digests of their bytes as read.
    pub files: Vec<DataFile>,
    /// Set when the data was generated.
    pub synthetic: Option<Synthetic>,
    /// The labels, in the order of the model's outputs.
    pub labels: Vec<String>,
    /// How the rows were split, in words and numbers that reproduce it.
    pub split_rule: String,
    /// Rows of each split.
    pub splits: Vec<SplitRows>,
    /// Valid and test rows whose text also stands in the training rows.
    pub leaked_rows: u64,
    /// Digest of the prepared dataset: every row's token ids, label and split.
    pub prepared: Digest,
}

/// One data file.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct DataFile {
    /// Where it was read from.
    pub path: String,
    /// Digest of its bytes.
    pub digest: Digest,
    /// SHA-256 of its bytes; none where it was not recorded.
    pub sha256: Option<Sha256Digest>,
    /// Its size.
    pub bytes: u64,
    /// Rows read.
    pub rows: u64,
}

/// How data was generated.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct Synthetic {
    /// Name and version of the generator.
    pub generator: String,
    /// Rows asked for.
    pub rows: u64,
    /// Its seed.
    pub seed: u64,
}

/// Rows of one split.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct SplitRows {
    /// Which.
    pub split: Split,
    /// How many.
    pub rows: u64,
    /// Rows of each label, in label order.
    pub per_label: Vec<u64>,
}

/// Where a run ran: what must be equal for its digests to be equal.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    /// Version of annals.
    pub tool_version: String,
    /// Version of libtorch; none where the trainer does not use it.
    pub libtorch: Option<String>,
    /// Operating system and its version.
    pub os: String,
    /// Name of the machine.
    pub host: String,
    /// Processor model.
    pub cpu: String,
    /// Logical processors.
    pub cpus: u32,
    /// Threads the trainer used.
    pub threads: u32,
    /// Main memory.
    pub memory_bytes: u64,
    /// Where tensors lived: `cpu`, `cuda:0`.
    pub device: String,
    /// Names of accelerators.
    pub accelerators: Vec<String>,
    /// Environment variables that change results, from a fixed list.
    pub variables: BTreeMap<String, String>,
    /// The code it ran from, where the workspace lies in a git tree.
    pub git: Option<Git>,
    /// Digest of the code's Cargo.lock, where there is one.
    pub cargo_lock: Option<Digest>,
}

/// State of a git tree.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct Git {
    /// Commit of HEAD.
    pub commit: String,
    /// Branch, unless HEAD is detached.
    pub branch: Option<String>,
    /// Whether tracked files differ from the commit.
    pub dirty: bool,
    /// Digest of the difference, secrets masked; an artifact of the run.
    pub diff: Option<Digest>,
}

/// A run was sorted into a category.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct RunClassified {
    /// The category.
    pub category: Category,
    /// The rule that decided, such as `baseline tag`.
    pub rule: String,
    /// The words of name or tags that matched.
    pub matched: Vec<String>,
    /// Revision of the policy whose words were used; version 1 did not tell.
    pub policy_revision: Option<u64>,
}

/// The trainer knows how much work lies ahead; early stopping may end it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct RunPlanned {
    /// The attempt.
    pub attempt: u32,
    /// Optimizer updates over all epochs.
    pub steps: u64,
    /// Passes over the training rows.
    pub epochs: u32,
    /// Updates done before, where the attempt resumes from a training checkpoint.
    pub resumed_at_step: Option<u64>,
}

/// Points were measured.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct MetricsRecorded {
    /// The attempt that measured them; of points with equal step the last attempt's count.
    pub attempt: u32,
    /// The points.
    pub batch: MetricBatch,
}

/// A training checkpoint is whole on disk.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct TrainCheckpointSaved {
    /// The attempt.
    pub attempt: u32,
    /// Optimiser updates done.
    pub step: u64,
    /// Passes over the training rows done.
    pub epoch: u32,
    /// Its folder, relative to the run's.
    pub path: String,
    /// Digest of its manifest, which holds the digest of each file.
    pub digest: Digest,
    /// Size of its files.
    pub bytes: u64,
    /// Whether it is the best so far by the metric the run selects on.
    pub best: bool,
}

/// A training checkpoint was removed to make room, as the run's configuration asks.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct TrainCheckpointPruned {
    /// Optimiser updates done when it was saved.
    pub step: u64,
    /// Its folder, relative to the run's.
    pub path: String,
}

/// A file of the run has its final bytes.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct ArtifactStored {
    /// What it is: `weights`, `config`, `vocabulary`, `labels`, `training_info`, `log`, `diff`.
    pub name: String,
    /// Its path, relative to the run's folder; none for what lives in the blob store only.
    pub path: Option<String>,
    /// Digest of its bytes.
    pub digest: Digest,
    /// SHA-256 of its bytes; none where it was not recorded.
    pub sha256: Option<Sha256Digest>,
    /// Its size.
    pub bytes: u64,
    /// Whether its bytes are in the blob store.
    pub blob: bool,
}

/// The run ended by itself, as a rule with a model.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct RunFinished {
    /// The attempt.
    pub attempt: u32,
    /// Seconds from start to end.
    pub duration_seconds: f64,
    /// Optimiser updates done.
    pub steps: u64,
    /// Passes over the training rows done.
    pub epochs: u32,
    /// The point whose weights the model has.
    pub best: Option<BestPoint>,
    /// Values at the best point, by name and split.
    pub metrics: Vec<FinalMetric>,
    /// Predictions against labels, by split.
    pub evaluations: Vec<Evaluation>,
    /// Trainable numbers, where they are known.
    pub parameter_count: Option<u64>,
    /// Size of the weights.
    pub model_bytes: u64,
    /// Digest of the weights; none where a script kept none.
    pub weights: Option<Digest>,
    /// Training rows seen per second, evaluation left out; none where nobody counted.
    pub rows_per_second: Option<f64>,
}

/// The point a run selected.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct BestPoint {
    /// Optimiser updates done.
    pub step: u64,
    /// Passes over the training rows done.
    pub epoch: u32,
    /// The metric it was selected by.
    pub metric: String,
    /// Its value on the valid split.
    pub value: f64,
}

/// The run ended without a model.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct RunFailed {
    /// The attempt.
    pub attempt: u32,
    /// Why, in one line: `engine killed by signal 9 (SIGKILL)`.
    pub reason: String,
    /// The signal that ended the trainer.
    pub signal: Option<i32>,
    /// The trainer's exit code.
    pub exit_code: Option<i32>,
    /// The last lines the trainer wrote to its error output.
    pub stderr_tail: String,
}

/// The run was stopped before its end, or its supervisor was gone.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct RunInterrupted {
    /// The attempt.
    pub attempt: u32,
    /// Why: `Ctrl-C`, or `the supervisor (pid 7 on ward-3) is gone`.
    pub reason: String,
    /// Optimiser updates of the last training checkpoint that is whole on disk.
    pub resumable_step: Option<u64>,
}

/// The run goes on from a training checkpoint.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct RunResumed {
    /// The attempt that begins: one more than the last.
    pub attempt: u32,
    /// Optimiser updates done before it.
    pub step: u64,
    /// Folder of the training checkpoint, relative to the run's.
    pub checkpoint: String,
    /// Where it runs now.
    pub environment: Environment,
    /// The program that trains.
    pub trainer: String,
}

/// The run was trained again from its record, as a run of its own.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct RunReproduced {
    /// The run that did it.
    pub by: RunId,
    /// Whether its weights and all its recorded numbers are the same.
    pub equal: bool,
    /// Digest of its weights.
    pub weights: Digest,
    /// The first recorded number that is another one; none where only the weights differ.
    pub difference: Option<NumberDifference>,
    /// What was different where it ran: reasons why numbers may differ.
    pub environment: Vec<EnvironmentDifference>,
}

/// A recorded number that came out as another one.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct NumberDifference {
    /// The metric.
    pub metric: String,
    /// Where it was measured.
    pub split: Option<Split>,
    /// Optimiser updates done.
    pub step: u64,
    /// In the run; none where it recorded none there.
    pub recorded: Option<f64>,
    /// In the run that reproduced it.
    pub found: Option<f64>,
}

/// Something that decides numbers and was different.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentDifference {
    /// `threads`, `cpu`, `libtorch`, `annals`, `device`, `accelerators`, `variables`, `trainer`.
    pub what: String,
    /// Where the run ran.
    pub recorded: String,
    /// Where the other one ran.
    pub found: String,
}

/// The run was judged by the policy then in force.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct CandidateAssessed {
    /// Revision of the policy.
    pub policy_revision: u64,
    /// Whether every rule is met.
    pub candidate: bool,
    /// Every rule that applies.
    pub rules: Vec<RuleResult>,
}

/// Words for finding the run came and went.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct RunTagged {
    /// New ones.
    pub added: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
}

/// The beginning of the note of a run whose code could not be read with git.
pub const CODE_NOT_RECORDED: &str = "the commit and the changes of the code are not recorded: ";

/// Somebody wrote something down about the run.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct RunNoted {
    /// What.
    pub text: String,
}

/// The run stays where it is, whatever the rules about old runs say.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct RunPinned {
    /// Why.
    pub reason: Option<String>,
}

/// The rules about old runs apply to the run again.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct RunUnpinned {
    /// Why.
    pub reason: Option<String>,
}

/// The experiment has another name; its unique name, its folder and its id stay.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct RunRenamed {
    /// Before.
    pub old: String,
    /// From here on.
    pub new: String,
}

/// Whoever began the run lets somebody else record facts of it, or does so no more.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct RunShared {
    /// The person, by name.
    pub person: String,
    /// Whether they may from here on.
    pub allowed: bool,
}

/// The run's files lie in an archive.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct RunArchived {
    /// Which.
    pub archive: Archive,
    /// Its folder from here on, relative to the workspace.
    pub folder: String,
    /// The rule that asked for it; none where a person did.
    pub rule: Option<String>,
    /// Why, in words.
    pub reason: String,
    /// Revision of the policy in force.
    pub policy_revision: u64,
    /// The files that were packed into one.
    pub packed: Option<PackedFiles>,
    /// The files that were not kept.
    pub dropped: Vec<DroppedFile>,
    /// Size of its files before.
    pub bytes_before: u64,
    /// Size of its files from here on.
    pub bytes_after: u64,
    /// The move.
    pub file_move: MoveId,
}

/// Files packed into one.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct PackedFiles {
    /// How.
    pub pack: Pack,
    /// Digest of the one file.
    pub digest: Digest,
    /// SHA-256 of the one file; none where it was not recorded.
    pub sha256: Option<Sha256Digest>,
    /// Its size.
    pub bytes: u64,
}

/// A file that was not kept; what is known of it stays.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct DroppedFile {
    /// Its path, relative to the run's folder.
    pub path: String,
    /// Digest of its bytes.
    pub digest: Digest,
    /// SHA-256 of its bytes; none where it was not recorded.
    pub sha256: Option<Sha256Digest>,
    /// Its size.
    pub bytes: u64,
}

/// The run's files are back from an archive.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct RunRestored {
    /// Its folder from here on, relative to the workspace.
    pub folder: String,
    /// Why.
    pub reason: Option<String>,
    /// Dropped files that came back from the blob store.
    pub recovered: Vec<DroppedFile>,
    /// The move.
    pub file_move: MoveId,
}

/// The run's files are gone; its metrics and the digests of its files stay.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct RunDeleted {
    /// Digest of the consolidation plan that asked for it.
    pub plan: Digest,
    /// Why, in words.
    pub reason: String,
    /// Revision of the policy in force.
    pub policy_revision: u64,
    /// The files that were there.
    pub files: Vec<DroppedFile>,
    /// Their size.
    pub bytes: u64,
    /// The move.
    pub file_move: MoveId,
}

/// The run's files lie where another layout has them.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct RunRelocated {
    /// Its folder from here on, relative to the workspace.
    pub folder: String,
    /// Its folder while it is active.
    pub home: String,
    /// Files that are called otherwise in it from here on.
    pub renamed: Vec<RenamedFile>,
    /// The move.
    pub file_move: MoveId,
}

/// A file that is called otherwise in its folder.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct RenamedFile {
    /// Its path inside the run's folder before.
    pub from: String,
    /// From here on.
    pub to: String,
}
