//! Runs: a small row each for lists, and a large one for judging, comparing and the registry.

use rkyv::{Archive, Deserialize, Serialize};
use schemars::JsonSchema;
use serde::Serialize as Json;

use super::registry::FileRow;
use super::row::{pack, unpack};
use super::run_details::apply_details;
use super::{Definition, Kv, Snapshot, ViewError};
use crate::base::{RunId, Split, Timestamp};
use crate::domain::metric::{Evaluation, FinalMetric};
use crate::domain::policy::{Assessment, Policy, assess};
use crate::domain::run::{
    Archive as Place, Category, RunEvent, RunEvidence, RunStatus, TestRows, UnrecordedSeries,
    Unstated, is_model,
};
use crate::domain::{EnvelopeRef, Event, Kind, Provenance};

pub use super::run_list::{RunLine, RunList};

const KINDS: &[Kind] = &[
    RunEvent::STARTED,
    RunEvent::PLANNED,
    RunEvent::CLASSIFIED,
    RunEvent::ARTIFACT_STORED,
    RunEvent::FINISHED,
    RunEvent::FAILED,
    RunEvent::INTERRUPTED,
    RunEvent::RESUMED,
    RunEvent::ASSESSED,
    RunEvent::REPRODUCED,
    RunEvent::METRICS_UNRECORDED,
    RunEvent::TAGGED,
    RunEvent::NOTED,
    RunEvent::PINNED,
    RunEvent::UNPINNED,
    RunEvent::RENAMED,
    RunEvent::SHARED,
    RunEvent::ARCHIVED,
    RunEvent::RESTORED,
    RunEvent::DELETED,
    RunEvent::RELOCATED,
];

/// The small rows.
pub(super) const VIEW: Definition =
    Definition { name: "runs", revision: 7, kinds: KINDS, apply: apply_envelope };

/// The large rows.
pub(super) const DETAILS: Definition =
    Definition { name: "run_details", revision: 10, kinds: KINDS, apply: apply_details };

/// How far a run got, as rows keep it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize, Json)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Under way, if its supervisor is alive.
    #[default]
    Running,
    /// Ended with a model.
    Finished,
    /// Ended without a model.
    Failed,
    /// Stopped.
    Interrupted,
}

impl Status {
    /// The word used in files and tables.
    pub fn word(self) -> &'static str {
        RunStatus::from(self).word()
    }
}

impl From<Status> for RunStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Running => Self::Running,
            Status::Finished => Self::Finished,
            Status::Failed => Self::Failed,
            Status::Interrupted => Self::Interrupted,
        }
    }
}

/// A small row as it is stored; `RunLine` is how it is read.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub(super) struct RunRow {
    pub(super) id: [u8; 16],
    pub(super) experiment_id: String,
    pub(super) name: String,
    pub(super) status: Status,
    pub(super) category: Category,
    pub(super) pinned: bool,
    pub(super) archive: Option<Place>,
    pub(super) deleted: bool,
    pub(super) synthetic: bool,
    pub(super) origin_stated: bool,
    pub(super) started: i64,
    pub(super) seconds: Option<f64>,
    pub(super) accuracy: Option<f64>,
    pub(super) f1_macro: Option<f64>,
    pub(super) unsplit: bool,
    pub(super) position: u64,
    pub(super) invocation: Option<u64>,
}

/// A run in an archive.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize, Json, JsonSchema)]
pub struct Archived {
    /// Which.
    pub archive: Place,
    /// Since when, in nanoseconds since 1970.
    #[serde(skip)]
    pub at: i64,
    /// The rule that asked for it; none where a person did.
    pub rule: Option<String>,
    /// Why, in words.
    pub reason: String,
    /// Revision of the policy then in force.
    pub policy_revision: u64,
    /// The file that holds what was packed.
    pub packed: Option<String>,
    /// Size of its files before.
    pub bytes_before: u64,
    /// Size of its files since.
    pub bytes_after: u64,
    /// Position of the event.
    pub position: u64,
}

/// A run whose files are gone.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize, Json, JsonSchema)]
pub struct Deleted {
    /// Since when, in nanoseconds since 1970.
    #[serde(skip)]
    pub at: i64,
    /// Digest of the consolidation plan that asked for it.
    pub plan: String,
    /// Why, in words.
    pub reason: String,
    /// What it had: path, digest and size, and SHA-256 where it was recorded.
    pub files: Vec<FileRow>,
    /// Their size.
    pub bytes: u64,
    /// Position of the event.
    pub position: u64,
}

