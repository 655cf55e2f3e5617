//! `runs`, `params` and `metrics`.

use std::collections::BTreeMap;

use super::{
    ACTOR, Batch, EventRow, Fold, IDENTITY, RECORDED, RUN, Role, Rows, Table, Type, column,
    narrowing, row,
};
use crate::base::{RunId, Split, Timestamp};
use crate::domain::IdentityLevel;
use crate::domain::run::{
    Archive, RunEvent, RunFinished, RunStarted, RunState, RunStream, Unstated,
};
use crate::domain::{Decider as _, Event, Provenance, kind_info};
use crate::model::settings;

pub(super) const RUNS: Table = Table {
    name: "runs",
    about: "one row for each run, as it is at the end of the log",
    kinds: Some(&[
        RunEvent::STARTED,
        RunEvent::CLASSIFIED,
        RunEvent::FINISHED,
        RunEvent::FAILED,
        RunEvent::INTERRUPTED,
        RunEvent::RESUMED,
        RunEvent::REPRODUCED,
        RunEvent::TAGGED,
        RunEvent::PINNED,
        RunEvent::UNPINNED,
        RunEvent::RENAMED,
        RunEvent::ARCHIVED,
        RunEvent::RESTORED,
        RunEvent::RELOCATED,
        RunEvent::DELETED,
    ]),
    columns: &[
        RUN,
        column("experiment_id", Type::Text, "unique name"),
        column("name", Type::Text, "name of the experiment"),
        column("status", Type::Text, "running, finished, failed or interrupted"),
        column("category", Type::Text, "debug or baseline"),
        column("archived", Type::Text, "the archive that holds it; null while it is active"),
        column("deleted", Type::Bool, "whether its files are gone for good"),
        column("folder", Type::Text, "its folder, relative to the workspace"),
        column("pinned", Type::Bool, "whether the rules about old runs leave it alone"),
        column("tags", Type::Text, "words for finding it, separated by spaces"),
        column("position", Type::Int, "position of its start"),
        column("started", Type::Time, "when the log took its start"),
        column("ended_position", Type::Int, "position of its end"),
        column("ended", Type::Time, "when the log took its end"),
        ACTOR,
        IDENTITY,
        column("provenance", Type::Text, "how its final metrics came to the log"),
        column("config_name", Type::Text, "name of the configuration"),
        column("config", Type::Text, "digest of the configuration"),
        column("seed", Type::Text, "everything random follows from it; text, for it has 64 bits"),
        column("synthetic", Type::Bool, "whether its data was generated"),
        column("leaked_rows", Type::Int, "valid and test rows whose text is in train"),
        column("data", Type::Text, "digest of the prepared data"),
        column("trainer", Type::Text, "what trained it"),
        column("tool_version", Type::Text, "version of annals"),
        column("host", Type::Text, "the machine"),
        column("device", Type::Text, "the device"),
        column("git_commit", Type::Text, "the code"),
        column("git_dirty", Type::Bool, "whether the code was changed since that commit"),
        column("steps", Type::Int, "optimiser updates"),
        column("epochs", Type::Int, "passes over the training rows"),
        column("duration_seconds", Type::Real, "from start to end"),
        column("parameter_count", Type::Int, "trained weights"),
        column("model_bytes", Type::Int, "size of the weights"),
        column("weights", Type::Text, "digest of the weights"),
        column("reproduced", Type::Int, "how many runs gave the same weights and numbers again"),
        column("reason", Type::Text, "why it failed or was interrupted"),
    ],
    fold: Fold::Whole(|| Box::new(Runs::default())),
};

#[derive(Default)]
struct Runs(BTreeMap<RunId, Run>);

/// A run, and what the domain has no need of.
struct Run {
    started: RunStarted,
    position: u64,
    recorded: Timestamp,
    actor: String,
    identity: IdentityLevel,
    state: RunState,
    ended: Option<(u64, Timestamp)>,
    finished: Option<RunFinished>,
    reason: Option<String>,
}

impl Run {
    fn new(seen: &EventRow<'_>, started: &RunStarted) -> Self {
        Self {
            started: started.clone(),
            position: seen.header.position,
            recorded: seen.header.dated(),
            actor: seen.actor.to_owned(),
            identity: seen.identity,
            state: RunState::default(),
            ended: None,
            finished: None,
            reason: None,
        }
    }

    fn take(&mut self, seen: &EventRow<'_>, event: &RunEvent) {
        RunStream::evolve(&mut self.state, event, seen.header);
        let here = Some((seen.header.position, seen.header.dated()));
        match event {
            RunEvent::Finished(e) => {
                (self.ended, self.reason) = (here, None);
                self.finished = Some(e.clone());
            }
            RunEvent::Failed(e) => (self.ended, self.reason) = (here, Some(e.reason.clone())),
            RunEvent::Interrupted(e) => (self.ended, self.reason) = (here, Some(e.reason.clone())),
            RunEvent::Resumed(_) => (self.ended, self.reason) = (None, None),
            _ => {}
        }
    }

