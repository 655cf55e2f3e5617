//! The log itself: when it was created, its signing keys and the actors it knows.

mod admit;
mod command;
mod decide;
mod event;
mod state;
mod upcast;

#[cfg(test)]
mod tests;

pub(in crate::domain) use admit::admits;
pub use command::{ConsolidationResult, SnapshotContent, WorkspaceCommand};
pub use decide::WorkspaceStream;
pub use event::{
    ActorRegistered, BlobsRemoved, CheckpointAnchored, ConsolidationApplied, KeyAlgorithm,
    KeyCreated, KeyVouched, LayoutChanged, LayoutKind, LogsPacked, RedactedEvent, RedactedFile,
    SnapshotTaken, TextRedacted, WorkspaceCreated, WorkspaceEvent, rotation_message,
};
pub use state::{Key, WorkspaceState};
