//! A production folder that comes, takes the place of another, or goes: in one step, and so that
//! every step can be taken back until its end is in the log.
//!
//! The new folder is made whole under a temporary name beside the target and exchanged with what
//! stands there. What stood there waits under the temporary name until [`clear`]: a crash before
//! the end is in the log finds both. Nothing is replaced or removed that is not exactly what the
//! log says stands there.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{EffectError, Recovered, at, check, check_plan, plain, remove_dir, taken};
use crate::base::{Digest, durable, fuse};
use crate::domain::file_move::{MovePlanned, MovedFile};
use crate::store::{Blobs, copy_file};

/// The folders of one change.
struct Places {
    target: PathBuf,
    /// The new folder before the exchange, the old one after it.
    temporary: PathBuf,
    /// The old folder, on file systems that cannot exchange.
    aside: PathBuf,
}

impl Places {
    fn of(root: &Path, folder: &str, plan: &MovePlanned) -> Self {
        let target = root.join(folder);
        let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let beside = |end: &str| target.with_file_name(format!(".{name}.{}.{end}", plan.id));
        let (temporary, aside) = (beside("tmp"), beside("old"));
        Self { target, temporary, aside }
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
/// store. `present` is what the log says stands there; none for a place that must be free.
///
/// # Errors
/// When files cannot be had or written, or something else stands there. Nothing has then changed.
pub fn place(
    root: &Path,
    blobs: &Blobs,
    plan: &MovePlanned,
    present: Option<&[MovedFile]>,
) -> Result<(), EffectError> {
    check_plan(root, plan)?;
    let places = Places::of(root, &plan.to, plan);
    let checked = stage(root, blobs, plan, &places.temporary).and_then(|()| {
        fuse::step();
        match present {
            Some(files) if places.target.exists() => holds(&places.target, files).map(|()| true),
            _ => match taken(&places.target)? {
                Some(taken) => Err(EffectError::TargetExists(taken)),
                None => Ok(false),
            },
        }
    });
    let renamed = match checked {
        Ok(true) => exchange(&places),
        Ok(false) => {
            fs::rename(&places.temporary, &places.target).map_err(at("rename", &places.temporary))
        }
        Err(error) => {
            places.clear()?;
            return Err(error);
        }
    };
    fuse::step();
    if renamed.is_err() {
        recover_place(root, plan)?;
    }
    renamed.and_then(|()| places.sync())
}

/// Finds out how far [`place`] got; the new folder stays, or everything is as it was before.
///
/// # Errors
/// When files cannot be read, renamed or removed.
pub fn recover_place(root: &Path, plan: &MovePlanned) -> Result<Recovered, EffectError> {
    check_plan(root, plan)?;
    let places = Places::of(root, &plan.to, plan);
    if whole(&places.target, &plan.files) {
        return Ok(Recovered::Completed);
    }
    if !places.target.exists() && places.aside.exists() {
        fs::rename(&places.aside, &places.target).map_err(at("rename", &places.aside))?;
        places.sync()?;
    }
    places.clear()?;
    Ok(Recovered::RolledBack)
}

/// Takes back what [`place`] did: the old folder stands there again, or nothing.
///
/// # Errors
/// When files cannot be renamed or removed.
pub fn take_back(root: &Path, plan: &MovePlanned) -> Result<(), EffectError> {
    check_plan(root, plan)?;
    let places = Places::of(root, &plan.to, plan);
    let Places { target, temporary, aside } = &places;
    if aside.exists() {
        if target.exists() {
            remove_dir(temporary)?;
            fs::rename(target, temporary).map_err(at("rename", target))?;
        }
        fs::rename(aside, target).map_err(at("rename", aside))?;
    } else if whole(target, &plan.files) {
        // What waits under the temporary name is the old folder.
        match temporary.exists() {
            true => exchange(&places)?,
            false => fs::rename(target, temporary).map_err(at("rename", target))?,
        }
        if aside.exists() {
            // The exchange took two steps: what went aside is the new folder.
            remove_dir(aside)?;
        }
    }
    places.sync()?;
    places.clear()
}

/// Takes `plan.from` away, which must hold the planned files and nothing else. One that is gone
/// already is as good.
///
/// # Errors
/// When it holds anything else, or cannot be renamed. Nothing has then changed.
pub fn remove(root: &Path, plan: &MovePlanned) -> Result<(), EffectError> {
    check_plan(root, plan)?;
    let places = Places::of(root, &plan.from, plan);
    if !places.target.exists() {
        return Ok(());
    }
    holds(&places.target, &plan.files)?;
    remove_dir(&places.temporary)?;
    fs::rename(&places.target, &places.temporary).map_err(at("rename", &places.target))?;
    fuse::step();
    places.sync()
}

/// Finds out how far [`remove`] got.
///
/// # Errors
/// When files cannot be removed.
pub fn recover_removal(root: &Path, plan: &MovePlanned) -> Result<Recovered, EffectError> {
    check_plan(root, plan)?;
    match Places::of(root, &plan.from, plan).target.exists() {
        true => Ok(Recovered::RolledBack),
        false => Ok(Recovered::Completed),
    }
}

/// Takes back what [`remove`] did.
///
/// # Errors
/// When the folder cannot be renamed.
pub fn take_back_removal(root: &Path, plan: &MovePlanned) -> Result<(), EffectError> {
    check_plan(root, plan)?;
    let places = Places::of(root, &plan.from, plan);
    if places.temporary.exists() && !places.target.exists() {
        fs::rename(&places.temporary, &places.target).map_err(at("rename", &places.temporary))?;
    }
    places.sync()
}

/// Removes what a change left under its temporary names, once its end is in the log.
///
/// # Errors
/// When files cannot be removed.
pub fn clear(root: &Path, plan: &MovePlanned) -> Result<(), EffectError> {
    check_plan(root, plan)?;
    // Of a removal only the source has temporary names, of the others only the target.
    Places::of(root, &plan.to, plan).clear()?;
    Places::of(root, &plan.from, plan).clear()
}

fn stage(root: &Path, blobs: &Blobs, plan: &MovePlanned, folder: &Path) -> Result<(), EffectError> {
    remove_dir(folder)?;
    durable::create_dir_all(folder).map_err(at("make", folder))?;
    for file in &plan.files {
        let (source, copy) = (root.join(&plan.from).join(&file.source), folder.join(&file.path));
        if let Some(parent) = copy.parent() {
            durable::create_dir_all(parent).map_err(at("make", parent))?;
        }
        let source = match source.symlink_metadata() {
            Ok(_) => source,
            Err(_) => blobs.path(file.digest),
        };
        plain(&source)?;
        copy_file(&source, &copy).map_err(at("copy", &source))?;
        durable::sync_parent(&copy).map_err(at("sync", &copy))?;
        check(&copy, file.digest)?;
    }
    Ok(())
}

/// Whether `folder` holds `files`, whatever else it holds.
fn whole(folder: &Path, files: &[MovedFile]) -> bool {
    folder.is_dir() && files.iter().all(|file| check(&folder.join(&file.path), file.digest).is_ok())
}

/// Whether `folder` holds `files` and nothing else.
fn holds(folder: &Path, files: &[MovedFile]) -> Result<(), EffectError> {
    let mut folders = vec![folder.to_owned()];
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(&inside).map_err(at("read", &inside))? {
            let entry = entry.map_err(at("read", &inside))?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(at("read", &inside))?);
            let known = path
                .strip_prefix(folder)
                .is_ok_and(|relative| files.iter().any(|file| Path::new(&file.path) == relative));
            match kind.is_dir() {
                true => folders.push(path),
                false if !known => return Err(EffectError::Foreign(path)),
                false => {}
            }
        }
    }
    files.iter().try_for_each(|file| check(&folder.join(&file.path), file.digest))
}

