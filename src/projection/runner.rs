//! Brings views up to date, and gives readers a snapshot that is.
//!
//! Lock order: the log is read in short openings while `views.lock` is held; nobody waits for
//! `views.lock` with the log open.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use redb::{
    Database, ReadOnlyDatabase, ReadTransaction, ReadableDatabase as _, ReadableTable as _,
    TableDefinition, TableError,
};
use rustix::fs::{FlockOperation, flock};

use super::kv::{Layered, Stored};
use super::{ALL, Definition, ViewError};
use crate::base::codec;
use crate::domain::{Event, kind_named};
use crate::store::{Filter, Store};

type Rows = TableDefinition<'static, &'static [u8], &'static [u8]>;

const CURSORS: TableDefinition<'static, &'static str, &'static [u8]> =
    TableDefinition::new("cursors");

/// Positions folded per opening of the log, so that writers are never kept out for long.
const POSITIONS_PER_READ: u64 = 64 * 1024;

/// Most of what a reader keeps of the file: it passes over most pages once, and the system has
/// them in memory already.
const CACHE_BYTES_MAX: usize = 1024 * 1024;

/// The views of one log.
#[derive(Clone, Debug)]
pub struct Views {
    dir: Option<PathBuf>,
}

/// A row with its view's name: view, key, value.
pub type Row = (&'static str, Vec<u8>, Vec<u8>);

/// Where a view stands: the cursor is the position it will read next.
type Cursor = (u32, u64);

impl Views {
    /// The views beside the log in `dir`.
    pub fn new(dir: &Path) -> Self {
        Self { dir: Some(dir.to_owned()) }
    }

    /// Views of a log that stands alone: always folded in memory.
    pub fn in_memory() -> Self {
        Self { dir: None }
    }

    /// A snapshot of all views at the end of the log.
    ///
    /// # Errors
    /// When the log cannot be read. Views that cannot be read are folded anew in memory.
    pub fn read(&self, store: &Store) -> Result<Snapshot, ViewError> {
        let size = store.read(|log| Ok::<_, ViewError>(log.size()))?;
        let mut snapshot = self.stored(size).unwrap_or_default();
        snapshot.catch_up(store, size)?;
        Ok(snapshot)
    }

    /// A snapshot of all views as they were when the log had `size` events.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn as_of(store: &Store, size: u64) -> Result<Snapshot, ViewError> {
        let mut snapshot = Snapshot::default();
        snapshot.catch_up(store, size)?;
        Ok(snapshot)
    }

    /// Brings `views.redb` to the end of the log. When another process is at it, leaves it to that
    /// one: readers fold what is missing.
    ///
    /// # Errors
    /// When the log cannot be read or the file cannot be written.
    pub fn update(&self, store: &Store) -> Result<(), ViewError> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let lock = open_lock(dir)?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(());
        }
        let path = dir.join("views.redb");
        if update_file(&path, store).is_ok() {
            return Ok(());
        }
        // Whatever it was, the file holds nothing that the log does not.
        remove(&path)?;
        update_file(&path, store)
    }

    /// Drops every view and folds the whole log again.
    ///
    /// # Errors
    /// When the log cannot be read or the file cannot be written.
    pub fn rebuild(&self, store: &Store) -> Result<(), ViewError> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let lock = open_lock(dir)?;
        flock(&lock, FlockOperation::LockExclusive)
            .map_err(|e| io_error("lock views.lock")(e.into()))?;
        let path = dir.join("views.redb");
        remove(&path)?;
        update_file(&path, store)
    }

    /// The views as the file has them; none when it is missing, damaged or ahead of the log.
    fn stored(&self, size: u64) -> Option<Snapshot> {
        let dir = self.dir.as_ref()?;
        let lock = File::open(dir.join("views.lock")).ok()?;
        flock(&lock, FlockOperation::LockShared).ok()?;
        let mut options = redb::Builder::new();
        options.set_cache_size(CACHE_BYTES_MAX);
        let db: ReadOnlyDatabase = options.open_read_only(dir.join("views.redb")).ok()?;
        let txn = db.begin_read().ok()?;
        let mut below = BTreeMap::new();
        let table = txn.open_table(CURSORS).ok()?;
        for view in ALL {
            let cursor = table.get(view.name).ok()??;
            let (revision, position): Cursor = codec::decode(cursor.value()).ok()?;
            if revision != view.revision || position > size {
                return None;
            }
            below.insert(view.name, position);
        }
        drop(table);
        Some(Snapshot { below: Some((txn, below, lock)), fresh: BTreeMap::new(), size: 0 })
    }
}

