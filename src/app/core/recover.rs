//! What a crash left behind, cleared by the next changing verb: runs without a supervisor become
//! interrupted, moves are finished or rolled back, invocations without a process are ended.

use crate::app::core::quarantine::quarantine;
use crate::app::core::session::Tx;
use crate::app::core::workspace::ChangeSigner;
use crate::app::workspace::actors::keys;
use crate::app::{Error, Result, Workspace, fold_policy, fold_run, moves, runs, workspace};
use crate::base::{InvocationId, RunId};
use crate::domain::invocation::{
    InvocationCommand, InvocationEvent, InvocationStarted, InvocationStream,
};
use crate::domain::run::{Ending, RunCommand, RunEvent, RunFacts, RunStatus, RunStream};
use crate::domain::{Event, Provenance};
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
        self.recover_and_sign().map(|(recovered, _)| recovered)
    }

    /// [`Self::recover`], with what signs the change that follows: both from one opening.
    ///
    /// # Errors
    /// As [`Self::recover`].
    pub(in crate::app) fn recover_and_sign(&self) -> Result<(Recovered, Option<ChangeSigner>)> {
        if self.dry_run {
            return Ok((Recovered::default(), self.signer()?));
        }
        // What is left in a stranger's workspace is what the stranger wants to be cleared.
        self.require_trust()?;
        // Before anything acts on what is there.
        quarantine(self)?;
        let cleared = runs::clear_beginnings(self)?;
        workspace::clear_redaction(self)?;
        let (left, keys) = self
            .store
            .read(|log| Ok::<_, Error>((self.left(log)?, (log.origin().to_owned(), keys(log)?))))?;
        let signer = self.signer_among(&keys.0, &keys.1)?;
        if left.is_empty() {
            return Ok((Recovered { notes: cleared }, signer));
        }
        let mut recovered = self.decide_signed("recover", signer.as_ref(), |tx| {
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
        Ok((recovered, signer))
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
        notes.extend(moves::recover(self, tx, left.position)?);
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

/// The runs that an invocation started or resumed.
fn runs_of<A: Access>(log: &View<A>, invocation: u64) -> Result<Vec<RunId>> {
    let started = Filter::kinds([RunEvent::STARTED, RunEvent::RESUMED]);
    let events = log.events(invocation..log.size(), &started)?;
    let own = events.iter().filter(|event| event.header.invocation == Some(invocation));
    Ok(own.filter_map(|event| event.header.stream.run()).collect())
}
