//! The audit log, for reading: filters, newest first, and what one invocation did.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::app::core::admitted::people;
use crate::app::records::files_named::{WITH_FILES, names_file};
use crate::app::records::subject::Subject;
use crate::app::records::summary::summary;
use crate::app::records::window::{self, WINDOW_BYTES};
use crate::app::workspace::redact::RedactedBy;
use crate::app::{Error, ErrorKind, Result, Workspace, records};
use crate::base::suggest::nearest;
use crate::base::{InvocationId, RunId, Timestamp};
use crate::domain::history::{People, is_proven};
use crate::domain::invocation::{InvocationEvent, Outcome};
use crate::domain::registry::RegistryEvent;
use crate::domain::workspace::WorkspaceEvent;
use crate::domain::{Envelope, Event, Header, Kind, StreamType, all_kinds};
use crate::domain::{Identity, IdentityLevel};
use crate::store::{Filter, Reader, StoreError, TAG_ACTOR};

/// What to show of the log; the default is all of it.
#[derive(Clone, Debug, Default)]
pub struct LogQuery {
    /// Only kinds with one of these names; `*` stands for anything, and without one a name may go
    /// on.
    pub kinds: Vec<String>,
    /// Only events of the actor with this name.
    pub actor: Option<String>,
    /// Only events of this run.
    pub run: Option<RunId>,
    /// Only what was decided about this production name.
    pub model: Option<String>,
    /// Only events that name this file, by its path or the beginning of its digest.
    pub file: Option<String>,
    /// Only events of this invocation: its position or the beginning of its id.
    pub invocation: Option<String>,
    /// Only these positions.
    pub positions: Option<Range<u64>>,
    /// Only events recorded at this time or later.
    pub since: Option<Timestamp>,
    /// Only events recorded before this time.
    pub until: Option<Timestamp>,
    /// Only what a rule or a person refused.
    pub refused: bool,
    /// At most this many.
    pub limit: usize,
}

/// One event, in a line.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LogLine {
    /// Where it is.
    pub position: u64,
    /// When the log took it.
    pub recorded: Timestamp,
    /// When it happened, by the producer's clock.
    pub occurred: Timestamp,
    /// What kind of event.
    pub kind: String,
    /// Whose event.
    pub stream: String,
    /// Which of that stream's events, from 0.
    pub revision: u64,
    /// Who, as far as the log knows.
    pub actor: String,
    /// `claimed` or `signed`.
    pub identity: IdentityLevel,
    /// How it came to the log.
    pub provenance: &'static str,
    /// The invocation it belongs to.
    pub invocation: Option<u64>,
    /// Who used which words, for the heading of an invocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// What happened, in a few words.
    #[serde(skip)]
    pub summary: String,
    /// What happened.
    pub event: Value,
    /// Who took texts out of it, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redacted: Option<RedactedBy>,
}

/// A [`LogQuery`] made ready: what the log itself can leave out, and what has to be looked at.
#[derive(Debug)]
pub struct LogFilter {
    filter: Filter,
    positions: Range<u64>,
    actor: Option<u64>,
    invocation: Option<u64>,
    model: Option<Subject>,
    file: Option<String>,
    refused: bool,
    dated: (Option<Timestamp>, Option<Timestamp>),
}

/// The events asked for, newest first.
///
/// # Errors
/// [`ErrorKind::NotFound`] for a kind, actor or invocation that is not there; when the log
/// cannot be read.
pub fn log(workspace: &Workspace, query: &LogQuery) -> Result<Vec<LogLine>> {
    let filter = log_filter(workspace, query)?;
    let mut names = Names::default();
    let mut lines = Vec::new();
    for range in filtered_windows(workspace, &filter)?.into_iter().rev() {
        if lines.len() >= query.limit {
            break;
        }
        let most = query.limit - lines.len();
        add_lines(workspace, &filter, range, most, &mut names, &mut lines)?;
    }
    Ok(lines)
}

/// The events asked for that came after the log had `size` events, oldest first, and its size
/// now.
///
/// # Errors
/// When the log cannot be read.
pub fn log_after(
    workspace: &Workspace,
    filter: &LogFilter,
    size: u64,
) -> Result<(Vec<LogLine>, u64)> {
    let mut lines = Vec::new();
    let end = log_size(workspace)?;
    if end > size {
        add_lines(workspace, filter, size..end, usize::MAX, &mut Names::default(), &mut lines)?;
        lines.reverse();
    }
    Ok((lines, end))
}

