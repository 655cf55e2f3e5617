//! Actors: position of the registration to name.

use super::{Definition, Kv, Snapshot, ViewError};
use crate::domain::workspace::WorkspaceEvent;
use crate::domain::{EnvelopeRef, Event};

pub(super) const VIEW: Definition =
    Definition { name: "actors", revision: 1, kinds: &[WorkspaceEvent::ACTOR_REGISTERED], apply };

fn apply(kv: &mut dyn Kv, envelope: &EnvelopeRef<'_>, event: &Event) -> Result<(), ViewError> {
    if let Event::Workspace(WorkspaceEvent::ActorRegistered(actor)) = event {
        kv.put(&envelope.header.position.to_be_bytes(), actor.name.clone().into_bytes())?;
    }
    Ok(())
}

impl Snapshot {
    /// The name of the actor registered at `position`.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn actor(&self, position: u64) -> Result<String, ViewError> {
        let row = self.get(&VIEW, &position.to_be_bytes())?;
        let name = row.map(|row| String::from_utf8_lossy(&row).into_owned());
        Ok(name.unwrap_or_else(|| format!("actor {position}")))
    }
}
