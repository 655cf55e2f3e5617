//! A command that is supervised from its start to its end: what it prints as lines of JSON is
//! recorded as it comes, everything it prints is kept, and how it ended is in the log (SUP-1).

use super::report;
use super::start;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::report::finished;
use super::script_output::ScriptOutput;
use super::start::{StartRun, no_id};
use crate::app::NewRun;
use crate::app::runs::supervision::{Supervised, Supervision};
use crate::app::runs::train::RunFolder;
use crate::app::{Error, ErrorKind, Result, Session, Workspace, runs};
use crate::base::{RunId, confine};
use crate::domain::Provenance;
use crate::domain::metric::FinalMetric;
use crate::domain::run::{Ending, RunCommand, RunState, RunStatus, StoredFile};
use crate::supervise::{Command, End, Output, Printed};

/// Facts that may wait for the log before the command has to.
const QUEUE_FACTS: usize = 64;
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
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Executed {
    /// The run.
    #[serde(rename = "run_id")]
    pub run: RunId,
    /// Its unique name.
    pub experiment_id: String,
    /// How far it got.
    pub status: RunStatus,
    /// Final values.
    #[serde(skip)]
    pub metrics: Vec<FinalMetric>,
    /// What was not recorded, or under another name, by name and count.
    pub notes: Vec<String>,
}

