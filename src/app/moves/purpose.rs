//! What differs between moves.

use crate::app::core::session::Tx;
use crate::app::{Result, Session, Workspace};
use crate::domain::file_move::MovePlan;

/// What came of a move that was carried out.
#[derive(Debug, Default)]
pub(in crate::app) struct Executed {
    /// Where the folder that was replaced or removed is kept, if it was not as recorded.
    pub(in crate::app) kept: Option<String>,
    /// Size of the files of a run that was archived.
    pub(in crate::app) bytes: Option<u64>,
}

/// What a move is for.
pub(super) trait Purpose {
    /// The folder that the log has for what moves; none where it has none.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn source(&self, tx: &Tx<'_, '_>) -> Result<Option<String>>;

    /// Whether the layout has such a place for what moves.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn is_target(&self, workspace: &Workspace, tx: &Tx<'_, '_>, plan: &MovePlan) -> Result<bool>;

    /// The folder that the move is about: no two moves may be about one.
    fn folder<'p>(&self, plan: &'p MovePlan) -> &'p str {
        &plan.to
    }

    /// Refuses a plan that another one under way does not allow.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::app::ErrorKind::Conflict); when the log cannot be read.
    fn may_begin(&self, tx: &Tx<'_, '_>, plan: &MovePlan) -> Result<()>;

    /// Moves the files of a plan that is in the log, and records how that ended.
    ///
    /// # Errors
    /// When the files cannot be moved, or what they were moved for is refused by now; the move was
    /// rolled back then.
    fn execute(
        &self,
        workspace: &Workspace,
        session: &Session<'_>,
        plan: &MovePlan,
    ) -> Result<Executed>;

    /// Ends a move that a crash cut short, completed where its files are in place, else rolled
    /// back, and returns a line about it.
    ///
    /// # Errors
    /// When files or log cannot be read or written.
    fn recover(
        &self,
        workspace: &Workspace,
        tx: &mut Tx<'_, '_>,
        plan: &MovePlan,
    ) -> Result<String>;
}
