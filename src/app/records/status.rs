//! What is in the workspace, and what is not as it should be.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use super::stored_files::{CheckedFile, Depth, FileKind, FileState, ReadProgress, check_files};
use crate::app::core::admitted::counting_checkpoint;
use crate::app::core::quarantine::strange_files;
use crate::app::core::refresh::CHANGED_VIEWS;
use crate::app::models::promotion_facts::PromotionFacts;
use crate::app::runs::run_files::decides_in_model;
use crate::app::{Error, Progress, Result, SilentRun, Workspace, models, records, runs, workspace};
use crate::base::{Digest, RunId};
use crate::domain::registry::RequestStatus;
use crate::domain::run::RunStatus;
use crate::projection::Snapshot;
use crate::projection::registry::{ModelRow, RequestRow};
use crate::projection::violations::ViolationRow;
use crate::store::WriteOptions;

/// What is in the workspace.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Status {
    /// The project's name.
    pub project: String,
    /// Runs, in any state.
    pub runs: usize,
    /// Runs that ended with a model.
    pub finished: usize,
    /// Runs under way.
    pub running: usize,
    /// How far each of them is that recorded its plan, by unique name.
    pub progress: Vec<(String, Progress)>,
    /// Runs that ended without a model.
    pub failed: usize,
    /// Runs that were stopped, or whose supervisor is gone.
    pub interrupted: usize,
    /// Runs of any state that lie in an archive.
    pub archived: usize,
    /// Runs of any state whose files are gone.
    pub deleted: usize,
    /// Models in production.
    pub production: usize,
    /// Which: name and version of each.
    pub models: Vec<ModelInProduction>,
    /// Finished runs that meet the rules in force.
    pub candidates: usize,
    /// Requests that wait.
    pub open_requests: Vec<OpenRequest>,
    /// Events in the log.
    pub events: u64,
    /// Events after the last signed log checkpoint.
    pub unsigned_tail: u64,
    /// Events that were not allowed where they stand, and change nothing.
    pub not_allowed: Vec<NotAllowed>,
    /// Revision of the rules in force.
    pub policy_revision: u64,
    /// Reported runs that have been silent for a day.
    pub silent_runs: Vec<SilentRun>,
    /// Registry files that are not what annals wrote.
    pub changed_files: Vec<String>,
}

/// An event that was not allowed where it stands.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct NotAllowed {
    /// Its position.
    pub position: u64,
    /// Its kind.
    pub kind: String,
    /// Its stream.
    pub stream: String,
    /// Who appended it, by name.
    pub actor: String,
    /// Why it was not allowed.
    pub reason: String,
}

impl NotAllowed {
    fn of(row: ViolationRow) -> Self {
        let (kind, stream) = (row.kind().name(), row.stream().to_string());
        Self { position: row.position, kind, stream, actor: row.actor, reason: row.reason }
    }
}

/// Warns whoever reads about a run of the events in its record that were not allowed.
pub(in crate::app) fn warn_of_violations(
    workspace: &Workspace,
    views: &Snapshot,
    run: RunId,
) -> Result<()> {
    for row in views.violations()?.into_iter().filter(|row| row.stream() == run.into()) {
        workspace.warnings.push(NotAllowed::of(row).to_string());
    }
    Ok(())
}

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, kind, stream, actor, reason } = self;
        write!(f, "event {position}, {kind} of {stream} by {actor}, was not allowed: {reason}")
    }
}

/// A model that is in production.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ModelInProduction {
    /// Its name.
    pub name: String,
    /// MAJOR.MINOR.PATCH.
    pub version: String,
    /// The unique name of its run.
    pub run: String,
}

/// A promotion request that waits.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct OpenRequest {
    /// The request's id, shortened.
    pub id: String,
    /// The run's unique name.
    pub run: String,
    /// The production name.
    pub name: String,
    /// Approvals so far.
    pub approvals: usize,
    /// Approvals needed.
    pub needed: u32,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Finding {
    /// What it is.
    pub what: String,
    /// What to do.
    pub advice: String,
}

