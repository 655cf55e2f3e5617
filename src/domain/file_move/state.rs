//! How far one move of files got.

use super::{MoveEvent, MovePlanned};
use crate::domain::Fold;

/// How far it got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MovePhase {
    /// Nothing is known.
    #[default]
    Unknown,
    /// Written down; the files may be anywhere on the way.
    Planned,
    /// At the target.
    Completed,
    /// At the source.
    RolledBack,
}

/// The fold of one move's stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MoveState {
    /// The plan.
    pub planned: Option<MovePlanned>,
    /// How far it got.
    pub phase: MovePhase,
}

impl Fold for MoveState {
    type Event = MoveEvent;

    fn evolve(&mut self, event: &MoveEvent) {
        match event {
            MoveEvent::Planned(planned) => {
                self.planned = Some(planned.clone());
                self.phase = MovePhase::Planned;
            }
            MoveEvent::Completed(_) => self.phase = MovePhase::Completed,
            MoveEvent::RolledBack(_) => self.phase = MovePhase::RolledBack,
        }
    }
}
