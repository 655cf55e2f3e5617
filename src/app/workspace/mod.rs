//! Use cases about the workspace: layout, snapshots, redaction, actors, policy, undo.

pub(super) mod actors;
pub(super) mod gc;
pub(super) mod gitignore;
pub(super) mod layout;
pub(super) mod migrate;
pub(super) mod packs;
pub(super) mod policy;
pub(super) mod redact;
pub(super) mod snapshot;
pub(super) mod undo;
