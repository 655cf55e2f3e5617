//! A run or a production model goes where another layout has it.

use crate::app::core::session::Tx;
use crate::app::models::production::in_production;
use crate::app::models::promotion_facts::PromotionFacts;
use crate::app::moves::plan::{refuse_other_change, refuse_other_move};
use crate::app::moves::relocation::{Relocation, record_run};
use crate::app::{Layout, Result, Workspace, fold_policy, fold_registry, fold_run};
use crate::base::RunId;
use crate::domain::file_move::{Migrated, MigrationOrder, MovePlan};
use crate::domain::registry::{RegistryCommand, RegistryStream};
use crate::domain::run::Archive;

/// What goes to another layout.
pub(in crate::app::moves) struct Migration<'p>(pub(in crate::app::moves) &'p MigrationOrder);

impl Relocation for Migration<'_> {
    fn source(&self, tx: &Tx<'_, '_>) -> Result<Option<String>> {
        match &self.0.what {
            Migrated::Run { run, .. } => Ok(Some(fold_run(tx.log(), *run)?.folder)),
            Migrated::Model { name } => {
                let registry = fold_registry(tx.log())?;
                Ok(in_production(&registry, name).map(|version| version.path.clone()))
            }
        }
    }

    fn is_target(&self, workspace: &Workspace, tx: &Tx<'_, '_>, plan: &MovePlan) -> Result<bool> {
        let own = self.0.layout == workspace.layout.kind;
        let layout = if own { workspace.layout.clone() } else { Layout::new(self.0.layout) };
        Ok(match &self.0.what {
            Migrated::Run { .. } => {
                let parent = plan.to.rsplit_once('/').map_or("", |(parent, _)| parent);
                let policy = fold_policy(tx.log())?.policy;
                let archives = [Archive::Debug, Archive::Baseline, Archive::Archived];
                parent == layout.experiments
                    || archives.iter().any(|a| parent == layout.archive(*a, &policy))
            }
            Migrated::Model { name } => plan.to == layout.model(name),
        })
    }

    fn folder<'p>(&self, plan: &'p MovePlan) -> &'p str {
        &plan.from
    }

    fn may_begin(&self, tx: &Tx<'_, '_>, plan: &MovePlan) -> Result<()> {
        match &self.0.what {
            Migrated::Run { .. } => refuse_other_move(tx.log(), &plan.to),
            Migrated::Model { .. } => refuse_other_change(tx.log(), plan),
        }
    }

    fn record(
        &self,
        workspace: &Workspace,
        tx: &mut Tx<'_, '_>,
        plan: &MovePlan,
    ) -> Result<Option<u64>> {
        match &self.0.what {
            Migrated::Run { .. } => record_run(tx, plan, None).map(|_| None),
            Migrated::Model { name } => {
                let actor = &workspace.caller.actor;
                let facts = PromotionFacts::read(tx.log(), None::<RunId>, actor, tx.key())?;
                let (name, path, file_move) = (name.clone(), plan.to.clone(), plan.id);
                let command = RegistryCommand::Relocate { name, path, file_move };
                tx.decide::<RegistryStream>((), command, &facts.of_registry())?;
                Ok(None)
            }
        }
    }
}
