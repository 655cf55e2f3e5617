//! Plans that are in the log are carried out.

use super::list::purpose;
use super::purpose::Executed;
use crate::app::{Result, Session, Workspace};
use crate::domain::file_move::MovePlan;

/// Moves the files of a plan that is in the log, and records how that ended.
///
/// # Errors
/// When the files cannot be moved, or what they were moved for is refused by now; the move was
/// rolled back then.
pub(in crate::app) fn execute(
    workspace: &Workspace,
    session: &Session<'_>,
    plan: &MovePlan,
) -> Result<Executed> {
    purpose(plan).execute(workspace, session, plan)
}
