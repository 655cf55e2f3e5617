//! A command that is supervised from its start to its end: what it prints as lines of JSON is
//! recorded as it comes, everything it prints is kept, and how it ended is in the log (SUP-1).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::line::{self, Said, merged};
use super::report::{Finish, finished};
use super::start::StartRun;
use crate::app::NewRun;
use crate::app::record::Recorder;
use crate::app::train::RunFolder;
use crate::app::{App, Error, ErrorKind, Result, Session};
use crate::base::limits::METRIC_BATCH_POINTS_MAX;
use crate::base::mask::Masker;
use crate::base::{RunId, Split, Timestamp, confine};
use crate::domain::Provenance;
use crate::domain::metric::{Evaluation, FinalMetric, MetricBatch, MetricKey, MetricPoint};
use crate::domain::run::{ArtifactStored, Ending, RunCommand, RunState, RunStatus};
use crate::supervise::{Command, Output, Printed};

/// Facts that may wait for the log before listening waits.
const QUEUE_FACTS: usize = 1_024;
/// How often an end asked for by the user is noticed.
const LISTEN: Duration = Duration::from_millis(50);
/// How long points wait for company.
const GATHER: Duration = Duration::from_millis(250);
/// Last lines of the error output that are kept for `run.failed`.
const TAIL_LINES: usize = 20;

/// A command to be supervised.
#[derive(Clone, Debug)]
pub struct ExecRequest {
    /// What is said of the run.
    pub start: StartRun,
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// The program whose verb `guard` is [`crate::supervise::serve_guard`]: `annals`.
    pub guard: PathBuf,
    /// Files to keep when it has ended well: what each is, and where.
    pub save: Vec<(String, PathBuf)>,
}

/// How a supervised run ended.
#[derive(Clone, Debug)]
pub struct Executed {
    /// The run.
    pub run: RunId,
    /// Its unique name.
    pub experiment_id: String,
    /// How far it got.
    pub status: RunStatus,
    /// Final values.
    pub metrics: Vec<FinalMetric>,
}

/// Points that wait for company: one event for each would make the log ten times as large.
#[derive(Default)]
struct Pending {
    keys: Vec<MetricKey>,
    points: Vec<MetricPoint>,
    since: Option<Instant>,
}

impl Pending {
    fn push(&mut self, values: &[FinalMetric], step: u64, epoch: f64, at: Timestamp) {
        self.since.get_or_insert_with(Instant::now);
        for FinalMetric { key, value } in values {
            let known = self.keys.iter().position(|known| known == key);
            let index = known.unwrap_or_else(|| {
                self.keys.push(key.clone());
                self.keys.len() - 1
            });
            let key = u16::try_from(index).unwrap_or(u16::MAX);
            self.points.push(MetricPoint { key, step, epoch, value: *value, at });
        }
    }

    fn flush_if_due(&mut self, facts: &SyncSender<RunCommand>) {
        let full = self.points.len() >= METRIC_BATCH_POINTS_MAX;
        if full || self.since.is_some_and(|since| since.elapsed() >= GATHER) {
            self.flush(facts);
        }
    }

    fn flush(&mut self, facts: &SyncSender<RunCommand>) {
        let Self { keys, points, .. } = std::mem::take(self);
        for part in points.chunks(METRIC_BATCH_POINTS_MAX) {
            let batch = MetricBatch::new(keys.clone(), part);
            // A recorder that has ended refuses facts; why comes out when it is joined.
            let _ = facts.send(RunCommand::RecordMetrics(batch));
        }
    }
}

/// What was heard of a command so far.
#[derive(Default)]
struct Heard {
    pending: Pending,
    steps: u64,
    epochs: f64,
    last: BTreeMap<(Option<Split>, String), FinalMetric>,
    last_given: Vec<FinalMetric>,
    evaluations: Vec<Evaluation>,
    saves: Vec<(String, PathBuf)>,
    tail: Vec<String>,
}

