//! What analyses are made from: runs, what they said of each test row, how their trainings went,
//! and when models went into production.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use crate::analysis::audit::Audit;
use crate::analysis::charts::{self, Curve};
use crate::analysis::clinical::Clinical;
use crate::analysis::column;
use crate::analysis::compare::Compared;
use crate::analysis::document::Document;
use crate::analysis::filter::Filter as Condition;
use crate::analysis::report::{DataSet, ReportFacts};
use crate::app::core::admitted::counting_checkpoint;
use crate::app::runs::run_files::files_of_details;
use crate::app::{Error, ErrorKind, Result, Workspace, models, records, runs};
use crate::base::suggest::nearest;
use crate::base::{Digest, RunId, Split, Timestamp, counted};
use crate::domain::Event;
use crate::domain::registry::RegistryEvent;
use crate::domain::run::{Environment, RunEvent, TEST_ROW_ORDER, Unstated};
use crate::projection::Snapshot;
use crate::projection::best::{Admission, BestRole};
use crate::projection::registry::ModelRow;
use crate::projection::runs::{RunDetails, Status};
use crate::store::Filter;
use crate::train::metric::{PredictedRow, read_predictions};

/// The name under which a run keeps its test predictions.
const PREDICTIONS: &str = "test_predictions";

/// The program, machine and code that a run was recorded with.
#[derive(Clone, Debug, serde::Serialize, JsonSchema)]
pub struct RunOrigin {
    /// The program that trained, such as `annals-engine 0.1.0`.
    pub trainer: String,
    /// Machine, versions and code.
    pub environment: Environment,
}

/// How well runs find the critical class.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ClinicalAnswer {
    /// The figures.
    pub clinical: Clinical,
    /// What may be concluded.
    pub conclusion: String,
}

impl From<Clinical> for ClinicalAnswer {
    fn from(clinical: Clinical) -> Self {
        Self { conclusion: clinical.conclusion(), clinical }
    }
}

/// A picture.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PictureDrawn {
    /// The picture as an SVG file.
    pub svg: String,
}

/// The file of a report.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReportWritten {
    /// Its path.
    pub report: PathBuf,
}

/// The runs that are named, or else those that meet a condition, or else all that finished;
/// in the order they were named or began.
///
/// # Errors
/// [`ErrorKind::NotFound`] for an unknown run; [`ErrorKind::Usage`] for a condition that
/// cannot be read or a column that no run has.
pub fn select_runs(
    workspace: &Workspace,
    views: &Snapshot,
    named: &[String],
    condition: Option<&str>,
) -> Result<Vec<RunDetails>> {
    let mut runs = Vec::new();
    if named.is_empty() {
        runs = views.run_details()?;
        if condition.is_none() {
            runs.retain(|run| run.status == Status::Finished);
        }
    }
    for text in named {
        let id = workspace.find_run(views, text)?;
        if runs.iter().all(|run: &RunDetails| run.run() != id) {
            runs.extend(views.run(id)?);
        }
    }
    if let Some(text) = condition {
        let filter = Condition::parse(text).map_err(|e| {
            Error::caused(ErrorKind::Usage, format!("--where {text:?} cannot be read"), e)
        })?;
        check_columns(&runs, filter.columns())?;
        runs.retain(|run| filter.holds(run));
    }
    Ok(runs)
}

/// Runs with what is compared row by row.
///
/// # Errors
/// When the log cannot be read, or kept predictions are not what was recorded.
pub fn compared(workspace: &Workspace, runs: Vec<RunDetails>) -> Result<Vec<Compared>> {
    let with = |run: RunDetails| {
        let (predictions, order) =
            (predictions(workspace, &run)?, test_row_order(workspace, &run)?);
        Ok(Compared { predictions, order, run })
    };
    runs.into_iter().map(with).collect()
}

/// The program, machine and code that a run was recorded with; none where its start is damaged
/// or redacted.
///
/// # Errors
/// When the log cannot be read.
pub fn origin(workspace: &Workspace, run: &RunDetails) -> Result<Option<RunOrigin>> {
    let event = workspace.store.read(|log| Ok::<_, Error>(log.event(run.started_position)?))?;
    Ok(match event.event() {
        Ok(Event::Run(RunEvent::Started(started))) => {
            let (trainer, environment) = (started.trainer, started.environment);
            Some(RunOrigin { trainer, environment })
        }
        _ => None,
    })
}

