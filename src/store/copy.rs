//! Copies that are whole: of the log under its lock, and of any file into a new one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, ioctl_ficlone, renameat_with};

use super::{Store, StoreError};
use crate::base::durable;

/// Copies `from` to the new file `to`: shares the blocks where the file system can, else copies
/// the bytes; never a hard link, through which one file could change the other. The copy is
/// synced, its name is not.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when there is such a file; whatever fails.
pub fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    copy_into(from, OpenOptions::new().write(true).create_new(true).open(to)?)
}

/// [`copy_file`] into an empty file.
///
/// # Errors
/// Whatever fails.
pub fn copy_into(from: &Path, mut target: File) -> io::Result<()> {
    let mut source = File::open(from)?;
    if ioctl_ficlone(&target, &source).is_err() {
        io::copy(&mut source, &mut target)?;
    }
    target.sync_all()
}

impl Store {
    /// Copies the log to the new file `target`, consistent and durable. A crash leaves at most
    /// `target` with the ending `.partial`.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when there is such a file; [`StoreError::Busy`],
    /// [`StoreError::Io`].
    pub fn copy_to(&self, target: &Path) -> Result<(), StoreError> {
        let exists = || StoreError::Exists { path: target.to_owned() };
        if target.symlink_metadata().is_ok() {
            return Err(exists());
        }
        let mut partial = target.as_os_str().to_owned();
        partial.push(".partial");
        let partial = Path::new(&partial);
        let failed = |e| StoreError::io(format!("copy the log to {}", target.display()))(e);
        let _held = self.lock_for_reading()?;
        match fs::remove_file(partial) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
            _ => copy_file(&self.path(), partial).map_err(failed)?,
        }
        let renamed = renameat_with(CWD, partial, CWD, target, RenameFlags::NOREPLACE);
        renamed.map_err(|e| match e {
            rustix::io::Errno::EXIST => exists(),
            other => failed(other.into()),
        })?;
        durable::sync_parent(target).map_err(failed)
    }
}
