//! Opening for the length of one call. [`Store`] is a cheap handle; it takes the lock, opens the
//! database, and closes both before it returns, so that no process keeps another one out for
//! longer than a transaction.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redb::{Builder, Database, DatabaseError, ReadableDatabase as _, ReadableTable as _};

use super::backend::{Boxed, LogFiles, OnDisk, Overlay};
use super::block::RecentBlocks;
use super::lenient::{DamageLog, Lost};
use super::lock::is_read_only;
use super::read::stored_state;
use super::schema::{Access, FORMAT_MAJOR, FORMAT_MINOR, META_FORMAT, Reading, Tables, Writing};
use super::{Lock, LockGuard, Reader, StoreError, View, Writer};
use crate::base::limits::LOCK_WAIT_MAX;
use crate::base::{Env, codec, failpoint};
use crate::tlog::NoteSigner;

/// Bounds what one opening keeps of the file in memory; scans gain nothing from more.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// How long a burst holds the lock before it lets others in.
const BURST_MAX: Duration = Duration::from_millis(50);

/// Between two tries to open a file that a killed process has not let go of yet.
const OPEN_RETRY: Duration = Duration::from_millis(5);

const FILE_NAME: &str = "log.redb";

/// The log of one workspace, or a copied log.
#[derive(Clone, Debug)]
pub struct Store {
    files: Arc<dyn LogFiles>,
    /// None for a copied log, which is only read.
    lock: Option<Lock>,
    env: Env,
    /// None where damage is an error.
    losses: Option<DamageLog>,
}

/// Who writes, and how.
#[derive(Clone, Copy, Debug)]
pub struct WriteOptions<'a> {
    /// The verb, for the message of those who wait.
    pub verb: &'a str,
    /// How long to wait for the lock; none for as long as it takes (recorders).
    pub wait_max: Option<Duration>,
    /// Signs log checkpoints; none leaves the tail unsigned.
    pub signer: Option<&'a NoteSigner>,
}

impl<'a> WriteOptions<'a> {
    /// An interactive verb: gives up after [`LOCK_WAIT_MAX`].
    pub fn interactive(verb: &'a str, signer: Option<&'a NoteSigner>) -> Self {
        Self { verb, wait_max: Some(LOCK_WAIT_MAX), signer }
    }

    /// A recorder: never gives up.
    pub fn recorder(verb: &'a str, signer: Option<&'a NoteSigner>) -> Self {
        Self { verb, wait_max: None, signer }
    }
}

impl Store {
    /// Makes an empty log in `dir` (a workspace's `.annals`). A crash leaves a whole log or none.
    ///
    /// # Errors
    /// [`StoreError::Exists`] where there is one.
    pub fn create(dir: &Path, env: Env) -> Result<Self, StoreError> {
        let store = Self::in_dir(dir, env);
        store.create_with(&WriteOptions::interactive("init", None))?;
        Ok(store)
    }

    /// The log in `dir`.
    ///
    /// # Errors
    /// [`StoreError::NoLog`] where there is none.
    pub fn open(dir: &Path, env: Env) -> Result<Self, StoreError> {
        let path = dir.join(FILE_NAME);
        if path.is_file() { Ok(Self::in_dir(dir, env)) } else { Err(StoreError::NoLog { path }) }
    }

    /// Whether `dir`, a workspace's `.annals`, holds what only a log that was used leaves behind.
    /// Lock files and an unfinished log are what a crash of `annals init` leaves.
    pub fn was_used(dir: &Path) -> bool {
        let begun = ["lock", "lock.gate", FILE_NAME, "log.redb.new"];
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        let is_ours = |name: &str| names.iter().any(|found| found == name);
        // A folder of that name that is somebody else's holds none of these.
        let ours = [FILE_NAME, "views.redb", "blobs", "exports.json", "place.json"];
        ours.iter().any(|name| is_ours(name))
            && names.iter().any(|name| !begun.iter().any(|known| name == known))
    }

    /// A copied log, for reading only and without its workspace.
    ///
    /// # Errors
    /// [`StoreError::NoLog`] where there is no file.
    pub fn open_file(path: &Path, env: Env) -> Result<Self, StoreError> {
        if !path.is_file() {
            return Err(StoreError::NoLog { path: path.to_owned() });
        }
        Ok(Self { files: Arc::new(OnDisk(path.to_owned())), lock: None, env, losses: None })
    }

    /// A log on other files; tests put faults in between. Without a lock it is only read.
    pub fn with_files(files: Arc<dyn LogFiles>, lock: Option<Lock>, env: Env) -> Self {
        Self { files, lock, env, losses: None }
    }

    /// This handle, reading past what is damaged: [`Self::lost`] then tells what was left out.
    #[must_use]
    pub fn tolerate_damage(self) -> Self {
        Self { losses: Some(DamageLog::default()), ..self }
    }

    /// What readers of this handle had to leave out so far.
    pub fn lost(&self) -> Vec<Lost> {
        self.losses.as_ref().map(DamageLog::all).unwrap_or_default()
    }

