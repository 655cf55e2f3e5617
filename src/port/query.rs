//! SQL over the tables, by SQLite's virtual tables: read-only, with conditions on position, time,
//! kind and run handed down so that whole blocks of the log are passed over.

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_int};
use std::marker::PhantomData;
use std::ops::Range;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::vtab::{
    Context, Filters, IndexConstraintOp, IndexInfo, Module, VTab, VTabConnection, VTabCursor,
    sqlite3_vtab, sqlite3_vtab_cursor,
};
use rusqlite::{Connection, ErrorCode, ToSql};

use super::table::{ALL, Role, Row, Rows, Seen, Table, Value};
use crate::base::{RunId, Timestamp};
use crate::domain::{Kind, kind_named};

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
    fn narrow(&mut self, role: Role, op: Op, value: &ValueRef<'_>) {
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
                let slack = if plain { SECOND } else { 2 * 86_400 * SECOND };
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
enum Op {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Op {
    fn of(op: &IndexConstraintOp) -> Option<(Self, char)> {
        Some(match op {
            IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ => (Self::Equal, 'e'),
            IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LT => (Self::Less, 'l'),
            IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LE => (Self::LessOrEqual, 'm'),
            IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_GT => (Self::Greater, 'g'),
            IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_GE => (Self::GreaterOrEqual, 'h'),
            _ => return None,
        })
    }

    fn named(letter: char) -> Option<Self> {
        Some(match letter {
            'e' => Self::Equal,
            'l' => Self::Less,
            'm' => Self::LessOrEqual,
            'g' => Self::Greater,
            'h' => Self::GreaterOrEqual,
            _ => return None,
        })
    }

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

/// Where events come from.
pub trait Source: Send + Sync {
    /// Hands out events of about one window, in order, from `want.positions.start` on; gives where
    /// to go on, and none at the end of the log.
    ///
    /// # Errors
    /// What went wrong, in words.
    fn window(&self, want: &Want, each: &mut dyn FnMut(&Seen<'_>)) -> Result<Option<u64>, String>;

    /// Size and text of every signed log checkpoint.
    ///
    /// # Errors
    /// What went wrong, in words.
    fn log_checkpoints(&self) -> Result<Vec<(u64, String)>, String>;
}

/// Hands out the rows of a table, some at a time.
pub struct Reading {
    want: Want,
    rows: Option<Box<dyn Rows>>,
    checkpoints: bool,
}

impl Reading {
    /// Of the rows made of the events in `want`.
    pub fn new(table: &Table, want: Want) -> Self {
        Self { want, rows: Some((table.rows)()), checkpoints: table.name == LOG_CHECKPOINTS }
    }

    /// The next rows; none at the end. There may be none for now and more later.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn next(&mut self, source: &dyn Source) -> Result<Option<Vec<Row>>, String> {
        let Some(rows) = &mut self.rows else { return Ok(None) };
        let mut out = Vec::new();
        if self.checkpoints {
            self.rows = None;
            let row = |(size, note): (u64, String)| vec![size.into(), note.into()];
            return Ok(Some(source.log_checkpoints()?.into_iter().map(row).collect()));
        }
        match source.window(&self.want, &mut |seen| rows.take(seen, &mut out))? {
            Some(next) => self.want.positions.start = next,
            None => {
                rows.end(&mut out);
                self.rows = None;
            }
        }
        Ok(Some(out))
    }
}

type Aux = (Arc<dyn Source>, &'static Table);

#[repr(C)]
struct LogTable<'vtab> {
    /// SQLite's part; it must be the first.
    base: sqlite3_vtab,
    source: Arc<dyn Source>,
    table: &'static Table,
    life: PhantomData<&'vtab ()>,
}

#[repr(C)]
struct LogCursor<'vtab> {
    /// SQLite's part; it must be the first.
    base: sqlite3_vtab_cursor,
    source: Arc<dyn Source>,
    table: &'static Table,
    reading: Option<Reading>,
    rows: Vec<Row>,
    at: usize,
    row_id: i64,
    life: PhantomData<&'vtab ()>,
}

fn failed(message: String) -> rusqlite::Error {
    rusqlite::Error::ModuleError(message)
}

// SAFETY: `repr(C)` with SQLite's base first, as the trait asks; SQLite frees what it was given.
#[expect(unsafe_code, reason = "SQLite's interface is one of C structures")]
unsafe impl<'vtab> VTab<'vtab> for LogTable<'vtab> {
    type Aux = Aux;
    type Cursor = LogCursor<'vtab>;

    fn connect(
        _: &mut VTabConnection,
        aux: Option<&Aux>,
        _: &[u8],
        _: &[u8],
        _: &[u8],
        _: &[&[u8]],
    ) -> rusqlite::Result<(Cow<'static, CStr>, Self)> {
        let (source, table) = aux.ok_or_else(|| failed("BUG: a table without a log".into()))?;
        let declaration = CString::new(table.declaration()).map_err(|e| failed(e.to_string()))?;
        let (base, source) = (sqlite3_vtab::default(), Arc::clone(source));
        Ok((Cow::Owned(declaration), Self { base, source, table, life: PhantomData }))
    }

    fn best_index(&self, info: &mut IndexInfo) -> rusqlite::Result<bool> {
        let mut said = String::new();
        let mut argument = 0;
        let mut cost = 1e7;
        for (constraint, mut usage) in info.constraints_and_usages() {
            let column = usize::try_from(constraint.column()).ok();
            let role = column.and_then(|c| self.table.columns.get(c)).map(|column| column.role);
            let op = Op::of(&constraint.operator());
            let (Some(column), Some(role), Some((op, letter))) = (column, role, op) else {
                continue;
            };
            if role == Role::None || !constraint.is_usable() {
                continue;
            }
            argument += 1;
            usage.set_argv_index(argument);
            said += &format!("{column}{letter}");
            cost /= match (role, op) {
                (Role::Position, Op::Equal) => 1e5,
                (Role::Run | Role::Kind, Op::Equal) => 1e3,
                _ => 2.0,
            };
        }
        info.set_idx_str(&format!("{:x};{said}", info.col_used()));
        info.set_estimated_cost(cost);
        Ok(true)
    }

    fn open(&'vtab mut self) -> rusqlite::Result<LogCursor<'vtab>> {
        Ok(LogCursor {
            base: sqlite3_vtab_cursor::default(),
            source: Arc::clone(&self.source),
            table: self.table,
            reading: None,
            rows: vec![],
            at: 0,
            row_id: 0,
            life: PhantomData,
        })
    }
}

impl LogCursor<'_> {
    fn fill(&mut self) -> rusqlite::Result<()> {
        while self.at >= self.rows.len() {
            let Some(reading) = &mut self.reading else { return Ok(()) };
            match reading.next(&*self.source).map_err(failed)? {
                Some(rows) => (self.rows, self.at) = (rows, 0),
                None => self.reading = None,
            }
        }
        Ok(())
    }
}

// SAFETY: `repr(C)` with SQLite's base first, as the trait asks; no pointer of it is kept.
#[expect(unsafe_code, reason = "SQLite's interface is one of C structures")]
unsafe impl VTabCursor for LogCursor<'_> {
    fn filter(&mut self, _: c_int, said: Option<&str>, args: &Filters<'_>) -> rusqlite::Result<()> {
        let mut want = Want::all(self.table);
        let (columns, said) = said.and_then(|said| said.split_once(';')).unwrap_or(("", ""));
        want.columns = u64::from_str_radix(columns, 16).unwrap_or(u64::MAX);
        let conditions = said.split_inclusive(|c: char| c.is_ascii_alphabetic());
        for (condition, value) in conditions.zip(args.iter()) {
            let (column, letter) = condition.split_at(condition.len() - 1);
            let column = column.parse().ok().and_then(|c: usize| self.table.columns.get(c));
            let op = letter.chars().next().and_then(Op::named);
            if let (Some(column), Some(op)) = (column, op) {
                want.narrow(column.role, op, &value);
            }
        }
        self.reading = Some(Reading::new(self.table, want));
        (self.rows, self.at, self.row_id) = (vec![], 0, 0);
        self.fill()
    }

    fn next(&mut self) -> rusqlite::Result<()> {
        self.at += 1;
        self.row_id += 1;
        self.fill()
    }

    fn eof(&self) -> bool {
        self.at >= self.rows.len() && self.reading.is_none()
    }

    fn column(&self, context: &mut Context, index: c_int) -> rusqlite::Result<()> {
        let row = self.rows.get(self.at);
        let value = usize::try_from(index).ok().and_then(|index| row?.get(index));
        context.set_result(value.unwrap_or(&Value::Null))
    }

    fn rowid(&self) -> rusqlite::Result<i64> {
        Ok(self.row_id)
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Self::Bool(value) => ToSqlOutput::from(*value),
            Self::Int(value) => ToSqlOutput::from(*value),
            Self::Real(value) => ToSqlOutput::from(*value),
            Self::Time(time) => ToSqlOutput::from(time.sortable()),
            Self::Text(text) => ToSqlOutput::from(text.as_ref()),
            Self::Bytes(bytes) => ToSqlOutput::from(bytes.as_slice()),
        })
    }
}

