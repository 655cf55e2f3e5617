//! Moves that a crash cut short.

use super::list::purpose;
use super::plan::roll_back;
use crate::app::core::admitted::violations;
use crate::app::core::session::Tx;
use crate::app::{Result, Workspace};
use crate::domain::Event;
use crate::domain::file_move::{MoveEvent, MovePlan};
use crate::effect;
use crate::store::{Access, Filter, View};

/// Ends the moves that an invocation planned: completed where the target is whole, else rolled
/// back. Returns a line about each.
///
/// # Errors
/// When files or log cannot be read or written.
pub(in crate::app) fn recover(
    workspace: &Workspace,
    tx: &mut Tx<'_, '_>,
    invocation: u64,
) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for (_, position) in tx.log().open_moves()? {
        let envelope = tx.log().event(position)?;
        let Ok(Event::Move(MoveEvent::Planned(planned))) = envelope.event() else { continue };
        let plan = MovePlan::from(planned);
        // A plan under another id than its stream's was made by nobody who can be trusted.
        let foreign = envelope.header.stream != plan.id.into();
        if envelope.header.invocation != Some(invocation) || foreign {
            continue;
        }
        if let Some(violation) = violations(tx.log(), envelope.header.stream)?.first() {
            notes.push(format!("the move of {} was not allowed: {}", plan.from, violation.reason));
            continue;
        }
        notes.push(match may_recover(workspace, tx, &plan)? {
            Ok(()) => purpose(&plan).recover(workspace, tx, &plan)?,
            Err(reason) => {
                let note = format!("the move of {} was rolled back: {reason}", plan.from);
                roll_back(tx, &plan, reason)?;
                note
            }
        });
    }
    // Also of those that had ended: the crash may have come before the last was cleared away.
    for plan in moves_of(tx.log(), invocation)? {
        if effect::check_plan(&workspace.root, &plan).is_ok() {
            effect::clear(&workspace.root, &plan)?;
        }
    }
    Ok(notes)
}

/// Whether a plan names what the log has for its run or its model, inside the workspace: it may
/// come from somebody who can write events but not these files.
fn may_recover(
    workspace: &Workspace,
    tx: &Tx<'_, '_>,
    plan: &MovePlan,
) -> Result<Result<(), String>> {
    if let Err(error) = effect::check_plan(&workspace.root, plan) {
        return Ok(Err(error.to_string()));
    }
    let purpose = purpose(plan);
    let source = purpose.source(tx)?;
    if source.as_ref() == Some(&plan.from) {
        // Files that have left their source are where the plan says, whatever it says.
        let moved = !workspace.inside(&plan.from).is_ok_and(|source| source.is_dir());
        return Ok(match moved || purpose.is_target(workspace, tx, plan)? {
            true => Ok(()),
            false => Err(format!("{} is outside of the folder where it may be", plan.to)),
        });
    }
    let known = source.unwrap_or_else(|| "no folder".into());
    Ok(Err(format!("the log has {known} for it, not {}", plan.from)))
}

/// The moves that an invocation planned.
fn moves_of<A: Access>(log: &View<A>, invocation: u64) -> Result<Vec<MovePlan>> {
    let planned = Filter::kinds([MoveEvent::PLANNED]);
    let events = log.events(invocation..log.size(), &planned)?;
    let own = events.iter().filter(|event| event.header.invocation == Some(invocation));
    let plans = own.filter_map(|event| match event.event() {
        Ok(Event::Move(MoveEvent::Planned(plan))) => Some(plan.into()),
        _ => None,
    });
    Ok(plans.collect())
}
