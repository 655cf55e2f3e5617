//! Requests about one move of files.

use schemars::JsonSchema;
use serde::Serialize;

use super::{MoveMode, MovePlanned, MovePurpose, MovedFile};
use crate::base::MoveId;

/// What can be asked of a move.
#[derive(Clone, Debug, PartialEq)]
pub enum MoveCommand {
    /// Write down the plan.
    Plan(MovePlan),
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

/// Files that are to move: what recovery carries out when the command that made it is gone.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct MovePlan {
    /// The move's id.
    pub id: MoveId,
    /// What for.
    pub purpose: MovePurpose,
    /// Whether the source stays.
    pub mode: MoveMode,
    /// Folder the files come from, relative to the workspace, `/` between components.
    pub from: String,
    /// Folder that will hold them. It does not exist yet, or holds the version that is replaced.
    pub to: String,
    /// The files, by path inside the folder.
    pub files: Vec<MovedFile>,
}

impl From<MovePlanned> for MovePlan {
    fn from(planned: MovePlanned) -> Self {
        let MovePlanned { id, purpose, mode, from, to, files } = planned;
        Self { id, purpose, mode, from, to, files }
    }
}

impl From<MovePlan> for MovePlanned {
    fn from(plan: MovePlan) -> Self {
        let MovePlan { id, purpose, mode, from, to, files } = plan;
        Self { id, purpose, mode, from, to, files }
    }
}
