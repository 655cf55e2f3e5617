//! Old shapes of this stream's kinds, turned into today's. Stored bytes are never rewritten (L-7).
//!
//! To change a kind's shape: raise its version in `event.rs`, keep the old struct here and turn it
//! into the new one.

use bincode::{Decode, Encode};

use super::{
    ConsolidationApplied, KeyAlgorithm, KeyCreated, KeyVouched, LogsPacked, SnapshotTaken,
    WorkspaceEvent,
};
use crate::base::{Digest, PublicKey, RunId, codec};
use crate::domain::{DecodeError, Kind};

/// `key.created` before it named the algorithm: every key was an Ed25519 key.
#[derive(Encode, Decode)]
struct KeyCreatedV1 {
    public_key: PublicKey,
    owner: String,
    replaces: Option<u64>,
    endorsement: Option<[u8; 64]>,
}

/// `key.vouched` before it named the algorithm: every key was an Ed25519 key.
#[derive(Encode, Decode)]
struct KeyVouchedV1 {
    key: u64,
    public_key: PublicKey,
    owner: String,
}

/// `consolidation.applied` before the plan had a SHA-256.
#[derive(Encode, Decode)]
struct ConsolidationAppliedV1 {
    plan: Digest,
    policy_revision: u64,
    runs_before: u64,
    archived: u64,
    deleted: u64,
    stayed: u64,
    bytes_before: u64,
    bytes_after: u64,
}

/// `snapshot.taken` before the list had a SHA-256.
#[derive(Encode, Decode)]
struct SnapshotTakenV1 {
    manifest: Digest,
    message: Option<String>,
    files: u64,
    bytes: u64,
    commit: Option<String>,
    dirty: bool,
    models: Vec<String>,
    runs: Vec<RunId>,
}

/// `logs.packed` before the pack had a SHA-256.
#[derive(Encode, Decode)]
struct LogsPackedV1 {
    name: String,
    digest: Digest,
    bytes: u64,
    runs: Vec<RunId>,
}

impl From<KeyCreatedV1> for KeyCreated {
    fn from(old: KeyCreatedV1) -> Self {
        let KeyCreatedV1 { public_key, owner, replaces, endorsement } = old;
        Self { algorithm: KeyAlgorithm::Ed25519, public_key, owner, replaces, endorsement }
    }
}

impl From<KeyVouchedV1> for KeyVouched {
    fn from(old: KeyVouchedV1) -> Self {
        let KeyVouchedV1 { key, public_key, owner } = old;
        Self { key, algorithm: KeyAlgorithm::Ed25519, public_key, owner }
    }
}

impl From<ConsolidationAppliedV1> for ConsolidationApplied {
    fn from(old: ConsolidationAppliedV1) -> Self {
        Self {
            plan: old.plan,
            plan_sha256: None,
            policy_revision: old.policy_revision,
            runs_before: old.runs_before,
            archived: old.archived,
            deleted: old.deleted,
            stayed: old.stayed,
            bytes_before: old.bytes_before,
            bytes_after: old.bytes_after,
        }
    }
}

impl From<SnapshotTakenV1> for SnapshotTaken {
    fn from(old: SnapshotTakenV1) -> Self {
        Self {
            manifest: old.manifest,
            manifest_sha256: None,
            message: old.message,
            files: old.files,
            bytes: old.bytes,
            commit: old.commit,
            dirty: old.dirty,
            models: old.models,
            runs: old.runs,
        }
    }
}

impl From<LogsPackedV1> for LogsPacked {
    fn from(old: LogsPackedV1) -> Self {
        let LogsPackedV1 { name, digest, bytes, runs } = old;
        Self { name, digest, sha256: None, bytes, runs }
    }
}

/// Reads a payload of an older version; `None` when this annals does not know the version.
pub(super) fn upcast(
    kind: Kind,
    version: u16,
    bytes: &[u8],
) -> Option<Result<WorkspaceEvent, DecodeError>> {
    let event = match (kind.name().as_str(), version) {
        ("key.created", 1) => {
            codec::decode::<KeyCreatedV1>(bytes).map(|old| KeyCreated::from(old).into())
        }
        ("key.vouched", 1) => {
            codec::decode::<KeyVouchedV1>(bytes).map(|old| KeyVouched::from(old).into())
        }
        ("consolidation.applied", 1) => codec::decode::<ConsolidationAppliedV1>(bytes)
            .map(|old| ConsolidationApplied::from(old).into()),
        ("snapshot.taken", 1) => {
            codec::decode::<SnapshotTakenV1>(bytes).map(|old| SnapshotTaken::from(old).into())
        }
        ("logs.packed", 1) => {
            codec::decode::<LogsPackedV1>(bytes).map(|old| LogsPacked::from(old).into())
        }
        _ => return None,
    };
    Some(event.map_err(|source| DecodeError::Malformed { kind, version, source }))
}