/// What is in the workspace.
///
/// # Errors
/// When the log cannot be read.
pub fn status(workspace: &Workspace) -> Result<Status> {
    let views = workspace.snapshot()?;
    let (policy_revision, policy) = views.policy()?;
    let runs = views.runs()?;
    let mut counts = [0_usize; 4];
    let (mut archived, mut deleted, mut reported) = (0, 0, Vec::new());
    let mut progress = Vec::new();
    for run in runs.iter() {
        let run = run?;
        if runs::is_reported(&run) {
            reported.push((run.run, run.experiment_id.to_owned()));
        }
        archived += usize::from(run.archive.is_some());
        deleted += usize::from(run.deleted);
        match workspace.status_of(&run)? {
            RunStatus::Finished => counts[0] += 1,
            RunStatus::Running | RunStatus::Unknown => {
                counts[1] += 1;
                let found = workspace.progress_of(&views, run.run)?;
                progress.extend(found.map(|found| (run.experiment_id.to_owned(), found)));
            }
            RunStatus::Failed => counts[2] += 1,
            RunStatus::Interrupted => counts[3] += 1,
        }
    }
    let mut open_requests = Vec::new();
    for request in views.requests()?.into_iter().filter(|r| r.status == RequestStatus::Open) {
        open_requests.push(OpenRequest {
            id: request.request().short(8),
            run: views.run(request.run())?.map(|r| r.experiment_id).unwrap_or_default(),
            name: request.name.clone(),
            approvals: counted_approvals(workspace, &request)?,
            needed: policy.production_promotion.approvals,
        });
    }
    let mut models = Vec::new();
    for model in views.production()? {
        let run = views.run(model.run())?.map(|run| run.experiment_id).unwrap_or_default();
        models.push(ModelInProduction { name: model.name, version: model.version, run });
    }
    let candidates = models::candidates(workspace, &views)?;
    let (events, signed) = workspace.store.read(|log| {
        let size = views.size();
        let signed = counting_checkpoint(log, size)?.map_or(0, |(size, _)| size);
        Ok::<_, Error>((size, signed))
    })?;
    // Silence and edited files are of now.
    let past = workspace.looks_back();
    Ok(Status {
        project: workspace.settings.project.clone(),
        runs: runs.len(),
        finished: counts[0],
        running: counts[1],
        progress,
        failed: counts[2],
        interrupted: counts[3],
        archived,
        deleted,
        production: models.len(),
        models,
        candidates: candidates.iter().filter(|c| c.assessment.is_candidate()).count(),
        open_requests,
        events,
        unsigned_tail: events.saturating_sub(signed),
        not_allowed: views.violations()?.into_iter().map(NotAllowed::of).collect(),
        policy_revision,
        silent_runs: if past { vec![] } else { runs::silent_runs(workspace, reported)? },
        changed_files: if past { vec![] } else { workspace.exporter().edited() },
    })
}

/// Approvals of a request that count; of the past, those that were given.
fn counted_approvals(workspace: &Workspace, request: &RequestRow) -> Result<usize> {
    if workspace.looks_back() {
        return Ok(request.approvals.len());
    }
    let actor = &workspace.caller.actor;
    let facts =
        workspace.store.read(|log| PromotionFacts::read(log, request.run(), actor, None))?;
    Ok(facts.approvals(request.request()).len())
}

