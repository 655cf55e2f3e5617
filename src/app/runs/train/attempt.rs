//! One training from its settings to its end, and what is recorded of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicUsize;

use super::owner::log_lost;
use super::settings::Resolved;
use super::supervise_engine::{TrainingOutcome, supervise_engine};
use super::training_log_file::TrainingLogFile;
use super::{Baseline, DataSource, Programs, Reporter, RunFolder, TrainRequest};
use super::{baseline, difficulty, request, result_size, translate};
use crate::app::NewRun;
use crate::app::core::draft::Draft;
use crate::app::core::environment::EngineFacts;
use crate::app::{Error, ErrorKind, Result, Session, Workspace, fold_policy, runs};
use crate::base::{Digest, RunId, counted};
use crate::data::Dataset;
use crate::domain::run::{
    Category, DataFile, DataRecord, Ending, RunCommand, RunEdit, RunFacts, RunStart, RunStarted,
    RunState, RunStatus, RunStream, SplitRows, StoredFile, Synthetic,
};
use crate::domain::{Name, Provenance};
use crate::model::Preparation;
use crate::model::config::{Architecture, TrainConfig};
use crate::projection::runs::RunDetails;
use crate::supervise::{Engine, SuperviseError};
use crate::train::protocol::JobSpec;

/// The parameter of runs that left out rows with an empty text.
pub(super) const DROP_EMPTY: &str = "data.drop_empty";

/// What a training came to.
#[derive(Debug)]
pub struct Trained {
    /// The run, as the views have it.
    pub run: RunDetails,
    /// What the classical baseline reaches on the same test rows.
    pub baseline: Option<Baseline>,
}

/// What the results of a run speak of.
pub(super) struct Results<'a> {
    pub(super) started: &'a RunStarted,
    pub(super) baseline: Option<Baseline>,
    /// Who trains it.
    pub(super) trainer: &'a str,
}

/// One attempt at a run, recorded as begun.
pub(super) struct Attempt<'a> {
    pub(super) run: RunId,
    pub(super) state: RunState,
    pub(super) job: JobSpec,
    pub(super) engine: Engine,
    pub(super) of: Results<'a>,
    pub(super) folder: &'a RunFolder,
}

/// What a run begins with, beside what its folder and its engine tell.
pub(super) struct StartSpec<'a> {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) tags: Vec<String>,
    pub(super) category: Option<Category>,
    pub(super) config: &'a TrainConfig,
    pub(super) config_name: String,
    pub(super) data: DataRecord,
    pub(super) threads: u32,
    pub(super) device: &'a str,
    /// Whether rows with an empty text were to be left out.
    pub(super) drop_empty: bool,
}

/// Everything that is known before the engine starts.
pub(super) struct Plan<'a> {
    pub(super) request: &'a TrainRequest,
    pub(super) name: Name,
    pub(super) config: TrainConfig,
    pub(super) config_name: String,
    pub(super) dataset: Dataset,
    pub(super) synthetic: Option<Synthetic>,
    pub(super) prepared: Preparation,
    pub(super) baseline: Option<Baseline>,
    pub(super) threads: u32,
}

/// Merges the settings of a training; files they name are looked for in the folder of the
/// caller, and weights to start from in that of the layout too.
pub(super) fn resolve_request(workspace: &Workspace, request: &TrainRequest) -> Result<Resolved> {
    let pretrained = workspace.layout.pretrained().map(|folder| workspace.root.join(folder));
    request::resolve(request, &workspace.caller.cwd, pretrained.as_deref())
}