    fn in_dir(dir: &Path, env: Env) -> Self {
        let files = Arc::new(OnDisk(dir.join(FILE_NAME)));
        Self { files, lock: Some(Lock::new(dir)), env, losses: None }
    }

    /// Makes an empty log on this handle's files.
    ///
    /// # Errors
    /// [`StoreError::Exists`] where there is one.
    pub fn create_with(&self, options: &WriteOptions<'_>) -> Result<(), StoreError> {
        let _held = self.lock_for_writing(options)?;
        let backend = self.files.create().map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => StoreError::Exists { path: self.path() },
            _ => self.failed("create")(e),
        })?;
        let db = builder().create_with_backend(Boxed(backend))?;
        let mut txn = db.begin_write()?;
        txn.set_quick_repair(true);
        {
            let mut tables = Tables::<Writing<'_>>::open(&txn)?;
            let format = codec::encode(&(FORMAT_MAJOR, FORMAT_MINOR));
            tables.meta.insert(META_FORMAT, format.as_slice())?;
        }
        txn.commit().map_err(|e| StoreError::Unsure { source: Box::new(e.into()) })?;
        drop(db);
        self.files.publish().map_err(self.failed("create"))
    }

    /// Where the log is.
    pub fn path(&self) -> PathBuf {
        self.files.path().to_owned()
    }

    /// The clock and entropy it appends with.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// Reads the log as of now. Keep `f` short: writers wait for it; long scans read one range of
    /// blocks per call. Never call the store again inside `f`.
    ///
    /// # Errors
    /// What `f` returns; [`StoreError::Busy`], [`StoreError::NoLog`],
    /// [`StoreError::NewerFormat`], damage.
    pub fn read<T, E: From<StoreError>>(
        &self,
        f: impl FnOnce(&Reader) -> Result<T, E>,
    ) -> Result<T, E> {
        self.on_pages(|| {
            let _held = self.lock_for_reading()?;
            let db = self.open_overlay()?;
            let txn = db.begin_read().map_err(StoreError::from)?;
            let tables = Tables::<Reading>::open(&txn).map_err(StoreError::from)?;
            check_format(&tables, false)?;
            let state = stored_state(&tables)?;
            let (losses, recent) = (self.losses.clone(), Some(RecentBlocks::default()));
            f(&View { tables, state, fresh: BTreeMap::new(), losses, recent })
        })
    }

    /// Runs `f` in one write transaction: either all it appended is durable when this returns
    /// `Ok`, or nothing is there. Never call the store again inside `f`.
    ///
    /// # Errors
    /// What `f` returns; [`StoreError::Busy`], [`StoreError::ReadOnly`],
    /// [`StoreError::NewerFormat`]; [`StoreError::Unsure`] when a commit failed in a way that
    /// leaves open whether it took place: ask the log on the next opening.
    pub fn write<T, E: From<StoreError>>(
        &self,
        options: &WriteOptions<'_>,
        f: impl FnOnce(&mut Writer<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.on_pages(|| self.burst(options)?.write(f))
    }

    /// Takes the lock and opens the log for a few commits in a row; what a recorder with several
    /// groups waiting does. Stop when [`Burst::has_time`] says so.
    ///
    /// # Errors
    /// [`StoreError::Busy`], [`StoreError::ReadOnly`], [`StoreError::NewerFormat`], damage.
    pub fn burst<'a>(&'a self, options: &WriteOptions<'a>) -> Result<Burst<'a>, StoreError> {
        let held = self.lock_for_writing(options)?;
        let db = self.database_for_writing()?;
        {
            let txn = db.begin_read()?;
            check_format(&Tables::<Reading>::open(&txn)?, true)?;
        }
        Ok(Burst {
            db: Some(db),
            env: &self.env,
            signer: options.signer,
            started: Instant::now(),
            _held: held,
        })
    }

    /// Makes the file as small as its content. Keeps everybody out meanwhile; a crash leaves a
    /// database that the next writer repairs by reading it once.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn compact(&self, options: &WriteOptions<'_>) -> Result<(), StoreError> {
        let mut burst = self.burst(options)?;
        let db = burst.db.as_mut().ok_or(StoreError::Dropped)?;
        while db.compact()? {}
        Ok(())
    }

    pub(super) fn files(&self) -> &dyn LogFiles {
        &*self.files
    }

    pub(super) fn lock_for_reading(&self) -> Result<Option<LockGuard>, StoreError> {
        self.lock.as_ref().map(|lock| lock.read(Some(LOCK_WAIT_MAX))).transpose()
    }

    fn lock_for_writing(&self, options: &WriteOptions<'_>) -> Result<LockGuard, StoreError> {
        let lock = self.lock.as_ref().ok_or_else(|| StoreError::ReadOnly { path: self.path() })?;
        lock.write(options.verb, options.wait_max).map_err(|e| match e {
            StoreError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                StoreError::NoLog { path: self.path() }
            }
            StoreError::Io { source, .. } if is_read_only(&source) => {
                StoreError::ReadOnly { path: self.path() }
            }
            other => other,
        })
    }

    /// Who holds the log's own lock finds redb's taken only by a process that was killed and that
    /// the kernel has not cleared away yet, or by a program that is not annals: waits for it.
    fn database_for_writing(&self) -> Result<Database, StoreError> {
        let started = Instant::now();
        loop {
            let backend = self.files.open(true).map_err(|e| match e {
                e if is_read_only(&e) => StoreError::ReadOnly { path: self.path() },
                e => self.missing_or_failed(e),
            })?;
            match self.database(backend) {
                Err(error) if is_open_elsewhere(&error) => {
                    if started.elapsed() >= LOCK_WAIT_MAX {
                        let holder = "a program that does not take the log's lock".to_owned();
                        let waited_ms = started.elapsed().as_millis();
                        return Err(StoreError::Busy { holder, waited_ms });
                    }
                    std::thread::sleep(OPEN_RETRY);
                }
                opened => return opened,
            }
        }
    }

    pub(super) fn open_overlay(&self) -> Result<Database, StoreError> {
        let below = self.files.open(false).map_err(|e| self.missing_or_failed(e))?;
        let overlay = Overlay::new(below).map_err(self.failed("read"))?;
        self.database(Box::new(overlay))
    }

    /// redb makes a database of an empty file; for annals that is no log.
    fn database(&self, backend: Box<dyn redb::StorageBackend>) -> Result<Database, StoreError> {
        if backend.len().map_err(self.failed("read"))? == 0 {
            return Err(StoreError::Empty { path: self.path() });
        }
        builder().create_with_backend(Boxed(backend)).map_err(|e| match e {
            DatabaseError::Storage(redb::StorageError::Io(e))
                if e.kind() == io::ErrorKind::InvalidData =>
            {
                StoreError::corrupt(format!("{} is not a log", self.path().display()))
            }
            other => match StoreError::from(other) {
                StoreError::Corrupt { what } => StoreError::Pages { path: self.path(), what },
                other => other,
            },
        })
    }

    fn missing_or_failed(&self, error: io::Error) -> StoreError {
        match error.kind() {
            io::ErrorKind::NotFound => StoreError::NoLog { path: self.path() },
            _ => self.failed("open")(error),
        }
    }

    pub(super) fn failed(&self, what: &str) -> impl FnOnce(io::Error) -> StoreError + use<> {
        StoreError::io(format!("{what} {}", self.files.path().display()))
    }
}

