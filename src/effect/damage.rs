//! How a production folder differs from what the log says of it.

use std::fs;
use std::io;
use std::path::Path;

use super::{EffectError, digests_plain, plain};
use crate::base::FileDigests;
use crate::domain::file_move::MovedFile;
use crate::domain::registry::{Damage, DamagedFile};

/// Every difference between `folder` and `files`, by path. What cannot be read is a difference
/// like the others: a damaged folder is described and never in the way.
pub fn inspect(folder: &Path, files: &[MovedFile]) -> Vec<DamagedFile> {
    match folder.symlink_metadata() {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => return vec![damaged(".", Damage::NotAFile)],
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return vec![damaged(".", Damage::Missing)];
        }
        Err(_) => return vec![damaged(".", Damage::Unreadable)],
    }
    let mut found: Vec<DamagedFile> =
        files.iter().filter_map(|file| Some(damaged(&file.path, of_file(folder, file)?))).collect();
    let known = |relative: &Path| files.iter().any(|file| Path::new(&file.path) == relative);
    let mut folders = vec![folder.to_owned()];
    while let Some(inside) = folders.pop() {
        let shown = |path: &Path| {
            let relative = path.strip_prefix(folder).unwrap_or(path).to_string_lossy();
            if relative.is_empty() { ".".to_owned() } else { relative.into_owned() }
        };
        let Ok(entries) = fs::read_dir(&inside) else {
            found.push(damaged(&shown(&inside), Damage::Unreadable));
            continue;
        };
        for entry in entries {
            let Ok(entry) = entry else {
                found.push(damaged(&shown(&inside), Damage::Unreadable));
                break;
            };
            let path = entry.path();
            let is_known = path.strip_prefix(folder).is_ok_and(known);
            match entry.file_type() {
                // A folder in the place of a file is named by that file.
                Ok(kind) if kind.is_dir() => folders.push(path),
                _ if is_known => {}
                _ => found.push(damaged(&shown(&path), Damage::Added)),
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup();
    found
}

/// Whether something of what was found is nowhere else: other bytes, other files, or what cannot
/// be judged. Files that are only missing leave nothing to keep.
pub fn holds_unknown(found: &[DamagedFile]) -> bool {
    found.iter().any(|file| file.damage != Damage::Missing)
}

fn of_file(folder: &Path, file: &MovedFile) -> Option<Damage> {
    let path = folder.join(&file.path);
    match plain(&path) {
        Err(EffectError::Io { source, .. })
            if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Some(Damage::Missing);
        }
        Err(EffectError::NotPlain(_)) => return Some(Damage::NotAFile),
        Err(_) => return Some(Damage::Unreadable),
        Ok(()) => {}
    }
    match digests_plain(&path) {
        Ok((found, _)) if found.are(file.digest, file.sha256) => None,
        Ok((FileDigests { blake3: found, sha256 }, _)) => {
            Some(Damage::Altered { found, sha256: Some(sha256) })
        }
        Err(_) => Some(Damage::Unreadable),
    }
}

fn damaged(path: &str, damage: Damage) -> DamagedFile {
    DamagedFile { path: path.to_owned(), damage }
}
