//! Where rows come from: the events that are wanted, read on all cores a part of the log at a time,
//! and folded into rows in their order.

use std::ops::Range;
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use rusqlite::types::ValueRef;

use super::cells::{Batch, row};
use super::table::{EventRow, Fold, Judged, Role, Table};
use crate::base::parallel::{cores, in_order};
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
pub struct ScanSpec {
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
    /// Whether it matters which events were allowed.
    pub judged: bool,
}

impl ScanSpec {
    /// Everything that some tables are made of.
    pub fn of(tables: &[&Table]) -> Self {
        let all = tables.iter().any(|table| table.kinds.is_none());
        let mut kinds: Vec<Kind> =
            tables.iter().filter_map(|table| table.kinds).flatten().copied().collect();
        kinds.sort_unstable();
        kinds.dedup();
        Self {
            positions: 0..u64::MAX,
            recorded_from: None,
            recorded_before: None,
            kinds: (!all).then_some(kinds),
            run: None,
            columns: u64::MAX,
            judged: true,
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
    fn take(&mut self, seen: &EventRow<'_>);
}

/// Where events come from.
pub trait Source: Send + Sync {
    /// Ranges of positions, ascending, that hold every event that is wanted; each of about
    /// `bytes` raw bytes.
    ///
    /// # Errors
    /// What went wrong, in words.
    fn windows(&self, want: &ScanSpec, bytes: u64) -> Result<Vec<Range<u64>>, String>;

    /// Hands the events in a range of positions that are wanted to `sink`.
    ///
    /// # Errors
    /// What went wrong, in words.
    fn read(&self, want: &ScanSpec, range: Range<u64>, sink: &mut dyn Sink) -> Result<(), String>;

    /// Size and text of every signed log checkpoint.
    ///
    /// # Errors
    /// What went wrong, in words.
    fn log_checkpoints(&self) -> Result<Vec<(u64, String)>, String>;
}

/// Rows of events that need none before them.
struct RowFold {
    table: &'static Table,
    fold: fn(&EventRow<'_>, &mut Batch),
    batch: Batch,
}

impl Sink for RowFold {
    fn take(&mut self, seen: &EventRow<'_>) {
        if self.table.takes(seen) {
            (self.fold)(seen, &mut self.batch);
        }
    }
}

/// Events with who did them, for a fold that takes them one after the other.
#[derive(Default)]
pub(super) struct Stored(Vec<(Vec<u8>, String, Judged)>);

impl Stored {
    /// Each event again.
    ///
    /// # Errors
    /// Never for what was taken in.
    pub(super) fn each(&self, mut take: impl FnMut(&EventRow<'_>)) -> Result<(), String> {
        self.0.iter().try_for_each(|(bytes, actor, judged)| {
            let envelope = EnvelopeRef::decode(bytes).map_err(|e| e.to_string())?;
            take(&EventRow::new(&envelope, actor, *judged));
            Ok(())
        })
    }
}

impl Sink for Stored {
    fn take(&mut self, seen: &EventRow<'_>) {
        let judged = Judged { allowed: seen.allowed, identity: seen.identity };
        self.0.push((seen.envelope.stored().to_vec(), seen.actor.to_owned(), judged));
    }
}

/// The rows of a table, a batch at a time.
pub struct Reading {
    source: Arc<dyn Source>,
    table: &'static Table,
    want: ScanSpec,
    windows: Vec<Range<u64>>,
}

impl Reading {
    /// Of the rows made of the events in `want`.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn new(
        source: Arc<dyn Source>,
        table: &'static Table,
        mut want: ScanSpec,
    ) -> Result<Self, String> {
        want.judged = table.is_judged(want.columns);
        let windows = source.windows(&want, WINDOW_BYTES)?;
        Ok(Self { source, table, want, windows })
    }

    /// The columns that are looked at, as bits.
    pub(super) fn columns(&self) -> u64 {
        self.want.columns
    }

    /// What comes of all batches, in their order; where rows need no events before them, `make`
    /// works on all cores.
    ///
    /// # Errors
    /// When the log cannot be read; what `take` returns.
    pub(super) fn each<T: Send>(
        &self,
        make: impl Fn(Batch) -> T + Sync,
        mut take: impl FnMut(T) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut batch = Batch::new(self.table, self.want.columns);
        if self.table.name == LOG_CHECKPOINTS {
            for (size, note) in self.source.log_checkpoints()? {
                row![batch; size, note];
            }
            return take(make(batch));
        }
        match self.table.fold {
            Fold::Each(fold) => {
                let work = |(): &mut (), window: &Range<u64>| {
                    let batch = Batch::new(self.table, self.want.columns);
                    let mut folded = RowFold { table: self.table, fold, batch };
                    self.source.read(&self.want, window.clone(), &mut folded)?;
                    Ok(make(folded.batch))
                };
                in_order(cores(), &self.windows, || (), work, |made: Result<T, String>| take(made?))
            }
            Fold::Whole(rows) => {
                let mut rows = rows();
                let work = |(): &mut (), window: &Range<u64>| {
                    let mut stored = Stored::default();
                    self.source.read(&self.want, window.clone(), &mut stored)?;
                    Ok(stored)
                };
                in_order(
                    cores(),
                    &self.windows,
                    || (),
                    work,
                    |stored: Result<Stored, String>| {
                        stored?.each(|seen| {
                            if self.table.takes(seen) {
                                rows.take(seen, &mut batch);
                            }
                        })?;
                        if batch.rows() == 0 { Ok(()) } else { take(make(batch.take())) }
                    },
                )?;
                rows.end(&mut batch);
                take(make(batch))
            }
        }
    }

    /// The first rows, and who reads the rest: most who ask need little.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(super) fn begin(mut self) -> Result<(Batch, Option<Self>), String> {
        let mut first = Batch::new(self.table, self.want.columns);
        let rest = match self.table.fold {
            _ if self.windows.len() < 2 => None,
            Fold::Each(_) => Some(self.windows.split_off(1)),
            Fold::Whole(_) => return Ok((first, Some(self))),
        };
        self.each(
            |batch| batch,
            |batch| {
                first.append(&batch);
                Ok(())
            },
        )?;
        Ok((first, rest.map(|windows| Self { windows, ..self })))
    }

    /// Reads on in a thread of its own, some parts ahead of who takes the rows.
    pub(super) fn ahead(self) -> Prefetch {
        let (give, take) = sync_channel(AHEAD);
        std::thread::spawn(move || {
            let batch = |batch| {
                // Nobody takes them any more once a query has what it wants.
                give.send(Some(Ok(batch))).map_err(|_| String::new())
            };
            let end = self.each(|batch| batch, batch).err().map(Err);
            // The same holds for the end.
            let _ = give.send(end);
        });
        Prefetch(take)
    }
}

/// A [`Reading`] that goes on by itself.
pub(super) struct Prefetch(Receiver<Option<Result<Batch, String>>>);

impl Iterator for Prefetch {
    type Item = Result<Batch, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let ended = |_| Some(Err("the thread that reads the log ended early".into()));
        self.0.recv().unwrap_or_else(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::table::table;

    #[test]
    fn conditions_narrow_what_is_read() {
        let mut want = ScanSpec::of(&[table("events").unwrap()]);
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