/// The log, locked and open for a few commits in a row.
pub struct Burst<'a> {
    // Closed before the lock is let go: fields drop in this order.
    db: Option<Database>,
    env: &'a Env,
    signer: Option<&'a NoteSigner>,
    started: Instant,
    _held: LockGuard,
}

impl Burst<'_> {
    /// Whether another commit is fair to those who wait.
    pub fn has_time(&self) -> bool {
        self.db.is_some() && self.started.elapsed() < BURST_MAX
    }

    pub(super) fn database(&self) -> Result<&Database, StoreError> {
        self.db.as_ref().ok_or(StoreError::Dropped)
    }

    /// Closes the database; the lock stays.
    pub(super) fn close(&mut self) {
        self.db = None;
    }

    /// Runs `f` in one write transaction, as [`Store::write`] does.
    ///
    /// # Errors
    /// As [`Store::write`]; after [`StoreError::Unsure`] this burst can only be dropped.
    pub fn write<T, E: From<StoreError>>(
        &mut self,
        f: impl FnOnce(&mut Writer<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let db = self.db.as_ref().ok_or(StoreError::Dropped)?;
        let mut txn = db.begin_write().map_err(StoreError::from)?;
        txn.set_quick_repair(true);
        let (value, changed) = {
            let tables = Tables::<Writing<'_>>::open(&txn).map_err(StoreError::from)?;
            let mut writer = Writer::new(tables, self.env, self.signer)?;
            let value = f(&mut writer)?;
            (value, writer.finish()?)
        };
        if !changed {
            txn.abort().map_err(StoreError::from)?;
            return Ok(value);
        }
        failpoint::hit();
        if let Err(error) = txn.commit() {
            self.db = None;
            return Err(StoreError::Unsure { source: Box::new(error.into()) }.into());
        }
        failpoint::hit();
        Ok(value)
    }
}

fn is_open_elsewhere(error: &StoreError) -> bool {
    matches!(error, StoreError::Database { source }
        if matches!(**source, redb::Error::DatabaseAlreadyOpen))
}

pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn check_format<A: Access>(tables: &Tables<A>, write: bool) -> Result<(), StoreError> {
    let row = tables.meta.get(META_FORMAT)?;
    let row = row.ok_or_else(|| StoreError::corrupt("it has no format version"))?;
    let (major, minor): (u16, u16) =
        codec::decode(row.value()).map_err(StoreError::malformed(META_FORMAT))?;
    if major > FORMAT_MAJOR || (write && minor > FORMAT_MINOR) {
        return Err(StoreError::NewerFormat {
            found: format!("{major}.{minor}"),
            supported: format!("{FORMAT_MAJOR}.{FORMAT_MINOR}"),
            does: if write { "writes" } else { "reads" },
        });
    }
    Ok(())
}
