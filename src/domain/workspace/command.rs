//! Requests about the log itself.

use crate::base::{LogId, PublicKey};

/// What can be asked of the log itself.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkspaceCommand {
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
}
