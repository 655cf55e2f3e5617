//! A command that is supervised from its start to its end: what it prints as lines of JSON is
//! recorded as it comes, everything it prints is kept, and how it ended is in the log (SUP-1).

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use super::heard::Heard;
use super::report::finished;
use super::start::{StartRun, no_id};
use crate::app::NewRun;
use crate::app::runs::record::Recorder;
use crate::app::runs::train::RunFolder;
use crate::app::{App, Error, ErrorKind, Result, Session};
use crate::base::{RunId, confine};
use crate::domain::Provenance;
use crate::domain::metric::FinalMetric;
use crate::domain::run::{ArtifactStored, Ending, RunCommand, RunState, RunStatus};
use crate::supervise::{Command, End, Output, Printed};

/// Facts that may wait for the log before listening waits.
const QUEUE_FACTS: usize = 64;
/// How often an end asked for by the user is noticed.
const LISTEN: Duration = Duration::from_millis(50);
/// How long to wait for the recorder when its queue is full.
const FULL: Duration = Duration::from_millis(10);

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
    /// What was not recorded, or under another name, by name and count.
    pub notes: Vec<String>,
}

impl App {
    /// Runs a command as a run. `stop` counts how often the user asked for an end: once passes
    /// Ctrl-C on, twice kills. `echo` gets everything the command prints, `tell` what was not
    /// recorded of it.
    ///
    /// # Errors
    /// [`ErrorKind::TrainingFailed`] and [`ErrorKind::Interrupted`] when the command ended so,
    /// which is then in the log.
    pub fn exec(
        &self,
        request: &ExecRequest,
        stop: &AtomicUsize,
        echo: &mut dyn FnMut(&Printed),
        tell: &mut dyn FnMut(&str),
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
        folder.note_start(&begun);
        let state = match begun {
            Ok(state) => state,
            Err(error) => {
                folder.discard();
                return session.finish_with(Err(error));
            }
        };
        let Some(run) = state.id else {
            return session.finish_with(Err(no_id()));
        };
        // Without the registry files the log is as good.
        let _ = self.refresh();
        let result = self.supervise(&session, request, state, &folder, (stop, echo), tell);
        let settled = match &result {
            Err(error) => self.settle(&session, run, error),
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
        (stop, echo): (&AtomicUsize, &mut dyn FnMut(&Printed)),
        tell: &mut dyn FnMut(&str),
    ) -> Result<Executed> {
        let (run, started) = (state.id.ok_or_else(no_id)?, session.now());
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
        let watch = Watch { session, stop, abandon: AtomicBool::new(false) };
        // The log of the output is a convenience: a full disk ends no training.
        let mut keep = |lines: &[u8]| drop(log.write_all(lines));
        let end = watch.listen(run, state, &mut command, &mut heard, (echo, &mut keep));
        drop((log, command));
        let asked = stop.load(Ordering::SeqCst);
        let end = end.inspect_err(|_| heard.notes().iter().for_each(|note| tell(note)))?;
        let seconds = session.now().seconds_since(started);
        let (ending, error) = match (end.success, asked) {
            (true, _) => (None, None),
            (false, 0) => {
                let message = format!("training failed: {}", end.reason);
                let ending = Ending::Fail {
                    reason: end.reason,
                    signal: end.signal,
                    exit_code: end.exit_code,
                    stderr_tail: heard.tail(),
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
        let mut unkept = Vec::new();
        if ending.is_none() {
            let printed = std::mem::take(&mut heard.saves);
            let all = printed.iter().map(|save| (save, false));
            for ((what, file), asked) in all.chain(request.save.iter().map(|save| (save, true))) {
                let file = self.caller.cwd.join(file);
                match self.keep(&self.relative(&folder.path), &file, what) {
                    Ok(kept) => stored.push(kept),
                    Err(error) => {
                        heard.no_file(&format!("{what}: {}", file.display()));
                        tell(&format!("{what} was not kept: {error}"));
                        unkept.extend(asked.then_some(error));
                    }
                }
            }
        }
        stored.extend(folder.file("log", &folder.log_file()).ok());
        self.put_blobs(folder, &stored)?;
        let finish = heard.finish(seconds);
        let state = session.transact_patiently(|tx| {
            let mut commands: Vec<RunCommand> =
                stored.into_iter().map(RunCommand::StoreArtifact).collect();
            commands.push(RunCommand::NoteUnrecorded(heard.unrecorded()));
            self.tell(tx, run, Provenance::Supervised, |_| Ok(commands))?;
            self.tell(tx, run, Provenance::Supervised, |state| {
                let ending = ending.unwrap_or_else(|| finished(state, finish));
                Ok(vec![RunCommand::End(ending)])
            })
        })?;
        let notes = heard.notes();
        notes.iter().for_each(|note| tell(note));
        if let Some(error) = error {
            return Err(error);
        }
        let (experiment_id, status) = (state.experiment_id, state.status);
        if let Some(error) = unkept.into_iter().next() {
            let message = format!("{experiment_id} finished, but a file of --save was not kept");
            return Err(Error::caused(ErrorKind::Data, message, error)
                .hint("what the command printed is recorded; the run has no such file"));
        }
        Ok(Executed { run, experiment_id, status, metrics: state.metrics, notes })
    }
}

/// Stays with a command to its end.
struct Watch<'a> {
    session: &'a Session<'a>,
    stop: &'a AtomicUsize,
    /// Set when the user insists on an end: nothing waits for the log from then on.
    abandon: AtomicBool,
}

/// Shows a line that the command printed.
type Echo<'a> = &'a mut dyn FnMut(&Printed);
/// Keeps bytes that the command printed.
type Keep<'a> = &'a mut dyn FnMut(&[u8]);

impl Watch<'_> {
    fn listen(
        &self,
        run: RunId,
        state: RunState,
        command: &mut Command,
        heard: &mut Heard,
        (echo, keep): (Echo<'_>, Keep<'_>),
    ) -> Result<End> {
        let complaint = Mutex::new(None);
        let complain = |error: &Error| {
            let text = format!(
                "cannot write to the log ({error}); the command continues and writing is retried"
            );
            *complaint.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
        };
        let recorder = Recorder {
            session: self.session,
            run,
            state,
            provenance: Provenance::Supervised,
            abandon: &self.abandon,
            complain: &complain,
        };
        std::thread::scope(|scope| {
            let (facts, queue) = sync_channel(QUEUE_FACTS);
            let recording = scope.spawn(move || recorder.run(&queue));
            let mut ended = None;
            let mut asked = 0;
            loop {
                self.obey(command, &mut asked);
                heard.pending.seal_if_due();
                let told = complaint.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(text) = told {
                    echo(&Printed { error: true, bytes: format!("{text}\n").into_bytes() });
                }
                if !hand_over(heard, &facts) {
                    // The command has to wait for the log; who asks for an end has not.
                    if self.abandon.load(Ordering::SeqCst) && ended.is_some() {
                        break;
                    }
                    std::thread::sleep(FULL);
                } else if ended.is_some() {
                    break;
                } else {
                    match command.hear(LISTEN) {
                        Output::Silence => {}
                        Output::Printed(printed) => {
                            echo(&printed);
                            heard.take(printed.error, &printed.bytes, self.session.now());
                            keep(&heard.kept());
                        }
                        Output::Ended(end) => {
                            heard.end(self.session.now());
                            keep(&heard.kept());
                            heard.pending.seal();
                            ended = Some(end);
                        }
                    }
                }
            }
            drop(facts);
            match recording.join() {
                Ok(Err(error)) => Err(error),
                Ok(Ok(_)) => {
                    ended.ok_or_else(|| Error::new(ErrorKind::Bug, "BUG: a command without an end"))
                }
                Err(_) => Err(Error::new(ErrorKind::Bug, "BUG: the recorder panicked")),
            }
        })
    }

    /// Passes on what the user asks for: once Ctrl-C, twice the end.
    fn obey(&self, command: &mut Command, asked: &mut usize) {
        let now = self.stop.load(Ordering::SeqCst);
        if now == *asked {
            return;
        }
        *asked = now;
        if now == 1 {
            command.interrupt();
        } else {
            self.abandon.store(true, Ordering::SeqCst);
            command.kill();
        }
    }
}

/// Gives the recorder what is ready; whether nothing is left. A recorder that has ended refuses
/// facts; why comes out when it is joined.
fn hand_over(heard: &mut Heard, facts: &SyncSender<RunCommand>) -> bool {
    while let Some(command) = heard.pending.next() {
        if let Err(TrySendError::Full(command)) = facts.try_send(command) {
            heard.pending.put_back(command);
            return false;
        }
    }
    true
}