/// What a run said of each test row; none where nothing was kept, or is not kept any more, see
/// [`predictions_lost`].
///
/// # Errors
/// When the bytes are not those that were recorded.
pub fn predictions(workspace: &Workspace, run: &RunDetails) -> Result<Option<Vec<PredictedRow>>> {
    let Some(bytes) = kept(workspace, run, PREDICTIONS)? else { return Ok(None) };
    match read_predictions(&bytes) {
        Ok(rows) => Ok(Some(rows)),
        Err(_) if runs::redacted_files(workspace)?.contains_key(&Digest::of(&bytes)) => Ok(None),
        Err(why) => {
            let id = &run.experiment_id;
            Err(Error::new(ErrorKind::Data, format!("the test predictions of {id}: {why}")))
        }
    }
}

/// Numbers of the test rows of a run in the order of their content; none where that was not
/// recorded, or is not kept any more.
fn test_row_order(workspace: &Workspace, run: &RunDetails) -> Result<Option<Vec<u32>>> {
    let bytes = kept(workspace, run, TEST_ROW_ORDER)?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// The bytes of the newest artifact `name` of a run; none where the blob store has none.
pub(in crate::app) fn kept(
    workspace: &Workspace,
    run: &RunDetails,
    name: &str,
) -> Result<Option<Vec<u8>>> {
    let stored = run.artifacts.iter().rev().find(|(known, ..)| known == name);
    let Some(digest) = stored.and_then(|(_, _, digest, _)| digest.parse::<Digest>().ok()) else {
        return Ok(None);
    };
    if !workspace.blobs.path(digest).exists() {
        return Ok(None);
    }
    Ok(Some(workspace.blobs.get(digest)?))
}

/// The reason why the test predictions of a run are not there; none where it kept none, or has
/// them.
///
/// # Errors
/// When the log cannot be read.
pub fn predictions_lost(workspace: &Workspace, run: &RunDetails) -> Result<Option<String>> {
    let readable = predictions(workspace, run)?.is_some();
    lost_artifact(workspace, run, PREDICTIONS, "the test predictions", readable)
}

/// The reason why the artifact `name` of a run, called `what` for people, is not there or
/// cannot be used (not `readable`); none where it kept none, or has it.
fn lost_artifact(
    workspace: &Workspace,
    run: &RunDetails,
    name: &str,
    what: &str,
    readable: bool,
) -> Result<Option<String>> {
    let stored = files_of_details(run).into_iter().rev().find(|file| file.name == name);
    let Some(file) = stored.filter(|_| !readable) else { return Ok(None) };
    let id = &run.experiment_id;
    let lost = match runs::redacted_files(workspace)?.get(&file.digest) {
        Some(at) => Some(format!("{what} of {id} were redacted at event {at}")),
        None if workspace.blobs.contains(file.digest) => None,
        None if run.deleted.is_some() => {
            Some(format!("{what} of {id} were removed with its files"))
        }
        None => Some(format!("{what} of {id} are in no blob")),
    };
    Ok(lost)
}

/// Every series of a training by epochs; of points with equal step the last attempt's count.
///
/// # Errors
/// When the log cannot be read.
pub fn curves(workspace: &Workspace, run: RunId) -> Result<Vec<Curve>> {
    type Steps = BTreeMap<u64, (f64, f64)>;
    let mut all: BTreeMap<(Option<Split>, String), Steps> = BTreeMap::new();
    let events = workspace.store.read(|log| {
        let size = workspace.scope.size.unwrap_or(log.size());
        Ok::<_, Error>(log.events(0..size, &Filter::stream(run.into()))?)
    })?;
    for event in events {
        let Ok(Event::Run(RunEvent::MetricsRecorded(recorded))) = event.event() else {
            continue;
        };
        for point in recorded.batch.points() {
            if let Some(key) = recorded.batch.keys.get(usize::from(point.key)) {
                let steps = all.entry((key.split, key.name.clone())).or_default();
                steps.insert(point.step, (point.epoch, point.value));
            }
        }
    }
    let curve = |((split, metric), steps): ((Option<Split>, String), Steps)| Curve {
        metric,
        split,
        points: steps.into_values().collect(),
    };
    Ok(all.into_iter().map(curve).collect())
}

/// The report of the whole project.
///
/// # Errors
/// When the log or the views cannot be read.
pub fn project_report(workspace: &Workspace) -> Result<Document> {
    let (events, recorded, checkpoint) = workspace.store.read(|log| {
        let size = workspace.scope.size.unwrap_or(log.size());
        let last = log.event(size.saturating_sub(1))?.header.dated();
        let signed = counting_checkpoint(log, size)?;
        Ok::<_, Error>((size, last, signed.map(|(_, text)| text)))
    })?;
    // The one reads the log, the other the views.
    std::thread::scope(|scope| {
        let audit = scope.spawn(|| records::audit_record(workspace, events));
        let audit = || audit.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok(report_facts(workspace, (events, recorded, checkpoint), audit)?.document())
    })
}

/// The content of a report. The findings of the audit are read last.
fn report_facts(
    workspace: &Workspace,
    (events, recorded, checkpoint): (u64, Timestamp, Option<String>),
    audit: impl FnOnce() -> Result<Audit>,
) -> Result<ReportFacts> {
    let views = workspace.snapshot()?;
    let (policy_revision, policy) = views.policy()?;
    let runs = views.run_details()?;
    let production = views.production()?;
    let best = views.best(Admission::Measured)?.best;
    let (mut pictures, mut omitted) = (Vec::new(), Vec::new());
    for model in &production {
        let Some(run) = runs.iter().find(|run| run.id == model.run) else { continue };
        pictures.extend(charts::confusion(run, Split::Test));
        pictures.extend(charts::curves(run, &curves(workspace, run.run())?, "loss"));
        match predictions(workspace, run)? {
            Some(rows) => {
                pictures.extend(charts::roc(run, &rows));
                pictures.extend(charts::calibration(run, &rows));
            }
            None => omitted.extend(predictions_lost(workspace, run)?.map(|why| {
                format!("ROC and calibration pictures of {}: {why}", run.experiment_id)
            })),
        }
    }
    // How the best run trained is worth seeing before it is in production, too.
    let leading = best.iter().find(|best| best.role == BestRole::BestF1Macro);
    let leading = leading.and_then(|b| runs.iter().find(|r| r.experiment_id == b.experiment_id));
    if let Some(run) = leading.filter(|run| production.iter().all(|m| m.run != run.id)) {
        let curves = curves(workspace, run.run())?;
        pictures.extend(charts::curves(run, &curves, "loss"));
        pictures.extend(charts::curves(run, &curves, "f1_macro"));
        pictures.extend(charts::confusion(run, Split::Test));
    }
    Ok(ReportFacts {
        project: workspace.settings.project.clone(),
        events,
        recorded,
        checkpoint,
        policy_revision,
        best,
        left_out: views.best_explained(Admission::Measured)?.left_out,
        data: data_sets(workspace, &runs, &mut omitted)?,
        runs,
        reasons: reasons(workspace, &production, &mut omitted)?,
        candidates: models::candidates(workspace, &views)?,
        production,
        promotions: promotions(&views)?,
        consolidations: views.consolidations()?,
        critical: policy.production_promotion.critical_class,
        pictures,
        omitted,
        audit: audit()?,
    })
}

/// What finished runs were trained and tested on, each data once, oldest first; what cannot be
/// read any more goes to `omitted`.
fn data_sets(
    workspace: &Workspace,
    runs: &[RunDetails],
    omitted: &mut Vec<String>,
) -> Result<Vec<DataSet>> {
    let mut sets: Vec<([u8; 32], DataSet)> = Vec::new();
    for run in runs.iter().filter(|run| run.status == Status::Finished) {
        if let Some((_, set)) = sets.iter_mut().find(|(data, _)| *data == run.data) {
            set.runs += 1;
            set.leaked_rows = set.leaked_rows.max(stated_leaks(run));
            continue;
        }
        let event = workspace.store.read(|log| Ok::<_, Error>(log.event(run.started_position)?))?;
        let Ok(Event::Run(RunEvent::Started(started))) = event.event() else {
            let (id, at) = (&run.experiment_id, run.started_position);
            omitted.push(format!("data of {id}: its start, event {at}, cannot be read"));
            continue;
        };
        let data = &started.data;
        let mut files: Vec<String> = data
            .files
            .iter()
            .map(|file| {
                let name = Path::new(&file.path).file_name().unwrap_or_default();
                let rows = match file.rows {
                    0 => "rows not counted".to_owned(),
                    rows => counted(rows, "row"),
                };
                format!("{} ({rows}, blake3 {})", name.to_string_lossy(), file.digest.short(12))
            })
            .collect();
        if let Some(made) = &data.synthetic {
            files.insert(0, format!("generated by {} (synthetic)", made.generator));
        }
        if files.is_empty() {
            files.push("not stated".to_owned());
        }
        let rows: Vec<String> =
            run.rows.iter().map(|(split, rows)| format!("{} {rows}", split.word())).collect();
        let report = kept(workspace, run, "data_report")?;
        let report = report.and_then(|b| serde_json::from_slice::<serde_json::Value>(&b).ok());
        if report.is_none() {
            let lost =
                lost_artifact(workspace, run, "data_report", "the findings about the data", false)?;
            omitted.extend(lost.map(|why| format!("near-duplicate rows: {why}")));
        }
        let near = report.and_then(|r| Some(r.get("nearly_repeated")?.as_array()?.len()));
        sets.push((
            run.data,
            DataSet {
                files,
                first_used: Timestamp(run.started),
                split: format!("{} ({})", rows.join(", "), data.split_rule),
                runs: 1,
                near_duplicates: near,
                leaked_rows: stated_leaks(run),
            },
        ));
    }
    Ok(sets.into_iter().map(|(_, set)| set).collect())
}

/// What people wrote when they approved what is in production.
fn reasons(
    workspace: &Workspace,
    production: &[ModelRow],
    omitted: &mut Vec<String>,
) -> Result<Vec<(String, String)>> {
    let mut reasons = Vec::new();
    for model in production {
        for approval in &model.approvals {
            let at = approval.position;
            let event = workspace.store.read(|log| Ok::<_, Error>(log.event(at)?))?;
            match event.event() {
                Ok(Event::Registry(RegistryEvent::Approved(approved))) => {
                    let reason =
                        approved.reason.map(|text| format!("{}: {text}", approval.approver));
                    reasons.extend(reason.map(|reason| (model.name.clone(), reason)));
                }
                Ok(_) => {}
                Err(error) => omitted.push(format!(
                    "reason of the approval of {} at event {at}: {error}",
                    model.name
                )),
            }
        }
    }
    Ok(reasons)
}

/// When each version went into production, and its name: `hate 1.0.0`; also of names that
/// have none in production any more.
///
/// # Errors
/// When the views cannot be read.
pub fn promotions(views: &Snapshot) -> Result<Vec<(i64, String)>> {
    let name = |model: ModelRow| (model.promoted, format!("{} {}", model.name, model.version));
    let mut promotions: Vec<_> = views.all_versions()?.into_iter().map(name).collect();
    promotions.sort();
    Ok(promotions)
}

/// Leaked rows, where somebody stated or counted them.
fn stated_leaks(run: &RunDetails) -> Option<u64> {
    run.stated(Unstated::LeakedRows).then_some(run.leaked_rows)
}

/// Refuses columns that none of the runs has.
///
/// # Errors
/// [`ErrorKind::Usage`] with the nearest column there is.
pub fn check_columns<'a>(
    runs: &[RunDetails],
    columns: impl IntoIterator<Item = &'a str>,
) -> Result<()> {
    let names = column::names(runs.iter());
    for name in columns {
        if !names.contains(name) {
            let error = Error::new(ErrorKind::Usage, format!("no run has a column {name:?}"));
            return Err(match nearest(name, names.iter().map(String::as_str)) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint("facts, parameters and scores are columns; `annals show RUN`"),
            });
        }
    }
    Ok(())
}
