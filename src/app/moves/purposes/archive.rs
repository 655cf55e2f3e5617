//! A run goes into an archive.

use crate::app::core::session::Tx;
use crate::app::moves::relocation::{Relocation, record_run};
use crate::app::{Result, Workspace, fold_policy, fold_run};
use crate::domain::file_move::{ArchiveOrder, MovePlan};
use crate::domain::run::RunEvent;
use crate::effect;

/// A run that is archived.
pub(in crate::app::moves) struct Archiving<'p>(pub(in crate::app::moves) &'p ArchiveOrder);

impl Relocation for Archiving<'_> {
    fn source(&self, tx: &Tx<'_, '_>) -> Result<Option<String>> {
        Ok(Some(fold_run(tx.log(), self.0.run)?.folder))
    }

    fn is_target(&self, workspace: &Workspace, tx: &Tx<'_, '_>, plan: &MovePlan) -> Result<bool> {
        let parent = plan.to.rsplit_once('/').map_or("", |(parent, _)| parent);
        let policy = fold_policy(tx.log())?.policy;
        Ok(parent == workspace.layout.archive(self.0.archive, &policy))
    }

    fn record(
        &self,
        workspace: &Workspace,
        tx: &mut Tx<'_, '_>,
        plan: &MovePlan,
    ) -> Result<Option<u64>> {
        let packed = effect::packed(&workspace.root, plan)?;
        let events = record_run(tx, plan, packed)?;
        Ok(events.iter().find_map(|event| match event {
            RunEvent::Archived(archived) => Some(archived.bytes_after),
            _ => None,
        }))
    }
}
