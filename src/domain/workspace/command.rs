//! Requests about the log itself.

use super::{CheckpointAnchored, LogsPacked, SnapshotTaken, TextRedacted};
use crate::base::{LogId, PublicKey};

/// What can be asked of the log itself.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkspaceCommand {
    /// Note where a log checkpoint was put.
    AnchorCheckpoint(CheckpointAnchored),
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
