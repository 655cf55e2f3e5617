//! Signed log checkpoints, shown and put out of reach.

use std::io;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::core::admitted::{admitted, counting_checkpoint};
use crate::app::core::git::Tree;
use crate::app::{Error, ErrorKind, Result, Workspace};
use crate::base::{Digest, durable};
use crate::domain::workspace::{WorkspaceCommand, WorkspaceEvent, WorkspaceStream};
use crate::domain::{Event, StreamId};
use crate::store::{Access, View};
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
    last.map(|(_, note)| note).ok_or_else(nothing_signed)
}

fn nothing_signed() -> Error {
    Error::new(ErrorKind::NotFound, "no log checkpoint was signed yet")
        .hint("the key that made the workspace signs with every decision")
}

/// The public key that signed it, as `--key` takes it.
///
/// # Errors
/// When the log cannot be read.
pub fn public_key(workspace: &Workspace) -> Result<Option<String>> {
    Ok(workspace.signer()?.map(|(_, signer)| signer.public().to_string()))
}

/// Puts the newest log checkpoint that counts into a file or tag and records where.
///
/// Everything that can be refused is refused before the file or tag is made, and it is made before
/// the event is in the log: an anchor that the log does not know is harmless, and the same command
/// records it; an event about an anchor that does not exist would be false.
///
/// # Errors
/// [`ErrorKind::NotFound`] when nothing was signed yet; [`ErrorKind::Rejected`] when no key that
/// signed something counts; [`ErrorKind::Conflict`] where the file or tag exists with other content
/// or is in the record.
pub fn anchor(workspace: &Workspace, anchor: &Anchor) -> Result<Anchored> {
    let (mut made, mut planned) = (false, None);
    let decided = workspace.decide("checkpoint anchor", |tx| {
        let plan = AnchorPlan::new(workspace, tx.log(), anchor)?;
        tx.decide::<WorkspaceStream>((), plan.command(), &())?;
        let plan = planned.insert(plan);
        if !workspace.dry_run {
            made = plan.target.make(&plan.note)?;
        }
        Ok(())
    });
    match (decided, planned) {
        (Ok(()), Some(AnchorPlan { size, location, .. })) => Ok(Anchored { size, location }),
        (Err(error), Some(AnchorPlan { location, .. })) if made => {
            let message =
                format!("{location} has the log checkpoint, but that could not be recorded");
            Err(Error::caused(error.kind, message, error)
                .hint("run the command again: it records the anchor that exists"))
        }
        (Err(error), _) => Err(error),
        (Ok(()), None) => Err(Error::new(ErrorKind::Bug, "BUG: an anchor without a plan")),
    }
}

/// What goes where.
struct AnchorPlan {
    size: u64,
    note: String,
    target: Target,
    location: String,
    commit: Option<String>,
}

/// What the log checkpoint is put into.
enum Target {
    File(PathBuf),
    Tag(Tree, String),
    /// It is there, from a command that could not record it.
    Made,
}

impl AnchorPlan {
    fn new<A: Access>(workspace: &Workspace, log: &View<A>, anchor: &Anchor) -> Result<Self> {
        log.last_checkpoint()?.ok_or_else(nothing_signed)?;
        let (_, note) = counting_checkpoint(log, log.size())?.ok_or_else(|| {
            let message = "no log checkpoint was signed with a key that counts";
            Error::new(ErrorKind::Rejected, message)
                .hint("`annals actor vouch NAME` by a person with a key that counts")
        })?;
        let checkpoint = LogCheckpoint::peek(&note)
            .map_err(|e| Error::caused(ErrorKind::Integrity, "the log checkpoint is damaged", e))?;
        let size = checkpoint.size;
        let (target, location, commit) = match anchor {
            Anchor::File(path) => {
                let known = path.strip_prefix(&workspace.root).unwrap_or(path);
                (file_target(path, &note)?, known.display().to_string(), None)
            }
            Anchor::GitTag => tag_target(workspace, size, &note)?,
        };
        let plan = Self { size, note, target, location, commit };
        match matches!(plan.target, Target::Made) && plan.is_recorded(log)? {
            true => Err(exists(&plan.location)),
            false => Ok(plan),
        }
    }

