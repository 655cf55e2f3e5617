//! A production folder that comes, takes the place of another, or goes: in one step, and so that
//! every step can be taken back until its end is in the log.
//!
//! The new folder is made whole under a temporary name beside the target and exchanged with what
//! is there. The old folder waits under the temporary name until [`clear`]: a crash before the end
//! is in the log finds both. A folder that holds anything the log does not know is never removed:
//! it is kept in [`DAMAGED`], so that a damaged model can be replaced, removed and repaired.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::RenameFlags;
use rustix::io::Errno;

use super::{
    EffectError, Recovered, at, check, check_plan, digests_plain, holds_unknown, inspect, plain,
    remove_dir, taken,
};
use crate::base::confine::Folder;
use crate::base::{Digest, FileDigests, Sha256Digest, durable, failpoint};
use crate::domain::file_move::{MovePlan, MovedFile};
use crate::store::{Blobs, copy_into};

/// Where damaged production folders are kept as they were found.
const DAMAGED: &str = ".annals/damaged";

/// The folders of one change.
struct SwapFolders {
    root: PathBuf,
    target: PathBuf,
    /// The new folder before the exchange, the old one after it.
    temporary: PathBuf,
    /// The old folder, on file systems that cannot exchange.
    aside: PathBuf,
    /// The old folder where it holds what the log does not know; beside the target where that is
    /// on another file system.
    kept: [PathBuf; 2],
}

impl SwapFolders {
    fn of(root: &Path, folder: &str, plan: &MovePlan) -> Self {
        let target = root.join(folder);
        let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let beside = |end: &str| target.with_file_name(format!(".{name}.{}.{end}", plan.id));
        let (temporary, aside) = (beside("tmp"), beside("old"));
        let of_move = format!("{name}.{}", plan.id.short(12));
        let kept = [root.join(DAMAGED).join(of_move), beside("damaged")];
        Self { root: root.to_owned(), target, temporary, aside, kept }
    }