    fn row(self, run: RunId, out: &mut Batch) {
        let (start, state) = (self.started, self.state);
        let environment = start.environment;
        let (git, finished) = (environment.git, self.finished.as_ref());
        let unstated = start.unstated;
        let stated = |fact| !unstated.contains(&fact);
        row![out;
            run,
            state.experiment_id,
            state.name,
            state.status.word(),
            state.category.word(),
            state.archive.map(Archive::word),
            state.deleted,
            state.folder,
            state.pinned,
            state.tags.join(" "),
            self.position,
            self.recorded,
            self.ended.map(|(position, _)| position),
            self.ended.map(|(_, time)| time),
            self.actor,
            self.identity.word(),
            state.provenance.map(Provenance::word),
            start.config_name,
            start.config.to_string(),
            stated(Unstated::Seed).then(|| start.seed.to_string()),
            (state.synthetic || stated(Unstated::DataOrigin)).then_some(state.synthetic),
            stated(Unstated::LeakedRows).then_some(state.leaked_rows),
            start.data.prepared.to_string(),
            start.trainer,
            environment.tool_version,
            environment.host,
            environment.device,
            git.as_ref().map(|git| git.commit.clone()),
            git.as_ref().map(|git| git.dirty),
            finished.map(|f| f.steps),
            finished.map(|f| f.epochs),
            finished.map(|f| f.duration_seconds),
            finished.and_then(|f| f.parameter_count),
            finished.map(|f| f.model_bytes),
            finished.and_then(|f| f.weights).map(|digest| digest.to_string()),
            state.reproduced,
            self.reason,
        ];
    }
}

impl Rows for Runs {
    fn take(&mut self, seen: &EventRow<'_>, _: &mut Batch) {
        let (Some(Event::Run(event)), Some(run)) = (seen.event(), seen.header.stream.run()) else {
            return;
        };
        if let RunEvent::Started(started) = event {
            self.0.insert(run, Run::new(seen, started));
        }
        if let Some(state) = self.0.get_mut(&run) {
            state.take(seen, event);
        }
    }

    fn end(&mut self, out: &mut Batch) {
        let mut runs: Vec<_> = std::mem::take(&mut self.0).into_iter().collect();
        runs.sort_by_key(|(_, state)| state.position);
        runs.into_iter().for_each(|(run, state)| state.row(run, out));
    }
}

pub(super) const PARAMS: Table = Table {
    name: "params",
    about: "one row for each setting of each run that its architecture uses",
    kinds: Some(&[RunEvent::STARTED]),
    columns: &[
        super::POSITION,
        RECORDED,
        RUN,
        column("name", Type::Text, "the setting, such as training.batch_size"),
        column("value", Type::Text, "its value, as text"),
    ],
    fold: Fold::Each(params),
};

fn params(seen: &EventRow<'_>, out: &mut Batch) {
    let Some(Event::Run(RunEvent::Started(started))) = seen.event() else { return };
    let (position, recorded) = (seen.header.position, seen.header.dated());
    for (name, value) in &settings::recorded(&started.parameters) {
        row![out; position, recorded, started.run, name, value];
    }
}

pub(super) const METRICS: Table = Table {
    name: "metrics",
    about: "one row for each recorded point, and one for each final value of a run",
    kinds: Some(&[RunEvent::METRICS_RECORDED, RunEvent::FINISHED]),
    columns: &[
        super::POSITION,
        RECORDED,
        RUN,
        narrowing("kind", Type::Text, Role::Kind, "run.metrics_recorded, or run.finished if final")
            .low_cardinality(),
        column("attempt", Type::Int, "which attempt of the run, from 1").low_cardinality(),
        column("name", Type::Text, "such as f1_macro"),
        column("split", Type::Text, "train, valid or test; null where there is none")
            .low_cardinality(),
        column("direction", Type::Text, "which way it gets better").low_cardinality(),
        column("step", Type::Int, "optimiser updates done"),
        column("epoch", Type::Real, "passes over the training rows"),
        column("value", Type::Real, "the value"),
        column("at", Type::Time, "when it was measured, by the producer's clock"),
        column("provenance", Type::Text, "engine, supervised, reported, typed or imported")
            .low_cardinality(),
    ],
    fold: Fold::Each(metrics),
};

fn metrics(seen: &EventRow<'_>, out: &mut Batch) {
    let (Some(Event::Run(event)), Some(run)) = (seen.event(), seen.header.stream.run()) else {
        return;
    };
    let (position, recorded) = (seen.header.position, seen.header.dated());
    let provenance = seen.header.provenance.word();
    let kind = kind_info(seen.header.kind).map_or("", |kind| kind.name);
    match event {
        RunEvent::MetricsRecorded(e) => {
            for point in e.batch.points() {
                let Some(key) = e.batch.keys.get(usize::from(point.key)) else { continue };
                row![out;
                    position,
                    recorded,
                    run,
                    kind,
                    e.attempt,
                    &key.name,
                    key.split.map(Split::word),
                    key.direction.word(),
                    point.step,
                    point.epoch,
                    point.value,
                    point.at,
                    provenance,
                ];
            }
        }
        RunEvent::Finished(e) => {
            for metric in &e.metrics {
                let key = &metric.key;
                row![out;
                    position,
                    recorded,
                    run,
                    kind,
                    e.attempt,
                    &key.name,
                    key.split.map(Split::word),
                    key.direction.word(),
                    e.steps,
                    f64::from(e.epochs),
                    metric.value,
                    seen.header.occurred(),
                    provenance,
                ];
            }
        }
        _ => {}
    }
}
