//! Reads the git tree around a workspace without running anything that its configuration names.
//!
//! Whoever can write to a workspace can write to its `.git/config`, and git runs what stands
//! there: `core.fsmonitor`, filters, `textconv`, external diffs, hooks, gpg programs, credential
//! helpers, fetches of missing objects. So git never reads that configuration here. It works in a
//! git folder of our own in the system's folder for temporary files, which only this user can
//! write: HEAD and index are copies, refs and objects are the tree's, and the configuration is
//! ours, with the values of a fixed list of keys that only say how to compare and what to ignore.
//! Filters such as those of git-lfs are therefore not applied: a file counts as unchanged where
//! size and times in the index say so.
//!
//! This is the only module that runs git. Start reading at [`Tree`].

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::app::{Error, ErrorKind, Result};

/// Variables of the environment that make git look elsewhere, run a program or write a file.
const UNSET: [&str; 30] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_ASKPASS",
    "GIT_ATTR_SOURCE",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DEFAULT_HASH",
    "GIT_DIFF_OPTS",
    "GIT_EDITOR",
    "GIT_EXTERNAL_DIFF",
    "GIT_GLOB_PATHSPECS",
    "GIT_GRAFT_FILE",
    "GIT_ICASE_PATHSPECS",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_LITERAL_PATHSPECS",
    "GIT_NAMESPACE",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_PROXY_COMMAND",
    "GIT_REPLACE_REF_BASE",
    "GIT_SEQUENCE_EDITOR",
    "GIT_SHALLOW_FILE",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_TEMPLATE_DIR",
    "GIT_TRACE_SETUP",
    "GIT_WORK_TREE",
    "SSH_ASKPASS",
];

/// Variables of the environment that keep git to itself.
const SET: [(&str, &str); 12] = [
    ("GIT_ALLOW_PROTOCOL", "none"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_PAGER", "cat"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_TRACE", "0"),
    ("GIT_TRACE2", "0"),
    ("GIT_TRACE2_EVENT", "0"),
    ("GIT_TRACE2_PERF", "0"),
    ("LC_ALL", "C"),
];

/// Keys whose values are taken over: none names a program.
const TAKEN_OVER: [&str; 15] = [
    "core.autocrlf",
    "core.checkstat",
    "core.eol",
    "core.excludesfile",
    "core.filemode",
    "core.ignorecase",
    "core.precomposeunicode",
    "core.safecrlf",
    "core.sparsecheckout",
    "core.sparsecheckoutcone",
    "core.symlinks",
    "core.trustctime",
    "core.untrackedcache",
    "user.email",
    "user.name",
];

/// Keys that are set whatever anybody configured.
const FIXED: [(&str, &str); 8] = [
    ("core.fsmonitor", "false"),
    ("core.hooksPath", "/dev/null"),
    ("core.pager", "cat"),
    ("diff.autoRefreshIndex", "false"),
    ("gc.auto", "0"),
    ("protocol.allow", "never"),
    ("submodule.recurse", "false"),
    ("tag.gpgSign", "false"),
];

/// Kinds of repositories that can be read, with the key that names the kind.
const EXTENSIONS: [(&str, &[&str]); 2] = [
    ("extensions.objectformat", &["sha1", "sha256"]),
    ("extensions.refstorage", &["files", "reftable"]),
];

/// What of the tree's git folder is read in place.
const SHARED: [&str; 4] = ["refs", "packed-refs", "reftable", "shallow"];

/// Names tried for the folder of our own.
const NAMES_MAX: u32 = 1_000;

/// A git tree, ready to be read. Its own git folder is removed with it.
#[derive(Debug)]
pub(in crate::app) struct Tree {
    /// The top folder of the work tree, without links.
    pub(in crate::app) top: PathBuf,
    sealed: Sealed,
    objects: PathBuf,
    settings: Vec<(String, OsString)>,
}

impl Tree {
    /// The git tree around `dir`; none where no git looks after it.
    ///
    /// # Errors
    /// When there is a `.git` that cannot be read: a folder taken for one without git would keep
    /// what git ignores.
    pub(in crate::app) fn around(dir: &Path) -> Result<Option<Self>> {
        let dir =
            dir.canonicalize().map_err(|e| Error::io(format!("read {}", dir.display()), e))?;
        let top = dir.ancestors().find(|folder| fs::symlink_metadata(folder.join(".git")).is_ok());
        top.map(Self::at).transpose()
    }

