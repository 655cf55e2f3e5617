//! What a script reports of its run: points, files, the end. Each call is one invocation, and in
//! the log when it returns.

use std::path::Path;

use super::line::{self, merged};
use crate::app::session::Tx;
use crate::app::{App, Error, ErrorKind, Result, fold_policy, fold_run};
use crate::base::{Digest, RunId, durable};
use crate::domain::metric::{Evaluation, FinalMetric, MetricBatch, MetricPoint};
use crate::domain::run::{
    ArtifactStored, Ending, RunCommand, RunFacts, RunFinished, RunState, decide,
};
use crate::domain::{Event, Name, Provenance};
use crate::store::copy_file;

/// Metrics of one step.
#[derive(Clone, Debug, Default)]
pub struct MetricPoints {
    /// `KEY=NUMBER`, where a key is `NAME`, `SPLIT/NAME` or `SPLIT/NAME:lower`.
    pub values: Vec<String>,
    /// Updates done; the epoch, or one more than the last, where none is given.
    pub step: Option<u64>,
    /// Passes over the training rows done.
    pub epoch: Option<f64>,
}

/// How a run ended well.
#[derive(Clone, Debug, Default)]
pub struct FinishRun {
    /// Final values, `KEY=NUMBER`; the last one of each series where none is given.
    pub values: Vec<String>,
    /// Confusion matrices, as JSON: `{"split": "test", "labels": […], "matrix": [[…]]}`.
    pub confusions: Vec<serde_json::Value>,
    /// Passes over the training rows done.
    pub epochs: u32,
    /// Trainable numbers, where known.
    pub parameters: Option<u64>,
}

/// What [`RunFinished`] is made from.
pub(super) struct Finish {
    pub(super) metrics: Vec<FinalMetric>,
    pub(super) evaluations: Vec<Evaluation>,
    pub(super) steps: u64,
    pub(super) epochs: u32,
    pub(super) parameters: Option<u64>,
    pub(super) seconds: f64,
}

impl App {
    /// Records points of a run under way.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] and [`ErrorKind::Data`] for a bad metric; [`ErrorKind::Rejected`]
    /// when the run has ended.
    pub fn log_metrics(&self, run: RunId, points: &MetricPoints) -> Result<u64> {
        let values: Vec<FinalMetric> =
            points.values.iter().map(|text| line::metric_value(text)).collect::<Result<_>>()?;
        if values.is_empty() {
            return Err(Error::new(ErrorKind::Usage, "no metric was given")
                .hint("annals run log RUN valid/loss=0.3 valid/accuracy=0.9 --step 10"));
        }
        let step = match (points.step, points.epoch) {
            (Some(step), _) => step,
            (None, Some(epoch)) => epoch.max(0.0) as u64,
            (None, None) => self.next_step(run)?,
        };
        let batch = batch(&values, step, points.epoch, self.env.now());
        self.report("run log", |app, tx| {
            app.tell(tx, run, Provenance::Reported, |_| Ok(vec![RunCommand::RecordMetrics(batch)]))
        })?;
        Ok(step)
    }

    /// One more than the last step of any series of a run.
    fn next_step(&self, run: RunId) -> Result<u64> {
        let rows = self.snapshot()?.metrics(run)?;
        Ok(rows.iter().map(|row| row.last.0).max().map_or(0, |last| last.saturating_add(1)))
    }

    /// Keeps a file of a run under way, in its folder and in the blob store, as `what`: `weights`,
    /// `vocabulary`, `labels`, or a word of the script's own. The same bytes again change nothing.
    ///
    /// # Errors
    /// When the file cannot be read, is no plain file, or the run has ended.
    pub fn save_file(&self, run: RunId, file: &Path, what: &str) -> Result<ArtifactStored> {
        let what = Name::new(what)?;
        let state = self.store.read(|log| fold_run(log, run))?;
        // Refused before bytes are copied.
        state.must_run()?;
        let stored = self.keep(&state.folder, file, what.as_str())?;
        let kept = stored.clone();
        self.report("run save", |app, tx| {
            app.tell(tx, run, Provenance::Reported, |state| {
                let same = state.artifacts.get(&kept.name);
                let same = same.is_some_and(|a| (a.digest, &a.path) == (kept.digest, &kept.path));
                Ok(if same { vec![] } else { vec![RunCommand::StoreArtifact(kept)] })
            })
        })?;
        Ok(stored)
    }

    /// Copies a file into a run's folder and the blob store.
    pub(super) fn keep(&self, folder: &str, file: &Path, what: &str) -> Result<ArtifactStored> {
        // It becomes a part of a path.
        let what = Name::new(what)?;
        let what = what.as_str();
        if !file.is_file() {
            let message = format!("{} is no file", file.display());
            return Err(
                Error::new(ErrorKind::Data, message).hint("save the files of a folder one by one")
            );
        }
        let (digest, bytes) = self.blobs.put_file(file)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let inside =
            if what == "weights" { "checkpoints".into() } else { format!("results/{what}") };
        let (path, taken) = self.free_path(folder, &inside, &name, digest)?;
        if !taken {
            let target = self.inside_folder(folder, &path)?;
            let failed = |e| Error::io(format!("write {}", target.display()), e);
            let parent = target.parent().unwrap_or(&self.root);
            durable::create_dir_all(parent).map_err(failed)?;
            let partial = parent.join(format!(".{digest}.partial"));
            let _ = std::fs::remove_file(&partial);
            copy_file(&self.blobs.path(digest), &partial).map_err(failed)?;
            std::fs::rename(&partial, &target).map_err(failed)?;
            durable::sync_parent(&target).map_err(failed)?;
        }
        Ok(ArtifactStored { name: what.to_owned(), path: Some(path), digest, bytes, blob: true })
    }