/// Trains a run and records it. `stop` counts how often the user asked for an end: once ends
/// it cleanly, twice kills the engine.
///
/// # Errors
/// [`ErrorKind::Data`] for bad settings or data, before anything is written;
/// [`ErrorKind::TrainingFailed`] and [`ErrorKind::Interrupted`] when the run ended so, which
/// is then in the log.
pub fn train(
    workspace: &Workspace,
    request: &TrainRequest,
    stop: &AtomicUsize,
    reporter: &mut dyn Reporter,
) -> Result<Trained> {
    let resolved = resolve_request(workspace, request)?;
    resolved.notes.iter().for_each(|note| reporter.note(note));
    let name = Name::new(request.name.as_deref().unwrap_or(&resolved.name))?;
    // Data of the user is read, and refused, before anything is recorded.
    let given = match &request.data {
        DataSource::File(source) => {
            let dataset = {
                let config = &resolved.config;
                config.model.architecture.pipeline().read(source, config)?
            };
            result_size::refuse_too_many_labels(&dataset)?;
            let (config, programs) = (&resolved.config, &request.programs);
            let prepared = difficulty::prepare(workspace, &dataset, config, programs, reporter)?;
            Some((dataset, prepared))
        }
        DataSource::Sample { .. } => None,
    };
    for note in workspace.recover()?.notes {
        reporter.note(&note);
    }
    workspace.may_begin("train")?;
    let session = workspace.begin("train")?;
    let run = RunId(workspace.env.random());
    let begins = NewRun { name: name.as_str(), model: &resolved.name, began: session.now() };
    let folder = match RunFolder::create(workspace, &begins) {
        Ok(folder) => folder,
        Err(error) => return session.finish_with(Err(error)),
    };
    let mut baseline = None;
    let result = Plan::new(workspace, request, resolved, name, given, &folder, reporter).and_then(
        |mut plan| {
            baseline = plan.baseline;
            train_in(workspace, &session, run, &mut plan, &folder, stop, reporter)
        },
    );
    let ended = close(session, run, &folder, result);
    trained(workspace, run, baseline, ended)
}

/// The run as it is when its training has ended.
pub(super) fn trained(
    workspace: &Workspace,
    run: RunId,
    baseline: Option<Baseline>,
    ended: Result<()>,
) -> Result<Trained> {
    // A run that failed is in the registry too.
    let refreshed = workspace.refresh();
    ended?;
    refreshed?;
    let details = workspace
        .snapshot()?
        .run(run)?
        .ok_or_else(|| Error::new(ErrorKind::Bug, format!("BUG: run {run} is in no view")))?;
    Ok(Trained { run: details, baseline })
}

fn train_in(
    workspace: &Workspace,
    session: &Session<'_>,
    run: RunId,
    plan: &mut Plan<'_>,
    folder: &RunFolder,
    stop: &AtomicUsize,
    reporter: &mut dyn Reporter,
) -> Result<()> {
    plan.tell(reporter);
    let (architecture, request) = (plan.config.model.architecture, plan.request);
    let device = &request.device;
    let engine = start_engine(&request.programs, architecture, device, folder)?;
    // What `auto` stands for here is recorded, and trained again by whoever reproduces it.
    let training = &mut plan.config.training;
    training.precision = engine.hello().precision(training.precision, device);
    let (dataset_path, prepared_digest) = folder.write_inputs(plan)?;
    let (state, started) =
        record_start(workspace, session, run, plan.beginning(prepared_digest), folder, &engine)?;
    let job = JobSpec {
        run,
        config_digest: plan.config.digest(),
        config: plan.config.clone(),
        dataset: dataset_path,
        dataset_digest: prepared_digest,
        run_dir: folder.path.clone(),
        device: plan.request.device.clone(),
        threads: plan.threads,
        resume_from: None,
        resume_digest: None,
    };
    let (baseline, trainer) = (plan.baseline, &*workspace.caller.actor);
    let of = Results { started: &started, baseline, trainer };
    run_attempt(workspace, session, Attempt { run, state, job, engine, of, folder }, stop, reporter)
}

