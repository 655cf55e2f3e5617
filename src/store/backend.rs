//! What redb stands on: the log's file, or a copy-on-write layer over it for readers.
//!
//! Readers always read through [`Overlay`], so a log that a crash left open, one in a read-only
//! folder and a copied one are all read in the same way: whatever redb writes while it opens
//! stays in memory.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use rustix::fs::OFlags;

use crate::base::durable;

/// Where the bytes of a log live; tests put faults in between.
pub trait LogFiles: Debug + Send + Sync {
    /// Opens the log's bytes.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] where there is no log.
    fn open(&self, write: bool) -> io::Result<Box<dyn StorageBackend>>;

    /// Opens empty bytes for a new log, which [`Self::publish`] puts in place when they are whole.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] where there is a log.
    fn create(&self) -> io::Result<Box<dyn StorageBackend>>;

    /// Opens empty bytes for a log that [`Self::publish`] puts in the place of the one that is
    /// there.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] where a log cannot be replaced.
    fn replace(&self) -> io::Result<Box<dyn StorageBackend>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Takes away what [`Self::replace`] opened, as far as that is possible.
    fn discard(&self) {}

    /// Puts the new log in place.
    ///
    /// # Errors
    /// When that fails; there is then no log, or the one that was there.
    fn publish(&self) -> io::Result<()>;

    /// The log's name in messages.
    fn path(&self) -> &Path;
}

/// A log in one file.
#[derive(Debug)]
pub(super) struct OnDisk(pub(super) PathBuf);

impl OnDisk {
    fn new_path(&self) -> PathBuf {
        self.0.with_extension("redb.new")
    }

    fn new_file(&self) -> io::Result<File> {
        // What a crash or somebody left there, a link perhaps, is never written through.
        match fs::remove_file(self.new_path()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => OpenOptions::new().read(true).write(true).create_new(true).open(self.new_path()),
        }
    }
}

impl LogFiles for OnDisk {
    fn open(&self, write: bool) -> io::Result<Box<dyn StorageBackend>> {
        let mut options = OpenOptions::new();
        options.read(true);
        if write {
            // A link would lead to another file, perhaps another log.
            options.write(true).custom_flags(OFlags::NOFOLLOW.bits() as i32);
        }
        let file = options.open(&self.0)?;
        Ok(Box::new(FileBackend::new(file).map_err(io::Error::other)?))
    }

    fn create(&self) -> io::Result<Box<dyn StorageBackend>> {
        if self.0.exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = self.new_file()?;
        Ok(Box::new(FileBackend::new(file).map_err(io::Error::other)?))
    }

    fn replace(&self) -> io::Result<Box<dyn StorageBackend>> {
        let file = self.new_file()?;
        file.set_permissions(fs::metadata(&self.0)?.permissions())?;
        Ok(Box::new(FileBackend::new(file).map_err(io::Error::other)?))
    }

    fn discard(&self) {
        let _ = fs::remove_file(self.new_path());
    }

    fn publish(&self) -> io::Result<()> {
        File::open(self.new_path())?.sync_all()?;
        fs::rename(self.new_path(), &self.0)?;
        durable::sync_parent(&self.0)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

/// Gives redb a backend of any sort.
#[derive(Debug)]
pub(super) struct Boxed(pub(super) Box<dyn StorageBackend>);

impl StorageBackend for Boxed {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
    fn try_lock_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_range(from, to)
    }
    fn try_lock_shared_range(
        &self,
        from: Bound<u64>,
        to: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.0.try_lock_shared_range(from, to)
    }
    fn lock_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_range(from, to)
    }
    fn lock_shared_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_shared_range(from, to)
    }
    fn unlock_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<(), BackendError> {
        self.0.unlock_range(from, to)
    }
    fn query_lock_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<bool, BackendError> {
        self.0.query_lock_range(from, to)
    }
}

const PAGE: u64 = 4_096;

/// Reads what lies below and keeps what is written in memory. It takes no locks below: the
/// caller holds the log's own lock, or reads a file that nobody writes.
#[derive(Debug)]
pub struct Overlay {
    below: Box<dyn StorageBackend>,
    above: RwLock<Above>,
}

