//! SQL over the record, and the saved questions of auditors.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use schemars::JsonSchema;

use crate::app::core::admitted::{Judge, people};
use crate::app::records::log::Names;
use crate::app::records::window::windows;
use crate::app::{Error, ErrorKind, Result, Workspace, records};
use crate::base::suggest::nearest;
use crate::domain::history::People;
use crate::domain::{Class, Header, IdentityLevel, Kind, kind_info};
use crate::port::query::{self, Answer, Limits, QueryError};
use crate::port::source::{ScanSpec, Sink, Source};
use crate::port::table::{EventRow, Judged};
use crate::store::{Filter, Reader, Store};

/// A question that auditors ask, kept with annals.
#[derive(Clone, Copy, Debug, serde::Serialize, JsonSchema)]
pub struct SavedQuery {
    /// Its name.
    pub name: &'static str,
    /// The query; its first lines say what it answers.
    pub sql: &'static str,
}

impl SavedQuery {
    /// What it answers.
    pub fn about(&self) -> String {
        let lines = self.sql.lines().map_while(|line| line.strip_prefix("-- "));
        lines.collect::<Vec<_>>().join(" ")
    }
}

macro_rules! saved {
    ($($name:literal),+ $(,)?) => {
        /// Every saved question.
        pub const SAVED_QUERIES: &[SavedQuery] = &[$(SavedQuery {
            name: $name,
            sql: include_str!(concat!("../../../data/queries/", $name, ".sql")),
        }),+];
    };
}

saved!(
    "activity_gaps",
    "models_before_data",
    "promotions_policy_tightened",
    "promotions_without_second_person",
    "test_below_validation",
    "typed_metrics",
);

/// The log as tables are made of it.
struct LogSource {
    store: Store,
    size: u64,
    actors: Mutex<BTreeMap<u64, Arc<str>>>,
    people: People,
    judge: Judge,
    /// What was not allowed, without the points and with them.
    not_allowed: [OnceLock<BTreeSet<u64>>; 2],
    /// Why the log could not be read; SQLite passes on no more than a text.
    failed: Mutex<Option<Error>>,
}

impl LogSource {
    fn fail(&self, error: Error) -> String {
        let said = error.to_string();
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        said
    }

    fn failed(&self) -> Option<Error> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Answers an SQL query.
///
/// # Errors
/// [`ErrorKind::Usage`] for what is no query, or would change something;
/// [`ErrorKind::Interrupted`] when it took too long.
pub fn query(workspace: &Workspace, sql: &str, limits: Limits) -> Result<Answer> {
    let log = log_source(workspace)?;
    let source: Arc<dyn Source> = log.clone();
    // What the log met is the cause, and what it is worth.
    query::query(&source, sql, limits).map_err(|error| {
        log.failed().unwrap_or_else(|| match error {
            QueryError::Sql { message, at } => {
                let place = at.map(|at| place(sql, at)).unwrap_or_default();
                Error::new(ErrorKind::Usage, format!("{message}{place}"))
                    .hint("`annals query --tables` shows every table and column")
            }
            QueryError::Writes(_) => Error::new(ErrorKind::Usage, error.to_string())
                .hint("SELECT, WITH and VALUES work; nothing can write, attach or load"),
            QueryError::Time(_) => Error::new(ErrorKind::Interrupted, error.to_string()).hint(
                "--timeout allows more time; conditions on position, recorded, kind and run \
                 skip blocks that are not needed",
            ),
            QueryError::Large => Error::new(ErrorKind::Usage, error.to_string())
                .hint("choose fewer columns or rows; `annals export` writes tables of any size"),
            QueryError::Failed(message) => Error::new(ErrorKind::Io, message),
        })
    })
}

/// The query saved under a name.
///
/// # Errors
/// [`ErrorKind::NotFound`] with the nearest name.
pub fn saved_query(name: &str) -> Result<SavedQuery> {
    SAVED_QUERIES.iter().find(|saved| saved.name == name).copied().ok_or_else(|| {
        let message = format!("there is no saved query \"{name}\"");
        let error = Error::new(ErrorKind::NotFound, message);
        match nearest(name, SAVED_QUERIES.iter().map(|saved| saved.name)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("`annals query --list` shows all"),
        }
    })
}

/// The log, as tables are made of it.
///
/// # Errors
/// When the log cannot be read.
pub(in crate::app) fn source(workspace: &Workspace) -> Result<Arc<dyn Source>> {
    Ok(log_source(workspace)?)
}

fn log_source(workspace: &Workspace) -> Result<Arc<LogSource>> {
    Ok(Arc::new(LogSource {
        store: workspace.store.clone(),
        size: records::log_size(workspace)?,
        actors: Mutex::default(),
        people: workspace.store.read(people)?,
        judge: Judge::new(workspace),
        not_allowed: Default::default(),
        failed: Mutex::default(),
    }))
}

/// `, at line 2, column 5, near …`, counted from 1.
fn place(sql: &str, at: usize) -> String {
    let before: String = sql.chars().take(at).collect();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!(", at line {line}, column {column}")
}

impl LogSource {
    /// Name of the actor registered at a position, read once.
    fn actor(&self, log: &Reader, at: u64) -> Arc<str> {
        let mut actors = self.actors.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || Names::default().actor(log, at).into();
        Arc::clone(actors.entry(at).or_insert_with(read))
    }

