//! Writes the registry files, never backwards, and notices what others did to them (W-4).
//!
//! What was written last (position, digest, size, time of change, inode) is kept in
//! `.annals/exports.json`. A crash between the commit and the writing leaves older files, which
//! still have the remembered digest: stale, not edited.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::{Generated, generate};
use crate::base::{Digest, durable};
use crate::domain::policy::Policy;
use crate::projection::{Snapshot, ViewError};

/// Writes and checks the registry files of one workspace.
#[derive(Clone, Debug)]
pub struct Exporter {
    root: PathBuf,
    annals: PathBuf,
}

/// The last writing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Written {
    position: u64,
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
    pub changed: Vec<&'static str>,
    /// Files that somebody had edited.
    pub edited: Vec<Edited>,
}

/// A registry file that somebody had edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The file.
    pub file: &'static str,
    /// Where the edit was set aside.
    pub kept_as: String,
    /// What does the same: `annals policy set KEY VALUE`.
    pub instead: Vec<(String, String)>,
}

/// A registry file that is not what the log says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
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
    /// The files at `root`, remembered under `annals`.
    pub fn new(root: &Path, annals: &Path) -> Self {
        Self { root: root.to_owned(), annals: annals.to_owned() }
    }

    /// Writes what the snapshot says, unless a later one was written already. Edited files are
    /// set aside first.
    ///
    /// # Errors
    /// When views or files cannot be read or written.
    pub fn regenerate(&self, views: &Snapshot, project: &str) -> Result<Regenerated, ViewError> {
        let failed = |what: &str| {
            let what = what.to_owned();
            move |source| ViewError::Io { what, source }
        };
        let mut options = OpenOptions::new();
        let lock = options
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.annals.join("exports.lock"))
            .map_err(failed("open exports.lock"))?;
        flock(&lock, FlockOperation::LockExclusive)
            .map_err(|e| failed("lock exports.lock")(e.into()))?;
        let mut written = self.written();
        if written.position > views.size() {
            return Ok(Regenerated::default());
        }
        let mut done = Regenerated::default();
        for (name, bytes) in generate(views, project)? {
            let path = self.root.join(name);
            let digest = Digest::of(&bytes);
            let found = fs::read(&path).ok();
            if let Some(found) = &found {
                let theirs = Digest::of(found);
                let ours = written.files.get(name).is_some_and(|w| w.digest == theirs);
                if !ours && theirs != digest {
                    done.edited.push(self.set_aside(name, found, views)?);
                }
            }
            if found.as_deref() != Some(bytes.as_slice()) {
                durable::write(&path, &bytes).map_err(failed(&format!("write {name}")))?;
                done.changed.push(name);
            }
            let meta = fs::metadata(&path).map_err(failed(&format!("read {name}")))?;
            written.files.insert(name.to_owned(), WrittenFile::new(digest, &meta));
        }
        written.position = views.size();
        let text = serde_json::to_vec_pretty(&written).unwrap_or_default();
        durable::write(&self.annals.join("exports.json"), &text)
            .map_err(failed("write exports.json"))?;
        Ok(done)
    }

    /// Compares the files with what the snapshot says.
    ///
    /// # Errors
    /// When views or files cannot be read.
    pub fn check(&self, views: &Snapshot, project: &str) -> Result<Vec<Difference>, ViewError> {
        let generated = generate(views, project)?;
        Ok(generated.iter().filter_map(|file| self.compare(file)).collect())
    }

    /// The files whose bytes are not those of the last writing. They are read only where size,
    /// time of change or inode differ, as they do in a copy of the workspace.
    pub fn edited(&self) -> Vec<String> {
        let written = self.written();
        let same = |name: &String, file: &WrittenFile| {
            let path = self.root.join(name);
            fs::metadata(&path).is_ok_and(|meta| WrittenFile::new(file.digest, &meta) == *file)
                || fs::read(&path).is_ok_and(|bytes| Digest::of(&bytes) == file.digest)
        };
        let edited = written.files.iter().filter(|(name, file)| !same(name, file));
        edited.map(|(name, _)| name.clone()).collect()
    }

    fn compare(&self, (name, expected): &Generated) -> Option<Difference> {
        let found = fs::read(self.root.join(name)).ok();
        if found.as_deref() == Some(expected.as_slice()) {
            return None;
        }
        let line = found.as_ref().map(|found| {
            let pairs = found.split(|b| *b == b'\n').zip(expected.split(|b| *b == b'\n'));
            1 + pairs.take_while(|(a, b)| a == b).count()
        });
        Some(Difference {
            file: (*name).to_owned(),
            what: if found.is_some() { "different" } else { "missing" },
            line,
            expected: Digest::of(expected),
            found: found.map(|found| Digest::of(&found)),
        })
    }

    fn written(&self) -> Written {
        let text = fs::read(self.annals.join("exports.json")).unwrap_or_default();
        // Unreadable memory means that nothing is known to be ours; edits are then set aside.
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn set_aside(
        &self,
        name: &'static str,
        found: &[u8],
        views: &Snapshot,
    ) -> Result<Edited, ViewError> {
        let free = |n: &usize| !self.root.join(format!("{name}.edited-{n}")).exists();
        let number = (1_usize..).find(free).unwrap_or(0);
        let kept_as = format!("{name}.edited-{number}");
        durable::write(&self.root.join(&kept_as), found)
            .map_err(|source| ViewError::Io { what: format!("write {kept_as}"), source })?;
        let (_, policy) = views.policy()?;
        Ok(Edited { file: name, kept_as, instead: edited_rules(found, &policy) })
    }
}

impl WrittenFile {
    fn new(digest: Digest, meta: &fs::Metadata) -> Self {
        let changed_ns = meta.mtime().saturating_mul(1_000_000_000) + meta.mtime_nsec();
        Self { digest, bytes: meta.len(), changed_ns, inode: meta.ino() }
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
