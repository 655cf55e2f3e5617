//! The rules about one move: planned once, ended once, and inside the workspace.

use super::{
    MoveCommand, MoveCompleted, MoveEvent, MovePhase, MovePlanned, MovePurpose, MoveRolledBack,
    MoveState,
};
use crate::domain::Rejection;

/// Decides on a request about a move.
///
/// # Errors
/// When it is planned already, is not under way, moves nothing, or a path leaves the workspace.
pub fn decide(state: &MoveState, command: MoveCommand) -> Result<Vec<MoveEvent>, Rejection> {
    match (command, state.phase) {
        (MoveCommand::Plan(plan), MovePhase::Unknown) => {
            check(&plan)?;
            Ok(vec![plan.into()])
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

fn check(plan: &MovePlanned) -> Result<(), Rejection> {
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
