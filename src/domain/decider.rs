//! The decider: the one shape of every stream. `decide` holds the rules and makes every event,
//! `evolve` folds events into the state and has no rules (DOM-1).
//!
//! To add a stream: a folder with an implementation of [`Decider`], and a line in `streams!`.

use super::{Envelope, Event, Header, Provenance, Rejection, StreamId};

/// A stream: what may be requested of it, what happens then, and what follows from that.
pub trait Decider {
    /// Identifies one stream of this type; `()` for a stream that exists once.
    type Id: Copy;
    /// What is known after some events.
    type State: Default + Clone;
    /// A request to change.
    type Command;
    /// What can happen.
    type Event: Clone + Into<Event>;
    /// What a decision has to know beside the state: now, ids, the state of other streams.
    type Facts<'f>;

    /// The stream with this id.
    fn stream(id: Self::Id) -> StreamId;

    /// The event, where it is one of this type of stream.
    fn event(event: Event) -> Option<Self::Event>;

    /// Decides on a request: the events that it makes, none where nothing changes.
    ///
    /// # Errors
    /// When a rule refuses it.
    fn decide(
        state: &Self::State,
        command: Self::Command,
        facts: &Self::Facts<'_>,
    ) -> Result<Vec<Self::Event>, Rejection>;

    /// Folds in a stored event.
    fn evolve(state: &mut Self::State, event: &Self::Event, header: &Header);

    /// Folds in an event that was decided and is not stored yet. It equals [`Self::evolve`] with
    /// the header that the event will get: what a state takes from a header is in the facts.
    fn anticipate(state: &mut Self::State, event: &Self::Event, facts: &Self::Facts<'_>);

    /// How the events that are decided with `facts` come to the log.
    fn provenance(facts: &Self::Facts<'_>) -> Provenance {
        let _ = facts;
        Provenance::Reported
    }
}

/// The state after `envelopes`, which are of one stream and in order.
pub fn fold<'e, S: Decider>(envelopes: impl IntoIterator<Item = &'e Envelope>) -> S::State {
    let mut state = S::State::default();
    for envelope in envelopes {
        // Kinds of a later version change no state that this annals knows.
        if let Some(event) = envelope.event().ok().and_then(S::event) {
            S::evolve(&mut state, &event, &envelope.header);
        }
    }
    state
}
