//! Decisions about one stream that is read once: what a command would do is decided in the same way
//! whether it is shown (`--dry-run`) or appended.

use std::ops::Deref;

use crate::app::Result;
use crate::app::core::admitted::folded;
use crate::domain::{Decider, Provenance, Rejection};
use crate::store::{Access, View};

/// A stream as the log has it, and what was decided about it since.
#[derive(Clone, Debug)]
pub struct Draft<S: Decider> {
    pub(super) id: S::Id,
    /// Revision that the stream's next event has in the log (STR-1).
    pub(super) revision: u64,
    pub(super) provenance: Provenance,
    state: S::State,
    events: Vec<S::Event>,
    pub(super) appended: usize,
}

impl<S: Decider> Draft<S> {
    /// Reads the stream.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn read<A: Access>(log: &View<A>, id: S::Id) -> Result<Self> {
        let state = folded::<S, A>(log, id)?;
        Self::of_state(log, id, state)
    }

    /// The stream in the state that counts for this decision.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(in crate::app) fn of_state<A: Access>(
        log: &View<A>,
        id: S::Id,
        state: S::State,
    ) -> Result<Self> {
        let revision = log.head(S::stream(id))?.map_or(0, |head| head.next);
        let provenance = Provenance::Reported;
        Ok(Self { id, revision, provenance, state, events: vec![], appended: 0 })
    }

    /// Decides on a request and folds in what it makes.
    ///
    /// # Errors
    /// When a rule refuses it; nothing is then changed.
    pub fn decide(
        &mut self,
        command: S::Command,
        facts: &S::Facts<'_>,
    ) -> Result<&[S::Event], Rejection> {
        let made = S::decide(&self.state, command, facts)?;
        made.iter().for_each(|event| S::anticipate(&mut self.state, event, facts));
        self.provenance = S::provenance(facts);
        let before = self.events.len();
        self.events.extend(made);
        Ok(&self.events[before..])
    }

    /// What was decided, in order.
    pub fn events(&self) -> &[S::Event] {
        &self.events
    }

    /// The state with what was decided.
    pub fn into_state(self) -> S::State {
        self.state
    }
}

impl<S: Decider> Deref for Draft<S> {
    type Target = S::State;
    fn deref(&self) -> &S::State {
        &self.state
    }
}
