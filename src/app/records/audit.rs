//! The audit: facts from every event, and from the workspace where there is one, for the checks of
//! [`crate::analysis::audit`].

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::analysis::audit::{
    self, Audit, AuditFacts, CHECKS, ChangedFile, Check, Damage, LostEvents, RegistryFile,
    RunFacts, Severity, WorkspaceFiles, word,
};
use crate::app::core::admitted::{Judge, counting_checkpoint, people, violations};
use crate::app::records::window::scan;
use crate::app::{Error, ErrorKind, Result, Workspace, records};
use crate::base::suggest::nearest;
use crate::base::{Digest, FileDigests, RunId, Sha256Digest, counted};
use crate::domain::StreamId;
use crate::domain::run::RunStatus;
use crate::store::{Filter, Reader, Store};
use crate::train::checkpoint::{CheckpointError, Checkpoints, MANIFEST_FILE};
use crate::verify::{Options, verify};

/// By how much a test score may be worse than a validation score in a report.
const MARGIN: f64 = 0.05;

/// What is asked of an audit.
#[derive(Clone, Debug, Default)]
pub struct AuditRequest {
    /// Only these checks; all where there is none.
    pub only: Vec<String>,
    /// Not these.
    pub skip: Vec<String>,
    /// By how much a test score may be worse than a validation score.
    pub margin: f64,
    /// Whether the content of every file of every run is read.
    pub deep: bool,
}

/// A check of the audit.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CheckLine {
    /// Its name.
    pub check: &'static str,
    /// The severity of its findings.
    pub severity: Severity,
    /// What it finds.
    pub about: &'static str,
    /// Whether it needs a workspace, beside the log.
    pub needs_workspace: bool,
}

/// Every check of the audit.
pub fn audit_checks() -> Vec<CheckLine> {
    let line = |check: &Check| CheckLine {
        check: check.rule,
        severity: check.severity,
        about: check.about,
        needs_workspace: check.workspace,
    };
    CHECKS.iter().map(line).collect()
}

/// Findings as SARIF, which code scanning reads.
pub fn sarif(workspace: &Workspace, audit: &Audit) -> serde_json::Value {
    audit::sarif(audit, &log_name(workspace))
}

/// Everything that a careful reviewer would find in the record.
///
/// # Errors
/// [`ErrorKind::NotFound`] for a check that there is not; when files cannot be read for
/// reasons that are not damage.
pub fn audit(workspace: &Workspace, request: &AuditRequest) -> Result<Audit> {
    request.only.iter().chain(&request.skip).try_for_each(|rule| known(rule))?;
    let wanted = |check: &Check| {
        let named = |rules: &[String]| rules.iter().any(|rule| rule == check.rule);
        (request.only.is_empty() || named(&request.only)) && !named(&request.skip)
    };
    let wants = |rule: &str| CHECKS.iter().any(|check| check.rule == rule && wanted(check));
    let mut facts = AuditFacts::new(request.margin);
    if wants("record-damaged") {
        facts.damage = damage(workspace)?;
    }
    // Reads past damage, also in a workspace, where every other verb stops at it.
    let store = if workspace.scope.alone {
        workspace.store.clone()
    } else {
        workspace.store.clone().tolerate_damage()
    };
    collect(workspace, &store, &mut facts, None)?;
    if !workspace.scope.alone {
        facts.now = Some(workspace.env.now());
        // Views and files cannot be compared with what cannot be read.
        if facts.damage.is_empty() && facts.lost.is_empty() {
            facts.workspace = Some(on_disk(workspace, &facts, request.deep)?);
        }
    }
    let mut found = audit::audit(&facts, wanted);
    if workspace.scope.alone {
        let file = format!(" --log {}", word(&log_name(workspace)));
        found.findings.iter_mut().for_each(|finding| finding.command.push_str(&file));
    }
    Ok(found)
}

