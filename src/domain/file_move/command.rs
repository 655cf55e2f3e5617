//! Requests about one move of files.

use super::MovePlanned;

/// What can be asked of a move.
#[derive(Clone, Debug, PartialEq)]
pub enum MoveCommand {
    /// Write down the plan.
    Plan(MovePlanned),
    /// Note that the files arrived.
    Complete {
        /// Whether a later verb finished it after a crash.
        recovered: bool,
    },
    /// Note that the files are back.
    RollBack {
        /// Why.
        reason: String,
    },
}
