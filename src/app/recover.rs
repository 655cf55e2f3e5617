//! What a crash left behind, cleared by the next changing verb: runs without a supervisor become
//! interrupted, moves are finished or rolled back, invocations without a process are ended.

use super::session::Tx;
use super::{App, Result, fold_run};
use crate::base::{InvocationId, RunId};
use crate::domain::file_move::{MoveEvent, MovePlanned, MovePurpose};
use crate::domain::invocation::{InvocationEvent, InvocationInterrupted, InvocationStarted};
use crate::domain::policy::Policy;
use crate::domain::run::{Ending, RunCommand, RunFacts, RunStatus, decide};
use crate::domain::{Event, Provenance, kind_named};
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

impl App {
    /// Clears what crashed processes left. Costs one short read when there is nothing.
    ///
    /// # Errors
    /// When the log or the files cannot be read or written.
    pub fn recover(&self) -> Result<Recovered> {
        let cleared = self.clear_beginnings()?;
        self.clear_redaction()?;
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
    pub(super) fn left_behind(&self) -> Result<Vec<String>> {
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
            let facts = RunFacts {
                policy: &Policy::default(),
                policy_revision: 0,
                provenance: Provenance::Supervised,
            };
            let events: Vec<Event> =
                decide(&state, command, &facts)?.into_iter().map(Event::from).collect();
            tx.append(run, &events, Provenance::Supervised)?;
            notes.push(format!("run {} was interrupted", state.experiment_id));
        }
        notes.extend(self.recover_moves(tx, left.position)?);
        let id: InvocationId = left.started.invocation;
        notes.extend(self.end_redaction(id)?);
        let interrupted = InvocationInterrupted { recovered: notes.clone() };
        tx.append(id, &[interrupted.into()], Provenance::Supervised)?;
        notes.push(format!(
            "`annals {}` of pid {} was cut short",
            left.started.verb, left.started.pid
        ));
        Ok(notes)
    }
}

impl App {
    /// Ends the moves that an invocation planned: completed where the target is whole, else
    /// rolled back.
    fn recover_moves(&self, tx: &mut Tx<'_, '_>, invocation: u64) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        for (_, position) in tx.log().open_moves()? {
            let envelope = tx.log().event(position)?;
            let Ok(Event::Move(MoveEvent::Planned(plan))) = envelope.event() else { continue };
            if envelope.header.invocation != Some(invocation) {
                continue;
            }
            if matches!(
                plan.purpose,
                MovePurpose::Archive(_) | MovePurpose::Restore(_) | MovePurpose::Migration(_)
            ) {
                let (end, _) = self.settle_relocation(tx, &plan, true, None)?;
                let how = if end == Recovery::Completed { "finished" } else { "rolled back" };
                notes.push(format!("the move to {} was {how}", plan.to));
                continue;
            }
            if let MovePurpose::Removal(order) = &plan.purpose {
                notes.push(self.settle_removal(tx, &plan, order, true, None)?.0);
                continue;
            }
            notes.push(self.end_cut_move(tx, &plan)?);
        }
        // Also of those that had ended: the crash may have come before the last was cleared away.
        for plan in moves_of(tx.log(), invocation)? {
            effect::clear(&self.root, &plan)?;
        }
        Ok(notes)
    }
}

/// The moves that an invocation planned.
fn moves_of<A: Access>(log: &View<A>, invocation: u64) -> Result<Vec<MovePlanned>> {
    let planned = Filter::kinds(kind_named("move.planned"));
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
    let started = Filter::kinds(["run.started", "run.resumed"].into_iter().filter_map(kind_named));
    let events = log.events(invocation..log.size(), &started)?;
    let own = events.iter().filter(|event| event.header.invocation == Some(invocation));
    Ok(own.filter_map(|event| event.header.stream.run()).collect())
}
