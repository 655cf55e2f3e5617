//! The recorder: takes what training says from a queue and commits it in groups, on a thread of
//! its own, so that training waits for the log only when the queue is full.
//!
//! Facts carry their sequence inside the invocation: a group whose commit was unsure is sent
//! again, and the log takes each fact once. What was not acknowledged when the process dies is
//! not in the log; training resumes from its checkpoint and says it again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use crate::app::{Error, ErrorKind, Result, Session, fold_policy};
use crate::base::RunId;
use crate::base::limits::{LOCK_WAIT_MAX, METRIC_GROUP_BATCHES_MAX};
use crate::domain::run::{RunCommand, RunFacts, RunState, RunStream};
use crate::domain::{Decider as _, Event, Provenance};
use crate::store::{Append, Author, Expected, Origin, WriteOptions};

/// How long facts wait for company before they are committed.
const GROUP_WAIT: Duration = Duration::from_millis(200);
/// Between two tries after the log could not be written (a full disk).
const RETRY_WAIT: Duration = Duration::from_millis(500);

/// Records one run until the queue closes, and gives the run's state back.
pub(in crate::app) struct Recorder<'a> {
    pub(in crate::app) session: &'a Session<'a>,
    pub(in crate::app) run: RunId,
    pub(in crate::app) state: RunState,
    pub(in crate::app) provenance: Provenance,
    /// Set when the user insists on an end: unwritten facts are then given up.
    pub(in crate::app) abandon: &'a AtomicBool,
    /// Told, once, when the log cannot be written and training goes on meanwhile.
    pub(in crate::app) complain: &'a (dyn Fn(&Error) + Sync),
}

impl Recorder<'_> {
    /// Runs until `queue` closes.
    ///
    /// # Errors
    /// A fact that a rule refuses (a metric that is not finite), or a log that is damaged.
    pub(in crate::app) fn run(mut self, queue: &Receiver<RunCommand>) -> Result<RunState> {
        let mut next = self.patiently(|| self.next_sequence())?;
        let policy = self.patiently(|| self.session.store().read(fold_policy))?;
        let facts = RunFacts::new(&policy, self.provenance);
        while let Ok(first) = queue.recv() {
            let events = self.group(first, queue, &facts)?;
            next += self.commit(&events, next)?;
        }
        Ok(self.state)
    }

    /// Reads again as long as somebody else has the log, and says so once.
    fn patiently<T>(&self, read: impl Fn() -> Result<T>) -> Result<T> {
        let mut complained = false;
        loop {
            match read() {
                Err(error)
                    if error.kind == ErrorKind::Io && !self.abandon.load(Ordering::SeqCst) =>
                {
                    if !complained {
                        (self.complain)(&error);
                        complained = true;
                    }
                    std::thread::sleep(RETRY_WAIT);
                }
                read => return read,
            }
        }
    }

    fn next_sequence(&self) -> Result<u64> {
        let invocation = self.session.invocation;
        let next =
            self.session.store().read(|log| Ok::<_, Error>(log.next_sequence(invocation)?))?;
        next.ok_or_else(|| Error::new(ErrorKind::Bug, "BUG: the recorder's invocation is closed"))
    }

    fn group(
        &mut self,
        first: RunCommand,
        queue: &Receiver<RunCommand>,
        facts: &RunFacts<'_>,
    ) -> Result<Vec<Event>> {
        let until = Instant::now() + GROUP_WAIT;
        let mut events = Vec::new();
        let mut next = Some(first);
        while let Some(command) = next {
            // A crash between a training checkpoint and its record costs the work since the one
            // before: its record waits for no company.
            let last = matches!(command, RunCommand::SaveCheckpoint { .. });
            self.decide(command, facts, &mut events)?;
            if last || events.len() >= METRIC_GROUP_BATCHES_MAX {
                break;
            }
            // Nothing came in time, or nothing comes any more.
            next = queue.recv_timeout(until.saturating_duration_since(Instant::now())).ok();
        }
        Ok(events)
    }

    fn decide(
        &mut self,
        command: RunCommand,
        facts: &RunFacts<'_>,
        events: &mut Vec<Event>,
    ) -> Result<()> {
        let decided = RunStream::decide(&self.state, command, facts)?;
        decided.iter().for_each(|event| RunStream::anticipate(&mut self.state, event, facts));
        events.extend(decided.into_iter().map(Event::from));
        Ok(())
    }

    fn commit(&self, events: &[Event], sequence: u64) -> Result<u64> {
        let mut complained = false;
        loop {
            // Whoever waits says so; then the place in the queue is kept.
            let wait_max = (!complained).then_some(LOCK_WAIT_MAX);
            match self.try_commit(events, sequence, wait_max) {
                Ok(()) => return Ok(events.len() as u64),
                Err(error) if error.kind != ErrorKind::Io => return Err(error),
                Err(error) if self.abandon.load(Ordering::SeqCst) => return Err(error),
                Err(error) => {
                    if !complained {
                        (self.complain)(&error);
                        complained = true;
                    }
                    std::thread::sleep(RETRY_WAIT);
                }
            }
        }
    }

    fn try_commit(
        &self,
        events: &[Event],
        sequence: u64,
        wait_max: Option<Duration>,
    ) -> Result<()> {
        let signer = self.session.signer();
        let options = WriteOptions { wait_max, ..WriteOptions::recorder("train", signer) };
        self.session.store().write(&options, |writer| {
            writer.append(&Append {
                stream: self.run.into(),
                // Others may tag or pin the run meanwhile: what was measured does not depend on
                // that, and the sequence shows what was taken already.
                expected: Expected::Any,
                author: Author {
                    actor: Origin::At(self.session.actor),
                    invocation: Some(Origin::At(self.session.invocation)),
                    key: self.session.key().filter(|_| self.state.points_signed),
                },
                sequence: Some(sequence),
                command: None,
                occurred: None,
                provenance: self.provenance,
                events,
            })?;
            Ok::<_, Error>(())
        })
    }
}