/// Sets the engine to work and stays with it to its end.
pub(super) fn run_attempt(
    workspace: &Workspace,
    session: &Session<'_>,
    attempt: Attempt<'_>,
    stop: &AtomicUsize,
    reporter: &mut dyn Reporter,
) -> Result<()> {
    let Attempt { run, state, job, mut engine, of, folder } = attempt;
    let number = state.attempt;
    let (planned, patience) =
        (job.config.training.num_epochs, job.config.training.early_stopping.patience);
    engine
        .train(job)
        .map_err(|e| Error::caused(ErrorKind::TrainingFailed, "the engine is lost", e))?;
    // The registry files have the run from its start on; the engine works meanwhile. Without
    // them the log is as good.
    if let Err(error) = workspace.refresh() {
        reporter.warn(&format!("the registry files are stale: {error}"));
    }
    let mut log_file = TrainingLogFile::open(&folder.path.join(folder.log_file()));
    let driven =
        supervise_engine(session, run, state, engine, stop, (&mut *reporter, &mut log_file));
    if let Ok(TrainingOutcome::Finished(finished)) = &driven
        && finished.stopped_early
    {
        reporter.note(&format!(
            "stopped early after epoch {} of {planned}: {} on valid did not improve in \
             {}; the weights are those of epoch {}",
            finished.epochs,
            finished.metric,
            counted(patience, "epoch"),
            finished.best_epoch
        ));
    }
    record_end(workspace, session, run, number, &of, folder, driven)
}

/// Ends the invocation, and before it what an error left without an end.
pub(super) fn close(
    session: Session<'_>,
    run: RunId,
    folder: &RunFolder,
    result: Result<()>,
) -> Result<()> {
    if let Err(error) = &result {
        // Where the log takes nothing any more, the invocation stays open in it: the next
        // changing verb finds it without a process and ends the run.
        if runs::end_run(&session, run, error).is_err() {
            return result;
        }
        folder.discard();
    }
    session.finish_with(result)
}

/// The run's start, its category and its inputs, in one transaction.
pub(super) fn record_start(
    workspace: &Workspace,
    session: &Session<'_>,
    run: RunId,
    begin: StartSpec<'_>,
    folder: &RunFolder,
    engine: &Engine,
) -> Result<(RunState, RunStarted)> {
    let hello = engine.hello();
    let cuda = hello.devices.iter().filter(|d| d.starts_with("cuda")).cloned().collect();
    let (environment, code) = workspace.environment(EngineFacts {
        libtorch: hello.libtorch.as_deref(),
        threads: begin.threads,
        device: begin.device,
        accelerators: cuda,
    });
    let mut stored = folder.inputs()?;
    let mut parameters = request::flatten(begin.config);
    if begin.drop_empty {
        parameters.insert(DROP_EMPTY.to_owned(), "true".to_owned());
    }
    let start = RunStart {
        run,
        name: begin.name,
        experiment_id: folder.experiment_id.clone(),
        folder: workspace.relative(&folder.path),
        description: begin.description,
        tags: begin.tags,
        config_name: begin.config_name,
        config: stored[0].digest,
        parameters,
        seed: begin.config.training.seed,
        data: begin.data,
        environment,
        trainer: hello.program.clone(),
        unstated: BTreeSet::new(),
    };
    if let Some(diff) = &code.diff {
        let digests = workspace.blobs.put(diff.as_bytes())?;
        stored.push(StoredFile::in_blobs("diff", None, digests, diff.len() as u64));
    }
    put_blobs(workspace, folder, &mut stored)?;
    let recorded = session.transact(|tx| {
        let policy = fold_policy(tx.log())?;
        let mut record = Draft::<RunStream>::read(tx.log(), run)?;
        let facts = RunFacts::new(&policy, Provenance::Engine).told_by(tx.teller());
        let mut commands = vec![RunCommand::Start(Box::new(start.clone()), begin.category)];
        commands.extend(stored.into_iter().map(RunCommand::StoreArtifact));
        for command in commands {
            record.decide(command, &facts)?;
        }
        if let Some(text) = code.unknown {
            record.decide(RunCommand::Edit(RunEdit::Note(text)), &facts)?;
        }
        tx.append(&mut record)?;
        let state = record.into_state();
        let started = start.started(state.points_signed);
        Ok((state, started))
    });
    folder.note_start(&recorded);
    recorded
}