#[derive(Debug)]
struct Above {
    pages: BTreeMap<u64, Vec<u8>>,
    len: u64,
    /// Bytes of the file below that still show; less than its length once it was cut.
    below_len: u64,
}

impl Overlay {
    /// Lays an empty layer over `below`.
    ///
    /// # Errors
    /// When the length below cannot be read.
    pub fn new(below: Box<dyn StorageBackend>) -> io::Result<Self> {
        let len = below.len()?;
        let above = Above { pages: BTreeMap::new(), len, below_len: len };
        Ok(Self { below, above: RwLock::new(above) })
    }

    fn read_below(&self, below_len: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = below_len.saturating_sub(offset).min(out.len() as u64) as usize;
        let (head, rest) = out.split_at_mut(there);
        rest.fill(0);
        if head.is_empty() { Ok(()) } else { self.below.read(offset, head) }
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.above.read().unwrap_or_else(PoisonError::into_inner).len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let above = self.above.read().unwrap_or_else(PoisonError::into_inner);
        let end = offset + out.len() as u64;
        if end > above.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read_below(above.below_len, offset, out)?;
        for (page, bytes) in above.pages.range(offset / PAGE..end.div_ceil(PAGE)) {
            let (from, to) = ((page * PAGE).max(offset), ((page + 1) * PAGE).min(end));
            out[(from - offset) as usize..(to - offset) as usize].copy_from_slice(
                &bytes[(from - page * PAGE) as usize..(to - page * PAGE) as usize],
            );
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut above = self.above.write().unwrap_or_else(PoisonError::into_inner);
        if len < above.len {
            above.pages.split_off(&len.div_ceil(PAGE));
            if let Some(bytes) = above.pages.get_mut(&(len / PAGE)) {
                bytes[(len % PAGE) as usize..].fill(0);
            }
        }
        above.below_len = above.below_len.min(len);
        above.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut above = self.above.write().unwrap_or_else(PoisonError::into_inner);
        let end = offset + data.len() as u64;
        for page in offset / PAGE..end.div_ceil(PAGE) {
            if !above.pages.contains_key(&page) {
                let mut bytes = vec![0; PAGE as usize];
                self.read_below(above.below_len, page * PAGE, &mut bytes)?;
                above.pages.insert(page, bytes);
            }
            let (from, to) = ((page * PAGE).max(offset), ((page + 1) * PAGE).min(end));
            if let Some(bytes) = above.pages.get_mut(&page) {
                bytes[(from - page * PAGE) as usize..(to - page * PAGE) as usize]
                    .copy_from_slice(&data[(from - offset) as usize..(to - offset) as usize]);
            }
        }
        above.len = above.len.max(end);
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.below.close()
    }
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::base::Env;
    use crate::base::Timestamp;

    #[test]
    fn an_overlay_behaves_like_a_copy_and_leaves_the_file_alone() {
        let env = Env::fixed(Timestamp(0), 7);
        let (below, copy) = (InMemoryBackend::new(), InMemoryBackend::new());
        let start: Vec<u8> = (0..20_000_u32).map(|i| i as u8).collect();
        for backend in [&below, &copy] {
            backend.set_len(20_000).unwrap();
            backend.write(0, &start).unwrap();
        }
        let overlay = Overlay::new(Box::new(below)).unwrap();
        for round in 0..500 {
            let [a, b, c, d] = env.random::<4>();
            let len = copy.len().unwrap();
            let offset = (u64::from(a) * 256 + u64::from(b)) % len.max(1);
            let count = (u64::from(c) * 40).min(len - offset) as usize;
            if d < 20 {
                let len = u64::from(d) * 1_500;
                overlay.set_len(len).unwrap();
                copy.set_len(len).unwrap();
            } else if d < 128 {
                overlay.write(offset, &vec![d; count]).unwrap();
                copy.write(offset, &vec![d; count]).unwrap();
            }
            let len = copy.len().unwrap();
            assert_eq!(overlay.len().unwrap(), len);
            let (mut one, mut other) = (vec![0; len as usize], vec![0; len as usize]);
            overlay.read(0, &mut one).unwrap();
            copy.read(0, &mut other).unwrap();
            assert!(one == other, "differs in round {round}");
        }
        let mut bytes = vec![0; 20_000];
        overlay.below.read(0, &mut bytes).unwrap();
        assert!(bytes == start);
    }
}
