//! Writes that survive power loss: the new file is whole under a temporary name before it takes
//! the place of the old one, and the folder is synced so that the name itself survives.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::failpoint;

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Replaces `path` by a file that holds `bytes`. After a crash the old or the new content is
/// there, whole; at most a file `.<name>.<pid>-<number>.tmp` is left over.
///
/// # Errors
/// Any failure to create, write, sync or rename; `path` is then unchanged.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary_beside(path)?;
    let result = (|| {
        // Made anew: what somebody put there, a link perhaps, is removed and never written through.
        let _ = fs::remove_file(&temporary);
        let mut file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        failpoint::hit();
        fs::rename(&temporary, path)?;
        failpoint::hit();
        sync_parent(path)
    })();
    if result.is_err() {
        // The write already failed; a left-over temporary file is harmless and is named above.
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// Syncs the folder that holds `path`, so that a created, renamed or removed name survives.
///
/// # Errors
/// When the folder cannot be opened or synced.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    sync_dir(parent_of(path))
}

/// Syncs a folder.
///
/// # Errors
/// When the folder cannot be opened or synced.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Creates `dir` and its missing parents, and syncs each folder that gained a name.
///
/// # Errors
/// When a folder cannot be created or synced.
pub fn create_dir_all(dir: &Path) -> io::Result<()> {
    let mut missing: Vec<&Path> = Vec::new();
    let mut at = dir;
    while !at.as_os_str().is_empty() && !at.is_dir() {
        missing.push(at);
        at = parent_of(at);
    }
    for dir in missing.into_iter().rev() {
        match fs::create_dir(dir) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists || !dir.is_dir() => return Err(e),
            _ => sync_parent(dir)?,
        }
    }
    Ok(())
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn temporary_beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::other("the path names no file"))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    // Two threads may write one path.
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    temporary.push(format!(".{}-{number}.tmp", std::process::id()));
    Ok(parent_of(path).join(temporary))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test writes plain files")]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_files_and_leaves_nothing_behind() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b/file");
        create_dir_all(path.parent().unwrap()).unwrap();
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn links_planted_in_the_way_are_never_written_through() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (path, hers) = (root.path().join("file"), other.path().join("hers"));
        fs::write(&hers, "hers").unwrap();
        for number in 0..10_000 {
            let name = format!(".file.{}-{number}.tmp", std::process::id());
            std::os::unix::fs::symlink(&hers, root.path().join(name)).unwrap();
        }
        std::os::unix::fs::symlink(&hers, &path).unwrap();
        write(&path, b"ours").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"ours");
        assert_eq!(fs::read(&hers).unwrap(), b"hers");
    }
}
