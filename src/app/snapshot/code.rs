//! The files of the code: what git keeps or would take, or the whole folder where there is no git.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::manifest::{Content, Entry, escaped, unescaped};
use crate::app::{App, Error, Result, git};
use crate::projection::files;

/// Files up to this size are read whole: their blob needs no copy if it is there already.
const READ_WHOLE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Names of files that pin packages, in any folder.
const PACKAGE_FILES: [&str; 11] = [
    "Cargo.lock",
    "rust-toolchain.toml",
    "requirements.txt",
    "pyproject.toml",
    "poetry.lock",
    "uv.lock",
    "Pipfile.lock",
    "environment.yml",
    "conda-lock.yml",
    "package-lock.json",
    "renv.lock",
];

/// The code's folder and what of it is code.
#[derive(Debug)]
pub(super) struct Code {
    /// The top of the git tree, or the workspace where no git looks after it.
    pub(super) top: PathBuf,
    /// Whether that is a git tree.
    pub(super) git: bool,
    /// Paths relative to `top`, escaped, ordered.
    pub(super) paths: BTreeSet<String>,
}

/// Whether the file pins packages.
pub(super) fn pins_packages(path: &str) -> bool {
    PACKAGE_FILES.contains(&path.rsplit('/').next().unwrap_or(path))
}

impl App {
    /// Where the code lies and which files are code.
    ///
    /// # Errors
    /// When git or a folder cannot be read.
    pub(super) fn code(&self) -> Result<Code> {
        let found = git::top(&self.root)?;
        let git = found.is_some();
        let top = found.unwrap_or_else(|| self.root.clone());
        let mut paths = BTreeSet::new();
        if git {
            tracked(&top, "", &mut paths)?;
        } else {
            walk(&top, "", &|path| self.is_own(path), &mut paths)?;
        }
        self.retain_code(&top, &mut paths);
        Ok(Code { top, git, paths })
    }

    /// The files of the code that are not as the last commit has them; none where no git looks
    /// after the code.
    ///
    /// # Errors
    /// When git cannot be asked.
    pub(in crate::app) fn uncommitted(&self) -> Result<Option<Vec<String>>> {
        let Some(top) = git::top(&self.root)? else { return Ok(None) };
        // Each row is two letters, a blank and the path; without renames there is one path a row.
        let status = ["status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all"];
        let said = git::must(&top, &[&["--no-optional-locks"][..], &status].concat())?;
        let rows = said.split(|byte| *byte == 0).filter_map(|row| row.get(3..));
        let mut paths: BTreeSet<String> = rows.map(escaped).collect();
        self.retain_code(&top, &mut paths);
        Ok(Some(paths.into_iter().collect()))
    }

    /// Leaves out, of paths relative to `top`, what annals made.
    fn retain_code(&self, top: &Path, paths: &mut BTreeSet<String>) {
        let root = self.root.canonicalize().unwrap_or_else(|_| self.root.clone());
        let prefix = root.strip_prefix(top).unwrap_or(Path::new(""));
        let prefix = escaped(prefix.as_os_str().as_bytes());
        paths.retain(|path| {
            Path::new(path).strip_prefix(&prefix).ok().and_then(Path::to_str).is_none_or(|path| {
                let parts = path.match_indices('/').map(|(at, _)| &path[..at]).chain([path]);
                !parts.into_iter().any(|part| self.is_own(part))
            })
        });
    }

    /// Whether annals made what lies at `path` in the workspace: the log, runs, models in
    /// production and the files that are regenerated. Code is everything else.
    fn is_own(&self, path: &str) -> bool {
        let layout = &self.layout;
        let folders = ["experiments", "logs", "results"];
        let of_training = folders.iter().any(|folder| {
            path.strip_prefix(&layout.training).is_some_and(|rest| rest == format!("/{folder}"))
        });
        let is_file = |name: &&str| {
            let rest = path.strip_prefix(*name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(".edited"))
        };
        of_training
            || [".annals", &layout.experiments, &layout.production].contains(&path)
            || files::NAMES.iter().any(is_file)
    }

    /// Stores one file of the code; none where it is gone by now or is of a kind that cannot be
    /// kept, which is told by `left_out`.
    pub(super) fn keep_file(
        &self,
        from: &Path,
        path: String,
        left_out: &mut Vec<String>,
    ) -> Result<Option<Entry>> {
        let failed = |e| {
            Error::io(format!("read {}", from.display()), e)
                .hint("make it readable, or let git ignore it; nothing was recorded")
        };
        let meta = match fs::symlink_metadata(from) {
            // Deleted and not yet committed: the difference from the commit says so.
            Err(e) if gone(&e) => return Ok(None),
            meta => meta.map_err(failed)?,
        };
        let content = if meta.is_symlink() {
            let target = fs::read_link(from).map_err(failed)?;
            Content::Link { target: escaped(target.as_os_str().as_bytes()) }
        } else if meta.is_file() {
            let mode = meta.permissions().mode() & 0o777;
            let (digest, bytes) = if meta.len() <= READ_WHOLE_BYTES_MAX {
                let bytes = fs::read(from).map_err(failed)?;
                (self.blobs.put(&bytes)?, bytes.len() as u64)
            } else {
                self.blobs.put_file(from)?
            };
            Content::File { digest, bytes, mode }
        } else {
            left_out.push(path);
            return Ok(None);
        };
        Ok(Some(Entry { path, content }))
    }
}

/// What git keeps of `dir` or would take, and the same of the trees inside it.
fn tracked(dir: &Path, prefix: &str, found: &mut BTreeSet<String>) -> Result<()> {
    let kept = git::must(dir, &["ls-files", "-z", "--stage"])?;
    let others = git::must(dir, &["ls-files", "-z", "--others", "--exclude-standard"])?;
    for line in kept.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
        // `<mode> <object> <stage>\t<path>`
        let tab = line.iter().position(|byte| *byte == b'\t').map_or(0, |tab| tab + 1);
        let path = escaped(&line[tab..]);
        if line.starts_with(b"160000 ") {
            inner(dir, prefix, &path, found)?;
        } else {
            found.insert(format!("{prefix}{path}"));
        }
    }
    for line in others.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
        let path = escaped(line);
        match path.strip_suffix('/') {
            Some(path) => inner(dir, prefix, path, found)?,
            None => {
                found.insert(format!("{prefix}{path}"));
            }
        }
    }
    Ok(())
}

/// A submodule, or a tree of its own that nobody made one; a submodule that was never fetched has
/// no files.
fn inner(dir: &Path, prefix: &str, path: &str, found: &mut BTreeSet<String>) -> Result<()> {
    let inside = dir.join(unescaped(path).unwrap_or_default());
    if !inside.join(".git").exists() {
        return Ok(());
    }
    tracked(&inside, &format!("{prefix}{path}/"), found)
}

/// Every file below `dir` that `own` does not claim; links are files.
fn walk(
    dir: &Path,
    prefix: &str,
    own: &dyn Fn(&str) -> bool,
    found: &mut BTreeSet<String>,
) -> Result<()> {
    let failed = |e| Error::io(format!("read {}", dir.display()), e);
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = format!("{prefix}{}", escaped(entry.file_name().as_bytes()));
        if own(&path) {
            continue;
        }
        if entry.file_type().map_err(failed)?.is_dir() {
            walk(&entry.path(), &format!("{path}/"), own, found)?;
        } else {
            found.insert(path);
        }
    }
    Ok(())
}

fn gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
