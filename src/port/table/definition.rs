//! What a table is: columns with types, and a fold of events into rows.

use std::borrow::Cow;
use std::cell::OnceCell;

use schemars::JsonSchema;
use serde::Serialize;

use super::super::cells::{Batch, Cell};
use super::{events, people, runs, work};
use crate::base::Timestamp;
use crate::domain::{EnvelopeRef, Event, Header, IdentityLevel, Kind};

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Not there.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Real(f64),
    /// An instant.
    Time(Timestamp),
    /// Text.
    Text(Cow<'static, str>),
    /// Bytes.
    Bytes(Vec<u8>),
}

macro_rules! value_from {
    ($($from:ty => |$value:ident| $to:expr;)+) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $to
            }
        }
    )+};
}

value_from! {
    bool => |v| Self::Bool(v);
    u32 => |v| Self::Int(v.into());
    // What does not fit would be a count beyond 9e18.
    u64 => |v| Self::Int(i64::try_from(v).unwrap_or(i64::MAX));
    f64 => |v| Self::Real(v);
    Timestamp => |v| Self::Time(v);
    &'static str => |v| Self::Text(v.into());
    String => |v| Self::Text(v.into());
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Value {
    /// The cell, where it lies.
    pub fn cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Bool(value) => Cell::Bool(*value),
            Self::Int(value) => Cell::Int(*value),
            Self::Real(value) => Cell::Real(*value),
            Self::Time(time) => Cell::Time(*time),
            Self::Text(text) => Cell::Text(text),
            Self::Bytes(bytes) => Cell::Bytes(bytes),
        }
    }

    /// The cell as people and CSV read it; empty for what is not there, hexadecimal for bytes.
    pub fn to_text(&self) -> Cow<'_, str> {
        self.cell().to_text()
    }

    /// Bytes of text or blob.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            _ => 0,
        }
    }

    /// The cell in JSON.
    pub fn to_json(&self) -> serde_json::Value {
        self.cell().to_json()
    }
}

/// Writes rows as RFC 4180 has them, with a heading.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_csv(
    out: &mut dyn std::io::Write,
    columns: &[String],
    rows: &[Row],
    cells: CsvCells,
) -> std::io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(columns.iter().map(|column| cells.text(column).into_owned()))?;
    for row in rows {
        csv.write_record(row.iter().map(|value| cells.text(&value.to_text()).into_owned()))?;
    }
    csv.flush()
}

/// How texts are written into CSV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsvCells {
    /// As they are, for programs.
    Exact,
    /// With `'` before what a spreadsheet would run as a formula.
    Spreadsheet,
}

impl CsvCells {
    /// What is written for a cell. Numbers are never changed.
    pub fn text(self, cell: &str) -> Cow<'_, str> {
        let formula =
            cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err();
        match self {
            Self::Spreadsheet if formula => format!("'{cell}").into(),
            _ => cell.into(),
        }
    }
}

/// A row: as many cells as the answer has columns.
pub type Row = Vec<Value>;

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Yes or no; 1 or 0 in SQL.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Real,
    /// An instant; RFC 3339 in UTC with nine decimals in SQL, so that text order is time order.
    Time,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
}

