//! Lists the files of runs: what the record has, and what is in their folders besides.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use super::expected::{ExpectedFile, ExpectedFiles, RunRecord};
use super::recorded::RecordedBytes;
use super::report::{CheckedFile, FileKind, FileState, UncheckedFiles};
use crate::app::Workspace;
use crate::base::confine;
use crate::domain::run::{Pack, RunStatus};
use crate::train::checkpoint::{CheckpointManifest, MANIFEST_FILE};

/// Longest manifest of a training checkpoint that is read into memory.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// A file to read, and what the record has for it.
pub(super) struct Listed {
    /// Its path, relative to the workspace.
    pub(super) path: String,
    pub(super) kind: FileKind,
    pub(super) belongs_to: String,
    /// The event that recorded it; none for a blob that no event names.
    pub(super) position: Option<u64>,
    pub(super) recorded: RecordedBytes,
    /// Whether it may be missing: its run is under way, or only mentions it.
    pub(super) may_be_missing: bool,
}

/// One piece of work: what one thread reads.
pub(super) enum Work {
    /// A file.
    File(Listed),
    /// The archive of a run in a folder, and what is packed in it by name.
    Archive { folder: String, pack: Pack, file: Listed, members: BTreeMap<String, Listed> },
}

/// What there is to read, and what listing it found.
#[derive(Default)]
pub(super) struct Listing {
    pub(super) work: Vec<Work>,
    pub(super) found: Vec<CheckedFile>,
    pub(super) unchecked: Vec<UncheckedFiles>,
}

/// What is in a folder: the path from it, and whether it is a plain file.
type Entry = (String, bool);

impl Listing {
    pub(super) fn unchecked(&mut self, path: impl Into<String>, reason: impl Into<String>) {
        self.unchecked.push(UncheckedFiles { path: path.into(), reason: reason.into() });
    }

    /// A file that no event names, in a folder of which every file is recorded.
    pub(super) fn added(&mut self, path: String, kind: FileKind, belongs_to: String) {
        self.found.push(CheckedFile {
            path,
            kind,
            belongs_to,
            state: FileState::Added,
            expected: None,
            found: None,
            bytes: None,
            position: None,
        });
    }

    /// The files of a run. `moving` says that a move of them is not finished.
    pub(super) fn run(&mut self, workspace: &Workspace, record: &RunRecord, moving: bool) {
        let state = &record.state;
        if state.deleted || state.folder.is_empty() {
            return;
        }
        if moving {
            self.unchecked(&state.folder, "a move of it is not finished");
            return;
        }
        let under_way = matches!(state.status, RunStatus::Running | RunStatus::Unknown);
        let full = match workspace.inside(&state.folder) {
            Ok(full) if full.is_dir() => full,
            _ if under_way => return,
            other => return self.no_folder(record, other.err().map(|error| error.to_string())),
        };
        let mut expected = record.expected();
        let unlisted = self.checkpoints(workspace, record, &mut expected);
        let mut entries = Vec::new();
        walk(&full, "", &mut entries);
        for (inside, plain) in entries {
            let mut dirs = state.checkpoints.values().map(|saved| saved.path.as_str());
            let below = |dir: &&str| inside.strip_prefix(*dir).is_some_and(|p| p.starts_with('/'));
            let checkpoint = dirs.find(below);
            let is_read = checkpoint.is_some_and(|dir| {
                unlisted.contains(dir) || inside == format!("{dir}/{MANIFEST_FILE}")
            });
            if expected.folder.contains_key(&inside) || is_read {
                continue;
            }
            let path = format!("{}/{inside}", state.folder);
            if checkpoint.is_some() {
                self.added(path, FileKind::TrainCheckpoint, record.subject());
            } else if expected.complete {
                self.added(path, FileKind::RunFile, record.subject());
            } else if under_way {
                self.unchecked(path, "its run is under way");
            } else if plain {
                self.unchecked(path, "no event has a digest of it");
            } else {
                self.unchecked(path, "it is not a plain file, and no event names it");
            }
        }
        self.expected(record, expected, under_way);
    }

    fn no_folder(&mut self, record: &RunRecord, found: Option<String>) {
        let state = if found.is_some() { FileState::Unreadable } else { FileState::Missing };
        self.found.push(CheckedFile {
            path: record.state.folder.clone(),
            kind: FileKind::RunFolder,
            belongs_to: record.subject(),
            state,
            expected: None,
            found,
            bytes: None,
            position: Some(record.began),
        });
    }

    /// The work that follows from what the record has.
    fn expected(&mut self, record: &RunRecord, expected: ExpectedFiles, under_way: bool) {
        let folder = &record.state.folder;
        let listed = |inside: &str, file: ExpectedFile| {
            let ExpectedFile { kind, recorded, position } = file;
            let (path, belongs_to) = (format!("{folder}/{inside}"), record.subject());
            let position = Some(position);
            let may_be_missing = under_way;
            Listed { path, kind, belongs_to, position, recorded, may_be_missing }
        };
        let mut archive = None;
        for (inside, file) in expected.folder {
            let is_archive = file.kind == FileKind::Archive;
            let file = listed(&inside, file);
            match is_archive {
                true => archive = Some(file),
                false => self.work.push(Work::File(file)),
            }
        }
        let Some((file, pack)) = archive.zip(record.state.pack) else { return };
        let inside = |(name, file): (String, ExpectedFile)| {
            let file = listed(&format!("{}/{name}", pack.file()), file);
            (name, file)
        };
        let members = expected.packed.into_iter().map(inside).collect();
        self.work.push(Work::Archive { folder: folder.clone(), pack, file, members });
    }

