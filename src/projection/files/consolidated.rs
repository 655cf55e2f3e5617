//! `models_registry_consolidated.json`: production models, runs by place, rules and counters.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::super::runs::{RunDetails, Status};
use super::super::{Snapshot, ViewError};
use super::{ExportFacts, TRACKING_VERSION};
use crate::base::{Split, Timestamp};
use crate::domain::policy::{
    DebugExperiments, FailedExperiments, NewRuns, Policy, ProductionPromotion,
};
use crate::domain::run::{Archive as Place, Category};

/// The file.
#[derive(Serialize, JsonSchema)]
pub(super) struct ConsolidatedRegistry {
    project_name: String,
    created_at: Option<Timestamp>,
    last_updated: Option<Timestamp>,
    consolidation_date: Option<Timestamp>,
    consolidation_version: &'static str,
    production_models: BTreeMap<String, ProductionModel>,
    archived_models: BTreeMap<String, Archived>,
    debug_models: BTreeMap<String, Archived>,
    model_recommendations: BTreeMap<&'static str, String>,
    consolidation_summary: Summary,
    next_steps: Vec<String>,
    active_experiments: BTreeMap<String, Active>,
    archived_experiments: BTreeMap<String, Archived>,
    removed_experiments: BTreeMap<String, Removed>,
    auto_archival_rules: ArchivalRules,
    policy_revision: u64,
    tracking_metadata: Counters,
}

/// Every rule about what is in the registry.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Policy", deny_unknown_fields)]
struct ArchivalRules {
    /// What counts as a debug run and what happens to old ones.
    debug_experiments: DebugExperiments,
    /// What happens to failed runs.
    failed_experiments: FailedExperiments,
    /// What a run must show to go into production, and who may decide it.
    production_promotion: ProductionPromotion,
    /// What a run must begin from.
    new_runs: NewRuns,
}

