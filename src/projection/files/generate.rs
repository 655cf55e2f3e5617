//! Generates every file from the views.

use std::collections::BTreeSet;

use serde::Serialize;

use super::super::registry::{ModelRow, RequestRow};
use super::super::runs::RunDetails;
use super::super::{Snapshot, ViewError};
use super::TrainingOutputFiles;
use super::{consolidated, consolidation, guide, registry, version};
use crate::base::{Digest, RunId, Timestamp};
use crate::domain::policy::{RetentionCandidate, surplus};
use crate::domain::registry::RequestStatus;

/// What `tracking_version` says in the files.
pub const TRACKING_VERSION: &str = "annals v1";

/// One generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its path, relative to the workspace, `/` between components.
    pub path: String,
    /// What is in it.
    pub content: Content,
}

/// What is in a generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// These bytes.
    Text(Vec<u8>),
    /// The bytes of a blob.
    Blob(Digest),
    /// It is a link to a file, relative to its own folder.
    Link(String),
}

impl Content {
    /// What tells it from another content.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Text(bytes) => Digest::of(bytes),
            Self::Blob(digest) => *digest,
            Self::Link(to) => Digest::of(format!("link to {to}").as_bytes()),
        }
    }
}

/// The names of the registry files.
pub const NAMES: [&str; 5] = [
    "models_registry.json",
    "models_registry_consolidated.json",
    "experiment_consolidation_log.json",
    "experiments_log.jsonl",
    "MODEL_VERSION.json",
];

/// Every registry file, as the snapshot says, and what `guide` asks for beside them.
///
/// # Errors
/// When the views cannot be read.
pub fn generate(
    views: &Snapshot,
    project: &str,
    guide: Option<&TrainingOutputFiles>,
) -> Result<Vec<Document>, ViewError> {
    let facts = ExportFacts::new(views, project)?;
    let registry = [
        ("models_registry.json", json(&registry::file(&facts, views)?)),
        ("models_registry_consolidated.json", json(&consolidated::file(&facts, views)?)),
        ("experiment_consolidation_log.json", json(&consolidation::file(&facts, views)?)),
        ("experiments_log.jsonl", lines(&views.experiments_log()?)),
        ("MODEL_VERSION.json", json(&version::file(&facts, views)?)),
    ];
    let document =
        |(name, bytes): (&str, _)| Document { path: name.into(), content: Content::Text(bytes) };
    let mut all: Vec<Document> = registry.into_iter().map(document).collect();
    if let Some(guide) = guide {
        all.extend(guide::documents(&facts, views, guide)?);
    }
    Ok(all)
}

/// The JSON schema of each file that is one JSON value, by the file's name.
pub fn schemas() -> [(&'static str, schemars::Schema); 4] {
    [
        ("models_registry.json", schemars::schema_for!(registry::RunRegistry)),
        (
            "models_registry_consolidated.json",
            schemars::schema_for!(consolidated::ConsolidatedRegistry),
        ),
        (
            "experiment_consolidation_log.json",
            schemars::schema_for!(consolidation::ConsolidationLog),
        ),
        ("MODEL_VERSION.json", schemars::schema_for!(version::ModelVersions)),
    ]
}

/// What several files say.
pub(super) struct ExportFacts {
    pub(super) project: String,
    pub(super) runs: Vec<RunDetails>,
    pub(super) models: Vec<ModelRow>,
    /// Active runs that the rule about old debug runs sends away.
    pub(super) pending: BTreeSet<RunId>,
    /// Runs about whose promotion somebody decided already.
    pub(super) decided: BTreeSet<RunId>,
    pub(super) created_at: Option<Timestamp>,
    pub(super) last_updated: Option<Timestamp>,
}

impl ExportFacts {
    fn new(views: &Snapshot, project: &str) -> Result<Self, ViewError> {
        let (runs, models, moves) = (views.run_details()?, views.production()?, views.moves()?);
        let pending = pending(&runs, &models, views)?;
        let starts = runs.iter().map(|run| run.started);
        let ends = runs.iter().filter_map(|run| run.ended);
        let placements = models.iter().map(|model| model.placed.at);
        let moved = moves.iter().map(|row| row.ended.unwrap_or(row.planned));
        let created_at = starts.clone().min().map(Timestamp);
        let last_updated = starts.chain(ends).chain(placements).chain(moved).max().map(Timestamp);
        let requests = views.requests()?;
        let decided =
            requests.iter().filter(|row| row.status != RequestStatus::Open).map(RequestRow::run);
        Ok(Self {
            project: project.to_owned(),
            decided: decided.collect(),
            runs,
            models,
            pending,
            created_at,
            last_updated,
        })
    }

    pub(super) fn run_named(&self, id: RunId) -> Option<&RunDetails> {
        self.runs.iter().find(|run| run.run() == id)
    }
}

fn pending(
    runs: &[RunDetails],
    models: &[ModelRow],
    views: &Snapshot,
) -> Result<BTreeSet<RunId>, ViewError> {
    let (_, policy) = views.policy()?;
    let rules = &policy.debug_experiments;
    if !rules.enabled {
        return Ok(BTreeSet::new());
    }
    let mut held: BTreeSet<RunId> = models.iter().map(ModelRow::run).collect();
    held.extend(
        views
            .requests()?
            .iter()
            .filter(|row| row.status == RequestStatus::Open)
            .map(RequestRow::run),
    );
    let active = runs.iter().rev().filter(|run| run.is_active()).map(|run| RetentionCandidate {
        run: run.run(),
        category: run.category,
        status: run.status.into(),
        ended: run.ended.map(Timestamp),
        held: (run.pinned || held.contains(&run.run())).then_some("held"),
    });
    let active: Vec<RetentionCandidate> = active.collect();
    let due = surplus(&active, rules.min_experiments_before_archive);
    Ok(due.into_iter().filter(|due| due.held.is_none()).map(|due| due.run).collect())
}

fn json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("BUG: a registry file is not JSON");
    bytes.push(b'\n');
    bytes
}

fn lines(lines: &[String]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines {
        bytes.extend(line.as_bytes());
        bytes.push(b'\n');
    }
    bytes
}
