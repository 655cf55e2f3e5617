//! The file of the views, opened for writing.

use std::path::Path;
use std::time::{Duration, Instant};

use redb::{Database, DatabaseError};

use super::ViewError;
use super::runner::remove;
use crate::base::limits::LOCK_WAIT_MAX;

/// Between two tries to open a file that a killed process has not let go of yet.
const OPEN_RETRY: Duration = Duration::from_millis(5);

/// Opens the views for writing, empty where there are none. Who holds their lock finds redb's taken
/// only by a process that was killed and that the kernel has not cleared away yet: waits for it.
pub(super) fn create(path: &Path) -> Result<Database, ViewError> {
    // A link would lead to another file, perhaps a log.
    if path.is_symlink() {
        remove(path)?;
    }
    let started = Instant::now();
    loop {
        match Database::create(path) {
            Err(DatabaseError::DatabaseAlreadyOpen) if started.elapsed() < LOCK_WAIT_MAX => {
                std::thread::sleep(OPEN_RETRY);
            }
            opened => return Ok(opened?),
        }
    }
}
