//! A snapshot checked, written into a folder, and compared with another.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::manifest::{Content, SnapshotManifest};
use crate::app::{Error, ErrorKind, Result, Workspace, workspace};
use crate::base::{Digest, RunId, counted, durable, failpoint};
use crate::store::{StoreError, copy_file};

/// The snapshot's list in a restored folder.
const LIST: &str = "snapshot.json";

/// What checking a snapshot found.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Verified {
    /// Files that were read.
    pub files: usize,
    /// Their size.
    pub bytes: u64,
    /// Files that are not what they were: path and what is wrong.
    pub wrong: Vec<(String, String)>,
}

/// A file of two snapshots that differ in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Change {
    /// Its path.
    pub path: String,
    /// What it is in the first.
    pub before: Option<Content>,
    /// What it is in the second.
    pub after: Option<Content>,
}

/// How two snapshots differ.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct SnapshotDifference {
    /// Facts about the machine and the code: key, before, after.
    pub facts: Vec<(String, String, String)>,
    /// Files, by path.
    pub files: Vec<Change>,
}

impl Change {
    /// `added`, `removed`, `mode changed` or `changed`.
    pub fn word(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "added",
            (_, None) => "removed",
            (
                Some(Content::File { digest: before, .. }),
                Some(Content::File { digest: after, .. }),
            ) if before == after => "mode changed",
            _ => "changed",
        }
    }
}

/// Reads every file of a snapshot again.
///
/// # Errors
/// [`ErrorKind::Integrity`] when its list is missing or damaged.
pub fn verify_snapshot(workspace: &Workspace, snapshot: Digest) -> Result<Verified> {
    let manifest = workspace::manifest(workspace, snapshot)?;
    let mut verified = Verified::default();
    for file in manifest.files() {
        let wrong = match workspace.blobs.verify(file.digest, file.sha256) {
            Ok(found) if found == file.bytes => None,
            Ok(found) => {
                let found = counted(found, "byte");
                Some(format!("it has {found}, according to its list {}", file.bytes))
            }
            Err(error) => Some(error.to_string()),
        };
        verified.files += 1;
        verified.bytes += file.bytes;
        verified.wrong.extend(wrong.map(|what| (file.path.to_owned(), what)));
    }
    Ok(verified)
}

/// Writes a snapshot into the folder `to`, which is new or empty. It appears whole or not at
/// all: a crash leaves a folder `.<name>.<pid>.restoring` beside it.
///
/// # Errors
/// [`ErrorKind::Conflict`] for a folder with something in it; [`ErrorKind::Integrity`] when a
/// file is not what it was; [`ErrorKind::Io`].
pub fn restore_snapshot(
    workspace: &Workspace,
    snapshot: Digest,
    to: &Path,
) -> Result<SnapshotManifest> {
    let manifest = workspace::manifest(workspace, snapshot)?;
    may_hold(workspace, to)?;
    if workspace.dry_run {
        return Ok(manifest);
    }
    let failed = |e| Error::io(format!("restore into {}", to.display()), e);
    let name = to.file_name().ok_or_else(|| {
        let message = format!("{} names no folder", to.display());
        Error::new(ErrorKind::Usage, message)
    })?;
    let parent = to.parent().unwrap_or(Path::new("/"));
    let hidden = format!(".{}.{}.restoring", name.to_string_lossy(), std::process::id());
    let building = parent.join(hidden);
    durable::create_dir_all(parent).map_err(failed)?;
    fs::create_dir(&building).map_err(failed)?;
    let built = build(workspace, &manifest, &building).and_then(|()| {
        failpoint::hit();
        // The system replaces a folder by this name only if it is empty.
        fs::rename(&building, to).and_then(|()| durable::sync_parent(to)).map_err(failed)
    });
    if built.is_err() {
        // It failed already; what stays is named above.
        let _ = fs::remove_dir_all(&building);
    }
    built.map(|()| manifest)
}

