//! Requests about promotions.

use super::{Bump, DamagedFile, PromotedFile};
use crate::base::{MoveId, RequestId, RunId};
use crate::domain::RuleResult;

/// What can be asked of the registry.
#[derive(Clone, Debug, PartialEq)]
pub enum RegistryCommand {
    /// Ask for a run to go into production under a name.
    Request {
        /// The new request's id.
        request: RequestId,
        /// The production name.
        name: String,
        /// Why.
        reason: Option<String>,
        /// What the model is meant for.
        intended_use: Option<String>,
        /// What it must not be used for or cannot do.
        limits: Option<String>,
        /// Whether the name may be in production: the run then becomes its next version.
        replace: bool,
    },
    /// Agree.
    Approve {
        /// The request.
        request: RequestId,
        /// What they said.
        reason: Option<String>,
    },
    /// Say no.
    Reject {
        /// The request.
        request: RequestId,
        /// Why.
        reason: String,
    },
    /// Check that a request may be granted now; makes no event. The files move after it.
    Grant {
        /// The request.
        request: RequestId,
        /// Whether the name may be in production.
        replace: bool,
    },
    /// Note that a rule refused a promotion.
    Refuse {
        /// The run.
        run: RunId,
        /// The production name it was to have.
        name: String,
        /// The refusal, as the user reads it.
        message: String,
        /// The policy's rules that were not met.
        failed: Vec<RuleResult>,
    },
    /// Note that the folder of a version is elsewhere from here on.
    Relocate {
        /// The production name.
        name: String,
        /// Its folder, relative to the workspace.
        path: String,
        /// The move.
        file_move: MoveId,
    },
    /// Note that the folder of the version in production was not as recorded.
    NoteDamage {
        /// The production name.
        name: String,
        /// The differences.
        found: Vec<DamagedFile>,
        /// Differences beyond those that `found` lists.
        unlisted: u64,
        /// Where the folder is kept as it was found.
        kept: Option<String>,
        /// The move that took the folder away.
        file_move: MoveId,
    },
    /// Note that the files of a granted request are in place.
    Promote {
        /// The request.
        request: RequestId,
        /// The production folder, relative to the workspace.
        path: String,
        /// The files in it.
        files: Vec<PromotedFile>,
        /// The move that brought them there.
        file_move: MoveId,
    },
    /// Take a model out of production.
    Demote {
        /// The production name.
        name: String,
        /// Why.
        reason: String,
    },
    /// Note that the files of an earlier version are in place.
    RollBack {
        /// The production name.
        name: String,
        /// Number of the version.
        number: u32,
        /// The move that brought its files.
        file_move: MoveId,
        /// Why.
        reason: String,
    },
    /// Note that the recorded files of the version in production are in place again.
    Repair {
        /// The production name.
        name: String,
        /// Number of the version.
        number: u32,
        /// The move that brought its files.
        file_move: MoveId,
        /// Why.
        reason: Option<String>,
    },
    /// Call the version in production something else.
    BumpVersion {
        /// The production name.
        name: String,
        /// Which part is raised.
        bump: Bump,
        /// Why.
        reason: Option<String>,
    },
    /// Point an alias at a version.
    SetAlias {
        /// The alias.
        alias: String,
        /// The production name.
        name: String,
        /// Number of the version.
        number: u32,
        /// Why.
        reason: Option<String>,
    },
    /// Take an alias away.
    RemoveAlias {
        /// The alias.
        alias: String,
        /// Why.
        reason: Option<String>,
    },
}
