//! Moves of files: pending, completed, rolled back.

use rkyv::{Archive, Deserialize, Serialize};

use super::row::{pack, unpack};
use super::{Definition, Kv, Snapshot, ViewError};
use crate::domain::file_move::{MoveEvent, MovePurpose};
use crate::domain::run::Archive as Place;
use crate::domain::{EnvelopeRef, Event};

pub(super) const VIEW: Definition = Definition {
    name: "moves",
    revision: 2,
    kinds: &[MoveEvent::PLANNED, MoveEvent::COMPLETED, MoveEvent::ROLLED_BACK],
    apply,
};

/// How far a move got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum MoveStatus {
    /// Planned, and not ended yet.
    Pending,
    /// The files are where they belong.
    Completed,
    /// The files are back where they were.
    RolledBack,
}

/// What a move does, as registry files group moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum MoveGroup {
    /// A run goes into an archive.
    ToArchive(Place),
    /// A run comes back from its archive.
    FromArchive,
    /// A run's files go for good.
    Removal,
    /// Files of a model in production.
    Model,
    /// A folder goes to where another layout wants it.
    Migration,
}

impl MoveGroup {
    fn of(purpose: &MovePurpose) -> Self {
        match purpose {
            MovePurpose::Archive(order) => Self::ToArchive(order.archive),
            MovePurpose::Restore(_) => Self::FromArchive,
            MovePurpose::Removal(_) => Self::Removal,
            MovePurpose::Promotion { .. }
            | MovePurpose::Demotion { .. }
            | MovePurpose::Rollback { .. }
            | MovePurpose::Repair { .. } => Self::Model,
            MovePurpose::Migration(_) => Self::Migration,
        }
    }
}

/// One move.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct MoveRow {
    /// The word for it: that of its purpose, or the name of an archive.
    pub purpose: String,
    /// What it does.
    pub group: MoveGroup,
    /// Where the files come from.
    pub from: String,
    /// Where they go.
    pub to: String,
    /// Bytes moved.
    pub bytes: u64,
    /// How far it got.
    pub status: MoveStatus,
    /// Why it was rolled back.
    pub reason: Option<String>,
    /// When it was planned, in nanoseconds since 1970.
    pub planned: i64,
    /// When it ended.
    pub ended: Option<i64>,
    /// Position of the plan.
    pub position: u64,
}

fn apply(kv: &mut dyn Kv, envelope: &EnvelopeRef<'_>, event: &Event) -> Result<(), ViewError> {
    let Event::Move(event) = event else { return Ok(()) };
    let (key, at) = (envelope.header.stream.entity, envelope.header.dated().0);
    let mut row = match (kv.get(&key)?, event) {
        (_, MoveEvent::Planned(planned)) => MoveRow {
            purpose: match &planned.purpose {
                MovePurpose::Archive(order) => order.archive.word().into(),
                purpose => purpose.word().into(),
            },
            from: planned.from.clone(),
            to: planned.to.clone(),
            bytes: planned.files.iter().map(|file| file.bytes).sum(),
            group: MoveGroup::of(&planned.purpose),
            status: MoveStatus::Pending,
            reason: None,
            planned: at,
            ended: None,
            position: envelope.header.position,
        },
        (Some(row), _) => unpack::<MoveRow>(&VIEW, &row)?,
        (None, _) => return Ok(()),
    };
    match event {
        MoveEvent::Planned(_) => {}
        MoveEvent::Completed(_) => (row.status, row.ended) = (MoveStatus::Completed, Some(at)),
        MoveEvent::RolledBack(back) => {
            (row.status, row.ended) = (MoveStatus::RolledBack, Some(at));
            row.reason = Some(back.reason.clone());
        }
    }
    kv.put(&key, pack(&row))
}

impl Snapshot {
    /// Every move, oldest first.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn moves(&self) -> Result<Vec<MoveRow>, ViewError> {
        let mut moves = Vec::new();
        self.scan(&VIEW, &[], |_, row| {
            moves.push(unpack::<MoveRow>(&VIEW, row)?);
            Ok(())
        })?;
        moves.sort_by_key(|row| row.position);
        Ok(moves)
    }
}
