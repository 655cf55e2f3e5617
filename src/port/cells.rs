//! Rows side by side as columns: what tables fill, and what SQL and every export read.
//!
//! A cell that nobody will look at is not even made: [`row!`] looks before it computes. To let a
//! new type be a cell, implement [`IntoCell`].

use std::borrow::Cow;
use std::cmp::Ordering;

use super::table::{Table, Type, Value};
use crate::base::{RunId, Timestamp};
use crate::domain::StreamId;

/// One cell, where it lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
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
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl<'a> Cell<'a> {
    /// The cell as people and CSV read it; empty for what is not there, hexadecimal for bytes.
    pub fn to_text(self) -> Cow<'a, str> {
        match self {
            Self::Null => "".into(),
            Self::Bool(value) => value.to_string().into(),
            Self::Int(value) => value.to_string().into(),
            Self::Real(value) => value.to_string().into(),
            Self::Time(time) => time.sortable().into(),
            Self::Text(text) => text.into(),
            Self::Bytes(bytes) => bytes.iter().map(|b| format!("{b:02x}")).collect(),
        }
    }

    /// The cell in JSON.
    pub fn to_json(self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => value.into(),
            Self::Int(value) => value.into(),
            Self::Real(value) => value.into(),
            Self::Time(_) | Self::Text(_) | Self::Bytes(_) => self.to_text().into(),
        }
    }

    /// The order that SQLite has: what is not there first, text by its bytes. Cells of one column
    /// have one type.
    fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Real(a), Self::Real(b)) => a.total_cmp(b),
            (Self::Time(a), Self::Time(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (a, b) => (*a != Self::Null).cmp(&(*b != Self::Null)),
        }
    }
}

/// Texts or bytes one after the other.
#[derive(Debug, Default)]
pub(super) struct VarBytes {
    pub(super) bytes: Vec<u8>,
    /// Where each ends.
    pub(super) ends: Vec<usize>,
}

impl VarBytes {
    pub(super) fn start(&self, row: usize) -> usize {
        row.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    fn get(&self, row: usize) -> &[u8] {
        &self.bytes[self.start(row)..self.ends[row]]
    }
}

#[derive(Debug)]
pub(super) enum Data {
    Bool(Vec<bool>),
    /// Also instants.
    Int(Vec<i64>),
    Real(Vec<f64>),
    /// Texts and bytes.
    VarBytes(VarBytes),
}

/// The cells of one column.
#[derive(Debug)]
pub(super) struct Cells {
    kind: Type,
    /// 1 for each cell that is there and 0 for others, as Parquet has it.
    pub(super) there: Vec<i16>,
    /// Each cell; any value for those that are not there.
    pub(super) data: Data,
}

impl Cells {
    pub(super) fn new(kind: Type) -> Self {
        let data = match kind {
            Type::Bool => Data::Bool(vec![]),
            Type::Int | Type::Time => Data::Int(vec![]),
            Type::Real => Data::Real(vec![]),
            Type::Text | Type::Bytes => Data::VarBytes(VarBytes::default()),
        };
        Self { kind, there: vec![], data }
    }

    /// One more cell. In a column of texts everything is text; whole numbers are numbers; SQL's
    /// numbers and texts are truths and instants; what does not fit otherwise is not there.
    pub(super) fn put(&mut self, cell: Cell<'_>) {
        let there = match (&mut self.data, cell) {
            (Data::VarBytes(_), Cell::Null) => return self.write(|_| false),
            (Data::VarBytes(_), Cell::Text(text)) => return self.text(text.as_bytes()),
            (Data::VarBytes(_), Cell::Bytes(bytes)) if self.kind == Type::Bytes => {
                return self.text(bytes);
            }
            (Data::VarBytes(_), other) => return self.text(other.to_text().as_bytes()),
            (Data::Bool(all), Cell::Bool(value)) => all.push_there(value),
            (Data::Int(all), Cell::Int(value)) => all.push_there(value),
            (Data::Int(all), Cell::Time(time)) => all.push_there(time.0),
            (Data::Real(all), Cell::Real(value)) => all.push_there(value),
            (Data::Real(all), Cell::Int(value)) => all.push_there(value as f64),
            (Data::Bool(all), Cell::Int(value)) => all.push_there(value != 0),
            (Data::Int(all), Cell::Text(text)) if self.kind == Type::Time => {
                let time = text.parse().ok();
                all.push_there(time.map_or(0, |time: Timestamp| time.0)) && time.is_some()
            }
            (Data::Bool(all), _) => !all.push_there(false),
            (Data::Int(all), _) => !all.push_there(0),
            (Data::Real(all), _) => !all.push_there(0.0),
        };
        self.there.push(there.into());
    }