    /// The git tree whose top folder is `top`, which has a `.git`.
    ///
    /// # Errors
    /// When that is no git folder or cannot be read.
    pub(in crate::app) fn at(top: &Path) -> Result<Self> {
        let failed = |e| Error::io(format!("read the git folder of {}", top.display()), e);
        let top = top.canonicalize().map_err(failed)?;
        let own = git_folder(&top).map_err(failed)?;
        let common = common_folder(&own).map_err(failed)?;
        let objects = common.join("objects").canonicalize().map_err(failed)?;
        let all = configured(&own, &top)?;
        // Further work trees of a bare repository have git folders of their own.
        let bare = all.iter().rev().find(|(key, _)| key == "core.bare");
        if own == common && bare.is_some_and(|(_, value)| value == "true") {
            let message = format!(
                "git must be run in a work tree, and {} is configured to have none (core.bare)",
                top.display()
            );
            return Err(Error::new(ErrorKind::Io, message));
        }
        let sealed = Sealed::make().map_err(|e| Error::io("make a temporary folder for git", e))?;
        sealed.fill(&own, &common, &all).map_err(failed)?;
        let taken = |(key, _): &(String, OsString)| TAKEN_OVER.contains(&key.as_str());
        let settings = all.into_iter().filter(taken).collect();
        Ok(Self { top, sealed, objects, settings })
    }

    /// Runs git at the top of the tree.
    fn run<S: AsRef<OsStr>>(&self, words: &[S]) -> io::Result<Output> {
        let mut command = plain();
        command
            .arg("-C")
            .arg(&self.top)
            .args(words)
            .env("GIT_DIR", &self.sealed.0)
            .env("GIT_WORK_TREE", &self.top)
            .env("GIT_INDEX_FILE", self.sealed.0.join("index"))
            .env("GIT_OBJECT_DIRECTORY", &self.objects)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        let fixed = FIXED.iter().map(|(key, value)| ((*key).to_owned(), OsString::from(*value)));
        let settings: Vec<_> = self.settings.iter().cloned().chain(fixed).collect();
        command.env("GIT_CONFIG_COUNT", settings.len().to_string());
        for (number, (key, value)) in settings.into_iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{number}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{number}"), value);
        }
        command.output()
    }

    /// What git prints; none where it refuses or is not there.
    pub(in crate::app) fn ask(&self, words: &[&str]) -> Option<String> {
        let output = self.run(words).ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    }

    /// What git prints, byte for byte.
    ///
    /// # Errors
    /// When git is not there, or refuses: its message is the error's.
    pub(in crate::app) fn must<S: AsRef<OsStr>>(&self, words: &[S]) -> Result<Vec<u8>> {
        let verb = words.first().map_or(OsStr::new(""), AsRef::as_ref);
        let asked = format!("git {} in {}", verb.display(), self.top.display());
        printed(&asked, self.run(words))
    }

    /// Paths that differ from the last commit, relative to the top; of `untracked` files too. The
    /// trees of submodules are read as this one is.
    ///
    /// # Errors
    /// As [`Self::must`]; when a submodule cannot be read.
    pub(in crate::app) fn changes(&self, untracked: bool) -> Result<Vec<Vec<u8>>> {
        let others = if untracked { "--untracked-files=all" } else { "--untracked-files=no" };
        let status = self.must(&[
            "status",
            "--porcelain=v1",
            "-z",
            "--no-renames",
            "--ignore-submodules=dirty",
            others,
        ])?;
        // Each row is two letters, a blank and the path; without renames there is one path a row.
        let rows = status.split(|byte| *byte == 0).filter_map(|row| row.get(3..));
        let mut found: Vec<Vec<u8>> = rows.map(<[u8]>::to_vec).collect();
        for path in self.submodules()? {
            let inside = self.top.join(OsStr::from_bytes(&path));
            let changes = Self::inner(&inside)?.map(|tree| tree.changes(untracked)).transpose()?;
            let below = |rest: Vec<u8>| [&path[..], b"/", &rest].concat();
            found.extend(changes.into_iter().flatten().map(below));
        }
        Ok(found)
    }

    /// Paths of the submodules, relative to the top.
    fn submodules(&self) -> Result<Vec<Vec<u8>>> {
        let staged = self.must(&["ls-files", "-z", "--stage"])?;
        let rows = staged.split(|byte| *byte == 0);
        Ok(rows.filter_map(staged_path).filter(|(link, _)| *link).map(|(_, p)| p.into()).collect())
    }

    /// The tree of its own in the folder `inside` of another; none for one that was never fetched,
    /// and links are not followed.
    ///
    /// # Errors
    /// When its `.git` cannot be read.
    pub(in crate::app) fn inner(inside: &Path) -> Result<Option<Self>> {
        let is_folder = fs::symlink_metadata(inside).is_ok_and(|meta| meta.is_dir());
        let has_git = is_folder && fs::symlink_metadata(inside.join(".git")).is_ok();
        has_git.then(|| Self::at(inside)).transpose()
    }
}

/// Path of a row of `ls-files --stage` (`<mode> <object> <stage>\t<path>`), and whether it is a
/// submodule.
pub(in crate::app) fn staged_path(row: &[u8]) -> Option<(bool, &[u8])> {
    let tab = row.iter().position(|byte| *byte == b'\t')?;
    Some((row.starts_with(b"160000 "), &row[tab + 1..]))
}

