//! `train --resume`: a run goes on from its newest whole training checkpoint, to the same bits as
//! if it had never stopped (TRN-1). What decides the numbers is taken from the record and compared
//! with what lies on disk: settings, rows, threads.

use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;

use super::folder::RunFolder;
use super::reproduce::settings_of;
use super::{Attempt, Programs, Reporter, Results, Trained, start_engine};
use crate::app::core::admitted::admitted;
use crate::app::core::environment::EngineFacts;
use crate::app::runs::run_files::{DATASET, RunFiles, files_of_state};
use crate::app::{Error, ErrorKind, Result, Session, Workspace, fold_policy, fold_run};
use crate::base::{Digest, RunId};
use crate::domain::run::{
    RunCommand, RunEvent, RunFacts, RunStarted, RunState, RunStatus, RunStream,
};
use crate::domain::{Envelope, Event, Provenance};
use crate::effect;
use crate::model::config::{self, TrainConfig};
use crate::supervise::Engine;
use crate::train::checkpoint::Checkpoints;
use crate::train::protocol::JobSpec;

/// A run that can go on.
pub(super) struct ResumePoint {
    run: RunId,
    pub(super) started: RunStarted,
    pub(super) config: TrainConfig,
    folder: RunFolder,
    /// Folder of the training checkpoint, relative to the run's.
    checkpoint: PathBuf,
    /// Digest of its manifest, as it was checked.
    pin: Digest,
    pub(super) step: u64,
    /// What to tell the user about the choice of the checkpoint.
    notes: Vec<String>,
}

/// Lets the run that `text` names go on from its newest whole training checkpoint.
///
/// # Errors
/// When there is no such run, it is under way or finished, nothing whole is left to resume
/// from, its settings or rows were changed, or the training fails.
pub fn resume(
    workspace: &Workspace,
    text: &str,
    programs: &Programs,
    stop: &AtomicUsize,
    reporter: &mut dyn Reporter,
) -> Result<Trained> {
    for note in workspace.recover()?.notes {
        reporter.note(&note);
    }
    let found = resumable(workspace, text)?;
    workspace.may_begin("train")?;
    let name = &found.started.experiment_id;
    found.notes.iter().for_each(|note| reporter.warn(note));
    reporter.note(&format!("{name} continues after update {}.", found.step));
    let session = workspace.begin("train")?;
    let result = resume_in(workspace, &session, &found, programs, stop, reporter);
    let ended = super::close(session, found.run, &found.folder, result);
    super::trained(workspace, found.run, None, ended)
}

fn resume_in(
    workspace: &Workspace,
    session: &Session<'_>,
    found: &ResumePoint,
    programs: &Programs,
    stop: &AtomicUsize,
    reporter: &mut dyn Reporter,
) -> Result<()> {
    let started = &found.started;
    let (architecture, device) = (found.config.model.architecture, &started.environment.device);
    let engine = start_engine(programs, architecture, device, &found.folder)?;
    let state = record_resume(workspace, session, found, &engine)?;
    let job = JobSpec {
        run: found.run,
        config_digest: found.config.digest(),
        config: found.config.clone(),
        dataset: found.folder.path.join(DATASET),
        dataset_digest: started.data.prepared,
        run_dir: found.folder.path.clone(),
        device: device.clone(),
        threads: started.environment.threads,
        resume_from: Some(found.checkpoint.clone()),
        resume_digest: Some(found.pin),
    };
    let of = Results { started, baseline: None, trainer: &workspace.caller.actor };
    let (run, folder) = (found.run, &found.folder);
    super::run_attempt(
        workspace,
        session,
        Attempt { run, state, job, engine, of, folder },
        stop,
        reporter,
    )
}

/// Finds the run and everything it needs, and refuses what differs from the record.
pub(super) fn resumable(workspace: &Workspace, text: &str) -> Result<ResumePoint> {
    let run = workspace.find_run(&workspace.snapshot()?, text)?;
    let (state, events) = workspace.store.read(|log| {
        let events = admitted(log, run)?;
        Ok::<_, Error>((fold_run(log, run)?, events))
    })?;
    let first = events.first().map(Envelope::event);
    let Some(Ok(Event::Run(RunEvent::Started(started)))) = first else {
        let message = format!("run {run} has no readable start");
        return Err(Error::new(ErrorKind::Integrity, message));
    };
    let name = &started.experiment_id;
    if !matches!(state.status, RunStatus::Interrupted | RunStatus::Failed) {
        let message = format!(
            "{name} is {}: only a run that was interrupted or failed is resumed",
            state.status.word()
        );
        return Err(Error::new(ErrorKind::Rejected, message));
    }
    if state.deleted {
        let message = format!("the files of {name} were taken away: see `annals show {name}`");
        return Err(Error::new(ErrorKind::Rejected, message));
    }
    if let Some(archive) = state.archive {
        let message = format!("{name} is in {}", archive.word());
        return Err(Error::new(ErrorKind::Rejected, message)
            .hint(format!("`annals restore {name}` brings it back")));
    }
    let place = workspace.store.read(|log| RunFiles::of_state(log, &state))?;
    for (what, digest) in [("settings", started.config), ("rows", started.data.prepared)] {
        if let Some(at) = place.redacted_at(digest) {
            let message = format!("the {what} of {name} were redacted at event {at}");
            return Err(Error::new(ErrorKind::Rejected, message)
                .hint("with other settings or rows it would be another run"));
        }
    }
    let folder = RunFolder::of(workspace, &state.folder, name)?;
    let text = unchanged(&folder, settings_of(&state), started.config)?;
    let config = config::recorded(&String::from_utf8_lossy(&text))
        .map_err(|e| Error::new(ErrorKind::Data, e.to_string()))?;
    unchanged(&folder, DATASET, started.data.prepared)?;
    // The papers of the run are made from what else it was prepared with.
    for file in files_of_state(&state).iter().filter(|file| file.path.starts_with("config/")) {
        unchanged(&folder, file.path, file.digest)?;
    }
    let (step, checkpoint, pin, notes) = newest_whole(&folder, &state)?;
    Ok(ResumePoint { run, started, config, folder, checkpoint, pin, step, notes })
}

