//! Files that move, safely: whatever crashes when, each file is whole at its source or at its
//! target (MOV-1), and repeating a step does no harm.
//!
//! May use: `base`, `domain`. Must never see: `projection`, `cli`. It appends no event: `app`
//! writes the plan into the log before [`execute`] and the end after it.
//!
//! A folder comes to its target in three steps: its files are copied under a temporary name beside
//! the target, synced and checked by digest; the temporary folder is renamed; the parent is
//! synced. Before the rename a crash leaves a temporary folder, which [`recover`] removes; after
//! it the target is whole. Whole folders of runs have their own way; see `relocate.rs`.

mod pack;
mod relocate;

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::base::{Digest, MoveId, durable, fuse};
use crate::domain::file_move::{MoveMode, MovePlanned, MovePurpose, MovedFile};
use crate::store::copy_file;

pub use relocate::{packed, recover_relocation, relocate, survey, survey_pack};

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

/// Plans a move: reads and digests every file, checks that the target is free.
///
/// `files` are pairs of path inside the source and path inside the target folder.
///
/// # Errors
/// When a file is missing or not plain, or the target exists, also in other letters' case.
pub fn plan(
    root: &Path,
    id: MoveId,
    purpose: MovePurpose,
    mode: MoveMode,
    from: &str,
    to: &str,
    files: &[(String, String)],
) -> Result<MovePlanned, EffectError> {
    let target = root.join(to);
    if let Some(taken) = taken(&target)? {
        return Err(EffectError::TargetExists(taken));
    }
    let files = files.iter().map(|(source, path)| {
        let (digest, bytes) = digest_plain(&root.join(from).join(source))?;
        Ok(MovedFile { path: path.clone(), source: source.clone(), digest, bytes })
    });
    Ok(MovePlanned {
        id,
        purpose,
        mode,
        from: from.to_owned(),
        to: to.to_owned(),
        files: files.collect::<Result<_, _>>()?,
    })
}

/// Brings the files to the target. The sources stay; see [`finish_source`].
///
/// # Errors
/// When a file cannot be copied or is not what the plan says; the target is then not there.
pub fn execute(root: &Path, plan: &MovePlanned) -> Result<(), EffectError> {
    let (target, temporary) = (root.join(&plan.to), temporary(root, plan));
    remove_dir(&temporary)?;
    durable::create_dir_all(&temporary).map_err(at("make", &temporary))?;
    for file in &plan.files {
        let (source, copy) = (root.join(&plan.from).join(&file.source), temporary.join(&file.path));
        if let Some(parent) = copy.parent() {
            durable::create_dir_all(parent).map_err(at("make", parent))?;
        }
        plain(&source)?;
        copy_file(&source, &copy).map_err(at("copy", &source))?;
        File::open(&copy).and_then(|f| f.sync_all()).map_err(at("sync", &copy))?;
        durable::sync_parent(&copy).map_err(at("sync", &copy))?;
        check(&copy, file.digest)?;
    }
    // Nobody else may have come first: a rename replaces an empty folder without a word.
    if let Some(taken) = taken(&target)? {
        remove_dir(&temporary)?;
        return Err(EffectError::TargetExists(taken));
    }
    fuse::step();
    fs::rename(&temporary, &target).map_err(at("rename", &temporary))?;
    fuse::step();
    durable::sync_parent(&target).map_err(at("sync", &target))
}

/// Removes the sources of a move whose completion is in the log. Nothing for a copy.
///
/// # Errors
/// When a file cannot be removed.
pub fn finish_source(root: &Path, plan: &MovePlanned) -> Result<(), EffectError> {
    if plan.mode == MoveMode::Copy {
        return Ok(());
    }
    for file in &plan.files {
        let source = root.join(&plan.from).join(&file.source);
        match fs::remove_file(&source) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(at("remove", &source)(e)),
            _ => {}
        }
    }
    Ok(())
}

/// Finds out how far a move got: whole at the target, or back to where it began.
///
/// # Errors
/// When files cannot be read or removed.
pub fn recover(root: &Path, plan: &MovePlanned) -> Result<Recovered, EffectError> {
    let target = root.join(&plan.to);
    remove_dir(&temporary(root, plan))?;
    if !target.is_dir() {
        return Ok(Recovered::RolledBack);
    }
    // The rename made it whole; if it is not what the plan says, it is somebody else's.
    let whole = plan.files.iter().all(|file| check(&target.join(&file.path), file.digest).is_ok());
    if whole { Ok(Recovered::Completed) } else { Ok(Recovered::RolledBack) }
}

/// Takes a target away that may not stay: the decision behind the move does not hold any more.
///
/// # Errors
/// When files cannot be removed.
pub fn roll_back(root: &Path, plan: &MovePlanned) -> Result<(), EffectError> {
    let (target, temporary) = (root.join(&plan.to), temporary(root, plan));
    // In one step out of sight, then file by file.
    if target.is_dir() {
        remove_dir(&temporary)?;
        fs::rename(&target, &temporary).map_err(at("rename", &target))?;
        durable::sync_parent(&target).map_err(at("sync", &target))?;
    }
    remove_dir(&temporary)
}

fn temporary(root: &Path, plan: &MovePlanned) -> PathBuf {
    let target = root.join(&plan.to);
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    target.with_file_name(format!(".{name}.{}.tmp", plan.id))
}

/// What stands at `target`, or beside it under a name that differs in case only.
fn taken(target: &Path) -> Result<Option<PathBuf>, EffectError> {
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

fn plain(path: &Path) -> Result<(), EffectError> {
    let meta = fs::symlink_metadata(path).map_err(at("read", path))?;
    if meta.is_file() { Ok(()) } else { Err(EffectError::NotPlain(path.to_owned())) }
}

fn digest_plain(path: &Path) -> Result<(Digest, u64), EffectError> {
    plain(path)?;
    let read = File::open(path).and_then(|mut file| Digest::of_reader(&mut file));
    read.map_err(at("read", path))
}

fn check(path: &Path, expected: Digest) -> Result<(), EffectError> {
    let (found, _) = digest_plain(path)?;
    if found == expected {
        return Ok(());
    }
    Err(EffectError::Changed { path: path.to_owned(), expected, found })
}

fn remove_dir(dir: &Path) -> Result<(), EffectError> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(at("remove", dir)(e)),
        _ => Ok(()),
    }
}

fn at(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> EffectError + use<> {
    let path = path.to_owned();
    move |source| EffectError::Io { verb, path, source }
}
