//! The recorded files of a production model come back from the blob store.

use crate::app::Result;
use crate::app::core::session::Tx;
use crate::app::moves::placement::Placement;
use crate::base::RunId;
use crate::domain::file_move::MovePlan;
use crate::domain::registry::{RegistryCommand, RegistryState};
use crate::effect;

/// A model whose files come back.
pub(in crate::app::moves) struct Repair<'p> {
    pub(in crate::app::moves) name: &'p str,
    pub(in crate::app::moves) number: u32,
    pub(in crate::app::moves) reason: Option<&'p String>,
}

impl Placement for Repair<'_> {
    fn model(&self) -> &str {
        self.name
    }

    fn source(&self, _: &Tx<'_, '_>) -> Result<Option<String>> {
        Ok(Some(effect::BLOBS.to_owned()))
    }

    fn run(&self, registry: &RegistryState) -> Option<RunId> {
        registry.production.get(self.name).map(|model| model.run)
    }

    fn decision(&self, plan: &MovePlan) -> RegistryCommand {
        RegistryCommand::Repair {
            name: self.name.to_owned(),
            number: self.number,
            file_move: plan.id,
            reason: self.reason.cloned(),
        }
    }
}
