//! Brings views up to date, and gives readers a snapshot that is.
//!
//! Lock order: the log is read in short openings while `views.lock` is held; nobody waits for
//! `views.lock` with the log open.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{
    Database, ReadOnlyDatabase, ReadTransaction, ReadableDatabase as _, ReadableTableMetadata as _,
    TableDefinition, TableError,
};
use rustix::fs::{FlockOperation, flock};

use super::allowed::{fold, judge};
use super::kv::Layered;
use super::proof::{Proof, Seal, Trust, ViewsKey};
use super::update::{ViewsFile, update_file};
use super::views_lock::{lock_shared, open_lock, wait_for_lock};
use super::{ALL, Definition, ViewError, view_snapshot, violations};
use crate::base::{Digest, codec, parallel};
use crate::domain::history::History;
use crate::store::Store;

pub(super) type Rows = TableDefinition<'static, &'static [u8], &'static [u8]>;

pub(super) const CURSORS_NAME: &str = "cursors";
pub(super) const CURSORS: TableDefinition<'static, &'static str, &'static [u8]> =
    TableDefinition::new(CURSORS_NAME);

/// Each comparison reads all rows that are kept: more would cost more than folding the log.
const KEPT_COMPARED_MAX: u64 = 16;

/// Most of what a reader keeps of the file: it passes over most pages once, and the system has
/// them in memory already.
const CACHE_BYTES_MAX: usize = 1024 * 1024;

/// Threads that read rows at most: more wait for the same memory.
const PARTS_MAX: usize = 8;

/// The views of one log.
#[derive(Clone, Debug)]
pub struct Views {
    dir: Option<PathBuf>,
    /// Without it nothing is stored, and nothing that is stored counts.
    key: Option<ViewsKey>,
    trust: Trust,
    /// Events between kept states, which is also how many are folded per opening of the log, so
    /// that writers are never kept out for long.
    interval: u64,
}

/// Where a view stands: the cursor is the position it will read next.
pub(super) type Cursor = (u32, u64);

impl Views {
    /// The views beside the log in `dir`, proven with the user's `key`.
    pub fn new(dir: &Path, key: Option<ViewsKey>) -> Self {
        let interval = view_snapshot::EVENTS;
        Self { dir: Some(dir.to_owned()), key, trust: Trust::Sealed, interval }
    }

    /// Views of a log that stands alone: always folded in memory.
    pub fn in_memory() -> Self {
        let interval = view_snapshot::EVENTS;
        Self { dir: None, key: None, trust: Trust::Sealed, interval }
    }

    /// The same, where stored views count only if all their rows were read and fit the proof: for
    /// decisions about many runs at once.
    #[must_use]
    pub fn summed(mut self) -> Self {
        self.trust = Trust::Summed;
        self
    }

    /// The same, where whatever is stored counts: for comparing it with the log.
    #[must_use]
    pub fn unproven(mut self) -> Self {
        self.trust = Trust::Unproven;
        self
    }

    /// The views beside a log that nobody else reads, with kept states closer together.
    #[cfg(test)]
    pub(super) fn keeping(dir: &Path, key: ViewsKey, interval: u64) -> Self {
        Self { interval, ..Self::new(dir, Some(key)) }
    }

    /// The size of the log of the kept state from which [`Self::as_of`] starts.
    #[cfg(test)]
    pub(super) fn kept_before(&self, store: &Store, size: u64) -> Option<u64> {
        let snapshot = self.kept(store, size)?;
        snapshot.below.and_then(|below| below.cursors.values().min().copied())
    }

    /// A snapshot of all views at the end of the log.
    ///
    /// # Errors
    /// When the log cannot be read. Views that cannot be read or are not proven are folded anew in
    /// memory.
    pub fn read(&self, store: &Store) -> Result<Snapshot, ViewError> {
        let (mut snapshot, size) = self.stored(store)?;
        snapshot.catch_up(store, size)?;
        Ok(snapshot)
    }

