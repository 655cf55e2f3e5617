//! What a script reports of its run: points, files, the end. Each call is one invocation, and in
//! the log when it returns.

use std::collections::BTreeMap;
use std::path::Path;

use rustix::fs::RenameFlags;
use schemars::JsonSchema;
use serde::Serialize;

use super::line::{self, merged};
use super::pending::Pending;
use super::script_output::{EPOCH_MAX, STEP_MAX};
use crate::app::core::admitted::admitted;
use crate::app::core::draft::Draft;
use crate::app::core::session::Tx;
use crate::app::{Error, ErrorKind, Result, Workspace, fold_policy, fold_run};
use crate::base::confine::Folder;
use crate::base::limits::PAYLOAD_INLINE_BYTES_MAX;
use crate::base::{Digest, FileDigests, RunId, Split, Timestamp, codec, durable};
use crate::domain::history::History;
use crate::domain::metric::{Evaluation, FinalMetric, MetricKey};
use crate::domain::run::{
    Ending, RunCommand, RunEvent, RunFacts, RunOutcome, RunState, RunStatus, RunStream, StoredFile,
    UnrecordedReason, UnrecordedSeries, UnrecordedValues,
};
use crate::domain::{Event, Name, Provenance};
use crate::projection::metrics::MetricRow;
use crate::store::{Filter, copy_into};

/// Metrics of one step.
#[derive(Clone, Debug, Default)]
pub struct MetricPoints {
    /// The values, one of each series; see [`runs::metric`](crate::app::runs::metric).
    pub values: Vec<FinalMetric>,
    /// Updates done; the epoch, or one more than the last, where none is given.
    pub step: Option<u64>,
    /// Passes over the training rows done.
    pub epoch: Option<f64>,
    /// Who gives them.
    pub source: ReportedBy,
}

/// Who gives values to a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReportedBy {
    /// A program that uses annals as a library.
    #[default]
    Program,
    /// Somebody through the command line: a script, or a person without a terminal.
    CommandLine,
    /// A person at a terminal.
    Person,
}

impl ReportedBy {
    /// How points come to the log. A value is taken for a script's as long as nothing tells that a
    /// person typed it.
    fn provenance(self) -> Provenance {
        match self {
            Self::Program | Self::CommandLine => Provenance::Reported,
            Self::Person => Provenance::Typed,
        }
    }
}

/// How a run ended well.
#[derive(Clone, Debug, Default)]
pub struct RunResult {
    /// Final values; the last one of each series where none is given.
    pub values: Vec<FinalMetric>,
    /// Confusion matrices and the scores that follow from them.
    pub evaluations: Vec<Evaluation>,
    /// Passes over the training rows done.
    pub epochs: u32,
    /// Trainable numbers, where known.
    pub parameters: Option<u64>,
    /// Who gives them.
    pub source: ReportedBy,
}

/// What [`RunOutcome`] is made from.
pub(super) struct FinalScores {
    pub(super) metrics: Vec<FinalMetric>,
    pub(super) evaluations: Vec<Evaluation>,
    pub(super) steps: u64,
    pub(super) epochs: u32,
    pub(super) parameters: Option<u64>,
    pub(super) seconds: f64,
}

/// Metrics that were recorded.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct MetricsLogged {
    /// The step they were recorded at.
    pub step: u64,
}

/// A run that a script ended.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RunEnded {
    /// The run.
    pub run_id: Option<RunId>,
    /// Its unique name.
    pub experiment_id: String,
    /// How it ended.
    pub status: RunStatus,
    /// Final values.
    pub metrics: Vec<FinalMetric>,
}

impl From<&RunState> for RunEnded {
    fn from(run: &RunState) -> Self {
        Self {
            run_id: run.id,
            experiment_id: run.experiment_id.clone(),
            status: run.status,
            metrics: run.metrics.clone(),
        }
    }
}

