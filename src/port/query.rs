//! SQL over the tables, by SQLite's virtual tables: read-only, with conditions on position, time,
//! kind and run handed down so that whole blocks of the log are passed over.

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_int};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::vtab::{
    Context, DistinctMode, Filters, IndexConstraintOp, IndexInfo, Module, VTab, VTabConnection,
    VTabCursor, sqlite3_vtab, sqlite3_vtab_cursor,
};
use rusqlite::{Connection, ErrorCode, ToSql};

use super::cells::{Batch, Cell, Counted};
use super::source::{Op, Prefetch, Reading, ScanSpec, Source};
use super::table::{ALL, Fold, Role, Row, Table, Type, Value};

/// A condition that can be handed down, and its letter.
fn op_of(op: &IndexConstraintOp) -> Option<(Op, char)> {
    Some(match op {
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ => (Op::Equal, 'e'),
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LT => (Op::Less, 'l'),
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LE => (Op::LessOrEqual, 'm'),
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_GT => (Op::Greater, 'g'),
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_GE => (Op::GreaterOrEqual, 'h'),
        _ => return None,
    })
}

fn op_named(letter: char) -> Option<Op> {
    Some(match letter {
        'e' => Op::Equal,
        'l' => Op::Less,
        'm' => Op::LessOrEqual,
        'g' => Op::Greater,
        'h' => Op::GreaterOrEqual,
        _ => return None,
    })
}

/// The log, the table, and when a query must have ended.
type TableContext = (Arc<dyn Source>, &'static Table, Instant);

#[repr(C)]
struct LogTable<'vtab> {
    /// SQLite's part; it must be the first.
    base: sqlite3_vtab,
    source: Arc<dyn Source>,
    table: &'static Table,
    end: Instant,
    life: PhantomData<&'vtab ()>,
}

#[repr(C)]
struct LogCursor<'vtab> {
    /// SQLite's part; it must be the first.
    base: sqlite3_vtab_cursor,
    source: Arc<dyn Source>,
    table: &'static Table,
    end: Instant,
    rest: Option<RowSource>,
    rows: Batch,
    at: usize,
    /// Where equal rows were counted: how often there is each, one of them being at hand.
    times: Vec<u64>,
    /// How often the row at hand comes again.
    again: u64,
    row_id: i64,
    life: PhantomData<&'vtab ()>,
}

/// How the rest of the rows comes.
enum RowSource {
    /// Somebody may want only the first few.
    Slow(Box<Reading>),
    /// Somebody wants more.
    Prefetch(Prefetch),
}

fn failed(message: String) -> rusqlite::Error {
    rusqlite::Error::ModuleError(message)
}

// SAFETY: `repr(C)` with SQLite's base first, as the trait asks; SQLite frees what it was given.
#[expect(unsafe_code, reason = "SQLite's interface is one of C structures")]
unsafe impl<'vtab> VTab<'vtab> for LogTable<'vtab> {
    type Aux = TableContext;
    type Cursor = LogCursor<'vtab>;

    fn connect(
        _: &mut VTabConnection,
        aux: Option<&TableContext>,
        _: &[u8],
        _: &[u8],
        _: &[u8],
        _: &[&[u8]],
    ) -> rusqlite::Result<(Cow<'static, CStr>, Self)> {
        let (source, table, end) =
            aux.ok_or_else(|| failed("BUG: a table without a log".into()))?;
        let declaration = CString::new(table.declaration()).map_err(|e| failed(e.to_string()))?;
        let (base, source) = (sqlite3_vtab::default(), Arc::clone(source));
        let (end, life) = (*end, PhantomData);
        Ok((Cow::Owned(declaration), Self { base, source, table, end, life }))
    }

    fn best_index(&self, info: &mut IndexInfo) -> rusqlite::Result<bool> {
        let mut said = String::new();
        let mut argument = 0;
        // Of a join SQLite puts the smaller table outside: each of its rows asks the other table
        // for its own, and each question reads a part of the log.
        let (mut cost, mut rows) = match self.table.fold {
            Fold::Each(_) => (1e7, 1e6),
            _ => (1e7, 1e3),
        };
        for (constraint, mut usage) in info.constraints_and_usages() {
            let column = usize::try_from(constraint.column()).ok();
            let role = column.and_then(|c| self.table.columns.get(c)).map(|column| column.role);
            let op = op_of(&constraint.operator());
            let (Some(column), Some(role), Some((op, letter))) = (column, role, op) else {
                continue;
            };
            if role == Role::None || !constraint.is_usable() {
                continue;
            }
            argument += 1;
            usage.set_argv_index(argument);
            said += &format!("{column}{letter}");
            let share = match (role, op) {
                (Role::Position, Op::Equal) => 1e5,
                (Role::Run | Role::Kind, Op::Equal) => 1e3,
                _ => 2.0,
            };
            cost /= share;
            rows = f64::max(rows / share, 1.0);
        }
        let (ordered, grouped) = self.plan(info);
        info.set_order_by_consumed(ordered);
        let used = info.col_used();
        info.set_idx_str(&format!("{used:x};{grouped};{said}"));
        info.set_estimated_cost(cost);
        info.set_estimated_rows(rows as i64);
        Ok(true)
    }

    fn open(&'vtab mut self) -> rusqlite::Result<LogCursor<'vtab>> {
        Ok(LogCursor {
            base: sqlite3_vtab_cursor::default(),
            source: Arc::clone(&self.source),
            table: self.table,
            end: self.end,
            rest: None,
            rows: Batch::new(self.table, 0),
            at: 0,
            times: vec![],
            again: 0,
            row_id: 0,
            life: PhantomData,
        })
    }
}