/// The work that an attempt planned.
#[derive(Clone, Copy, Debug, PartialEq, Archive, Serialize, Deserialize, Json, JsonSchema)]
pub struct Planned {
    /// Optimizer updates over all epochs.
    pub steps: u64,
    /// Passes over the training rows.
    pub epochs: u32,
    /// Updates done by earlier attempts.
    pub from: u64,
    /// When that was recorded, in nanoseconds since 1970.
    #[serde(skip)]
    pub at: i64,
}

/// Everything the registry and the rules need of a run.
#[derive(Clone, Debug, Default, PartialEq, Archive, Serialize, Deserialize, Json)]
pub struct RunDetails {
    /// The run's id.
    #[serde(skip)]
    pub id: [u8; 16],
    /// The unique name.
    pub experiment_id: String,
    /// The experiment's name.
    pub experiment_name: String,
    /// The folder, relative to the workspace.
    pub folder: String,
    /// The archive it lies in; none while it is active.
    pub archive: Option<Archived>,
    /// What is known of its files since they are gone.
    pub deleted: Option<Deleted>,
    /// What it is for.
    pub description: String,
    /// Words for finding it.
    pub tags: Vec<String>,
    /// Who started it: position of the actor's registration.
    #[serde(skip)]
    pub actor: u64,
    /// How far it got.
    pub status: Status,
    /// Debug or baseline.
    pub category: Category,
    /// The rule that sorted it.
    pub category_rule: String,
    /// The words of name or tags that the rule found.
    pub category_words: Vec<String>,
    /// Whether the rules about old runs leave it alone.
    pub pinned: bool,
    /// Position of the actor who began it.
    pub owner: u64,
    /// Who else may record facts of it, by name.
    pub shared_with: Vec<String>,
    /// Positions of others who recorded facts of it.
    pub recorded_by: Vec<u64>,
    /// What people wrote down about it: when, in nanoseconds since 1970, and what.
    pub notes: Vec<(i64, String)>,
    /// Name of the configuration.
    pub config_name: String,
    /// Digest of the configuration.
    pub config_digest: String,
    /// The settings that decided something, flattened, without the seed.
    pub parameters: Vec<(String, String)>,
    /// Everything random follows from it.
    pub seed: u64,
    /// Digest over what it learnt from: the digests of its files, or how its data was generated.
    #[serde(skip)]
    pub data: [u8; 32],
    /// Digest over its configuration without the seed, and its labels.
    #[serde(skip)]
    pub question: [u8; 32],
    /// Which rows it was tested on.
    #[serde(skip)]
    pub test_rows: TestRows,
    /// Whether its data was generated.
    pub synthetic: bool,
    /// Valid and test rows whose text stands in the training rows.
    pub leaked_rows: u64,
    /// Facts that nobody stated: what stands in their place is no fact.
    pub unstated: Vec<Unstated>,
    /// Rows of each split.
    pub rows: Vec<(Split, u64)>,
    /// The labels, in the order of the model's outputs.
    pub labels: Vec<String>,
    /// How its final metrics came to the log.
    pub provenance: Option<Provenance>,
    /// Final values.
    pub metrics: Vec<FinalMetric>,
    /// Values that are no points of the run, and why.
    pub unrecorded: Vec<UnrecordedSeries>,
    /// Predictions against labels.
    pub evaluations: Vec<Evaluation>,
    /// When it began, in nanoseconds since 1970.
    #[serde(skip)]
    pub started: i64,
    /// When it ended.
    #[serde(skip)]
    pub ended: Option<i64>,
    /// Seconds from start to end.
    pub duration_seconds: Option<f64>,
    /// Why it failed or was interrupted.
    pub reason: Option<String>,
    /// The work that its last attempt planned.
    pub planned: Option<Planned>,
    /// Trained weights.
    pub parameter_count: Option<u64>,
    /// Size of the weights.
    pub model_bytes: Option<u64>,
    /// Digest of the weights.
    pub weights: Option<String>,
    /// Files: what, path, digest, and SHA-256 where it was recorded.
    pub artifacts: Vec<(String, Option<String>, String, Option<String>)>,
    /// Paths of files that were not kept when it was archived.
    pub dropped: Vec<String>,
    /// Whether it met the rules then in force.
    pub candidate: Option<bool>,
    /// The runs that trained it again, and whether with the same weights and numbers.
    pub reproductions: Vec<(String, bool)>,
    /// Position of its start.
    pub started_position: u64,
    /// Position of its end.
    pub ended_position: Option<u64>,
}

impl RunDetails {
    /// Whether its files are where active runs lie.
    pub fn is_active(&self) -> bool {
        self.archive.is_none() && self.deleted.is_none()
    }

    /// The run's id.
    pub fn run(&self) -> RunId {
        RunId(self.id)
    }

