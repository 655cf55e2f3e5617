//! A run comes back from an archive.

use crate::app::core::session::Tx;
use crate::app::moves::relocation::Relocation;
use crate::app::{Result, Workspace, fold_run};
use crate::domain::file_move::{MovePlan, RestoreOrder};

/// A run that comes back.
pub(in crate::app::moves) struct Restoring<'p>(pub(in crate::app::moves) &'p RestoreOrder);

impl Relocation for Restoring<'_> {
    fn source(&self, tx: &Tx<'_, '_>) -> Result<Option<String>> {
        Ok(Some(fold_run(tx.log(), self.0.run)?.folder))
    }

    fn is_target(&self, _: &Workspace, tx: &Tx<'_, '_>, plan: &MovePlan) -> Result<bool> {
        let home = fold_run(tx.log(), self.0.run)?.home;
        let number = plan.to.strip_prefix(&home);
        Ok(number.is_some_and(|n| n.is_empty() || n.starts_with('_') && !n.contains('/')))
    }
}