impl LogTable<'_> {
    /// Whether rows come in the order that SQLite asks for, and the columns by which to count them
    /// first, as `COLUMN` and `u` or `d` each, behind `o` where one of equal rows is enough.
    ///
    /// Where only columns are looked at that take few values, equal rows are counted as they are
    /// read, and neither kept nor sorted one by one.
    fn plan(&self, info: &IndexInfo) -> (bool, String) {
        let order: Vec<(usize, bool)> = info
            .order_bys()
            .filter_map(|by| Some((usize::try_from(by.column()).ok()?, by.is_order_by_desc())))
            .collect();
        if order.is_empty() || order.len() != info.num_of_order_by() {
            return (false, String::new());
        }
        let column = |index: usize| self.table.columns.get(index);
        let position = |index| column(index).is_some_and(|c| c.role == Role::Position);
        // Events come in the order of the log.
        if let ([(index, false)], Fold::Each(_)) = (&order[..], self.table.fold)
            && position(*index)
        {
            return (true, String::new());
        }
        let used = info.col_used();
        let used = (0..64).filter(|index| used >> index & 1 == 1);
        let by = |index: &usize| order.iter().any(|(by, _)| by == index);
        let few = |index: usize| column(index).is_some_and(|column| column.few);
        if !used.clone().chain(order.iter().map(|(by, _)| *by)).all(few) {
            return (false, String::new());
        }
        let rest = used.filter(|index| !by(index)).map(|index| (index, false));
        let once =
            matches!(info.distinct(), DistinctMode::Distinct | DistinctMode::DistinctOrdered);
        let mut said = if once { "o".to_owned() } else { String::new() };
        for (index, down) in order.iter().copied().chain(rest) {
            said += &format!("{index}{}", if down { 'd' } else { 'u' });
        }
        (true, said)
    }
}

impl LogCursor<'_> {
    /// Goes to the next row that is there.
    fn fill(&mut self) -> rusqlite::Result<()> {
        while self.at >= self.rows.rows() {
            let mut ahead = match self.rest.take() {
                None => return Ok(()),
                Some(RowSource::Slow(reading)) => reading.ahead(),
                Some(RowSource::Prefetch(ahead)) => ahead,
            };
            let Some(rows) = ahead.next() else { return Ok(()) };
            (self.rows, self.at) = (rows.map_err(failed)?, 0);
            self.rest = Some(RowSource::Prefetch(ahead));
        }
        Ok(())
    }

    /// Counts the rows that equal each other.
    fn count(&mut self, reading: &Reading, grouped: &str) -> rusqlite::Result<()> {
        let (once, grouped) = match grouped.strip_prefix('o') {
            Some(grouped) => (true, grouped),
            None => (false, grouped),
        };
        let by = grouped.split_inclusive(|c: char| c.is_ascii_alphabetic());
        let by = by.filter_map(|by| {
            Some((by.trim_end_matches(['u', 'd']).parse().ok()?, by.ends_with('d')))
        });
        let order: Vec<(usize, bool)> = by.collect();
        let mut all = Counted::new(Batch::new(self.table, reading.columns()), &order);
        let counted = reading.each(
            |rows| Counted::new(rows, &order),
            |more| {
                all.add(&more, &order);
                // SQLite does not ask meanwhile.
                if Instant::now() < self.end { Ok(()) } else { Err(String::new()) }
            },
        );
        if Instant::now() >= self.end {
            let interrupted = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_INTERRUPT);
            return Err(rusqlite::Error::SqliteFailure(interrupted, None));
        }
        counted.map_err(failed)?;
        (self.rows, self.times) = all.end(&order);
        if once {
            self.times.clear();
        }
        Ok(())
    }

    fn times(&self) -> u64 {
        self.times.get(self.at).map_or(0, |times| times - 1)
    }
}