    /// The files of the training checkpoints, as the manifest of each has them. Returns the folders
    /// whose files cannot be listed, because the manifest is not the recorded one.
    fn checkpoints(
        &mut self,
        workspace: &Workspace,
        record: &RunRecord,
        expected: &mut ExpectedFiles,
    ) -> BTreeSet<String> {
        let mut unlisted = BTreeSet::new();
        for (step, saved) in &record.state.checkpoints {
            let manifest = format!("{}/{MANIFEST_FILE}", saved.path);
            let position = record.saved.get(step).copied().unwrap_or(record.began);
            let listed = Listed {
                path: format!("{}/{manifest}", record.state.folder),
                kind: FileKind::TrainCheckpoint,
                belongs_to: record.subject(),
                position: Some(position),
                recorded: RecordedBytes::new(saved.digest, None, None),
                may_be_missing: false,
            };
            expected.folder.remove(&manifest);
            match read_manifest(workspace, &listed.path) {
                Err(error) => {
                    unlisted.insert(saved.path.clone());
                    self.no_manifest(workspace, record, &saved.path, &listed, &error);
                }
                Ok(bytes) => match self.manifest(&listed, *step, &bytes) {
                    Some(manifest) => {
                        expect_manifest(&manifest, &saved.path, position, expected);
                    }
                    None => {
                        let path = format!("{}/{}", record.state.folder, saved.path);
                        self.unchecked(path, "its manifest is not the recorded one");
                        unlisted.insert(saved.path.clone());
                    }
                },
            }
        }
        unlisted
    }

    /// Compares a manifest with the digest that the log has; returns it where it is the recorded
    /// one.
    fn manifest(&mut self, listed: &Listed, step: u64, bytes: &[u8]) -> Option<CheckpointManifest> {
        let read = serde_json::from_slice::<CheckpointManifest>(bytes);
        let found = match &read {
            Ok(manifest) if manifest.digest() != listed.recorded.digest => {
                Some(manifest.digest().to_string())
            }
            // The digest covers names and digests of the files, not their sizes.
            Ok(manifest) => (manifest.step != step || !manifest.is_text(bytes))
                .then(|| "the recorded digests, with another step, size or format".to_owned()),
            Err(error) => Some(format!("not a manifest: {error}")),
        };
        let whole = found.is_none();
        self.found.push(CheckedFile {
            state: if whole { FileState::Whole } else { FileState::Altered },
            found: found.or_else(|| Some(listed.recorded.digest.to_string())),
            bytes: Some(bytes.len() as u64),
            ..checked(listed)
        });
        read.ok().filter(|_| whole)
    }

    /// A training checkpoint whose manifest cannot be read.
    fn no_manifest(
        &mut self,
        workspace: &Workspace,
        record: &RunRecord,
        dir: &str,
        listed: &Listed,
        error: &io::Error,
    ) {
        let gone = error.kind() == io::ErrorKind::NotFound;
        let path = format!("{}/{dir}", record.state.folder);
        let folder_gone = gone && !workspace.inside(&path).is_ok_and(|dir| dir.exists());
        // A process that was killed may have removed one before the log could have it.
        if folder_gone && !record.ended_at_once() {
            self.unchecked(path, "it is gone, and its run was cut short or is under way");
            return;
        }
        self.found.push(CheckedFile {
            state: if gone { FileState::Missing } else { FileState::Unreadable },
            found: (!gone).then(|| error.to_string()),
            ..checked(listed)
        });
    }
}

/// Expects each file that the manifest of a training checkpoint lists.
fn expect_manifest(
    manifest: &CheckpointManifest,
    dir: &str,
    position: u64,
    expected: &mut ExpectedFiles,
) {
    for file in &manifest.files {
        let inside = format!("{dir}/{}", file.name);
        let known = expected.folder.get(&inside);
        // Weights are an artifact as well, which is the better name for them.
        if known.is_some_and(|known| known.kind == FileKind::Artifact) {
            continue;
        }
        let sha256 = known.filter(|known| known.recorded.digest == file.blake3);
        let sha256 = sha256.and_then(|known| known.recorded.sha256.first().copied());
        let recorded = RecordedBytes::new(file.blake3, sha256, Some(file.bytes));
        let kind = FileKind::TrainCheckpoint;
        expected.folder.insert(inside, ExpectedFile { kind, recorded, position });
    }
}

/// A file as it was listed, before it is read.
pub(super) fn checked(listed: &Listed) -> CheckedFile {
    CheckedFile {
        path: listed.path.clone(),
        kind: listed.kind,
        belongs_to: listed.belongs_to.clone(),
        state: FileState::Whole,
        expected: Some(listed.recorded.digest.to_string()),
        found: None,
        bytes: None,
        position: listed.position,
    }
}

fn read_manifest(workspace: &Workspace, path: &str) -> io::Result<Vec<u8>> {
    let full = workspace.inside(path).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    confine::plain_file(&full)?.take(MANIFEST_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Everything below a folder that is not a folder itself, by its path from there. Links are not
/// followed.
pub(super) fn walk(folder: &Path, inside: &str, found: &mut Vec<Entry>) {
    // What cannot be listed is missing for whoever looks for a recorded file in it.
    let Ok(entries) = fs::read_dir(folder.join(inside)) else { return };
    let mut entries: Vec<fs::DirEntry> = entries.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if inside.is_empty() { name } else { format!("{inside}/{name}") };
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(folder, &path, found),
            kind => found.push((path, kind.is_ok_and(|kind| kind.is_file()))),
        }
    }
}
