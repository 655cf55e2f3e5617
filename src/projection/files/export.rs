//! Writes the generated files, never backwards, and notices what others did to them (W-4).
//!
//! What was written last (position, digest, size, time of change, inode) is kept in
//! `.annals/exports.json`. A crash between the commit and the writing leaves older files, which
//! still have the remembered digest: stale, not edited.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Content, Document, NAMES, TrainingOutputFiles, generate};
use crate::base::confine::{self, Folder};
use crate::base::{Digest, durable, failpoint};
use crate::domain::policy::Policy;
use crate::projection::views_lock::LOCK_WAIT_MAX;
use crate::projection::{Snapshot, ViewError};
use crate::store::{Blobs, lock_file_within};

/// Largest file that is read as text: registry files of millions of runs are smaller.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Writes and checks the generated files of one workspace.
#[derive(Clone, Debug)]
pub struct Exporter {
    root: PathBuf,
    annals: PathBuf,
    blobs: Blobs,
    guide: Option<TrainingOutputFiles>,
}

/// The last writing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Written {
    position: u64,
    /// Where documents of a layout went: variables of the environment may say otherwise now.
    #[serde(default)]
    guide: Option<TrainingOutputFiles>,
    files: BTreeMap<String, WrittenFile>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct WrittenFile {
    digest: Digest,
    bytes: u64,
    changed_ns: i64,
    inode: u64,
}

/// What a regeneration did.
#[derive(Clone, Debug, Default)]
pub struct Regenerated {
    /// Files whose bytes changed.
    pub changed: Vec<String>,
    /// Files that somebody had edited.
    pub edited: Vec<Edited>,
    /// Files that were not written, and the reason: they would not be inside the workspace.
    pub unwritten: Vec<(String, String)>,
}

/// A registry file that somebody had edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The file.
    pub file: String,
    /// Where the edit was set aside.
    pub kept_as: String,
    /// What does the same: `annals policy set KEY VALUE`.
    pub instead: Vec<(String, String)>,
}

/// A registry file that is not what the log says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FileDifference {
    /// The file.
    pub file: String,
    /// `missing` or `different`.
    pub what: &'static str,
    /// The first line that differs, from 1.
    pub line: Option<usize>,
    /// Digest of what the log says.
    pub expected: Digest,
    /// Digest of what is there.
    pub found: Option<Digest>,
}

impl Exporter {
    /// The files at `root`, remembered under `annals`, with those that `guide` asks for.
    pub fn new(
        root: &Path,
        annals: &Path,
        blobs: &Blobs,
        guide: Option<TrainingOutputFiles>,
    ) -> Self {
        Self { root: root.to_owned(), annals: annals.to_owned(), blobs: blobs.clone(), guide }
    }

    /// Writes what the snapshot says, unless a later one was written already. Edited files are
    /// set aside first, and those that are not asked for any more are taken away.
    ///
    /// # Errors
    /// When views or files cannot be read or written.
    pub fn regenerate(&self, views: &Snapshot, project: &str) -> Result<Regenerated, ViewError> {
        let path = self.annals.join("exports.lock");
        let _lock = lock_file_within(&path, FlockOperation::LockExclusive, LOCK_WAIT_MAX)?;
        let mut written = self.written();
        if written.position > views.size() {
            return Ok(Regenerated::default());
        }
        let mut done = Regenerated::default();
        let mut before = std::mem::take(&mut written.files);
        for document in generate(views, project, self.guide.as_ref())? {
            let known = before.remove(&document.path);
            if let Err(error) = self.inside(&document.path) {
                done.unwritten.push((document.path, error.to_string()));
                continue;
            }
            if let Some(file) = self.bring(&document, known, views, &mut done)? {
                written.files.insert(document.path, file);
            }
        }
        for (path, file) in before {
            self.take_away(&path, &file).map_err(failed(&format!("remove {path}")))?;
        }
        (written.position, written.guide) = (views.size(), self.guide.clone());
        let text = serde_json::to_vec_pretty(&written).unwrap_or_default();
        durable::write(&self.annals.join("exports.json"), &text)
            .map_err(failed("write exports.json"))?;
        Ok(done)
    }

    /// Writes every file as the snapshot says, whatever stands there, and tells their paths.
    ///
    /// # Errors
    /// When views cannot be read or files cannot be written.
    pub fn write_all(&self, views: &Snapshot, project: &str) -> Result<Vec<String>, ViewError> {
        let mut paths = Vec::new();
        for document in generate(views, project, self.guide.as_ref())? {
            if self.inside(&document.path).is_ok() && self.write(&document)? {
                paths.push(document.path);
            }
        }
        Ok(paths)
    }

