//! The loop: drives any [`Learner`] over a prepared dataset, chooses the weights on the validation
//! rows, reports them on the test rows, and tells a [`Recorder`] everything.
//!
//! TRN-1: all that decides the next number is in [`State`], in the learner's saved files and in
//! keys of (seed, epoch, step); time is measured but never decides. TRN-2: the recorder is only
//! ever given copies. Early stopping follows Hugging Face Transformers: an evaluation counts as an
//! improvement when it is better than the best by more than the threshold, while the best itself
//! moves on any strict improvement.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bincode::{Decode, Encode};

use super::checkpoint::{CheckpointError, Checkpoints, RetainedCheckpoint, STATE_FILE, prune};
use super::curriculum::Passes;
use super::evaluate::{evaluate, prefixed};
use super::explain::explain;
use super::learner::{FailureKind, LearnError, Learner, StepKey};
use super::metric::{Evaluation, MetricValue, ScoreError, Thresholds, direction_of};
use super::metrics_out::MetricsOut;
use super::order::train_updates;
use super::protocol::JobSpec;
use super::recorder::{
    CheckpointSaved, EpochEnded, Interrupted, Progress, Recorder, SavedFile, Started, TrainEvent,
    TrainingResult,
};
use super::schedule::Schedule;
use crate::base::codec;
use crate::base::{Digest, Direction, RunId, Split};
use crate::data::batch::Batch;
use crate::data::batch::Collator;
use crate::data::prepared::{Prepared, PreparedError};
use crate::model::WEIGHTS_FILE;

/// How often the screen hears of progress, at most.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// A training that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The learner failed.
    #[error("the learner failed")]
    Learn(#[from] LearnError),
    /// A training checkpoint cannot be written or read.
    #[error("training checkpoints failed")]
    Checkpoint(#[from] CheckpointError),
    /// The prepared dataset cannot be used.
    #[error("the prepared dataset cannot be used")]
    Data(#[from] PreparedError),
    /// The model's answers cannot be scored.
    #[error("the {} rows cannot be scored", .split.word())]
    Score {
        /// The split.
        split: Split,
        /// Why.
        source: ScoreError,
    },
    /// A split without rows.
    #[error("no {} rows", .0.word())]
    EmptySplit(Split),
    /// A loss or gradient that is not finite.
    #[error("{what} is {value} at step {step}")]
    NotFinite {
        /// `loss`, `gradient norm`.
        what: &'static str,
        /// NaN or an infinity.
        value: f64,
        /// The update.
        step: u64,
    },
    /// No evaluation has the metric the model is to be chosen by.
    #[error("no metric \"{name}\" on the validation rows (known: {known})")]
    UnknownMetric {
        /// As configured.
        name: String,
        /// All names, in order.
        known: String,
    },
}

impl TrainError {
    /// The kind that goes into `run.failed`.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Learn(e) | Self::Checkpoint(CheckpointError::Learner { source: e, .. }) => {
                e.kind()
            }
            Self::Checkpoint(CheckpointError::Io { .. }) => FailureKind::Io,
            Self::Checkpoint(_) => FailureKind::Checkpoint,
            Self::Data(_) | Self::EmptySplit(_) => FailureKind::Data,
            Self::Score { source: ScoreError::NotFinite { .. }, .. } | Self::NotFinite { .. } => {
                FailureKind::NotFinite
            }
            Self::Score { .. } => FailureKind::Bug,
            Self::UnknownMetric { .. } => FailureKind::Config,
        }
    }
}

/// How a training ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// To its end, or early by its own rule.
    Finished(Box<TrainingResult>),
    /// On request, resumable.
    Interrupted(Interrupted),
}

/// What a training checkpoint holds besides the learner's files.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct State {
    run: RunId,
    config_digest: Digest,
    dataset_digest: Digest,
    threads: u32,
    /// Passes completed.
    epoch: u64,
    /// Updates of the running pass done.
    updates_done: u64,
    /// Updates done.
    step: u64,
    /// Losses of the running pass, summed.
    epoch_loss: f64,
    best: Option<Best>,
    /// Evaluations since the last improvement.
    stale: u32,
    kept: Vec<RetainedCheckpoint>,
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct Best {
    value: f64,
    epoch: u64,
    step: u64,
}