/// Records points of a run under way.
///
/// # Errors
/// [`ErrorKind::Usage`] and [`ErrorKind::Data`] for a bad metric; [`ErrorKind::Rejected`]
/// when the run has ended.
pub fn log_metrics(workspace: &Workspace, run: RunId, points: &MetricPoints) -> Result<u64> {
    line::check(&points.values)?;
    let values = &points.values;
    if values.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "no metric was given")
            .hint("annals run log RUN valid/loss=0.3 valid/accuracy=0.9 --step 10"));
    }
    let (given, now) = (given_step(points.step, points.epoch)?, workspace.env.now());
    let mut step = given.unwrap_or(0);
    let known = known_series(workspace, run)?;
    let by = points.source.provenance();
    report(workspace, "run log", |tx| {
        if given.is_none() {
            // Inside the transaction: two callers never get the same.
            let highest = known.now(tx, run)?.iter().map(|row| row.highest_step).max();
            let next = highest.map_or(0, |highest| highest + 1);
            step = if next <= STEP_MAX { next } else { return Err(no_next_step()) };
        }
        let commands = batches(values, step, points.epoch, now);
        tell(tx, run, by, |_| Ok(commands))
    })?;
    Ok(step)
}

/// The series of a run as the views have them, to be brought up to date in a transaction. Only the
/// step of a point may follow from them; what a run ended with is read from the log.
fn known_series(workspace: &Workspace, run: RunId) -> Result<KnownSeries> {
    let snapshot = workspace.snapshot()?;
    Ok(KnownSeries { rows: snapshot.metrics(run)?, size: snapshot.size() })
}

/// Keeps a file of a run under way, in its folder and in the blob store, as `what`: `weights`,
/// `vocabulary`, `labels`, or a word of the script's own. The same bytes again change nothing.
///
/// # Errors
/// When the file cannot be read, is no plain file, or the run has ended.
pub fn save_file(workspace: &Workspace, run: RunId, file: &Path, what: &str) -> Result<StoredFile> {
    workspace.require_trust()?;
    let what = Name::new(what)?;
    let state = workspace.store.read(|log| fold_run(log, run))?;
    // Refused before bytes are copied.
    state.must_run()?;
    let stored = keep(workspace, &state.folder, file, what.as_str())?;
    let kept = stored.clone();
    report(workspace, "run save", |tx| {
        tell(tx, run, Provenance::Reported, |state| {
            let same = state.artifacts.get(&kept.name);
            let same = same.is_some_and(|a| (a.digest, &a.path) == (kept.digest, &kept.path));
            Ok(if same { vec![] } else { vec![RunCommand::StoreArtifact(kept)] })
        })
    })?;
    Ok(stored)
}

/// Copies a file into a run's folder and the blob store.
pub(super) fn keep(
    workspace: &Workspace,
    folder: &str,
    file: &Path,
    what: &str,
) -> Result<StoredFile> {
    // It becomes a part of a path.
    let what = Name::new(what)?;
    let what = what.as_str();
    if !file.is_file() {
        let message = format!("{} is not a file", file.display());
        return Err(
            Error::new(ErrorKind::Data, message).hint("save the files of a folder one by one")
        );
    }
    let (digests, bytes) = if workspace.dry_run {
        std::fs::File::open(file)
            .and_then(|mut file| FileDigests::of_reader(&mut file))
            .map_err(|e| Error::io(format!("read {}", file.display()), e))?
    } else {
        workspace.blobs.put_file(file)?
    };
    let digest = digests.blake3;
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let inside = if what == "weights" { "checkpoints".into() } else { format!("results/{what}") };
    let (path, taken) = free_path(workspace, folder, &inside, &name, digest)?;
    if !taken && !workspace.dry_run {
        let target = workspace.inside_folder(folder, &path)?;
        let failed = |e| Error::io(format!("write {}", target.display()), e);
        let inside = Folder::open(&workspace.root).map_err(failed)?;
        let partial = target.with_file_name(format!(".{digest}.partial"));
        let _ = std::fs::remove_file(&partial);
        let copy = inside.create(&partial).map_err(failed)?;
        copy_into(&workspace.blobs.path(digest), copy).map_err(failed)?;
        inside.rename(&partial, &target, RenameFlags::empty()).map_err(failed)?;
        durable::sync_parent(&target).map_err(failed)?;
    }
    Ok(StoredFile::in_blobs(what, Some(path), digests, bytes))
}