    /// One more text, or bytes.
    #[inline]
    fn text(&mut self, text: &[u8]) {
        self.write(|bytes| {
            bytes.extend_from_slice(text);
            true
        });
    }

    /// One more whole number.
    #[inline]
    fn number(&mut self, number: i64) {
        match &mut self.data {
            Data::Int(all) => {
                all.push(number);
                self.there.push(1);
            }
            _ => self.put(Cell::Int(number)),
        }
    }

    /// One more text, written in place; it is not there where `write` says no.
    #[inline]
    pub(super) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let Data::VarBytes(VarBytes { bytes, ends }) = &mut self.data else {
            return self.put(Cell::Null);
        };
        let start = bytes.len();
        let there = write(bytes);
        if !there {
            bytes.truncate(start);
        }
        ends.push(bytes.len());
        self.there.push(there.into());
    }

    pub(super) fn get(&self, row: usize) -> Cell<'_> {
        match (&self.data, self.there.get(row)) {
            (_, None | Some(0)) => Cell::Null,
            (Data::Bool(all), _) => Cell::Bool(all[row]),
            (Data::Int(all), _) if self.kind == Type::Time => Cell::Time(Timestamp(all[row])),
            (Data::Int(all), _) => Cell::Int(all[row]),
            (Data::Real(all), _) => Cell::Real(all[row]),
            (Data::VarBytes(all), _) if self.kind == Type::Bytes => Cell::Bytes(all.get(row)),
            (Data::VarBytes(all), _) => {
                Cell::Text(std::str::from_utf8(all.get(row)).unwrap_or_default())
            }
        }
    }

    fn clear(&mut self) {
        self.there.clear();
        match &mut self.data {
            Data::Bool(all) => all.clear(),
            Data::Int(all) => all.clear(),
            Data::Real(all) => all.clear(),
            Data::VarBytes(VarBytes { bytes, ends }) => {
                bytes.clear();
                ends.clear();
            }
        }
    }

    fn same(&self, a: usize, b: usize) -> bool {
        self.there[a] == self.there[b]
            && match &self.data {
                Data::Bool(all) => all[a] == all[b],
                Data::Int(all) => all[a] == all[b],
                Data::Real(all) => all[a].to_bits() == all[b].to_bits(),
                Data::VarBytes(all) => all.get(a) == all.get(b),
            }
    }

    fn append(&mut self, other: &Self) {
        match (&mut self.data, &other.data) {
            (Data::Bool(into), Data::Bool(from)) => into.extend_from_slice(from),
            (Data::Int(into), Data::Int(from)) => into.extend_from_slice(from),
            (Data::Real(into), Data::Real(from)) => into.extend_from_slice(from),
            (Data::VarBytes(into), Data::VarBytes(from)) => {
                let before = into.bytes.len();
                into.bytes.extend_from_slice(&from.bytes);
                into.ends.extend(from.ends.iter().map(|end| before + end));
            }
            // Columns of one table have one type.
            _ => return,
        }
        self.there.extend_from_slice(&other.there);
    }
}

trait PushThere<T> {
    fn push_there(&mut self, value: T) -> bool;
}

impl<T> PushThere<T> for Vec<T> {
    fn push_there(&mut self, value: T) -> bool {
        self.push(value);
        true
    }
}

/// What can be a cell.
pub(super) trait IntoCell {
    /// Is the next cell of a column.
    fn fill(self, cells: &mut Cells);
}

macro_rules! fill {
    ($($from:ty => |$value:ident, $cells:ident| $to:expr;)+) => {$(
        impl IntoCell for $from {
            fn fill(self, $cells: &mut Cells) {
                let $value = self;
                $to;
            }
        }
    )+};
}

fill! {
    bool => |v, cells| cells.put(Cell::Bool(v));
    u32 => |v, cells| cells.number(v.into());
    i64 => |v, cells| cells.number(v);
    // What does not fit would be a count beyond 9e18.
    u64 => |v, cells| cells.number(i64::try_from(v).unwrap_or(i64::MAX));
    f64 => |v, cells| cells.put(Cell::Real(v));
    Timestamp => |v, cells| cells.put(Cell::Time(v));
    &str => |v, cells| cells.text(v.as_bytes());
    &String => |v, cells| cells.text(v.as_bytes());
    String => |v, cells| cells.text(v.as_bytes());
    Cow<'_, str> => |v, cells| cells.text(v.as_bytes());
    &[u8] => |v, cells| cells.text(v);
    RunId => |v, cells| cells.text(&v.letters());
}

impl IntoCell for StreamId {
    fn fill(self, cells: &mut Cells) {
        let (word, id) = self.parts();
        cells.write(|bytes| {
            bytes.extend_from_slice(word.as_bytes());
            if let Some(id) = id {
                bytes.push(b'/');
                bytes.extend_from_slice(&id);
            }
            true
        });
    }
}

