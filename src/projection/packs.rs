//! The packs of old logs, and which runs' logs are in each.

use rkyv::{Archive, Deserialize, Serialize};

use super::row::{pack, unpack};
use super::{Definition, Kv, Snapshot, ViewError};
use crate::base::Digest;
use crate::domain::workspace::WorkspaceEvent;
use crate::domain::{EnvelopeRef, Event};

pub(super) const VIEW: Definition =
    Definition { name: "log_packs", revision: 1, kinds: &[WorkspaceEvent::LOGS_PACKED], apply };

/// A pack of logs, or one part of what is told about it.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct PackRow {
    /// The name of its file.
    pub name: String,
    digest: [u8; 32],
    /// The runs.
    pub runs: Vec<[u8; 16]>,
}

impl PackRow {
    /// The bytes of the file.
    pub fn digest(&self) -> Digest {
        Digest(self.digest)
    }
}

fn apply(kv: &mut dyn Kv, envelope: &EnvelopeRef<'_>, event: &Event) -> Result<(), ViewError> {
    let Event::Workspace(WorkspaceEvent::LogsPacked(packed)) = event else { return Ok(()) };
    let row = PackRow {
        name: packed.name.clone(),
        digest: packed.digest.0,
        runs: packed.runs.iter().map(|run| run.0).collect(),
    };
    kv.put(&envelope.header.position.to_be_bytes(), pack(&row))
}

impl Snapshot {
    /// Every pack of logs, oldest first.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn log_packs(&self) -> Result<Vec<PackRow>, ViewError> {
        let mut rows = Vec::new();
        self.scan(&VIEW, &[], |_, row| {
            rows.push(unpack::<PackRow>(&VIEW, row)?);
            Ok(())
        })?;
        Ok(rows)
    }
}