/// One training.
pub struct Trainer<'a> {
    job: &'a JobSpec,
    data: &'a Prepared,
    learner: &'a mut dyn Learner,
    recorder: &'a mut dyn Recorder,
    stop: &'a AtomicBool,
    checkpoints: Checkpoints,
    state: State,
    schedule: Schedule,
    passes: Passes,
    lengths: Vec<u32>,
    clock: ClockWork,
    metrics: MetricsOut,
}

/// Measured time; shown and recorded, never decides.
struct ClockWork {
    start: Instant,
    last_progress: Option<Instant>,
    epoch_start: Duration,
    rows: u64,
    update_time: Duration,
}

impl<'a> Trainer<'a> {
    /// Prepares a training; `stop` ends it at the next step.
    ///
    /// # Errors
    /// When a split is empty or the run's folder cannot be used.
    pub fn new(
        job: &'a JobSpec,
        data: &'a Prepared,
        learner: &'a mut dyn Learner,
        recorder: &'a mut dyn Recorder,
        stop: &'a AtomicBool,
    ) -> Result<Self, TrainError> {
        for split in Split::ALL {
            if !data.splits.contains(&split) {
                return Err(TrainError::EmptySplit(split));
            }
        }
        let training = &job.config.training;
        let passes = Passes::new(&job.config, data);
        let start = Instant::now();
        Ok(Self {
            checkpoints: Checkpoints::open(&job.run_dir)?,
            state: State::new(job),
            schedule: Schedule::new(training, passes.steps()),
            clock: ClockWork::new(start),
            metrics: MetricsOut::new(start),
            job,
            data,
            learner,
            recorder,
            stop,
            passes,
            lengths: data.inputs.lengths(),
        })
    }

    /// Updates done so far.
    pub fn step(&self) -> u64 {
        self.state.step
    }

    /// Trains to the end, or until told to stop.
    ///
    /// # Errors
    /// [`TrainError`]; the last training checkpoint is then still whole.
    pub fn run(&mut self) -> Result<Outcome, TrainError> {
        if let Some(dir) = &self.job.resume_from {
            self.resume(dir)?;
        }
        self.recorder.record(TrainEvent::Started(self.started()));
        while self.state.epoch < self.epochs() && !self.is_exhausted() {
            if !self.train_epoch()? {
                return self.interrupted();
            }
            self.end_epoch()?;
        }
        self.finish()
    }

    fn epochs(&self) -> u64 {
        self.passes.epochs()
    }

    /// Updates of the running pass.
    fn updates_of_epoch(&self) -> u64 {
        self.passes.updates(self.state.epoch)
    }

    fn is_exhausted(&self) -> bool {
        let patience = self.job.config.training.early_stopping.patience;
        // A stage that learns no more is no reason to leave out the rows of the next.
        let last = self.passes.is_last_stage(self.state.epoch);
        last && patience > 0 && self.state.stale >= patience
    }

    fn started(&self) -> Started {
        let rows = |split| (split, self.data.of_split(split).len() as u64);
        Started {
            parameters: self.learner.parameter_count(),
            epochs: self.epochs(),
            steps: self.passes.steps(),
            rows: Split::ALL.map(rows).to_vec(),
            device: self.job.device.clone(),
            threads: self.job.threads,
            resumed_at_step: self.job.resume_from.as_ref().map(|_| self.state.step),
        }
    }

    fn resume(&mut self, dir: &Path) -> Result<(), TrainError> {
        let bytes = self.checkpoints.load(dir, self.job.resume_digest, self.learner)?;
        let path = self.job.run_dir.join(dir);
        let mut state: State = codec::decode(&bytes)
            .map_err(|source| CheckpointError::State { path: path.join(STATE_FILE), source })?;
        if let Some(what) = state.foreign_to(self.job) {
            return Err(CheckpointError::Foreign { path, what }.into());
        }
        // What was pruned after this one was saved is gone; the list says what still exists.
        state.kept.retain(|kept| self.checkpoints.exists(&kept.dir));
        self.state = state;
        Ok(())
    }

