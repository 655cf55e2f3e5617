//! Kept states: what every row was each time the log had grown by a stretch, so that looking back
//! folds only the events after the nearest one. They lie in `views.redb` beside the views: whoever
//! drops that file drops them.
//!
//! A row is kept once for each stretch in which it changed, so they take about as much room as
//! the views. A state counts only while the log has the root that it had then.

use redb::{ReadTransaction, Table, TableDefinition, TableError, WriteTransaction};

use super::ViewError;
use crate::store::Store;
use crate::tlog::{Hash, tree_root};

/// Raise it when these tables change: views and kept states are then rebuilt.
pub(super) const REVISION: u32 = 1;

/// Events between kept states: at most so many are folded to look back.
pub(super) const EVENTS: u64 = 64 * 1024;

type Key = (&'static str, &'static [u8], u64);

/// What a row of a view was at the end of a stretch, by view, key and number of the stretch.
const ROWS: TableDefinition<'static, Key, &'static [u8]> = TableDefinition::new("kept");

/// The root of the log at the end of each stretch that is over, by size.
const ROOTS: TableDefinition<'static, u64, &'static [u8; 32]> = TableDefinition::new("kept_roots");

/// The root of the log when it had `size` events.
pub(super) fn root(store: &Store, size: u64) -> Result<Hash, ViewError> {
    store.read(|log| Ok(tree_root(&mut log.tree(), size)?))
}

/// Drops every kept state.
pub(super) fn drop_all(txn: &WriteTransaction) -> Result<(), ViewError> {
    txn.delete_table(ROWS)?;
    txn.delete_table(ROOTS)?;
    Ok(())
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

    /// Forgets one view, which is about to be folded anew.
    pub(super) fn forget(&mut self, view: &str) -> Result<(), ViewError> {
        self.rows.retain(|(name, ..), _| name != view)?;
        Ok(())
    }

    /// Keeps what a row became in a stretch.
    pub(super) fn put(
        &mut self,
        view: &'static str,
        key: &[u8],
        interval: u64,
        row: &[u8],
    ) -> Result<(), ViewError> {
        self.rows.insert((view, key, interval), row)?;
        Ok(())
    }

    /// A stretch is over: the log has `size` events.
    pub(super) fn over(&mut self, size: u64, root: Hash) -> Result<(), ViewError> {
        self.roots.insert(size, &root.0)?;
        Ok(())
    }
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