/// What is not as it should be. Stored files are compared by their sizes, or read as a whole.
///
/// # Errors
/// When the log cannot be read.
pub fn doctor(
    workspace: &Workspace,
    depth: Depth,
    progress: &dyn ReadProgress,
) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    if workspace.signer()?.is_none() {
        findings.push(finding(
            "no signing key of this log is on this machine".into(),
            "events that are appended here stay unsigned; use the account that created the \
             workspace",
        ));
    }
    let views = workspace.summed_snapshot()?;
    for row in views.violations()? {
        findings.push(finding(
            NotAllowed::of(row).to_string(),
            "it changes nothing; `annals log` shows who appended it and when",
        ));
    }
    if workspace.views().is_changed(&workspace.store)? {
        findings.push(finding(
            CHANGED_VIEWS.into(),
            "nothing was read from it; the next changing verb or `annals replay` rebuilds it",
        ));
    }
    for left in workspace.left_behind()? {
        findings.push(finding(left, "the next changing verb clears it"));
    }
    let differences = workspace.exporter().check(&views, &workspace.settings.project)?;
    for difference in differences {
        findings.push(finding(
            format!("{} is {}", difference.file, difference.what),
            "`annals replay` rewrites it and keeps edits in a separate file",
        ));
    }
    let mut reported = Vec::new();
    for run in views.runs()?.iter() {
        let run = run?;
        if runs::is_reported(&run) {
            reported.push((run.run, run.experiment_id.to_owned()));
        }
    }
    for silent in runs::silent_runs(workspace, reported)? {
        let (what, advice) = silent.advice();
        findings.push(finding(what, &advice));
    }
    for (digest, position, file) in workspace::missing_blobs(workspace)? {
        findings.push(finding(
            format!("blob {digest:.16} is missing: {file}, named by event {position}"),
            "take it from a copy of the workspace; nothing else has the recorded bytes",
        ));
    }
    findings.extend(strange_files(workspace)?);
    findings.extend(workspace.partings()?);
    findings.extend(records::misplaced(workspace, &views)?);
    for model in workspace.registry()?.production()? {
        findings.extend(models::damaged_model(workspace, &model));
        findings.extend(redacted_in_production(workspace, &model)?);
    }
    findings.extend(stored_files(workspace, depth, progress)?);
    Ok(findings)
}

fn finding(what: String, advice: &str) -> Finding {
    Finding { what, advice: advice.to_owned() }
}

/// Files of a model in production that were redacted after they decided its answers.
fn redacted_in_production(workspace: &Workspace, model: &ModelRow) -> Result<Vec<Finding>> {
    let redacted = runs::redacted_files(workspace)?;
    let mut findings = Vec::new();
    for (path, digest, ..) in model.files.iter().filter(|file| decides_in_model(&file.0)) {
        let redacted = digest.parse().ok().and_then(|d: Digest| redacted.get(&d));
        findings.extend(redacted.map(|at| {
            finding(
                format!("{}/{path} was redacted at event {at}", model.path),
                "the model's predictions have changed since; promote another run",
            )
        }));
    }
    Ok(findings)
}

/// Files that are not as recorded, but for what `doctor` names by itself: models in production,
/// folders and blobs that are missing.
fn stored_files(
    workspace: &Workspace,
    depth: Depth,
    progress: &dyn ReadProgress,
) -> Result<Vec<Finding>> {
    let report = check_files(workspace, depth, progress)?;
    let is_new = |file: &&CheckedFile| match file.kind {
        FileKind::RunFolder | FileKind::Production => false,
        FileKind::Blob => file.state != FileState::Missing,
        _ => true,
    };
    let finding = |file: &CheckedFile| {
        let of = &file.belongs_to;
        let advice = match file.state {
            FileState::Added => "look at it: no event names it".to_owned(),
            _ => "take it from a copy of the workspace; `annals verify --files` prints both \
                  digests"
                .to_owned(),
        };
        let what = match &file.expected {
            Some(expected) if file.state == FileState::Altered && depth == Depth::Size => {
                let found = file.found.as_deref().unwrap_or("none");
                format!("{} of {of} has {found}; {expected} were recorded", file.path)
            }
            _ => format!("{} of {of} is {}", file.path, file.state.word()),
        };
        Finding { what, advice }
    };
    Ok(report.findings().filter(is_new).map(finding).collect())
}

/// Makes the log's file as small as its content; gives its size before and after.
///
/// # Errors
/// When the log cannot be written.
pub fn compact(workspace: &Workspace) -> Result<(u64, u64)> {
    let size = || {
        let path = workspace.store.path();
        std::fs::metadata(&path)
            .map(|meta| meta.len())
            .map_err(|e| Error::io(format!("read {}", path.display()), e))
    };
    workspace.require_trust()?;
    let before = size()?;
    workspace.store.compact(&WriteOptions::interactive("doctor --compact", None))?;
    Ok((before, size()?))
}