/// Standard output of a command that was run, named `asked` in the error.
fn printed(asked: &str, ran: io::Result<Output>) -> Result<Vec<u8>> {
    let output = ran.map_err(|e| Error::io(format!("run {asked}"), e))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::new(ErrorKind::Io, format!("{asked} failed: {message}")))
}

/// Git with an environment in which it runs nothing by itself.
fn plain() -> Command {
    let mut command = Command::new("git");
    UNSET.iter().for_each(|name| {
        command.env_remove(name);
    });
    command.envs(SET).stdin(std::process::Stdio::null());
    command
}

/// Every configured value, keys in lower case, later over earlier. `git config` parses files and
/// runs nothing, whatever stands in them.
fn configured(own: &Path, top: &Path) -> Result<Vec<(String, OsString)>> {
    let mut command = plain();
    command.env("GIT_DIR", own).env("GIT_WORK_TREE", top);
    command.arg("-C").arg("/").args(["config", "--list", "-z"]);
    let list = printed(&format!("git config --list for {}", top.display()), command.output())?;
    let entries = list.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
    let pair = |entry: &[u8]| {
        // A key without a value is a switch that is on.
        let end = entry.iter().position(|byte| *byte == b'\n');
        let value = end.map_or(&b"true"[..], |end| &entry[end + 1..]);
        let key = String::from_utf8_lossy(&entry[..end.unwrap_or(entry.len())]).to_lowercase();
        (key, OsStr::from_bytes(value).to_owned())
    };
    Ok(entries.map(pair).collect())
}

/// The git folder of the work tree at `top`: `.git`, or the folder that a file of this name names.
fn git_folder(top: &Path) -> io::Result<PathBuf> {
    let git = top.join(".git");
    if git.is_dir() {
        return Ok(git);
    }
    let text = read_plain(&git)?;
    let path = text.strip_prefix(b"gitdir:").map(<[u8]>::trim_ascii).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, ".git is neither a folder nor names one")
    })?;
    top.join(OsStr::from_bytes(path)).canonicalize()
}

/// The folder that the git folders of all work trees of a repository share.
fn common_folder(own: &Path) -> io::Result<PathBuf> {
    match read_plain(&own.join("commondir")) {
        Ok(path) => own.join(OsStr::from_bytes(path.trim_ascii())).canonicalize(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(own.to_owned()),
        Err(e) => Err(e),
    }
}

/// A git folder that only this user can write, removed when dropped.
#[derive(Debug)]
struct Sealed(PathBuf);

impl Sealed {
    fn make() -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let folder = std::env::temp_dir();
        for _ in 0..NAMES_MAX {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("annals-git-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                // Somebody else's, or left over by a crash of a process that had this number.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{NAMES_MAX} names are taken")))
    }

    /// Makes it a git folder that reads the tree of `own`.
    fn fill(&self, own: &Path, common: &Path, all: &[(String, OsString)]) -> io::Result<()> {
        let mut config = String::from("[core]\n\trepositoryformatversion = 1\n\tbare = false\n");
        for (key, known) in EXTENSIONS {
            let found = all.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value);
            if let Some(value) = known.iter().find(|known| found.is_some_and(|f| f == **known)) {
                let name = key.trim_start_matches("extensions.");
                config += &format!("[extensions]\n\t{name} = {value}\n");
            }
        }
        self.write("config", config.as_bytes())?;
        self.write("HEAD", &read_plain(&own.join("HEAD"))?)?;
        if let Some(index) = found(read_plain(&own.join("index")))? {
            self.write("index", &index)?;
        }
        for name in SHARED {
            self.link(name, &common.join(name))?;
        }
        if !self.0.join("refs").exists() {
            fs::create_dir(self.0.join("refs"))?;
        }
        fs::create_dir(self.0.join("info"))?;
        self.link("info/exclude", &common.join("info/exclude"))?;
        self.link("info/attributes", &common.join("info/attributes"))?;
        self.link("info/sparse-checkout", &own.join("info/sparse-checkout"))?;
        // Parts of an index that is split.
        for entry in fs::read_dir(own)? {
            let name = entry?.file_name();
            if name.as_bytes().starts_with(b"sharedindex.") {
                symlink(own.join(&name), self.0.join(&name))?;
            }
        }
        Ok(())
    }

    fn link(&self, name: &str, to: &Path) -> io::Result<()> {
        if !to.exists() {
            return Ok(());
        }
        symlink(to.canonicalize()?, self.0.join(name))
    }

    #[expect(clippy::disallowed_methods, reason = "the folder is gone after this command")]
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        fs::write(self.0.join(name), bytes)
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        // It holds copies and links; one that is left over is in the way of nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn found<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// The bytes of a plain file: another kind, such as a pipe, could be waited for without end.
fn read_plain(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        let message = format!("{} is not a plain file", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    fs::read(path)
}
