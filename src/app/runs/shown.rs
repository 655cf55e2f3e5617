//! One run with everything that is known about it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::records::log::Names;
use crate::app::runs::analysis::RunOrigin;
use crate::app::runs::train::Baseline;
use crate::app::{Error, Progress, Result, Workspace, records, runs};
use crate::base::{RunId, Split, Timestamp};
use crate::domain::Provenance;
use crate::domain::metric::{Evaluation, FinalMetric};
use crate::domain::run::{Category, RunStatus, UnrecordedSeries, Unstated};
use crate::model::settings::class_weights;
use crate::projection::runs::{Archived, Deleted, Planned, RunDetails};

/// One run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RunShown {
    /// Its unique name.
    pub experiment_id: String,
    /// The name of the experiment.
    pub experiment_name: String,
    /// Its folder, relative to the workspace.
    pub folder: String,
    /// Its archive; null while it is active.
    pub archive: Option<Archived>,
    /// When and why its files were deleted; null while they are kept.
    pub deleted: Option<Deleted>,
    /// What it is for.
    pub description: String,
    /// Words for finding it.
    pub tags: Vec<String>,
    /// How far it got.
    pub status: RunStatus,
    /// Debug or baseline.
    pub category: Category,
    /// The rule that decided the category.
    pub category_rule: String,
    /// The words that matched that rule.
    pub category_words: Vec<String>,
    /// Whether retention rules leave it alone.
    pub pinned: bool,
    /// Who else may record facts of it.
    pub shared_with: Vec<String>,
    /// Others who recorded facts of it.
    pub recorded_by: Vec<String>,
    /// Notes, oldest first.
    pub notes: Vec<NoteShown>,
    /// The name of the configuration.
    pub config_name: String,
    /// BLAKE3 digest of the configuration.
    pub config_digest: String,
    /// Parameters by name, each value as JSON text.
    pub parameters: BTreeMap<String, String>,
    /// The seed; null where it was not stated.
    pub seed: Option<u64>,
    /// Whether the data was generated; null where that was not stated.
    pub synthetic: Option<bool>,
    /// Valid and test rows that are also training rows; null where that was not stated.
    pub leaked_rows: Option<u64>,
    /// Facts that were not stated.
    pub unstated: Vec<Unstated>,
    /// Rows of each split.
    pub rows: Vec<(Split, u64)>,
    /// The labels, in the order of the outputs of the model.
    pub labels: Vec<String>,
    /// How the final values came to the log.
    pub provenance: Option<Provenance>,
    /// Final values.
    pub metrics: Vec<FinalMetric>,
    /// Series with values that were not recorded, and why.
    pub unrecorded: Vec<UnrecordedSeries>,
    /// Predictions against labels.
    pub evaluations: Vec<Evaluation>,
    /// Seconds from start to end; null while it runs.
    pub duration_seconds: Option<f64>,
    /// Why it failed or was interrupted.
    pub reason: Option<String>,
    /// What the training planned.
    pub planned: Option<Planned>,
    /// Trainable numbers.
    pub parameter_count: Option<u64>,
    /// Size of the model.
    pub model_bytes: Option<u64>,
    /// BLAKE3 digest of the weights.
    pub weights: Option<String>,
    /// Its files: what each is, its path in the folder of the run, its BLAKE3 digest, and its
    /// SHA-256 digest where that was recorded.
    pub artifacts: Vec<(String, Option<String>, String, Option<String>)>,
    /// Files that were not kept.
    pub dropped: Vec<String>,
    /// Whether it met every rule when it finished.
    pub candidate: Option<bool>,
    /// Trainings that reproduced it.
    pub reproductions: Vec<ReproductionShown>,
    /// Position of its start.
    pub started_position: u64,
    /// Position of its end.
    pub ended_position: Option<u64>,
    /// The run.
    pub run_id: RunId,
    /// Who started it, and whether that is claimed or signed.
    pub started_by: String,
    /// When it started.
    pub started: Timestamp,
    /// The program, machine and code it was recorded with.
    pub origin: Option<RunOrigin>,
    /// The class weights of the training; null where they were not stated.
    pub class_weights: Option<String>,
    /// How far a running training is.
    pub progress: Option<Progress>,
    /// Scores of the baseline on the same test rows, where the verb trained one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tfidf_logreg_on_the_same_rows: Option<Baseline>,
}

