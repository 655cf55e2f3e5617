//! What every effect asks first: whether a plan is sound, and whether bytes are those expected.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::base::confine::{self, ConfineError};
use crate::base::{Digest, FileDigests};
use crate::domain::file_move::{MovePlan, MovePurpose};

/// Files that cannot be moved.
#[derive(Debug, thiserror::Error)]
pub enum EffectError {
    /// A file or folder could not be read or written.
    #[error("cannot {verb} {}", .path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A link or something else that is not a plain file.
    #[error("{} is not a plain file; links are not followed", .0.display())]
    NotPlain(PathBuf),
    /// A path of the plan does not name something inside the workspace.
    #[error("a file would be moved outside of the workspace: {0}")]
    Path(ConfineError),
    /// The target is taken.
    #[error("{} exists already", .0.display())]
    TargetExists(PathBuf),
    /// The bytes are not the ones of the plan.
    #[error("{} has digest {found}, expected {expected}", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Digest of the plan.
        expected: Digest,
        /// Digest of the bytes.
        found: Digest,
    },
}

/// What became of a move that a crash interrupted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// The target is whole.
    Completed,
    /// The target is gone, the files are at their source.
    RolledBack,
}

impl From<ConfineError> for EffectError {
    fn from(error: ConfineError) -> Self {
        match error {
            ConfineError::Link(path) => Self::NotPlain(path),
            error => Self::Path(error),
        }
    }
}

/// Where the blob store is, as the source or the target of a plan.
pub const BLOBS: &str = ".annals/blobs";
/// The target of a plan that removes files.
pub const REMOVED: &str = ".annals/removed";

/// Proves that every path of a plan names something inside the workspace, and that no link is on
/// its way: a plan may come from a log that somebody else wrote.
///
/// # Errors
/// [`EffectError::Path`] and [`EffectError::NotPlain`] for the first path that does not.
pub fn check_plan(root: &Path, plan: &MovePlan) -> Result<(), EffectError> {
    // A production folder is renamed as a whole and never written into: one that is damaged, even
    // a link, is taken out of the way, not followed.
    let placed = match &plan.purpose {
        MovePurpose::Demotion { .. } => Some(plan.from.as_str()),
        MovePurpose::Promotion { .. }
        | MovePurpose::Rollback { .. }
        | MovePurpose::Repair { .. } => Some(plan.to.as_str()),
        MovePurpose::Archive(_)
        | MovePurpose::Restore(_)
        | MovePurpose::Removal(_)
        | MovePurpose::Migration(_) => None,
    };
    for folder in [plan.from.as_str(), plan.to.as_str()] {
        // What is in the blob store is named by digest.
        if folder != BLOBS && folder != REMOVED {
            confine::public(folder)?;
            let inside =
                if Some(folder) == placed { confine::parent_inside } else { confine::inside };
            inside(root, folder)?;
        }
    }
    let (source, target) = (root.join(&plan.from), root.join(&plan.to));
    let check = |folder: &Path, of: &str, path: &str| match of {
        BLOBS | REMOVED => confine::relative(path).map(drop),
        of if Some(of) == placed => confine::relative(path).map(drop),
        _ => confine::inside(folder, path).map(drop),
    };
    for file in &plan.files {
        check(&source, &plan.from, &file.source)?;
        check(&target, &plan.to, &file.path)?;
    }
    for file in plan.purpose.dropped() {
        check(&source, &plan.from, &file.path)?;
    }
    for file in plan.purpose.from_blobs() {
        check(&target, &plan.to, &file.path)?;
    }
    Ok(())
}

pub(super) fn temporary(root: &Path, plan: &MovePlan) -> PathBuf {
    let target = root.join(&plan.to);
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    target.with_file_name(format!(".{name}.{}.tmp", plan.id))
}

/// What stands at `target`, or beside it under a name that differs in case only.
///
/// # Errors
/// When the folder around it cannot be read.
pub fn taken(target: &Path) -> Result<Option<PathBuf>, EffectError> {
    let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
        return Ok(None);
    };
    let entries = match fs::read_dir(parent) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries.map_err(at("read", parent))?,
    };
    let folded = name.to_string_lossy().to_lowercase();
    for entry in entries {
        let entry = entry.map_err(at("read", parent))?;
        if entry.file_name().to_string_lossy().to_lowercase() == folded {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

pub(super) fn plain(path: &Path) -> Result<(), EffectError> {
    let meta = fs::symlink_metadata(path).map_err(at("read", path))?;
    if meta.is_file() { Ok(()) } else { Err(EffectError::NotPlain(path.to_owned())) }
}

fn digest_plain(path: &Path) -> Result<(Digest, u64), EffectError> {
    plain(path)?;
    let read = File::open(path).and_then(|mut file| Digest::of_reader(&mut file));
    read.map_err(at("read", path))
}

pub(super) fn digests_plain(path: &Path) -> Result<(FileDigests, u64), EffectError> {
    plain(path)?;
    let read = File::open(path).and_then(|mut file| FileDigests::of_reader(&mut file));
    read.map_err(at("read", path))
}

pub(super) fn check(path: &Path, expected: Digest) -> Result<(), EffectError> {
    let (found, _) = digest_plain(path)?;
    if found == expected {
        return Ok(());
    }
    Err(EffectError::Changed { path: path.to_owned(), expected, found })
}

pub(super) fn remove_dir(dir: &Path) -> Result<(), EffectError> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(at("remove", dir)(e)),
        _ => Ok(()),
    }
}

pub(super) fn at(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> EffectError + use<> {
    let path = path.to_owned();
    move |source| EffectError::Io { verb, path, source }
}
