//! Moves of whole folders to another place of the workspace: where their files really are decides
//! how a move ended.

use super::plan::{decide, refuse_other_move, roll_back};
use super::purpose::{Executed, Purpose};
use crate::app::core::session::Tx;
use crate::app::{Error, ErrorKind, Result, Session, Workspace, fold_policy};
use crate::domain::Provenance;
use crate::domain::file_move::{MoveCommand, MovePlan};
use crate::domain::run::{PackedFiles, RunCommand, RunEvent, RunFacts, RunStream};
use crate::effect::{self, EffectError, Recovered};

/// A folder that goes to another place.
pub(super) trait Relocation {
    /// The folder that the log has for what moves; none where it has none.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn source(&self, tx: &Tx<'_, '_>) -> Result<Option<String>>;

    /// Whether the layout has such a place for it.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn is_target(&self, workspace: &Workspace, tx: &Tx<'_, '_>, plan: &MovePlan) -> Result<bool>;

    /// The folder that the move is about.
    fn folder<'p>(&self, plan: &'p MovePlan) -> &'p str {
        &plan.to
    }

    /// Refuses a plan that another one under way does not allow.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`]; when the log cannot be read.
    fn may_begin(&self, tx: &Tx<'_, '_>, plan: &MovePlan) -> Result<()> {
        refuse_other_move(tx.log(), &plan.to)
    }

    /// Records where the files are now; returns the size of those of a run that was archived.
    ///
    /// # Errors
    /// When files or log cannot be read or written.
    fn record(
        &self,
        workspace: &Workspace,
        tx: &mut Tx<'_, '_>,
        plan: &MovePlan,
    ) -> Result<Option<u64>> {
        let _ = workspace;
        record_run(tx, plan, None).map(|_| None)
    }
}

/// A purpose that is a relocation.
pub(super) struct Relocating<R>(pub(super) R);

impl<R: Relocation> Purpose for Relocating<R> {
    fn source(&self, tx: &Tx<'_, '_>) -> Result<Option<String>> {
        self.0.source(tx)
    }

    fn is_target(&self, workspace: &Workspace, tx: &Tx<'_, '_>, plan: &MovePlan) -> Result<bool> {
        self.0.is_target(workspace, tx, plan)
    }

    fn folder<'p>(&self, plan: &'p MovePlan) -> &'p str {
        self.0.folder(plan)
    }

    fn may_begin(&self, tx: &Tx<'_, '_>, plan: &MovePlan) -> Result<()> {
        self.0.may_begin(tx, plan)
    }

    fn execute(
        &self,
        workspace: &Workspace,
        session: &Session<'_>,
        plan: &MovePlan,
    ) -> Result<Executed> {
        let moved = effect::relocate(&workspace.root, &workspace.blobs, plan);
        let why = moved.as_ref().err().map(ToString::to_string);
        let (end, bytes) = session.transact_patiently(|tx| match &moved {
            Err(EffectError::TargetExists(_)) => {
                effect::abandon_relocation(&workspace.root, plan)?;
                roll_back(tx, plan, why.unwrap_or_default())?;
                Ok((Recovered::RolledBack, None))
            }
            _ => finish(&self.0, workspace, tx, plan, false, why),
        })?;
        match (moved, end) {
            (_, Recovered::Completed) => Ok(Executed { kept: None, bytes }),
            (Err(error), Recovered::RolledBack) => Err(error.into()),
            (Ok(()), Recovered::RolledBack) => {
                let message = format!("{} was taken away while it was made", plan.to);
                Err(Error::new(ErrorKind::Conflict, message))
            }
        }
    }

    fn recover(
        &self,
        workspace: &Workspace,
        tx: &mut Tx<'_, '_>,
        plan: &MovePlan,
    ) -> Result<String> {
        let (end, _) = finish(&self.0, workspace, tx, plan, true, None)?;
        let how = if end == Recovered::Completed { "finished" } else { "rolled back" };
        Ok(format!("the move to {} was {how}", plan.to))
    }
}

fn finish(
    relocation: &dyn Relocation,
    workspace: &Workspace,
    tx: &mut Tx<'_, '_>,
    plan: &MovePlan,
    recovered: bool,
    why: Option<String>,
) -> Result<(Recovered, Option<u64>)> {
    let end = effect::recover_relocation(&workspace.root, plan)?;
    if end == Recovered::RolledBack {
        roll_back(tx, plan, why.unwrap_or_else(|| "its process was gone".to_owned()))?;
        return Ok((end, None));
    }
    decide(tx, plan.id, MoveCommand::Complete { recovered })?;
    Ok((end, relocation.record(workspace, tx, plan)?))
}

/// Records that the files of a run are where a move brought them, or gone.
pub(super) fn record_run(
    tx: &mut Tx<'_, '_>,
    plan: &MovePlan,
    packed: Option<PackedFiles>,
) -> Result<Vec<RunEvent>> {
    let Some(run) = plan.purpose.run() else { return Ok(vec![]) };
    let policy = fold_policy(tx.log())?;
    let facts = RunFacts::new(&policy, Provenance::Reported);
    let command = RunCommand::NoteMoved(Box::new(plan.clone()), packed);
    Ok(tx.decide::<RunStream>(run, command, &facts)?.events().to_vec())
}