    fn judged(&self, not_allowed: &BTreeSet<u64>, header: &Header) -> Judged {
        let allowed = !not_allowed.contains(&header.position);
        let signed = allowed && self.people.signed(header);
        Judged { allowed, identity: IdentityLevel::signed(signed) }
    }

    /// Judged once, and only as far as what is wanted depends on it.
    fn not_allowed(&self, want: &ScanSpec) -> Result<&BTreeSet<u64>> {
        static NONE: BTreeSet<u64> = BTreeSet::new();
        if !want.judged {
            return Ok(&NONE);
        }
        let bulk = |kind: &Kind| kind_info(*kind).is_none_or(|info| info.class == Class::Bulk);
        let points = want.kinds.as_ref().is_none_or(|kinds| kinds.iter().any(bulk));
        let judged = &self.not_allowed[usize::from(points)];
        if let Some(found) = judged.get() {
            return Ok(found);
        }
        let found = self.judge.not_allowed(points)?;
        Ok(judged.get_or_init(|| found))
    }

    fn read_range(&self, want: &ScanSpec, range: Range<u64>, sink: &mut dyn Sink) -> Result<()> {
        let not_allowed = self.not_allowed(want)?;
        // Most events in a row are of one actor.
        let mut last: Option<(u64, Arc<str>)> = None;
        self.store.read(|log| {
            log.scan(range, &filter(want), |envelope| {
                let at = envelope.header.actor;
                let (_, actor) = match last.take() {
                    Some(known) if known.0 == at => last.insert(known),
                    _ => last.insert((at, self.actor(log, at))),
                };
                let judged = self.judged(not_allowed, &envelope.header);
                sink.take(&EventRow::new(envelope, actor, judged));
                Ok::<_, Error>(())
            })
        })
    }
}

fn filter(want: &ScanSpec) -> Filter {
    Filter {
        kinds: want.kinds.clone(),
        streams: want.run.map(|run| vec![run.into()]),
        recorded_from: want.recorded_from,
        recorded_before: want.recorded_before,
    }
}

impl Source for LogSource {
    fn windows(&self, want: &ScanSpec, bytes: u64) -> Result<Vec<Range<u64>>, String> {
        if want.kinds.as_ref().is_some_and(Vec::is_empty) {
            return Ok(vec![]);
        }
        let range = want.positions.start..want.positions.end.min(self.size);
        let read = self.store.read(|log| windows(log, range, &filter(want), bytes));
        read.map_err(|error| error.to_string())
    }

    fn read(&self, want: &ScanSpec, range: Range<u64>, sink: &mut dyn Sink) -> Result<(), String> {
        self.read_range(want, range, sink).map_err(|error| self.fail(error))
    }

    fn log_checkpoints(&self) -> Result<Vec<(u64, String)>, String> {
        let read = self.store.read(|log| Ok::<_, Error>(log.checkpoints(..=self.size)?));
        read.map_err(|error| self.fail(error))
    }
}