fn may_hold(workspace: &Workspace, to: &Path) -> Result<()> {
    let taken = |what: &str| {
        let message = format!("{} {what}", to.display());
        Err(Error::new(ErrorKind::Conflict, message)
            .hint("nothing is ever replaced; name a new folder"))
    };
    match fs::symlink_metadata(to) {
        Ok(meta) if !meta.is_dir() => return taken("exists and is not a folder"),
        Ok(_) => {
            let failed = |e| Error::io(format!("read {}", to.display()), e);
            if fs::read_dir(to).map_err(failed)?.next().is_some() {
                return taken("is not empty");
            }
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(Error::io(format!("read {}", to.display()), e)),
    }
    if to.starts_with(workspace.root.join(".annals")) {
        let message = format!("{} is where annals keeps its log and blobs", to.display());
        return Err(Error::new(ErrorKind::Usage, message).hint("name a folder elsewhere"));
    }
    Ok(())
}

fn build(workspace: &Workspace, manifest: &SnapshotManifest, folder: &Path) -> Result<()> {
    let mut made: BTreeSet<PathBuf> = BTreeSet::from([folder.to_owned()]);
    for entry in &manifest.entries {
        let path = folder.join(manifest.real(&entry.path));
        let failed = |e| Error::io(format!("write {}", path.display()), e);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(failed)?;
        made.extend(parent.ancestors().take_while(|p| *p != folder).map(Path::to_owned));
        match &entry.content {
            Content::File { digest, mode, .. } => {
                // Permissions alone: no program of a snapshot runs as somebody else.
                let mode = Permissions::from_mode(*mode & 0o777);
                write(workspace, *digest, &path)?;
                fs::set_permissions(&path, mode).map_err(failed)?;
            }
            Content::Link { target } => {
                symlink(manifest.real(target), &path).map_err(failed)?;
            }
        }
        failpoint::hit();
    }
    let list = folder.join(LIST);
    let failed = |e| Error::io(format!("write {}", list.display()), e);
    durable::write(&list, &manifest.encode()?).map_err(failed)?;
    made.iter().try_for_each(|dir| durable::sync_dir(dir)).map_err(failed)
}

/// A copy of a blob, which is checked as a copy (BLB-1).
pub(in crate::app) fn write(workspace: &Workspace, digest: Digest, to: &Path) -> Result<()> {
    let copied = copy_file(&workspace.blobs.path(digest), to)
        .and_then(|()| Digest::of_reader(&mut fs::File::open(to)?));
    match copied {
        Ok((found, _)) if found == digest => Ok(()),
        Ok((found, _)) => Err(StoreError::BlobDamaged { digest, found }.into()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Err(StoreError::BlobMissing { digest }.into())
        }
        Err(e) => Err(Error::io(format!("write {}", to.display()), e)),
    }
}

/// The unique names of runs, by their ids as text.
fn names_of<'r>(
    workspace: &Workspace,
    runs: impl Iterator<Item = &'r RunId>,
) -> Result<BTreeMap<String, String>> {
    let views = workspace.snapshot()?;
    let mut names = BTreeMap::new();
    for run in runs {
        if let Some(details) = views.run(*run)? {
            names.insert(run.to_string(), details.experiment_id);
        }
    }
    Ok(names)
}

/// How the second snapshot differs from the first.
///
/// # Errors
/// [`ErrorKind::Integrity`] when a list is missing or damaged.
pub fn compare_snapshots(
    workspace: &Workspace,
    first: Digest,
    second: Digest,
) -> Result<SnapshotDifference> {
    let (first, second) =
        (workspace::manifest(workspace, first)?, workspace::manifest(workspace, second)?);
    let (before, after) = (facts(&first), facts(&second));
    let names = names_of(workspace, first.runs.iter().chain(&second.runs))?;
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let named = |text: &str| names.get(text).cloned().unwrap_or_else(|| text.to_owned());
    let told = |facts: &BTreeMap<String, Vec<String>>, key: &String| {
        let values = facts.get(key).filter(|values| !values.is_empty());
        values.map_or_else(
            || "none".to_owned(),
            |values| values.iter().map(|text| named(text)).collect::<Vec<_>>().join(", "),
        )
    };
    let facts = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
    let facts = facts.map(|key| (key.clone(), told(&before, key), told(&after, key)));
    Ok(SnapshotDifference { facts: facts.collect(), files: changes(&first, &second) })
}

/// The files that differ, by path.
fn changes(first: &SnapshotManifest, second: &SnapshotManifest) -> Vec<Change> {
    let by_path = |manifest: &SnapshotManifest| -> BTreeMap<String, Content> {
        manifest.entries.iter().map(|e| (e.path.clone(), e.content.clone())).collect()
    };
    let (before, after) = (by_path(first), by_path(second));
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let changes = paths.into_iter().map(|path| Change {
        path: path.clone(),
        before: before.get(path).cloned(),
        after: after.get(path).cloned(),
    });
    changes.filter(|change| change.before != change.after).collect()
}

/// What a snapshot says beside its files, by key.
fn facts(manifest: &SnapshotManifest) -> BTreeMap<String, Vec<String>> {
    let mut facts = BTreeMap::new();
    if let Ok(Value::Object(mut fields)) = serde_json::to_value(manifest) {
        // The files are compared one by one, and these lists follow from them.
        ["entries", "packages", "left_out"].iter().for_each(|key| {
            fields.remove(*key);
        });
        flatten("", Value::Object(fields), &mut facts);
    }
    facts
}

/// The parts of each fact, as people read them: a list has several.
fn flatten(prefix: &str, value: Value, facts: &mut BTreeMap<String, Vec<String>>) {
    match value {
        Value::Object(fields) => fields.into_iter().for_each(|(key, value)| {
            let key = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
            flatten(&key, value, facts);
        }),
        Value::Null => {}
        Value::Array(items) => {
            facts.insert(prefix.to_owned(), items.into_iter().map(words).collect());
        }
        other => {
            facts.insert(prefix.to_owned(), vec![words(other)]);
        }
    }
}

/// A value without the marks of JSON: a model is its name and its version.
fn words(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Bool(yes) => if yes { "yes" } else { "no" }.to_owned(),
        Value::Array(items) => items.into_iter().map(words).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}
