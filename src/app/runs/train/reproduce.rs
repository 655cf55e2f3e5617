//! `reproduce`: trains a run again from its record alone, as a run of its own, and records with the
//! first what came of it. Settings and rows are those whose digests stand in the log; where the
//! machine or the programs are others, the answer says so, because numbers may differ then.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;

use schemars::JsonSchema;
use serde::Serialize;

use super::ensemble;
use super::folder::RunFolder;
use super::{Attempt, DROP_EMPTY, Programs, Reporter, Results, StartSpec, start_engine};
use crate::app::NewRun;
use crate::app::runs::run_files::{DATASET, RecordedFile, RunFiles, files_of_state};
use crate::app::runs::shown::RunShown;
use crate::app::{Error, ErrorKind, Result, Session, Workspace, fold_policy, fold_run, runs};
use crate::base::{Digest, RunId, Split};
use crate::domain::run::{
    Environment, EnvironmentDifference, NumberDifference, Reproduction, RunCommand, RunEvent,
    RunFacts, RunStarted, RunState, RunStatus, RunStream,
};
use crate::domain::{Envelope, Event, Provenance};
use crate::model::config::{self, TrainConfig};
use crate::projection::runs::RunDetails;
use crate::store::Filter;
use crate::train::protocol::JobSpec;

/// Where and how to train again.
#[derive(Clone, Debug)]
pub struct ReproduceOptions {
    /// Threads of one operation; the recorded number where none is given.
    pub threads: Option<u32>,
    /// The recorded device where none is given.
    pub device: Option<String>,
    /// Where the engines are.
    pub programs: Programs,
}

/// What came of training a run again.
#[derive(Debug)]
pub struct Reproduced {
    /// The unique name of the run that was trained again.
    pub original: String,
    /// The run that did it.
    pub run: RunDetails,
    /// How the two compare, as the log has it.
    pub verdict: Reproduction,
    /// How many recorded numbers were compared.
    pub numbers: u64,
}

/// A finished run as the log has it.
pub(super) struct Recorded {
    run: RunId,
    state: RunState,
    pub(super) started: RunStarted,
    weights: Digest,
    numbers: Numbers,
    pub(super) config: TrainConfig,
}

/// A finished run that is to be trained again.
struct Again<'a> {
    original: Recorded,
    options: &'a ReproduceOptions,
}

/// Update, metric and split.
type NumberKey = (u64, String, Option<Split>);

/// Every recorded number; of several attempts the last counts.
type Numbers = BTreeMap<NumberKey, f64>;

/// A run that was trained again, and the verdict.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RunReproducedAgain {
    /// The unique name of the original run.
    pub original: String,
    /// The new run.
    pub run: RunShown,
    /// The id of the new run.
    pub run_id: RunId,
    /// Numbers that were compared.
    pub numbers: u64,
    /// What the comparison came to.
    pub verdict: Reproduction,
}

/// A reproduction as programs read it.
///
/// # Errors
/// When log or views cannot be read.
pub fn reproduction_shown(workspace: &Workspace, found: &Reproduced) -> Result<RunReproducedAgain> {
    Ok(RunReproducedAgain {
        original: found.original.clone(),
        run: runs::run_shown(workspace, found.run.clone())?,
        run_id: found.run.run(),
        numbers: found.numbers,
        verdict: found.verdict.clone(),
    })
}

/// Trains the run that `text` names again and compares weights and numbers.
///
/// # Errors
/// When there is no such run or it has not finished, its settings or rows are not there any
/// more as they were recorded, or the training fails.
pub fn reproduce(
    workspace: &Workspace,
    text: &str,
    options: &ReproduceOptions,
    stop: &AtomicUsize,
    reporter: &mut dyn Reporter,
) -> Result<Reproduced> {
    for note in workspace.recover()?.notes {
        reporter.note(&note);
    }
    let original = recorded(workspace, workspace.find_run(&workspace.snapshot()?, text)?)?;
    let inputs = inputs(workspace, &original)?;
    let again = Again { original, options };
    workspace.may_begin("reproduce")?;
    let session = workspace.begin("reproduce")?;
    let run = RunId(workspace.env.random());
    let (name, model) = (again.name(), again.original.started.config_name.as_str());
    let folder =
        match RunFolder::create(workspace, &NewRun { name: &name, model, began: session.now() }) {
            Ok(folder) => folder,
            Err(error) => return session.finish_with(Err(error)),
        };
    let mut compared = None;
    let result = inputs
        .iter()
        .try_for_each(|(name, bytes)| {
            let settings = name == settings_of(&again.original.state);
            let own = settings.then(|| folder.settings_file(name));
            folder.write(own.as_ref().unwrap_or(name), bytes).map(|_| ())
        })
        .and_then(|()| {
            train_again(workspace, &session, run, &again, &folder, stop, reporter)?;
            compared = Some(compare(workspace, &session, &again.original, run)?);
            Ok(())
        });
    let ended = super::close(session, run, &folder, result);
    let run = super::trained(workspace, run, None, ended)?.run;
    let bug = || Error::new(ErrorKind::Bug, "BUG: a reproduction was not compared");
    let (verdict, numbers) = compared.ok_or_else(bug)?;
    let original = again.original.started.experiment_id;
    Ok(Reproduced { original, run, verdict, numbers })
}