impl Type {
    /// The type that all of these cells have; whole numbers count as numbers, and cells that differ
    /// as text.
    pub fn of<'a>(cells: impl Iterator<Item = &'a Value>) -> Self {
        let one = |value: &Value| match value {
            Value::Null => None,
            Value::Bool(_) => Some(Self::Bool),
            Value::Int(_) => Some(Self::Int),
            Value::Real(_) => Some(Self::Real),
            Value::Time(_) => Some(Self::Time),
            Value::Text(_) => Some(Self::Text),
            Value::Bytes(_) => Some(Self::Bytes),
        };
        let both = |a, b| match (a, b) {
            _ if a == b => a,
            (Self::Int | Self::Real, Self::Int | Self::Real) => Self::Real,
            _ => Self::Text,
        };
        cells.filter_map(one).reduce(both).unwrap_or(Self::Text)
    }

    /// Whether a column of this type tells all that an SQL value tells.
    pub(in crate::port) fn holds(self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Null) => true,
            (Self::Bool, Value::Int(truth)) => matches!(truth, 0 | 1),
            (Self::Time, Value::Text(text)) => {
                text.parse().is_ok_and(|time: Timestamp| time.sortable() == *text)
            }
            (kind, value) => kind == Self::of(std::iter::once(value)),
        }
    }

    /// The type with a word.
    pub(in crate::port) fn named(word: &str) -> Option<Self> {
        let all = [Self::Bool, Self::Int, Self::Real, Self::Time, Self::Text, Self::Bytes];
        all.into_iter().find(|kind| kind.word() == word)
    }

    /// The word in SQL and in the documentation.
    pub fn word(self) -> &'static str {
        match self {
            Self::Bool => "BOOLEAN",
            Self::Int => "INTEGER",
            Self::Real => "REAL",
            Self::Time => "TIMESTAMP",
            Self::Text => "TEXT",
            Self::Bytes => "BLOB",
        }
    }
}

/// What a condition on a column says about the events worth reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nothing.
    None,
    /// The position of the event that the row is made of.
    Position,
    /// When the log took it.
    Recorded,
    /// The kind of the event that the row is made of.
    Kind,
    /// The run whose events the row is made of.
    Run,
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Type,
    /// What a condition on it says.
    pub role: Role,
    /// What it holds.
    pub about: &'static str,
    /// Whether it takes few values, or one for each run or person: such rows are counted in memory
    /// where a query groups them.
    pub few: bool,
}

impl Column {
    pub(super) const fn low_cardinality(self) -> Self {
        Self { few: true, ..self }
    }
}

/// What was found about an event by those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Whether it was allowed where it stands.
    pub allowed: bool,
    /// How far it is proven who did it.
    pub identity: IdentityLevel,
}

/// One event on its way into rows.
pub struct EventRow<'a> {
    /// Everything about it except what happened.
    pub header: &'a Header,
    /// The stored bytes.
    pub envelope: &'a EnvelopeRef<'a>,
    /// Who did it.
    pub actor: &'a str,
    /// Whether it was allowed where it stands.
    pub allowed: bool,
    /// How far it is proven who did it.
    pub identity: IdentityLevel,
    /// What happened, once somebody asked.
    event: OnceCell<Option<Event>>,
}

impl<'a> EventRow<'a> {
    /// An event of which nobody has asked yet what happened.
    pub fn new(envelope: &'a EnvelopeRef<'a>, actor: &'a str, judged: Judged) -> Self {
        let (header, Judged { allowed, identity }) = (&envelope.header, judged);
        Self { header, envelope, actor, allowed, identity, event: OnceCell::new() }
    }

    /// What happened; none for what was redacted or is of a later version.
    pub fn event(&self) -> Option<&Event> {
        self.event.get_or_init(|| self.envelope.event().ok()).as_ref()
    }
}

/// A fold of events into rows that remembers what came before.
pub trait Rows: Send {
    /// Takes one event in; rows that are complete go to `out`.
    fn take(&mut self, seen: &EventRow<'_>, out: &mut Batch);

    /// Gives the rows that only the end of the log completes.
    fn end(&mut self, out: &mut Batch) {
        let _ = out;
    }
}

/// How events become rows.
#[derive(Clone, Copy)]
pub enum Fold {
    /// Each event gives its rows at once, whatever came before.
    Each(fn(&EventRow<'_>, &mut Batch)),
    /// What an event gives depends on those before: a new fold.
    Whole(fn() -> Box<dyn Rows>),
}

/// One table.
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// What a row is.
    pub about: &'static str,
    /// The kinds it is made of; none for all.
    pub kinds: Option<&'static [Kind]>,
    /// Its columns.
    pub columns: &'static [Column],
    /// How they become rows.
    pub fold: Fold,
}

impl Table {
    /// Whether its rows depend on which events were allowed, if these columns, as bits, are looked
    /// at.
    pub(in crate::port) fn is_judged(&self, columns: u64) -> bool {
        let looked_at = |(at, column): (usize, &Column)| {
            ["allowed", "identity"].contains(&column.name)
                && columns & 1_u64.checked_shl(at as u32).unwrap_or(0) != 0
        };
        self.kinds.is_some() || self.columns.iter().enumerate().any(looked_at)
    }

