//! The tracker for trainers written in Rust.

use std::path::Path;

use super::environment::{caller, clock, config_dirs};
use crate::app::{
    Error, ErrorKind, MetricPoints, MetricRow, ReportedBy, Result, RunDetails, RunEnded, RunResult,
    StartRun, StartedRun, Warnings, Workspace, runs,
};
use crate::base::RunId;
use crate::domain::metric::FinalMetric;
use crate::domain::run::StoredFile;

/// Records the runs of a trainer written in Rust. Each call is in the log, durably, when it
/// returns, with provenance `reported`; an error means that nothing of the call is recorded.
///
/// A metric is named `NAME`, `SPLIT/NAME` or `SPLIT/NAME:DIRECTION`, with the splits `train`,
/// `valid` and `test`, and the directions `lower` and `higher` (is better) and `neutral`. The
/// scores that annals computes itself, and `loss`, have their direction without it.
///
/// ```
/// use annals::{At, StartRun, Tracker};
/// # use annals::{app::{ConfigDirs, Workspace}, base::Env, sdk};
/// # let dir = tempfile::tempdir()?;
/// # let (caller, keys) = (sdk::caller(dir.path().into()), dir.path().join("keys"));
/// # let (layout, env) = (Default::default(), Env::system());
/// # let dirs = ConfigDirs { keys };
/// # let (workspace, _) = Workspace::init(dir.path(), "ward", layout, caller, &dirs, env)?;
/// # let tracker = Tracker::new(workspace);
/// # let weights = dir.path().join("model.safetensors");
/// # std::fs::write(&weights, b"weights")?;
/// // In your program: let tracker = Tracker::open(Path::new("."))?;
/// let started = tracker.start(&StartRun {
///     name: "custom_architecture".into(),
///     description: "Two layers more".into(),
///     tags: vec!["custom".into()],
///     parameters: [("model.layers".into(), 3.into()), ("lr".into(), 1e-3.into())].into(),
///     ..StartRun::default()
/// })?;
/// for epoch in 1..=5 {
///     let loss = 1.0 / epoch as f64;
///     tracker.log(started.run, &[("valid/loss", loss)], At::epoch(epoch as f64))?;
/// }
/// tracker.save_file(started.run, "weights", &weights)?;
/// tracker.finish(started.run, &[("test/accuracy", 0.9)])?;
///
/// let run = tracker.run(started.run)?;
/// assert_eq!(run.metrics.len(), 2);
/// assert_eq!(run.weights, Some(blake3::hash(b"weights").to_string()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Tracker {
    workspace: Workspace,
    warnings: Warnings,
}

/// When values were measured: updates done, passes over the training rows done, or both.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct At {
    step: Option<u64>,
    epoch: Option<f64>,
}

impl At {
    /// One step after the last one of the run; 0 for the first.
    pub const fn next() -> Self {
        Self { step: None, epoch: None }
    }

    /// After so many updates of the optimizer.
    pub const fn step(step: u64) -> Self {
        Self { step: Some(step), epoch: None }
    }

    /// After so many passes over the training rows, with a fraction. The step is the epoch where
    /// that is whole, else the next one.
    pub const fn epoch(epoch: f64) -> Self {
        Self { step: None, epoch: Some(epoch) }
    }

    /// The same step, after so many passes over the training rows.
    #[must_use]
    pub const fn and_epoch(self, epoch: f64) -> Self {
        Self { epoch: Some(epoch), ..self }
    }
}

impl Tracker {
    /// The tracker of the workspace around `dir`, for the user that the environment names; see
    /// [`caller`] and [`config_dirs`].
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no workspace, [`ErrorKind::Usage`] without a home
    /// folder, [`ErrorKind::Data`] and [`ErrorKind::Integrity`] for a damaged workspace.
    pub fn open(dir: &Path) -> Result<Self> {
        let dir = super::working_dir().join(dir);
        let workspace = Workspace::open(&dir, caller(dir.clone()), &config_dirs()?, clock())?;
        let copied = workspace.record_location();
        let tracker = Self::new(workspace);
        copied.into_iter().for_each(|note| tracker.warnings.push(note));
        Ok(tracker)
    }

