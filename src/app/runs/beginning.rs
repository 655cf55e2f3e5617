//! Folders of runs that are about to begin: made before the run is in the log, and removed by the
//! next changing verb when the process was gone before it was.
//!
//! Each has a claim, a file in `.annals/beginnings` that is locked while the process lives, and
//! a mark in the folder itself. A folder is removed only where the mark is in it: who can write a
//! claim but not into the folder removes nothing with it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::app::{Error, Result, Workspace};
use crate::base::confine::{self, Folder};
use crate::base::failpoint;

const FOLDER: &str = "beginnings";
/// The mark in a folder that was made for a run that has not begun.
const MARK: &str = ".annals-beginning";
/// Largest claim and mark.
const CLAIM_BYTES_MAX: u64 = 4_096;

/// The claim on one folder; gone with the process or when dropped.
#[derive(Debug)]
pub(in crate::app) struct FolderClaim {
    path: PathBuf,
    /// The mark, once it is made.
    mark: Option<PathBuf>,
    _file: File,
}

impl Drop for FolderClaim {
    fn drop(&mut self) {
        // Left over, both are cleared by the next changing verb.
        if let Some(mark) = &self.mark {
            let _ = fs::remove_file(mark);
        }
        let _ = fs::remove_file(&self.path);
    }
}

impl FolderClaim {
    /// Claims `place`, the folder of a run relative to the workspace, by the run's unique name.
    /// None where a process that is gone claimed and made it: that claim stays until it is cleared.
    pub(in crate::app) fn claim(
        annals: &Path,
        experiment_id: &str,
        place: &str,
    ) -> io::Result<Option<Self>> {
        let folder = annals.join(FOLDER);
        fs::create_dir_all(&folder)?;
        let path = folder.join(experiment_id);
        loop {
            let file = confine::lock_file(&path)?;
            flock(&file, FlockOperation::LockExclusive)?;
            // Whoever held the lock may have removed the file meanwhile.
            let is_there = path
                .metadata()
                .is_ok_and(|there| file.metadata().is_ok_and(|ours| ours.ino() == there.ino()));
            if is_there {
                let mut left = String::new();
                // What is no text, or too long, is no claim of ours.
                let _ = (&file).take(CLAIM_BYTES_MAX).read_to_string(&mut left);
                let root = annals.parent().unwrap_or(annals);
                let made = confine::parent_inside(root, place).is_ok_and(|path| path.exists());
                if made && left.lines().next() == Some(place) {
                    return Ok(None);
                }
                file.set_len(0)?;
                (&file).rewind()?;
                (&file).write_all(format!("{place}\n").as_bytes())?;
                failpoint::hit();
                return Ok(Some(Self { path, mark: None, _file: file }));
            }
        }
    }

    /// Marks `folder` as made by this process, for the run of the claim.
    pub(in crate::app) fn made(&mut self, folder: &Path, experiment_id: &str) -> io::Result<()> {
        let mark = folder.join(MARK);
        let mut file = File::create_new(&mark)?;
        self.mark = Some(mark);
        file.write_all(experiment_id.as_bytes())?;
        file.sync_all()?;
        failpoint::hit();
        Ok(())
    }
}

/// Removes the folders of runs that never began, and tells which.
pub(in crate::app) fn clear_beginnings(workspace: &Workspace) -> Result<Vec<String>> {
    let failed = |e| Error::io("clear the folders of runs that never began", e);
    let folder = workspace.annals_dir().join(FOLDER);
    match folder.symlink_metadata() {
        Ok(meta) if meta.is_dir() => {}
        _ => return Ok(vec![]),
    }
    let claims = Folder::open(&folder).map_err(failed)?;
    let entries = fs::read_dir(&folder).map_err(failed)?;
    let mut cleared = Vec::new();
    let mut runs: Option<KnownRuns> = None;
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Ok(file) = claims.read(&name) else { continue };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue;
        }
        let mut place = String::new();
        // What is no text claims nothing.
        let _ = file.take(CLAIM_BYTES_MAX).read_to_string(&mut place);
        // A claim of former versions has a second line.
        let place = place.lines().next().unwrap_or_default();
        let runs = match &mut runs {
            Some(runs) => runs,
            None => runs.insert(known_runs(workspace)?),
        };
        if discard_unbegun(workspace, &name, place, runs) {
            cleared.push(format!("the folder of {name}, which never began, was removed"));
        }
        let _ = claims.remove_file(&name);
    }
    Ok(cleared)
}

/// Removes the folder that a claim left over names, where it is one of a run that never began.
fn discard_unbegun(
    workspace: &Workspace,
    experiment_id: &str,
    place: &str,
    runs: &KnownRuns,
) -> bool {
    let below = place.rsplit_once('/').is_some_and(|(at, _)| at == workspace.layout.experiments);
    if !below || confine::public(place).is_err() {
        return false;
    }
    let Ok(root) = Folder::open(&workspace.root) else { return false };
    let mark = format!("{place}/{MARK}");
    let text = root.read(&mark).and_then(|file| io::read_to_string(file.take(CLAIM_BYTES_MAX)));
    // A crash may come before its text.
    let marked = text.is_ok_and(|text| text.is_empty() || text == experiment_id);
    if runs.folders.contains(place) || runs.ids.contains(experiment_id) {
        // It began after all.
        if marked {
            let _ = root.remove_file(&mark);
        }
        return false;
    }
    // Not known to be made by annals: at most an empty one is taken away.
    let removed = if marked { root.remove_tree(place) } else { root.remove_empty(place) };
    removed.is_ok()
}

fn known_runs(workspace: &Workspace) -> Result<KnownRuns> {
    let mut runs = KnownRuns::default();
    for run in workspace.summed_snapshot()?.run_details()? {
        runs.ids.insert(run.experiment_id);
        runs.folders.insert(run.folder);
    }
    Ok(runs)
}

/// Whether a process that is gone claimed the folder of that name.
pub(in crate::app) fn has_claim(workspace: &Workspace, name: &str) -> bool {
    workspace.annals_dir().join(FOLDER).join(name).is_file()
}

#[derive(Default)]
struct KnownRuns {
    ids: BTreeSet<String>,
    folders: BTreeSet<String>,
}