/// Stores the files as blobs. What is recorded of them is what was stored: a log may have
/// grown since it was read. A digest that came without a SHA-256 is the trainer's word.
///
/// # Errors
/// When a file cannot be stored, or has other bytes than its trainer said.
pub(in crate::app) fn put_blobs(
    workspace: &Workspace,
    folder: &RunFolder,
    stored: &mut [StoredFile],
) -> Result<()> {
    for artifact in stored {
        let Some(path) = artifact.path.as_ref().filter(|_| artifact.blob) else { continue };
        let path = folder.path.join(path);
        let (digests, bytes) = workspace.blobs.put_file(&path)?;
        if artifact.sha256.is_none() && artifact.digest != digests.blake3 {
            let (path, said, found) = (path.display(), artifact.digest, digests.blake3);
            let message = format!("{path} has the blake3 digest {found}; its trainer said {said}");
            return Err(Error::new(ErrorKind::Integrity, message)
                .hint("something else wrote to the file; train again"));
        }
        artifact.digest = digests.blake3;
        artifact.sha256 = Some(digests.sha256);
        artifact.bytes = bytes;
    }
    Ok(())
}

/// How the run ended, with its last files.
fn record_end(
    workspace: &Workspace,
    session: &Session<'_>,
    run: RunId,
    attempt: u32,
    of: &Results<'_>,
    folder: &RunFolder,
    driven: Result<TrainingOutcome>,
) -> Result<()> {
    let mut note = None;
    let (ending, error, mut stored) = match driven {
        Ok(TrainingOutcome::Finished(finished)) => {
            let mut result = translate::result(&finished);
            note = result_size::shorten(&mut result);
            let ended = result.clone().finished(attempt);
            let stored = folder.write_results(of, &finished, &ended)?;
            (Ending::Finish(Box::new(result)), None, stored)
        }
        Ok(TrainingOutcome::Ended(ending, error)) => {
            let id = &folder.experiment_id;
            let error = error.hint(format!("the run is {id}: `annals show {id}`"));
            (ending, Some(error), vec![])
        }
        Err(error) => {
            let ending = Ending::Fail {
                reason: format!("recording failed: {error}"),
                signal: None,
                exit_code: None,
                stderr_tail: String::new(),
            };
            (ending, Some(error), vec![])
        }
    };
    // The engine's output is whole only now.
    stored.extend(folder.file("log", &folder.log_file()).ok());
    put_blobs(workspace, folder, &mut stored)?;
    let mut commands: Vec<RunCommand> = stored.into_iter().map(RunCommand::StoreArtifact).collect();
    commands.push(RunCommand::End(ending));
    session.transact_patiently(|tx| {
        let policy = fold_policy(tx.log())?;
        let mut record = Draft::<RunStream>::read(tx.log(), run)?;
        if record.status == RunStatus::Unknown {
            return Err(log_lost(folder));
        }
        let facts = RunFacts::new(&policy, Provenance::Engine);
        for command in commands {
            record.decide(command, &facts)?;
        }
        if let Some(text) = note {
            record.decide(RunCommand::Edit(RunEdit::Note(text)), &facts)?;
        }
        tx.append(&mut record)?;
        Ok(())
    })?;
    error.map_or(Ok(()), Err)
}

impl<'a> Plan<'a> {
    /// Generates the data where none was given.
    fn new(
        workspace: &Workspace,
        request: &'a TrainRequest,
        resolved: Resolved,
        name: Name,
        given: Option<(Dataset, Preparation)>,
        folder: &RunFolder,
        reporter: &mut dyn Reporter,
    ) -> Result<Self> {
        let config = resolved.config;
        let (dataset, prepared, synthetic) = match given {
            Some((dataset, prepared)) => (dataset, prepared, None),
            None => {
                let (dataset, synthetic) = request::sample(request, folder, &config)?;
                let programs = &request.programs;
                let prepared =
                    difficulty::prepare(workspace, &dataset, &config, programs, reporter)?;
                (dataset, prepared, synthetic)
            }
        };
        let mut plan = Plan {
            request,
            name,
            config,
            config_name: resolved.name,
            dataset,
            synthetic,
            prepared,
            baseline: None,
            threads: request.threads.unwrap_or_else(crate::app::core::environment::cpus),
        };
        plan.baseline = baseline::measure(&plan);
        Ok(plan)
    }

