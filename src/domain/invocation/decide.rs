//! The rules about one use of a verb: it begins once and ends once.

use super::{
    InvocationCommand, InvocationEvent, InvocationFinished, InvocationInterrupted,
    InvocationStarted, InvocationState, Phase, StartedVerb,
};
use crate::base::InvocationId;
use crate::domain::{Decider, Event, Fold as _, Header, Provenance, Rejection, StreamId};

/// The stream of one use of a verb. Its facts are how the request comes to the log: that a process
/// is gone is observed by another one.
#[derive(Clone, Copy, Debug)]
pub enum InvocationStream {}

impl Decider for InvocationStream {
    type Id = InvocationId;
    type State = InvocationState;
    type Command = InvocationCommand;
    type Event = InvocationEvent;
    type Facts<'f> = Provenance;

    fn stream(id: InvocationId) -> StreamId {
        id.into()
    }

    fn event(event: Event) -> Option<InvocationEvent> {
        if let Event::Invocation(event) = event { Some(event) } else { None }
    }

    fn decide(
        state: &InvocationState,
        command: InvocationCommand,
        _: &Provenance,
    ) -> Result<Vec<InvocationEvent>, Rejection> {
        decide(state, command)
    }

    fn evolve(state: &mut InvocationState, event: &InvocationEvent, _: &Header) {
        state.evolve(event);
    }

    fn anticipate(state: &mut InvocationState, event: &InvocationEvent, _: &Provenance) {
        state.evolve(event);
    }

    fn provenance(facts: &Provenance) -> Provenance {
        *facts
    }
}

/// Refuses a second start, and the end of an invocation that is not under way.
pub(super) fn decide(
    state: &InvocationState,
    command: InvocationCommand,
) -> Result<Vec<InvocationEvent>, Rejection> {
    let wrong = |wanted: &str| {
        let state = match &state.phase {
            Phase::Unknown => "not begun",
            Phase::Started => "under way",
            Phase::Finished(_) => "finished",
            Phase::Interrupted => "interrupted",
        };
        Err(Rejection::WrongState {
            what: "the invocation".into(),
            state: state.into(),
            wanted: wanted.into(),
        })
    };
    match (command, &state.phase) {
        (InvocationCommand::Start(start), Phase::Unknown) => {
            let StartedVerb { invocation, verb, argv, host, pid, cwd, tool_version } = start;
            let started =
                InvocationStarted { invocation, verb, argv, host, pid, cwd, tool_version };
            Ok(vec![started.into()])
        }
        (InvocationCommand::Start(_), _) => wrong("an invocation begins once"),
        (InvocationCommand::Finish(outcome), Phase::Started) => {
            Ok(vec![InvocationFinished { outcome }.into()])
        }
        (InvocationCommand::Interrupt { recovered }, Phase::Started) => {
            Ok(vec![InvocationInterrupted { recovered }.into()])
        }
        _ => wrong("only a running one can end"),
    }
}
