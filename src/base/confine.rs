//! Paths that others name: a file in `.annals`, an event, a manifest, an archive, a setting.
//! Each is proved to be relative and inside its folder before it is used, and no component of it
//! may be a symbolic link. This is the only module that joins such a path to a folder.
//!
//! Writing and removing go through handles of folders, opened component by component without
//! following links, so that a link that appears in between leads nowhere.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, mkdirat, openat, renameat,
    renameat_with, unlinkat,
};
use rustix::io::Errno;

use super::failpoint;

/// Longest path, as the system has it.
const PATH_BYTES_MAX: usize = 4_096;
/// Deepest folder below another that is removed with everything in it.
const DEPTH_MAX: u32 = 64;

/// Names at the top of a workspace that no path of a run, a model or a document may begin with.
const PRIVATE: [&str; 3] = [".annals", ".git", "annals.toml"];

/// A path that is not used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfineError {
    /// The path does not name something inside its folder.
    #[error("the path {path:?} {why}")]
    Path {
        /// The path as it was given.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A component is a symbolic link.
    #[error("{} is a symbolic link, and links are not followed here", .0.display())]
    Link(PathBuf),
    /// A component could not be read.
    #[error("cannot read {}: {why}", .path.display())]
    Unreadable {
        /// The component.
        path: PathBuf,
        /// The system's reason.
        why: String,
    },
}

impl From<ConfineError> for io::Error {
    fn from(error: ConfineError) -> Self {
        Self::other(error)
    }
}

/// Proves that `path` names something below the folder it is relative to, by its text alone.
///
/// # Errors
/// For an empty or absolute path, a component `.`, `..` or nothing, and a NUL character.
pub fn relative(path: &str) -> Result<&Path, ConfineError> {
    let why = if path.is_empty() {
        "is empty"
    } else if path.starts_with('/') {
        "is absolute"
    } else if path.contains('\0') {
        "contains a NUL character"
    } else if path.len() > PATH_BYTES_MAX {
        "is too long"
    } else if path.split('/').any(|part| part == "..") {
        "leaves its folder"
    } else if path.split('/').any(|part| part.is_empty() || part == ".") {
        "has an empty component"
    } else {
        return Ok(Path::new(path));
    };
    let shown = path.chars().take(200).collect();
    Err(ConfineError::Path { path: shown, why })
}

/// As [`relative`], for a path at the top of a workspace: annals' own files and those of git are
/// refused as well.
///
/// # Errors
/// As [`relative`].
pub fn public(path: &str) -> Result<&Path, ConfineError> {
    let first = path.split('/').next().unwrap_or_default();
    if PRIVATE.iter().any(|name| first.eq_ignore_ascii_case(name)) {
        return Err(ConfineError::Path { path: path.to_owned(), why: "belongs to annals or git" });
    }
    relative(path)
}

/// The full path of `path` below `folder`, of which no component that exists is a link.
///
/// # Errors
/// As [`relative`]; for a link.
pub fn inside(folder: &Path, path: &str) -> Result<PathBuf, ConfineError> {
    let full = parent_inside(folder, path)?;
    refuse_link(&full)?;
    Ok(full)
}

/// As [`inside`], but the last component may be a link: it is named, and not followed.
///
/// # Errors
/// As [`inside`].
pub fn parent_inside(folder: &Path, path: &str) -> Result<PathBuf, ConfineError> {
    let mut full = folder.to_owned();
    let mut parts = relative(path)?.components().peekable();
    while let Some(part) = parts.next() {
        full.push(part);
        if parts.peek().is_some() {
            refuse_link(&full)?;
        }
    }
    Ok(full)
}

/// As [`inside`], and whether something exists there.
///
/// # Errors
/// As [`inside`].
pub fn find(folder: &Path, path: &str) -> Result<(PathBuf, bool), ConfineError> {
    let full = parent_inside(folder, path)?;
    let exists = refuse_link(&full)?;
    Ok((full, exists))
}

/// Whether something exists at `path` that is not a link.
fn refuse_link(path: &Path) -> Result<bool, ConfineError> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_symlink() => Err(ConfineError::Link(path.to_owned())),
        Ok(_) => Ok(true),
        // Nothing there, or nothing can be there below a file.
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(e) => Err(ConfineError::Unreadable { path: path.to_owned(), why: e.to_string() }),
    }
}

