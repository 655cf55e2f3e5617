//! Requests about one run.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    ArchiveFacts, ArtifactStored, BestPoint, Category, DataRecord, Environment,
    EnvironmentDifference, NumberDifference, PackedFiles, RunEdit, RunFinished, RunReproduced,
    RunStarted, UnrecordedSeries, Unstated,
};
use crate::base::{Digest, FileDigests, RunId, Sha256Digest};
use crate::domain::file_move::MovePlan;
use crate::domain::metric::{Evaluation, FinalMetric, MetricBatch};

/// What can be asked of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum RunCommand {
    /// Begin it, in the category that somebody chose or by the words of its name and tags.
    Start(Box<RunStart>, Option<Category>),
    /// Go on from a training checkpoint.
    Resume {
        /// Optimiser updates done before.
        step: u64,
        /// Folder of the training checkpoint, relative to the run's.
        checkpoint: String,
        /// Where it runs now.
        environment: Box<Environment>,
        /// The program that trains.
        trainer: String,
    },
    /// Note how much work lies ahead.
    Plan {
        /// Optimiser updates over all epochs.
        steps: u64,
        /// Passes over the training rows.
        epochs: u32,
        /// Updates done before, where the attempt resumes from a training checkpoint.
        resumed_at_step: Option<u64>,
    },
    /// Take in points.
    RecordMetrics(MetricBatch),
    /// Note values that are no points.
    NoteUnrecorded(UnrecordedValues),
    /// Note a training checkpoint.
    SaveCheckpoint {
        /// Optimiser updates done.
        step: u64,
        /// Passes over the training rows done.
        epoch: u32,
        /// Its folder, relative to the run's.
        path: String,
        /// Digest of its manifest.
        digest: Digest,
        /// Size of its files.
        bytes: u64,
        /// Whether it is the best so far by the metric the run selects on.
        best: bool,
    },
    /// Note that a training checkpoint was removed.
    PruneCheckpoint {
        /// Optimiser updates done when it was saved.
        step: u64,
        /// Its folder, relative to the run's.
        path: String,
    },
    /// Note a file.
    StoreArtifact(StoredFile),
    /// End it.
    End(Ending),
    /// Note what came of training it again.
    Reproduce(Box<Reproduction>),
    /// Change what people say about it.
    Edit(RunEdit),
    /// Check that it may go into an archive now; makes no event. The files move after it.
    AllowArchive(ArchiveFacts),
    /// Check that its files may be removed now; makes no event.
    AllowRemoval(ArchiveFacts),
    /// Check that it may come back from its archive now; makes no event.
    AllowRestore,
    /// Note that its files are where a move brought them, or gone.
    NoteMoved(Box<MovePlan>, Option<PackedFiles>),
}

/// How a run ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// By itself, with a model.
    Finish(Box<RunOutcome>),
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

/// What a run begins with.
#[derive(Clone, Debug, PartialEq)]
pub struct RunStart {
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
    /// Where it runs.
    pub environment: Environment,
    /// The program that trains, such as `annals-engine 0.1.0`.
    pub trainer: String,
    /// Facts that nobody stated: what stands in their place above is no fact.
    pub unstated: BTreeSet<Unstated>,
}

/// What a run comes to that ends by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct RunOutcome {
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

/// A file of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StoredFile {
    /// What it is: `weights`, `config`, `vocabulary`, `labels`, `training_info`, `log`, `diff`.
    pub name: String,
    /// Its path, relative to the run's folder; none for what lives in the blob store only.
    pub path: Option<String>,
    /// Digest of its bytes.
    pub digest: Digest,
    /// SHA-256 of its bytes; none where it is not known yet.
    pub sha256: Option<Sha256Digest>,
    /// Its size.
    pub bytes: u64,
    /// Whether its bytes are in the blob store.
    pub blob: bool,
}

/// Values that were printed or reported and are no points of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnrecordedValues {
    /// By name and reason, at most a hundred.
    pub series: Vec<UnrecordedSeries>,
    /// Values of all further names.
    pub others: u64,
}

/// What came of training a run again.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Reproduction {
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

impl RunStart {
    /// The event that the first attempt begins with.
    pub fn started(self, points_signed: bool) -> RunStarted {
        let Self { run, name, experiment_id, folder, description, tags, config_name, .. } = self;
        let Self { config, parameters, seed, data, environment, trainer, unstated, .. } = self;
        RunStarted {
            run,
            name,
            experiment_id,
            folder,
            description,
            tags,
            attempt: 1,
            config_name,
            config,
            parameters,
            seed,
            data,
            environment,
            trainer,
            unstated,
            points_signed,
        }
    }
}

impl RunOutcome {
    /// The event that `attempt` ends with.
    pub fn finished(self, attempt: u32) -> RunFinished {
        let Self { duration_seconds, steps, epochs, best, metrics, evaluations, .. } = self;
        let Self { parameter_count, model_bytes, weights, rows_per_second, .. } = self;
        RunFinished {
            attempt,
            duration_seconds,
            steps,
            epochs,
            best,
            metrics,
            evaluations,
            parameter_count,
            model_bytes,
            weights,
            rows_per_second,
        }
    }
}

impl StoredFile {
    /// One whose bytes are in the blob store; `path` is where it lies in the run's folder.
    pub fn in_blobs(name: &str, path: Option<String>, digests: FileDigests, bytes: u64) -> Self {
        let (digest, sha256) = (digests.blake3, Some(digests.sha256));
        Self { name: name.to_owned(), path, digest, sha256, bytes, blob: true }
    }

    /// The event that names it.
    pub fn stored(self) -> ArtifactStored {
        let Self { name, path, digest, sha256, bytes, blob } = self;
        ArtifactStored { name, path, digest, sha256, bytes, blob }
    }
}

impl From<Reproduction> for RunReproduced {
    fn from(found: Reproduction) -> Self {
        let Reproduction { by, equal, weights, difference, environment } = found;
        Self { by, equal, weights, difference, environment }
    }
}