    /// Whether it has rows for an event: what was not allowed is only in the table of all events.
    pub(in crate::port) fn takes(&self, seen: &EventRow<'_>) -> bool {
        seen.allowed || self.kinds.is_none()
    }

    /// The statement that declares it.
    pub fn declaration(&self) -> String {
        let column = |c: &Column| format!("\"{}\" {}", c.name, c.kind.word());
        let columns: Vec<String> = self.columns.iter().map(column).collect();
        format!("CREATE TABLE \"{}\" ({})", self.name, columns.join(", "))
    }

    /// The table as its documentation shows it.
    pub fn describe(&self) -> TableLine {
        let column = |column: &Column| ColumnLine {
            name: column.name,
            kind: column.kind.word(),
            about: column.about,
            narrows: column.role != Role::None,
        };
        TableLine {
            table: self.name,
            about: self.about,
            columns: self.columns.iter().map(column).collect(),
        }
    }
}

/// Every table of the log, described.
pub fn tables() -> Vec<TableLine> {
    ALL.iter().map(Table::describe).collect()
}

/// A table of the log.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TableLine {
    /// Its name.
    pub table: &'static str,
    /// What a row is.
    pub about: &'static str,
    /// Its columns.
    pub columns: Vec<ColumnLine>,
}

/// A column of a table.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ColumnLine {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What it holds.
    pub about: &'static str,
    /// Whether conditions on it narrow what is read.
    pub narrows: bool,
}

/// A column by name, type and meaning, without a role.
pub(super) const fn column(name: &'static str, kind: Type, about: &'static str) -> Column {
    Column { name, kind, role: Role::None, about, few: false }
}

/// A column whose conditions narrow what is read.
pub(super) const fn narrowing(
    name: &'static str,
    kind: Type,
    role: Role,
    about: &'static str,
) -> Column {
    Column { name, kind, role, about, few: false }
}

pub(super) const POSITION: Column =
    narrowing("position", Type::Int, Role::Position, "position of the event in the log");
pub(super) const RECORDED: Column =
    narrowing("recorded", Type::Time, Role::Recorded, RECORDED_ABOUT);
/// The raw time is `events.wall`.
const RECORDED_ABOUT: &str =
    "when the log took the event, corrected: never before the event before it";
pub(super) const RUN: Column =
    narrowing("run", Type::Text, Role::Run, "id of the run").low_cardinality();
pub(super) const ACTOR: Column =
    column("actor", Type::Text, "who did it, by name").low_cardinality();
pub(super) const IDENTITY: Column =
    column("identity", Type::Text, "signed or claimed").low_cardinality();

/// Every table.
pub static ALL: &[Table] = &[
    events::EVENTS,
    people::INVOCATIONS,
    runs::RUNS,
    runs::PARAMS,
    runs::METRICS,
    work::TRAIN_CHECKPOINTS,
    work::LOG_CHECKPOINTS,
    work::ARTIFACTS,
    work::MOVES,
    people::PROMOTIONS,
    people::APPROVALS,
    people::MODELS,
    people::POLICIES,
    work::FILES,
];

/// The table with a name.
pub fn table(name: &str) -> Option<&'static Table> {
    ALL.iter().find(|table| table.name == name)
}
