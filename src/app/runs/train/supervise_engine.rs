//! Stays with the engine until the run has ended: what it reports is shown, written to the training
//! log file and recorded.

use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::training_log_file::TrainingLogFile;
use super::translate;
use crate::app::runs::supervision::{Supervised, Supervision};
use crate::app::{Error, ErrorKind, Reporter, Result, Session};
use crate::base::{RunId, Timestamp};
use crate::domain::Provenance;
use crate::domain::run::{Ending, RunCommand, RunState};
use crate::supervise::{Engine, EngineMessage};
use crate::train::protocol::Ended;
use crate::train::{Interrupted, TrainingResult};

/// Facts that may wait for the log before the engine has to.
const QUEUE_FACTS: usize = 1_024;

/// How a training ended.
pub(super) enum TrainingOutcome {
    /// With a model.
    Finished(Box<TrainingResult>),
    /// Otherwise: what to record, and what to tell the user.
    Ended(Ending, Error),
}

/// Supervises `engine` to its end. Everything it reported is in the log when this returns `Ok`.
pub(super) fn supervise_engine(
    session: &Session<'_>,
    run: RunId,
    state: RunState,
    engine: Engine,
    stop: &AtomicUsize,
    (reporter, log_file): (&mut dyn Reporter, &mut TrainingLogFile),
) -> Result<TrainingOutcome> {
    let mut training = Training {
        session,
        engine,
        started: session.now(),
        killed: false,
        facts: VecDeque::new(),
        reporter,
        log_file,
    };
    let provenance = Provenance::Engine;
    Supervision { session, run, state, provenance, stop, queue_facts: QUEUE_FACTS }
        .until_end(&mut training)
}

struct Training<'a> {
    session: &'a Session<'a>,
    engine: Engine,
    /// When this process's training began; the engine counts times from there.
    started: Timestamp,
    killed: bool,
    facts: VecDeque<RunCommand>,
    reporter: &'a mut dyn Reporter,
    log_file: &'a mut TrainingLogFile,
}

impl Supervised for Training<'_> {
    type End = TrainingOutcome;

    fn interrupt(&mut self) {
        self.reporter.note("Stopping after this step; once more ends it at once.");
        self.engine.stop();
    }

    fn kill(&mut self) {
        self.killed = true;
        self.engine.kill();
    }

    fn log_failed(&mut self, error: &str) {
        self.reporter.warn(&format!(
            "cannot write to the log ({error}); training continues and writing will be retried"
        ));
    }

    fn listen(&mut self, wait: Duration) -> Option<TrainingOutcome> {
        let outcome = match self.engine.recv(wait) {
            // Nothing was requested of it but to train.
            EngineMessage::Silence | EngineMessage::Ready | EngineMessage::Scores(_) => {
                return None;
            }
            EngineMessage::Event(event) => {
                self.reporter.event(&event);
                self.log_file.event(self.session.now(), &event);
                self.facts.extend(translate::fact(&event, self.started));
                return None;
            }
            EngineMessage::Ended(Ended::Finished(finished)) => TrainingOutcome::Finished(finished),
            EngineMessage::Ended(Ended::Interrupted(interrupted)) => stopped(&interrupted),
            EngineMessage::Ended(Ended::Failed(failure)) => {
                let at = failure.step.map_or(String::new(), |step| format!(" at step {step}"));
                let reason = format!("{}{at}: {}", failure.kind.word(), failure.message);
                failed(reason, None, None, String::new())
            }
            EngineMessage::Gone(gone) if self.killed => {
                let reason = "stopped twice by the user; the engine was killed".to_owned();
                interrupted(reason, &gone.reason)
            }
            EngineMessage::Gone(gone) => {
                failed(gone.reason, gone.signal, gone.exit_code, gone.output_tail)
            }
        };
        self.log_file.end(self.session.now(), &outcome);
        Some(outcome)
    }

    fn next_fact(&mut self) -> Option<RunCommand> {
        self.facts.pop_front()
    }

    fn put_back(&mut self, fact: RunCommand) {
        self.facts.push_front(fact);
    }

    fn recorder_ended(&mut self) {
        self.engine.stop();
    }
}

fn stopped(at: &Interrupted) -> TrainingOutcome {
    let where_to = match &at.dir {
        Some(dir) => format!("the training checkpoint {} is complete", dir.display()),
        None => "no training checkpoint was saved yet".to_owned(),
    };
    interrupted(format!("stopped by the user at step {}", at.step), &where_to)
}

fn interrupted(reason: String, hint: &str) -> TrainingOutcome {
    let error = Error::new(ErrorKind::Interrupted, format!("the run was {reason}")).hint(hint);
    TrainingOutcome::Ended(Ending::Interrupt { reason }, error)
}

fn failed(
    reason: String,
    signal: Option<i32>,
    exit_code: Option<i32>,
    stderr_tail: String,
) -> TrainingOutcome {
    let mut error = Error::new(ErrorKind::TrainingFailed, format!("training failed: {reason}"));
    if let Some(last) = stderr_tail.lines().last() {
        error = error.hint(format!("the engine's last line was: {last}"));
    }
    TrainingOutcome::Ended(Ending::Fail { reason, signal, exit_code, stderr_tail }, error)
}
