//! Where rows come from: the events that are wanted, read on all cores a part of the log at a time,
//! and folded into rows in their order.

use std::collections::VecDeque;
use std::num::NonZero;
use std::ops::Range;
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use rusqlite::types::ValueRef;

use super::table::{Fold, Role, Row, Rows, Seen, Table, Value};
use crate::base::{RunId, Timestamp};
use crate::domain::{EnvelopeRef, Kind, kind_named};

/// Raw bytes of the events that one core reads at a time. A metric point takes about twenty and
/// becomes a row of half a thousand.
const WINDOW_BYTES: u64 = 1024 * 1024;

/// Batches read ahead of who asks for rows.
const AHEAD: usize = 8;

/// Name of the table whose rows are not made of events.
pub const LOG_CHECKPOINTS: &str = "log_checkpoints";

/// Which events a query needs; the default is all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// Only these positions.
    pub positions: Range<u64>,
    /// Only events recorded at this time or later.
    pub recorded_from: Option<Timestamp>,
    /// Only events recorded before this time.
    pub recorded_before: Option<Timestamp>,
    /// Only these kinds; none for all.
    pub kinds: Option<Vec<Kind>>,
    /// Only events of this run.
    pub run: Option<RunId>,
    /// The columns that are looked at, as bits.
    pub columns: u64,
}

impl Want {
    /// Everything that a table is made of.
    pub fn all(table: &Table) -> Self {
        let kinds = table.kinds.iter().filter_map(|name| kind_named(name)).collect();
        Self {
            positions: 0..u64::MAX,
            recorded_from: None,
            recorded_before: None,
            kinds: (!table.kinds.is_empty()).then_some(kinds),
            run: None,
            columns: u64::MAX,
        }
    }

    /// Narrows by one condition; what cannot be said in events is left to SQLite, which checks
    /// every row again.
    pub(super) fn narrow(&mut self, role: Role, op: Op, value: &ValueRef<'_>) {
        match (role, value) {
            (Role::Position, ValueRef::Integer(at)) => {
                let at = u64::try_from(*at).unwrap_or(0);
                let (low, high) = op.bounds(at, at.saturating_add(1));
                let Range { start, end } = self.positions;
                self.positions = start.max(low.unwrap_or(0))..end.min(high.unwrap_or(u64::MAX));
            }
            (Role::Recorded, ValueRef::Text(text)) => {
                // A shorter text stands before the times that begin with it: a whole second of
                // slack at each end covers every way to write a time.
                const SECOND: i64 = 1_000_000_000;
                let Ok(text) = std::str::from_utf8(text) else { return };
                let Ok(time) = Timestamp::from_str(text) else { return };
                // With a space or an offset, the order of texts is that of times to a day or so.
                let plain = !text.contains(' ') && (text.len() == 10 || text.ends_with('Z'));
                let slack = match plain {
                    // Written as the column is, the text is exact.
                    true if text == time.sortable() => 1,
                    true => SECOND,
                    false => 2 * 86_400 * SECOND,
                };
                let (low, high) = op.bounds(time.plus_nanos(-slack), time.plus_nanos(slack));
                self.recorded_from = low.max(self.recorded_from);
                self.recorded_before = match (high, self.recorded_before) {
                    (Some(new), Some(old)) => Some(new.min(old)),
                    (new, old) => new.or(old),
                };
            }
            (Role::Kind, ValueRef::Text(text)) if op == Op::Equal => {
                let kind = std::str::from_utf8(text).ok().and_then(kind_named);
                let old = self.kinds.take();
                let fits = |kind: &Kind| old.as_ref().is_none_or(|old| old.contains(kind));
                // A kind of a later version has no name here: SQLite looks at all rows.
                self.kinds = match kind {
                    Some(kind) => Some(Some(kind).into_iter().filter(fits).collect()),
                    None => old,
                };
            }
            (Role::Run, ValueRef::Text(text)) if op == Op::Equal => {
                let run = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
                self.run = run.or(self.run);
            }
            _ => {}
        }
    }
}

/// The conditions that can be handed down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Op {
    /// The first value that fits and the first beyond: `low` for a bound from below, `high` for one
    /// from above. `<` and `>` may take in one value too many; SQLite drops it.
    fn bounds<T>(self, low: T, high: T) -> (Option<T>, Option<T>) {
        match self {
            Self::Equal => (Some(low), Some(high)),
            Self::Less | Self::LessOrEqual => (None, Some(high)),
            Self::Greater | Self::GreaterOrEqual => (Some(low), None),
        }
    }
}

