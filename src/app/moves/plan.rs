//! Plans that come into the log, each unless another one under way does not allow it.

use super::list::purpose;
use crate::app::core::admitted::admitted;
use crate::app::core::session::Tx;
use crate::app::{Error, ErrorKind, Result};
use crate::base::MoveId;
use crate::domain::Event;
use crate::domain::file_move::{MoveCommand, MoveEvent, MovePlan, MoveStream};
use crate::store::{Access, View};

/// Puts a plan into the log.
///
/// # Errors
/// [`ErrorKind::Conflict`] while another move is about the same folder.
pub(in crate::app) fn append(tx: &mut Tx<'_, '_>, plan: &MovePlan) -> Result<()> {
    purpose(plan).may_begin(tx, plan)?;
    decide(tx, plan.id, MoveCommand::Plan(plan.clone()))
}

/// Decides on a command about a move and appends what it makes.
pub(super) fn decide(tx: &mut Tx<'_, '_>, id: MoveId, command: MoveCommand) -> Result<()> {
    tx.decide::<MoveStream>(id, command, &()).map(drop)
}

/// Records that the files of a plan are where they were.
pub(super) fn roll_back(tx: &mut Tx<'_, '_>, plan: &MovePlan, reason: String) -> Result<()> {
    decide(tx, plan.id, MoveCommand::RollBack { reason })
}

/// The folder that a plan is about; of a production model the one in production.
pub(in crate::app) fn folder(plan: &MovePlan) -> &str {
    purpose(plan).folder(plan)
}

/// The plans under way.
fn open_plans<A: Access>(log: &View<A>) -> Result<Vec<MovePlan>> {
    let mut plans = Vec::new();
    for (_, position) in log.open_moves()? {
        // A plan that was not allowed is under way nowhere.
        let plan = admitted(log, log.event(position)?.header.stream)?.into_iter().next();
        if let Some(Ok(Event::Move(MoveEvent::Planned(plan)))) = plan.map(|plan| plan.event()) {
            plans.push(plan.into());
        }
    }
    Ok(plans)
}

/// Refuses the plan of a production folder's change while another is under way.
///
/// # Errors
/// [`ErrorKind::Conflict`]; when the log cannot be read.
pub(in crate::app) fn refuse_other_change<A: Access>(log: &View<A>, plan: &MovePlan) -> Result<()> {
    match open_plans(log)?.iter().any(|other| folder(other) == folder(plan)) {
        true => {
            let message = format!("{} is being changed by another process", folder(plan));
            Err(Error::new(ErrorKind::Conflict, message)
                .hint("try again when it has ended; `annals status` clears what was cut short"))
        }
        false => Ok(()),
    }
}

/// Refuses a move to where another is on its way: what is there after a crash must be one run's.
///
/// # Errors
/// [`ErrorKind::Conflict`]; when the log cannot be read.
pub(in crate::app) fn refuse_other_move<A: Access>(log: &View<A>, to: &str) -> Result<()> {
    let target = to.to_lowercase();
    match open_plans(log)?.into_iter().find(|other| other.to.to_lowercase() == target) {
        Some(other) => {
            let message = format!("another folder is on its way to {}", other.to);
            Err(Error::new(ErrorKind::Conflict, message)
                .hint("try again when that `annals` has ended"))
        }
        None => Ok(()),
    }
}
