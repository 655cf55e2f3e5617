//! Whether what came into production came there by a move that says so.

use super::author::refused;
use crate::base::{Digest, MoveId};
use crate::domain::Rejection;
use crate::domain::file_move::{MovePlanned, MovePurpose};
use crate::domain::registry::{Originals, RegistryEvent};

/// The move that put files into production, where an event tells of one.
pub(super) fn move_of(event: &RegistryEvent) -> Option<MoveId> {
    match event {
        RegistryEvent::Promoted(promoted) => Some(promoted.file_move),
        RegistryEvent::RolledBack(back) => Some(back.file_move),
        RegistryEvent::Repaired(repaired) => Some(repaired.file_move),
        RegistryEvent::Requested(_)
        | RegistryEvent::Approved(_)
        | RegistryEvent::Rejected(_)
        | RegistryEvent::Refused(_)
        | RegistryEvent::Demoted(_)
        | RegistryEvent::VersionBumped(_)
        | RegistryEvent::AliasSet(_)
        | RegistryEvent::AliasRemoved(_)
        | RegistryEvent::Relocated(_)
        | RegistryEvent::FoundDamaged(_) => None,
    }
}

/// Refuses an event whose files were not moved for it.
///
/// # Errors
/// With what its move was for instead.
pub(super) fn by_its_move(
    event: &RegistryEvent,
    planned: Option<&MovePlanned>,
    originals: &Originals,
) -> Result<(), Rejection> {
    if move_of(event).is_none() {
        return Ok(());
    }
    let Some(planned) = planned else {
        return Err(refused("it names a move of files that was never planned"));
    };
    let fits = match (event, &planned.purpose) {
        (RegistryEvent::Promoted(done), MovePurpose::Promotion { request, run, name }) => {
            let original = |digest: Digest| originals.get(&digest).copied().unwrap_or(digest);
            let moved = planned.files.iter().map(|f| (f.path.as_str(), original(f.digest)));
            let files = done.files.iter().map(|f| (f.path.as_str(), original(f.digest)));
            (done.request, done.run, &done.name, &done.path) == (*request, *run, name, &planned.to)
                && moved.eq(files)
        }
        (RegistryEvent::RolledBack(back), MovePurpose::Rollback { name, number, .. }) => {
            (&back.name, back.number) == (name, *number)
        }
        (RegistryEvent::Repaired(repaired), MovePurpose::Repair { name, number, .. }) => {
            (&repaired.name, repaired.number) == (name, *number)
        }
        _ => false,
    };
    match fits {
        true => Ok(()),
        false => Err(refused("the move of files that it names was planned for something else")),
    }
}
