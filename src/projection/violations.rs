//! Events that were not allowed where they stand. No other view has them.

use rkyv::{Archive, Deserialize, Serialize};

use super::row::{pack, unpack};
use super::{Definition, Kv, Snapshot, ViewError};
use crate::domain::history::Violation;
use crate::domain::{Kind, StreamId};

/// Filled by the runner, which judges every event before a view sees it.
pub(super) const VIEW: Definition =
    Definition { name: "violations", revision: 1, kinds: &[], apply: |_, _, _| Ok(()) };

/// An event that was not allowed.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct ViolationRow {
    /// Its position.
    pub position: u64,
    stream: [u8; 17],
    kind: u16,
    /// Who appended it, by name.
    pub actor: String,
    /// Why it was not allowed.
    pub reason: String,
}

impl ViolationRow {
    /// Its stream.
    pub fn stream(&self) -> StreamId {
        StreamId::from_key(self.stream)
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        Kind(self.kind)
    }
}

pub(super) fn put(kv: &mut dyn Kv, violation: &Violation) -> Result<(), ViewError> {
    let row = ViolationRow {
        position: violation.position,
        stream: violation.stream.to_key(),
        kind: violation.kind.0,
        actor: violation.actor.clone(),
        reason: violation.reason.to_string(),
    };
    kv.put(&row.position.to_be_bytes(), pack(&row))
}

impl Snapshot {
    /// Events that were not allowed, in the order of the log.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn violations(&self) -> Result<Vec<ViolationRow>, ViewError> {
        let mut rows = Vec::new();
        self.scan(&VIEW, &[], |_, row| {
            rows.push(unpack::<ViolationRow>(&VIEW, row)?);
            Ok(())
        })?;
        Ok(rows)
    }
}