    /// The tracker of an open workspace, whose warnings it takes over.
    pub fn new(workspace: Workspace) -> Self {
        let warnings = Warnings::default();
        Self { workspace: workspace.with_warnings(&warnings), warnings }
    }

    /// The workspace, for every other use case of [`app`](crate::app).
    pub const fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// The warnings since the last call, such as that the workspace is a copy: nothing is printed.
    pub fn take_warnings(&self) -> Vec<String> {
        self.warnings.take()
    }

    /// Starts a run of the experiment that `start` names.
    ///
    /// ```
    /// # use annals::{StartRun, Tracker, app::{ConfigDirs, Workspace}, base::Env, sdk};
    /// # let dir = tempfile::tempdir()?;
    /// # let (caller, keys) = (sdk::caller(dir.path().into()), dir.path().join("keys"));
    /// # let (layout, env) = (Default::default(), Env::system());
    /// # let dirs = ConfigDirs { keys };
    /// # let (workspace, _) = Workspace::init(dir.path(), "ward", layout, caller, &dirs, env)?;
    /// # let tracker = Tracker::new(workspace);
    /// let parameters = [("dropout".into(), 0.1.into()), ("optimizer".into(), "adam".into())];
    /// let name = "night".into();
    /// let start = StartRun { name, parameters: parameters.into(), ..StartRun::default() };
    /// let started = tracker.start(&start)?;
    /// assert!(started.experiment_id.starts_with("night_") && started.folder.is_dir());
    /// let run = tracker.run(started.run)?;
    /// assert_eq!(run.parameters[0], ("dropout".into(), "0.1".into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a bad name, [`ErrorKind::Data`] for a bad file of settings,
    /// [`ErrorKind::Io`] where a file cannot be read or the log cannot be written.
    pub fn start(&self, start: &StartRun) -> Result<StartedRun> {
        runs::start_run(&self.workspace, start)
    }

    /// Records values of a run that is under way, all of one step, and returns the step.
    ///
    /// ```
    /// # use annals::{At, StartRun, Tracker, app::{ConfigDirs, Workspace}, base::Env, sdk};
    /// # let dir = tempfile::tempdir()?;
    /// # let (caller, keys) = (sdk::caller(dir.path().into()), dir.path().join("keys"));
    /// # let (layout, env) = (Default::default(), Env::system());
    /// # let dirs = ConfigDirs { keys };
    /// # let (workspace, _) = Workspace::init(dir.path(), "ward", layout, caller, &dirs, env)?;
    /// # let tracker = Tracker::new(workspace);
    /// # let start = StartRun { name: "night".into(), ..StartRun::default() };
    /// let run = tracker.start(&start)?.run;
    /// tracker.log(run, &[("train/loss", 0.7), ("lr", 1e-3)], At::step(100).and_epoch(0.5))?;
    /// assert_eq!(tracker.log(run, &[("train/loss", 0.1 + 0.2)], At::next())?, 101);
    ///
    /// // Every bit of a value is recorded.
    /// let series = tracker.series(run)?;
    /// let loss = series.iter().find(|series| series.name == "loss").expect("recorded");
    /// assert_eq!((loss.points, loss.last), (2, (101, 0.1 + 0.2)));
    ///
    /// // A value that is no number is refused, with all the others of the call.
    /// let error = tracker.log(run, &[("train/loss", f64::NAN)], At::next()).unwrap_err();
    /// assert_eq!(error.to_string(), "metric loss: NaN is not a finite number");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for no metric, a bad name, one that is given twice and a step or epoch
    /// out of range; [`ErrorKind::Data`] for a value that is not finite; [`ErrorKind::Rejected`]
    /// when the run has ended.
    pub fn log(&self, run: RunId, metrics: &[(&str, f64)], at: At) -> Result<u64> {
        let At { step, epoch } = at;
        let source = ReportedBy::Program;
        let points = MetricPoints { values: typed(metrics)?, step, epoch, source };
        runs::log_metrics(&self.workspace, run, &points)
    }