fn train_again(
    workspace: &Workspace,
    session: &Session<'_>,
    run: RunId,
    again: &Again<'_>,
    folder: &RunFolder,
    stop: &AtomicUsize,
    reporter: &mut dyn Reporter,
) -> Result<()> {
    let (original, begin) = (&again.original, again.beginning());
    let config = &original.config;
    let engine =
        start_engine(&again.options.programs, config.model.architecture, begin.device, folder)?;
    let (threads, device) = (begin.threads, begin.device.to_owned());
    let (state, started) = super::record_start(workspace, session, run, begin, folder, &engine)?;
    for other in differences(&original.started, &started) {
        let EnvironmentDifference { what, recorded, found } = other;
        reporter.warn(&format!("{what}: {recorded} was recorded, here it is {found}"));
    }
    let job = JobSpec {
        run,
        config_digest: config.digest(),
        config: config.clone(),
        dataset: folder.path.join("config/dataset.bin"),
        dataset_digest: original.started.data.prepared,
        run_dir: folder.path.clone(),
        device,
        threads,
        resume_from: None,
        resume_digest: None,
    };
    let of = Results { started: &started, baseline: None, trainer: &workspace.caller.actor };
    super::run_attempt(
        workspace,
        session,
        Attempt { run, state, job, engine, of, folder },
        stop,
        reporter,
    )
}

/// Compares the finished run `by` with the original and records what came of it there.
fn compare(
    workspace: &Workspace,
    session: &Session<'_>,
    original: &Recorded,
    by: RunId,
) -> Result<(Reproduction, u64)> {
    let again = recorded(workspace, by)?;
    let difference = first_difference(&original.numbers, &again.numbers);
    let verdict = Reproduction {
        by,
        equal: difference.is_none() && original.weights == again.weights,
        weights: again.weights,
        difference,
        environment: differences(&original.started, &again.started),
    };
    session.transact_patiently(|tx| {
        let policy = fold_policy(tx.log())?;
        let facts = RunFacts::new(&policy, Provenance::Engine);
        let command = RunCommand::Reproduce(Box::new(verdict.clone()));
        tx.decide::<RunStream>(original.run, command, &facts)
    })?;
    Ok((verdict, original.numbers.len() as u64))
}

/// A finished run with all its numbers.
pub(super) fn recorded(workspace: &Workspace, run: RunId) -> Result<Recorded> {
    let (state, events) = workspace.store.read(|log| {
        // Points are of a bulk kind, which the index of a stream leaves out.
        let events = log.events(0..log.size(), &Filter::stream(run.into()))?;
        Ok::<_, Error>((fold_run(log, run)?, events))
    })?;
    let (mut started, mut weights, mut numbers) = (None, None, Numbers::new());
    for event in events.iter().filter_map(|envelope: &Envelope| envelope.event().ok()) {
        match event {
            Event::Run(RunEvent::Started(event)) => started = Some(event),
            Event::Run(RunEvent::Finished(event)) => weights = event.weights,
            Event::Run(RunEvent::MetricsRecorded(event)) => {
                for point in event.batch.points() {
                    let key = &event.batch.keys[usize::from(point.key)];
                    numbers.insert((point.step, key.name.clone(), key.split), point.value);
                }
            }
            _ => {}
        }
    }
    let name = state.experiment_id.clone();
    if state.artifacts.contains_key(ensemble::ARTIFACT) {
        let message = format!("{name} is an ensemble: nothing was trained");
        return Err(Error::new(ErrorKind::Rejected, message)
            .hint("reproduce its members; `annals show` names them"));
    }
    let (Some(started), Some(weights), RunStatus::Finished) = (started, weights, state.status)
    else {
        let message = format!(
            "{name} is {}: only a run that has finished is reproduced",
            state.status.word()
        );
        return Err(Error::new(ErrorKind::Rejected, message));
    };
    let place = workspace.store.read(|log| RunFiles::of_state(log, &state))?;
    place.refuse_removed()?;
    let settings =
        RecordedFile { name: "config", path: settings_of(&state), digest: started.config };
    let config = runs::recorded_bytes(workspace, &place, settings)?;
    let config = config::recorded(&String::from_utf8_lossy(&config))
        .map_err(|e| Error::new(ErrorKind::Data, format!("settings of {name}: {e}")))?;
    Ok(Recorded { run, state, started, weights, numbers, config })
}

