//! Whether an invocation is alive: it holds a lock on its own file for as long as its process
//! lives. A pid would lie after a restart or on another machine; a lock cannot.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::base::{InvocationId, confine};

/// The files of `.annals/live`.
#[derive(Clone, Debug)]
pub struct LiveFiles {
    dir: PathBuf,
}

/// The lock of one living invocation; gone with the process or when dropped.
#[derive(Debug)]
pub(in crate::app) struct Alive {
    path: PathBuf,
    _file: File,
}

impl Drop for Alive {
    fn drop(&mut self) {
        // A left-over file without a lock means "gone" as well.
        let _ = fs::remove_file(&self.path);
    }
}

impl LiveFiles {
    /// The files under a workspace's `.annals`.
    pub fn new(annals_dir: &Path) -> Self {
        Self { dir: annals_dir.join("live") }
    }

    /// Marks an invocation as alive until the returned value is dropped.
    pub(in crate::app) fn claim(&self, id: InvocationId) -> io::Result<Alive> {
        fs::create_dir_all(&self.dir)?;
        let path = self.path(id);
        let file = confine::lock_file(&path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Alive { path, _file: file })
    }

    /// Whether the invocation's process lives. Works in a folder that cannot be written.
    pub fn is_alive(&self, id: InvocationId) -> bool {
        let Ok(file) = confine::plain_file(&self.path(id)) else { return false };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => false,
            Err(error) => error == rustix::io::Errno::WOULDBLOCK,
        }
    }

    /// Whether any invocation's process lives.
    pub(in crate::app) fn any_alive(&self) -> bool {
        let Ok(entries) = fs::read_dir(&self.dir) else { return false };
        let ids = entries
            .flatten()
            .filter_map(|entry| entry.path().file_stem()?.to_str()?.parse::<InvocationId>().ok());
        ids.into_iter().any(|id| self.is_alive(id))
    }

    /// Removes the file of an invocation that is gone.
    pub(in crate::app) fn forget(&self, id: InvocationId) {
        let _ = fs::remove_file(self.path(id));
    }

    fn path(&self, id: InvocationId) -> PathBuf {
        self.dir.join(format!("{id}.lock"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invocation_is_alive_as_long_as_its_lock() {
        let root = tempfile::tempdir().unwrap();
        let files = LiveFiles::new(root.path());
        let id = InvocationId([3; 16]);
        assert!(!files.is_alive(id));
        let alive = files.claim(id).unwrap();
        assert!(files.is_alive(id) && files.any_alive());
        drop(alive);
        assert!(!files.is_alive(id) && !files.any_alive());
    }
}
