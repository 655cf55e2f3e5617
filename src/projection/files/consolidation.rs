//! `experiment_consolidation_log.json`: what moved, what is under way, what was rolled back.

use schemars::JsonSchema;
use serde::Serialize;

use super::super::consolidations::ConsolidationRow;
use super::super::moves::{MoveGroup, MoveRow, MoveStatus};
use super::super::{Snapshot, ViewError};
use super::ExportFacts;
use crate::base::Timestamp;
use crate::domain::run::Archive as Place;

/// The file.
#[derive(Serialize, JsonSchema)]
pub(super) struct ConsolidationLog {
    consolidation_metadata: Metadata,
    consolidation_actions: Actions,
}

#[derive(Serialize, JsonSchema)]
struct Metadata {
    project_name: String,
    last_archive_date: Option<Timestamp>,
    last_updated: Option<Timestamp>,
}

#[derive(Serialize, JsonSchema)]
struct Actions {
    pending_archive_moves: Pending,
    pending_moves: Vec<Moved>,
    completed_archive_moves: Vec<Moved>,
    completed_moves: Vec<Moved>,
    rolled_back_moves: Vec<Moved>,
    archive_errors: Vec<String>,
    completed_removals: Vec<Moved>,
    applied_plans: Vec<Applied>,
}

#[derive(Serialize, JsonSchema)]
struct Applied {
    plan: String,
    timestamp: Timestamp,
    policy_revision: u64,
    experiments_before: u64,
    experiments_archived: u64,
    experiments_removed: u64,
    experiments_that_stayed: u64,
    bytes_saved: u64,
    position: u64,
}

impl From<ConsolidationRow> for Applied {
    fn from(row: ConsolidationRow) -> Self {
        Self {
            plan: row.plan,
            timestamp: Timestamp(row.at),
            policy_revision: row.policy_revision,
            experiments_before: row.runs_before,
            experiments_archived: row.archived,
            experiments_removed: row.deleted,
            experiments_that_stayed: row.stayed,
            bytes_saved: row.bytes_before.saturating_sub(row.bytes_after),
            position: row.position,
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct Pending {
    to_archive_debug: Vec<String>,
    to_archive_baseline: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct Moved {
    from: String,
    to: String,
    category: String,
    timestamp: Timestamp,
    bytes: u64,
    position: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<&MoveRow> for Moved {
    fn from(row: &MoveRow) -> Self {
        Self {
            from: row.from.clone(),
            to: row.to.clone(),
            category: row.purpose.clone(),
            timestamp: Timestamp(row.ended.unwrap_or(row.planned)),
            bytes: row.bytes,
            position: row.position,
            reason: row.reason.clone(),
        }
    }
}

pub(super) fn file(facts: &ExportFacts, views: &Snapshot) -> Result<ConsolidationLog, ViewError> {
    let moves = views.moves()?;
    let all: Vec<&MoveRow> = moves.iter().collect();
    // Runs that are gone, runs to and from archives, and the files of models by themselves.
    let (removals, others): (Vec<&MoveRow>, Vec<&MoveRow>) =
        all.iter().copied().partition(|row| row.group == MoveGroup::Removal);
    let (runs, models): (Vec<&MoveRow>, Vec<&MoveRow>) = others
        .into_iter()
        .partition(|row| matches!(row.group, MoveGroup::ToArchive(_) | MoveGroup::FromArchive));
    let of = |rows: &[&MoveRow], status: MoveStatus| -> Vec<Moved> {
        rows.iter().filter(|row| row.status == status).map(|row| Moved::from(*row)).collect()
    };
    let to = |archive: Place| -> Vec<String> {
        let going = runs.iter().filter(|r| {
            r.status == MoveStatus::Pending && r.group == MoveGroup::ToArchive(archive)
        });
        going.map(|row| row.from.clone()).collect()
    };
    let failed =
        runs.iter().chain(&removals).filter(|row| row.status == MoveStatus::RolledBack).map(
            |row| {
                let reason = row.reason.as_deref().unwrap_or("rolled back");
                format!("{} to {}: {reason}", row.from, row.to)
            },
        );
    let archived = runs
        .iter()
        .filter(|r| r.status == MoveStatus::Completed && r.group != MoveGroup::FromArchive);
    let last = archived.filter_map(|row| row.ended).max().map(Timestamp);
    let ended = moves.iter().filter_map(|row| row.ended).max().map(Timestamp);
    Ok(ConsolidationLog {
        consolidation_metadata: Metadata {
            project_name: facts.project.clone(),
            last_archive_date: last,
            last_updated: ended,
        },
        consolidation_actions: Actions {
            pending_archive_moves: Pending {
                to_archive_debug: to(Place::Debug),
                to_archive_baseline: to(Place::Baseline),
            },
            pending_moves: of(&all, MoveStatus::Pending),
            completed_archive_moves: of(&runs, MoveStatus::Completed),
            completed_moves: of(&models, MoveStatus::Completed),
            rolled_back_moves: of(&models, MoveStatus::RolledBack),
            archive_errors: failed.collect(),
            completed_removals: of(&removals, MoveStatus::Completed),
            applied_plans: views.consolidations()?.into_iter().map(Applied::from).collect(),
        },
    })
}
