//! What changed between two states of the log, and the command that did it.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::analysis::diff::{Picture, RunDifference, Section};
use crate::app::core::admitted::Judge;
use crate::app::records::log::Names;
use crate::app::records::window::scan;
use crate::app::{Error, ErrorKind, Result, Workspace, records};
use crate::base::{RunId, Timestamp, counted};
use crate::domain::IdentityLevel;
use crate::domain::run::RunEvent;
use crate::domain::{EnvelopeRef, Event, Header, StreamId, StreamType, all_kinds};
use crate::store::{Filter, Reader};

/// Up to so many streams are read one by one; more are picked out of one look at everything.
const STREAMS_MAX: usize = 64;

/// What changed between two states of the log.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LogDifference {
    /// The earlier state.
    pub from: Moment,
    /// The later state.
    pub to: Moment,
    /// What is not what it was, in the order of the events that decided it.
    pub changes: Vec<LogChange>,
}

/// A state of the log.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Moment {
    /// How many events there were.
    pub size: u64,
    /// When the log took the last of them; none before the first.
    pub recorded: Option<Timestamp>,
}

/// Something that is not what it was.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LogChange {
    /// What kind of thing.
    pub section: Section,
    /// Which.
    pub name: String,
    /// What of it.
    pub field: String,
    /// Before; none where it was not there.
    pub before: Option<String>,
    /// After; none where it is not there any more.
    pub after: Option<String>,
    /// Position of the event that decided.
    pub position: u64,
    /// Its kind.
    pub kind: String,
    /// When the log took it.
    pub recorded: Timestamp,
    /// When it happened, by the producer's clock.
    pub occurred: Timestamp,
    /// Who did it.
    pub actor: String,
    /// `claimed` or `signed`.
    pub identity: IdentityLevel,
    /// Position of the invocation it belongs to.
    pub invocation: Option<u64>,
    /// Who used which words.
    pub command: Option<String>,
    /// Positions of earlier events in between that set it too.
    pub earlier: Vec<u64>,
}

/// What is different at `to` from `from`, which are times or positions; at the end of the log
/// where there is no `to`.
///
/// # Errors
/// As `size_as_of`; [`ErrorKind::Usage`] when `from` lies after `to`.
pub fn log_difference(
    workspace: &Workspace,
    from: &str,
    to: Option<&str>,
) -> Result<LogDifference> {
    let from = records::size_from(workspace, from)?;
    let to =
        to.map_or_else(|| records::log_size(workspace), |to| records::size_as_of(workspace, to))?;
    if from > to {
        let message = format!(
            "--from is after {}, and --to after {to}: it is earlier",
            counted(from, "event")
        );
        return Err(Error::new(ErrorKind::Usage, message).hint("exchange the two"));
    }
    let picture = picture(workspace, from, to)?;
    workspace.store.read(|log| {
        let mut names = Names::default();
        let differences = picture.differences().into_iter();
        let changes = differences.map(|found| change(log, &mut names, found));
        let mut changes: Vec<LogChange> = changes.collect::<Result<_>>()?;
        changes.sort_by_key(|change| change.position);
        Ok(LogDifference { from: moment(log, from), to: moment(log, to), changes })
    })
}

/// Looks at what happened in between, and before it at those streams only.
fn picture(workspace: &Workspace, from: u64, to: u64) -> Result<Picture> {
    let mut touched: BTreeSet<StreamId> = BTreeSet::new();
    let mut measured: BTreeSet<StreamId> = BTreeSet::new();
    let not_allowed = Judge::new(workspace).not_allowed(true)?;
    let allowed = |header: &Header| !not_allowed.contains(&header.position);
    scan(&workspace.store, from..to, &Filter::default(), |envelope| {
        let stream = envelope.header.stream;
        if stream.stream_type() != Some(StreamType::Invocation) {
            touched.insert(stream);
        }
        let ends = || matches!(envelope.event(), Ok(Event::Run(RunEvent::Finished(_))));
        if envelope.header.kind == RunEvent::METRICS_RECORDED || (stream.run().is_some() && ends())
        {
            measured.insert(stream);
        }
        Ok(())
    })?;
    let mut picture = Picture::default();
    let all = all_kinds().map(|info| info.kind);
    let wanted = all.filter(|kind| *kind != RunEvent::METRICS_RECORDED || !measured.is_empty());
    let few = touched.len() <= STREAMS_MAX;
    let filter = Filter {
        kinds: Some(wanted.collect()),
        streams: few.then(|| touched.iter().copied().collect()),
        ..Filter::default()
    };
    let mut take = |envelope: &EnvelopeRef<'_>| {
        let header = &envelope.header;
        let needed = match header.kind == RunEvent::METRICS_RECORDED {
            true => &measured,
            false => &touched,
        };
        // Redacted texts and kinds of a later version set nothing that is known here.
        if needed.contains(&header.stream)
            && allowed(header)
            && let Ok(event) = envelope.event()
        {
            picture.take(header, &event);
        }
        Ok(())
    };
    scan(&workspace.store, 0..from, &filter, &mut take)?;
    picture.begin();
    scan(&workspace.store, from..to, &Filter::default(), |envelope| {
        if allowed(&envelope.header)
            && let Ok(event) = envelope.event()
        {
            picture.take(&envelope.header, &event);
        }
        Ok(())
    })?;
    Ok(picture)
}

fn moment(log: &Reader, size: u64) -> Moment {
    // What is lost tells no time; that it is lost is said beside the answer.
    let last = size.checked_sub(1).and_then(|last| log.event(last).ok());
    Moment { size, recorded: last.map(|event| event.header.dated()) }
}

fn change(log: &Reader, names: &mut Names, found: RunDifference) -> Result<LogChange> {
    let RunDifference { section, name, field, before, after, by: mut earlier } = found;
    let position = earlier.pop().unwrap_or_default();
    let header = log.event(position)?.header;
    // Models name their run by its id, which the registry knows; people know its name.
    let run = |value: Option<String>| {
        let id = value.as_deref()?.parse::<RunId>().ok();
        let named = id.filter(|_| field == "run").and_then(|run| run_name(log, run));
        named.or(value)
    };
    let (before, after) = (run(before), run(after));
    Ok(LogChange {
        section,
        name,
        field,
        before,
        after,
        position,
        kind: header.kind.name(),
        recorded: header.dated(),
        occurred: header.occurred(),
        actor: names.actor(log, header.actor),
        identity: names.identity(log, &header),
        invocation: header.invocation,
        command: header.invocation.and_then(|at| names.words(log, at)),
        earlier,
    })
}

/// The unique name of a run; none where its start is lost.
fn run_name(log: &Reader, run: RunId) -> Option<String> {
    let first = log.head(run.into()).ok()??.first;
    match log.event(first).ok()?.event() {
        Ok(Event::Run(RunEvent::Started(started))) => Some(started.experiment_id),
        _ => None,
    }
}