    fn command(&self) -> WorkspaceCommand {
        WorkspaceCommand::AnchorCheckpoint {
            size: self.size,
            note: Digest::of(self.note.as_bytes()),
            location: self.location.clone(),
            commit: self.commit.clone(),
        }
    }

    fn is_recorded<A: Access>(&self, log: &View<A>) -> Result<bool> {
        let note = Digest::of(self.note.as_bytes());
        let events = admitted(log, StreamId::WORKSPACE)?;
        Ok(events.iter().any(|envelope| match envelope.event() {
            Ok(Event::Workspace(WorkspaceEvent::CheckpointAnchored(anchored))) => {
                (anchored.note, &anchored.location) == (note, &self.location)
            }
            _ => false,
        }))
    }
}

fn exists(location: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("{location} exists already"))
        .hint("an anchor is never replaced; name a new file")
}

/// A file that does not exist yet, in a folder that does.
fn file_target(path: &Path, note: &str) -> Result<Target> {
    let failed = |what: &str, e| Error::io(format!("{what} {}", path.display()), e);
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_file() && found.len() == note.len() as u64 => {
            let bytes = std::fs::read(path).map_err(|e| failed("read", e))?;
            match bytes == note.as_bytes() {
                true => Ok(Target::Made),
                false => Err(exists(&path.display().to_string())),
            }
        }
        Ok(_) => Err(exists(&path.display().to_string())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            match folder.metadata().map_err(|e| failed("write", e))?.is_dir() {
                true => Ok(Target::File(path.to_owned())),
                false => Err(failed("write", io::ErrorKind::NotADirectory.into())),
            }
        }
        Err(e) => Err(failed("write", e)),
    }
}

fn tag_target(
    workspace: &Workspace,
    size: u64,
    note: &str,
) -> Result<(Target, String, Option<String>)> {
    let tag = format!("annals-checkpoint-{size}");
    let tree = Tree::around(&workspace.root)?.ok_or_else(|| {
        let message = format!("{} is in no git tree", workspace.root.display());
        Error::new(ErrorKind::NotFound, message)
            .hint("`annals checkpoint anchor FILE` writes a file instead")
    })?;
    let location = format!("the git tag {tag}");
    let commit_of =
        |name: &str| tree.ask(&["rev-parse", "--verify", &format!("{name}^{{commit}}")]);
    let Some(commit) = commit_of(&format!("refs/tags/{tag}")) else {
        let commit = commit_of("HEAD").ok_or_else(|| {
            let message = format!("the git tree {} has no commit", workspace.root.display());
            Error::new(ErrorKind::NotFound, message).hint("a tag needs a commit")
        })?;
        return Ok((Target::Tag(tree, tag), location, Some(commit)));
    };
    let text = tree.ask(&["tag", "--list", "--format=%(contents)", &tag]);
    match text.is_some_and(|text| text.trim() == note.trim()) {
        true => Ok((Target::Made, location, Some(commit))),
        false => Err(exists(&location)),
    }
}

impl Target {
    /// Puts the log checkpoint there; returns whether it is there.
    fn make(&self, note: &str) -> Result<bool> {
        match self {
            Self::File(path) => durable::write(path, note.as_bytes())
                .map_err(|e| Error::io(format!("write {}", path.display()), e))?,
            Self::Tag(tree, tag) => {
                let words = ["tag", "--annotate", "--cleanup=verbatim", "-m", note, tag];
                tree.must(&words).map_err(|e| Error::new(ErrorKind::Conflict, e.to_string()))?;
            }
            Self::Made => {}
        }
        Ok(true)
    }
}
