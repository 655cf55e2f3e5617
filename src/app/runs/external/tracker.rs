//! The tracker for trainers written in Rust.

use std::path::Path;

use super::report::{MetricPoints, RunResult};
use super::start::{StartRun, StartedRun};
use crate::app::{Result, Workspace, runs};
use crate::base::RunId;

/// Tracks experiments of a trainer written in Rust. Each call is in the log, durably, when it
/// returns, with provenance `reported`.
///
/// ```
/// use annals::{StartRun, Tracker};
/// # use annals::app::{App, Caller, ConfigDirs};
/// # use annals::base::Env;
/// # let root = tempfile::tempdir()?;
/// # let dirs = ConfigDirs { keys: root.path().join("keys") };
/// # let caller = Caller {
/// #     actor: "mara".into(),
/// #     host: "ward-3".into(),
/// #     cwd: root.path().to_owned(),
/// #     argv: vec![],
/// #     variables: Default::default(),
/// #     folders: Default::default(),
/// # };
/// # let ward = root.path().join("ward");
/// # std::fs::create_dir(&ward)?;
/// # let layout = Default::default();
/// # let (app, _) = App::init(&ward, "ward", layout, caller, &dirs, Env::system())?;
/// # let tracker = Tracker::new(app);
/// # let model = ward.join("model.safetensors");
/// # std::fs::write(&model, b"weights")?;
/// // In your program: let tracker = Tracker::open(Path::new("."))?;
/// let started = tracker.start_experiment(&StartRun {
///     name: "custom_architecture".into(),
///     description: "Trying a new architecture".into(),
///     tags: vec!["custom".into()],
///     parameters: [("model.layers".into(), "3".into())].into(),
///     ..StartRun::default()
/// })?;
/// tracker.log_metrics(started.run, &[("valid/accuracy", 0.85), ("valid/loss", 0.3)], Some(5.0))?;
/// tracker.save_model(started.run, &model, "weights")?;
/// tracker.finish_experiment(started.run, &[("test/accuracy", 0.90)])?;
/// # let runs = tracker.app().snapshot()?.run_details()?;
/// # assert_eq!(runs[0].metrics.len(), 3);
/// # assert_eq!(runs[0].weights, Some(blake3::hash(b"weights").to_string()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Tracker {
    workspace: Workspace,
}

impl Tracker {
    /// A tracker of one workspace; [`Tracker::open`] finds it and the caller by itself.
    pub fn new(workspace: Workspace) -> Self {
        Self { workspace }
    }

    /// The workspace.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// Begins a run.
    ///
    /// # Errors
    /// As [`crate::app::runs::start_run`].
    pub fn start_experiment(&self, start: &StartRun) -> Result<StartedRun> {
        runs::start_run(&self.workspace, start)
    }

    /// Records metrics: `NAME`, `SPLIT/NAME` or `SPLIT/NAME:lower`, each with its value.
    ///
    /// # Errors
    /// As [`crate::app::runs::log_metrics`].
    pub fn log_metrics(
        &self,
        run: RunId,
        metrics: &[(&str, f64)],
        epoch: Option<f64>,
    ) -> Result<()> {
        let points = MetricPoints { values: words(metrics), epoch, ..MetricPoints::default() };
        runs::log_metrics(&self.workspace, run, &points).map(|_| ())
    }

    /// Keeps a file of the run, as `weights` or whatever it is.
    ///
    /// # Errors
    /// As [`crate::app::runs::save_file`].
    pub fn save_model(&self, run: RunId, file: &Path, what: &str) -> Result<()> {
        runs::save_file(&self.workspace, run, file, what).map(|_| ())
    }

    /// Ends the run well, with its final values over the last ones of each series.
    ///
    /// # Errors
    /// As [`crate::app::runs::finish_run`].
    pub fn finish_experiment(&self, run: RunId, metrics: &[(&str, f64)]) -> Result<()> {
        let finish = RunResult { values: words(metrics), ..RunResult::default() };
        runs::finish_run(&self.workspace, run, &finish).map(|_| ())
    }

    /// Ends the run as failed.
    ///
    /// # Errors
    /// As [`crate::app::runs::fail_run`].
    pub fn fail_experiment(&self, run: RunId, reason: &str) -> Result<()> {
        runs::fail_run(&self.workspace, run, reason, None).map(|_| ())
    }
}

fn words(metrics: &[(&str, f64)]) -> Vec<String> {
    metrics.iter().map(|(key, value)| format!("{key}={value}")).collect()
}
