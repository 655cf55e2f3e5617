//! The rules about the log itself.

use super::{
    ActorRegistered, KeyCreated, WorkspaceCommand, WorkspaceCreated, WorkspaceEvent, WorkspaceState,
};
use crate::domain::Rejection;

/// Decides on a request about the log itself.
///
/// # Errors
/// When the log exists already, or the owner has a key already.
pub fn decide(
    state: &WorkspaceState,
    command: WorkspaceCommand,
) -> Result<Vec<WorkspaceEvent>, Rejection> {
    match command {
        WorkspaceCommand::Create { log, project, tool_version } => match &state.created {
            Some(created) => Err(Rejection::Exists { what: "log", name: created.origin.clone() }),
            None => {
                let origin = format!("annals/{}/{}", project, log.short(16));
                let created = WorkspaceCreated { log, origin, project, tool_version };
                Ok(vec![created.into()])
            }
        },
        WorkspaceCommand::RegisterActor { name } if state.actors.contains(&name) => Ok(vec![]),
        WorkspaceCommand::RegisterActor { name } => Ok(vec![ActorRegistered { name }.into()]),
        WorkspaceCommand::CreateKey { public_key, owner } => {
            if state.keys.iter().any(|key| key.owner == owner) {
                return Err(Rejection::Exists { what: "signing key of", name: owner });
            }
            Ok(vec![KeyCreated { public_key, owner, replaces: None, endorsement: None }.into()])
        }
    }
}