    /// Goes through the rest of the running pass; `false` when told to stop.
    fn train_epoch(&mut self) -> Result<bool, TrainError> {
        let training = &self.job.config.training;
        let train_rows = self.passes.rows(self.state.epoch);
        let lengths: Vec<u32> = train_rows.iter().map(|row| self.lengths[*row]).collect();
        let order =
            train_updates(&lengths, training.update_rows(), training.seed, self.state.epoch);
        let collator = Collator::new(self.data);
        let done = usize::try_from(self.state.updates_done).unwrap_or(usize::MAX);
        for update in order.iter().skip(done) {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let rows: Vec<usize> = update.iter().map(|index| train_rows[*index]).collect();
            let batches = rows.chunks(training.batch_size as usize);
            let batches: Vec<Batch> = batches.map(|rows| collator.batch(rows)).collect();
            self.update(&batches)?;
            let save_steps = u64::from(training.save_steps);
            let inside = self.state.updates_done < self.updates_of_epoch();
            if inside && save_steps > 0 && self.state.step.is_multiple_of(save_steps) {
                self.save(None, false)?;
                self.prune()?;
            }
        }
        Ok(true)
    }

    fn update(&mut self, batches: &[Batch]) -> Result<(), TrainError> {
        let begin = Instant::now();
        let state = &mut self.state;
        let lr = self.passes.learning_rate(state.epoch) * self.schedule.factor(state.step);
        let seed = self.job.config.training.seed;
        let key = StepKey { seed, epoch: state.epoch, step: state.step };
        let output = self.learner.step(batches, lr, key)?;
        state.step += 1;
        state.updates_done += 1;
        for (what, value) in [("loss", output.loss), ("gradient norm", output.grad_norm)] {
            if !value.is_finite() {
                return Err(TrainError::NotFinite { what, value, step: state.step });
            }
        }
        state.epoch_loss += output.loss;
        self.clock.rows += batches.iter().map(|batch| batch.len() as u64).sum::<u64>();
        self.clock.update_time += begin.elapsed();
        let epoch = self.epoch_now();
        let step = self.state.step;
        let train = Some(Split::Train);
        let metrics = &mut self.metrics;
        metrics.push("loss", train, Direction::Lower, step, epoch, output.loss);
        metrics.push("learning_rate", None, Direction::Neutral, step, epoch, lr);
        metrics.push("grad_norm", train, Direction::Neutral, step, epoch, output.grad_norm);
        for (name, value) in &output.parts {
            metrics.push(name, train, Direction::Lower, step, epoch, *value);
        }
        metrics.flush_if_due(self.recorder);
        self.progress(lr);
        Ok(())
    }

    /// Passes over the training rows, with fraction.
    fn epoch_now(&self) -> f64 {
        self.state.epoch as f64 + self.state.updates_done as f64 / self.updates_of_epoch() as f64
    }

    fn progress(&mut self, lr: f64) {
        let last_of_epoch = self.state.updates_done == self.updates_of_epoch();
        let due = self.clock.last_progress.is_none_or(|at| at.elapsed() >= PROGRESS_INTERVAL);
        if !due && !last_of_epoch {
            return;
        }
        self.clock.last_progress = Some(Instant::now());
        self.recorder.record(TrainEvent::Progress(Progress {
            epoch: self.state.epoch + 1,
            epochs: self.epochs(),
            stage: self.passes.stage(self.state.epoch),
            step: self.state.step,
            steps: self.passes.steps(),
            loss: self.state.epoch_loss / self.state.updates_done.max(1) as f64,
            lr,
            rows_per_s: self.clock.rows_per_s(),
        }));
    }

    fn end_epoch(&mut self) -> Result<(), TrainError> {
        let valid = self.evaluate_valid()?;
        let (value, direction) = self.chosen_by(&valid)?;
        let train_loss = self.state.epoch_loss / self.updates_of_epoch() as f64;
        let seconds = self.clock.end_epoch();
        let stage = self.passes.stage(self.state.epoch);
        self.state.epoch += 1;
        self.state.updates_done = 0;
        self.state.epoch_loss = 0.0;
        let is_best = self.judge(value, direction);
        if self.passes.begins_stage(self.state.epoch) {
            self.state.stale = 0;
        }
        self.push_evaluation(&valid);
        if let Some((stage, _)) = stage {
            let (step, epoch) = (self.state.step, self.epoch_now());
            let metrics = &mut self.metrics;
            metrics.push("stage", None, Direction::Neutral, step, epoch, f64::from(stage));
        }
        self.metrics.flush(self.recorder);
        self.recorder.record(TrainEvent::EpochEnded(EpochEnded {
            epoch: self.state.epoch,
            epochs: self.epochs(),
            stage,
            step: self.state.step,
            train_loss,
            valid,
            metric: self.job.config.training.best_metric.clone(),
            value,
            best: is_best,
            seconds,
        }));
        self.save(Some(value), is_best)?;
        self.prune()
    }

