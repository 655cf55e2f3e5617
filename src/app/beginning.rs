//! Folders of runs that are about to begin: made before the run is in the log, and removed by the
//! next changing verb when the process was gone before it was.
//!
//! Each has a file in `.annals/beginnings`, locked as long as the process lives. It says whether
//! the folder was made by it: a folder that somebody else made is never removed.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::{App, Error, Result};
use crate::base::fuse;

const FOLDER: &str = "beginnings";

/// The claim on one folder; gone with the process or when dropped.
#[derive(Debug)]
pub(super) struct Beginning {
    path: PathBuf,
    file: File,
}

impl Drop for Beginning {
    fn drop(&mut self) {
        // Left over, it is cleared by the next changing verb.
        let _ = fs::remove_file(&self.path);
    }
}

impl Beginning {
    /// Claims `place`, the folder of a run relative to the workspace, by the run's unique name.
    pub(super) fn claim(annals: &Path, experiment_id: &str, place: &str) -> io::Result<Self> {
        let folder = annals.join(FOLDER);
        fs::create_dir_all(&folder)?;
        let path = folder.join(experiment_id);
        loop {
            let mut options = OpenOptions::new();
            let file = options.create(true).truncate(false).read(true).write(true).open(&path)?;
            flock(&file, FlockOperation::LockExclusive)?;
            // Whoever held the lock may have removed the file meanwhile.
            let is_there = path
                .metadata()
                .is_ok_and(|there| file.metadata().is_ok_and(|ours| ours.ino() == there.ino()));
            if is_there {
                file.set_len(0)?;
                (&file).write_all(format!("{place}\n").as_bytes())?;
                fuse::step();
                return Ok(Self { path, file });
            }
        }
    }

    /// Notes that the folder was made by this process.
    pub(super) fn made(&mut self) -> io::Result<()> {
        self.file.write_all(b"made\n")?;
        fuse::step();
        self.file.sync_all()
    }
}

impl App {
    /// Removes the folders of runs that never began, and tells which.
    pub(super) fn clear_beginnings(&self) -> Result<Vec<String>> {
        let failed = |e| Error::io("clear the folders of runs that never began", e);
        let entries = match fs::read_dir(self.annals_dir().join(FOLDER)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
            entries => entries.map_err(failed)?,
        };
        let mut cleared = Vec::new();
        let mut known: Option<BTreeSet<String>> = None;
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let Ok(file) = File::open(&path) else { continue };
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                continue;
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let text = io::read_to_string(&file).map_err(failed)?;
            let mut lines = text.lines();
            // A claim of which nothing was written yet has made nothing.
            let place = lines.next().unwrap_or_default();
            let folder = self.root.join(place);
            let known = match &mut known {
                Some(known) => known,
                None => known.insert(self.experiment_ids()?),
            };
            if !known.contains(&name) && !place.is_empty() && folder.is_dir() {
                let made = lines.next().is_some();
                // Not known to be made by us: at most an empty one is taken away.
                let removed =
                    if made { fs::remove_dir_all(&folder) } else { fs::remove_dir(&folder) };
                if removed.is_ok() {
                    cleared.push(format!("the folder of {name}, which never began, was removed"));
                }
            }
            let _ = fs::remove_file(&path);
        }
        Ok(cleared)
    }

    fn experiment_ids(&self) -> Result<BTreeSet<String>> {
        let mut ids = BTreeSet::new();
        self.snapshot()?.run_names(|_, experiment_id, _| {
            ids.insert(experiment_id.to_owned());
        })?;
        Ok(ids)
    }
}
