//! What a crash left behind, cleared by the next changing verb: runs without a supervisor become
//! interrupted, moves are finished or rolled back, invocations without a process are ended.

use crate::app::core::session::Tx;
use crate::app::models::production::in_production;
use crate::app::models::promote::append_move;
use crate::app::runs::archive::folder_name;
use crate::app::{Layout, Result, Workspace, fold_policy, fold_registry, fold_run};
use crate::app::{models, runs, workspace};
use crate::base::{InvocationId, RunId};
use crate::domain::file_move::{Migrated, MoveCommand, MoveEvent, MovePlanned, MovePurpose};
use crate::domain::invocation::{
    InvocationCommand, InvocationEvent, InvocationStarted, InvocationStream,
};
use crate::domain::run::{Archive, Ending, RunCommand, RunEvent, RunFacts, RunStatus, RunStream};
use crate::domain::{Event, Provenance};
use crate::effect::{self, Recovered as Recovery};
use crate::store::{Access, Filter, View};

/// What recovery did, in one line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The lines.
    pub notes: Vec<String>,
}

/// An invocation that is open in the log and whose process is gone.
struct Left {
    position: u64,
    started: InvocationStarted,
}

impl Workspace {
    /// Clears what crashed processes left. Costs one short read when there is nothing.
    ///
    /// # Errors
    /// When the log or the files cannot be read or written.
    pub fn recover(&self) -> Result<Recovered> {
        if self.dry_run {
            return Ok(Recovered::default());
        }
        let cleared = runs::clear_beginnings(self)?;
        workspace::clear_redaction(self)?;
        let left = self.store.read(|log| self.left(log))?;
        if left.is_empty() {
            return Ok(Recovered { notes: cleared });
        }
        let mut recovered = self.decide_signed("recover", self.signer()?.as_ref(), |tx| {
            let mut recovered = Recovered::default();
            for invocation in &left {
                // Another process may have been faster.
                if tx.log().next_sequence(invocation.position)?.is_some() {
                    recovered.notes.extend(self.recover_one(tx, invocation)?);
                }
            }
            Ok(recovered)
        })?;
        recovered.notes.extend(cleared);
        left.iter().for_each(|invocation| self.live.forget(invocation.started.invocation));
        Ok(recovered)
    }

    /// What [`Self::recover`] would clear, in one line each.
    pub(in crate::app) fn left_behind(&self) -> Result<Vec<String>> {
        let left = self.store.read(|log| self.left(log))?;
        let line = |left: &Left| {
            format!("`annals {}` (pid {}) was cut short", left.started.verb, left.started.pid)
        };
        Ok(left.iter().map(line).collect())
    }

    fn left<A: Access>(&self, log: &View<A>) -> Result<Vec<Left>> {
        let mut left = Vec::new();
        for position in log.open_invocations()? {
            let event = log.event(position)?;
            if let Ok(Event::Invocation(InvocationEvent::Started(started))) = event.event()
                && !self.live.is_alive(started.invocation)
            {
                left.push(Left { position, started });
            }
        }
        Ok(left)
    }

    fn recover_one(&self, tx: &mut Tx<'_, '_>, left: &Left) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        for run in runs_of(tx.log(), left.position)? {
            let state = fold_run(tx.log(), run)?;
            if state.status != RunStatus::Running {
                continue;
            }
            let (pid, host) = (left.started.pid, &left.started.host);
            let reason = format!("the supervisor (pid {pid} on {host}) is gone");
            let command = RunCommand::End(Ending::Interrupt { reason });
            let policy = fold_policy(tx.log())?;
            let facts = RunFacts::new(&policy, Provenance::Supervised);
            tx.decide::<RunStream>(run, command, &facts)?;
            notes.push(format!("run {} was interrupted", state.experiment_id));
        }
        notes.extend(self.recover_moves(tx, left.position)?);
        let id: InvocationId = left.started.invocation;
        notes.extend(workspace::end_redaction(self, tx.log(), left.position, id)?);
        let command = InvocationCommand::Interrupt { recovered: notes.clone() };
        tx.decide::<InvocationStream>(id, command, &Provenance::Supervised)?;
        notes.push(format!(
            "`annals {}` of pid {} was cut short",
            left.started.verb, left.started.pid
        ));
        Ok(notes)
    }
}