    fn chosen_by(&self, evaluation: &Evaluation) -> Result<(f64, Direction), TrainError> {
        let name = &self.job.config.training.best_metric;
        let metric = evaluation.get(name).ok_or_else(|| {
            let names: Vec<&str> = evaluation.metrics.iter().map(|m| m.name.as_str()).collect();
            TrainError::UnknownMetric { name: name.clone(), known: names.join(", ") }
        })?;
        Ok((metric.value, metric.direction))
    }

    /// Counts the evaluation for early stopping and for the best; whether it is the best so far.
    fn judge(&mut self, value: f64, direction: Direction) -> bool {
        let threshold = self.job.config.training.early_stopping.threshold;
        let (better, enough) = self.state.best.as_ref().map_or((true, true), |best| {
            let better = direction.is_better(value, best.value);
            (better, better && (value - best.value).abs() > threshold)
        });
        self.state.stale = if enough { 0 } else { self.state.stale + 1 };
        if better {
            self.state.best = Some(Best { value, epoch: self.state.epoch, step: self.state.step });
        }
        better
    }

    /// Scores the validation rows, on which thresholds are tuned where that is asked for.
    fn evaluate_valid(&mut self) -> Result<Evaluation, TrainError> {
        let config = &self.job.config;
        let thresholds = Thresholds::of(config.training.threshold, self.data);
        let mut spent = Duration::ZERO;
        evaluate(self.learner, self.data, config, Split::Valid, thresholds, &|_| {}, &mut spent)
    }

    /// Scores the test rows by the thresholds of the validation rows.
    fn evaluate_test(
        &mut self,
        thresholds: &[f64],
        change: &dyn Fn(&mut Batch),
        spent: &mut Duration,
    ) -> Result<Evaluation, TrainError> {
        let thresholds = Thresholds::Given(thresholds.to_vec());
        let config = &self.job.config;
        evaluate(self.learner, self.data, config, Split::Test, thresholds, change, spent)
    }

    /// What the concepts of a lexicon do for the test rows: the same scores without them.
    fn without_concepts(&mut self, thresholds: &[f64]) -> Result<Vec<MetricValue>, TrainError> {
        let config = &self.job.config;
        if self.data.concepts.is_empty() || !config.lexicon.has_vectors() {
            return Ok(Vec::new());
        }
        let without = |batch: &mut Batch| batch.concepts.fill(0);
        let mut spent = Duration::ZERO;
        let scores = self.evaluate_test(thresholds, &without, &mut spent)?;
        Ok(prefixed("without_concepts", scores.metrics).collect())
    }

    fn push_evaluation(&mut self, evaluation: &Evaluation) {
        let (step, epoch) = (self.state.step, self.epoch_now());
        for metric in evaluation.series() {
            let split = Some(evaluation.split);
            self.metrics.push(&metric.name, split, metric.direction, step, epoch, metric.value);
        }
    }

    fn save(&mut self, value: Option<f64>, best: bool) -> Result<Vec<SavedFile>, TrainError> {
        // What is on disk must never be ahead of what was reported.
        self.metrics.flush(self.recorder);
        let (step, dir) = (self.state.step, Checkpoints::dir(self.state.step));
        self.state.kept.retain(|kept| kept.step != step);
        self.state.kept.push(RetainedCheckpoint { step, dir: dir.clone(), value });
        let files = self.checkpoints.save(
            step,
            &|dir| self.learner.save(dir),
            &codec::encode(&self.state),
        )?;
        let metric = value.map(|value| (self.job.config.training.best_metric.clone(), value));
        let epoch = self.epoch_now();
        let saved = CheckpointSaved { step, epoch, dir, files: files.clone(), metric, best };
        self.recorder.record(TrainEvent::CheckpointSaved(saved));
        Ok(files)
    }

    fn prune(&mut self) -> Result<(), TrainError> {
        let training = &self.job.config.training;
        let direction = direction_of(&training.best_metric);
        let (best, last) = (training.keep_best as usize, training.keep_last as usize);
        for step in prune(&self.state.kept, direction, best, last) {
            let dir = Checkpoints::dir(step);
            self.checkpoints.remove(&dir)?;
            self.state.kept.retain(|kept| kept.step != step);
            self.recorder.record(TrainEvent::CheckpointPruned { step, dir });
        }
        Ok(())
    }

