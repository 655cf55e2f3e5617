//! A model is taken out of production; its files stay in the blob store.

use crate::app::core::session::Tx;
use crate::app::models::production::in_production;
use crate::app::moves::placement::Placement;
use crate::app::{Result, Workspace, fold_registry};
use crate::base::RunId;
use crate::domain::file_move::{MovePlan, MovedFile};
use crate::domain::registry::{RegistryCommand, RegistryState};
use crate::effect::{self, EffectError, Recovered};

/// A model that leaves production.
pub(in crate::app::moves) struct Demotion<'p> {
    pub(in crate::app::moves) name: &'p str,
    pub(in crate::app::moves) reason: &'p str,
}

impl Placement for Demotion<'_> {
    fn model(&self) -> &str {
        self.name
    }

    fn source(&self, tx: &Tx<'_, '_>) -> Result<Option<String>> {
        Ok(in_production(&fold_registry(tx.log())?, self.name).map(|model| model.path.clone()))
    }

    fn run(&self, registry: &RegistryState) -> Option<RunId> {
        registry.production.get(self.name).map(|model| model.run)
    }

    fn decision(&self, _: &MovePlan) -> RegistryCommand {
        let (name, reason) = (self.name.to_owned(), self.reason.to_owned());
        RegistryCommand::Demote { name, reason }
    }

    fn is_target(&self, plan: &MovePlan) -> bool {
        plan.to == effect::BLOBS || plan.to == effect::REMOVED
    }

    fn folder<'p>(&self, plan: &'p MovePlan) -> &'p str {
        &plan.from
    }

    fn place(
        &self,
        workspace: &Workspace,
        plan: &MovePlan,
        _: Option<&[MovedFile]>,
    ) -> Result<(), EffectError> {
        effect::remove(&workspace.root, plan)
    }

    fn recover(
        &self,
        workspace: &Workspace,
        plan: &MovePlan,
        _: Option<&[MovedFile]>,
    ) -> Result<Recovered, EffectError> {
        effect::recover_removal(&workspace.root, plan)
    }

    fn take_back(&self, workspace: &Workspace, plan: &MovePlan) -> Result<(), EffectError> {
        effect::take_back_removal(&workspace.root, plan)
    }
}