/// A path that nothing has, or one that has these bytes already: a recorded file is never
/// written over.
fn free_path(
    workspace: &Workspace,
    folder: &str,
    inside: &str,
    name: &str,
    digest: Digest,
) -> Result<(String, bool)> {
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, format!(".{extension}")),
        _ => (name, String::new()),
    };
    for number in 1_u32.. {
        let path = match number {
            1 => format!("{inside}/{name}"),
            _ => format!("{inside}/{stem}_{number}{extension}"),
        };
        match crate::effect::digests(&workspace.inside_folder(folder, &path)?)? {
            None => return Ok((path, false)),
            Some(found) if found.blake3 == digest => return Ok((path, true)),
            Some(_) => {}
        }
    }
    Err(Error::new(ErrorKind::Bug, "BUG: no free name"))
}

/// Ends a run well, and judges it by the policy.
///
/// # Errors
/// For bad values, and when the run has ended.
pub fn finish_run(workspace: &Workspace, run: RunId, finish: &RunResult) -> Result<RunState> {
    line::check(&finish.values)?;
    let (given, evaluations) = (finish.values.clone(), finish.evaluations.clone());
    let ended = report(workspace, "run finish", |tx| {
        let (rows, typed) = recorded_series(tx, run)?;
        let steps = rows.iter().map(|row| row.highest_step).max().unwrap_or(0);
        let last: Vec<FinalMetric> = rows.into_iter().map(last_value).collect();
        let scores: Vec<FinalMetric> = evaluations.iter().flat_map(line::scores).collect();
        let by = provenance(finish.source, &given, [&last, &scores], typed);
        let metrics = merged([last, scores, given]);
        let (metrics, left) = fitting(metrics, &evaluations);
        let started = admitted(tx.log(), run)?.first().map(|e| e.header.dated());
        let seconds = started.map_or(0.0, |started| workspace.env.now().seconds_since(started));
        let (epochs, parameters) = (finish.epochs, finish.parameters);
        let all = FinalScores { metrics, evaluations, steps, epochs, parameters, seconds };
        tell(tx, run, by, |state| {
            let left = RunCommand::NoteUnrecorded(too_many(&left));
            Ok(vec![left, RunCommand::End(finished(state, all))])
        })
    })?;
    workspace.refresh()?;
    Ok(ended)
}

/// Ends a run that failed.
///
/// # Errors
/// When the run has ended, or there is no reason.
pub fn fail_run(
    workspace: &Workspace,
    run: RunId,
    reason: &str,
    exit_code: Option<i32>,
) -> Result<RunState> {
    if reason.trim().is_empty() {
        return Err(Error::new(ErrorKind::Usage, "a reason is needed"));
    }
    let (reason, stderr_tail) = (reason.to_owned(), String::new());
    let ending = Ending::Fail { reason, signal: None, exit_code, stderr_tail };
    let ended = report(workspace, "run fail", |tx| {
        tell(tx, run, Provenance::Reported, |_| Ok(vec![RunCommand::End(ending)]))
    })?;
    workspace.refresh()?;
    Ok(ended)
}

/// One report in one transaction; a refusal is recorded.
fn report<T>(
    workspace: &Workspace,
    verb: &'static str,
    f: impl FnOnce(&mut Tx<'_, '_>) -> Result<T>,
) -> Result<T> {
    let decided = workspace.decide(verb, f);
    if let Err(error) = &decided
        && error.kind == ErrorKind::Rejected
    {
        workspace.refuse(verb, error)?;
    }
    decided
}

