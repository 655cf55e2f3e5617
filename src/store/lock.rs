//! The log's own lock: a turnstile of two files. Writers are exclusive, readers shared, and a
//! waiting writer stops new readers, because everyone passes the gate to enter the room and a
//! writer keeps the gate while it waits for the room to empty.
//!
//! Waiting blocks in `flock`; it never polls. A wait with a deadline happens in a helper thread,
//! which lets go by itself when it gets the lock too late. The kernel releases everything when a
//! process dies, so a crash leaves at most a stale text in the lock file.
//!
//! Never take the lock again in a thread that holds it: a writer waiting in between stops both.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use super::StoreError;
use crate::base::confine;

/// The lock of one log. Clones share the queue of this process's threads.
#[derive(Clone, Debug)]
pub struct Lock {
    gate: PathBuf,
    room: PathBuf,
    queue: Arc<Queue>,
}

/// The lock, held until dropped.
#[derive(Debug)]
pub struct LockGuard {
    room: Option<File>,
    writer: bool,
    queue: Option<Arc<Queue>>,
}

/// Threads of one process that want to write wait here, so that one of them waits in the kernel.
#[derive(Debug, Default)]
struct Queue {
    taken: Mutex<bool>,
    free: Condvar,
}

impl Lock {
    /// The lock on the files `lock` and `lock.gate` in `dir`.
    pub fn new(dir: &Path) -> Self {
        let (gate, room) = (dir.join("lock.gate"), dir.join("lock"));
        Self { gate, room, queue: Arc::default() }
    }

    /// Waits until no writer is in the room. Where the lock files are missing and cannot be made
    /// (a read-only folder), there is nobody to wait for.
    ///
    /// # Errors
    /// [`StoreError::Busy`] after `wait_max`; [`StoreError::Io`].
    pub fn read(&self, wait_max: Option<Duration>) -> Result<LockGuard, StoreError> {
        let room = match self.open_files() {
            Ok(files) => Some(self.enter(files, false, wait_max, Instant::now())?),
            Err(e) if is_read_only(&e) => None,
            Err(e) => return Err(self.failed(e)),
        };
        Ok(LockGuard { room, writer: false, queue: None })
    }

    /// Waits until the room is empty and writes pid and `verb` on its door.
    ///
    /// # Errors
    /// [`StoreError::Busy`] after `wait_max`; [`StoreError::Io`].
    pub fn write(&self, verb: &str, wait_max: Option<Duration>) -> Result<LockGuard, StoreError> {
        let started = Instant::now();
        self.queue.take(wait_max).ok_or_else(|| self.busy(started))?;
        // From here on dropping the guard passes the queue on, also when an error returns early.
        let mut guard = LockGuard { room: None, writer: true, queue: Some(self.queue.clone()) };
        let files = self.open_files().map_err(|e| self.failed(e))?;
        let mut room = self.enter(files, true, wait_max, started)?;
        let holder = format!("{} {verb}\n", std::process::id());
        // The text only serves a time-out message; in a read-only folder it cannot be written.
        let written = room.rewind().and_then(|()| room.write_all(holder.as_bytes()));
        let _ = written.and_then(|()| room.set_len(holder.len() as u64));
        guard.room = Some(room);
        Ok(guard)
    }

    fn open_files(&self) -> io::Result<(File, File)> {
        Ok((open_lock_file(&self.gate)?, open_lock_file(&self.room)?))
    }

    fn enter(
        &self,
        (gate, room): (File, File),
        exclusive: bool,
        wait_max: Option<Duration>,
        started: Instant,
    ) -> Result<File, StoreError> {
        let (now, later) = if exclusive {
            (FlockOperation::NonBlockingLockExclusive, FlockOperation::LockExclusive)
        } else {
            (FlockOperation::NonBlockingLockShared, FlockOperation::LockShared)
        };
        let passed = try_flock(&gate, FlockOperation::NonBlockingLockExclusive);
        if passed.map_err(|e| self.failed(e))?
            && try_flock(&room, now).map_err(|e| self.failed(e))?
        {
            return Ok(room);
        }
        let wait = move || -> io::Result<File> {
            wait_flock(&gate, FlockOperation::LockExclusive)?;
            wait_flock(&room, later)?;
            Ok(room)
        };
        let Some(wait_max) = wait_max else { return wait().map_err(|e| self.failed(e)) };
        let (sender, receiver) = mpsc::sync_channel(0);
        // Too late, nobody receives: the file is dropped and with it the lock.
        let spawned = std::thread::Builder::new()
            .name("log-lock".into())
            .spawn(move || drop(sender.send(wait())));
        spawned.map_err(|e| self.failed(e))?;
        match receiver.recv_timeout(wait_max.saturating_sub(started.elapsed())) {
            Ok(entered) => entered.map_err(|e| self.failed(e)),
            Err(_) => Err(self.busy(started)),
        }
    }

    fn busy(&self, started: Instant) -> StoreError {
        let mut holder = String::new();
        let read = File::open(&self.room).and_then(|f| f.take(256).read_to_string(&mut holder));
        let holder = match holder.trim().split_once(' ') {
            Some((pid, verb)) if read.is_ok() => format!("process {pid} (annals {verb})"),
            _ => other_holder(&self.gate)
                .or_else(|| other_holder(&self.room))
                .unwrap_or_else(|| "processes that are reading it".to_owned()),
        };
        StoreError::Busy { holder, waited_ms: started.elapsed().as_millis() }
    }

    fn failed(&self, source: io::Error) -> StoreError {
        StoreError::io(format!("lock {}", self.room.display()))(source)
    }
}

