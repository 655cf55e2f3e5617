//! Kept states: what every row was each time the log had grown by a stretch, so that looking back
//! folds only the events after the nearest one. They lie in `views.redb` beside the views: whoever
//! drops that file drops them.
//!
//! A row is kept once for each stretch in which it changed, so they take about as much room as
//! the views. A state counts only while the log has the root that it had then.

use redb::{
    ReadTransaction, ReadableTable as _, Table, TableDefinition, TableError, WriteTransaction,
};

use super::ViewError;
use super::proof::{RowSum, ViewsKey};
use crate::store::{Access, Store, View};
use crate::tlog::{Hash, tree_root};

/// Raise it when these tables change: views and kept states are then rebuilt.
pub(super) const REVISION: u32 = 2;

/// Events between kept states: at most so many are folded to look back.
pub(super) const EVENTS: u64 = 64 * 1024;

/// Their name among the cursors.
pub(super) const CURSOR: &str = "kept";

type Key = (&'static str, &'static [u8], u64);

/// What a row of a view was at the end of a stretch, by view, key and number of the stretch.
const ROWS: TableDefinition<'static, Key, &'static [u8]> = TableDefinition::new("kept");

/// The root of the log at the end of each stretch that is over, by size.
const ROOTS: TableDefinition<'static, u64, &'static [u8; 32]> = TableDefinition::new("kept_roots");

/// The root of the log when it had `size` events.
pub(super) fn root(store: &Store, size: u64) -> Result<Hash, ViewError> {
    store.read(|log| root_in(log, size))
}

/// The same in a log that is open.
pub(super) fn root_in<A: Access>(log: &View<A>, size: u64) -> Result<Hash, ViewError> {
    if size == log.size() { Ok(log.root()) } else { Ok(tree_root(&mut log.tree(), size)?) }
}

/// The kept states, for writing.
pub(super) struct ViewSnapshot<'t> {
    rows: Table<'t, Key, &'static [u8]>,
    roots: Table<'t, u64, &'static [u8; 32]>,
}

impl<'t> ViewSnapshot<'t> {
    pub(super) fn open(txn: &'t WriteTransaction) -> Result<Self, ViewError> {
        Ok(Self { rows: txn.open_table(ROWS)?, roots: txn.open_table(ROOTS)? })
    }

    /// Keeps what a row became in a stretch.
    pub(super) fn put(
        &mut self,
        (view, key, interval): (&'static str, &[u8], u64),
        row: &[u8],
        (proven_with, sum): (&ViewsKey, &mut RowSum),
    ) -> Result<(), ViewError> {
        let number = interval.to_le_bytes();
        if let Some(old) = self.rows.insert((view, key, interval), row)? {
            sum.remove(proven_with, "kept", &[view.as_bytes(), key, &number, old.value()]);
        }
        sum.add(proven_with, "kept", &[view.as_bytes(), key, &number, row]);
        Ok(())
    }

    /// A stretch is over: the log has `size` events.
    pub(super) fn over(
        &mut self,
        size: u64,
        root: Hash,
        (proven_with, sum): (&ViewsKey, &mut RowSum),
    ) -> Result<(), ViewError> {
        let at = size.to_le_bytes();
        if let Some(old) = self.roots.insert(size, &root.0)? {
            sum.remove(proven_with, "kept_roots", &[&at, old.value()]);
        }
        sum.add(proven_with, "kept_roots", &[&at, &root.0]);
        Ok(())
    }
}

/// Adds up every row that is kept.
pub(super) fn sum(
    txn: &ReadTransaction,
    key: &ViewsKey,
    sum: &mut RowSum,
) -> Result<(), ViewError> {
    for row in txn.open_table(ROWS)?.iter()? {
        let (at, row) = row?;
        let (view, row_key, interval) = at.value();
        let interval = interval.to_le_bytes();
        sum.add(key, "kept", &[view.as_bytes(), row_key, &interval, row.value()]);
    }
    for row in txn.open_table(ROOTS)?.iter()? {
        let (size, root) = row?;
        sum.add(key, "kept_roots", &[&size.value().to_le_bytes(), root.value()]);
    }
    Ok(())
}

/// The last kept state of at most `size` events: its size, and the root the log had.
pub(super) fn last(txn: &ReadTransaction, size: u64) -> Result<Option<(u64, Hash)>, ViewError> {
    let roots = match txn.open_table(ROOTS) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        roots => roots?,
    };
    let last = roots.range(..=size)?.next_back().transpose()?;
    Ok(last.map(|(size, root)| (size.value(), Hash(*root.value()))))
}

/// What a row was at the end of a stretch.
pub(super) fn get(
    txn: &ReadTransaction,
    view: &'static str,
    key: &[u8],
    interval: u64,
) -> Result<Option<Vec<u8>>, ViewError> {
    let rows = txn.open_table(ROWS)?;
    let row = rows.range((view, key, 0)..=(view, key, interval))?.next_back().transpose()?;
    Ok(row.map(|(_, row)| row.value().to_vec()))
}

/// Hands out the rows at the end of a stretch whose key starts with `prefix`, in key order.
pub(super) fn scan(
    txn: &ReadTransaction,
    view: &'static str,
    prefix: &[u8],
    interval: u64,
    mut each: impl FnMut(&[u8], &[u8]) -> Result<(), ViewError>,
) -> Result<(), ViewError> {
    let table = txn.open_table(ROWS)?;
    let mut newest: Option<(Vec<u8>, redb::AccessGuard<'_, &'static [u8]>)> = None;
    for row in table.range((view, prefix, 0)..)? {
        let (at, row) = row?;
        let (name, key, kept) = at.value();
        if name != view || !key.starts_with(prefix) {
            break;
        }
        if let Some((known, newest)) = newest.take_if(|(known, _)| known != key) {
            each(&known, newest.value())?;
        }
        if kept <= interval {
            newest = Some((key.to_vec(), row));
        }
    }
    match newest {
        Some((key, row)) => each(&key, row.value()),
        None => Ok(()),
    }
}