/// How far a query may go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// At most this many rows.
    pub rows: usize,
    /// At most this long.
    pub time: Duration,
}

/// A query that cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The text is no query that can be answered.
    #[error("{message}")]
    Sql {
        /// What SQLite says.
        message: String,
        /// Where in the text, in characters from 0.
        at: Option<usize>,
    },
    /// It would have changed something.
    #[error("a query only reads: {0}")]
    Writes(String),
    /// It took too long.
    #[error("the query was stopped after {} s", .0.as_secs_f64())]
    Time(Duration),
    /// The log or SQLite failed while it was answered.
    #[error("{0}")]
    Failed(String),
}

/// What a query gave.
#[derive(Debug)]
pub struct Answer {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Row>,
    /// Whether there would have been more.
    pub more: bool,
}

/// Answers one SQL query.
///
/// # Errors
/// [`QueryError`].
pub fn query(source: &Arc<dyn Source>, sql: &str, limits: Limits) -> Result<Answer, QueryError> {
    let opened = |e: rusqlite::Error| QueryError::Failed(e.to_string());
    let mut connection = Connection::open_in_memory().map_err(opened)?;
    const MODULE: Module<'static, LogTable<'static>> = Module::eponymous_only_module();
    for table in ALL {
        let aux = (Arc::clone(source), table);
        connection.create_module(table.name, &MODULE, Some(aux)).map_err(opened)?;
        // SQLite declares the table now: later nobody is allowed to.
        let ask = format!("SELECT 1 FROM \"{}\" LIMIT 0", table.name);
        connection.prepare(&ask).map_err(opened)?;
    }
    connection.authorizer(Some(authorize)).map_err(opened)?;
    let end = Instant::now() + limits.time;
    connection.progress_handler(1_000, Some(move || Instant::now() >= end)).map_err(opened)?;
    let mut statement = connection.prepare(sql).map_err(|e| explain(e, sql, limits.time, true))?;
    let bad = |e: rusqlite::Error| explain(e, sql, limits.time, false);
    if !statement.readonly() || statement.column_count() == 0 {
        return Err(QueryError::Writes("this statement gives no rows".into()));
    }
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let (mut rows, mut more) = (Vec::new(), false);
    let mut found = statement.query([]).map_err(bad)?;
    while let Some(row) = found.next().map_err(bad)? {
        if rows.len() >= limits.rows {
            more = true;
            break;
        }
        let cells = (0..columns.len()).map(|index| row.get_ref(index).map(Value::from));
        rows.push(cells.collect::<rusqlite::Result<Row>>().map_err(bad)?);
    }
    Ok(Answer { columns, rows, more })
}