    /// The folder that was kept because of what it holds.
    fn kept(&self) -> Option<&Path> {
        self.kept.iter().map(PathBuf::as_path).find(|path| is_there(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Folder::open(&self.root)?.rename(from, to, RenameFlags::empty())
    }

    /// Keeps the old folder for good where it is not what `present` says.
    fn keep_damaged(&self, present: &[MovedFile]) -> Result<(), EffectError> {
        for waiting in [&self.temporary, &self.aside] {
            if is_there(waiting) && holds_unknown(&inspect(waiting, present)) {
                let [inside, beside] = &self.kept;
                if let Some(parent) = inside.parent() {
                    let made = Folder::open(&self.root).and_then(|root| root.make_all(parent));
                    made.map_err(at("make", parent))?;
                }
                match self.rename(waiting, inside) {
                    Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {
                        self.rename(waiting, beside).map_err(at("rename", waiting))?;
                    }
                    renamed => {
                        renamed.map_err(at("rename", waiting))?;
                        durable::sync_parent(inside).map_err(at("sync", inside))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), EffectError> {
        durable::sync_parent(&self.target).map_err(at("sync", &self.target))
    }

    fn clear(&self) -> Result<(), EffectError> {
        remove_dir(&self.temporary)?;
        remove_dir(&self.aside)
    }
}

/// Brings the planned files to `plan.to`, from their source or, where that is gone, from the blob
/// store. `present` is what the log says is there; none for a place that must be free. What is
/// there instead of it is kept, see [`replaced`].
///
/// # Errors
/// When files cannot be had or written, or the place is not free. Nothing has then changed.
pub fn place(
    root: &Path,
    blobs: &Blobs,
    plan: &MovePlan,
    present: Option<&[MovedFile]>,
) -> Result<(), EffectError> {
    check_plan(root, plan)?;
    let places = SwapFolders::of(root, &plan.to, plan);
    let checked = stage(root, blobs, plan, &places.temporary).and_then(|()| {
        failpoint::hit();
        match present {
            Some(_) if is_there(&places.target) => Ok(true),
            _ => match taken(&places.target)? {
                Some(taken) => Err(EffectError::TargetExists(taken)),
                None => Ok(false),
            },
        }
    });
    let renamed = match checked {
        Ok(true) => exchange(&places),
        Ok(false) => failpoint::fallible()
            .and_then(|()| places.rename(&places.temporary, &places.target))
            .map_err(at("rename", &places.temporary)),
        Err(error) => {
            places.clear()?;
            return Err(error);
        }
    };
    failpoint::hit();
    if renamed.is_err() {
        recover_place(root, plan, present)?;
    }
    renamed?;
    places.sync()?;
    let kept = present.map_or(Ok(()), |files| places.keep_damaged(files));
    if kept.is_err() {
        take_back(root, plan)?;
    }
    failpoint::hit();
    kept
}

/// Finds out how far [`place`] got; the new folder stays, or everything is as it was before.
///
/// # Errors
/// When files cannot be read, renamed or removed.
pub fn recover_place(
    root: &Path,
    plan: &MovePlan,
    present: Option<&[MovedFile]>,
) -> Result<Recovered, EffectError> {
    check_plan(root, plan)?;
    let places = SwapFolders::of(root, &plan.to, plan);
    let keep = || present.map_or(Ok(()), |files| places.keep_damaged(files));
    // A folder that is repaired may hold every planned file before the exchange too.
    let repairs = present.is_some_and(|files| files == plan.files);
    let arrived = if repairs { exact } else { contains_exactly };
    if arrived(&places.target, &plan.files) {
        keep()?;
        return Ok(Recovered::Completed);
    }
    if !is_there(&places.target) && is_there(&places.aside) {
        places.rename(&places.aside, &places.target).map_err(at("rename", &places.aside))?;
        places.sync()?;
    }
    if repairs {
        // Somebody changed the repaired folder before its end was in the log: the old one waits.
        keep()?;
    }
    places.clear()?;
    Ok(Recovered::RolledBack)
}

/// Takes back what [`place`] did: the old folder stands there again, or nothing.
///
/// # Errors
/// When files cannot be renamed or removed.
pub fn take_back(root: &Path, plan: &MovePlan) -> Result<(), EffectError> {
    check_plan(root, plan)?;
    let places = SwapFolders::of(root, &plan.to, plan);
    let SwapFolders { target, temporary, aside, .. } = &places;
    if let Some(kept) = places.kept() {
        remove_dir(temporary)?;
        if is_there(target) {
            places.rename(target, temporary).map_err(at("rename", target))?;
        }
        places.rename(kept, target).map_err(at("rename", kept))?;
    } else if is_there(aside) {
        if is_there(target) {
            remove_dir(temporary)?;
            places.rename(target, temporary).map_err(at("rename", target))?;
        }
        places.rename(aside, target).map_err(at("rename", aside))?;
    } else if contains_exactly(target, &plan.files) {
        // What waits under the temporary name is the old folder.
        match is_there(temporary) {
            true => exchange(&places)?,
            false => places.rename(target, temporary).map_err(at("rename", target))?,
        }
        if aside.exists() {
            // The exchange took two steps: what went aside is the new folder.
            remove_dir(aside)?;
        }
    }
    places.sync()?;
    places.clear()
}

/// Takes `plan.from` away. One that is gone already is as good; one that is not what was planned
/// is kept, see [`replaced`].
///
/// # Errors
/// When it cannot be renamed. Nothing has then changed.
pub fn remove(root: &Path, plan: &MovePlan) -> Result<(), EffectError> {
    check_plan(root, plan)?;
    let places = SwapFolders::of(root, &plan.from, plan);
    if !is_there(&places.target) {
        return Ok(());
    }
    remove_dir(&places.temporary)?;
    places.rename(&places.target, &places.temporary).map_err(at("rename", &places.target))?;
    failpoint::hit();
    let kept = places.sync().and_then(|()| places.keep_damaged(&plan.files));
    if kept.is_err() {
        take_back_removal(root, plan)?;
    }
    failpoint::hit();
    kept
}

/// Finds out how far [`remove`] got.
///
/// # Errors
/// When a folder cannot be kept.
pub fn recover_removal(root: &Path, plan: &MovePlan) -> Result<Recovered, EffectError> {
    check_plan(root, plan)?;
    let places = SwapFolders::of(root, &plan.from, plan);
    if is_there(&places.target) {
        return Ok(Recovered::RolledBack);
    }
    places.keep_damaged(&plan.files)?;
    Ok(Recovered::Completed)
}

/// Takes back what [`remove`] did.
///
/// # Errors
/// When the folder cannot be renamed.
pub fn take_back_removal(root: &Path, plan: &MovePlan) -> Result<(), EffectError> {
    check_plan(root, plan)?;
    let places = SwapFolders::of(root, &plan.from, plan);
    let waiting = places.kept().unwrap_or(&places.temporary);
    if is_there(waiting) && !is_there(&places.target) {
        places.rename(waiting, &places.target).map_err(at("rename", waiting))?;
    }
    places.sync()
}

/// The folder that a change replaced or removed, until [`clear`], and whether it is kept for good.
pub fn replaced(root: &Path, folder: &str, plan: &MovePlan) -> Option<(PathBuf, bool)> {
    let places = SwapFolders::of(root, folder, plan);
    let waiting = [&places.temporary, &places.aside].into_iter().find(|path| is_there(path));
    match places.kept() {
        Some(kept) => Some((kept.to_owned(), true)),
        None => waiting.map(|path| (path.clone(), false)),
    }
}

/// Removes what a change left under its temporary names, once its end is in the log.
///
/// # Errors
/// When files cannot be removed.
pub fn clear(root: &Path, plan: &MovePlan) -> Result<(), EffectError> {
    check_plan(root, plan)?;
    // Of a removal only the source has temporary names, of the others only the target.
    SwapFolders::of(root, &plan.to, plan).clear()?;
    SwapFolders::of(root, &plan.from, plan).clear()
}

fn stage(root: &Path, blobs: &Blobs, plan: &MovePlan, folder: &Path) -> Result<(), EffectError> {
    remove_dir(folder)?;
    let inside = Folder::open(root).map_err(at("open", root))?;
    inside.make_all(folder).map_err(at("make", folder))?;
    for file in &plan.files {
        let (source, copy) = (root.join(&plan.from).join(&file.source), folder.join(&file.path));
        let source = match source.symlink_metadata() {
            Ok(_) => source,
            Err(_) => blobs.path(file.digest),
        };
        plain(&source)?;
        failpoint::fallible().map_err(at("copy", &source))?;
        let copied = inside.create(&copy).and_then(|target| copy_into(&source, target));
        copied.map_err(at("copy", &source))?;
        durable::sync_parent(&copy).map_err(at("sync", &copy))?;
        check(&copy, file.digest)?;
    }
    Ok(())
}

/// Whether `folder` holds `files`, whatever else it holds.
fn contains_exactly(folder: &Path, files: &[MovedFile]) -> bool {
    folder.is_dir() && files.iter().all(|file| check(&folder.join(&file.path), file.digest).is_ok())
}

/// Whether `folder` holds `files` and nothing else.
fn exact(folder: &Path, files: &[MovedFile]) -> bool {
    inspect(folder, files).is_empty()
}

/// Whether there is anything, a link to nowhere included.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn exchange(places: &SwapFolders) -> Result<(), EffectError> {
    let SwapFolders { target, temporary, .. } = places;
    let root = Folder::open(&places.root).map_err(at("open", &places.root))?;
    let Err(error) = root.rename(temporary, target, RenameFlags::EXCHANGE) else { return Ok(()) };
    match Errno::from_io_error(&error) {
        // Network file systems and others cannot; two renames leave a moment without the folder.
        Some(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => exchange_in_steps(places),
        _ => Err(at("exchange", target)(error)),
    }
}

fn exchange_in_steps(places: &SwapFolders) -> Result<(), EffectError> {
    let SwapFolders { target, temporary, aside, .. } = places;
    remove_dir(aside)?;
    places.rename(target, aside).map_err(at("rename", target))?;
    places.rename(temporary, target).map_err(at("rename", temporary))
}

/// A file in the blob store, as a move's source.
pub fn from_blobs(
    path: &str,
    digest: Digest,
    sha256: Option<Sha256Digest>,
    bytes: u64,
) -> MovedFile {
    let text = digest.to_string();
    let source = format!("{}/{text}", digest.short(2));
    MovedFile { path: path.to_owned(), source, digest, sha256, bytes }
}

/// The digests of a plain file; none where there is no such file.
///
/// # Errors
/// When there is something else, or it cannot be read.
pub fn digests(path: &Path) -> Result<Option<FileDigests>, EffectError> {
    match path.symlink_metadata() {
        Err(_) => Ok(None),
        Ok(_) => digests_plain(path).map(|(digests, _)| Some(digests)),
    }
}
