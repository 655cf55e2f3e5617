//! Training checkpoints on disk.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::{Digest, confine, durable};
use crate::train::learner::{LearnError, Learner};
use crate::train::recorder::SavedFile;

/// The trainer's own state inside a checkpoint.
pub const STATE_FILE: &str = "trainer.bin";
/// The list of files with digests; written last.
pub const MANIFEST_FILE: &str = "manifest.json";
const FOLDER: &str = "checkpoints";

/// A training checkpoint that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A file or folder cannot be accessed.
    #[error("cannot access training checkpoint {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The manifest is missing a field or is not JSON.
    #[error("{} is not a manifest", path.display())]
    CheckpointManifest {
        /// The manifest.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A file is not what the manifest says, or the manifest not the pinned one.
    #[error("{} has digest {found}, {expected} was recorded", path.display())]
    Digest {
        /// The file.
        path: PathBuf,
        /// What the manifest says.
        expected: Digest,
        /// What was found.
        found: Digest,
    },
    /// It belongs to another training.
    #[error("training checkpoint {} is of another {what}", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// `run`, `configuration`, `dataset`, `thread count`.
        what: &'static str,
    },
    /// The trainer's state does not decode.
    #[error("{} is damaged", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What the codec said.
        source: crate::base::codec::CodecError,
    },
    /// The learner cannot save or load.
    #[error("training checkpoint {}", path.display())]
    Learner {
        /// The folder.
        path: PathBuf,
        /// What the learner said.
        source: LearnError,
    },
}

/// What `manifest.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointManifest {
    /// Version of this file.
    pub version: u32,
    /// Updates done.
    pub step: u64,
    /// Every other file, in name order.
    pub files: Vec<ManifestFile>,
}

impl CheckpointManifest {
    /// What the log has for a training checkpoint: the digest of its files, by name.
    pub fn digest(&self) -> Digest {
        let files = self.files.iter().map(|file| format!("{} {}\n", file.blake3, file.name));
        Digest::of(files.collect::<String>().as_bytes())
    }

    /// The text of the manifest as it is saved.
    fn text(&self) -> serde_json::Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }

    /// Whether these bytes are the manifest as it is saved: the digest does not cover all of it.
    pub fn is_text(&self, bytes: &[u8]) -> bool {
        self.text().is_ok_and(|text| text == bytes)
    }
}

/// One file of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestFile {
    /// Name inside the folder.
    pub name: String,
    /// Digest of its bytes.
    pub blake3: Digest,
    /// How many bytes.
    pub bytes: u64,
}

/// The training checkpoints of one run.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    run_dir: PathBuf,
}

