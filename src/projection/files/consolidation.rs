//! `experiment_consolidation_log.json`: what moved, what is under way, what was rolled back.

use schemars::JsonSchema;
use serde::Serialize;

use super::super::moves::MoveRow;
use super::super::{Snapshot, ViewError};
use super::Facts;
use crate::base::Timestamp;

/// The file.
#[derive(Serialize, JsonSchema)]
pub(super) struct File {
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

pub(super) fn file(facts: &Facts, views: &Snapshot) -> Result<File, ViewError> {
    let moves = views.moves()?;
    let of = |status: &str| -> Vec<Moved> {
        moves.iter().filter(|row| row.status == status).map(Moved::from).collect()
    };
    let ended = moves.iter().filter_map(|row| row.ended).max().map(Timestamp);
    Ok(File {
        consolidation_metadata: Metadata {
            project_name: facts.project.clone(),
            last_archive_date: None,
            last_updated: ended,
        },
        consolidation_actions: Actions {
            pending_archive_moves: Pending {
                to_archive_debug: vec![],
                to_archive_baseline: vec![],
            },
            pending_moves: of("pending"),
            completed_archive_moves: vec![],
            completed_moves: of("completed"),
            rolled_back_moves: of("rolled_back"),
            archive_errors: vec![],
        },
    })
}