/// A training that reproduced a run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReproductionShown {
    /// The run that it made.
    pub run: String,
    /// Whether the results are equal.
    pub equal: bool,
}

/// A note about a run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct NoteShown {
    /// When it was recorded.
    pub at: Timestamp,
    /// The text.
    pub text: String,
}

/// A run with everything that is known about it now.
///
/// # Errors
/// When log or views cannot be read.
pub fn run_shown(workspace: &Workspace, run: RunDetails) -> Result<RunShown> {
    records::warn_of_violations(workspace, &workspace.snapshot()?, run.run())?;
    let start = records::event(workspace, run.started_position)?;
    let supervised = start.invocation.filter(|_| start.provenance != Provenance::Reported.word());
    let status = workspace.status_now(run.status, supervised)?;
    let progress = match status {
        RunStatus::Running => workspace.progress(&workspace.snapshot()?, &run)?,
        _ => None,
    };
    let parameters: BTreeMap<String, String> = run.parameters.iter().cloned().collect();
    let origin_stated = run.synthetic || run.stated(Unstated::DataOrigin);
    Ok(RunShown {
        seed: run.stated(Unstated::Seed).then_some(run.seed),
        synthetic: origin_stated.then_some(run.synthetic),
        leaked_rows: run.stated(Unstated::LeakedRows).then_some(run.leaked_rows),
        origin: runs::origin(workspace, &run)?,
        run_id: run.run(),
        started_by: format!("{} ({})", start.actor, start.identity),
        started: Timestamp(run.started),
        status,
        class_weights: class_weights(&parameters).map(plain_value),
        progress,
        tfidf_logreg_on_the_same_rows: None,
        experiment_id: run.experiment_id,
        experiment_name: run.experiment_name,
        folder: run.folder,
        archive: run.archive,
        deleted: run.deleted,
        description: run.description,
        tags: run.tags,
        category: run.category,
        category_rule: run.category_rule,
        category_words: run.category_words,
        pinned: run.pinned,
        shared_with: run.shared_with,
        recorded_by: names(workspace, &run.recorded_by)?,
        notes: run
            .notes
            .into_iter()
            .map(|(at, text)| NoteShown { at: Timestamp(at), text })
            .collect(),
        config_name: run.config_name,
        config_digest: run.config_digest,
        parameters,
        unstated: run.unstated,
        rows: run.rows,
        labels: run.labels,
        provenance: run.provenance,
        metrics: run.metrics,
        unrecorded: run.unrecorded,
        evaluations: run.evaluations,
        duration_seconds: run.duration_seconds,
        reason: run.reason,
        planned: run.planned,
        parameter_count: run.parameter_count,
        model_bytes: run.model_bytes,
        weights: run.weights,
        artifacts: run.artifacts,
        dropped: run.dropped,
        candidate: run.candidate,
        reproductions: run
            .reproductions
            .into_iter()
            .map(|(run, equal)| ReproductionShown { run, equal })
            .collect(),
        started_position: run.started_position,
        ended_position: run.ended_position,
    })
}

/// A recorded value without the quotes of JSON around a simple word.
pub fn plain_value(value: &str) -> String {
    let is_simple = |text: &str| {
        let simple = |c: char| c.is_alphanumeric() || "_-./@".contains(c);
        !text.is_empty() && text.chars().all(simple)
    };
    match serde_json::from_str::<serde_json::Value>(value) {
        Ok(serde_json::Value::String(text)) if is_simple(&text) => text,
        _ => value.to_owned(),
    }
}

fn names(workspace: &Workspace, actors: &[u64]) -> Result<Vec<String>> {
    workspace.store.read(|log| {
        let mut names = Names::default();
        Ok::<_, Error>(actors.iter().map(|at| names.actor(log, *at)).collect())
    })
}