// SAFETY: `repr(C)` with SQLite's base first, as the trait asks; no pointer of it is kept.
#[expect(unsafe_code, reason = "SQLite's interface is one of C structures")]
unsafe impl VTabCursor for LogCursor<'_> {
    fn filter(&mut self, _: c_int, said: Option<&str>, args: &Filters<'_>) -> rusqlite::Result<()> {
        let mut want = ScanSpec::of(&[self.table]);
        let mut said = said.unwrap_or_default().split(';');
        let mut part = || said.next().unwrap_or_default();
        let (columns, grouped, said) = (part(), part(), part());
        want.columns = u64::from_str_radix(columns, 16).unwrap_or(u64::MAX);
        let conditions = said.split_inclusive(|c: char| c.is_ascii_alphabetic());
        for (condition, value) in conditions.zip(args.iter()) {
            let (column, letter) = condition.split_at(condition.len() - 1);
            let column = column.parse().ok().and_then(|c: usize| self.table.columns.get(c));
            let op = letter.chars().next().and_then(op_named);
            if let (Some(column), Some(op)) = (column, op) {
                want.narrow(column.role, op, &value);
            }
        }
        let reading = Reading::new(Arc::clone(&self.source), self.table, want).map_err(failed)?;
        (self.at, self.row_id, self.rest) = (0, 0, None);
        self.times.clear();
        if grouped.is_empty() {
            let (rows, rest) = reading.begin().map_err(failed)?;
            (self.rows, self.rest) = (rows, rest.map(|rest| RowSource::Slow(Box::new(rest))));
        } else {
            self.count(&reading, grouped)?;
        }
        self.again = self.times();
        self.fill()
    }

    fn next(&mut self) -> rusqlite::Result<()> {
        self.row_id += 1;
        if self.again > 0 {
            self.again -= 1;
            return Ok(());
        }
        self.at += 1;
        self.again = self.times();
        self.fill()
    }

    fn eof(&self) -> bool {
        self.at >= self.rows.rows()
    }

    fn column(&self, context: &mut Context, index: c_int) -> rusqlite::Result<()> {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        context.set_result(self.rows.cell(self.at, index))
    }

    fn rowid(&self) -> rusqlite::Result<i64> {
        Ok(self.row_id)
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Self::Bool(value) => ToSqlOutput::from(*value),
            Self::Int(value) => ToSqlOutput::from(*value),
            Self::Real(value) => ToSqlOutput::from(*value),
            Self::Time(time) => ToSqlOutput::from(time.sortable()),
            Self::Text(text) => ToSqlOutput::from(*text),
            Self::Bytes(bytes) => ToSqlOutput::from(*bytes),
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
    /// The answer does not fit.
    #[error("the result has more than {} MiB of texts and blobs", ANSWER_BYTES_MAX >> 20)]
    Large,
    /// The log or SQLite failed while it was answered.
    #[error("{0}")]
    Failed(String),
}

/// What a query gave.
#[derive(Debug)]
pub struct Answer {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The types of those that are columns of tables.
    pub kinds: Vec<Option<Type>>,
    /// The rows.
    pub rows: Vec<Row>,
    /// Whether there would have been more.
    pub more: bool,
}

/// What SQLite sorts in memory before it writes a temporary file; negative means KiB to it.
const SORTED_KIB: i64 = -64 * 1024;

/// Largest text or blob of a query, in bytes: far more than the record holds in one place.
const VALUE_BYTES_MAX: i32 = 16 * 1024 * 1024;

/// Largest answer: all of it is in memory.
const ANSWER_BYTES_MAX: usize = 512 * 1024 * 1024;

