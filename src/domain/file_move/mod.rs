//! One move (or copy) of files: planned, then completed or rolled back. The plan is in the log
//! before the first byte moves, so that a crash leaves nothing unexplained (L-6, MOV-1).

mod admit;
mod command;
mod decide;
mod event;
mod state;
mod upcast;

#[cfg(test)]
mod tests;

pub(in crate::domain) use admit::admits;
pub use command::{MoveCommand, MovePlan};
pub use decide::MoveStream;
pub use event::{
    ArchiveOrder, Migrated, MigrationOrder, MoveCompleted, MoveEvent, MoveMode, MovePlanned,
    MovePurpose, MoveRolledBack, MovedFile, RemovalOrder, RestoreOrder,
};
pub use state::{MovePhase, MoveState};