/// Decides what `commands` makes of the run as it is, and appends it.
pub(super) fn tell(
    tx: &mut Tx<'_, '_>,
    run: RunId,
    provenance: Provenance,
    commands: impl FnOnce(&RunState) -> Result<Vec<RunCommand>>,
) -> Result<RunState> {
    let policy = fold_policy(tx.log())?;
    let mut record = Draft::<RunStream>::read(tx.log(), run)?;
    if record.status == RunStatus::Unknown {
        let message = format!("the log has no run {run} any more: it was replaced");
        return Err(Error::new(ErrorKind::Conflict, message)
            .hint("nothing was recorded in it; the files of the run were left where they are"));
    }
    let facts = RunFacts::new(&policy, provenance).told_by(tx.teller());
    for command in commands(&record)? {
        record.decide(command, &facts)?;
    }
    tx.append(&mut record)?;
    Ok(record.into_state())
}

/// Points of one step, at one time, in batches that fit into events.
fn batches(
    values: &[FinalMetric],
    step: u64,
    epoch: Option<f64>,
    at: Timestamp,
) -> Vec<RunCommand> {
    let mut pending = Pending::default();
    for FinalMetric { key, value } in values {
        pending.push(key, step, epoch.unwrap_or(0.0), *value, at);
    }
    pending.seal();
    std::iter::from_fn(|| pending.next()).collect()
}

/// The step that was given, or the epoch where that is whole; none where neither tells it.
fn given_step(step: Option<u64>, epoch: Option<f64>) -> Result<Option<u64>> {
    let usage = |message: String| Err(Error::new(ErrorKind::Usage, message));
    match (step, epoch) {
        (_, Some(epoch)) if !(0.0..=EPOCH_MAX).contains(&epoch) => {
            usage(format!("the epoch {epoch} is not a number from 0 to {EPOCH_MAX}"))
        }
        (Some(step), _) if step > STEP_MAX => {
            usage(format!("the step {step} is more than {STEP_MAX}"))
        }
        (Some(step), _) => Ok(Some(step)),
        (None, Some(epoch)) if epoch.fract() == 0.0 => Ok(Some(epoch as u64)),
        (None, _) => Ok(None),
    }
}

fn no_next_step() -> Error {
    let message = format!("no step comes after {STEP_MAX}, the last one of the run");
    Error::new(ErrorKind::Data, message).hint("give one with --step")
}

/// The series of a run at one size of the log.
struct KnownSeries {
    rows: Vec<MetricRow>,
    size: u64,
}

impl KnownSeries {
    /// The series as they are in a transaction: with the points that were recorded since.
    fn now(&self, tx: &Tx<'_, '_>, run: RunId) -> Result<Vec<MetricRow>> {
        let keyed = |row: &MetricRow| ((row.split, row.name.clone()), row.clone());
        let mut rows: SeriesRows = self.rows.iter().map(keyed).collect();
        add_points(tx, run, self.size, &mut rows)?;
        Ok(rows.into_values().collect())
    }
}

/// Series by split and name.
type SeriesRows = BTreeMap<(Option<Split>, String), MetricRow>;

/// The series of a run as the log has them, and whether points were typed in.
fn recorded_series(tx: &Tx<'_, '_>, run: RunId) -> Result<(Vec<MetricRow>, bool)> {
    let begins = tx.log().stream(run.into(), 0)?.first().map_or(0, |first| first.header.position);
    let mut rows = SeriesRows::new();
    let typed = add_points(tx, run, begins, &mut rows)?;
    Ok((rows.into_values().collect(), typed))
}

/// Adds the points of a run from a position on; returns whether some of them were typed in.
fn add_points(tx: &Tx<'_, '_>, run: RunId, from: u64, rows: &mut SeriesRows) -> Result<bool> {
    let log = tx.log();
    let (mut typed, mut history) = (false, History::of_stream(run.into()));
    log.scan(from..log.size(), &Filter::stream(run.into()), |envelope| {
        // Somebody else's points are none of the run, unless it was shared with them by then.
        let points = envelope.header.kind == RunEvent::METRICS_RECORDED;
        let event = (!points).then(|| envelope.event().ok()).flatten();
        let digest = || envelope.payload.digest();
        if !history.admit(&**log, &envelope.header, digest, event.as_ref())? || !points {
            return Ok(());
        }
        typed |= envelope.header.provenance == Provenance::Typed;
        let Ok(Event::Run(RunEvent::MetricsRecorded(recorded))) = envelope.event() else {
            return Ok(());
        };
        for point in recorded.batch.points() {
            let Some(key) = recorded.batch.keys.get(usize::from(point.key)) else { continue };
            let row = rows.remove(&(key.split, key.name.clone()));
            rows.insert((key.split, key.name.clone()), MetricRow::with(row, key, &point));
        }
        Ok::<_, Error>(())
    })?;
    Ok(typed)
}