fn open_lock(dir: &Path) -> Result<File, ViewError> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    options.open(dir.join("views.lock")).map_err(io_error("open views.lock"))
}

fn remove(path: &Path) -> Result<(), ViewError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io_error("remove views.redb")(e)),
        _ => Ok(()),
    }
}

fn io_error(what: &str) -> impl FnOnce(std::io::Error) -> ViewError {
    let what = what.to_owned();
    move |source| ViewError::Io { what, source }
}

fn update_file(path: &Path, store: &Store) -> Result<(), ViewError> {
    let size = store.read(|log| Ok::<_, ViewError>(log.size()))?;
    let db = Database::create(path)?;
    let mut txn = db.begin_write()?;
    txn.set_quick_repair(true);
    {
        let mut cursors = txn.open_table(CURSORS)?;
        let mut from = BTreeMap::new();
        for view in ALL {
            let stored = cursors.get(view.name)?.map(|row| codec::decode::<Cursor>(row.value()));
            let position = match stored {
                Some(Ok((revision, position))) if revision == view.revision && position <= size => {
                    position
                }
                Some(_) => {
                    txn.delete_table(rows(view))?;
                    0
                }
                None => 0,
            };
            from.insert(view.name, position);
        }
        let mut tables = BTreeMap::new();
        for view in ALL {
            tables.insert(view.name, txn.open_table(rows(view))?);
        }
        fold(store, &from, size, |view, envelope, event| match tables.get_mut(view.name) {
            Some(table) => (view.apply)(&mut Stored(table), envelope, event),
            None => Ok(()),
        })?;
        for view in ALL {
            let cursor: Cursor = (view.revision, size);
            cursors.insert(view.name, codec::encode(&cursor).as_slice())?;
        }
    }
    txn.commit()?;
    Ok(())
}

fn rows(view: &Definition) -> Rows {
    TableDefinition::new(view.name)
}