/// What the checks find that need the events alone, up to a size of the log.
///
/// # Errors
/// When the log cannot be read.
pub(in crate::app) fn audit_record(workspace: &Workspace, size: u64) -> Result<Audit> {
    let mut facts = AuditFacts::new(MARGIN);
    collect(workspace, &workspace.store, &mut facts, Some(size))?;
    // Whoever is alive now says nothing about the record.
    let of_now = [
        "record-damaged",
        "unsigned-tail",
        "command-without-end",
        "move-without-end",
        "run-without-end",
    ];
    Ok(audit::audit(&facts, |check| !check.workspace && !of_now.contains(&check.rule)))
}

/// The log's file, as somebody in the current folder calls it.
pub(in crate::app) fn log_name(workspace: &Workspace) -> String {
    let path = workspace.store.path();
    let base = if workspace.scope.alone { &workspace.caller.cwd } else { &workspace.root };
    path.strip_prefix(base).unwrap_or(&path).display().to_string()
}

/// What recomputing the record finds; strictly, for a reader past damage would pass over it.
fn damage(workspace: &Workspace) -> Result<Vec<Damage>> {
    let strict = match workspace.scope.alone {
        true => Store::open_file(&workspace.store.path(), workspace.env.clone())?,
        false => workspace.store.clone(),
    };
    let blobs = (!workspace.scope.alone).then(|| workspace.blobs.clone());
    let report = verify(&strict, &Options { blobs, ..Options::default() })?;
    let damage = |finding: crate::verify::Finding| Damage {
        position: finding.position,
        what: finding.what,
        expected: finding.expected,
        found: finding.found,
    };
    Ok(report.findings.into_iter().map(damage).collect())
}

fn collect(
    workspace: &Workspace,
    store: &Store,
    facts: &mut AuditFacts,
    size: Option<u64>,
) -> Result<()> {
    let whole = store.read(|log| Ok::<_, Error>(log.size()))?;
    facts.size = size.map_or(whole, |size| size.min(whole));
    // They are named as such; nothing else follows from them.
    let not_allowed = Judge::new(workspace).not_allowed(true)?;
    scan(store, 0..facts.size, &Filter::default(), |envelope| {
        if not_allowed.contains(&envelope.header.position) {
            return Ok(());
        }
        let event = AuditFacts::wants(&envelope.header).then(|| envelope.event());
        facts.take(&envelope.header, event);
        Ok(())
    })?;
    if !workspace.scope.alone {
        let open = facts.open.iter();
        let alive = open.filter(|(_, (_, started))| workspace.live.is_alive(started.invocation));
        facts.alive = alive.map(|(position, _)| *position).collect();
    }
    let lost = store.lost().into_iter();
    facts.lost = lost.map(|l| LostEvents { first: l.first, last: l.last, why: l.why }).collect();
    // Reads some of the lost ones again, which is no other loss.
    let signed = store.read(|log| counting_checkpoint(log, facts.size))?;
    facts.signed = signed.map_or(0, |(size, _)| size);
    store.read(|log| judge(log, facts))
}

/// What was not allowed among the events that decide what is in production, and whose keys count.
fn judge(log: &Reader, facts: &mut AuditFacts) -> Result<()> {
    for stream in [StreamId::POLICY, StreamId::REGISTRY] {
        let disallowed = violations(log, stream)?.into_iter().map(|violation| violation.position);
        facts.disallowed.extend(disallowed);
    }
    let promoted: BTreeSet<RunId> = facts.promotions.iter().map(|p| p.promoted.run).collect();
    for run in promoted {
        let first = violations(log, run)?.first().map(|violation| (run, violation.position));
        facts.disputed.extend(first);
    }
    let people = people(log)?;
    let vouched = people.keys().iter().filter(|key| key.vouched.is_some());
    facts.vouched = vouched.map(|key| key.position).collect();
    Ok(())
}

