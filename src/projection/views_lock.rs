//! The lock on the stored views. Every wait for it has a bound and names the holder.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::ViewError;
use super::runner::io_error;
use crate::base::confine;
use crate::store::lock_file_within;

/// Longest wait for a process that has the views or the registry files locked.
pub(super) const LOCK_WAIT_MAX: Duration = Duration::from_secs(5);

/// The lock on the stored views, after a wait of at most [`LOCK_WAIT_MAX`].
pub(super) fn wait_for_lock(dir: &Path, operation: FlockOperation) -> Result<File, ViewError> {
    Ok(lock_file_within(&dir.join("views.lock"), operation, LOCK_WAIT_MAX)?)
}

/// Waits for a shared lock on a file that is there, also in a read-only folder.
pub(super) fn lock_shared(path: &Path) -> Option<File> {
    let lock = confine::plain_file(path).ok()?;
    if flock(&lock, FlockOperation::NonBlockingLockShared).is_ok() {
        return Some(lock);
    }
    lock_file_within(path, FlockOperation::LockShared, LOCK_WAIT_MAX).ok()
}

pub(super) fn open_lock(dir: &Path) -> Result<File, ViewError> {
    confine::lock_file(&dir.join("views.lock")).map_err(io_error("open views.lock"))
}
