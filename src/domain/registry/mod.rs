//! Promotions: who asked, who agreed, what was refused, and which models are in production.

mod admit;
mod command;
mod decide;
mod event;
mod evidence;
mod state;
mod upcast;
mod version;

#[cfg(test)]
mod tests;

pub(in crate::domain) use admit::{admits, run_of};
pub use command::RegistryCommand;
pub use decide::{RegistryFacts, RegistryStream, approvals_that_count, meets};
pub use event::{
    Damage, DamagedFile, ModelAliasRemoved, ModelAliasSet, ModelDemoted, ModelFoundDamaged,
    ModelPromoted, ModelRelocated, ModelRepaired, ModelRolledBack, ModelVersionBumped,
    PromotedFile, PromotionApproved, PromotionRefused, PromotionRejected, PromotionRequested,
    RegistryEvent,
};
pub use evidence::{Evidence, Originals, PAPERS};
pub use state::{Approval, ProductionModel, RegistryState, Request, RequestStatus};
pub use version::{Bump, ModelVersion, Semver, named_version, next_version};
