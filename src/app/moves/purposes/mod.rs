//! One file for each purpose of a move; `list.rs` has a line for each.

mod archive;
mod demotion;
mod migration;
mod promotion;
mod removal;
mod repair;
mod restore;
mod rollback;

pub(super) use archive::Archiving;
pub(super) use demotion::Demotion;
pub(super) use migration::Migration;
pub(super) use promotion::Promotion;
pub(super) use removal::Removal;
pub(super) use repair::Repair;
pub(super) use restore::Restoring;
pub(super) use rollback::Rollback;
