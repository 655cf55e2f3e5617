//! The rules about one move: planned once, ended once, and inside the workspace.

use super::{
    MoveCommand, MoveCompleted, MoveEvent, MovePhase, MovePlan, MovePlanned, MovePurpose,
    MoveRolledBack, MoveState,
};
use crate::base::MoveId;
use crate::domain::{Decider, Event, Fold as _, Header, Rejection, StreamId};

/// The stream of one move of files.
#[derive(Clone, Copy, Debug)]
pub enum MoveStream {}

impl Decider for MoveStream {
    type Id = MoveId;
    type State = MoveState;
    type Command = MoveCommand;
    type Event = MoveEvent;
    type Facts<'f> = ();

    fn stream(id: MoveId) -> StreamId {
        id.into()
    }

    fn event(event: Event) -> Option<MoveEvent> {
        if let Event::Move(event) = event { Some(event) } else { None }
    }

    fn decide(
        state: &MoveState,
        command: MoveCommand,
        (): &(),
    ) -> Result<Vec<MoveEvent>, Rejection> {
        decide(state, command)
    }

    fn evolve(state: &mut MoveState, event: &MoveEvent, _: &Header) {
        state.evolve(event);
    }

    fn anticipate(state: &mut MoveState, event: &MoveEvent, (): &()) {
        state.evolve(event);
    }
}

/// Refuses a move that is planned already or not under way, one that moves nothing, and a path that
/// leaves the workspace.
pub(super) fn decide(state: &MoveState, command: MoveCommand) -> Result<Vec<MoveEvent>, Rejection> {
    match (command, state.phase) {
        (MoveCommand::Plan(plan), MovePhase::Unknown) => {
            check(&plan)?;
            Ok(vec![MovePlanned::from(plan).into()])
        }
        (MoveCommand::Complete { recovered }, MovePhase::Planned) => {
            Ok(vec![MoveCompleted { recovered }.into()])
        }
        (MoveCommand::RollBack { reason }, MovePhase::Planned) => {
            Ok(vec![MoveRolledBack { reason }.into()])
        }
        (_, phase) => Err(Rejection::WrongState {
            what: "the move".into(),
            state: match phase {
                MovePhase::Unknown => "not planned",
                MovePhase::Planned => "under way",
                MovePhase::Completed => "completed",
                MovePhase::RolledBack => "rolled back",
            }
            .into(),
            wanted: "a move is planned once and ends once".into(),
        }),
    }
}

fn check(plan: &MovePlan) -> Result<(), Rejection> {
    let invalid = |what: &str, reason: &str| {
        Err(Rejection::Invalid { what: what.to_owned(), reason: reason.to_owned() })
    };
    // Of a run that is taken away nothing may be left.
    if plan.files.is_empty() && !matches!(plan.purpose, MovePurpose::Removal(_)) {
        return invalid(&plan.from, "there is no file to move");
    }
    let inner = plan.files.iter().flat_map(|file| [&file.path, &file.source]);
    for path in [&plan.from, &plan.to].into_iter().chain(inner) {
        let inside = |part: &str| !part.is_empty() && part != "." && part != "..";
        if !path.split('/').all(inside) || path.contains('\\') {
            return invalid(path, "the path leaves its folder");
        }
    }
    Ok(())
}