/// The training checkpoint to go on from: its update, its folder, the digest of its manifest, and
/// what to tell about the choice.
fn newest_whole(
    folder: &RunFolder,
    state: &RunState,
) -> Result<(u64, PathBuf, Digest, Vec<String>)> {
    let name = &state.experiment_id;
    let all = Checkpoints::at(&folder.path)
        .all()
        .map_err(|e| Error::caused(ErrorKind::Io, "the training checkpoints cannot be read", e))?;
    let (chosen, notes) = choose(&all, |step| state.checkpoints.contains_key(&step));
    let dropped = state.dropped.iter().any(|path| effect::is_weight_file(path));
    let (step, checkpoint) = chosen.ok_or_else(|| {
        if dropped {
            let message =
                format!("the training checkpoints of {name} were dropped when it was archived");
            return Error::new(ErrorKind::Rejected, message).hint("`annals train` starts again");
        }
        let message = format!("{name} has no complete training checkpoint");
        Error::new(ErrorKind::NotFound, message).hint(
            "it ended before the first was saved, or its files were changed; `annals train` \
             starts again, and --set training.save_steps=N saves more often",
        )
    })?;
    let manifest = Checkpoints::at(&folder.path)
        .verify(&checkpoint)
        .map_err(|e| Error::caused(ErrorKind::Integrity, "a training checkpoint is damaged", e))?;
    if state.checkpoints.get(&step).is_some_and(|saved| saved.digest != manifest.digest()) {
        let message = format!("{} is not what was recorded", checkpoint.display());
        return Err(Error::new(ErrorKind::Integrity, message)
            .hint("remove its folder: training continues from the previous one"));
    }
    Ok((step, checkpoint, manifest.digest(), notes))
}

fn record_resume(
    workspace: &Workspace,
    session: &Session<'_>,
    found: &ResumePoint,
    engine: &Engine,
) -> Result<RunState> {
    let hello = engine.hello();
    let recorded = &found.started.environment;
    let (environment, _) = workspace.environment(EngineFacts {
        libtorch: hello.libtorch.as_deref(),
        threads: recorded.threads,
        device: &recorded.device,
        accelerators: hello.devices.iter().filter(|d| d.starts_with("cuda")).cloned().collect(),
    });
    let command = RunCommand::Resume {
        step: found.step,
        checkpoint: found.checkpoint.to_string_lossy().into_owned(),
        environment: Box::new(environment),
        trainer: hello.program.clone(),
    };
    session.transact(|tx| {
        // Another process may have resumed it meanwhile.
        let policy = fold_policy(tx.log())?;
        let facts = RunFacts::new(&policy, Provenance::Engine).told_by(tx.teller());
        Ok(tx.decide::<RunStream>(found.run, command, &facts)?.into_state())
    })
}

/// The training checkpoint to go on from, and what to tell about it: the newest whole one that the
/// log names. What was measured before it is then in the log too, because an engine reports in
/// order. A newer one was saved shortly before a crash, and points measured before it would be
/// missing for ever.
fn choose(
    all: &[(u64, PathBuf, bool)],
    recorded: impl Fn(u64) -> bool,
) -> (Option<(u64, PathBuf)>, Vec<String>) {
    let whole = || all.iter().filter(|(_, _, whole)| *whole);
    let best = whole().find(|(step, ..)| recorded(*step));
    let Some((chosen, dir, _)) = best.or_else(|| whole().next()) else { return (None, vec![]) };
    let mut notes = Vec::new();
    for (step, _, whole) in all.iter().filter(|(step, ..)| step > chosen) {
        let why = if *whole { "the log ends before it" } else { "it is damaged" };
        notes.push(format!("the training checkpoint of update {step} is passed over: {why}"));
    }
    if best.is_none() {
        notes.push(format!(
            "the log has no training checkpoint that is still on disk; the one of update {chosen} \
             is not recorded and cannot be checked, and metrics up to it may be missing from the \
             log, which `annals audit` reports"
        ));
    }
    (Some((*chosen, dir.clone())), notes)
}

/// The bytes of a file of the run, if they are those that were recorded.
fn unchanged(folder: &RunFolder, name: &str, recorded: Digest) -> Result<Vec<u8>> {
    let path = folder.path.join(name);
    let bytes = std::fs::read(&path).map_err(|e| {
        Error::caused(ErrorKind::Data, format!("cannot read {}", path.display()), e)
    })?;
    let found = Digest::of(&bytes);
    if found == recorded {
        return Ok(bytes);
    }
    let message = format!("{} has digest {found}, {recorded} was recorded", path.display());
    Err(Error::new(ErrorKind::Rejected, message)
        .hint("with other settings or rows it would be another run: `annals train` begins one"))
}