/// Takes events in, on a thread of its own.
pub trait Sink: Send {
    /// Takes one event in; they come in order.
    fn take(&mut self, seen: &Seen<'_>);

    /// There are no more.
    fn end(&mut self) {}
}

/// A range of positions, and who takes the events in it that are wanted.
pub type Part<'a> = (Range<u64>, &'a mut dyn Sink);

/// Where events come from.
pub trait Source: Send + Sync {
    /// Ranges of positions, ascending, that hold every event that is wanted; each of about
    /// `bytes` raw bytes.
    ///
    /// # Errors
    /// What went wrong, in words.
    fn windows(&self, want: &Want, bytes: u64) -> Result<Vec<Range<u64>>, String>;

    /// Reads each part on a thread of its own.
    ///
    /// # Errors
    /// What went wrong, in words.
    fn read(&self, want: &Want, parts: Vec<Part<'_>>) -> Result<(), String>;

    /// Size and text of every signed log checkpoint.
    ///
    /// # Errors
    /// What went wrong, in words.
    fn log_checkpoints(&self) -> Result<Vec<(u64, String)>, String>;
}

/// How many parts are read at a time.
pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Rows side by side, with those cells only that somebody will look at.
pub struct Batch {
    cells: Vec<Value>,
    /// For each column of the table, which of a row's cells it is.
    places: Arc<[Option<usize>]>,
    width: usize,
    rows: usize,
}

impl Batch {
    fn new(places: &Arc<[Option<usize>]>) -> Self {
        let width = places.iter().flatten().count();
        Self { cells: vec![], places: Arc::clone(places), width, rows: 0 }
    }

