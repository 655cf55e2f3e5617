//! The files of the code: what git keeps or would take, or the whole folder where there is no git.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::manifest::{Content, Entry, escaped, unescaped};
use crate::app::core::git::{Tree, staged_path};
use crate::app::{Error, Result, Workspace};
use crate::base::FileDigests;
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
    /// The git tree, where there is one.
    pub(super) tree: Option<Tree>,
    /// Paths relative to `top`, escaped, ordered.
    pub(super) paths: BTreeSet<String>,
}

/// Whether the file pins packages.
pub(super) fn pins_packages(path: &str) -> bool {
    PACKAGE_FILES.contains(&path.rsplit('/').next().unwrap_or(path))
}

/// Where the code lies and which files are code.
///
/// # Errors
/// When git or a folder cannot be read.
pub(super) fn code(workspace: &Workspace) -> Result<Code> {
    let tree = Tree::around(&workspace.root)?;
    let top = tree.as_ref().map_or_else(|| workspace.root.clone(), |tree| tree.top.clone());
    let mut paths = BTreeSet::new();
    match &tree {
        Some(tree) => tracked(tree, "", &mut paths)?,
        None => walk(&top, "", &|path| is_own(workspace, path), &mut paths)?,
    }
    retain_code(workspace, &top, &mut paths);
    Ok(Code { top, tree, paths })
}

/// The files of the code that are not as the last commit has them; none where no git looks
/// after the code.
///
/// # Errors
/// When git cannot be asked.
pub(in crate::app) fn uncommitted(workspace: &Workspace) -> Result<Option<Vec<String>>> {
    let Some(tree) = Tree::around(&workspace.root)? else { return Ok(None) };
    let mut paths = tree.changes(true)?.iter().map(|path| escaped(path)).collect();
    retain_code(workspace, &tree.top, &mut paths);
    Ok(Some(paths.into_iter().collect()))
}

/// How the code that git keeps differs from the last commit, as `git diff` prints it with
/// `more` options; none where it does not. What annals generates is no code: a registry file
/// that was committed and written again makes no tree dirty.
///
/// # Errors
/// When git cannot be asked.
pub(in crate::app) fn difference(
    workspace: &Workspace,
    tree: &Tree,
    more: &[&str],
) -> Result<Option<Vec<u8>>> {
    let all: BTreeSet<String> = tree.changes(false)?.iter().map(|path| escaped(path)).collect();
    let mut code = all.clone();
    retain_code(workspace, &tree.top, &mut code);
    if code.is_empty() {
        return Ok(None);
    }
    let words = ["diff", "HEAD", "--no-color", "--no-ext-diff", "--no-textconv"];
    let mut words: Vec<OsString> = words.iter().chain(more).map(OsString::from).collect();
    words.extend(["--ignore-submodules=dirty", "--", ":(top)"].map(OsString::from));
    // Whole folders where they are annals' own: arguments are limited in size.
    let own: BTreeSet<&str> =
        all.difference(&code).map(|path| own_part(workspace, &tree.top, path)).collect();
    for path in own {
        let mut exclude = OsString::from(":(top,exclude,literal)");
        exclude.push(unescaped(path).unwrap_or_default());
        words.push(exclude);
    }
    tree.must(&words).map(Some)
}

/// Leaves out, of paths relative to `top`, what annals made.
fn retain_code(workspace: &Workspace, top: &Path, paths: &mut BTreeSet<String>) {
    paths.retain(|path| own_part(workspace, top, path).is_empty());
}

/// The beginning of `path`, relative to `top`, that annals made; empty where it did not.
fn own_part<'p>(workspace: &Workspace, top: &Path, path: &'p str) -> &'p str {
    let root = workspace.root.canonicalize().unwrap_or_else(|_| workspace.root.clone());
    let prefix = root.strip_prefix(top).unwrap_or(Path::new(""));
    let prefix = escaped(prefix.as_os_str().as_bytes());
    let Ok(rest) = Path::new(path).strip_prefix(&prefix) else { return "" };
    let rest = rest.to_str().unwrap_or_default();
    let above = path.len().saturating_sub(rest.len());
    let ends = rest.match_indices('/').map(|(at, _)| at).chain([rest.len()]);
    let own = ends.into_iter().find(|end| is_own(workspace, &rest[..*end]));
    own.map_or("", |end| &path[..above + end])
}

/// Whether annals made what lies at `path` in the workspace: the log, runs, models in
/// production and the files that are regenerated. Code is everything else.
fn is_own(workspace: &Workspace, path: &str) -> bool {
    let layout = &workspace.layout;
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
    workspace: &Workspace,
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
        let (digests, bytes) = if meta.len() <= READ_WHOLE_BYTES_MAX {
            let bytes = fs::read(from).map_err(failed)?;
            (super::put_or_digest(workspace, &bytes)?, bytes.len() as u64)
        } else {
            super::put_file_or_digest(workspace, from)?
        };
        let FileDigests { blake3: digest, sha256 } = digests;
        Content::File { digest, sha256: Some(sha256), bytes, mode }
    } else {
        left_out.push(path);
        return Ok(None);
    };
    Ok(Some(Entry { path, content }))
}

/// What git keeps of a tree or would take, and the same of the trees inside it.
fn tracked(tree: &Tree, prefix: &str, found: &mut BTreeSet<String>) -> Result<()> {
    let kept = tree.must(&["ls-files", "-z", "--stage"])?;
    let others = tree.must(&["ls-files", "-z", "--others", "--exclude-standard"])?;
    for (is_link, path) in kept.split(|byte| *byte == 0).filter_map(staged_path) {
        let path = escaped(path);
        if is_link {
            inner(tree, prefix, &path, found)?;
        } else {
            found.insert(format!("{prefix}{path}"));
        }
    }
    for line in others.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
        let path = escaped(line);
        match path.strip_suffix('/') {
            Some(path) => inner(tree, prefix, path, found)?,
            None => {
                found.insert(format!("{prefix}{path}"));
            }
        }
    }
    Ok(())
}

/// A submodule, or a tree of its own that nobody made one; a submodule that was never fetched has
/// no files.
fn inner(tree: &Tree, prefix: &str, path: &str, found: &mut BTreeSet<String>) -> Result<()> {
    let inside = tree.top.join(unescaped(path).unwrap_or_default());
    let Some(inside) = Tree::inner(&inside)? else { return Ok(()) };
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