/// Opens a lock file for writing, made where it is missing, never through a link.
///
/// # Errors
/// When it is a link or cannot be opened.
pub fn lock_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    options.custom_flags(OFlags::NOFOLLOW.bits() as i32).open(path)
}

/// Opens a plain file for reading, never through a link, and never waiting for a pipe.
///
/// # Errors
/// When it is something else or cannot be opened.
pub fn plain_file(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other(format!("{} is not a plain file", path.display()))),
    }
}

/// Reads a plain file of at most `bytes_max` bytes, never through a link, and never waiting for a
/// pipe.
///
/// # Errors
/// As [`plain_file`]; when it is larger or cannot be read.
pub fn read_plain(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    plain_file(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > bytes_max {
        true => Err(io::Error::other(format!("{} is too large", path.display()))),
        false => Ok(bytes),
    }
}

/// Opens a file to append to, made where it is missing, never through a link.
///
/// # Errors
/// When it is a link or cannot be opened.
pub fn append_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).custom_flags(OFlags::NOFOLLOW.bits() as i32).open(path)
}

/// A folder, held open, below which paths of others are used.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    handle: OwnedFd,
}

impl Folder {
    /// Opens a folder that is trusted itself, such as a workspace.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = openat(CWD, path, flags, Mode::empty())?;
        Ok(Self { path: path.to_owned(), handle })
    }

    /// The folder that holds `path`, made where it is missing if `make`, and the name in it.
    fn parent<'p>(&self, path: &'p str, make: bool) -> io::Result<(OwnedFd, &'p OsStr)> {
        let relative = relative(path)?;
        let mut at = self.handle.try_clone()?;
        let name = relative.file_name().unwrap_or_default();
        let mut full = self.path.clone();
        for part in relative.parent().into_iter().flat_map(Path::components) {
            full.push(part);
            at = match open_folder(&at, part.as_os_str()) {
                Err(Errno::NOENT) if make => {
                    match mkdirat(&at, part.as_os_str(), Mode::from_raw_mode(0o777)) {
                        Ok(()) => rustix::fs::fsync(&at)?,
                        Err(Errno::EXIST) => {}
                        Err(e) => return Err(e.into()),
                    }
                    open_folder(&at, part.as_os_str())
                }
                opened => opened,
            }
            .map_err(|e| named_link(e, &full))?;
        }
        Ok((at, name))
    }

    /// The same of a full path, which must lie in the folder.
    fn parent_of<'p>(&self, full: &'p Path, make: bool) -> io::Result<(OwnedFd, &'p OsStr)> {
        let inside = full.strip_prefix(&self.path).ok().and_then(Path::to_str);
        let outside = || {
            let (path, why) = (full.display().to_string(), "is in another folder");
            io::Error::from(ConfineError::Path { path, why })
        };
        self.parent(inside.ok_or_else(outside)?, make)
    }

    /// Gives an entry of the folder, whatever it is, another full path in it. No folder on the way
    /// to either can be exchanged for a link meanwhile.
    ///
    /// # Errors
    /// For a path outside or with a link on its way; when it cannot be renamed so.
    pub fn rename(&self, from: &Path, to: &Path, flags: RenameFlags) -> io::Result<()> {
        let ((from, old), (to, new)) = (self.parent_of(from, false)?, self.parent_of(to, false)?);
        Ok(renameat_with(&from, old, &to, new, flags)?)
    }

    /// Makes a new file at a full path in the folder, and folders where they are missing.
    ///
    /// # Errors
    /// As [`Self::rename`]; when something has that name already.
    pub fn create(&self, path: &Path) -> io::Result<File> {
        let (parent, name) = self.parent_of(path, true)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        Ok(File::from(openat(&parent, name, flags, Mode::from_raw_mode(0o666))?))
    }

    /// Makes a folder at a full path in the folder, with those above it, where it is missing.
    ///
    /// # Errors
    /// As [`Self::rename`]; when it cannot be made.
    pub fn make_all(&self, path: &Path) -> io::Result<()> {
        // The parent of a name in a folder is the folder.
        self.parent_of(&path.join("x"), true).map(drop)
    }

    /// Opens a plain file for reading.
    ///
    /// # Errors
    /// For a path that leaves the folder, a link, and something else than a plain file.
    pub fn read(&self, path: &str) -> io::Result<File> {
        let (parent, name) = self.parent(path, false)?;
        // Without waiting: a pipe has nobody at its other end.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = openat(&parent, name, flags, Mode::empty());
        let file = File::from(opened.map_err(|e| named_link(e, &self.path.join(path)))?);
        if !file.metadata()?.is_file() {
            let why = "is not a plain file";
            return Err(ConfineError::Path { path: path.to_owned(), why }.into());
        }
        Ok(file)
    }

    /// Replaces the file `path` by one that holds `bytes`, durably, and makes missing folders.
    /// A link in its place is replaced itself.
    ///
    /// # Errors
    /// As [`Self::read`]; when it cannot be written.
    pub fn write(
        &self,
        path: &str,
        bytes: &[u8],
        permissions: Option<Permissions>,
    ) -> io::Result<()> {
        let (parent, name) = self.parent(path, true)?;
        let temporary = format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id());
        let _ = unlinkat(&parent, &temporary, AtFlags::empty());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let written = (|| {
            let mode = Mode::from_raw_mode(0o666);
            let mut file = File::from(openat(&parent, &temporary, flags, mode)?);
            file.write_all(bytes)?;
            if let Some(permissions) = permissions {
                file.set_permissions(permissions)?;
            }
            file.sync_all()?;
            failpoint::hit();
            renameat(&parent, &temporary, &parent, name)?;
            failpoint::hit();
            Ok(rustix::fs::fsync(&parent)?)
        })();
        if written.is_err() {
            let _ = unlinkat(&parent, &temporary, AtFlags::empty());
        }
        written
    }

    /// Removes a file, or a link itself; one that is gone is as good.
    ///
    /// # Errors
    /// For a path that leaves the folder; when it cannot be removed.
    pub fn remove_file(&self, path: &str) -> io::Result<()> {
        let Some((parent, name)) = gone(self.parent(path, false))? else { return Ok(()) };
        gone(unlinkat(&parent, name, AtFlags::empty()).map_err(io::Error::from))?;
        Ok(())
    }

    /// Makes the folder `path`, and those above it where they are missing.
    ///
    /// # Errors
    /// As [`Self::read`]; when something has that name already.
    pub fn make_folder(&self, path: &str) -> io::Result<()> {
        let (parent, name) = self.parent(path, true)?;
        mkdirat(&parent, name, Mode::from_raw_mode(0o777))?;
        Ok(rustix::fs::fsync(&parent)?)
    }

    /// Moves an entry of the folder `from`, whatever it is, to `new` in the folder `to`, which is
    /// made where it is missing. A link is moved itself, and nothing is replaced.
    ///
    /// # Errors
    /// For a path that leaves the folder or has a link on its way; when there is no such entry, or
    /// one of the new name.
    pub fn move_entry(
        &self,
        from: &str,
        name: impl AsRef<OsStr>,
        to: &str,
        new: impl AsRef<OsStr>,
    ) -> io::Result<()> {
        let (name, new) = (name.as_ref(), new.as_ref());
        for name in [name, new] {
            let plain = !name.is_empty() && name != "." && name != "..";
            if !plain || name.as_bytes().contains(&b'/') {
                let path = name.to_string_lossy().into_owned();
                return Err(ConfineError::Path { path, why: "is not a name" }.into());
            }
        }
        // The parent of a name in a folder is the folder.
        let [from, to] = [(from, false), (to, true)].map(|(folder, make)| {
            self.parent(&format!("{folder}/x"), make).map(|(handle, _)| handle)
        });
        let (from, to) = (from?, to?);
        renameat_with(&from, name, &to, new, RenameFlags::NOREPLACE)?;
        rustix::fs::fsync(&from)?;
        Ok(rustix::fs::fsync(&to)?)
    }

    /// Removes an empty folder.
    ///
    /// # Errors
    /// For a path that leaves the folder; when it is not empty or cannot be removed.
    pub fn remove_empty(&self, path: &str) -> io::Result<()> {
        let (parent, name) = self.parent(path, false)?;
        Ok(unlinkat(&parent, name, AtFlags::REMOVEDIR)?)
    }

    /// Removes a folder and everything below it; links in it are removed themselves. One that is
    /// gone is as good.
    ///
    /// # Errors
    /// For a path that leaves the folder; when something cannot be removed.
    pub fn remove_tree(&self, path: &str) -> io::Result<()> {
        let Some((parent, name)) = gone(self.parent(path, false))? else { return Ok(()) };
        remove_below(&parent, name, DEPTH_MAX).map_err(|e| named_link(e, &self.path.join(path)))
    }
}