/// Answers one SQL query.
///
/// # Errors
/// [`QueryError`].
pub fn query(source: &Arc<dyn Source>, sql: &str, limits: Limits) -> Result<Answer, QueryError> {
    let opened = |e: rusqlite::Error| QueryError::Failed(e.to_string());
    let mut connection = Connection::open_in_memory().map_err(opened)?;
    connection.pragma_update(None, "cache_size", SORTED_KIB).map_err(opened)?;
    const MODULE: Module<'static, LogTable<'static>> = Module::eponymous_only_module();
    let end = Instant::now() + limits.time;
    for table in ALL {
        let aux = (Arc::clone(source), table, end);
        connection.create_module(table.name, &MODULE, Some(aux)).map_err(opened)?;
        // SQLite declares the table now: later nobody is allowed to.
        let ask = format!("SELECT 1 FROM \"{}\" LIMIT 0", table.name);
        connection.prepare(&ask).map_err(opened)?;
    }
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX).map_err(opened)?;
    connection.authorizer(Some(authorize)).map_err(opened)?;
    connection.progress_handler(1_000, Some(move || Instant::now() >= end)).map_err(opened)?;
    let mut statement = connection.prepare(sql).map_err(|e| explain(e, sql, limits.time))?;
    let bad = |e: rusqlite::Error| explain(e, sql, limits.time);
    if !statement.readonly() || statement.column_count() == 0 {
        return Err(QueryError::Writes("this statement gives no rows".into()));
    }
    if statement.parameter_count() > 0 {
        let message = "a query has no parameters: write the values into it";
        return Err(QueryError::Sql { message: message.into(), at: None });
    }
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let kinds = statement.columns();
    let kinds = kinds.map(|column| column.decl_type().and_then(Type::named)).collect();
    let (mut rows, mut more, mut bytes) = (Vec::new(), false, 0);
    let mut found = statement.query([]).map_err(bad)?;
    while let Some(row) = found.next().map_err(bad)? {
        if rows.len() >= limits.rows {
            more = true;
            break;
        }
        // A row may be a long computation, in which SQLite does not ask.
        if Instant::now() >= end {
            return Err(QueryError::Time(limits.time));
        }
        let cells = (0..columns.len()).map(|index| row.get_ref(index).map(Value::from));
        let cells = cells.collect::<rusqlite::Result<Row>>().map_err(bad)?;
        bytes += cells.iter().map(Value::bytes).sum::<usize>();
        if bytes > ANSWER_BYTES_MAX {
            return Err(QueryError::Large);
        }
        rows.push(cells);
    }
    Ok(Answer { columns, kinds, rows, more })
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

/// What goes wrong is the text's fault, where the log has not failed.
fn explain(error: rusqlite::Error, sql: &str, time: Duration) -> QueryError {
    match error {
        rusqlite::Error::SqlInputError { error, msg, offset, .. } => {
            if error.code == ErrorCode::AuthorizationForStatementDenied {
                return QueryError::Writes(msg);
            }
            let bytes = usize::try_from(offset).ok();
            // Of what it does not know at all, SQLite tells only the name.
            let bytes = bytes.or_else(|| place_of(sql, msg.rsplit_once(": ")?.1));
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
            ErrorCode::TooBig => {
                let mib = VALUE_BYTES_MAX >> 20;
                QueryError::Sql { message: format!("a value has more than {mib} MiB"), at: None }
            }
            ErrorCode::Unknown => {
                let message = message.unwrap_or_else(|| error.to_string());
                let name = message.rsplit_once(": ").map_or("", |(_, name)| name);
                let at = place_of(sql, name).and_then(|at| sql.get(..at));
                let at = at.map(|before| before.chars().count());
                QueryError::Sql { message, at }
            }
            _ => QueryError::Failed(message.unwrap_or_else(|| error.to_string())),
        },
        other => QueryError::Failed(other.to_string()),
    }
}

/// Where the name stands by itself in the text, in bytes; of `main.x` the last part.
fn place_of(sql: &str, name: &str) -> Option<usize> {
    let name = name.strip_prefix("main.").unwrap_or(name).to_ascii_lowercase();
    let lower = sql.to_ascii_lowercase();
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let stands_alone =
        |at: &usize| !sql[..*at].ends_with(word) && !sql[at + name.len()..].starts_with(word);
    let mut found = lower.match_indices(&name).map(|(at, _)| at);
    found.find(|at| !name.is_empty() && stands_alone(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_name_is_where_it_stands_alone() {
        assert_eq!(place_of("SELECT * FROM runss, Runs", "runs"), Some(21));
        assert_eq!(place_of("SELECT r.nme FROM runs r", "r.nme"), Some(7));
        assert_eq!(place_of("SELECT 1", "x"), None);
    }
}