    /// Positions of the events before `size` that were not allowed where they stand; with `points`
    /// also among events of bulk kinds, which are nearly all there is.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn not_allowed(
        &self,
        store: &Store,
        size: u64,
        points: bool,
    ) -> Result<BTreeSet<u64>, ViewError> {
        let (snapshot, _) = self.stored(store)?;
        let cursors = snapshot.below.as_ref().map(|below| &below.cursors);
        let from = cursors.and_then(|cursors| cursors.get(violations::VIEW.name)).copied();
        let found = snapshot.violations()?.into_iter().map(|violation| violation.position);
        let mut found: BTreeSet<u64> = found.filter(|position| *position < size).collect();
        found.extend(judge(store, from.unwrap_or(0)..size, points)?);
        Ok(found)
    }

    /// What is stored and proven, with the size of the log.
    fn stored(&self, store: &Store) -> Result<(Snapshot, u64), ViewError> {
        let below = self.below();
        let proof = below.as_ref().and_then(|below| below.proof);
        let (size, root) = store.read(|log| {
            let size = log.size();
            let at = proof.map(|proof| proof.size).filter(|at| *at <= size);
            let root = at.map(|at| view_snapshot::root_in(log, at)).transpose()?;
            Ok::<_, ViewError>((size, root))
        })?;
        // PRJ-2, and views of another log, or of another history of this one.
        let of_this_log = |below: &Below| {
            below.cursors.values().all(|position| *position <= size)
                && proof.is_none_or(|proof| root == Some(proof.root))
        };
        let below = below.filter(of_this_log);
        Ok((Snapshot { below, ..Snapshot::default() }, size))
    }

    /// A snapshot of all views as they were when the log had `size` events, from the last state
    /// kept before.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn as_of(&self, store: &Store, size: u64) -> Result<Snapshot, ViewError> {
        let mut snapshot = self.kept(store, size).unwrap_or_default();
        snapshot.catch_up(store, size)?;
        Ok(snapshot)
    }

    /// The same from the log alone.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn folded(store: &Store, size: u64) -> Result<Snapshot, ViewError> {
        let mut snapshot = Snapshot::default();
        snapshot.catch_up(store, size)?;
        Ok(snapshot)
    }

    /// The same, and the size of the first kept state on the way that is not what the log adds up
    /// to. Of very many states some are compared, the last among them.
    ///
    /// # Errors
    /// When the log or the file cannot be read.
    pub fn folded_beside_kept(
        &self,
        store: &Store,
        size: u64,
    ) -> Result<(Snapshot, Option<u64>), ViewError> {
        let (mut folded, mut wrong) = (Snapshot::default(), None);
        let last = size / self.interval;
        let step = last.div_ceil(KEPT_COMPARED_MAX).max(1);
        let compared = (1..=last).filter(|interval| (last - interval).is_multiple_of(step));
        for end in compared.map(|interval| interval * self.interval) {
            let is_of_end = |below: &Below| below.cursors.values().all(|at| *at == end);
            let kept = self.kept(store, end);
            let kept = kept.filter(|kept| kept.below.as_ref().is_some_and(is_of_end));
            let Some(kept) = kept.filter(|_| wrong.is_none()) else { continue };
            folded.catch_up(store, end)?;
            if kept.digest()? != folded.digest()? {
                wrong = Some(end);
            }
        }
        folded.catch_up(store, size)?;
        Ok((folded, wrong))
    }

    /// Brings `views.redb` to the end of the log. When another process is at it, leaves it to that
    /// one: readers fold what is missing. Views that are not proven are folded anew. Returns
    /// whether something other than annals had changed them.
    ///
    /// # Errors
    /// When the log cannot be read or the file cannot be written.
    pub fn update(&self, store: &Store) -> Result<bool, ViewError> {
        let (Some(dir), Some(key)) = (&self.dir, &self.key) else { return Ok(false) };
        let lock = open_lock(dir)?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(false);
        }
        let file = ViewsFile { path: dir.join("views.redb"), lock, key, interval: self.interval };
        // redb panics where its pages make no sense.
        let updated = catch_unwind(AssertUnwindSafe(|| update_file(&file, store)));
        if matches!(updated, Ok(Ok(true))) {
            return Ok(false);
        }
        // Whatever it was, the file holds nothing that the log does not.
        drop(file);
        let changed = self.is_changed(store)?;
        self.rebuild(store)?;
        Ok(changed)
    }

    /// Drops every view and every kept state, and folds the whole log again.
    ///
    /// # Errors
    /// When the log cannot be read or the file cannot be written.
    pub fn rebuild(&self, store: &Store) -> Result<(), ViewError> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let lock = wait_for_lock(dir, FlockOperation::LockExclusive)?;
        let path = dir.join("views.redb");
        remove(&path)?;
        let Some(key) = &self.key else { return Ok(()) };
        update_file(&ViewsFile { path, lock, key, interval: self.interval }, store).map(drop)
    }

    /// Whether something other than annals changed what is stored: rows that neither this user's
    /// proof covers nor the log adds up to. Views that another user's annals folded are not.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn is_changed(&self, store: &Store) -> Result<bool, ViewError> {
        let compare = || -> Result<bool, ViewError> {
            if self.clone().summed().below().is_some() {
                return Ok(false);
            }
            let stored = self.clone().unproven();
            let Some(below) = stored.below() else { return Ok(false) };
            let size = below.cursors.values().max().copied().unwrap_or(0);
            // Of a log that was longer, such as one that was put back since: nothing to compare.
            if size > store.read(|log| Ok::<_, ViewError>(log.size()))? {
                return Ok(false);
            }
            let mut found = Snapshot { below: Some(below), ..Snapshot::default() };
            found.catch_up(store, size)?;
            let found = found.digest();
            let (folded, wrong) = stored.folded_beside_kept(store, size)?;
            Ok(wrong.is_some() || found.ok() != Some(folded.digest()?))
        };
        // redb panics where its pages make no sense: that is damage, which is rebuilt as well.
        catch_unwind(AssertUnwindSafe(compare)).unwrap_or(Ok(false))
    }

    /// Removes `views.redb` where a page does not match its checksum, and says whether it did.
    pub fn drop_damaged(&self) -> bool {
        let Some(dir) = &self.dir else { return false };
        let Ok(lock) = open_lock(dir) else { return false };
        // Whoever panicked may still hold it.
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return false;
        }
        let path = dir.join("views.redb");
        let whole = || -> Result<bool, redb::DatabaseError> {
            match fs::symlink_metadata(&path) {
                Ok(meta) if meta.is_file() => Database::open(&path)?.check_integrity(),
                there => Ok(there.is_err()),
            }
        };
        let whole = catch_unwind(AssertUnwindSafe(whole));
        !matches!(whole, Ok(Ok(true))) && remove(&path).is_ok()
    }

    /// Keeps everybody away from the stored views until the returned value is dropped. Before the
    /// log is locked, never after.
    ///
    /// # Errors
    /// When the lock cannot be taken.
    pub fn hold(&self) -> Result<HeldViews, ViewError> {
        let Some(dir) = &self.dir else { return Ok(HeldViews { dir: None, _lock: None }) };
        let lock = wait_for_lock(dir, FlockOperation::LockExclusive)?;
        Ok(HeldViews { dir: Some(dir.clone()), _lock: Some(lock) })
    }

    /// The last state that the file keeps of at most `size` events; none when there is none, or
    /// the log was another then.
    fn kept(&self, store: &Store, size: u64) -> Option<Snapshot> {
        let mut below = self.below()?;
        let (at, root) = view_snapshot::last(&below.txn, size).ok()??;
        let folded = below.cursors.values().all(|position| *position >= at);
        if !folded || view_snapshot::root(store, at).ok()? != root {
            return None;
        }
        below.cursors.values_mut().for_each(|position| *position = at);
        below.interval = Some(at / self.interval - 1);
        Some(Snapshot { below: Some(below), ..Snapshot::default() })
    }

    /// The file, opened for reading; none when it is missing, damaged, of another revision, or not
    /// proven.
    fn below(&self) -> Option<Below> {
        let dir = self.dir.as_ref()?;
        // Views that are being rebuilt are not waited for longer than that: the log is folded.
        let lock = lock_shared(&dir.join("views.lock"))?;
        let seal = Seal::of(&lock, &dir.join("views.redb"));
        // A pipe would be waited for without end, and a link may lead anywhere.
        let file = dir.join("views.redb");
        fs::symlink_metadata(&file).ok().filter(fs::Metadata::is_file)?;
        let mut options = redb::Builder::new();
        options.set_cache_size(CACHE_BYTES_MAX);
        let db: ReadOnlyDatabase = options.open_read_only(file).ok()?;
        let txn = db.begin_read().ok()?;
        let cursors = cursors(&txn)?;
        let proof = match (self.trust, &self.key) {
            (Trust::Unproven, _) => None,
            (trust, Some(key)) => {
                Some(Proof::of(&txn, key).filter(|proof| proof.fits(&txn, key, &seal, trust))?)
            }
            (_, None) => return None,
        };
        Some(Below { txn, cursors, proof, interval: None, _lock: lock })
    }
}

