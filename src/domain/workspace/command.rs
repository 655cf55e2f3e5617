//! Requests about the log itself.

use super::{LayoutKind, RedactedEvent, RedactedFile};
use crate::base::{Digest, FileDigests, LogId, PublicKey, RunId, Sha256Digest};

/// What can be asked of the log itself.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkspaceCommand {
    /// Note where a log checkpoint was put.
    AnchorCheckpoint {
        /// Events in the log when it was signed.
        size: u64,
        /// Digest of the signed note.
        note: Digest,
        /// Where it was put.
        location: String,
        /// The commit that a tag points at.
        commit: Option<String>,
    },
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
    PackLogs {
        /// Name of the file.
        name: String,
        /// Its bytes, which are in the blob store.
        digests: FileDigests,
        /// Its size.
        bytes: u64,
        /// The runs.
        runs: Vec<RunId>,
    },
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
    TakeSnapshot(SnapshotContent),
    /// Take texts out of events and files.
    Redact {
        /// Why.
        reason: String,
        /// The events that have another payload from here on.
        events: Vec<RedactedEvent>,
        /// The files that have other bytes from here on.
        files: Vec<RedactedFile>,
        /// Whether the person who asks signs with a key of their own.
        signed: bool,
    },
}

/// What a snapshot keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotContent {
    /// The list of its files, by which the snapshot is called.
    pub manifest: FileDigests,
    /// What somebody said about it.
    pub message: Option<String>,
    /// How many files it has.
    pub files: u64,
    /// Their size, all together.
    pub bytes: u64,
    /// Commit of the code; none where no git looks after it.
    pub commit: Option<String>,
    /// Whether the code differed from the commit.
    pub dirty: bool,
    /// Models in production, by name.
    pub models: Vec<String>,
    /// Runs that it names, which old-run rules leave alone from here on.
    pub runs: Vec<RunId>,
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