    fn interrupted(&mut self) -> Result<Outcome, TrainError> {
        let step = self.state.step;
        let dir = Checkpoints::dir(step);
        if step > 0 && !self.state.kept.iter().any(|kept| kept.step == step) {
            self.save(None, false)?;
        }
        self.metrics.flush(self.recorder);
        Ok(Outcome::Interrupted(Interrupted { step, dir: (step > 0).then_some(dir) }))
    }

    fn finish(&mut self) -> Result<Outcome, TrainError> {
        let best = self.state.best.clone().ok_or(TrainError::EmptySplit(Split::Train))?;
        let best_dir = Checkpoints::dir(best.step);
        self.checkpoints.load(&best_dir, None, self.learner)?;
        let valid = self.evaluate_valid()?;
        let mut spent = Duration::ZERO;
        let mut test = self.evaluate_test(&valid.thresholds, &|_| {}, &mut spent)?;
        let tested = test.rows as f64;
        test.metrics.extend(self.without_concepts(&valid.thresholds)?);
        let (config, dir) = (&self.job.config, &self.job.run_dir);
        test.metrics.extend(explain(self.learner, self.data, config, dir)?);
        self.push_evaluation(&test);
        self.metrics.flush(self.recorder);
        let weights = self.weights_of(&best_dir)?;
        Ok(Outcome::Finished(Box::new(TrainingResult {
            epochs: self.state.epoch,
            steps: self.state.step,
            stopped_early: self.state.epoch < self.epochs(),
            metric: self.job.config.training.best_metric.clone(),
            best_value: best.value,
            best_epoch: best.epoch,
            best_step: best.step,
            evaluations: vec![valid, test],
            best_dir,
            weights,
            parameters: self.learner.parameter_count(),
            seconds: self.clock.start.elapsed().as_secs_f64(),
            rows_per_s: self.clock.rows_per_s(),
            inference_ms: (tested > 0.0).then(|| spent.as_secs_f64() * 1e3 / tested),
        })))
    }

    fn weights_of(&self, dir: &Path) -> Result<SavedFile, TrainError> {
        let manifest = self.checkpoints.verify(dir)?;
        let file = manifest.files.into_iter().find(|file| file.name == WEIGHTS_FILE);
        let file = file.ok_or_else(|| LearnError::State {
            file: WEIGHTS_FILE.into(),
            message: "the learner saved no such file".into(),
        })?;
        Ok(SavedFile { name: file.name, digest: file.blake3, bytes: file.bytes })
    }
}

impl State {
    fn new(job: &JobSpec) -> Self {
        Self {
            run: job.run,
            config_digest: job.config_digest,
            dataset_digest: job.dataset_digest,
            threads: job.threads,
            epoch: 0,
            updates_done: 0,
            step: 0,
            epoch_loss: 0.0,
            best: None,
            stale: 0,
            kept: Vec::new(),
        }
    }

    /// What makes this the state of another training than `job`, if anything does.
    fn foreign_to(&self, job: &JobSpec) -> Option<&'static str> {
        if self.run != job.run {
            Some("run")
        } else if self.config_digest != job.config_digest {
            Some("configuration")
        } else if self.dataset_digest != job.dataset_digest {
            Some("dataset")
        } else {
            (self.threads != job.threads).then_some("thread count")
        }
    }
}

impl ClockWork {
    fn new(start: Instant) -> Self {
        let zero = Duration::ZERO;
        Self { start, last_progress: None, epoch_start: zero, rows: 0, update_time: zero }
    }

    fn rows_per_s(&self) -> f64 {
        let seconds = self.update_time.as_secs_f64();
        if seconds > 0.0 { self.rows as f64 / seconds } else { 0.0 }
    }

    /// Seconds since the last call, or since the start.
    fn end_epoch(&mut self) -> f64 {
        let now = self.start.elapsed();
        let seconds = now.saturating_sub(self.epoch_start).as_secs_f64();
        self.epoch_start = now;
        seconds
    }
}

/// Where the weights of a finished training lie, relative to the run's folder.
pub fn weights_path(finished: &TrainingResult) -> PathBuf {
    finished.best_dir.join(&finished.weights.name)
}
