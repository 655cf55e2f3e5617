//! An earlier version of a model comes back into production.

use crate::app::Result;
use crate::app::core::session::Tx;
use crate::app::moves::placement::Placement;
use crate::base::RunId;
use crate::domain::file_move::MovePlan;
use crate::domain::registry::{ModelVersion, RegistryCommand, RegistryState};
use crate::effect;

/// A version that comes back.
pub(in crate::app::moves) struct Rollback<'p> {
    pub(in crate::app::moves) name: &'p str,
    pub(in crate::app::moves) number: u32,
    pub(in crate::app::moves) reason: &'p str,
}

impl Rollback<'_> {
    fn version<'r>(&self, registry: &'r RegistryState) -> Option<&'r ModelVersion> {
        registry.versions(self.name).iter().find(|version| version.number == self.number)
    }
}

impl Placement for Rollback<'_> {
    fn model(&self) -> &str {
        self.name
    }

    fn source(&self, _: &Tx<'_, '_>) -> Result<Option<String>> {
        Ok(Some(effect::BLOBS.to_owned()))
    }

    fn run(&self, registry: &RegistryState) -> Option<RunId> {
        self.version(registry).map(|version| version.run)
    }

    fn decision(&self, plan: &MovePlan) -> RegistryCommand {
        RegistryCommand::RollBack {
            name: self.name.to_owned(),
            number: self.number,
            file_move: plan.id,
            reason: self.reason.to_owned(),
        }
    }

    /// It comes back to another folder than it left where the layout changed in between.
    fn decision_before(
        &self,
        registry: &RegistryState,
        plan: &MovePlan,
    ) -> Option<RegistryCommand> {
        self.version(registry).filter(|version| version.path != plan.to)?;
        Some(RegistryCommand::Relocate {
            name: self.name.to_owned(),
            path: plan.to.clone(),
            file_move: plan.id,
        })
    }
}