/// What the training reads, by its path in the run's folder, as it was recorded.
pub(super) fn inputs(workspace: &Workspace, original: &Recorded) -> Result<Vec<(String, Vec<u8>)>> {
    let place = workspace.store.read(|log| RunFiles::of_state(log, &original.state))?;
    let settings = settings_of(&original.state);
    let mut wanted = files_of_state(&original.state);
    wanted.retain(|file| file.path.starts_with("config/") || file.path == settings);
    let digest = original.started.data.prepared;
    wanted.push(RecordedFile { name: "rows", path: DATASET, digest });
    let read = |file: RecordedFile<'_>| {
        let bytes = runs::recorded_bytes(workspace, &place, file).map_err(|e| {
            e.hint("a run is reproduced from the bytes it was trained on, or not at all")
        })?;
        Ok((file.path.to_owned(), bytes))
    };
    wanted.into_iter().map(read).collect()
}

/// Where a run's settings lie in its folder.
pub(super) fn settings_of(run: &RunState) -> &str {
    let path = run.artifacts.get("config").and_then(|config| config.path.as_deref());
    path.unwrap_or("config/config.yaml")
}

/// Another name than the original's, which would no longer name one run.
pub(super) fn reproduced_name(original: &RunStarted) -> String {
    format!("{}_reproduced", original.name)
}

impl Again<'_> {
    fn name(&self) -> String {
        reproduced_name(&self.original.started)
    }

    fn beginning(&self) -> StartSpec<'_> {
        let started = &self.original.started;
        let environment = &started.environment;
        StartSpec {
            name: self.name(),
            description: format!("reproduces {}", started.experiment_id),
            tags: started.tags.clone(),
            category: Some(self.original.state.category),
            config: &self.original.config,
            config_name: started.config_name.clone(),
            data: started.data.clone(),
            threads: self.options.threads.unwrap_or(environment.threads),
            drop_empty: started.parameters.contains_key(DROP_EMPTY),
            device: self.options.device.as_deref().unwrap_or(&environment.device),
        }
    }
}

/// What decides numbers besides settings and rows, and differs.
fn differences(recorded: &RunStarted, found: &RunStarted) -> Vec<EnvironmentDifference> {
    let facts = |started: &RunStarted| {
        let Environment { tool_version, libtorch, cpu, threads, device, .. } = &started.environment;
        let variables = started.environment.variables.iter();
        let variables: Vec<String> =
            variables.map(|(key, value)| format!("{key}={value}")).collect();
        [
            ("annals", tool_version.clone()),
            ("trainer", started.trainer.clone()),
            ("libtorch", libtorch.clone().unwrap_or_else(|| "none".into())),
            ("cpu", cpu.clone()),
            ("threads", threads.to_string()),
            ("device", device.clone()),
            ("accelerators", started.environment.accelerators.join(", ")),
            ("variables", variables.join(" ")),
        ]
    };
    let pairs = facts(recorded).into_iter().zip(facts(found));
    let other = pairs.filter(|(recorded, found)| recorded != found);
    other
        .map(|((what, recorded), (_, found))| EnvironmentDifference {
            what: what.into(),
            recorded,
            found,
        })
        .collect()
}

/// The first number, by update and then by name, that is not the same bits in both.
fn first_difference(recorded: &Numbers, found: &Numbers) -> Option<NumberDifference> {
    let bits = |value: Option<&f64>| value.map(|value| value.to_bits());
    let same = |key: &NumberKey| bits(recorded.get(key)) == bits(found.get(key));
    let first = [recorded, found].map(|numbers| numbers.keys().find(|key| !same(key)));
    let key = first.into_iter().flatten().min()?;
    let (step, metric, split) = key.clone();
    let (recorded, found) = (recorded.get(key).copied(), found.get(key).copied());
    Some(NumberDifference { metric, split, step, recorded, found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_the_one_of_the_earliest_update() {
        let train = |step, value| ((step, "loss".to_owned(), Some(Split::Train)), value);
        let recorded = Numbers::from([train(1, 0.5), train(2, 0.4), train(3, 0.3)]);
        assert_eq!(first_difference(&recorded, &recorded.clone()), None);

        let mut found = recorded.clone();
        let other = 0.4_f64.next_up();
        found.extend([train(3, 0.31), train(2, other)]);
        let first = first_difference(&recorded, &found).unwrap();
        assert_eq!((first.step, first.recorded, first.found), (2, Some(0.4), Some(other)));

        let shorter = Numbers::from([train(1, 0.5), train(2, 0.4)]);
        let first = first_difference(&recorded, &shorter).unwrap();
        assert_eq!((first.step, first.recorded, first.found), (3, Some(0.3), None));
        let first = first_difference(&shorter, &recorded).unwrap();
        assert_eq!((first.step, first.recorded, first.found), (3, None, Some(0.3)));
    }
}