    fn push(&mut self, row: Row) {
        let cells = row.into_iter().zip(self.places.iter());
        self.cells.extend(cells.filter_map(|(cell, place)| place.map(|_| cell)));
        self.rows += 1;
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// One cell; none in columns that nobody said they would look at.
    pub fn cell(&self, row: usize, column: usize) -> Option<&Value> {
        let place = self.places.get(column).copied().flatten()?;
        self.cells.get(row * self.width + place)
    }

    /// The rows, with the cells that there are.
    pub fn into_rows(self) -> impl Iterator<Item = Row> {
        let mut cells = self.cells.into_iter();
        (0..self.rows).map(move |_| cells.by_ref().take(self.width).collect())
    }
}

/// Rows of events that need none before them.
struct Folded {
    fold: fn(&Seen<'_>, &mut Vec<Row>),
    /// Of the event at hand.
    rows: Vec<Row>,
    batch: Batch,
}

impl Sink for Folded {
    fn take(&mut self, seen: &Seen<'_>) {
        (self.fold)(seen, &mut self.rows);
        self.rows.drain(..).for_each(|row| self.batch.push(row));
    }
}

/// Events with who did them, for a fold that takes them one after the other.
#[derive(Default)]
struct Stored(Vec<(Vec<u8>, String)>);

impl Sink for Stored {
    fn take(&mut self, seen: &Seen<'_>) {
        self.0.push((seen.envelope.stored().to_vec(), seen.actor.to_owned()));
    }
}

/// The rows of a table, a batch at a time.
pub struct Reading {
    source: Arc<dyn Source>,
    want: Want,
    windows: VecDeque<Range<u64>>,
    /// Parts read the next time: few at first, as most who ask need little.
    at_once: usize,
    rows: Progress,
    places: Arc<[Option<usize>]>,
    ready: VecDeque<Batch>,
}

enum Progress {
    Each(fn(&Seen<'_>, &mut Vec<Row>)),
    Whole(Box<dyn Rows>),
    Checkpoints,
    Over,
}

impl Reading {
    /// Of the rows made of the events in `want`.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn new(source: Arc<dyn Source>, table: &Table, want: Want) -> Result<Self, String> {
        let rows = match table.fold {
            _ if table.name == LOG_CHECKPOINTS => Progress::Checkpoints,
            Fold::Each(fold) => Progress::Each(fold),
            Fold::Whole(fold) => Progress::Whole(fold()),
        };
        let windows = source.windows(&want, WINDOW_BYTES)?.into();
        let mut width = 0;
        let places = (0..table.columns.len()).map(|column| {
            let wanted = want.columns & (1 << column.min(63)) != 0;
            width += usize::from(wanted);
            wanted.then(|| width - 1)
        });
        let places = places.collect();
        Ok(Self { source, want, windows, at_once: 1, rows, places, ready: VecDeque::new() })
    }

    fn more(&mut self) -> Result<(), String> {
        let count = self.at_once.min(self.windows.len());
        let windows: Vec<Range<u64>> = self.windows.drain(..count).collect();
        self.at_once = threads();
        let mut out = Vec::new();
        match &mut self.rows {
            Progress::Over => {}
            Progress::Checkpoints => {
                let row = |(size, note): (u64, String)| vec![size.into(), note.into()];
                out.extend(self.source.log_checkpoints()?.into_iter().map(row));
            }
            Progress::Each(fold) => {
                let (fold, places) = (*fold, &self.places);
                let new = || Folded { fold, rows: vec![], batch: Batch::new(places) };
                let sinks = read(&*self.source, &self.want, windows, new)?;
                self.ready.extend(sinks.into_iter().map(|sink| sink.batch));
            }
            Progress::Whole(rows) => {
                for stored in read(&*self.source, &self.want, windows, Stored::default)? {
                    take_stored(&stored, &self.want, &mut **rows, &mut out)?;
                }
                if self.windows.is_empty() {
                    rows.end(&mut out);
                }
            }
        }
        if !out.is_empty() {
            let mut batch = Batch::new(&self.places);
            out.into_iter().for_each(|row| batch.push(row));
            self.ready.push_back(batch);
        }
        if self.windows.is_empty() {
            self.rows = Progress::Over;
        }
        Ok(())
    }

    /// Whether there are no more rows.
    pub fn is_over(&self) -> bool {
        self.ready.is_empty() && matches!(self.rows, Progress::Over)
    }

    /// Reads on in a thread of its own, some parts ahead of who takes the rows.
    pub fn ahead(mut self) -> Ahead {
        let (give, take) = sync_channel(AHEAD);
        std::thread::spawn(move || {
            loop {
                let rows = self.next();
                let over = !matches!(rows, Some(Ok(_)));
                // Nobody takes them any more once a query has what it wants.
                if give.send(rows).is_err() || over {
                    break;
                }
            }
        });
        Ahead(take)
    }
}

impl Iterator for Reading {
    type Item = Result<Batch, String>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.ready.pop_front() {
                Some(batch) => return Some(Ok(batch)),
                None if self.is_over() => return None,
                None => {}
            }
            if let Err(error) = self.more() {
                return Some(Err(error));
            }
        }
    }
}

/// A [`Reading`] that goes on by itself.
pub struct Ahead(Receiver<Option<Result<Batch, String>>>);

impl Iterator for Ahead {
    type Item = Result<Batch, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let ended = |_| Some(Err("the thread that reads the log ended early".into()));
        self.0.recv().unwrap_or_else(ended)
    }
}

/// Reads windows, each into a sink of its own.
pub(super) fn read<S: Sink>(
    source: &dyn Source,
    want: &Want,
    windows: Vec<Range<u64>>,
    sink: impl Fn() -> S,
) -> Result<Vec<S>, String> {
    let mut sinks: Vec<S> = windows.iter().map(|_| sink()).collect();
    let parts = windows.into_iter().zip(sinks.iter_mut().map(|sink| sink as &mut dyn Sink));
    source.read(want, parts.collect())?;
    Ok(sinks)
}

fn take_stored(
    stored: &Stored,
    want: &Want,
    rows: &mut dyn Rows,
    out: &mut Vec<Row>,
) -> Result<(), String> {
    for (bytes, actor) in &stored.0 {
        let envelope = EnvelopeRef::decode(bytes).map_err(|e| e.to_string())?;
        rows.take(&Seen::new(&envelope, actor, want.columns), out);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::table::table;

    #[test]
    fn conditions_narrow_what_is_read() {
        let mut want = Want::all(table("events").unwrap());
        want.narrow(Role::Position, Op::GreaterOrEqual, &ValueRef::Integer(10));
        want.narrow(Role::Position, Op::Less, &ValueRef::Integer(20));
        assert_eq!(want.positions, 10..21);
        want.narrow(Role::Kind, Op::Equal, &ValueRef::Text(b"run.finished"));
        assert_eq!(want.kinds, Some(vec![kind_named("run.finished").unwrap()]));
        want.narrow(Role::Kind, Op::Equal, &ValueRef::Text(b"run.failed"));
        assert_eq!(want.kinds, Some(vec![]));
        want.narrow(Role::Recorded, Op::Less, &ValueRef::Text(b"2026-03-01"));
        want.narrow(Role::Recorded, Op::Less, &ValueRef::Text(b"2026-04-01"));
        assert_eq!(want.recorded_before, "2026-03-01T00:00:01Z".parse().ok());
        assert_eq!(want.recorded_from, None);
        // As the column is written, it is exact.
        want.narrow(Role::Recorded, Op::Less, &ValueRef::Text(b"2026-02-03T04:05:06.000000007Z"));
        assert_eq!(want.recorded_before, "2026-02-03T04:05:06.000000008Z".parse().ok());
        want.narrow(Role::Recorded, Op::Greater, &ValueRef::Text(b"not a time"));
        assert_eq!(want.recorded_from, None);
    }
}