/// What lies in the workspace, against what the events say.
fn on_disk(workspace: &Workspace, facts: &AuditFacts, deep: bool) -> Result<WorkspaceFiles> {
    let mut files = WorkspaceFiles::default();
    // A layout may have generated files beside the models.
    let mut known: BTreeSet<String> = workspace.exporter().remembered().into_iter().collect();
    for (promotion, _) in facts.in_production() {
        let Some(version) = facts.version(promotion) else { continue };
        for file in &version.files {
            let path = format!("{}/{}", version.path, file.path);
            let (expected, found) = as_recorded(workspace, &path, file.digest, file.sha256)?;
            if found.as_ref() != Some(&expected) {
                files.production.push(ChangedFile {
                    path: path.clone(),
                    subject: promotion.subject(),
                    position: promotion.at.position,
                    expected,
                    found,
                });
            }
            known.insert(path);
        }
    }
    // What is on its way is in no event yet.
    if !workspace.live.any_alive() {
        walk(workspace, &workspace.layout.production, &mut |path| {
            if !known.contains(&path) {
                files.strangers.push(path);
            }
        })?;
    }
    files.runs = changed_run_files(workspace, facts, deep)?;
    files.edited = workspace.exporter().edited();
    let disagreeing = records::replay_check(workspace, None)?.into_iter();
    let disagreeing = disagreeing.map(|difference| RegistryFile {
        path: difference.file,
        what: difference.what.to_owned(),
        line: difference.line,
    });
    files.disagreeing = disagreeing.collect();
    let misplaced = records::misplaced(workspace, &workspace.summed_snapshot()?)?;
    files.misplaced = misplaced.into_iter().map(|finding| finding.what).collect();
    Ok(files)
}

/// Files of runs that ended and lie unpacked, which are not what was recorded.
fn changed_run_files(
    workspace: &Workspace,
    facts: &AuditFacts,
    deep: bool,
) -> Result<Vec<ChangedFile>> {
    let mut changed = Vec::new();
    let ended = |status| !matches!(status, RunStatus::Running | RunStatus::Unknown);
    let runs = facts.runs.values().filter(|run| ended(run.state.status));
    let is_there = |folder: &str| workspace.inside(folder).is_ok_and(|folder| folder.is_dir());
    for run in runs.filter(|run| !run.state.deleted && is_there(&run.state.folder)) {
        if deep {
            changed_training_files(workspace, run, &mut changed)?;
        }
        if run.state.pack.is_some() {
            continue;
        }
        for artifact in run.state.artifacts.values() {
            let Some(inside) = &artifact.path else { continue };
            if run.state.dropped.contains(inside) {
                continue;
            }
            let path = format!("{}/{inside}", run.state.folder);
            let bytes = |bytes: u64| counted(bytes, "byte");
            let size = workspace.inside(&path).ok().and_then(|path| fs::metadata(path).ok());
            let size = size.map(|meta| bytes(meta.len()));
            let (mut expected, mut found) = (bytes(artifact.bytes), size);
            if deep && found.as_ref() == Some(&expected) {
                (expected, found) =
                    as_recorded(workspace, &path, artifact.digest, artifact.sha256)?;
            }
            if found.as_ref() != Some(&expected) {
                changed.push(ChangedFile {
                    path,
                    subject: run.subject(),
                    position: run.ended.unwrap_or(run.at.position),
                    expected,
                    found,
                });
            }
        }
    }
    Ok(changed)
}

/// What a training left beside its artifacts, and packs: read as a whole.
fn changed_training_files(
    workspace: &Workspace,
    run: &RunFacts,
    changed: &mut Vec<ChangedFile>,
) -> Result<()> {
    let (state, position) = (&run.state, run.ended.unwrap_or(run.at.position));
    let mut compared = |inside: &str, (expected, found): (String, Option<String>)| {
        if found.as_ref().is_some_and(|found| *found != expected) {
            let path = format!("{}/{inside}", state.folder);
            let subject = run.subject();
            changed.push(ChangedFile { path, subject, position, expected, found });
        }
    };
    if let (Some(pack), Some(expected)) = (state.pack, state.pack_digest) {
        let path = format!("{}/{}", state.folder, pack.file());
        compared(pack.file(), as_recorded(workspace, &path, expected, state.pack_sha256)?);
        return Ok(());
    }
    let mut found = |inside: &str, expected: Digest, found: Option<String>| {
        compared(inside, (expected.to_string(), found));
    };
    let digest = |inside: &str| digest_of(workspace, &format!("{}/{inside}", state.folder));
    let rows = "config/dataset.bin";
    // Of a script's run it is a digest of the digests of its files.
    found(rows, run.started.data.prepared, digest(rows)?);
    for file in &run.started.data.files {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        if name.starts_with("sample_data.") {
            let inside = format!("config/{name}");
            found(&inside, file.digest, digest(&inside)?);
        }
    }
    let Ok(folder) = workspace.inside(&state.folder) else { return Ok(()) };
    for saved in state.checkpoints.values() {
        let manifest = format!("{}/{MANIFEST_FILE}", saved.path);
        // One that is gone can mislead nobody.
        if digest(&manifest)?.is_none() {
            continue;
        }
        match Checkpoints::at(&folder).verify(Path::new(&saved.path)) {
            Ok(read) => found(&manifest, saved.digest, Some(read.digest().to_string())),
            Err(CheckpointError::Digest { path, expected, found: is }) => {
                let inside = path.strip_prefix(&folder).unwrap_or(&path);
                found(&inside.to_string_lossy(), expected, Some(is.to_string()));
            }
            Err(error) => found(&manifest, saved.digest, Some(error.to_string())),
        }
    }
    Ok(())
}

