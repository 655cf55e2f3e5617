//! How far one use of a verb got.

use super::{InvocationEvent, InvocationStarted, Outcome};
use crate::domain::Fold;

/// How far it got.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Phase {
    /// Nothing is known.
    #[default]
    Unknown,
    /// It began.
    Started,
    /// It ended by itself.
    Finished(Outcome),
    /// Its process was gone.
    Interrupted,
}

/// The fold of one invocation's stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InvocationState {
    /// How it began.
    pub started: Option<InvocationStarted>,
    /// How far it got.
    pub phase: Phase,
}

impl Fold for InvocationState {
    type Event = InvocationEvent;

    fn evolve(&mut self, event: &InvocationEvent) {
        match event {
            InvocationEvent::Started(started) => {
                self.started = Some(started.clone());
                self.phase = Phase::Started;
            }
            InvocationEvent::Finished(finished) => {
                self.phase = Phase::Finished(finished.outcome.clone());
            }
            InvocationEvent::Interrupted(_) => self.phase = Phase::Interrupted,
        }
    }
}
