//! Requests about the log itself.

use super::{CheckpointAnchored, LayoutKind, LogsPacked, SnapshotTaken, TextRedacted};
use crate::base::{Digest, LogId, PublicKey, Sha256Digest};

/// What can be asked of the log itself.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkspaceCommand {
    /// Note where a log checkpoint was put.
    AnchorCheckpoint(CheckpointAnchored),
    /// Note that blobs which nothing needs are about to go.
    RemoveBlobs {
        /// Which.
        digests: Vec<Digest>,
        /// Their size, all together.
        bytes: u64,
    },
    /// Note that everything is where another layout has it.
    ChangeLayout {
        /// The layout before.
        from: LayoutKind,
        /// The layout from here on.
        to: LayoutKind,
        /// Runs that were moved.
        runs: u64,
        /// Production models that were moved.
        models: u64,
    },
    /// Note that a consolidation plan was carried out.
    ApplyConsolidation(ConsolidationResult),
    /// Let one file stand for the logs of runs.
    PackLogs(LogsPacked),
    /// Begin the log.
    Create {
        /// The log's id.
        log: LogId,
        /// The project's name.
        project: String,
        /// The annals that begins it.
        tool_version: String,
    },
    /// Make an actor known, unless it is.
    RegisterActor {
        /// The user's name.
        name: String,
    },
    /// Add the first signing key of an owner.
    CreateKey {
        /// Ed25519 public key.
        public_key: PublicKey,
        /// Name of the actor who holds the private key.
        owner: String,
    },
    /// Replace an owner's key by a new one that the old one signed.
    RotateKey {
        /// The new Ed25519 public key.
        public_key: PublicKey,
        /// Name of the actor who holds both private keys.
        owner: String,
        /// The key that goes.
        old: PublicKey,
        /// Position of its `key.created` event.
        replaces: u64,
        /// Signature of [`rotation_message`](super::rotation_message) by the old key.
        endorsement: [u8; 64],
    },
    /// Confirm that a key is its owner's.
    VouchKey {
        /// The key.
        public_key: PublicKey,
        /// Position of its `key.created` event.
        key: u64,
        /// Who confirms, by name.
        voucher: String,
    },
    /// Name a list of files that are in the blob store, unless it was so named already.
    TakeSnapshot(SnapshotTaken),
    /// Take texts out of events and files.
    Redact {
        /// Which, and why.
        redacted: TextRedacted,
        /// Whether the person who asks signs with a key of their own.
        signed: bool,
    },
}

/// What carrying out a consolidation plan came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsolidationResult {
    /// Digest of the plan.
    pub plan: Digest,
    /// SHA-256 of the plan.
    pub plan_sha256: Option<Sha256Digest>,
    /// Revision of the policy it was made under.
    pub policy_revision: u64,
    /// Runs whose files were there before.
    pub runs_before: u64,
    /// Runs that went into an archive.
    pub archived: u64,
    /// Runs whose files were removed.
    pub deleted: u64,
    /// Runs of the plan that stayed.
    pub stayed: u64,
    /// Size of the folders of the runs that the plan moves, before.
    pub bytes_before: u64,
    /// Their size afterwards.
    pub bytes_after: u64,
}