impl From<ValueRef<'_>> for Value {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(value) => Self::Int(value),
            ValueRef::Real(value) => Self::Real(value),
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned().into(),
            ValueRef::Blob(bytes) => Self::Bytes(bytes.to_vec()),
        }
    }
}

/// Reading and pure functions only.
fn authorize(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => {
            Authorization::Allow
        }
        AuthAction::Function { function_name } if function_name != "load_extension" => {
            Authorization::Allow
        }
        _ => Authorization::Deny,
    }
}

/// While it is `prepared`, what goes wrong is the text's fault.
fn explain(error: rusqlite::Error, sql: &str, time: Duration, prepared: bool) -> QueryError {
    match error {
        rusqlite::Error::SqlInputError { error, msg, offset, .. } => {
            if error.code == ErrorCode::AuthorizationForStatementDenied {
                return QueryError::Writes(msg);
            }
            let bytes = usize::try_from(offset).ok();
            let at = bytes.and_then(|at| sql.get(..at)).map(|before| before.chars().count());
            QueryError::Sql { message: msg, at }
        }
        rusqlite::Error::MultipleStatement => {
            QueryError::Sql { message: "only one statement at a time".into(), at: None }
        }
        rusqlite::Error::SqliteFailure(error, message) => match error.code {
            ErrorCode::OperationInterrupted => QueryError::Time(time),
            ErrorCode::AuthorizationForStatementDenied => {
                QueryError::Writes(message.unwrap_or_else(|| error.to_string()))
            }
            ErrorCode::Unknown if prepared => {
                let message = message.unwrap_or_else(|| error.to_string());
                QueryError::Sql { message, at: None }
            }
            _ => QueryError::Failed(message.unwrap_or_else(|| error.to_string())),
        },
        other => QueryError::Failed(other.to_string()),
    }
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
        want.narrow(Role::Recorded, Op::Greater, &ValueRef::Text(b"not a time"));
        assert_eq!(want.recorded_from, None);
    }
}