    /// Writes one file; not where its blob is gone.
    fn write(&self, document: &Document) -> Result<bool, ViewError> {
        let path = self.place(&document.path)?;
        let written = match &document.content {
            Content::Text(bytes) => in_folder(&path).and_then(|()| durable::write(&path, bytes)),
            Content::Link(to) => in_folder(&path).and_then(|()| link(to, &path)),
            Content::Blob(digest) if !self.blobs.contains(*digest) => return Ok(false),
            Content::Blob(digest) => {
                let bytes = self.blobs.get(*digest)?;
                in_folder(&path).and_then(|()| durable::write(&path, &bytes))
            }
        };
        written.map_err(failed(&format!("write {}", document.path)))?;
        Ok(true)
    }

    /// Brings one file up to date; none where its blob is gone, which `annals verify` tells.
    fn bring(
        &self,
        document: &Document,
        known: Option<WrittenFile>,
        views: &Snapshot,
        done: &mut Regenerated,
    ) -> Result<Option<WrittenFile>, ViewError> {
        let (name, digest) = (&document.path, document.content.digest());
        let path = self.place(name)?;
        if let Content::Blob(_) = document.content
            && let Some(known) = known.as_ref().filter(|known| known.digest == digest)
            && known.is_still(&path)
        {
            return Ok(Some(known.clone()));
        }
        let found = digest_of(&path);
        if found != Some(digest) {
            if found.is_some() && found != known.map(|known| known.digest) {
                done.edited.push(self.set_aside(name, views)?);
            }
            if !self.write(document)? {
                return Ok(None);
            }
            done.changed.push(name.clone());
        }
        let meta = fs::symlink_metadata(&path).map_err(failed(&format!("read {name}")))?;
        Ok(Some(WrittenFile::new(digest, &meta)))
    }

    /// Removes a file that is as it was written, and folders that are empty then. The list of what
    /// was written may be somebody else's: only what annals generates goes, and nothing of which
    /// the bytes would be lost.
    fn take_away(&self, name: &str, written: &WrittenFile) -> io::Result<()> {
        let Ok(path) = self.inside(name) else { return Ok(()) };
        let link = path.is_symlink();
        let made = NAMES.contains(&name)
            || link && name.contains('/')
            || name.ends_with("_summary.md")
            || name.ends_with("/REPRODUCIBILITY.md")
            || self.blobs.contains(written.digest);
        if !made || digest_of(&path) != Some(written.digest) {
            return Ok(());
        }
        let root = Folder::open(&self.root)?;
        root.remove_file(name)?;
        failpoint::hit();
        let mut folder = name;
        // One that holds something stays, and those above it.
        while let Some((above, _)) = folder.rsplit_once('/')
            && root.remove_empty(above).is_ok()
        {
            folder = above;
        }
        Ok(())
    }

    /// Where a document is, below the workspace; the last component may be a link.
    fn inside(&self, name: &str) -> io::Result<PathBuf> {
        confine::public(name)?;
        Ok(confine::parent_inside(&self.root, name)?)
    }

    /// Compares the files with what the snapshot says, where they were written last.
    ///
    /// # Errors
    /// When views or files cannot be read.
    pub fn check(&self, views: &Snapshot, project: &str) -> Result<Vec<FileDifference>, ViewError> {
        let generated = self.as_last_written(views, project)?;
        Ok(generated.iter().filter_map(|file| self.compare(file)).collect())
    }

    /// The paths of the files that the snapshot has, where they were written last.
    ///
    /// # Errors
    /// When views cannot be read.
    pub fn generated(&self, views: &Snapshot, project: &str) -> Result<Vec<String>, ViewError> {
        let generated = self.as_last_written(views, project)?;
        Ok(generated.into_iter().map(|file| file.path).collect())
    }

    fn as_last_written(&self, views: &Snapshot, project: &str) -> Result<Vec<Document>, ViewError> {
        let last = self.written().guide;
        let guide = self.guide.as_ref().map(|own| last.as_ref().unwrap_or(own));
        generate(views, project, guide)
    }

    /// The files whose bytes are not those of the last writing. They are read only where size,
    /// time of change or inode differ, as they do in a copy of the workspace.
    pub fn edited(&self) -> Vec<String> {
        let written = self.written();
        let same = |name: &String, file: &WrittenFile| {
            let Ok(path) = self.inside(name) else { return false };
            file.is_still(&path) || digest_of(&path) == Some(file.digest)
        };
        let edited = written.files.iter().filter(|(name, file)| !same(name, file));
        edited.map(|(name, _)| name.clone()).collect()
    }

    /// The files of the last writing.
    pub fn names(&self) -> BTreeSet<String> {
        self.written().files.into_keys().collect()
    }