fn open_folder(at: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, name, flags, Mode::empty())
}

/// The system reports a link as something that is no folder.
fn named_link(error: Errno, path: &Path) -> io::Error {
    let link = matches!(error, Errno::NOTDIR | Errno::LOOP)
        && fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink());
    if link { ConfineError::Link(path.to_owned()).into() } else { error.into() }
}

fn gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

fn remove_below(parent: &OwnedFd, name: &OsStr, depth: u32) -> Result<(), Errno> {
    if depth == 0 {
        return Err(Errno::NAMETOOLONG);
    }
    let folder = match open_folder(parent, name) {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened?,
    };
    for entry in Dir::read_from(&folder)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => {
                let stat = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(stat.st_mode)
            }
            kind => kind,
        };
        match kind {
            FileType::Directory => remove_below(&folder, name, depth - 1)?,
            _ => unlinkat(&folder, name, AtFlags::empty())?,
        }
    }
    unlinkat(parent, name, AtFlags::REMOVEDIR)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test writes plain files")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// What a path of somebody else may look like, and may not do.
    const LEAVING: [&str; 9] =
        ["", "/etc/passwd", "..", "../x", "a/../../x", "a/./b", "a//b", "a/", "a\0b"];

    #[test]
    fn paths_that_leave_their_folder_are_refused_by_every_function() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        for path in LEAVING {
            assert!(relative(path).is_err(), "{path:?}");
            assert!(public(path).is_err(), "{path:?}");
            assert!(inside(root.path(), path).is_err(), "{path:?}");
            assert!(parent_inside(root.path(), path).is_err(), "{path:?}");
            assert!(folder.read(path).is_err(), "{path:?}");
            assert!(folder.write(path, b"x", None).is_err(), "{path:?}");
            assert!(folder.remove_file(path).is_err(), "{path:?}");
            assert!(folder.remove_empty(path).is_err(), "{path:?}");
            assert!(folder.remove_tree(path).is_err(), "{path:?}");
        }
        for path in [".annals", ".annals/log.redb", ".ANNALS/x", ".git/config", "annals.toml"] {
            assert!(public(path).is_err() && relative(path).is_ok(), "{path:?}");
        }
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_became_a_link_is_neither_left_nor_entered() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = Folder::open(root.path()).unwrap();
        let at = |path: &str| root.path().join(path);
        folder.make_all(&at("runs/night")).unwrap();
        folder.create(&at("runs/night/model")).unwrap();
        fs::create_dir(other.path().join("night")).unwrap();
        fs::write(other.path().join("night/file"), "hers").unwrap();
        symlink(other.path(), at("elsewhere")).unwrap();
        let plain = RenameFlags::empty();
        for (from, to) in [
            ("runs/night", "elsewhere/night"),
            ("elsewhere/night", "runs/hers"),
            ("elsewhere/night/file", "runs/night/model"),
        ] {
            for flags in [plain, RenameFlags::NOREPLACE, RenameFlags::EXCHANGE] {
                let renamed = folder.rename(&at(from), &at(to), flags).unwrap_err();
                assert!(renamed.to_string().contains("link"), "{from} to {to}: {renamed}");
            }
        }
        assert!(folder.create(&at("elsewhere/new")).is_err());
        assert!(folder.create(&at("elsewhere/night/new")).is_err());
        assert!(folder.make_all(&at("elsewhere/new")).is_err());
        assert!(folder.create(&at("runs/night/model")).is_err(), "it is there");
        assert!(folder.rename(other.path(), &at("runs/x"), plain).is_err(), "it is elsewhere");
        let left = |path: &Path| fs::read_dir(path).unwrap().count();
        assert_eq!((left(other.path()), left(&other.path().join("night"))), (1, 1));
        folder.rename(&at("runs/night"), &at("runs/day"), RenameFlags::NOREPLACE).unwrap();
        assert!(at("runs/day/model").is_file());
    }

    #[test]
    fn links_are_followed_by_no_function() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let precious = other.path().join("precious");
        fs::create_dir(&precious).unwrap();
        fs::write(precious.join("file"), "hers").unwrap();
        symlink(&precious, root.path().join("link")).unwrap();
        symlink(precious.join("file"), root.path().join("leaf")).unwrap();
        let folder = Folder::open(root.path()).unwrap();
        for path in ["link/file", "link/new", "link/new/file"] {
            assert!(matches!(inside(root.path(), path), Err(ConfineError::Link(_))), "{path}");
            assert!(folder.read(path).is_err(), "{path}");
            assert!(folder.write(path, b"x", None).is_err(), "{path}");
            assert!(folder.remove_file(path).is_err(), "{path}");
            assert!(folder.remove_tree(path).is_err(), "{path}");
        }
        for path in ["link", "leaf"] {
            assert!(matches!(inside(root.path(), path), Err(ConfineError::Link(_))), "{path}");
            assert!(folder.read(path).is_err(), "{path}");
            assert!(folder.remove_tree(path).is_err(), "{path}");
        }
        // The link is replaced, and removed, itself.
        folder.write("leaf", b"x", None).unwrap();
        folder.remove_file("link").unwrap();
        assert!(!root.path().join("link").exists());
        assert_eq!(fs::read_to_string(root.path().join("leaf")).unwrap(), "x");
        assert_eq!(fs::read_to_string(precious.join("file")).unwrap(), "hers");
        assert!(lock_file(&root.path().join("leaf")).is_ok());
    }

    #[test]
    fn an_entry_is_moved_whatever_it_is_and_replaces_nothing() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = Folder::open(root.path()).unwrap();
        folder.write("own/tree/file", b"x", None).unwrap();
        symlink(other.path(), root.path().join("own/link")).unwrap();
        folder.make_folder("kept/1").unwrap();
        assert!(folder.make_folder("kept/1").is_err());
        for name in ["tree", "link"] {
            folder.move_entry("own", name, "kept/1/deep", name).unwrap();
            let again = folder.move_entry("own", name, "kept/1/deep", name);
            assert_eq!(again.unwrap_err().kind(), io::ErrorKind::NotFound);
        }
        assert_eq!(fs::read(root.path().join("kept/1/deep/tree/file")).unwrap(), b"x");
        assert!(root.path().join("kept/1/deep/link").is_symlink());
        folder.write("own/tree", b"another", None).unwrap();
        let taken = folder.move_entry("own", "tree", "kept/1/deep", "tree");
        assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        // Neither way leads through a link, and a name is no path.
        symlink(other.path(), root.path().join("way")).unwrap();
        assert!(folder.move_entry("own", "tree", "way", "tree").is_err());
        assert!(folder.move_entry("way", "tree", "kept", "tree").is_err());
        assert!(folder.move_entry("own", "tree", "..", "tree").is_err());
        for name in ["", ".", "..", "a/b", "../x"] {
            assert!(folder.move_entry("own", name, "kept", "x").is_err(), "{name:?}");
            assert!(folder.move_entry("own", "tree", "kept", name).is_err(), "{name:?}");
        }
        assert_eq!(fs::read_dir(other.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_tree_is_removed_without_what_its_links_name() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(other.path().join("file"), "hers").unwrap();
        let folder = Folder::open(root.path()).unwrap();
        folder.write("a/b/c", b"x", None).unwrap();
        symlink(other.path(), root.path().join("a/b/link")).unwrap();
        folder.remove_tree("a").unwrap();
        folder.remove_tree("a").unwrap();
        folder.remove_file("a/b").unwrap();
        assert!(!root.path().join("a").exists());
        assert_eq!(fs::read_to_string(other.path().join("file")).unwrap(), "hers");
        symlink(other.path().join("lock"), root.path().join("lock")).unwrap();
        assert!(lock_file(&root.path().join("lock")).is_err());
        assert!(append_file(&root.path().join("lock")).is_err());
        assert!(plain_file(&root.path().join("lock")).is_err());
        let pipe = root.path().join("pipe");
        rustix::fs::mkfifoat(CWD, &pipe, Mode::from_raw_mode(0o600)).unwrap();
        assert!(plain_file(&pipe).is_err());
        fs::write(root.path().join("five"), "bytes").unwrap();
        assert_eq!(read_plain(&root.path().join("five"), 5).unwrap(), b"bytes");
        assert!(read_plain(&root.path().join("five"), 4).is_err());
        symlink("/dev/zero", root.path().join("endless")).unwrap();
        for path in ["pipe", "endless", "none"] {
            assert!(read_plain(&root.path().join(path), 1 << 40).is_err(), "{path}");
        }
        assert!(folder.read("pipe").is_err());
        assert!(!other.path().join("lock").exists());
    }
}