impl Workspace {
    /// Ends the moves that an invocation planned: completed where the target is whole, else
    /// rolled back.
    fn recover_moves(&self, tx: &mut Tx<'_, '_>, invocation: u64) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        for (_, position) in tx.log().open_moves()? {
            let envelope = tx.log().event(position)?;
            let Ok(Event::Move(MoveEvent::Planned(plan))) = envelope.event() else { continue };
            // A plan under another id than its stream's was made by nobody who can be trusted.
            let foreign = envelope.header.stream != plan.id.into();
            if envelope.header.invocation != Some(invocation) || foreign {
                continue;
            }
            if let Err(reason) = self.may_recover(tx.log(), &plan)? {
                notes.push(format!("the move of {} was rolled back: {reason}", plan.from));
                let command = MoveCommand::RollBack { reason };
                append_move(tx, plan.id, command)?;
                continue;
            }
            if matches!(
                plan.purpose,
                MovePurpose::Archive(_) | MovePurpose::Restore(_) | MovePurpose::Migration(_)
            ) {
                let (end, _) = runs::finish_relocation(self, tx, &plan, true, None)?;
                let how = if end == Recovery::Completed { "finished" } else { "rolled back" };
                notes.push(format!("the move to {} was {how}", plan.to));
                continue;
            }
            if let MovePurpose::Removal(_) = &plan.purpose {
                notes.push(runs::finish_removal(self, tx, &plan, true, None)?.0);
                continue;
            }
            notes.push(models::end_cut_move(self, tx, &plan)?);
        }
        // Also of those that had ended: the crash may have come before the last was cleared away.
        for plan in moves_of(tx.log(), invocation)? {
            if effect::check_plan(&self.root, &plan).is_ok() {
                effect::clear(&self.root, &plan)?;
            }
        }
        Ok(notes)
    }

    /// Whether a plan names what the log has for its run or its model, inside the workspace: it
    /// may come from somebody who can write events but not these files.
    fn may_recover<A: Access>(
        &self,
        log: &View<A>,
        plan: &MovePlanned,
    ) -> Result<Result<(), String>> {
        if let Err(error) = effect::check_plan(&self.root, plan) {
            return Ok(Err(error.to_string()));
        }
        let source = match (&plan.purpose, plan.purpose.run(), plan.purpose.model()) {
            (MovePurpose::Rollback { .. } | MovePurpose::Repair { .. }, ..) => {
                Some(effect::BLOBS.to_owned())
            }
            (_, Some(run), _) => Some(fold_run(log, run)?.folder),
            (_, None, Some(name)) => {
                in_production(&fold_registry(log)?, name).map(|version| version.path.clone())
            }
            (_, None, None) => None,
        };
        if source.as_ref() == Some(&plan.from) {
            // Files that have left their source are where the plan says, whatever it says.
            let moved = !self.inside(&plan.from).is_ok_and(|source| source.is_dir());
            return Ok(match moved || self.is_target(log, plan)? {
                true => Ok(()),
                false => Err(format!("{} is outside of the folder where it may be", plan.to)),
            });
        }
        let known = source.unwrap_or_else(|| "no folder".into());
        Ok(Err(format!("the log has {known} for it, not {}", plan.from)))
    }
}

impl Workspace {
    /// Whether the layout has such a place for what a plan moves.
    fn is_target<A: Access>(&self, log: &View<A>, plan: &MovePlanned) -> Result<bool> {
        let parent = plan.to.rsplit_once('/').map_or("", |(parent, _)| parent);
        let policy = fold_policy(log)?.policy;
        Ok(match &plan.purpose {
            MovePurpose::Archive(order) => parent == self.layout.archive(order.archive, &policy),
            MovePurpose::Restore(order) => {
                let home = fold_run(log, order.run)?.home;
                let number = plan.to.strip_prefix(&home);
                number.is_some_and(|n| n.is_empty() || n.starts_with('_') && !n.contains('/'))
            }
            MovePurpose::Migration(order) => {
                let own = order.layout == self.layout.kind;
                let layout = if own { self.layout.clone() } else { Layout::new(order.layout) };
                let archives = [Archive::Debug, Archive::Baseline, Archive::Archived];
                match &order.what {
                    Migrated::Run { .. } => {
                        parent == layout.experiments
                            || archives.iter().any(|a| parent == layout.archive(*a, &policy))
                    }
                    Migrated::Model { name } => plan.to == layout.model(name),
                }
            }
            MovePurpose::Promotion { name, .. }
            | MovePurpose::Rollback { name, .. }
            | MovePurpose::Repair { name, .. } => folder_name(&plan.to) == name,
            MovePurpose::Demotion { .. } | MovePurpose::Removal(_) => {
                plan.to == effect::BLOBS || plan.to == effect::REMOVED
            }
        })
    }
}

/// The moves that an invocation planned.
fn moves_of<A: Access>(log: &View<A>, invocation: u64) -> Result<Vec<MovePlanned>> {
    let planned = Filter::kinds([MoveEvent::PLANNED]);
    let events = log.events(invocation..log.size(), &planned)?;
    let own = events.iter().filter(|event| event.header.invocation == Some(invocation));
    let plans = own.filter_map(|event| match event.event() {
        Ok(Event::Move(MoveEvent::Planned(plan))) => Some(plan),
        _ => None,
    });
    Ok(plans.collect())
}

/// The runs that an invocation started or resumed.
fn runs_of<A: Access>(log: &View<A>, invocation: u64) -> Result<Vec<RunId>> {
    let started = Filter::kinds([RunEvent::STARTED, RunEvent::RESUMED]);
    let events = log.events(invocation..log.size(), &started)?;
    let own = events.iter().filter(|event| event.header.invocation == Some(invocation));
    Ok(own.filter_map(|event| event.header.stream.run()).collect())
}