fn last_value(row: MetricRow) -> FinalMetric {
    let MetricRow { name, split, direction, last, .. } = row;
    FinalMetric { key: MetricKey { name, split, direction }, value: last.1 }
}

/// How the final values of a run came to the log: typed, if a person gave them or the points behind
/// them, or if no recorded point or confusion matrix supports a value that is given as a result, on
/// test rows or on rows that nobody named.
fn provenance(
    source: ReportedBy,
    given: &[FinalMetric],
    measured: [&[FinalMetric]; 2],
    typed: bool,
) -> Provenance {
    let backed = |metric: &FinalMetric| {
        if matches!(metric.key.split, Some(Split::Train | Split::Valid)) {
            return true;
        }
        let mut all = measured.into_iter().flatten();
        all.any(|other| (other.key.split, &other.key.name) == (metric.key.split, &metric.key.name))
    };
    match source {
        ReportedBy::Program => Provenance::Reported,
        ReportedBy::CommandLine if !typed && given.iter().all(backed) => Provenance::Reported,
        ReportedBy::Person | ReportedBy::CommandLine => Provenance::Typed,
    }
}

/// The final values that fit into an event beside the evaluations, and the rest. Values on test
/// rows come first.
pub(super) fn fitting(
    metrics: Vec<FinalMetric>,
    evaluations: &[Evaluation],
) -> (Vec<FinalMetric>, Vec<FinalMetric>) {
    const REST_BYTES: usize = 1_024;
    let taken = codec::encode(&evaluations.to_vec()).len() + REST_BYTES;
    let mut room = PAYLOAD_INLINE_BYTES_MAX.saturating_sub(taken);
    let mut ordered = metrics;
    ordered.sort_by_key(|metric| std::cmp::Reverse(metric.key.split));
    let (mut kept, left): (Vec<FinalMetric>, Vec<FinalMetric>) =
        ordered.into_iter().partition(|metric| {
            let bytes = codec::encode(metric).len();
            let fits = bytes <= room;
            room = if fits { room - bytes } else { 0 };
            fits
        });
    kept.sort_by(|a, b| (a.key.split, &a.key.name).cmp(&(b.key.split, &b.key.name)));
    (kept, left)
}

/// The account of final values for which there is no room.
fn too_many(left: &[FinalMetric]) -> UnrecordedValues {
    let named = left.iter().take(1);
    let series = named.map(|metric| UnrecordedSeries {
        name: metric.key.name.clone(),
        split: metric.key.split,
        reason: UnrecordedReason::TooMany,
        values: 1,
        first_step: None,
        last_step: None,
        ends_so: false,
    });
    let others = (left.len() as u64).saturating_sub(1);
    UnrecordedValues { series: series.collect(), others }
}

/// The end of a run that ended well; its model is what was saved as `weights`.
pub(super) fn finished(state: &RunState, finish: FinalScores) -> Ending {
    let weights = state.artifacts.get("weights");
    Ending::Finish(Box::new(RunOutcome {
        // A wall clock may go back.
        duration_seconds: finish.seconds.max(0.0),
        steps: finish.steps,
        epochs: finish.epochs,
        best: None,
        metrics: finish.metrics,
        evaluations: finish.evaluations,
        parameter_count: finish.parameters,
        model_bytes: weights.map_or(0, |weights| weights.bytes),
        weights: weights.map(|weights| weights.digest),
        rows_per_second: None,
    }))
}
