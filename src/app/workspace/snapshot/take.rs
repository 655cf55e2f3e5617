//! Taking snapshots, and finding those that were taken.

use std::path::{Path, PathBuf};
use std::process::Command;

use schemars::JsonSchema;
use serde::Serialize;

use super::code;
use super::manifest::{escaped, unescaped};
use super::{Content, Entry, PythonEnvironment, SnapshotManifest, Verified};
use crate::app::core::admitted::admitted;
use crate::app::core::environment::{EngineFacts, cpus};
use crate::app::{
    Error, ErrorKind, Programs, Result, Workspace, fold_policy, fold_run, records, workspace,
};
use crate::base::{Digest, FileDigests, RunId, Timestamp};
use crate::domain::IdentityLevel;
use crate::domain::run::{Artifact, RunState};
use crate::domain::workspace::{self as stream, WorkspaceCommand, WorkspaceEvent, WorkspaceStream};
use crate::domain::{Event, StreamId};
use crate::projection::registry::ModelRow;
use crate::store::{Access, View};
use crate::supervise::Engine;

/// Plain permissions of what has no file of its own.
const MODE: u32 = 0o644;
/// Least letters of a digest that stand for a snapshot.
const PREFIX_MIN: usize = 4;

/// What shall be kept beside code, settings, environment and models.
#[derive(Clone, Debug, Default)]
pub struct SnapshotRequest {
    /// What to say about it.
    pub message: Option<String>,
    /// Runs to name: their stored files are kept, and the rules about old runs leave them alone.
    pub runs: Vec<RunId>,
    /// Where the engine is, which knows its libtorch.
    pub programs: Option<Programs>,
}

/// A snapshot, as the log tells of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SnapshotLine {
    /// Its name: the digest of its list.
    pub snapshot: Digest,
    /// Position of the event.
    pub position: u64,
    /// When.
    pub recorded: Timestamp,
    /// Who, as far as the log knows.
    pub actor: String,
    /// `claimed` or `signed`.
    pub identity: IdentityLevel,
    /// What was said about it.
    pub message: Option<String>,
    /// How many files.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
    /// Commit of the code.
    pub commit: Option<String>,
    /// Whether the code differed from the commit.
    pub dirty: bool,
    /// Models in production.
    pub models: Vec<String>,
    /// Runs that it names.
    pub runs: Vec<RunId>,
}

/// A snapshot that was taken just now.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Its name.
    pub snapshot: Digest,
    /// What is in it.
    pub manifest: SnapshotManifest,
    /// Whether it is new: the same content was not kept before with the same words.
    pub new: bool,
}

/// A snapshot that was taken, as programs read it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SnapshotCreated {
    /// Its name.
    pub snapshot: Digest,
    /// Whether it is new.
    pub new: bool,
    /// How many files.
    pub files: usize,
    /// Their size.
    pub bytes: u64,
    /// Paths that are neither file, folder nor link.
    pub left_out: Vec<String>,
}

impl From<&Taken> for SnapshotCreated {
    fn from(taken: &Taken) -> Self {
        Self {
            snapshot: taken.snapshot,
            new: taken.new,
            files: taken.manifest.entries.len(),
            bytes: taken.manifest.bytes(),
            left_out: taken.manifest.left_out.clone(),
        }
    }
}

/// A snapshot with its content.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SnapshotShown {
    /// When and by whom it was taken.
    pub taken: SnapshotLine,
    /// Its content.
    pub content: SnapshotManifest,
}

/// A snapshot whose files were checked.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SnapshotVerified {
    /// Its name.
    pub snapshot: Digest,
    /// What was found.
    pub found: Verified,
}

/// A snapshot whose files were written into a folder.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SnapshotRestored {
    /// Its name.
    pub snapshot: Digest,
    /// The folder.
    pub to: PathBuf,
    /// How many files.
    pub files: usize,
}

/// Keeps everything as it is now. The same content with the same words is kept once.
///
/// # Errors
/// When a file cannot be read, a name is not UTF-8, or git cannot be asked; nothing is then
/// in the log.
pub fn take_snapshot(workspace: &Workspace, request: &SnapshotRequest) -> Result<Taken> {
    workspace.require_trust()?;
    let manifest = describe(workspace, request)?;
    let digests = put_or_digest(workspace, &manifest.encode()?)?;
    let git = manifest.environment.git.as_ref();
    let content = stream::SnapshotContent {
        manifest: digests,
        message: request.message.clone(),
        files: manifest.entries.len() as u64,
        bytes: manifest.bytes(),
        commit: git.map(|git| git.commit.clone()),
        dirty: git.is_some_and(|git| git.dirty),
        models: manifest.models.iter().map(|(name, _)| name.clone()).collect(),
        runs: manifest.runs.clone(),
    };
    let new = workspace.decide("snapshot create", |tx| {
        let command = WorkspaceCommand::TakeSnapshot(content);
        Ok(!tx.decide::<WorkspaceStream>((), command, &())?.events().is_empty())
    })?;
    workspace.refresh()?;
    Ok(Taken { snapshot: digests.blake3, manifest, new })
}