/// Where each view stands; none unless all of them are of this revision.
pub(super) fn cursors(txn: &ReadTransaction) -> Option<BTreeMap<&'static str, u64>> {
    let table = txn.open_table(CURSORS).ok()?;
    let names = ALL.iter().map(|view| (view.name, view.revision));
    let mut cursors = BTreeMap::new();
    for (name, wanted) in names.chain([(view_snapshot::CURSOR, view_snapshot::REVISION)]) {
        let (revision, position): Cursor = codec::decode(table.get(name).ok()??.value()).ok()?;
        if revision != wanted {
            return None;
        }
        cursors.insert(name, position);
    }
    Some(cursors)
}

/// Views that nobody else reads or writes.
#[derive(Debug)]
pub struct HeldViews {
    dir: Option<PathBuf>,
    _lock: Option<File>,
}

impl HeldViews {
    /// Removes everything that is kept of the views, with every text in it.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn remove(&self) -> Result<(), ViewError> {
        self.dir.as_ref().map_or(Ok(()), |dir| remove(&dir.join("views.redb")))
    }
}

pub(super) fn remove(path: &Path) -> Result<(), ViewError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io_error("remove views.redb")(e)),
        _ => Ok(()),
    }
}

pub(super) fn io_error(what: &str) -> impl FnOnce(std::io::Error) -> ViewError {
    let what = what.to_owned();
    move |source| ViewError::Io { what, source }
}