fn exchange(places: &Places) -> Result<(), EffectError> {
    let Places { target, temporary, .. } = places;
    match renameat_with(CWD, temporary, CWD, target, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(()),
        // Network file systems and others cannot; two renames leave a moment without the folder.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {
            exchange_in_steps(places)
        }
        Err(error) => Err(at("exchange", target)(io::Error::from(error))),
    }
}

fn exchange_in_steps(places: &Places) -> Result<(), EffectError> {
    let Places { target, temporary, aside } = places;
    remove_dir(aside)?;
    fs::rename(target, aside).map_err(at("rename", target))?;
    fs::rename(temporary, target).map_err(at("rename", temporary))
}

/// A file in the blob store, as a move's source.
pub fn from_blobs(path: &str, digest: Digest, bytes: u64) -> MovedFile {
    let text = digest.to_string();
    let source = format!("{}/{text}", digest.short(2));
    MovedFile { path: path.to_owned(), source, digest, bytes }
}

/// Whether the bytes of a plain file have `digest`; none where there is no such file.
///
/// # Errors
/// When there is something else, or it cannot be read.
pub fn has_digest(path: &Path, digest: Digest) -> Result<Option<bool>, EffectError> {
    match path.symlink_metadata() {
        Err(_) => Ok(None),
        Ok(_) => {
            plain(path)?;
            let read = File::open(path).and_then(|mut file| Digest::of_reader(&mut file));
            Ok(Some(read.map_err(at("read", path))?.0 == digest))
        }
    }
}