    /// A final value.
    pub fn metric(&self, name: &str, split: Split) -> Option<f64> {
        let found = |m: &&FinalMetric| m.key.name == name && m.key.split == Some(split);
        self.metrics.iter().find(found).map(|m| m.value)
    }

    /// The run against the rules.
    pub fn assess(&self, policy: &Policy) -> Assessment {
        assess(policy, self)
    }
}

impl<'a> From<&'a RunDetails> for RunEvidence<'a> {
    fn from(run: &'a RunDetails) -> Self {
        let equal = run.reproductions.iter().filter(|(_, equal)| *equal);
        Self {
            status: run.status.into(),
            category: run.category,
            synthetic: run.synthetic,
            leaked_rows: run.leaked_rows,
            origin_stated: run.stated(Unstated::DataOrigin),
            leakage_stated: run.stated(Unstated::LeakedRows),
            rows: &run.rows,
            provenance: run.provenance,
            metrics: &run.metrics,
            evaluations: &run.evaluations,
            unrecorded: &run.unrecorded,
            reproduced: u32::try_from(equal.count()).unwrap_or(u32::MAX),
            has_model: run.artifacts.iter().any(|(name, ..)| is_model(name)),
        }
    }
}

fn apply_envelope(
    kv: &mut dyn Kv,
    envelope: &EnvelopeRef<'_>,
    event: &Event,
) -> Result<(), ViewError> {
    let Event::Run(event) = event else { return Ok(()) };
    let key = envelope.header.stream.entity;
    let mut row = match (kv.get(&key)?, event) {
        (_, RunEvent::Started(started)) => RunRow {
            id: key,
            experiment_id: started.experiment_id.clone(),
            name: started.name.clone(),
            status: Status::Running,
            category: Category::Baseline,
            pinned: false,
            archive: None,
            deleted: false,
            synthetic: started.data.synthetic.is_some(),
            origin_stated: !started.unstated.contains(&Unstated::DataOrigin),
            started: envelope.header.dated().0,
            seconds: None,
            accuracy: None,
            f1_macro: None,
            unsplit: false,
            position: envelope.header.position,
            // A script that reports has no process whose end could be noticed.
            invocation: envelope
                .header
                .invocation
                .filter(|_| envelope.header.provenance != Provenance::Reported),
        },
        (Some(row), _) => unpack::<RunRow>(&VIEW, &row)?,
        (None, _) => return Ok(()),
    };
    let seconds = envelope.header.dated().seconds_since(Timestamp(row.started));
    match event {
        RunEvent::Classified(classified) => row.category = classified.category,
        RunEvent::Pinned(_) => row.pinned = true,
        RunEvent::Unpinned(_) => row.pinned = false,
        RunEvent::Renamed(renamed) => row.name.clone_from(&renamed.new),
        RunEvent::Archived(archived) => row.archive = Some(archived.archive),
        RunEvent::Restored(_) => row.archive = None,
        RunEvent::Deleted(_) => (row.archive, row.deleted) = (None, true),
        RunEvent::Finished(finished) => {
            let value = |name: &str, split| {
                let found = |m: &&FinalMetric| m.key.name == name && m.key.split == split;
                finished.metrics.iter().find(found).map(|m| m.value)
            };
            let both = |split| (value("accuracy", split), value("f1_macro", split));
            row.status = Status::Finished;
            row.unsplit = both(Some(Split::Test)) == (None, None);
            let split = (!row.unsplit).then_some(Split::Test);
            (row.accuracy, row.f1_macro) = both(split);
            row.seconds = Some(finished.duration_seconds);
        }
        RunEvent::Failed(_) => (row.status, row.seconds) = (Status::Failed, Some(seconds)),
        RunEvent::Interrupted(_) => {
            (row.status, row.seconds) = (Status::Interrupted, Some(seconds));
        }
        RunEvent::Resumed(_) => {
            (row.status, row.seconds) = (Status::Running, None);
            row.invocation = envelope.header.invocation;
        }
        _ => {}
    }
    kv.put(&key, pack(&row))
}

impl Snapshot {
    /// One run in full.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn run(&self, id: RunId) -> Result<Option<RunDetails>, ViewError> {
        self.get(&DETAILS, &id.0)?.map(|row| unpack(&DETAILS, &row)).transpose()
    }

    /// Every run in full, in the order they began.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn run_details(&self) -> Result<Vec<RunDetails>, ViewError> {
        let mut runs = Vec::new();
        self.scan(&DETAILS, &[], |_, row| {
            runs.push(unpack::<RunDetails>(&DETAILS, row)?);
            Ok(())
        })?;
        runs.sort_by_key(|run: &RunDetails| run.started_position);
        Ok(runs)
    }
}