/// Events in the log, as far as this looks.
///
/// # Errors
/// When the log cannot be read.
pub fn log_size(workspace: &Workspace) -> Result<u64> {
    let size = workspace.store.read(|log| Ok::<_, Error>(log.size()))?;
    Ok(workspace.scope.size.unwrap_or(size))
}

/// Makes a query ready, so that it can be asked again.
///
/// # Errors
/// As [`log`].
pub fn log_filter(workspace: &Workspace, query: &LogQuery) -> Result<LogFilter> {
    let kinds = if query.kinds.is_empty() { None } else { Some(kinds(&query.kinds)?) };
    let mut filter = Filter {
        kinds,
        streams: query.run.map(|run| vec![run.into()]),
        recorded_from: query.since,
        // An event after a clock was ahead is dated earlier than `recorded`, never later.
        recorded_before: None,
    };
    if query.refused {
        narrow(
            &mut filter,
            &[RegistryEvent::REFUSED, RegistryEvent::REJECTED, InvocationEvent::FINISHED],
        );
    }
    if query.file.is_some() {
        narrow(&mut filter, &WITH_FILES);
    }
    let model = query.model.as_ref().map(|name| records::subject(workspace, name)).transpose()?;
    if model.is_some() {
        let of_models =
            all_kinds().filter(|k| matches!(k.stream, StreamType::Registry | StreamType::Move));
        narrow(&mut filter, &of_models.map(|info| info.kind).collect::<Vec<_>>());
    }
    Ok(LogFilter {
        filter,
        positions: query.positions.clone().unwrap_or(0..u64::MAX),
        actor: query.actor.as_ref().map(|name| actor_named(workspace, name)).transpose()?,
        invocation: query
            .invocation
            .as_ref()
            .map(|text| invocation(workspace, text))
            .transpose()?,
        model,
        file: query.file.clone(),
        refused: query.refused,
        dated: (query.since, query.until),
    })
}

/// Ranges of positions, ascending, each worth one opening of the log, that hold everything
/// the filter takes.
fn filtered_windows(workspace: &Workspace, filter: &LogFilter) -> Result<Vec<Range<u64>>> {
    workspace.store.read(|log| {
        let end = filter.positions.end.min(workspace.scope.size.unwrap_or(u64::MAX));
        // What an invocation did comes after its start.
        let start = filter.positions.start.max(filter.invocation.unwrap_or(0));
        window::windows(log, start..end, &filter.filter, WINDOW_BYTES)
    })
}

/// Adds the newest `most` lines of a range, newest first.
fn add_lines(
    workspace: &Workspace,
    filter: &LogFilter,
    range: Range<u64>,
    most: usize,
    names: &mut Names,
    lines: &mut Vec<LogLine>,
) -> Result<()> {
    workspace.store.read(|log| {
        let mut found = Vec::new();
        log.scan(range, &filter.filter, |event| {
            if filter.takes(&event.header) {
                let position = event.header.position;
                let event = event.to_envelope();
                let event = event.map_err(|e| {
                    Error::caused(ErrorKind::Integrity, format!("event {position} is malformed"), e)
                })?;
                if filter.takes_event(&event) {
                    found.push(event);
                }
            }
            Ok::<_, Error>(())
        })?;
        for envelope in found.into_iter().rev().take(most) {
            lines.push(names.line(log, &envelope));
        }
        Ok(())
    })
}

fn actor_named(workspace: &Workspace, name: &str) -> Result<u64> {
    workspace.store.read(|log| {
        if let Some(position) = log.name(TAG_ACTOR, name)? {
            return Ok(position);
        }
        let registered = Filter::kinds([WorkspaceEvent::ACTOR_REGISTERED]);
        let events = log.events(0..log.size(), &registered)?;
        let names: Vec<String> = events
            .iter()
            .filter_map(|event| match event.event() {
                Ok(Event::Workspace(WorkspaceEvent::ActorRegistered(actor))) => Some(actor.name),
                _ => None,
            })
            .collect();
        let error = Error::new(ErrorKind::NotFound, format!("there is no actor \"{name}\""));
        Err(match nearest(name, names.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!("known are {}", names.join(", "))),
        })
    })
}