impl From<Policy> for ArchivalRules {
    fn from(policy: Policy) -> Self {
        Self {
            debug_experiments: policy.debug_experiments,
            failed_experiments: policy.failed_experiments,
            production_promotion: policy.production_promotion,
            new_runs: policy.new_runs,
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct ProductionModel {
    path: String,
    version: String,
    original_experiment: String,
    architecture: BTreeMap<String, serde_json::Value>,
    performance: BTreeMap<String, f64>,
    status: &'static str,
    recommendation: String,
    training_completed: Option<Timestamp>,
    promoted_at: Timestamp,
    promoted_by: String,
    approved_by: Vec<String>,
    policy_revision: u64,
    position: u64,
    in_production_since: Timestamp,
    placed_by: String,
    placed_how: String,
    placed_position: u64,
}

#[derive(Serialize, JsonSchema)]
struct Summary {
    total_experiments: usize,
    experiments_moved_to_production: usize,
    experiments_archived: usize,
    experiments_cleaned: usize,
}

#[derive(Serialize, JsonSchema)]
struct Active {
    experiment_name: String,
    created_at: Timestamp,
    experiment_category: Category,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Timestamp>,
    final_metrics: BTreeMap<String, f64>,
    promotion_candidate: bool,
    archival_pending: bool,
}

#[derive(Clone, Serialize, JsonSchema)]
struct Archived {
    experiment_name: String,
    created_at: Timestamp,
    experiment_category: Category,
    status: &'static str,
    completed_at: Option<Timestamp>,
    final_metrics: BTreeMap<String, f64>,
    archived_at: Timestamp,
    archive_location: String,
    archive_type: Place,
    automatic: bool,
    reason: String,
    policy_revision: u64,
    bytes_saved: u64,
    position: u64,
}

/// What stays of a run whose files are gone.
#[derive(Serialize, JsonSchema)]
struct Removed {
    experiment_name: String,
    created_at: Timestamp,
    experiment_category: Category,
    status: &'static str,
    completed_at: Option<Timestamp>,
    final_metrics: BTreeMap<String, f64>,
    removed_at: Timestamp,
    consolidation_plan: String,
    reason: String,
    weights: Option<String>,
    files: BTreeMap<String, String>,
    bytes_saved: u64,
    position: u64,
}

#[derive(Serialize, JsonSchema)]
struct Counters {
    tracking_version: &'static str,
    total_experiments_tracked: usize,
    experiments_promoted_to_production: usize,
    experiments_auto_archived: usize,
}

pub(super) fn file(
    facts: &ExportFacts,
    views: &Snapshot,
) -> Result<ConsolidatedRegistry, ViewError> {
    let (policy_revision, policy) = views.policy()?;
    let mut production_models = BTreeMap::new();
    for model in &facts.models {
        let run = facts.run_named(model.run());
        let (status, recommendation) = standing(run, &policy);
        let placed = &model.placed;
        let entry = ProductionModel {
            path: model.path.clone(),
            version: model.version.clone(),
            original_experiment: run.map(|r| r.experiment_id.clone()).unwrap_or_default(),
            architecture: run.map(architecture).unwrap_or_default(),
            performance: run.map(performance).unwrap_or_default(),
            status,
            recommendation,
            training_completed: run.and_then(|r| r.ended).map(Timestamp),
            promoted_at: Timestamp(model.promoted),
            promoted_by: format!("{} ({})", views.actor(model.actor)?, model.identity),
            approved_by: model.approvals.iter().map(ToString::to_string).collect(),
            policy_revision: model.policy_revision,
            position: model.position,
            in_production_since: Timestamp(model.placed.at),
            placed_by: format!("{} ({})", views.actor(placed.actor)?, placed.identity),
            placed_how: placed.how.word().into(),
            placed_position: placed.position,
        };
        production_models.insert(model.name.clone(), entry);
    }
    // A run stands in one place: who is archived is not active any more.
    let active = facts.runs.iter().filter(|run| run.is_active());
    let active = active.map(|run| {
        let pending = facts.pending.contains(&run.run());
        (run.experiment_id.clone(), active_entry(run, &policy, pending))
    });
    let archived: Vec<(&RunDetails, Archived)> = facts.runs.iter().filter_map(archived).collect();
    // Models among the archived: what ended with weights.
    let models = |debug: bool| {
        let with_model = archived.iter().filter(|(run, _)| run.status == Status::Finished);
        let sorted = with_model.filter(|(run, _)| (run.category == Category::Debug) == debug);
        sorted.map(|(run, entry)| (run.experiment_id.clone(), entry.clone())).collect()
    };
    let promoted = production_models.len();
    let removed: BTreeMap<String, Removed> = facts.runs.iter().filter_map(removed).collect();
    let consolidated = views.consolidations()?.into_iter().map(|row| row.at).max();
    let moved_to_production = facts.models.iter().map(|m| m.placed.at).max();
    Ok(ConsolidatedRegistry {
        project_name: facts.project.clone(),
        created_at: facts.created_at,
        last_updated: facts.last_updated,
        consolidation_date: consolidated.max(moved_to_production).map(Timestamp),
        consolidation_version: TRACKING_VERSION,
        archived_models: models(false),
        debug_models: models(true),
        model_recommendations: recommendations(facts),
        consolidation_summary: Summary {
            total_experiments: facts.runs.len(),
            experiments_moved_to_production: promoted,
            experiments_archived: archived.len(),
            experiments_cleaned: removed.len(),
        },
        next_steps: next_steps(facts, &policy),
        active_experiments: active.collect(),
        auto_archival_rules: policy.into(),
        policy_revision,
        tracking_metadata: Counters {
            tracking_version: TRACKING_VERSION,
            total_experiments_tracked: facts.runs.len(),
            experiments_promoted_to_production: promoted,
            // Only those that a rule asked for; the old tools counted all.
            experiments_auto_archived: archived.iter().filter(|(_, entry)| entry.automatic).count(),
        },
        archived_experiments: archived
            .into_iter()
            .map(|(run, entry)| (run.experiment_id.clone(), entry))
            .collect(),
        removed_experiments: removed,
        production_models,
    })
}

fn removed(run: &RunDetails) -> Option<(String, Removed)> {
    let deleted = run.deleted.as_ref()?;
    let files = deleted.files.iter().map(|(path, digest, ..)| (path.clone(), digest.clone()));
    let entry = Removed {
        experiment_name: run.experiment_name.clone(),
        created_at: Timestamp(run.started),
        experiment_category: run.category,
        status: super::registry::word(run.status),
        completed_at: run.ended.map(Timestamp),
        final_metrics: super::registry::final_metrics(run),
        removed_at: Timestamp(deleted.at),
        consolidation_plan: deleted.plan.clone(),
        reason: deleted.reason.clone(),
        weights: run.weights.clone(),
        files: files.collect(),
        bytes_saved: deleted.bytes,
        position: deleted.position,
    };
    Some((run.experiment_id.clone(), entry))
}

fn archived(run: &RunDetails) -> Option<(&RunDetails, Archived)> {
    let archive = run.archive.as_ref()?;
    let entry = Archived {
        experiment_name: run.experiment_name.clone(),
        created_at: Timestamp(run.started),
        experiment_category: run.category,
        status: super::registry::word(run.status),
        completed_at: run.ended.map(Timestamp),
        final_metrics: super::registry::final_metrics(run),
        archived_at: Timestamp(archive.at),
        archive_location: run.folder.clone(),
        archive_type: archive.archive,
        automatic: archive.rule.is_some(),
        reason: archive.reason.clone(),
        policy_revision: archive.policy_revision,
        bytes_saved: archive.bytes_before.saturating_sub(archive.bytes_after),
        position: archive.position,
    };
    Some((run, entry))
}

fn active_entry(run: &RunDetails, policy: &Policy, archival_pending: bool) -> Active {
    Active {
        experiment_name: run.experiment_name.clone(),
        created_at: Timestamp(run.started),
        experiment_category: run.category,
        status: super::registry::word(run.status),
        completed_at: run.ended.map(Timestamp),
        final_metrics: super::registry::final_metrics(run),
        promotion_candidate: run.status == Status::Finished
            && run.deleted.is_none()
            && run.assess(policy).is_candidate(),
        archival_pending,
    }
}

/// What became of a model in production under the rules in force, in the words of the old tools.
fn standing(run: Option<&RunDetails>, policy: &Policy) -> (&'static str, String) {
    let failed = run.map(|run| run.assess(policy).failed()).unwrap_or_default();
    match failed.first() {
        None => ("production_ready", "it meets every rule".to_owned()),
        Some(r) => ("needs_tuning", format!("{} asks {}, found {}", r.rule, r.required, r.found)),
    }
}

/// What readers of the old file look for; null where the architecture has no such thing.
const OLD_KEYS: [&str; 6] =
    ["dropout", "max_seq_length", "n_embd", "n_layer", "num_heads", "vocab_size"];

/// The settings of the model that its architecture uses.
fn architecture(run: &RunDetails) -> BTreeMap<String, serde_json::Value> {
    let mut values: BTreeMap<String, serde_json::Value> =
        OLD_KEYS.iter().map(|key| ((*key).to_owned(), serde_json::Value::Null)).collect();
    let used = run.parameters.iter().filter_map(|(key, value)| {
        let value = serde_json::from_str(value).ok()?;
        Some((key.strip_prefix("model.")?.to_owned(), value))
    });
    values.extend(used);
    values.insert("name".into(), run.config_name.clone().into());
    values.insert("num_classes".into(), run.labels.len().into());
    values
}

fn performance(run: &RunDetails) -> BTreeMap<String, f64> {
    let shown = |name: &str| name == "accuracy" || name.starts_with("f1_");
    let test = run.metrics.iter().filter(|m| m.key.split == Some(Split::Test));
    test.filter(|m| shown(&m.key.name)).map(|m| (m.key.name.clone(), m.value)).collect()
}

/// The production model with the best macro F1 is the one to deploy.
fn recommendations(facts: &ExportFacts) -> BTreeMap<&'static str, String> {
    let scored = facts.models.iter().filter_map(|model| {
        Some((facts.run_named(model.run())?.metric("f1_macro", Split::Test)?, &model.name))
    });
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(a.1)));
    best.map(|(_, name)| ("production_deployment", name.clone())).into_iter().collect()
}

fn next_steps(facts: &ExportFacts, policy: &Policy) -> Vec<String> {
    let promoted: Vec<_> = facts.models.iter().map(super::super::registry::ModelRow::run).collect();
    let waiting = facts.runs.iter().filter(|run| {
        run.status == Status::Finished
            && run.deleted.is_none()
            && !promoted.contains(&run.run())
            && !facts.decided.contains(&run.run())
            && run.assess(policy).is_candidate()
    });
    waiting.map(|run| format!("Decide on the candidate {}", run.experiment_id)).collect()
}
