//! Tests of deciders as sentences: given a history, when a command comes, then these events, or
//! this refusal.

use std::fmt::Debug;

use super::{Decider, Rejection};

/// A stream with a history, and the facts that decisions see.
pub(in crate::domain) struct Given<'a, 'f, S: Decider> {
    state: S::State,
    facts: &'a S::Facts<'f>,
}

/// What a decider answered.
#[derive(Debug)]
pub(in crate::domain) struct Answer<E>(Result<Vec<E>, Rejection>);

/// The stream after `history`.
pub(in crate::domain) fn given<'a, 'f, S: Decider>(
    history: impl IntoIterator<Item = S::Event>,
    facts: &'a S::Facts<'f>,
) -> Given<'a, 'f, S> {
    let mut state = S::State::default();
    history.into_iter().for_each(|event| S::anticipate(&mut state, &event, facts));
    Given { state, facts }
}

impl<S: Decider> Given<'_, '_, S> {
    /// Decides on a command.
    pub(in crate::domain) fn when(&self, command: S::Command) -> Answer<S::Event> {
        Answer(S::decide(&self.state, command, self.facts))
    }
}

impl<E: Debug + PartialEq> Answer<E> {
    /// Exactly these events.
    #[track_caller]
    pub(in crate::domain) fn then(self, events: impl IntoIterator<Item = E>) {
        assert_eq!(self.0, Ok(events.into_iter().collect()));
    }

    /// Exactly this refusal.
    #[track_caller]
    pub(in crate::domain) fn refused(self, rejection: Rejection) {
        assert_eq!(self.0, Err(rejection));
    }
}