/// Runs a command as a run. `stop` counts how often the user asked for an end: once passes
/// Ctrl-C on, twice kills. `echo` gets everything the command prints, `tell` what was not
/// recorded of it.
///
/// # Errors
/// [`ErrorKind::TrainingFailed`] and [`ErrorKind::Interrupted`] when the command ended so,
/// which is then in the log.
pub fn exec(
    workspace: &Workspace,
    request: &ExecRequest,
    stop: &AtomicUsize,
    echo: &mut dyn FnMut(&Printed),
    tell: &mut dyn FnMut(&str),
) -> Result<Executed> {
    let prepared = start::prepare_start(workspace, &request.start)?;
    workspace.recover()?;
    workspace.may_begin("run exec")?;
    let session = workspace.begin("run exec")?;
    let begins =
        NewRun { name: &request.start.name, model: &prepared.config_name, began: session.now() };
    let folder = match RunFolder::create(workspace, &begins) {
        Ok(folder) => folder,
        Err(error) => return session.finish_with(Err(error)),
    };
    let begun = session.transact(|tx| {
        let by = Provenance::Supervised;
        start::record_external_start(workspace, tx, &request.start, &prepared, &folder, by)
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
    let _ = workspace.refresh();
    let result = supervise(workspace, &session, request, state, &folder, (stop, echo), tell);
    let settled = match &result {
        Err(error) => runs::end_run(&session, run, error),
        Ok(_) => Ok(()),
    };
    let ended = session.finish_with(settled.and(result));
    workspace.refresh()?;
    ended
}

fn supervise(
    workspace: &Workspace,
    session: &Session<'_>,
    request: &ExecRequest,
    state: RunState,
    folder: &RunFolder,
    (stop, echo): (&AtomicUsize, &mut dyn FnMut(&Printed)),
    tell: &mut dyn FnMut(&str),
) -> Result<Executed> {
    let (run, started) = (state.id.ok_or_else(no_id)?, session.now());
    let variables =
        [("ANNALS_RUN", run.to_string()), ("ANNALS_RUN_FOLDER", folder.path.display().to_string())];
    let command =
        Command::start(&request.guard, &request.command, &workspace.caller.cwd, &variables)
            .map_err(|e| {
                Error::caused(ErrorKind::TrainingFailed, "the command does not start", e)
            })?;
    let path = folder.path.join(folder.log_file());
    let mut log = confine::append_file(&path)
        .map_err(|e| Error::io(format!("write {}", path.display()), e))?;
    let mut heard = ScriptOutput::default();
    // The log of the output is a convenience: a full disk ends no training.
    let mut keep = |lines: &[u8]| drop(log.write_all(lines));
    let supervision = Supervision {
        session,
        run,
        state,
        provenance: Provenance::Supervised,
        stop,
        queue_facts: QUEUE_FACTS,
    };
    let mut executing = Executing { session, command, heard: &mut heard, echo, keep: &mut keep };
    let end = supervision.until_end(&mut executing);
    drop(executing);
    drop(log);
    let end = end.inspect_err(|_| heard.notes().iter().for_each(|note| tell(note)))?;
    let seconds = session.now().seconds_since(started);
    let cut_off = end.cut_off;
    let (ending, error) = ending_of(end, stop.load(Ordering::SeqCst) > 0, &heard).unzip();
    let (mut stored, unkept) = match ending {
        None => keep_saved(workspace, request, folder, &mut heard, tell),
        Some(_) => (vec![], None),
    };
    stored.extend(folder.file("log", &folder.log_file()).ok());
    runs::put_blobs(workspace, folder, &mut stored)?;
    let finish = heard.finish(seconds);
    tell_late(session, cut_off, tell);
    let state = session.transact_patiently(|tx| {
        let mut commands: Vec<RunCommand> =
            stored.into_iter().map(RunCommand::StoreArtifact).collect();
        commands.push(RunCommand::NoteUnrecorded(heard.unrecorded()));
        report::tell(tx, run, Provenance::Supervised, |_| Ok(commands))?;
        report::tell(tx, run, Provenance::Supervised, |state| {
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
    if let Some(error) = unkept {
        let message = format!("{experiment_id} finished, but a file of --save was not kept");
        return Err(Error::caused(ErrorKind::Data, message, error)
            .hint("what the command printed is recorded; the run has no such file"));
    }
    Ok(Executed { run, experiment_id, status, metrics: state.metrics, notes })
}

/// Reports, before the end of the run is recorded, why that may have to wait.
fn tell_late(session: &Session<'_>, cut_off: bool, tell: &mut dyn FnMut(&str)) {
    if let Err(error) = session.store().read(|_| Ok::<_, Error>(()))
        && error.kind == ErrorKind::Io
    {
        tell(&format!("the command has ended; recording it waits for the log: {error}"));
    }
    if cut_off {
        tell(
            "the command has ended, but processes that it left behind still print; what they \
             print from now on is not recorded",
        );
    }
}

/// How the run of a command that did not succeed ends, and the error that says so.
fn ending_of(end: End, asked: bool, heard: &ScriptOutput) -> Option<(Ending, Error)> {
    if end.success {
        return None;
    }
    if asked {
        let reason = format!("stopped by the user; {}", end.reason);
        let error = Error::new(ErrorKind::Interrupted, format!("the run was {reason}"));
        return Some((Ending::Interrupt { reason }, error));
    }
    let message = format!("training failed: {}", end.reason);
    let ending = Ending::Fail {
        reason: end.reason,
        signal: end.signal,
        exit_code: end.exit_code,
        stderr_tail: heard.tail(),
    };
    Some((ending, Error::new(ErrorKind::TrainingFailed, message)))
}

/// Keeps the files that the command's output named and those of `--save`; the first of the latter
/// that cannot be kept is an error of the verb.
fn keep_saved(
    workspace: &Workspace,
    request: &ExecRequest,
    folder: &RunFolder,
    heard: &mut ScriptOutput,
    tell: &mut dyn FnMut(&str),
) -> (Vec<StoredFile>, Option<Error>) {
    let (mut stored, mut unkept) = (Vec::new(), None);
    let printed = std::mem::take(&mut heard.saves);
    let all = printed.iter().map(|save| (save, false));
    for ((what, file), asked) in all.chain(request.save.iter().map(|save| (save, true))) {
        let file = workspace.caller.cwd.join(file);
        match report::keep(workspace, &workspace.relative(&folder.path), &file, what) {
            Ok(kept) => stored.push(kept),
            Err(error) => {
                heard.no_file(&format!("{what}: {}", file.display()));
                tell(&format!("{what} was not kept: {error}"));
                unkept = unkept.or(asked.then_some(error));
            }
        }
    }
    (stored, unkept)
}

/// A command whose output is shown, kept and recorded.
struct Executing<'a> {
    session: &'a Session<'a>,
    command: Command,
    heard: &'a mut ScriptOutput,
    /// Shows what the command printed.
    echo: &'a mut dyn FnMut(&Printed),
    /// Keeps what the command printed.
    keep: &'a mut dyn FnMut(&[u8]),
}

impl Supervised for Executing<'_> {
    type End = End;

    fn interrupt(&mut self) {
        self.command.interrupt();
    }

    fn kill(&mut self) {
        self.command.kill();
    }

    fn log_failed(&mut self, error: &str) {
        let text = format!(
            "cannot write to the log ({error}); the command continues and writing is retried\n"
        );
        (self.echo)(&Printed { error: true, bytes: text.into_bytes() });
    }

    fn listen(&mut self, wait: Duration) -> Option<End> {
        match self.command.recv(wait) {
            Output::Silence => None,
            Output::Printed(printed) => {
                (self.echo)(&printed);
                self.heard.take(printed.error, &printed.bytes, self.session.now());
                (self.keep)(&self.heard.kept());
                None
            }
            Output::Ended(end) => {
                self.heard.end(self.session.now());
                (self.keep)(&self.heard.kept());
                self.heard.pending.seal();
                Some(end)
            }
        }
    }

    fn next_fact(&mut self) -> Option<RunCommand> {
        self.heard.pending.seal_if_due();
        self.heard.pending.next()
    }

    fn put_back(&mut self, fact: RunCommand) {
        self.heard.pending.put_back(fact);
    }
}
