//! The rules about one use of a verb: it begins once and ends once.

use super::{
    InvocationCommand, InvocationEvent, InvocationFinished, InvocationInterrupted, InvocationState,
    Phase,
};
use crate::domain::Rejection;

/// Decides on a request about an invocation.
///
/// # Errors
/// When it began already, or is not under way.
pub fn decide(
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
        (InvocationCommand::Start(started), Phase::Unknown) => Ok(vec![started.into()]),
        (InvocationCommand::Start(_), _) => wrong("an invocation begins once"),
        (InvocationCommand::Finish(outcome), Phase::Started) => {
            Ok(vec![InvocationFinished { outcome }.into()])
        }
        (InvocationCommand::Interrupt { recovered }, Phase::Started) => {
            Ok(vec![InvocationInterrupted { recovered }.into()])
        }
        _ => wrong("only one under way can end"),
    }
}
