//! Moves of production folders. In between the old folder waits under a temporary name; what the
//! files were moved for is decided again when they are in place, and they are taken back where
//! that is refused by now.

use super::plan::{decide, refuse_other_change, roll_back};
use super::purpose::{Executed, Purpose};
use crate::app::core::session::Tx;
use crate::app::models::production::{in_production, moved_files};
use crate::app::models::promotion_facts::PromotionFacts;
use crate::app::runs::archive::folder_name;
use crate::app::{Result, Session, Workspace, fold_registry, models};
use crate::base::{RunId, failpoint};
use crate::domain::file_move::{MoveCommand, MovePlan, MovedFile};
use crate::domain::registry::{RegistryCommand, RegistryState};
use crate::effect::{self, EffectError, Recovered};
use crate::store::{Access, View};

/// A change of the production folder of a model.
pub(super) trait Placement {
    /// The production name.
    fn model(&self) -> &str;

    /// The folder that the log has for what moves; none where it has none.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn source(&self, tx: &Tx<'_, '_>) -> Result<Option<String>>;

    /// The run whose model it is.
    fn run(&self, registry: &RegistryState) -> Option<RunId>;

    /// What is decided when the files are in place.
    fn decision(&self, plan: &MovePlan) -> RegistryCommand;

    /// What is decided before that.
    fn decision_before(
        &self,
        registry: &RegistryState,
        plan: &MovePlan,
    ) -> Option<RegistryCommand> {
        let _ = (registry, plan);
        None
    }

    /// Whether the layout has such a place for it.
    fn is_target(&self, plan: &MovePlan) -> bool {
        folder_name(&plan.to) == self.model()
    }

    /// The folder in production.
    fn folder<'p>(&self, plan: &'p MovePlan) -> &'p str {
        &plan.to
    }

    /// Moves the files; `present` are those in production now.
    ///
    /// # Errors
    /// When they cannot be moved.
    fn place(
        &self,
        workspace: &Workspace,
        plan: &MovePlan,
        present: Option<&[MovedFile]>,
    ) -> Result<(), EffectError> {
        effect::place(&workspace.root, &workspace.blobs, plan, present)
    }

    /// Completes or undoes a move that a crash cut short.
    ///
    /// # Errors
    /// When files cannot be read or written.
    fn recover(
        &self,
        workspace: &Workspace,
        plan: &MovePlan,
        present: Option<&[MovedFile]>,
    ) -> Result<Recovered, EffectError> {
        effect::recover_place(&workspace.root, plan, present)
    }

    /// Brings back what was in production.
    ///
    /// # Errors
    /// When files cannot be read or written.
    fn take_back(&self, workspace: &Workspace, plan: &MovePlan) -> Result<(), EffectError> {
        effect::take_back(&workspace.root, plan)
    }
}

/// A purpose that is a placement.
pub(super) struct Placing<P>(pub(super) P);

impl<P: Placement> Purpose for Placing<P> {
    fn source(&self, tx: &Tx<'_, '_>) -> Result<Option<String>> {
        self.0.source(tx)
    }

    fn is_target(&self, _: &Workspace, _: &Tx<'_, '_>, plan: &MovePlan) -> Result<bool> {
        Ok(self.0.is_target(plan))
    }

    fn folder<'p>(&self, plan: &'p MovePlan) -> &'p str {
        self.0.folder(plan)
    }

    fn may_begin(&self, tx: &Tx<'_, '_>, plan: &MovePlan) -> Result<()> {
        refuse_other_change(tx.log(), plan)
    }

    fn execute(
        &self,
        workspace: &Workspace,
        session: &Session<'_>,
        plan: &MovePlan,
    ) -> Result<Executed> {
        let present = workspace.store.read(|log| present_files(log, self.0.model()))?;
        let moved = self.0.place(workspace, plan, present.as_deref());
        let kept = session.transact_patiently(|tx| match &moved {
            Ok(()) => complete(&self.0, workspace, tx, plan, false),
            Err(error) => roll_back(tx, plan, error.to_string()).map(|()| None),
        })?;
        moved?;
        effect::clear(&workspace.root, plan)?;
        failpoint::hit();
        Ok(Executed { kept, bytes: None })
    }

    fn recover(
        &self,
        workspace: &Workspace,
        tx: &mut Tx<'_, '_>,
        plan: &MovePlan,
    ) -> Result<String> {
        let present = present_files(tx.log(), self.0.model())?;
        if self.0.recover(workspace, plan, present.as_deref())? == Recovered::RolledBack {
            roll_back(tx, plan, "its process was gone".to_owned())?;
            return Ok(format!("the move to {} was rolled back", plan.to));
        }
        let kept = complete(&self.0, workspace, tx, plan, true)?;
        let kept = kept.map(|kept| format!("; the damaged files are in {kept}"));
        Ok(format!("the move to {} was finished{}", plan.to, kept.unwrap_or_default()))
    }
}

/// The files of the version of a model that is in production.
fn present_files<A: Access>(log: &View<A>, model: &str) -> Result<Option<Vec<MovedFile>>> {
    Ok(in_production(&fold_registry(log)?, model).map(moved_files))
}

/// Records that the files of a move are where they shall be; takes them back where the decision
/// behind it does not hold any more. Returns where a damaged folder is kept.
fn complete(
    placement: &dyn Placement,
    workspace: &Workspace,
    tx: &mut Tx<'_, '_>,
    plan: &MovePlan,
    recovered: bool,
) -> Result<Option<String>> {
    let run = placement.run(&fold_registry(tx.log())?);
    let command = placement.decision(plan);
    let mut facts = PromotionFacts::read(tx.log(), run, &workspace.caller.actor, tx.key())?;
    let before = facts.registry.clone();
    match facts.decide(command.clone()) {
        Ok(()) => {
            decide(tx, plan.id, MoveCommand::Complete { recovered })?;
            // In the log, what was found comes before the change that ended it.
            facts.registry = before;
            let damage = models::found_damaged(workspace, tx.log(), plan, recovered)?;
            let mut damaged_in = None;
            if let Some((note, kept)) = damage {
                facts.decide(note)?;
                damaged_in = kept;
            }
            if let Some(first) = placement.decision_before(&fold_registry(tx.log())?, plan) {
                facts.decide(first)?;
            }
            facts.decide(command)?;
            tx.append(&mut facts.registry)?;
            Ok(damaged_in)
        }
        Err(rejection) => {
            placement.take_back(workspace, plan)?;
            roll_back(tx, plan, rejection.to_string())?;
            if recovered { Ok(None) } else { Err(rejection.into()) }
        }
    }
}