/// Hands each view the events from its cursor to `size` that it takes, in order.
fn fold(
    store: &Store,
    from: &BTreeMap<&'static str, u64>,
    size: u64,
    mut apply: impl FnMut(
        &'static Definition,
        &crate::domain::EnvelopeRef<'_>,
        &Event,
    ) -> Result<(), ViewError>,
) -> Result<(), ViewError> {
    let wanted: Vec<(&'static Definition, Vec<_>)> = ALL
        .iter()
        .map(|view| (view, view.kinds.iter().filter_map(|name| kind_named(name)).collect()))
        .collect();
    let filter = Filter::kinds(wanted.iter().flat_map(|(_, kinds)| kinds.iter().copied()));
    let mut at = from.values().min().copied().unwrap_or(size);
    while at < size {
        let end = size.min(at + POSITIONS_PER_READ);
        store.read(|log| {
            log.scan(at..end, &filter, |envelope| {
                // Kinds of a later version and redacted texts add nothing that this annals knows.
                let Ok(event) = envelope.event() else { return Ok(()) };
                for (view, kinds) in &wanted {
                    let cursor = from.get(view.name).copied().unwrap_or(0);
                    if envelope.header.position >= cursor && kinds.contains(&envelope.header.kind) {
                        apply(view, envelope, &event)?;
                    }
                }
                Ok::<_, ViewError>(())
            })
        })?;
        at = end;
    }
    Ok(())
}

/// All views at one size of the log.
#[derive(Default)]
pub struct Snapshot {
    /// The file's rows, its cursors, and the lock that keeps them as they are.
    below: Option<(ReadTransaction, BTreeMap<&'static str, u64>, File)>,
    fresh: BTreeMap<&'static str, BTreeMap<Vec<u8>, Vec<u8>>>,
    size: u64,
}

impl Snapshot {
    /// The size of the log it shows.
    pub fn size(&self) -> u64 {
        self.size
    }

    fn catch_up(&mut self, store: &Store, size: u64) -> Result<(), ViewError> {
        let from: BTreeMap<&'static str, u64> = ALL
            .iter()
            .map(|view| {
                let cursors = self.below.as_ref().map(|(_, cursors, _)| cursors);
                (view.name, cursors.and_then(|c| c.get(view.name)).copied().unwrap_or(0))
            })
            .collect();
        let (below, fresh) = (&self.below, &mut self.fresh);
        fold(store, &from, size, |view, envelope, event| {
            let fresh = fresh.entry(view.name).or_default();
            let below = |key: &[u8]| stored_row(below.as_ref().map(|(txn, ..)| txn), view, key);
            (view.apply)(&mut Layered { fresh, below }, envelope, event)
        })?;
        self.size = size;
        Ok(())
    }

    /// The row under `key`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn get(&self, view: &Definition, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        match self.fresh.get(view.name).and_then(|rows| rows.get(key)) {
            Some(row) => Ok(Some(row.clone())),
            None => stored_row(self.below.as_ref().map(|(txn, ..)| txn), view, key),
        }
    }

    /// Hands out the rows whose key starts with `prefix`, in key order.
    ///
    /// # Errors
    /// What `each` returns; when the file cannot be read.
    pub(super) fn scan(
        &self,
        view: &Definition,
        prefix: &[u8],
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), ViewError>,
    ) -> Result<(), ViewError> {
        let empty = BTreeMap::new();
        let fresh = self.fresh.get(view.name).unwrap_or(&empty);
        let from_prefix = |(key, _): &(&Vec<u8>, &Vec<u8>)| key.starts_with(prefix);
        let mut fresh = fresh.range(prefix.to_vec()..).take_while(from_prefix).peekable();
        if let Some((txn, ..)) = &self.below {
            let table = match txn.open_table(rows(view)) {
                Ok(table) => Some(table),
                Err(TableError::TableDoesNotExist(_)) => None,
                Err(error) => return Err(error.into()),
            };
            for row in table
                .iter()
                .map(|table| table.range(prefix..))
                .flat_map(Result::into_iter)
                .flatten()
            {
                let (key, value) = row?;
                if !key.value().starts_with(prefix) {
                    break;
                }
                while let Some((k, v)) = fresh.next_if(|(k, _)| k.as_slice() < key.value()) {
                    each(k, v)?;
                }
                match fresh.next_if(|(k, _)| k.as_slice() == key.value()) {
                    Some((k, v)) => each(k, v)?,
                    None => each(key.value(), value.value())?,
                }
            }
        }
        fresh.try_for_each(|(key, value)| each(key, value))
    }

    /// Every row of every view, for comparing.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn dump(&self) -> Result<Vec<Row>, ViewError> {
        let mut all = Vec::new();
        for view in ALL {
            self.scan(view, &[], |key, value| {
                all.push((view.name, key.to_vec(), value.to_vec()));
                Ok(())
            })?;
        }
        Ok(all)
    }
}

fn stored_row(
    txn: Option<&ReadTransaction>,
    view: &Definition,
    key: &[u8],
) -> Result<Option<Vec<u8>>, ViewError> {
    let Some(txn) = txn else { return Ok(None) };
    match txn.open_table(rows(view)) {
        Ok(table) => Ok(table.get(key)?.map(|row| row.value().to_vec())),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