/// What is to be folded, in parts that end where a state is kept.
pub(super) fn windows(
    from: &BTreeMap<&'static str, u64>,
    size: u64,
    interval: u64,
) -> impl Iterator<Item = Range<u64>> {
    let mut at = from.values().min().copied().unwrap_or(size);
    std::iter::from_fn(move || {
        let window = at..size.min((at / interval + 1) * interval);
        at = window.end;
        (!window.is_empty()).then_some(window)
    })
}

pub(super) fn rows(view: &Definition) -> Rows {
    TableDefinition::new(view.name)
}

/// The rows of a file, and the lock that keeps them as they are.
struct Below {
    txn: ReadTransaction,
    cursors: BTreeMap<&'static str, u64>,
    /// None where nothing has to fit.
    proof: Option<Proof>,
    /// The rows are those kept at the end of this stretch; none for the newest.
    interval: Option<u64>,
    _lock: File,
}

impl Below {
    fn get(&self, view: &Definition, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        if let Some(interval) = self.interval {
            return view_snapshot::get(&self.txn, view.name, key, interval);
        }
        match self.txn.open_table(rows(view)) {
            Ok(table) => Ok(table.get(key)?.map(|row| row.value().to_vec())),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn count(&self, view: &Definition) -> u64 {
        let table = self.txn.open_table(rows(view)).ok().filter(|_| self.interval.is_none());
        table.and_then(|table| table.len().ok()).unwrap_or(0)
    }

    /// The rows from a key on as long as `goes_on`; of kept states, those that begin with `from`.
    fn walk(
        &self,
        view: &Definition,
        from: &[u8],
        goes_on: impl Fn(&[u8]) -> bool,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), ViewError>,
    ) -> Result<(), ViewError> {
        if let Some(interval) = self.interval {
            return view_snapshot::scan(&self.txn, view.name, from, interval, each);
        }
        let table = match self.txn.open_table(rows(view)) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(()),
            table => table?,
        };
        for row in table.range(from..)? {
            let (key, value) = row?;
            if !goes_on(key.value()) {
                break;
            }
            each(key.value(), value.value())?;
        }
        Ok(())
    }
}

/// All views at one size of the log.
#[derive(Default)]
pub struct Snapshot {
    below: Option<Below>,
    pub(super) fresh: BTreeMap<&'static str, BTreeMap<Vec<u8>, Vec<u8>>>,
    pub(super) size: u64,
}

impl Snapshot {
    /// The size of the log it shows.
    pub fn size(&self) -> u64 {
        self.size
    }

