//! Which events may be in the stream of a move: those that `decide` makes, in that order.

use super::{MoveCommand, MoveEvent, MovePlan, MovePurpose, MoveState, decide};
use crate::domain::history::Author;
use crate::domain::{Header, Rejection};

/// Refuses an event that could not have been decided here by its author. In `strict` logs a move
/// into or out of production is signed.
///
/// # Errors
/// The rule that is not met.
pub(in crate::domain) fn admits(
    state: &MoveState,
    event: &MoveEvent,
    header: &Header,
    author: &Author<'_>,
    strict: bool,
) -> Result<(), Rejection> {
    let command = match event {
        MoveEvent::Planned(planned) => {
            if header.stream != planned.id.into() {
                return Err(Rejection::NotAllowed(
                    "the plan of a move is in the stream of another".into(),
                ));
            }
            let in_production = planned.purpose.model().is_some()
                && !matches!(planned.purpose, MovePurpose::Migration(_));
            if strict && in_production {
                author.must_be_proven("a move of a production model's files")?;
            }
            MoveCommand::Plan(MovePlan::from(planned.clone()))
        }
        MoveEvent::Completed(completed) => MoveCommand::Complete { recovered: completed.recovered },
        MoveEvent::RolledBack(back) => MoveCommand::RollBack { reason: back.reason.clone() },
    };
    decide::decide(state, command).map(drop)
}