impl<T: IntoCell> IntoCell for Option<T> {
    fn fill(self, cells: &mut Cells) {
        match self {
            Some(value) => value.fill(cells),
            None => cells.put(Cell::Null),
        }
    }
}

/// As JSON.
pub(super) struct Json<T>(pub(super) T);

impl<T: serde::Serialize> IntoCell for Json<T> {
    fn fill(self, cells: &mut Cells) {
        cells.write(|bytes| serde_json::to_writer(bytes, &self.0).is_ok());
    }
}

/// Rows side by side, with those cells only that somebody will look at.
#[derive(Debug)]
pub struct Batch {
    columns: Vec<Option<Cells>>,
    rows: usize,
}

/// Counted rows that wait for others that may equal them.
const ROWS_WORTH_A_LOOK: usize = 64 * 1024;

/// The order of rows: columns, and whether each goes down.
pub(super) type Order = [(usize, bool)];

impl Batch {
    /// No rows of a table; of its columns those whose bit is set in `wanted` (the last bit stands
    /// for all that follow).
    pub fn new(table: &Table, wanted: u64) -> Self {
        let column = |(index, column): (usize, &super::table::Column)| {
            let wanted = wanted & (1 << index.min(63)) != 0;
            wanted.then(|| Cells::new(column.kind))
        };
        Self { columns: table.columns.iter().enumerate().map(column).collect(), rows: 0 }
    }

    /// Rows of an answer, in columns of these types.
    pub(super) fn of_rows(kinds: &[Type], rows: &[Vec<Value>]) -> Self {
        let column = |(index, kind): (usize, &Type)| {
            let mut cells = Cells::new(*kind);
            for row in rows {
                cells.put(row.get(index).map_or(Cell::Null, Value::cell));
            }
            Some(cells)
        };
        Self { columns: kinds.iter().enumerate().map(column).collect(), rows: rows.len() }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// One cell; nothing in columns that nobody said they would look at.
    pub fn cell(&self, row: usize, column: usize) -> Cell<'_> {
        self.columns.get(column).and_then(Option::as_ref).map_or(Cell::Null, |c| c.get(row))
    }

    /// The columns that there are.
    pub(super) fn columns(&self) -> impl Iterator<Item = &Cells> {
        self.columns.iter().flatten()
    }

    /// One more row, to be filled with as many cells as there are columns: see [`row!`].
    pub(super) fn row(&mut self) -> impl Iterator<Item = Option<&mut Cells>> {
        self.rows += 1;
        self.columns.iter_mut().map(Option::as_mut)
    }

    /// Rows of the same table with the same columns, after those that there are.
    pub(super) fn append(&mut self, other: &Self) {
        for (into, from) in self.columns.iter_mut().zip(&other.columns) {
            if let (Some(into), Some(from)) = (into, from) {
                into.append(from);
            }
        }
        self.rows += other.rows;
    }

    /// Without rows; the memory is used again.
    pub(super) fn clear(&mut self) {
        self.columns.iter_mut().flatten().for_each(Cells::clear);
        self.rows = 0;
    }

    /// Takes the rows out.
    pub(super) fn take(&mut self) -> Self {
        let empty = |cells: &Option<Cells>| cells.as_ref().map(|cells| Cells::new(cells.kind));
        let columns = self.columns.iter().map(empty).collect();
        std::mem::replace(self, Self { columns, rows: 0 })
    }

    fn order(&self, a: usize, b: usize, order: &Order) -> Ordering {
        let one = |(column, down): &(usize, bool)| {
            let order = self.cell(a, *column).order(&self.cell(b, *column));
            if *down { order.reverse() } else { order }
        };
        order.iter().map(one).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }

    fn pick(&self, rows: impl Iterator<Item = usize> + Clone) -> Self {
        let pick = |cells: &Cells| {
            let mut picked = Cells::new(cells.kind);
            rows.clone().for_each(|row| picked.put(cells.get(row)));
            picked
        };
        let columns = self.columns.iter().map(|cells| cells.as_ref().map(pick)).collect();
        Self { columns, rows: rows.count() }
    }
}

/// Rows that differ, each with how often there is one: what grouping needs of a whole log.
#[derive(Debug)]
pub(super) struct Counted {
    rows: Batch,
    times: Vec<u64>,
    /// Rows from which on it is worth looking for equal ones again.
    look_at: usize,
}

impl Counted {
    /// Counts rows, which `order` orders by all their cells.
    pub(super) fn new(rows: Batch, order: &Order) -> Self {
        let times = vec![1; rows.rows()];
        let mut counted = Self { rows, times, look_at: 0 };
        counted.compact(order);
        counted
    }

