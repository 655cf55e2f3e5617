//! Listens to the engine until the run has ended, and hands what it says to the recorder.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::journal::Journal;
use super::{asked, translate};
use crate::app::runs::record::Recorder;
use crate::app::{Error, ErrorKind, Result, Screen, Session};
use crate::base::{RunId, Timestamp};
use crate::domain::Provenance;
use crate::domain::run::{Ending, RunCommand, RunState};
use crate::supervise::{Engine, Heard};
use crate::train::protocol::Ended;
use crate::train::{Finished, Interrupted};

/// Facts that may wait for the log before listening waits.
const QUEUE_FACTS: usize = 1_024;
/// How often an end asked for by the user is noticed.
const LISTEN: Duration = Duration::from_millis(50);

/// How long to wait for the recorder when its queue is full.
const FULL: Duration = Duration::from_millis(10);

/// How the engine's work ended.
pub(super) enum Driven {
    /// With a model.
    Finished(Box<Finished>),
    /// Otherwise: what to record, and what to tell the user.
    Ended(Ending, Error),
}

/// Drives `engine` to its end. Everything it said is in the log when this returns `Ok`.
pub(super) fn drive(
    session: &Session<'_>,
    run: RunId,
    state: RunState,
    mut engine: Engine,
    stop: &AtomicUsize,
    (screen, journal): (&mut dyn Screen, &mut Journal),
) -> Result<Driven> {
    let abandon = AtomicBool::new(false);
    let complaint = Mutex::new(None);
    let complain = |error: &Error| {
        let text = format!(
            "cannot write to the log ({error}); training continues and writing will be \
                 retried"
        );
        *complaint.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    };
    let attempt = state.attempt;
    let recorder = Recorder {
        session,
        run,
        state,
        provenance: Provenance::Engine,
        abandon: &abandon,
        complain: &complain,
    };
    std::thread::scope(|scope| {
        let (facts, queue) = sync_channel(QUEUE_FACTS);
        let recording = scope.spawn(move || recorder.run(&queue));
        let started = session.now();
        let mut listener =
            Listener { session, started, facts: Some(facts), stop, asked: 0, attempt };
        let driven = loop {
            if let Some(text) = complaint.lock().unwrap_or_else(PoisonError::into_inner).take() {
                screen.warn(&text);
            }
            if let Some(driven) = listener.listen(&mut engine, &abandon, (screen, journal)) {
                journal.end(session.now(), &driven);
                break driven;
            }
        };
        drop(listener);
        match recording.join() {
            Ok(recorded) => recorded.map(|_| driven),
            Err(_) => Err(Error::new(ErrorKind::Bug, "BUG: the recorder panicked")),
        }
    })
}

struct Listener<'a> {
    session: &'a Session<'a>,
    /// When this process's training began; the engine tells times from there.
    started: Timestamp,
    facts: Option<SyncSender<RunCommand>>,
    stop: &'a AtomicUsize,
    asked: usize,
    attempt: u32,
}

impl Listener<'_> {
    /// Listens once; gives the end when it has come.
    fn listen(
        &mut self,
        engine: &mut Engine,
        abandon: &AtomicBool,
        (screen, journal): (&mut dyn Screen, &mut Journal),
    ) -> Option<Driven> {
        self.obey(engine, abandon, screen);
        match engine.hear(LISTEN) {
            // Nothing was asked of it but to train.
            Heard::Silence | Heard::Ready | Heard::Scores(_) => None,
            Heard::Event(event) => {
                screen.event(&event);
                journal.event(self.session.now(), &event);
                if let Some(fact) = translate::fact(&event, self.started, self.attempt) {
                    self.record(fact, engine, abandon, screen);
                }
                None
            }
            Heard::Ended(Ended::Finished(finished)) => Some(Driven::Finished(finished)),
            Heard::Ended(Ended::Interrupted(interrupted)) => Some(stopped(&interrupted)),
            Heard::Ended(Ended::Failed(failure)) => {
                let at = failure.step.map_or(String::new(), |step| format!(" at step {step}"));
                let reason = format!("{}{at}: {}", failure.kind.word(), failure.message);
                Some(failed(reason, None, None, String::new()))
            }
            Heard::Gone(gone) if self.asked > 1 => {
                let reason = "stopped twice by the user; the engine was killed".to_owned();
                Some(interrupted(reason, &gone.reason))
            }
            Heard::Gone(gone) => {
                Some(failed(gone.reason, gone.signal, gone.exit_code, gone.output_tail))
            }
        }
    }

    /// Passes on what the user asks for: once the end of the step, twice the end.
    fn obey(&mut self, engine: &mut Engine, abandon: &AtomicBool, screen: &mut dyn Screen) {
        let asked = asked(self.stop);
        if asked == self.asked {
            return;
        }
        self.asked = asked;
        if asked == 1 {
            screen.note("Stopping after this step; once more ends it at once.");
            engine.stop();
        } else {
            abandon.store(true, Ordering::SeqCst);
            engine.kill();
        }
    }

    /// Hands a fact to the recorder. While its queue is full the engine has to wait for the log;
    /// the user has not. A recorder that has ended refuses facts; why comes out when it is joined.
    fn record(
        &mut self,
        mut fact: RunCommand,
        engine: &mut Engine,
        abandon: &AtomicBool,
        screen: &mut dyn Screen,
    ) {
        while let Some(facts) = &self.facts {
            match facts.try_send(fact) {
                Err(TrySendError::Full(back)) if !abandon.load(Ordering::SeqCst) => fact = back,
                Ok(()) | Err(TrySendError::Full(_)) => return,
                Err(TrySendError::Disconnected(_)) => {
                    self.facts = None;
                    engine.stop();
                    return;
                }
            }
            std::thread::sleep(FULL);
            self.obey(engine, abandon, screen);
        }
    }
}

fn stopped(at: &Interrupted) -> Driven {
    let where_to = match &at.dir {
        Some(dir) => format!("the training checkpoint {} is complete", dir.display()),
        None => "no training checkpoint was saved yet".to_owned(),
    };
    interrupted(format!("stopped by the user at step {}", at.step), &where_to)
}

fn interrupted(reason: String, hint: &str) -> Driven {
    let error = Error::new(ErrorKind::Interrupted, format!("the run was {reason}")).hint(hint);
    Driven::Ended(Ending::Interrupt { reason }, error)
}

fn failed(
    reason: String,
    signal: Option<i32>,
    exit_code: Option<i32>,
    stderr_tail: String,
) -> Driven {
    let mut error = Error::new(ErrorKind::TrainingFailed, format!("training failed: {reason}"));
    if let Some(last) = stderr_tail.lines().last() {
        error = error.hint(format!("the engine's last line was: {last}"));
    }
    Driven::Ended(Ending::Fail { reason, signal, exit_code, stderr_tail }, error)
}