    /// A path that nothing has, or one that has these bytes already: a recorded file is never
    /// written over.
    fn free_path(
        &self,
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
            match crate::effect::has_digest(&self.inside_folder(folder, &path)?, digest)? {
                None => return Ok((path, false)),
                Some(true) => return Ok((path, true)),
                Some(false) => {}
            }
        }
        Err(Error::new(ErrorKind::Bug, "BUG: no free name"))
    }

    /// Ends a run well, and judges it by the policy.
    ///
    /// # Errors
    /// For bad values, and when the run has ended.
    pub fn finish_run(&self, run: RunId, finish: &FinishRun) -> Result<RunState> {
        let given: Vec<FinalMetric> =
            finish.values.iter().map(|text| line::metric_value(text)).collect::<Result<_>>()?;
        let evaluations: Vec<Evaluation> =
            finish.confusions.iter().map(line::evaluation).collect::<Result<_>>()?;
        let rows = self.snapshot()?.metrics(run)?;
        let steps = rows.iter().map(|row| row.last.0).max().unwrap_or(0);
        let last = rows.into_iter().map(|row| FinalMetric {
            key: crate::domain::metric::MetricKey {
                name: row.name,
                split: row.split,
                direction: row.direction,
            },
            value: row.last.1,
        });
        let scores = evaluations.iter().flat_map(line::scores).collect();
        let metrics = merged([last.collect(), scores, given]);
        let ended = self.report("run finish", |app, tx| {
            let started = tx.log().stream(run.into(), 0)?.first().map(|e| e.header.dated());
            let seconds = started.map_or(0.0, |started| app.env.now().seconds_since(started));
            let (epochs, parameters) = (finish.epochs, finish.parameters);
            let all = Finish { metrics, evaluations, steps, epochs, parameters, seconds };
            app.tell(tx, run, Provenance::Reported, |state| {
                Ok(vec![RunCommand::End(finished(state, all))])
            })
        })?;
        self.refresh()?;
        Ok(ended)
    }

    /// Ends a run that failed.
    ///
    /// # Errors
    /// When the run has ended, or there is no reason.
    pub fn fail_run(&self, run: RunId, reason: &str, exit_code: Option<i32>) -> Result<RunState> {
        if reason.trim().is_empty() {
            return Err(Error::new(ErrorKind::Usage, "a reason is needed"));
        }
        let (reason, stderr_tail) = (reason.to_owned(), String::new());
        let ending = Ending::Fail { reason, signal: None, exit_code, stderr_tail };
        let ended = self.report("run fail", |app, tx| {
            app.tell(tx, run, Provenance::Reported, |_| Ok(vec![RunCommand::End(ending)]))
        })?;
        self.refresh()?;
        Ok(ended)
    }

    /// One report in one transaction; a refusal is recorded.
    fn report<T>(
        &self,
        verb: &'static str,
        f: impl FnOnce(&Self, &mut Tx<'_, '_>) -> Result<T>,
    ) -> Result<T> {
        let told = self.decide(verb, |tx| f(self, tx));
        if let Err(error) = &told
            && error.kind == ErrorKind::Rejected
        {
            self.refuse(verb, error, &[])?;
        }
        told
    }

    /// Decides what `commands` makes of the run as it is, and appends it.
    pub(super) fn tell(
        &self,
        tx: &mut Tx<'_, '_>,
        run: RunId,
        provenance: Provenance,
        commands: impl FnOnce(&RunState) -> Result<Vec<RunCommand>>,
    ) -> Result<RunState> {
        let policy = fold_policy(tx.log())?;
        let mut state = fold_run(tx.log(), run)?;
        let facts =
            RunFacts { policy: &policy.policy, policy_revision: policy.revision(), provenance };
        for command in commands(&state)? {
            let events = decide(&state, command, &facts)?;
            events.iter().for_each(|event| state.evolve_from(event, provenance));
            let events: Vec<Event> = events.into_iter().map(Event::from).collect();
            tx.append(run, &events, provenance)?;
        }
        Ok(state)
    }
}

/// Points of one step, at one time.
pub(super) fn batch(
    values: &[FinalMetric],
    step: u64,
    epoch: Option<f64>,
    at: crate::base::Timestamp,
) -> MetricBatch {
    let epoch = epoch.unwrap_or(0.0);
    let points: Vec<MetricPoint> = (0_u16..)
        .zip(values)
        .map(|(key, metric)| MetricPoint { key, step, epoch, value: metric.value, at })
        .collect();
    MetricBatch::new(values.iter().map(|metric| metric.key.clone()).collect(), &points)
}

/// The end of a run that ended well; its model is what was saved as `weights`.
pub(super) fn finished(state: &RunState, finish: Finish) -> Ending {
    let weights = state.artifacts.get("weights");
    Ending::Finish(Box::new(RunFinished {
        attempt: state.attempt,
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
