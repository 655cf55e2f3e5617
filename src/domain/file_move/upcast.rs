//! Old shapes of this stream's kinds, turned into today's. Stored bytes are never rewritten (L-7).
//!
//! To change a kind's shape: raise its version in `event.rs`, keep the old struct here and turn it
//! into the new one.

use bincode::{Decode, Encode};

use super::{
    ArchiveOrder, MigrationOrder, MoveEvent, MoveMode, MovePlanned, MovePurpose, MovedFile,
    RemovalOrder, RestoreOrder,
};
use crate::base::{Digest, MoveId, RequestId, RunId, codec};
use crate::domain::run::{Archive, DroppedFile, DroppedFileV1, Pack};
use crate::domain::{DecodeError, Kind};

/// `move.planned` before its files had a SHA-256.
#[derive(Encode, Decode)]
struct MovePlannedV2 {
    id: MoveId,
    purpose: MovePurposeV2,
    mode: MoveMode,
    from: String,
    to: String,
    files: Vec<MovedFileV2>,
}

#[derive(Encode, Decode)]
enum MovePurposeV2 {
    Promotion { request: RequestId, run: RunId, name: String },
    Demotion { name: String, reason: String },
    Archive(ArchiveOrderV2),
    Restore(RestoreOrderV2),
    Rollback { name: String, number: u32, reason: String },
    Removal(RemovalOrder),
    Migration(MigrationOrder),
    Repair { name: String, number: u32, reason: Option<String> },
}

#[derive(Encode, Decode)]
struct ArchiveOrderV2 {
    run: RunId,
    archive: Archive,
    rule: Option<String>,
    reason: String,
    policy_revision: u64,
    pack: Option<Pack>,
    dropped: Vec<DroppedFileV1>,
}

#[derive(Encode, Decode)]
struct RestoreOrderV2 {
    run: RunId,
    reason: Option<String>,
    pack: Option<Pack>,
    from_blobs: Vec<DroppedFileV1>,
}

#[derive(Encode, Decode)]
struct MovedFileV2 {
    path: String,
    source: String,
    digest: Digest,
    bytes: u64,
}

impl From<MovePurposeV2> for MovePurpose {
    fn from(old: MovePurposeV2) -> Self {
        match old {
            MovePurposeV2::Promotion { request, run, name } => {
                Self::Promotion { request, run, name }
            }
            MovePurposeV2::Demotion { name, reason } => Self::Demotion { name, reason },
            MovePurposeV2::Archive(old) => Self::Archive(ArchiveOrder {
                run: old.run,
                archive: old.archive,
                rule: old.rule,
                reason: old.reason,
                policy_revision: old.policy_revision,
                pack: old.pack,
                dropped: old.dropped.into_iter().map(DroppedFile::from).collect(),
            }),
            MovePurposeV2::Restore(RestoreOrderV2 { run, reason, pack, from_blobs }) => {
                let from_blobs = from_blobs.into_iter().map(DroppedFile::from).collect();
                Self::Restore(RestoreOrder { run, reason, pack, from_blobs })
            }
            MovePurposeV2::Rollback { name, number, reason } => {
                Self::Rollback { name, number, reason }
            }
            MovePurposeV2::Removal(order) => Self::Removal(order),
            MovePurposeV2::Migration(order) => Self::Migration(order),
            MovePurposeV2::Repair { name, number, reason } => Self::Repair { name, number, reason },
        }
    }
}

impl From<MovePlannedV2> for MovePlanned {
    fn from(old: MovePlannedV2) -> Self {
        let file = |MovedFileV2 { path, source, digest, bytes }| MovedFile {
            path,
            source,
            digest,
            sha256: None,
            bytes,
        };
        Self {
            id: old.id,
            purpose: old.purpose.into(),
            mode: old.mode,
            from: old.from,
            to: old.to,
            files: old.files.into_iter().map(file).collect(),
        }
    }
}

/// Reads a payload of an older version; `None` when this annals does not know the version.
pub(super) fn upcast(
    kind: Kind,
    version: u16,
    bytes: &[u8],
) -> Option<Result<MoveEvent, DecodeError>> {
    let event = match (kind.name().as_str(), version) {
        // Version 2 only added a purpose at the end of the list: older bytes mean the same.
        // Version 2 only added a purpose at the end of the list: older bytes mean the same.
        ("move.planned", 1 | 2) => {
            codec::decode::<MovePlannedV2>(bytes).map(|old| MovePlanned::from(old).into())
        }
        _ => return None,
    };
    Some(event.map_err(|source| DecodeError::Malformed { kind, version, source }))
}
