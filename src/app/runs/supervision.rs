//! The one loop that stays with what trains, an engine or a command of the user's: it passes on
//! what the user asks for, hands facts to the recorder and ends when the program has ended (SUP-1).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::record::Recorder;
use crate::app::{Error, ErrorKind, Result, Session};
use crate::base::RunId;
use crate::domain::Provenance;
use crate::domain::run::{RunCommand, RunState};

/// How often a stop requested by the user is checked.
const LISTEN: Duration = Duration::from_millis(50);
/// How long to wait for the recorder when its queue is full.
const FULL: Duration = Duration::from_millis(10);

/// How often the recorder is looked after once the program has ended.
const LAST_FACTS: Duration = Duration::from_millis(2);

/// A program that trains.
pub(in crate::app) trait Supervised {
    /// How it ended.
    type End;

    /// Requests a soft stop, after the first signal.
    fn interrupt(&mut self);

    /// Ends it at once; the user asked again.
    fn kill(&mut self);

    /// Shows the user that the log cannot be written; training continues.
    fn log_failed(&mut self, error: &str);

    /// Waits for its next message for at most `wait`; returns the end when it has ended.
    fn listen(&mut self, wait: Duration) -> Option<Self::End>;

    /// The next fact to record.
    fn next_fact(&mut self) -> Option<RunCommand>;

    /// Takes back a fact that the recorder has no room for.
    fn put_back(&mut self, fact: RunCommand);

    /// Nothing more can be recorded; the reason is reported at the end.
    fn recorder_ended(&mut self) {}
}

/// A run and who records it.
pub(in crate::app) struct Supervision<'a> {
    pub(in crate::app) session: &'a Session<'a>,
    pub(in crate::app) run: RunId,
    pub(in crate::app) state: RunState,
    pub(in crate::app) provenance: Provenance,
    /// How often the user asked for an end.
    pub(in crate::app) stop: &'a AtomicUsize,
    /// Facts that may wait for the log before the program has to.
    pub(in crate::app) queue_facts: usize,
}

impl Supervision<'_> {
    /// Stays with `program` to its end. Every fact it gave is in the log when this returns `Ok`.
    ///
    /// # Errors
    /// When a fact is refused by a rule, or the log is damaged.
    pub(in crate::app) fn until_end<S: Supervised>(self, program: &mut S) -> Result<S::End> {
        // Set when the user insists on an end: nothing waits for the log from then on.
        let abandon = AtomicBool::new(false);
        let failure = Mutex::new(None);
        let take_failure = || failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        let complain = |error: &Error| {
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        };
        let recorder = Recorder {
            session: self.session,
            run: self.run,
            state: self.state,
            provenance: self.provenance,
            abandon: &abandon,
            complain: &complain,
        };
        std::thread::scope(|scope| {
            let (facts, queue) = sync_channel(self.queue_facts);
            let recording = scope.spawn(move || recorder.run(&queue));
            let mut facts = Some(facts);
            let mut asked = 0;
            let mut ended = None;
            let end = loop {
                obey(self.stop, &mut asked, &abandon, program);
                if let Some(error) = take_failure() {
                    program.log_failed(&error);
                }
                let handed_over = hand_over(program, &mut facts);
                match ended.take() {
                    Some(end) if handed_over || abandon.load(Ordering::SeqCst) => break end,
                    // The program has to wait for the log; the user, who may ask for an end, has
                    // not.
                    waiting if !handed_over => {
                        ended = waiting;
                        std::thread::sleep(FULL);
                    }
                    _ => ended = program.listen(LISTEN),
                }
            };
            drop(facts);
            // The program is gone; its last facts may still wait for the log.
            while !recording.is_finished() {
                if self.stop.load(Ordering::SeqCst) > 1 {
                    abandon.store(true, Ordering::SeqCst);
                }
                if let Some(error) = take_failure() {
                    program.log_failed(&error);
                }
                std::thread::sleep(LAST_FACTS);
            }
            match recording.join() {
                Ok(recorded) => recorded.map(|_| end),
                Err(_) => Err(Error::new(ErrorKind::Bug, "BUG: the recorder panicked")),
            }
        })
    }
}

/// Passes on what the user asks for: once the end of the step, twice the end.
fn obey(
    stop: &AtomicUsize,
    asked: &mut usize,
    abandon: &AtomicBool,
    program: &mut impl Supervised,
) {
    let now = stop.load(Ordering::SeqCst);
    if now == *asked {
        return;
    }
    *asked = now;
    if now == 1 {
        program.interrupt();
    } else {
        abandon.store(true, Ordering::SeqCst);
        program.kill();
    }
}

/// Gives the recorder what is ready; whether nothing is left. A recorder that has ended refuses
/// facts; the reason is known when it is joined.
fn hand_over(program: &mut impl Supervised, facts: &mut Option<SyncSender<RunCommand>>) -> bool {
    while let Some(fact) = program.next_fact() {
        let Some(sender) = facts else { continue };
        match sender.try_send(fact) {
            Ok(()) => {}
            Err(TrySendError::Full(fact)) => {
                program.put_back(fact);
                return false;
            }
            Err(TrySendError::Disconnected(_)) => {
                *facts = None;
                program.recorder_ended();
            }
        }
    }
    true
}
