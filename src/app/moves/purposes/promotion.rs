//! Files of a run become a production model.

use crate::app::core::session::Tx;
use crate::app::moves::placement::Placement;
use crate::app::{Result, fold_run};
use crate::base::{RequestId, RunId};
use crate::domain::file_move::MovePlan;
use crate::domain::registry::{PromotedFile, RegistryCommand, RegistryState};

/// A run that comes into production.
pub(in crate::app::moves) struct Promotion<'p> {
    pub(in crate::app::moves) request: RequestId,
    pub(in crate::app::moves) run: RunId,
    pub(in crate::app::moves) name: &'p str,
}

impl Placement for Promotion<'_> {
    fn model(&self) -> &str {
        self.name
    }

    fn source(&self, tx: &Tx<'_, '_>) -> Result<Option<String>> {
        Ok(Some(fold_run(tx.log(), self.run)?.folder))
    }

    fn run(&self, _: &RegistryState) -> Option<RunId> {
        Some(self.run)
    }

    fn decision(&self, plan: &MovePlan) -> RegistryCommand {
        let files = plan.files.iter().map(|file| PromotedFile {
            path: file.path.clone(),
            digest: file.digest,
            sha256: file.sha256,
            bytes: file.bytes,
        });
        RegistryCommand::Promote {
            request: self.request,
            path: plan.to.clone(),
            files: files.collect(),
            file_move: plan.id,
        }
    }
}