/// Every file and fact, the files in the blob store.
fn describe(workspace: &Workspace, request: &SnapshotRequest) -> Result<SnapshotManifest> {
    let (mut entries, mut left_out) = (Vec::new(), Vec::new());
    let code = code::code(workspace)?;
    for path in &code.paths {
        let from = code.top.join(unescaped(path).unwrap_or_default());
        entries.extend(code::keep_file(workspace, &from, format!("code/{path}"), &mut left_out)?);
    }
    let packages = entries.iter().filter_map(|entry| entry.path.strip_prefix("code/"));
    let packages = packages.filter(|path| code::pins_packages(path)).map(str::to_owned);
    let packages = packages.collect();
    let (mut environment, _) = workspace.environment(EngineFacts {
        libtorch: request.programs.as_ref().and_then(|p| libtorch(workspace, p)).as_deref(),
        threads: cpus(),
        device: "cpu",
        accelerators: vec![],
    });
    let tree = code.tree.as_ref();
    if let Some((git, tree)) = environment.git.as_mut().zip(tree)
        && let Some(difference) = workspace::difference(workspace, tree, &["--binary"])?
    {
        let entry = keep_bytes(workspace, "uncommitted.diff", &difference)?;
        git.diff = Some(Digest::of(&difference));
        entries.push(entry);
    }
    let (policy_revision, policy, origin) = workspace.store.read(|log| {
        let state = fold_policy(log)?;
        Ok::<_, Error>((state.revision(), state.policy, log.origin().to_owned()))
    })?;
    let policy = serde_json::to_vec_pretty(&policy).unwrap_or_default();
    entries.push(keep_bytes(workspace, "config/policy.json", &policy)?);
    let settings = workspace.root.join("annals.toml");
    entries.extend(code::keep_file(
        workspace,
        &settings,
        "config/annals.toml".into(),
        &mut left_out,
    )?);
    let models = keep_models(workspace, &mut entries)?;
    let runs = keep_runs(workspace, request, &mut entries)?;
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let root = workspace.root.canonicalize().unwrap_or_else(|_| workspace.root.clone());
    let inside = root.strip_prefix(&code.top).ok().map(|p| p.to_string_lossy().into_owned());
    Ok(SnapshotManifest {
        format: super::manifest::FORMAT,
        origin,
        workspace_in_tree: inside.filter(|_| tree.is_some()),
        tree: tree.and_then(|tree| tree.ask(&["rev-parse", "--verify", "HEAD^{tree}"])),
        environment,
        rust: rustc(&code.top),
        python: PythonEnvironment::find(&root, &code.top, &workspace.caller.folders),
        packages,
        policy_revision,
        models,
        runs,
        left_out,
        entries,
    })
}

fn keep_bytes(workspace: &Workspace, path: &str, bytes: &[u8]) -> Result<Entry> {
    let FileDigests { blake3: digest, sha256 } = put_or_digest(workspace, bytes)?;
    let (sha256, bytes) = (Some(sha256), bytes.len() as u64);
    let content = Content::File { digest, sha256, bytes, mode: MODE };
    Ok(Entry { path: path.to_owned(), content })
}

/// As [`put_or_digest`], for a file.
pub(super) fn put_file_or_digest(workspace: &Workspace, from: &Path) -> Result<(FileDigests, u64)> {
    if !workspace.dry_run {
        return Ok(workspace.blobs.put_file(from)?);
    }
    std::fs::File::open(from)
        .and_then(|mut file| FileDigests::of_reader(&mut file))
        .map_err(|e| Error::io(format!("read {}", from.display()), e))
}

/// Stores bytes; in a dry run only their digest is computed.
pub(super) fn put_or_digest(workspace: &Workspace, bytes: &[u8]) -> Result<FileDigests> {
    Ok(if workspace.dry_run { FileDigests::of(bytes) } else { workspace.blobs.put(bytes)? })
}

/// The models in production, whose files the blob store has.
fn keep_models(workspace: &Workspace, entries: &mut Vec<Entry>) -> Result<Vec<(String, String)>> {
    let mut models = Vec::new();
    for model in workspace.registry()?.production()? {
        for (path, digest, bytes, sha256) in model.files {
            let bug = |_| Error::new(ErrorKind::Bug, "BUG: a model's file has no digest");
            let digest = digest.parse().map_err(bug)?;
            let sha256 = sha256.map(|text| text.parse().map_err(bug)).transpose()?;
            let content = Content::File { digest, sha256, bytes, mode: MODE };
            let path = format!("models/{}/{}", model.name, escaped(path.as_bytes()));
            entries.push(Entry { path, content });
        }
        models.push((model.name, model.version));
    }
    Ok(models)
}

/// What the blob store has of the runs that the request names, and of those in production.
fn keep_runs(
    workspace: &Workspace,
    request: &SnapshotRequest,
    entries: &mut Vec<Entry>,
) -> Result<Vec<RunId>> {
    let mut runs = request.runs.clone();
    runs.sort_unstable();
    runs.dedup();
    for run in &runs {
        let state = workspace.store.read(|log| fold_run(log, *run))?;
        entries.extend(stored_files(workspace, &state));
    }
    runs.extend(workspace.registry()?.production()?.iter().map(ModelRow::run));
    runs.sort_unstable();
    runs.dedup();
    Ok(runs)
}