/// Position of the start of an invocation, from that position, its id or how its id begins.
///
/// # Errors
/// [`ErrorKind::NotFound`]; [`ErrorKind::Usage`] when several fit.
pub fn invocation(workspace: &Workspace, text: &str) -> Result<u64> {
    let missing = || {
        Error::new(ErrorKind::NotFound, format!("there is no invocation \"{text}\""))
            .hint("`annals log --kind invocation.started` shows their positions and ids")
    };
    if let Ok(position) = text.parse::<u64>() {
        let event = workspace.store.read(|log| Ok::<_, Error>(log.event(position)?))?;
        return event.header.invocation.ok_or_else(missing);
    }
    let id = text.strip_prefix("invocation/").unwrap_or(text);
    let started = Filter::kinds([InvocationEvent::STARTED]);
    let mut found = Vec::new();
    workspace.store.read(|log| {
        log.scan(0..log.size(), &started, |event| {
            if InvocationId(event.header.stream.entity).to_string().starts_with(id) {
                found.push(event.header.position);
            }
            Ok::<_, Error>(())
        })
    })?;
    match found.as_slice() {
        [position] if !id.is_empty() => Ok(*position),
        [] => Err(missing()),
        several => {
            let message = format!("\"{text}\" fits {} invocations", several.len());
            Err(Error::new(ErrorKind::Usage, message).hint("use a longer prefix"))
        }
    }
}

/// One event with its header.
///
/// # Errors
/// [`ErrorKind::NotFound`] beyond the end.
pub fn event(workspace: &Workspace, position: u64) -> Result<LogLine> {
    workspace.store.read(|log| {
        let size = workspace.scope.size.unwrap_or(log.size());
        if position >= size {
            return Err(StoreError::NoEvent { position, size }.into());
        }
        Ok(Names::default().line(log, &log.event(position)?))
    })
}

/// Copies the log, consistently.
///
/// # Errors
/// [`ErrorKind::Conflict`] where the target exists.
pub fn copy_log(workspace: &Workspace, target: &Path) -> Result<()> {
    Ok(workspace.store.copy_to(target)?)
}

impl LogQuery {
    /// Whether nothing but a file narrows it.
    pub fn is_file_only(&self) -> bool {
        let Self { kinds, actor, run, model, invocation, positions, since, until, .. } = self;
        kinds.is_empty()
            && !self.refused
            && [actor, model, invocation].iter().all(|narrower| narrower.is_none())
            && (run.is_none() && positions.is_none() && since.is_none() && until.is_none())
    }
}

impl LogFilter {
    /// Whether an event may pass, as far as its header tells.
    fn takes(&self, header: &Header) -> bool {
        let (since, until) = self.dated;
        since.is_none_or(|since| header.dated() >= since)
            && until.is_none_or(|until| header.dated() < until)
            && self.positions.contains(&header.position)
            && self.actor.is_none_or(|actor| header.actor == actor)
            && self.invocation.is_none_or(|at| header.invocation == Some(at))
    }

    /// Whether an event passes; only what the header left open is looked at.
    fn takes_event(&self, envelope: &Envelope) -> bool {
        if !self.refused && self.model.is_none() && self.file.is_none() {
            return true;
        }
        let Ok(event) = envelope.event() else { return false };
        let refused = || match &event {
            Event::Invocation(InvocationEvent::Finished(finished)) => {
                matches!(finished.outcome, Outcome::Refused { .. })
            }
            _ => true,
        };
        let names = |file: &String| {
            serde_json::to_value(&event).is_ok_and(|value| names_file(&value, file))
        };
        (!self.refused || refused())
            && self.model.as_ref().is_none_or(|model| model.concerns(&envelope.header, &event))
            && self.file.as_ref().is_none_or(names)
    }
}

/// Keeps only the kinds of a filter that are among `named`.
fn narrow(filter: &mut Filter, named: &[Kind]) {
    filter.kinds = Some(match filter.kinds.take() {
        Some(kinds) => kinds.into_iter().filter(|kind| named.contains(kind)).collect(),
        None => named.to_vec(),
    });
}

/// The kinds that fit one of `patterns`.
fn kinds(patterns: &[String]) -> Result<Vec<Kind>> {
    let mut found = Vec::new();
    for pattern in patterns {
        let whole = if pattern.contains('*') { pattern.clone() } else { format!("{pattern}*") };
        let before = found.len();
        found.extend(all_kinds().filter(|k| fits(&whole, k.name)).map(|k| k.kind));
        if found.len() == before {
            let message = if pattern.contains('*') {
                format!("no kind of event fits \"{pattern}\"")
            } else {
                format!("no kind of event starts with \"{pattern}\"")
            };
            let names: Vec<&str> = all_kinds().map(|kind| kind.name).collect();
            let hint = match nearest(pattern, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known are {}", names.join(", ")),
            };
            return Err(Error::new(ErrorKind::NotFound, message).hint(hint));
        }
    }
    Ok(found)
}