impl Checkpoints {
    /// Those below `run_dir`; removes what a crash left half-written.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(run_dir: &Path) -> Result<Self, CheckpointError> {
        let folder = run_dir.join(FOLDER);
        durable::create_dir_all(&folder).map_err(at(&folder))?;
        for entry in fs::read_dir(&folder).map_err(at(&folder))? {
            let path = entry.map_err(at(&folder))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let half_written = [".step-", ".old-", ".gone-"].iter().any(|n| name.starts_with(n));
            if half_written && path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
                fs::remove_dir_all(&path).map_err(at(&path))?;
            }
        }
        Ok(Self { run_dir: run_dir.to_owned() })
    }

    /// Those below `run_dir`, for reading only: nothing is made or removed, since another process
    /// may be saving there.
    pub fn at(run_dir: &Path) -> Self {
        Self { run_dir: run_dir.to_owned() }
    }

    /// The folder of the checkpoint at `step`, relative to the run's folder.
    pub fn dir(step: u64) -> PathBuf {
        Path::new(FOLDER).join(format!("step-{step:08}"))
    }

    /// Updates done before the checkpoint in the folder `dir`.
    pub fn step_of(dir: &Path) -> Option<u64> {
        dir.file_name()?.to_str()?.strip_prefix("step-")?.parse().ok()
    }

    /// Update and folder of each checkpoint that has a name, newest first, and whether it is whole.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn all(&self) -> Result<Vec<(u64, PathBuf, bool)>, CheckpointError> {
        let folder = self.run_dir.join(FOLDER);
        let entries = match fs::read_dir(&folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
            entries => entries.map_err(at(&folder))?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let dir = Path::new(FOLDER).join(entry.map_err(at(&folder))?.file_name());
            if let Some(step) = Self::step_of(&dir) {
                let whole = self.verify(&dir).is_ok();
                all.push((step, dir, whole));
            }
        }
        all.sort_by_key(|(step, ..)| std::cmp::Reverse(*step));
        Ok(all)
    }

    /// The full path of the checkpoint in `dir`, which a log or a message may name.
    fn inside(&self, dir: &Path) -> Result<PathBuf, CheckpointError> {
        confine::inside(&self.run_dir, &dir.to_string_lossy())
            .map_err(|e| at(&self.run_dir)(e.into()))
    }

    /// Whether the checkpoint in `dir` exists.
    pub fn exists(&self, dir: &Path) -> bool {
        self.run_dir.join(dir).join(MANIFEST_FILE).is_file()
    }

    /// Saves what `write` writes and the trainer's `state`: into a hidden folder, syncs every file
    /// and the folder, and renames, so that after a crash the whole checkpoint is there or none.
    ///
    /// # Errors
    /// When the learner or a file fails; nothing is then left under the checkpoint's name.
    pub fn save(
        &self,
        step: u64,
        write: &dyn Fn(&Path) -> Result<(), LearnError>,
        state: &[u8],
    ) -> Result<Vec<SavedFile>, CheckpointError> {
        let dir = self.run_dir.join(Self::dir(step));
        let hidden = self.run_dir.join(FOLDER).join(format!(".step-{step:08}"));
        let result = self.fill(&hidden, step, write, state).and_then(|files| {
            // A resumed run may save a step again: the old one is hidden first, never mixed.
            if dir.exists() {
                let old = self.run_dir.join(FOLDER).join(format!(".old-{step:08}"));
                fs::rename(&dir, &old).map_err(at(&dir))?;
                fs::remove_dir_all(&old).map_err(at(&old))?;
            }
            fs::rename(&hidden, &dir).map_err(at(&dir))?;
            durable::sync_parent(&dir).map_err(at(&dir))?;
            Ok(files)
        });
        if result.is_err() {
            // The error is already on its way; what stays is hidden and removed at the next start.
            let _ = fs::remove_dir_all(&hidden);
        }
        result
    }

    fn fill(
        &self,
        hidden: &Path,
        step: u64,
        write: &dyn Fn(&Path) -> Result<(), LearnError>,
        state: &[u8],
    ) -> Result<Vec<SavedFile>, CheckpointError> {
        if hidden.exists() {
            fs::remove_dir_all(hidden).map_err(at(hidden))?;
        }
        fs::create_dir(hidden).map_err(at(hidden))?;
        write(hidden)
            .map_err(|source| CheckpointError::Learner { path: hidden.to_owned(), source })?;
        let state_path = hidden.join(STATE_FILE);
        durable::write(&state_path, state).map_err(at(&state_path))?;
        let mut files = Vec::new();
        for entry in fs::read_dir(hidden).map_err(at(hidden))? {
            let entry = entry.map_err(at(hidden))?;
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let mut file = File::open(&path).map_err(at(&path))?;
            let (digest, bytes) = Digest::of_reader(&mut file).map_err(at(&path))?;
            file.sync_all().map_err(at(&path))?;
            files.push(SavedFile { name, digest, bytes });
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let manifest = CheckpointManifest {
            version: 1,
            step,
            files: files.iter().map(ManifestFile::from).collect(),
        };
        let path = hidden.join(MANIFEST_FILE);
        let text = manifest
            .text()
            .map_err(|source| CheckpointError::CheckpointManifest { path: path.clone(), source })?;
        durable::write(&path, &text).map_err(at(&path))?;
        durable::sync_dir(hidden).map_err(at(hidden))?;
        Ok(files)
    }

    /// Checks every file of the checkpoint in `dir` against its manifest.
    ///
    /// # Errors
    /// When a file is missing or is not what the manifest says.
    pub fn verify(&self, dir: &Path) -> Result<CheckpointManifest, CheckpointError> {
        let dir = self.inside(dir)?;
        let path = dir.join(MANIFEST_FILE);
        let text = fs::read(&path).map_err(at(&path))?;
        let manifest: CheckpointManifest = serde_json::from_slice(&text)
            .map_err(|source| CheckpointError::CheckpointManifest { path: path.clone(), source })?;
        for file in &manifest.files {
            let path = confine::inside(&dir, &file.name).map_err(|e| at(&dir)(e.into()))?;
            let mut reader = File::open(&path).map_err(at(&path))?;
            let (found, _) = Digest::of_reader(&mut reader).map_err(at(&path))?;
            if found != file.blake3 {
                return Err(CheckpointError::Digest { path, expected: file.blake3, found });
            }
        }
        Ok(manifest)
    }

    /// Verifies the checkpoint in `dir`, whose manifest must have the digest `pinned` where one is
    /// given, loads it into `learner` and gives back the trainer's state.
    ///
    /// # Errors
    /// When it is damaged, another one, or does not fit the learner.
    pub fn load(
        &self,
        dir: &Path,
        pinned: Option<Digest>,
        learner: &mut dyn Learner,
    ) -> Result<Vec<u8>, CheckpointError> {
        let found = self.verify(dir)?.digest();
        if let Some(expected) = pinned.filter(|pinned| *pinned != found) {
            let path = self.run_dir.join(dir).join(MANIFEST_FILE);
            return Err(CheckpointError::Digest { path, expected, found });
        }
        let full = self.inside(dir)?;
        learner
            .load(&full)
            .map_err(|source| CheckpointError::Learner { path: full.clone(), source })?;
        let path = full.join(STATE_FILE);
        fs::read(&path).map_err(at(&path))
    }

    /// Removes the checkpoint in `dir`; it is hidden first, so that none is ever half there.
    ///
    /// # Errors
    /// When the folder cannot be renamed or removed.
    pub fn remove(&self, dir: &Path) -> Result<(), CheckpointError> {
        let full = self.inside(dir)?;
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        let hidden = self.run_dir.join(FOLDER).join(format!(".gone-{name}"));
        fs::rename(&full, &hidden).map_err(at(&full))?;
        fs::remove_dir_all(&hidden).map_err(at(&hidden))
    }
}

impl From<&SavedFile> for ManifestFile {
    fn from(file: &SavedFile) -> Self {
        Self { name: file.name.clone(), blake3: file.digest, bytes: file.bytes }
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
    let path = path.to_owned();
    move |source| CheckpointError::Io { path, source }
}