    /// Copies a file into the folder of a run that is under way and into the blob store, as
    /// `what`: `weights`, `vocabulary`, `labels`, or a word of your own. The model of the run is
    /// what was saved as `weights` when it finishes.
    ///
    /// ```
    /// # use annals::{StartRun, Tracker, app::{ConfigDirs, Workspace}, base::Env, sdk};
    /// # let dir = tempfile::tempdir()?;
    /// # let (caller, keys) = (sdk::caller(dir.path().into()), dir.path().join("keys"));
    /// # let (layout, env) = (Default::default(), Env::system());
    /// # let dirs = ConfigDirs { keys };
    /// # let (workspace, _) = Workspace::init(dir.path(), "ward", layout, caller, &dirs, env)?;
    /// # let tracker = Tracker::new(workspace);
    /// # let start = StartRun { name: "night".into(), ..StartRun::default() };
    /// # let file = dir.path().join("notes.txt");
    /// # std::fs::write(&file, b"a wide minimum")?;
    /// let started = tracker.start(&start)?;
    /// let stored = tracker.save_file(started.run, "notes", &file)?;
    /// assert_eq!((stored.name.as_str(), stored.bytes), ("notes", 14));
    /// let copy = started.folder.join(stored.path.expect("a file of the run has a path"));
    /// assert_eq!(std::fs::read(copy)?, std::fs::read(&file)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Data`] where the file is none, [`ErrorKind::Usage`] for a bad word,
    /// [`ErrorKind::Io`] where it cannot be copied, [`ErrorKind::Rejected`] when the run has ended.
    pub fn save_file(&self, run: RunId, what: &str, file: &Path) -> Result<StoredFile> {
        runs::save_file(&self.workspace, run, file, what)
    }

    /// Ends a run well. Its final values are these, and of each other series the last point.
    ///
    /// ```
    /// # use annals::{At, StartRun, Tracker, app::{ConfigDirs, Workspace}, base::Env, sdk};
    /// # let dir = tempfile::tempdir()?;
    /// # let (caller, keys) = (sdk::caller(dir.path().into()), dir.path().join("keys"));
    /// # let (layout, env) = (Default::default(), Env::system());
    /// # let dirs = ConfigDirs { keys };
    /// # let (workspace, _) = Workspace::init(dir.path(), "ward", layout, caller, &dirs, env)?;
    /// # let tracker = Tracker::new(workspace);
    /// # let start = StartRun { name: "night".into(), ..StartRun::default() };
    /// let run = tracker.start(&start)?.run;
    /// tracker.log(run, &[("valid/loss", 0.25)], At::step(1))?;
    /// let ended = tracker.finish(run, &[("test/accuracy", 0.9)])?;
    /// let values: Vec<f64> = ended.metrics.iter().map(|metric| metric.value).collect();
    /// assert_eq!((ended.status.word(), values), ("finished", vec![0.25, 0.9]));
    /// assert!(tracker.finish(run, &[]).is_err(), "a run ends once");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::log`], but no metric is needed.
    pub fn finish(&self, run: RunId, metrics: &[(&str, f64)]) -> Result<RunEnded> {
        let result = RunResult { values: typed(metrics)?, ..RunResult::default() };
        self.finish_with(run, &result)
    }

    /// Ends a run well, with confusion matrices, epochs and the number of trained weights too.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub fn finish_with(&self, run: RunId, result: &RunResult) -> Result<RunEnded> {
        runs::finish_run(&self.workspace, run, result).map(|run| RunEnded::from(&run))
    }

    /// Ends a run as failed.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] without a reason, [`ErrorKind::Rejected`] when the run has ended.
    pub fn fail(&self, run: RunId, reason: &str) -> Result<RunEnded> {
        runs::fail_run(&self.workspace, run, reason, None).map(|run| RunEnded::from(&run))
    }

    /// A run as the log has it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is none; when the log cannot be read.
    pub fn run(&self, run: RunId) -> Result<RunDetails> {
        let found = self.workspace.snapshot()?.run(run)?;
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("no run {run} in the log")))
    }

    /// The series of a run, each with its last and its best point.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn series(&self, run: RunId) -> Result<Vec<MetricRow>> {
        Ok(self.workspace.snapshot()?.metrics(run)?)
    }
}

fn typed(metrics: &[(&str, f64)]) -> Result<Vec<FinalMetric>> {
    metrics.iter().map(|(key, value)| runs::metric(key, *value)).collect()
}