fn stored_files(workspace: &Workspace, run: &RunState) -> Vec<Entry> {
    let files = run.artifacts.values().filter_map(|artifact| {
        let path = artifact.path.as_ref().filter(|path| !run.dropped.contains(*path))?;
        let Artifact { digest, sha256, bytes, .. } = *artifact;
        // Training checkpoints stay in the run's folder and have no blob.
        workspace.blobs.contains(digest).then(|| Entry {
            path: format!("runs/{}/{}", run.experiment_id, escaped(path.as_bytes())),
            content: Content::File { digest, sha256, bytes, mode: MODE },
        })
    });
    files.collect()
}

/// Version of the engine's libtorch; none where there is no engine.
fn libtorch(workspace: &Workspace, programs: &Programs) -> Option<String> {
    let log = workspace.root.join(format!(".annals/engine.{}.log", std::process::id()));
    let engine = Engine::start(&programs.torch, &[], &log);
    let libtorch = engine.ok().and_then(|engine| engine.hello().libtorch.clone());
    // What it said is of no use once it is gone.
    let _ = std::fs::remove_file(log);
    libtorch
}

/// Every snapshot, newest first.
///
/// # Errors
/// When the log cannot be read.
pub fn snapshots(workspace: &Workspace) -> Result<Vec<SnapshotLine>> {
    let all = workspace.store.read(all_taken)?;
    let lines = all.into_iter().rev().map(|(position, taken)| {
        let line = records::event(workspace, position)?;
        Ok(SnapshotLine {
            snapshot: taken.manifest,
            position,
            recorded: line.recorded,
            actor: line.actor,
            identity: line.identity,
            message: taken.message,
            files: taken.files,
            bytes: taken.bytes,
            commit: taken.commit,
            dirty: taken.dirty,
            models: taken.models,
            runs: taken.runs,
        })
    });
    lines.collect()
}

/// The snapshot that `text` names: the first letters of its digest, or `latest`.
///
/// # Errors
/// [`ErrorKind::NotFound`] and, when several begin so, [`ErrorKind::Usage`].
pub fn find_snapshot(workspace: &Workspace, text: &str) -> Result<SnapshotLine> {
    let mut all = snapshots(workspace)?;
    if text == "latest" && !all.is_empty() {
        return Ok(all.swap_remove(0));
    }
    let long = text.len() >= PREFIX_MIN;
    all.retain(|line| long && line.snapshot.to_string().starts_with(text));
    all.dedup_by_key(|line| line.snapshot);
    let (count, first) = (all.len(), all.into_iter().next());
    match (first, count) {
        (Some(line), 1) => Ok(line),
        (Some(_), count) => {
            let message = format!("\"{text}\" fits {count} snapshots");
            Err(Error::new(ErrorKind::Usage, message).hint("use a longer prefix"))
        }
        (None, _) => {
            let message = format!("there is no snapshot \"{text}\"");
            Err(Error::new(ErrorKind::NotFound, message)
                .hint("`annals snapshot list` shows all; four letters are the least"))
        }
    }
}

/// What is in a snapshot.
///
/// # Errors
/// [`ErrorKind::Integrity`] when its list is missing or damaged.
pub fn manifest(workspace: &Workspace, snapshot: Digest) -> Result<SnapshotManifest> {
    let bytes = workspace.blobs.get(snapshot).map_err(|e| {
        let hint = format!("it is the list of files of snapshot {}", snapshot.short(12));
        Error::from(e).hint(hint)
    })?;
    SnapshotManifest::decode(&bytes)
}

/// Every snapshot with its position, oldest first.
fn all_taken<A: Access>(log: &View<A>) -> Result<Vec<(u64, stream::SnapshotTaken)>> {
    let events = admitted(log, StreamId::WORKSPACE)?;
    let taken = events.iter().filter_map(|envelope| match envelope.event() {
        Ok(Event::Workspace(WorkspaceEvent::SnapshotTaken(taken))) => {
            Some((envelope.header.position, taken))
        }
        _ => None,
    });
    Ok(taken.collect())
}

/// The compiler: what the code's folder pins, as it is written there, else the one that runs. It
/// is not asked in the code's folder, whose `rust-toolchain.toml` may name any program.
fn rustc(top: &Path) -> Option<String> {
    for name in ["rust-toolchain.toml", "rust-toolchain"] {
        let path = top.join(name);
        // A pipe would be waited for without end.
        let Some(true) = path.metadata().ok().map(|meta| meta.is_file()) else { continue };
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        let channel = text.lines().find_map(|line| {
            let value = line.split_once('=').filter(|(key, _)| key.trim() == "channel");
            value.map(|(_, value)| value.trim().trim_matches(['"', '\'']).to_owned())
        });
        let channel = channel.unwrap_or_else(|| text.trim().to_owned());
        return Some(format!("{channel} (pinned by {name})"));
    }
    let output = Command::new("rustc").arg("--version").current_dir("/").output().ok()?;
    let printed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !printed.is_empty()).then_some(printed)
}