    fn beginning(&self, prepared: Digest) -> StartSpec<'_> {
        StartSpec {
            name: self.name.to_string(),
            description: self.description(),
            tags: self.tags(),
            category: self.request.category,
            config: &self.config,
            config_name: self.config_name.clone(),
            data: self.data_record(prepared),
            threads: self.threads,
            device: &self.request.device,
            drop_empty: matches!(&self.request.data, DataSource::File(source) if source.drop_empty),
        }
    }

    fn description(&self) -> String {
        self.request.description.clone().unwrap_or_else(|| self.config.description.clone())
    }

    fn tags(&self) -> Vec<String> {
        let mut tags = self.config.tags.clone();
        tags.extend(self.request.tags.iter().filter(|t| !self.config.tags.contains(t)).cloned());
        tags
    }

    fn data_record(&self, prepared: Digest) -> DataRecord {
        let dataset = &self.dataset;
        let split = &self.config.data.split;
        DataRecord {
            files: dataset
                .files
                .iter()
                .map(|file| DataFile {
                    path: file.path.display().to_string(),
                    digest: file.digests.blake3,
                    sha256: Some(file.digests.sha256),
                    bytes: file.bytes,
                    rows: file.rows as u64,
                })
                .collect(),
            synthetic: self.synthetic.clone(),
            labels: dataset.label_names(),
            split_rule: format!(
                "{:?}, valid {}, test {}, seed {}{}{}",
                split.rule,
                split.valid_fraction,
                split.test_fraction,
                self.config.training.seed,
                if self.config.data.dedupe { ", deduplicated" } else { "" },
                match self.prepared.report.dropped_empty.len() {
                    0 => String::new(),
                    rows => format!(", rows with an empty text left out: {rows}"),
                }
            )
            .to_lowercase(),
            splits: self
                .prepared
                .splits
                .iter()
                .map(|s| SplitRows { split: s.split, rows: s.rows, per_label: s.classes.clone() })
                .collect(),
            leaked_rows: self.prepared.leakage.rows_left() as u64,
            prepared,
        }
    }
}

pub(super) fn start_engine(
    programs: &Programs,
    architecture: Architecture,
    device: &str,
    folder: &RunFolder,
) -> Result<Engine> {
    let (program, args) = programs.for_architecture(architecture);
    let log = folder.path.join(folder.log_file());
    let engine = Engine::start(program, args, &log).map_err(|e| {
        let hint = match &e {
            SuperviseError::Died(gone) if !gone.output_tail.is_empty() => {
                format!("output of the engine: {}", gone.output_tail)
            }
            _ => format!(
                "`annals-engine` is looked for beside `annals` and in PATH; here: {}",
                program.display()
            ),
        };
        Error::caused(ErrorKind::TrainingFailed, "the engine does not start", e).hint(hint)
    })?;
    engine.require(architecture).map_err(|e| {
        Error::caused(ErrorKind::TrainingFailed, "the engine is of no use here", e)
            .hint(format!("install an `annals-engine` that has it; used: {}", program.display()))
    })?;
    let known = &engine.hello().devices;
    let is_known = known.iter().any(|d| d == device || d.split(':').next() == Some(device));
    if !is_known {
        let message = format!("device {device} is not here (known: {})", known.join(", "));
        return Err(Error::new(ErrorKind::Usage, message));
    }
    Ok(engine)
}

/// Sorted JSON text values by dotted key.
pub(super) type Flat = BTreeMap<String, String>;
