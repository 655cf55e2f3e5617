//! The files of a run are taken away for good.

use crate::app::core::session::Tx;
use crate::app::moves::plan::{decide, roll_back};
use crate::app::moves::purpose::{Executed, Purpose};
use crate::app::moves::relocation::record_run;
use crate::app::{Result, Session, Workspace, fold_run};
use crate::base::failpoint;
use crate::domain::file_move::{MoveCommand, MovePlan, RemovalOrder};
use crate::effect::{self, Recovered};

/// A run whose files go.
pub(in crate::app::moves) struct Removal<'p>(pub(in crate::app::moves) &'p RemovalOrder);

impl Purpose for Removal<'_> {
    fn source(&self, tx: &Tx<'_, '_>) -> Result<Option<String>> {
        Ok(Some(fold_run(tx.log(), self.0.run)?.folder))
    }

    fn is_target(&self, _: &Workspace, _: &Tx<'_, '_>, plan: &MovePlan) -> Result<bool> {
        Ok(plan.to == effect::BLOBS || plan.to == effect::REMOVED)
    }

    /// Whoever plans it has refused a run whose files are on their way.
    fn may_begin(&self, _: &Tx<'_, '_>, _: &MovePlan) -> Result<()> {
        Ok(())
    }

    fn execute(
        &self,
        workspace: &Workspace,
        session: &Session<'_>,
        plan: &MovePlan,
    ) -> Result<Executed> {
        let removed = effect::remove(&workspace.root, plan);
        let why = removed.as_ref().err().map(ToString::to_string);
        let end = session.transact_patiently(|tx| finish(workspace, tx, plan, false, why))?;
        if end == Recovered::RolledBack {
            removed?;
        }
        effect::clear(&workspace.root, plan)?;
        failpoint::hit();
        Ok(Executed::default())
    }

    fn recover(
        &self,
        workspace: &Workspace,
        tx: &mut Tx<'_, '_>,
        plan: &MovePlan,
    ) -> Result<String> {
        Ok(match finish(workspace, tx, plan, true, None)? {
            Recovered::RolledBack => format!("{} stays", plan.from),
            Recovered::Completed => format!("taking {} away was finished", plan.from),
        })
    }
}

/// Records how it ended: whether the files are there decides.
fn finish(
    workspace: &Workspace,
    tx: &mut Tx<'_, '_>,
    plan: &MovePlan,
    recovered: bool,
    why: Option<String>,
) -> Result<Recovered> {
    let end = effect::recover_removal(&workspace.root, plan)?;
    if end == Recovered::RolledBack {
        roll_back(tx, plan, why.unwrap_or_else(|| "its process was gone".to_owned()))?;
        return Ok(end);
    }
    decide(tx, plan.id, MoveCommand::Complete { recovered })?;
    record_run(tx, plan, None)?;
    Ok(end)
}
