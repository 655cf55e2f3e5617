//! Files that a user asks for, `--out FILE` and the like, are never put where annals keeps its own:
//! whatever workspace the place is in, and whatever links lead to it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::app::core::workspace::SETTINGS_FILE;
use crate::app::{ConfigDirs, Error, ErrorKind, Layout, Result, Settings};
use crate::domain::policy::Policy;
use crate::domain::run::Archive;
use crate::projection::files::{Exporter, NAMES};
use crate::store::Blobs;

/// How a database of redb begins.
const DATABASE: &[u8] = b"redb";

/// Refuses a place for a new file or folder that belongs to annals: the log, views, blobs, keys,
/// settings, registry files, and the folders of runs and production models.
///
/// # Errors
/// [`ErrorKind::Usage`] for such a place; [`ErrorKind::Io`] where it cannot be examined.
pub fn check_output(path: &Path, dirs: Option<&ConfigDirs>) -> Result<()> {
    let failed = |e| Error::io(format!("examine {}", path.display()), e);
    let real = real_place(path).map_err(failed)?;
    let refuse = |what: &str| {
        let message = format!("{} is {what}, and is not written over", path.display());
        Err(Error::new(ErrorKind::Usage, message).hint("name a file or folder elsewhere"))
    };
    if real.components().any(|part| part.as_os_str().eq_ignore_ascii_case(".annals")) {
        return refuse("where annals keeps its log, views and blobs");
    }
    if let Some(keys) = dirs.and_then(|dirs| real_place(&dirs.keys).ok())
        && real.starts_with(keys)
    {
        return refuse("where your private keys are");
    }
    if is_database(&real).map_err(failed)? {
        return refuse("a database, perhaps a log");
    }
    for root in real.ancestors().filter(|folder| folder.join(SETTINGS_FILE).is_file()) {
        let Ok(inside) = real.strip_prefix(root) else { continue };
        let inside = inside.to_string_lossy();
        if inside.eq_ignore_ascii_case(SETTINGS_FILE) {
            return refuse("the workspace's settings");
        }
        if NAMES.iter().any(|name| inside.eq_ignore_ascii_case(name)) || generated(root, &inside) {
            return refuse("a registry file, which annals writes from the log");
        }
        if owned_folders(root).iter().any(|folder| is_within(&inside, folder)) {
            return refuse("in a folder of runs or production models");
        }
    }
    Ok(())
}

/// Where a path leads, which may not be there yet: links are followed, also at its end.
fn real_place(path: &Path) -> io::Result<PathBuf> {
    let mut missing = Vec::new();
    let mut at = std::path::absolute(path)?;
    loop {
        match fs::canonicalize(&at) {
            Ok(mut real) => {
                real.extend(missing.iter().rev());
                return Ok(real);
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound && !at.is_symlink() => {}
            // A link to nothing would be written through by other programs.
            Err(_) if at.is_symlink() => {
                let to = fs::read_link(&at)?;
                let to = at.parent().unwrap_or(Path::new("/")).join(to);
                let mut real = real_place_of_link(&to)?;
                real.extend(missing.iter().rev());
                return Ok(real);
            }
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => {}
            Err(e) => return Err(e),
        }
        match (at.file_name(), at.parent()) {
            (Some(name), Some(parent)) => {
                missing.push(name.to_owned());
                at = parent.to_owned();
            }
            // Such as `..` below what is missing: the system will refuse it as well.
            _ => return Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// Of the target of a link that leads to nothing.
fn real_place_of_link(to: &Path) -> io::Result<PathBuf> {
    let parent = fs::canonicalize(to.parent().unwrap_or(Path::new("/")))?;
    Ok(parent.join(to.file_name().unwrap_or_default()))
}

fn is_database(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_file() => {}
        _ => return Ok(false),
    }
    let mut start = Vec::new();
    File::open(path)?.take(DATABASE.len() as u64).read_to_end(&mut start)?;
    Ok(start == DATABASE)
}

fn generated(root: &Path, inside: &str) -> bool {
    let annals = root.join(".annals");
    let exporter = Exporter::new(root, &annals, &Blobs::new(&annals.join("blobs")), None);
    exporter.names().contains(inside)
}

/// The folders of runs and models, as the settings of a workspace and the layouts have them.
fn owned_folders(root: &Path) -> Vec<String> {
    let settings = fs::read_to_string(root.join(SETTINGS_FILE)).ok();
    let settings = settings.and_then(|text| toml::from_str::<Settings>(&text).ok());
    let own = settings.and_then(|settings| Layout::of(root, &settings, &BTreeMap::new()).ok());
    let policy = Policy::default();
    let mut folders = Vec::new();
    for layout in own.into_iter().chain(Layout::all()) {
        let archives = [Archive::Debug, Archive::Baseline, Archive::Archived];
        folders.extend(archives.map(|archive| layout.archive(archive, &policy)));
        folders.extend([layout.experiments, layout.production]);
    }
    folders
}

fn is_within(path: &str, folder: &str) -> bool {
    let (path, folder) = (path.to_lowercase(), folder.to_lowercase());
    path == folder || path.strip_prefix(&folder).is_some_and(|rest| rest.starts_with('/'))
}
