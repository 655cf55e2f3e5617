//! The list of the purposes.

use super::placement::Placing;
use super::purpose::Purpose;
use super::purposes::{
    Archiving, Demotion, Migration, Promotion, Removal, Repair, Restoring, Rollback,
};
use super::relocation::Relocating;
use crate::domain::file_move::{MovePlan, MovePurpose};

/// The purpose of a plan.
pub(super) fn purpose(plan: &MovePlan) -> Box<dyn Purpose + '_> {
    match &plan.purpose {
        MovePurpose::Promotion { request, run, name } => {
            Box::new(Placing(Promotion { request: *request, run: *run, name }))
        }
        MovePurpose::Demotion { name, reason } => Box::new(Placing(Demotion { name, reason })),
        MovePurpose::Rollback { name, number, reason } => {
            Box::new(Placing(Rollback { name, number: *number, reason }))
        }
        MovePurpose::Repair { name, number, reason } => {
            Box::new(Placing(Repair { name, number: *number, reason: reason.as_ref() }))
        }
        MovePurpose::Archive(order) => Box::new(Relocating(Archiving(order))),
        MovePurpose::Restore(order) => Box::new(Relocating(Restoring(order))),
        MovePurpose::Migration(order) => Box::new(Relocating(Migration(order))),
        MovePurpose::Removal(order) => Box::new(Removal(order)),
    }
}