    /// Counts others too.
    pub(super) fn add(&mut self, other: &Self, order: &Order) {
        self.rows.append(&other.rows);
        self.times.extend(&other.times);
        if self.times.len() >= self.look_at {
            self.compact(order);
        }
    }

    /// The rows in order, and how often there is each.
    pub(super) fn end(mut self, order: &Order) -> (Batch, Vec<u64>) {
        self.compact(order);
        (self.rows, self.times)
    }

    fn compact(&mut self, order: &Order) {
        let Self { rows, times, .. } = self;
        let same = |a, b| rows.columns().all(|cells| cells.same(a, b));
        // Equal rows mostly lie together.
        let mut runs: Vec<(usize, u64)> = Vec::new();
        for (row, count) in times.drain(..).enumerate() {
            match runs.last_mut().filter(|(last, _)| same(*last, row)) {
                Some((_, times)) => *times += count,
                None => runs.push((row, count)),
            }
        }
        runs.sort_by(|(a, _), (b, _)| rows.order(*a, *b, order));
        runs.dedup_by(|(b, more), (a, times)| {
            let equal = same(*a, *b);
            if equal {
                *times += *more;
            }
            equal
        });
        times.extend(runs.iter().map(|(_, times)| times));
        self.rows = rows.pick(runs.iter().map(|(row, _)| *row));
        self.look_at = 2 * runs.len() + ROWS_WORTH_A_LOOK;
    }
}

/// Adds one row to a batch: a cell for each column, computed where somebody will look at it.
macro_rules! row {
    ($out:expr; $($value:expr),+ $(,)?) => {{
        let mut row = $out.row();
        $(if let Some(Some(cells)) = row.next() {
            $crate::port::cells::IntoCell::fill($value, cells);
        })+
        debug_assert!(row.next().is_none(), "a row shorter than its table");
    }};
}
pub(super) use row;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::table::table;

    fn batch(rows: &[(i64, &str)]) -> Batch {
        let rows: Vec<Vec<Value>> = rows
            .iter()
            .map(|(number, text)| vec![Value::Int(*number), text.to_string().into()])
            .collect();
        Batch::of_rows(&[Type::Int, Type::Text], &rows)
    }

    #[test]
    fn equal_rows_are_counted_across_batches_and_come_in_order() {
        let order = [(1, true), (0, false)];
        let mut counted = Counted::new(batch(&[(2, "a"), (1, "b"), (2, "a"), (2, "a")]), &order);
        counted.add(&Counted::new(batch(&[(1, "a"), (1, "b")]), &order), &order);
        let (rows, times) = counted.end(&order);
        let cell = |row| (rows.cell(row, 1), rows.cell(row, 0));
        let all: Vec<_> = (0..rows.rows()).map(cell).zip(times).collect();
        let row = |text, number, times| ((Cell::Text(text), Cell::Int(number)), times);
        assert_eq!(all, [row("b", 1, 2), row("a", 1, 1), row("a", 2, 3)]);
    }

    #[test]
    fn what_is_not_there_comes_first_and_equals_itself() {
        let rows =
            [vec![Value::Int(0)], vec![Value::Null], vec![Value::Int(-1)], vec![Value::Null]];
        let order = [(0, false)];
        let (rows, times) = Counted::new(Batch::of_rows(&[Type::Int], &rows), &order).end(&order);
        assert_eq!(times, [2, 1, 1]);
        let cells: Vec<Cell<'_>> = (0..3).map(|row| rows.cell(row, 0)).collect();
        assert_eq!(cells, [Cell::Null, Cell::Int(-1), Cell::Int(0)]);
    }

    #[test]
    fn cells_that_nobody_looks_at_are_not_computed() {
        let mut batch = Batch::new(table("log_checkpoints").unwrap(), 0b01);
        let computed = std::cell::Cell::new(0);
        let value = || {
            computed.set(computed.get() + 1);
            1_u64
        };
        row![batch; value(), value()];
        assert_eq!((computed.get(), batch.rows()), (1, 1));
        assert_eq!((batch.cell(0, 0), batch.cell(0, 1)), (Cell::Int(1), Cell::Null));
    }

    #[test]
    fn a_column_of_an_answer_takes_what_it_can_show() {
        let rows = [vec![Value::Int(1)], vec![Value::Bytes(vec![1, 255])], vec![Value::Null]];
        let texts = Batch::of_rows(&[Type::Text], &rows);
        let cells: Vec<Cell<'_>> = (0..3).map(|row| texts.cell(row, 0)).collect();
        assert_eq!(cells, [Cell::Text("1"), Cell::Text("01ff"), Cell::Null]);
        let reals = Batch::of_rows(&[Type::Real], &rows);
        assert_eq!((reals.cell(0, 0), reals.cell(1, 0)), (Cell::Real(1.0), Cell::Null));
    }
}
