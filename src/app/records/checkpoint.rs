//! Signed log checkpoints, shown and put out of reach.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::core::git::Tree;
use crate::app::{Error, ErrorKind, Result, Workspace};
use crate::base::{Digest, durable};
use crate::domain::workspace::{WorkspaceCommand, WorkspaceStream};
use crate::tlog::LogCheckpoint;

/// Where a log checkpoint is put.
#[derive(Clone, Debug)]
pub enum Anchor {
    /// A new file.
    File(PathBuf),
    /// A tag of the git tree around the workspace.
    GitTag,
}

/// The newest signed log checkpoint.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LogCheckpointShown {
    /// The signed note.
    pub note: String,
    /// The public key that signed it.
    pub key: Option<String>,
}

/// A log checkpoint that was anchored.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Anchored {
    /// Events that it covers.
    pub size: u64,
    /// The file or git tag.
    pub location: String,
}

/// The newest signed log checkpoint, as a signed note.
///
/// # Errors
/// [`ErrorKind::NotFound`] when nothing was signed yet.
pub fn checkpoint(workspace: &Workspace) -> Result<String> {
    let last = workspace.store.read(|log| Ok::<_, Error>(log.last_checkpoint()?))?;
    last.map(|(_, note)| note).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "no log checkpoint was signed yet")
            .hint("the key that made the workspace signs with every decision")
    })
}

/// The public key that signed it, as `--key` takes it.
///
/// # Errors
/// When the log cannot be read.
pub fn public_key(workspace: &Workspace) -> Result<Option<String>> {
    Ok(workspace.signer()?.map(|(_, signer)| signer.public().to_string()))
}

/// Puts the newest log checkpoint into a file or tag and records where.
///
/// # Errors
/// [`ErrorKind::Conflict`] where the file or tag exists.
pub fn anchor(workspace: &Workspace, anchor: &Anchor) -> Result<Anchored> {
    workspace.require_trust()?;
    let note = checkpoint(workspace)?;
    let checkpoint = LogCheckpoint::peek(&note)
        .map_err(|e| Error::caused(ErrorKind::Integrity, "the log checkpoint is damaged", e))?;
    let size = checkpoint.size;
    let (location, commit) = match anchor {
        Anchor::File(path) => {
            if path.exists() {
                let message = format!("{} exists already", path.display());
                return Err(Error::new(ErrorKind::Conflict, message)
                    .hint("an anchor is never replaced; name a new file"));
            }
            if !workspace.dry_run {
                durable::write(path, note.as_bytes())
                    .map_err(|e| Error::io(format!("write {}", path.display()), e))?;
            }
            let known = path.strip_prefix(&workspace.root).unwrap_or(path);
            (known.display().to_string(), None)
        }
        Anchor::GitTag => {
            let tag = format!("annals-checkpoint-{size}");
            let tree = Tree::around(&workspace.root)?.ok_or_else(|| {
                let message = format!("{} is in no git tree", workspace.root.display());
                Error::new(ErrorKind::NotFound, message)
                    .hint("`annals checkpoint anchor FILE` writes a file instead")
            })?;
            let words = ["tag", "--annotate", "--cleanup=verbatim", "-m", &note, &tag];
            if !workspace.dry_run {
                tree.must(&words).map_err(|e| Error::new(ErrorKind::Conflict, e.to_string()))?;
            }
            let commit = tree.ask(&["rev-parse", &format!("{tag}^{{commit}}")]);
            (format!("the git tag {tag}"), commit)
        }
    };
    let command = WorkspaceCommand::AnchorCheckpoint {
        size,
        note: Digest::of(note.as_bytes()),
        location: location.clone(),
        commit,
    };
    workspace
        .decide("checkpoint anchor", |tx| tx.decide::<WorkspaceStream>((), command, &()))
        .map_err(|e| {
            let message = format!("{location} holds the log checkpoint, but the log does not know");
            Error::caused(e.kind, message, e)
        })?;
    Ok(Anchored { size, location })
}