/// Takes the lock on another file than the log's, such as `views.lock`. Where it is taken, the
/// wait ends after `wait_max` with an error that names the holder.
///
/// # Errors
/// [`StoreError::Held`] after `wait_max`; [`StoreError::Io`].
pub fn lock_file_within(
    path: &Path,
    operation: FlockOperation,
    wait_max: Duration,
) -> Result<File, StoreError> {
    let failed = |e: io::Error| StoreError::io(format!("lock {}", path.display()))(e);
    let file = confine::lock_file(path).map_err(failed)?;
    let now = match operation {
        FlockOperation::LockShared => FlockOperation::NonBlockingLockShared,
        _ => FlockOperation::NonBlockingLockExclusive,
    };
    let started = Instant::now();
    if try_flock(&file, now).map_err(failed)? {
        return Ok(file);
    }
    // Too late, nobody receives: the file is dropped and with it the lock.
    let (sender, receiver) = mpsc::sync_channel(0);
    let wait = move || wait_flock(&file, operation).map(|()| file);
    let spawned = std::thread::Builder::new()
        .name("file-lock".into())
        .spawn(move || drop(sender.send(wait())));
    spawned.map_err(failed)?;
    match receiver.recv_timeout(wait_max) {
        Ok(locked) => locked.map_err(failed),
        Err(_) => Err(StoreError::Held {
            file: format!(".annals/{}", path.file_name().unwrap_or_default().to_string_lossy()),
            holder: other_holder(path).unwrap_or_else(|| "another part of this process".into()),
            waited_ms: started.elapsed().as_millis(),
        }),
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        if let Some(room) = self.room.take()
            && self.writer
        {
            // A stale text would only name the wrong holder in somebody's time-out message.
            let _ = room.set_len(0);
        }
        if let Some(queue) = self.queue.take() {
            queue.give();
        }
    }
}

impl Queue {
    fn take(&self, wait_max: Option<Duration>) -> Option<()> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = match wait_max {
            None => self.free.wait_while(taken, |t| *t).unwrap_or_else(PoisonError::into_inner),
            Some(wait) => {
                let waited = self.free.wait_timeout_while(taken, wait, |t| *t);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        if *taken {
            return None;
        }
        *taken = true;
        Some(())
    }

    fn give(&self) {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.free.notify_one();
    }
}

/// Another process that holds a lock on `file`, as the kernel lists it: also a program that is not
/// annals and wrote no name.
fn other_holder(file: &Path) -> Option<String> {
    let inode = format!(":{}", file.metadata().ok()?.ino());
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let own = std::process::id().to_string();
    let pid = locks.lines().find_map(|line| {
        // `1: FLOCK  ADVISORY  WRITE 4711 08:01:123 0 EOF`; one that waits has `->` instead.
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, pid, of, ..] = words.as_slice() else { return None };
        (of.ends_with(&inode) && *pid != own).then(|| (*pid).to_owned())
    })?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name = if name.trim().is_empty() { "unknown" } else { name.trim() };
    let file = file.file_name().unwrap_or_default().to_string_lossy();
    let holder = format!("process {pid} ({name})");
    // The log is named as such in the message; its lock is one of two files.
    let of_log = file.starts_with("lock");
    Some(if of_log { format!("{holder}, which holds .annals/{file}") } else { holder })
}

fn open_lock_file(path: &Path) -> io::Result<File> {
    match confine::lock_file(path) {
        Err(e) if is_read_only(&e) => File::open(path).map_err(|_| e),
        opened => opened,
    }
}

pub(super) fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

fn try_flock(file: &File, operation: FlockOperation) -> io::Result<bool> {
    match flock(file, operation) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

fn wait_flock(file: &File, operation: FlockOperation) -> io::Result<()> {
    Ok(rustix::io::retry_on_intr(|| flock(file, operation))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Option<Duration> = Some(Duration::from_millis(50));

    #[test]
    fn writers_are_exclusive_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (Lock::new(dir.path()), Lock::new(dir.path()));
        let held = one.write("train", None).unwrap();
        for lock in [&one, &other] {
            let error = lock.write("promote", SHORT).unwrap_err().to_string();
            assert!(error.contains("(annals train)"), "{error}");
        }
        assert!(other.read(SHORT).unwrap_err().to_string().contains("(annals train)"));
        drop(held);
        drop(other.write("promote", SHORT).unwrap());
        let (_one, _two) = (one.read(SHORT).unwrap(), other.read(SHORT).unwrap());
        assert!(other.write("promote", SHORT).is_err());
    }

    #[test]
    fn a_wait_for_another_file_is_bounded_and_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("views.lock");
        let wait = Duration::from_millis(50);
        let take = |operation| lock_file_within(&path, operation, wait);
        let held = take(FlockOperation::LockExclusive).unwrap();
        for operation in [FlockOperation::LockShared, FlockOperation::LockExclusive] {
            let error = take(operation).unwrap_err().to_string();
            assert!(error.starts_with(".annals/views.lock is in use by "), "{error}");
        }
        drop(held);
        let _shared = [take(FlockOperation::LockShared), take(FlockOperation::LockShared)];
        assert!(take(FlockOperation::LockExclusive).is_err());
    }

    #[test]
    fn a_waiting_writer_stops_new_readers_and_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        let lock = Lock::new(dir.path());
        let reader = lock.read(None).unwrap();
        let (sender, receiver) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _held = lock.write("train", None).unwrap();
                sender.send("writer").unwrap();
            });
            // The gate is taken as soon as the writer waits at the room's door.
            while lock.read(Some(Duration::from_millis(5))).is_ok() {}
            drop(reader);
            drop(lock.read(None).unwrap());
            sender.send("reader").unwrap();
        });
        assert_eq!(receiver.iter().take(2).collect::<Vec<_>>(), ["writer", "reader"]);
    }
}
