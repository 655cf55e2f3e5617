//! The consolidations that were applied.

use rkyv::{Archive, Deserialize, Serialize};
use schemars::JsonSchema;

use super::row::{pack, unpack};
use super::{Definition, Kv, Snapshot, ViewError};
use crate::domain::workspace::WorkspaceEvent;
use crate::domain::{EnvelopeRef, Event};

pub(super) const VIEW: Definition = Definition {
    name: "consolidations",
    revision: 1,
    kinds: &[WorkspaceEvent::CONSOLIDATION_APPLIED],
    apply,
};

/// A consolidation that was applied.
#[derive(
    Clone, Debug, PartialEq, Archive, Serialize, Deserialize, serde::Serialize, JsonSchema,
)]
pub struct ConsolidationRow {
    /// Digest of its plan.
    pub plan: String,
    /// When, in nanoseconds since 1970.
    #[serde(skip)]
    pub at: i64,
    /// Revision of the policy it was made under.
    pub policy_revision: u64,
    /// Runs whose files were there before.
    pub runs_before: u64,
    /// Runs that went into an archive.
    pub archived: u64,
    /// Runs whose files were taken away.
    pub deleted: u64,
    /// Runs of the plan that stayed.
    pub stayed: u64,
    /// Size of the folders of the runs that it moved, before.
    pub bytes_before: u64,
    /// Their size afterwards.
    pub bytes_after: u64,
    /// Position of the event.
    pub position: u64,
}

fn apply(kv: &mut dyn Kv, envelope: &EnvelopeRef<'_>, event: &Event) -> Result<(), ViewError> {
    let Event::Workspace(WorkspaceEvent::ConsolidationApplied(applied)) = event else {
        return Ok(());
    };
    let position = envelope.header.position;
    let row = ConsolidationRow {
        plan: applied.plan.to_string(),
        at: envelope.header.dated().0,
        policy_revision: applied.policy_revision,
        runs_before: applied.runs_before,
        archived: applied.archived,
        deleted: applied.deleted,
        stayed: applied.stayed,
        bytes_before: applied.bytes_before,
        bytes_after: applied.bytes_after,
        position,
    };
    kv.put(&position.to_be_bytes(), pack(&row))
}

impl Snapshot {
    /// Every consolidation that was applied, oldest first.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn consolidations(&self) -> Result<Vec<ConsolidationRow>, ViewError> {
        let mut rows = Vec::new();
        self.scan(&VIEW, &[], |_, row| {
            rows.push(unpack::<ConsolidationRow>(&VIEW, row)?);
            Ok(())
        })?;
        Ok(rows)
    }
}