/// Whether `text` is `pattern`, in which `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len()).any(|at| text.get(at..).is_some_and(|text| fits(rest, text)))
        }),
    }
}

/// Names and words that many events share, each read once.
#[derive(Default)]
pub(in crate::app) struct Names {
    actors: BTreeMap<u64, String>,
    words: BTreeMap<u64, Option<String>>,
    people: Option<People>,
}

impl Names {
    /// Name of the actor registered at `position`, and that position where it is lost.
    pub(in crate::app) fn actor(&mut self, log: &Reader, position: u64) -> String {
        let name = || match log.event(position).ok()?.event() {
            Ok(Event::Workspace(WorkspaceEvent::ActorRegistered(actor))) => Some(actor.name),
            _ => None,
        };
        let known = self.actors.entry(position);
        known.or_insert_with(|| name().unwrap_or_else(|| format!("actor {position}"))).clone()
    }

    /// How far it is proven who appended an event that was allowed.
    pub(in crate::app) fn identity(&mut self, log: &Reader, header: &Header) -> IdentityLevel {
        // Who is known may be among what is lost, and is read only where it matters.
        let signed = header.identity != Identity::Claimed && self.people(log).signed(header);
        IdentityLevel::signed(signed)
    }

    /// Whether an event is signed by its author, with a key that counted then.
    fn fits(&mut self, log: &Reader, envelope: &Envelope) -> bool {
        envelope.header.identity != Identity::Claimed
            && is_proven(self.people(log), log, &envelope.header, &|| envelope.payload.digest())
    }

    /// Who is known; nobody where that is lost.
    fn people(&mut self, log: &Reader) -> &People {
        self.people.get_or_insert_with(|| people(log).unwrap_or_default())
    }

    /// Who used which words in the invocation that began at `position`; none where it is lost.
    pub(in crate::app) fn words(&mut self, log: &Reader, position: u64) -> Option<String> {
        if let Some(words) = self.words.get(&position) {
            return words.clone();
        }
        let words = self.read_words(log, position);
        self.words.insert(position, words.clone());
        words
    }

    fn read_words(&mut self, log: &Reader, position: u64) -> Option<String> {
        let envelope = log.event(position).ok()?;
        let Ok(Event::Invocation(InvocationEvent::Started(started))) = envelope.event() else {
            return None;
        };
        let actor = self.actor(log, envelope.header.actor);
        Some(format!("{actor} on {}: annals {}", started.host, started.argv.join(" ")))
    }

    fn line(&mut self, log: &Reader, envelope: &Envelope) -> LogLine {
        let header = &envelope.header;
        let event = match envelope.event() {
            Ok(event) => serde_json::to_value(&event).unwrap_or(Value::Null),
            Err(error) => json!({ "unreadable": error.to_string() }),
        };
        LogLine {
            position: header.position,
            recorded: header.dated(),
            occurred: header.occurred(),
            kind: header.kind.name(),
            stream: header.stream.to_string(),
            revision: header.revision,
            actor: self.actor(log, header.actor),
            identity: IdentityLevel::signed(self.fits(log, envelope)),
            provenance: header.provenance.word(),
            invocation: header.invocation,
            words: header.invocation.and_then(|at| self.words(log, at)),
            summary: summary(&event),
            event,
            redacted: RedactedBy::of(log, envelope, |actor| self.actor(log, actor)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        assert!(fits("promotion.*", "promotion.requested") && fits("*", ""));
        assert!(fits("*.finished", "run.finished") && fits("r*d", "run.started"));
        assert!(!fits("promotion.*", "model.promoted") && !fits("*.finished", "run.failed"));
        assert_eq!(kinds(&["run.train*".into()]).unwrap().len(), 2);
        assert!(kinds(&["run.finishd".into()]).is_err());
    }

    #[test]
    fn files_are_found_by_path_and_digest() {
        let digest = "ab".repeat(32);
        let event = json!({ "files": [{ "path": "runs/a/model.bin", "digest": digest }] });
        for file in ["runs/a/model.bin", "model.bin", "abababab", &format!("blake3:{digest}")] {
            assert!(names_file(&event, file), "{file}");
        }
        for file in ["el.bin", "abab", "cdcdcdcd", "runs/a"] {
            assert!(!names_file(&event, file), "{file}");
        }
    }
}