    fn catch_up(&mut self, store: &Store, size: u64) -> Result<(), ViewError> {
        let below = self.below.as_ref();
        let cursor = |view: &Definition| below.and_then(|b| b.cursors.get(view.name)).copied();
        let from = |view| cursor(view).unwrap_or(0).max(self.size);
        let from = ALL.iter().map(|view| (view.name, from(view))).collect();
        let fresh = &mut self.fresh;
        let mut history = History::tail();
        for window in windows(&from, size, view_snapshot::EVENTS) {
            fold(store, &from, window, &mut history, |view, take| {
                let fresh = fresh.entry(view.name).or_default();
                let below = |key: &[u8]| below.map_or(Ok(None), |below| below.get(view, key));
                take(&mut Layered { fresh, below })
            })?;
        }
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
            None => self.below.as_ref().map_or(Ok(None), |below| below.get(view, key)),
        }
    }

    /// Roughly how many rows a view has, for reserving memory: a broken file may claim anything.
    pub(super) fn count(&self, view: &Definition) -> usize {
        let below = self.below.as_ref().map_or(0, |below| below.count(view));
        usize::try_from(below).unwrap_or(0)
    }

    /// Hands out the rows whose key starts with `prefix`, in key order.
    ///
    /// # Errors
    /// What `each` returns; when the file cannot be read.
    pub(super) fn scan(
        &self,
        view: &Definition,
        prefix: &[u8],
        each: impl FnMut(&[u8], &[u8]) -> Result<(), ViewError>,
    ) -> Result<(), ViewError> {
        self.walk(view, prefix, |key| key.starts_with(prefix), each)
    }

    /// What `each` makes of every row, several at a time, in no order worth relying on.
    ///
    /// # Errors
    /// What `each` returns; when the file cannot be read.
    pub(super) fn gather<T: Send>(
        &self,
        view: &Definition,
        each: impl Fn(&[u8]) -> Result<Option<T>, ViewError> + Sync,
    ) -> Result<Vec<T>, ViewError> {
        // A state of former times is read from its beginning.
        let newest = self.below.as_ref().is_none_or(|below| below.interval.is_none());
        let parts = if newest { parallel::cores().min(PARTS_MAX) } else { 1 };
        // Keys are random ids: each part of the first byte's values has as many as the next.
        let first = |part: usize| u8::try_from(part * 256 / parts).ok();
        let part = |part: usize| {
            let (from, until) = (first(part).unwrap_or_default(), first(part + 1));
            let within = |key: &[u8]| until.is_none_or(|until| key.first() < Some(&until));
            let mut made = Vec::new();
            let from: &[u8] = if part == 0 { &[] } else { &[from] };
            self.walk(view, from, within, |_, row| {
                made.extend(each(row)?);
                Ok(())
            })?;
            Ok::<_, ViewError>(made)
        };
        let numbers: Vec<usize> = (0..parts).collect();
        let made = parallel::map_shares(parts, &numbers, |numbers| {
            numbers.iter().map(|number| part(*number)).collect::<Result<Vec<_>, _>>()
        });
        let mut all = Vec::new();
        for made in made {
            all.extend(made?.into_iter().flatten());
        }
        Ok(all)
    }

    /// The rows from a key on, in order, as long as `goes_on`.
    fn walk(
        &self,
        view: &Definition,
        from: &[u8],
        goes_on: impl Fn(&[u8]) -> bool,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), ViewError>,
    ) -> Result<(), ViewError> {
        let empty = BTreeMap::new();
        let fresh = self.fresh.get(view.name).unwrap_or(&empty);
        let within = |(key, _): &(&Vec<u8>, &Vec<u8>)| goes_on(key);
        let mut fresh = fresh.range(from.to_vec()..).take_while(within).peekable();
        if let Some(below) = &self.below {
            below.walk(view, from, &goes_on, |key, value| {
                while let Some((k, v)) = fresh.next_if(|(k, _)| k.as_slice() < key) {
                    each(k, v)?;
                }
                match fresh.next_if(|(k, _)| k.as_slice() == key) {
                    Some((k, v)) => each(k, v),
                    None => each(key, value),
                }
            })?;
        }
        fresh.try_for_each(|(key, value)| each(key, value))
    }

    /// Digest of every row of every view, for comparing.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn digest(&self) -> Result<Digest, ViewError> {
        let mut hasher = blake3::Hasher::new();
        for view in ALL {
            hasher.update(view.name.as_bytes());
            self.scan(view, &[], |key, value| {
                for part in [key, value] {
                    hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
                }
                Ok(())
            })?;
        }
        Ok(Digest(*hasher.finalize().as_bytes()))
    }
}
