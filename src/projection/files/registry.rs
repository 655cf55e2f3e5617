//! `models_registry.json`: every run with its final values, and the best ones.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::super::best::{Admission, Best};
use super::super::runs::{RunDetails, Status};
use super::super::{Snapshot, ViewError};
use super::ExportFacts;
use crate::base::{Split, Timestamp};
use crate::domain::run::Category;

/// The file.
#[derive(Serialize, JsonSchema)]
pub(super) struct RunRegistry {
    project_name: String,
    created_at: Option<Timestamp>,
    last_updated: Option<Timestamp>,
    models: BTreeMap<String, Model>,
    best_models: BTreeMap<&'static str, Best>,
}

#[derive(Serialize, JsonSchema)]
struct Model {
    experiment_name: String,
    experiment_category: Category,
    tags: Vec<String>,
    pinned: bool,
    status: &'static str,
    config_hash: String,
    created_at: Timestamp,
    completed_at: Option<Timestamp>,
    final_metrics: BTreeMap<String, f64>,
    best_metrics: BTreeMap<String, f64>,
    synthetic_data: bool,
    run_id: String,
    /// `active`, an archive, or `removed`: only metrics and digests are left then.
    location: &'static str,
}

pub(super) fn file(facts: &ExportFacts, views: &Snapshot) -> Result<RunRegistry, ViewError> {
    let mut models = BTreeMap::new();
    for run in &facts.runs {
        // The files follow what begins, ends and is decided, not every point of a run under way:
        // else they would be stale all through a training.
        let measured = match run.status {
            Status::Running => vec![],
            _ => views.metrics(run.run())?,
        };
        let best = measured.into_iter().map(|row| {
            let split = row.split.map_or(String::new(), |s| format!("{}_", s.word()));
            (format!("{split}{}", row.name), row.best.1)
        });
        let model = Model {
            experiment_name: run.experiment_name.clone(),
            experiment_category: run.category,
            tags: run.tags.clone(),
            pinned: run.pinned,
            status: word(run.status),
            config_hash: run.config_digest.chars().take(8).collect(),
            created_at: Timestamp(run.started),
            completed_at: run.ended.map(Timestamp),
            final_metrics: final_metrics(run),
            best_metrics: best.collect(),
            synthetic_data: run.synthetic,
            run_id: run.run().to_string(),
            location: match (&run.deleted, &run.archive) {
                (Some(_), _) => "removed",
                (None, Some(archived)) => archived.archive.word(),
                (None, None) => "active",
            },
        };
        models.insert(run.experiment_id.clone(), model);
    }
    let best_models = views
        .best(Admission::Measured)?
        .best
        .into_iter()
        .map(|best| (best.role.word(), best))
        .collect();
    Ok(RunRegistry {
        project_name: facts.project.clone(),
        created_at: facts.created_at,
        last_updated: facts.last_updated,
        models,
        best_models,
    })
}

/// The word the old readers know.
pub(super) fn word(status: Status) -> &'static str {
    match status {
        Status::Finished => "completed",
        other => other.word(),
    }
}

/// Final values on the test split, by name; on the others with the split in front.
pub(super) fn final_metrics(run: &RunDetails) -> BTreeMap<String, f64> {
    let named = run.metrics.iter().map(|metric| match metric.key.split {
        None | Some(Split::Test) => (metric.key.name.clone(), metric.value),
        Some(split) => (format!("{}_{}", split.word(), metric.key.name), metric.value),
    });
    named.collect()
}