impl App {
    /// Runs a command as a run. `stop` counts how often the user asked for an end: once passes
    /// Ctrl-C on, twice kills. `echo` gets everything the command prints.
    ///
    /// # Errors
    /// [`ErrorKind::TrainingFailed`] and [`ErrorKind::Interrupted`] when the command ended so,
    /// which is then in the log.
    pub fn exec(
        &self,
        request: &ExecRequest,
        stop: &AtomicUsize,
        echo: &mut dyn FnMut(&Printed),
    ) -> Result<Executed> {
        let prepared = self.prepare_start(&request.start)?;
        self.recover()?;
        self.may_begin("run exec")?;
        let session = self.begin("run exec")?;
        let begins = NewRun {
            name: &request.start.name,
            model: &prepared.config_name,
            began: session.now(),
        };
        let folder = match RunFolder::create(self, &begins) {
            Ok(folder) => folder,
            Err(error) => return session.finish_with(Err(error)),
        };
        let begun = session.transact(|tx| {
            let by = Provenance::Supervised;
            self.record_external_start(tx, &request.start, &prepared, &folder, by)
        });
        let state = match begun {
            Ok(state) => state,
            Err(error) => {
                folder.discard();
                return session.finish_with(Err(error));
            }
        };
        let run = state.id.unwrap_or(RunId([0; 16]));
        // Without the registry files the log is as good.
        let _ = self.refresh();
        let result = self.supervise(&session, request, state, &folder, stop, echo);
        let settled = match &result {
            Err(error) => self.settle(&session, run, error).map(|_| ()),
            Ok(_) => Ok(()),
        };
        let ended = session.finish_with(settled.and(result));
        self.refresh()?;
        ended
    }

    fn supervise(
        &self,
        session: &Session<'_>,
        request: &ExecRequest,
        state: RunState,
        folder: &RunFolder,
        stop: &AtomicUsize,
        echo: &mut dyn FnMut(&Printed),
    ) -> Result<Executed> {
        let (run, started) = (state.id.unwrap_or(RunId([0; 16])), session.now());
        let variables = [
            ("ANNALS_RUN", run.to_string()),
            ("ANNALS_RUN_FOLDER", folder.path.display().to_string()),
        ];
        let mut command =
            Command::start(&request.guard, &request.command, &self.caller.cwd, &variables)
                .map_err(|e| {
                    Error::caused(ErrorKind::TrainingFailed, "the command does not start", e)
                })?;
        let path = folder.path.join(folder.log_file());
        let mut log = confine::append_file(&path)
            .map_err(|e| Error::io(format!("write {}", path.display()), e))?;
        let mut heard = Heard::default();
        // Each stream has its own lines.
        let (mut masker, mut error_masker) = (Masker::default(), Masker::default());
        let mut asked = 0;
        let abandon = AtomicBool::new(false);
        let recorder = Recorder {
            session,
            run,
            state,
            provenance: Provenance::Supervised,
            abandon: &abandon,
            complain: &|_| {},
        };
        let end = std::thread::scope(|scope| {
            let (facts, queue) = sync_channel(QUEUE_FACTS);
            let recording = scope.spawn(move || recorder.run(&queue));
            let end = loop {
                let now = stop.load(Ordering::SeqCst);
                if now > asked {
                    asked = now;
                    if now == 1 { command.interrupt() } else { command.kill() }
                }
                heard.pending.flush_if_due(&facts);
                match command.hear(LISTEN) {
                    Output::Silence => {}
                    Output::Ended(end) => break end,
                    Output::Printed(printed) => {
                        // The log of the output is a convenience: a full disk ends no training.
                        let masker = if printed.error { &mut error_masker } else { &mut masker };
                        let kept = masker.bytes(&printed.bytes);
                        let _ = log.write_all(&kept);
                        echo(&printed);
                        heard.take(&printed, &kept, session);
                    }
                }
            };
            heard.pending.flush(&facts);
            drop(facts);
            match recording.join() {
                Ok(recorded) => recorded.map(|_| end),
                Err(_) => Err(Error::new(ErrorKind::Bug, "BUG: the recorder panicked")),
            }
        })?;
        drop(log);
        let seconds = session.now().seconds_since(started);
        let (ending, error) = match (end.success, asked) {
            (true, _) => (None, None),
            (false, 0) => {
                let message = format!("training failed: {}", end.reason);
                let ending = Ending::Fail {
                    reason: end.reason,
                    signal: end.signal,
                    exit_code: end.exit_code,
                    stderr_tail: heard.tail.join("\n"),
                };
                (Some(ending), Some(Error::new(ErrorKind::TrainingFailed, message)))
            }
            (false, _) => {
                let reason = format!("stopped by the user; {}", end.reason);
                let error = Error::new(ErrorKind::Interrupted, format!("the run was {reason}"));
                (Some(Ending::Interrupt { reason }), Some(error))
            }
        };
        let mut stored: Vec<ArtifactStored> = Vec::new();
        if ending.is_none() {
            let saves = heard.saves.iter().chain(&request.save);
            for (what, file) in saves {
                let file = self.caller.cwd.join(file);
                stored.push(self.keep(&self.relative(&folder.path), &file, what)?);
            }
        }
        stored.extend(folder.file("log", &folder.log_file()).ok());
        self.put_blobs(folder, &stored)?;
        let state = session.transact_patiently(|tx| {
            let commands = stored.into_iter().map(RunCommand::StoreArtifact).collect();
            self.tell(tx, run, Provenance::Supervised, |_| Ok(commands))?;
            self.tell(tx, run, Provenance::Supervised, |state| {
                let ending = ending.unwrap_or_else(|| finished(state, heard.finish(seconds)));
                Ok(vec![RunCommand::End(ending)])
            })
        })?;
        match error {
            Some(error) => Err(error),
            None => Ok(Executed {
                run,
                experiment_id: state.experiment_id,
                status: state.status,
                metrics: state.metrics,
            }),
        }
    }
}