/// Digest of a file of the workspace; none where it is missing.
fn digest_of(workspace: &Workspace, path: &str) -> Result<Option<String>> {
    let read = read(workspace, path, Digest::of_reader)?;
    Ok(read.map(|read| read.map_or_else(|why| why, |digest| digest.to_string())))
}

/// A file of the workspace, as it was recorded and as it is; none where it is missing. They
/// are told by SHA-256 where that alone is another one.
fn as_recorded(
    workspace: &Workspace,
    path: &str,
    digest: Digest,
    sha256: Option<Sha256Digest>,
) -> Result<(String, Option<String>)> {
    let found = match read(workspace, path, FileDigests::of_reader)? {
        None => None,
        Some(Err(why)) => Some(why),
        Some(Ok(found)) => match sha256.filter(|sha256| *sha256 != found.sha256) {
            Some(sha256) if found.blake3 == digest => {
                let words = [sha256, found.sha256].map(|sha256| format!("sha256:{sha256}"));
                let [expected, found] = words;
                return Ok((expected, Some(found)));
            }
            _ => Some(found.blake3.to_string()),
        },
    };
    Ok((digest.to_string(), found))
}

/// What `read` makes of a file of the workspace, or why it cannot be read; none where it is
/// missing.
pub(in crate::app) fn read<T>(
    workspace: &Workspace,
    path: &str,
    read: fn(&mut File) -> std::io::Result<(T, u64)>,
) -> Result<Option<std::result::Result<T, String>>> {
    let Ok(full) = workspace.inside(path) else { return Ok(None) };
    // Opening a pipe would wait for its other end.
    match fs::metadata(&full) {
        Ok(meta) if !meta.is_file() => return Ok(Some(Err("not a plain file".into()))),
        _ => {}
    }
    let read = File::open(full).and_then(|mut f| read(&mut f));
    match read {
        Ok((digests, _)) => Ok(Some(Ok(digests))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Ok(Some(Err(format!("unreadable: {e}")))),
    }
}

/// Hands out the paths of all files under a folder of the workspace, in order.
fn walk(workspace: &Workspace, folder: &str, each: &mut dyn FnMut(String)) -> Result<()> {
    let Ok(full) = workspace.inside(folder) else { return Ok(()) };
    let mut inside: Vec<(String, bool)> = match fs::read_dir(full) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        // What cannot be listed holds nothing that could be named.
        Err(_) => return Ok(()),
        Ok(entries) => entries
            .flatten()
            .map(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                (name, entry.file_type().is_ok_and(|kind| kind.is_dir()))
            })
            .collect(),
    };
    inside.sort_unstable();
    for (name, is_folder) in inside {
        let path = Path::new(folder).join(name).display().to_string();
        if is_folder {
            walk(workspace, &path, each)?;
        } else {
            each(path);
        }
    }
    Ok(())
}

fn known(rule: &str) -> Result<()> {
    if CHECKS.iter().any(|check| check.rule == rule) {
        return Ok(());
    }
    let error = Error::new(ErrorKind::NotFound, format!("there is no check \"{rule}\""));
    Err(match nearest(rule, CHECKS.iter().map(|check| check.rule)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`annals audit --list` shows all"),
    })
}