    fn compare(&self, document: &Document) -> Option<FileDifference> {
        let path = self.inside(&document.path).ok();
        let (expected, found) = (document.content.digest(), path.as_deref().and_then(digest_of));
        let lost =
            matches!(document.content, Content::Blob(digest) if !self.blobs.contains(digest));
        if found == Some(expected) || lost {
            return None;
        }
        let line = match &document.content {
            Content::Text(bytes) => {
                path.and_then(|path| confine::read_plain(&path, FILE_BYTES_MAX).ok()).map(|found| {
                    let pairs = found.split(|b| *b == b'\n').zip(bytes.split(|b| *b == b'\n'));
                    1 + pairs.take_while(|(a, b)| a == b).count()
                })
            }
            Content::Blob(_) | Content::Link(_) => None,
        };
        Some(FileDifference {
            file: document.path.clone(),
            what: if found.is_some() { "different" } else { "missing" },
            line,
            expected,
            found,
        })
    }

    /// The files of the last writing, by path.
    pub fn remembered(&self) -> Vec<String> {
        self.written().files.into_keys().collect()
    }

    fn place(&self, name: &str) -> Result<PathBuf, ViewError> {
        self.inside(name).map_err(failed(&format!("use {name}")))
    }

    fn written(&self) -> Written {
        let list = self.annals.join("exports.json");
        let text = confine::read_plain(&list, FILE_BYTES_MAX).unwrap_or_default();
        // Unreadable memory means that nothing is known to be ours; edits are then set aside.
        let mut written: Written = serde_json::from_slice(&text).unwrap_or_default();
        written.files.retain(|name, _| confine::public(name).is_ok());
        written
    }

    fn set_aside(&self, name: &str, views: &Snapshot) -> Result<Edited, ViewError> {
        let from = self.place(name)?;
        let beside = |n: usize| from.with_file_name(format!("{}.edited-{n}", file_name(name)));
        let number = (1_usize..).find(|n| beside(*n).symlink_metadata().is_err()).unwrap_or(0);
        let (file, kept_as) = (name.to_owned(), format!("{name}.edited-{number}"));
        let instead = if NAMES.contains(&name) {
            let (_, policy) = views.policy()?;
            let found = confine::read_plain(&from, FILE_BYTES_MAX);
            edited_rules(&found.unwrap_or_default(), &policy)
        } else {
            vec![]
        };
        let to = beside(number);
        let moved = fs::rename(&from, &to).and_then(|()| durable::sync_parent(&to));
        moved.map_err(failed(&format!("keep {name} as {kept_as}")))?;
        failpoint::hit();
        Ok(Edited { file, kept_as, instead })
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn failed(what: &str) -> impl FnOnce(io::Error) -> ViewError + use<> {
    let what = what.to_owned();
    move |source| ViewError::Io { what, source }
}

/// Makes the folder of a file.
fn in_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), durable::create_dir_all)
}

/// Replaces `path` by a link.
fn link(to: &str, path: &Path) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    // Left over by a crash of a process that had this number.
    let _ = fs::remove_file(&temporary);
    symlink(to, &temporary)?;
    fs::rename(&temporary, path)?;
    failpoint::hit();
    durable::sync_parent(path)
}

/// The digest of what stands at `path`, as [`Content::digest`] has it; none where nothing does.
fn digest_of(path: &Path) -> Option<Digest> {
    if let Ok(to) = fs::read_link(path) {
        return Some(Content::Link(to.to_string_lossy().into_owned()).digest());
    }
    if !fs::symlink_metadata(path).ok()?.is_file() {
        return Some(Digest::of(b"not a plain file"));
    }
    let (digest, _) = Digest::of_reader(&mut File::open(path).ok()?).ok()?;
    Some(digest)
}

impl WrittenFile {
    fn new(digest: Digest, meta: &fs::Metadata) -> Self {
        let changed_ns = meta.mtime().saturating_mul(1_000_000_000) + meta.mtime_nsec();
        Self { digest, bytes: meta.len(), changed_ns, inode: meta.ino() }
    }

    /// Whether nothing tells that the file was changed since.
    fn is_still(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|meta| Self::new(self.digest, &meta) == *self)
    }
}

/// The rules that an edited `auto_archival_rules` asks for, as `annals policy set` takes them.
fn edited_rules(found: &[u8], policy: &Policy) -> Vec<(String, String)> {
    let Ok(file) = serde_json::from_slice::<serde_json::Value>(found) else { return vec![] };
    let rules = &file["auto_archival_rules"];
    policy
        .entries()
        .into_iter()
        .filter_map(|(key, now)| {
            let (group, field) = key.split_once('.')?;
            let edited = rules.get(group)?.get(field)?.to_string();
            (edited != now).then_some((key, edited))
        })
        .collect()
}
