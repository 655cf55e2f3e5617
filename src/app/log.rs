//! The audit log, for reading.

use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::{App, Error, ErrorKind, Result};
use crate::base::suggest::nearest;
use crate::base::{RunId, Timestamp};
use crate::domain::invocation::InvocationEvent;
use crate::domain::{Event, all_kinds};
use crate::store::Filter;

/// Positions looked at per opening of the log.
const WINDOW: u64 = 16 * 1024;

/// What to show of the log.
#[derive(Clone, Debug)]
pub struct LogQuery {
    /// Only kinds whose name starts with this.
    pub kind: Option<String>,
    /// Only events of this run.
    pub run: Option<RunId>,
    /// At most this many.
    pub limit: usize,
}

/// One event, in a line.
#[derive(Clone, Debug, Serialize)]
pub struct LogLine {
    /// Where it is.
    pub position: u64,
    /// When the log took it.
    pub recorded: Timestamp,
    /// What kind of event.
    pub kind: String,
    /// Whose event.
    pub stream: String,
    /// Who, as far as the log knows.
    pub actor: String,
    /// `claimed` or `signed`.
    pub identity: &'static str,
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
}

impl App {
    /// The events asked for, newest first.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when no kind has such a name; when the log cannot be read.
    pub fn log(&self, query: &LogQuery) -> Result<Vec<LogLine>> {
        let mut filter = Filter::default();
        if let Some(prefix) = &query.kind {
            let kinds: Vec<_> = all_kinds()
                .filter(|k| k.name.starts_with(prefix.as_str()))
                .map(|k| k.kind)
                .collect();
            if kinds.is_empty() {
                let message = format!("no kind of event starts with \"{prefix}\"");
                let names: Vec<&str> = all_kinds().map(|kind| kind.name).collect();
                let hint = match nearest(prefix, names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known are {}", names.join(", ")),
                };
                return Err(Error::new(ErrorKind::NotFound, message).hint(hint));
            }
            filter.kinds = Some(kinds);
        }
        filter.streams = query.run.map(|run| vec![run.into()]);
        let views = self.snapshot()?;
        let mut lines: Vec<LogLine> = Vec::new();
        let mut end = views.size();
        while end > 0 && lines.len() < query.limit {
            let start = end.saturating_sub(WINDOW);
            let events = self.store.read(|log| Ok::<_, Error>(log.events(start..end, &filter)?))?;
            for envelope in events.into_iter().rev().take(query.limit - lines.len()) {
                lines.push(self.line(&envelope, &views.actor(envelope.header.actor)?)?);
            }
            end = start;
        }
        Ok(lines)
    }

    fn line(&self, envelope: &crate::domain::Envelope, actor: &str) -> Result<LogLine> {
        let header = &envelope.header;
        let event = match envelope.event() {
            Ok(event) => serde_json::to_value(&event).unwrap_or(Value::Null),
            Err(error) => json!({ "unreadable": error.to_string() }),
        };
        let words = match header.invocation {
            Some(invocation) => self.words(invocation, actor)?,
            None => None,
        };
        Ok(LogLine {
            position: header.position,
            recorded: header.recorded,
            kind: header.kind.name(),
            stream: header.stream.to_string(),
            actor: actor.to_owned(),
            identity: header.identity.word(),
            provenance: header.provenance.word(),
            invocation: header.invocation,
            words,
            summary: summary(&event),
            event,
        })
    }

    fn words(&self, invocation: u64, actor: &str) -> Result<Option<String>> {
        let event = self.store.read(|log| Ok::<_, Error>(log.event(invocation)?))?;
        let Ok(Event::Invocation(InvocationEvent::Started(started))) = event.event() else {
            return Ok(None);
        };
        let (argv, host) = (started.argv.join(" "), started.host);
        Ok(Some(format!("{actor} on {host}: annals {argv}")))
    }

    /// One event with its header.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] beyond the end.
    pub fn event(&self, position: u64) -> Result<LogLine> {
        let envelope = self.store.read(|log| Ok::<_, Error>(log.event(position)?))?;
        let actor = self.snapshot()?.actor(envelope.header.actor)?;
        self.line(&envelope, &actor)
    }

    /// Copies the log, consistently.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] where the target exists.
    pub fn copy_log(&self, target: &Path) -> Result<()> {
        Ok(self.store.copy_to(target)?)
    }
}

/// The fields people look for first.
fn summary(event: &Value) -> String {
    const FIRST: [&str; 12] = [
        "experiment_id",
        "name",
        "category",
        "candidate",
        "reason",
        "message",
        "step",
        "path",
        "verb",
        "to",
        "approver",
        "project",
    ];
    let Value::Object(fields) = event else { return String::new() };
    let found = FIRST.iter().filter_map(|key| {
        let text = match fields.get(*key)? {
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some(format!("{key} {text}"))
    });
    let text = found.take(3).collect::<Vec<_>>().join(", ");
    text.chars().take(100).collect()
}