impl Heard {
    /// Takes in one line, of which `kept` is without secrets.
    fn take(&mut self, printed: &Printed, kept: &[u8], session: &Session<'_>) {
        let text = String::from_utf8_lossy(&printed.bytes);
        if printed.error {
            self.tail.push(String::from_utf8_lossy(kept).trim_end().to_owned());
            if self.tail.len() > TAIL_LINES {
                self.tail.remove(0);
            }
            return;
        }
        match line::said(&text) {
            None => {}
            Some(Said::Final(values)) => self.last_given.extend(values),
            Some(Said::Evaluation(evaluation)) => {
                self.evaluations.retain(|known| known.split != evaluation.split);
                self.evaluations.push(evaluation);
            }
            Some(Said::Save(path, what)) => self.saves.push((what, path)),
            Some(Said::Points { step, epoch, values }) => {
                self.epochs = epoch.unwrap_or(self.epochs).max(self.epochs);
                let step =
                    step.unwrap_or_else(|| epoch.map_or(self.steps + 1, |e| e.max(0.0) as u64));
                self.steps = self.steps.max(step);
                self.pending.push(&values, step, epoch.unwrap_or(0.0), session.now());
                for metric in values {
                    let key = (metric.key.split, metric.key.name.clone());
                    self.last.insert(key, metric);
                }
            }
        }
    }

    fn finish(self, seconds: f64) -> Finish {
        let scores = self.evaluations.iter().flat_map(line::scores).collect();
        let last = self.last.into_values().collect();
        Finish {
            metrics: merged([last, scores, self.last_given]),
            evaluations: self.evaluations,
            steps: self.steps,
            epochs: self.epochs.max(0.0) as u32,
            parameters: None,
            seconds,
        }
    }
}
