//! What analyses are made from: runs, what they said of each test row, how their trainings went,
//! and when models went into production.

use std::collections::BTreeMap;

use super::{App, Error, ErrorKind, Result};
use crate::analysis::charts::{self, Curve};
use crate::analysis::column;
use crate::analysis::compare::Compared;
use crate::analysis::document::Document;
use crate::analysis::filter::Filter as Condition;
use crate::analysis::report::Facts;
use crate::base::suggest::nearest;
use crate::base::{Digest, RunId, Split};
use crate::domain::Event;
use crate::domain::run::{Environment, RunEvent};
use crate::projection::Snapshot;
use crate::projection::registry::ModelRow;
use crate::projection::runs::{RunDetails, Status};
use crate::store::Filter;
use crate::train::metric::{PredictedRow, read_predictions};

/// The name under which a run keeps its test predictions.
const PREDICTIONS: &str = "test_predictions";

/// The program, machine and code that a run was recorded with.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RunOrigin {
    /// The program that trained, such as `annals-engine 0.1.0`.
    pub trainer: String,
    /// Machine, versions and code.
    pub environment: Environment,
}

impl App {
    /// The runs that are named, or else those that meet a condition, or else all that finished;
    /// in the order they were named or began.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown run; [`ErrorKind::Usage`] for a condition that
    /// cannot be read or a column that no run has.
    pub fn select_runs(
        &self,
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
            let id = self.find_run(views, text)?;
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
    pub fn compared(&self, runs: Vec<RunDetails>) -> Result<Vec<Compared>> {
        let with = |run: RunDetails| {
            let event = self.store.read(|log| Ok::<_, Error>(log.event(run.started_position)?))?;
            let data = match event.event() {
                Ok(Event::Run(RunEvent::Started(started))) => {
                    started.data.files.iter().map(|file| file.digest.to_string()).collect()
                }
                _ => Vec::new(),
            };
            Ok(Compared { data, predictions: self.predictions(&run)?, run })
        };
        runs.into_iter().map(with).collect()
    }

    /// The program, machine and code that a run was recorded with; none where its start is damaged
    /// or redacted.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn origin(&self, run: &RunDetails) -> Result<Option<RunOrigin>> {
        let event = self.store.read(|log| Ok::<_, Error>(log.event(run.started_position)?))?;
        Ok(match event.event() {
            Ok(Event::Run(RunEvent::Started(started))) => {
                let (trainer, environment) = (started.trainer, started.environment);
                Some(RunOrigin { trainer, environment })
            }
            _ => None,
        })
    }

    /// What a run said of each test row; none where nothing was kept, or is not kept any more.
    ///
    /// # Errors
    /// When the bytes are not those that were recorded.
    pub fn predictions(&self, run: &RunDetails) -> Result<Option<Vec<PredictedRow>>> {
        let stored = run.artifacts.iter().rev().find(|(name, ..)| name == PREDICTIONS);
        let Some(digest) = stored.and_then(|(_, _, digest)| digest.parse::<Digest>().ok()) else {
            return Ok(None);
        };
        if !self.blobs.path(digest).exists() {
            return Ok(None);
        }
        let bytes = self.blobs.get(digest)?;
        let rows = read_predictions(&bytes).map_err(|why| {
            let id = &run.experiment_id;
            Error::new(ErrorKind::Data, format!("the test predictions of {id}: {why}"))
        })?;
        Ok(Some(rows))
    }

    /// Every series of a training by epochs; of points with equal step the last attempt's count.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn curves(&self, run: RunId) -> Result<Vec<Curve>> {
        type Steps = BTreeMap<u64, (f64, f64)>;
        let mut all: BTreeMap<(Option<Split>, String), Steps> = BTreeMap::new();
        let events = self.store.read(|log| {
            let size = self.lens.size.unwrap_or(log.size());
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
    pub fn project_report(&self) -> Result<Document> {
        let views = self.snapshot()?;
        let (policy_revision, policy) = views.policy()?;
        let (events, recorded, checkpoint) = self.store.read(|log| {
            let size = self.lens.size.unwrap_or(log.size());
            let last = log.event(size.saturating_sub(1))?.header.dated();
            let signed = log.checkpoint_before(size)?;
            Ok::<_, Error>((size, last, signed.map(|(_, text)| text)))
        })?;
        let runs = views.run_details()?;
        let production = views.production()?;
        let mut pictures = Vec::new();
        for model in &production {
            let Some(run) = runs.iter().find(|run| run.id == model.run) else { continue };
            pictures.extend(charts::confusion(run, Split::Test));
            pictures.extend(charts::curves(run, &self.curves(run.run())?, "loss"));
            if let Some(rows) = self.predictions(run)? {
                pictures.extend(charts::roc(run, &rows));
                pictures.extend(charts::calibration(run, &rows));
            }
        }
        let facts = Facts {
            project: self.settings.project.clone(),
            events,
            recorded,
            checkpoint,
            policy_revision,
            runs,
            best: views.best()?,
            candidates: views.candidates()?,
            production,
            promotions: self.promotions(&views)?,
            consolidations: views.consolidations()?,
            critical: policy.production_promotion.critical_class,
            pictures,
        };
        Ok(facts.document())
    }

    /// When each version went into production, and its name: `hate 1.0.0`; also of names that
    /// have none in production any more.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn promotions(&self, views: &Snapshot) -> Result<Vec<(i64, String)>> {
        let name = |model: ModelRow| (model.promoted, format!("{} {}", model.name, model.version));
        let mut promotions: Vec<_> = views.all_versions()?.into_iter().map(name).collect();
        promotions.sort();
        Ok(promotions)
    }
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
