//! A disk in memory that forgets, tears and fails.
//!
//! What was written but not synced may survive a crash sector by sector, in any choice. A failing
//! call may have taken effect all the same.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use annals::stats::random::Stream;
use annals::store::LogFiles;
use redb::StorageBackend;

const SECTOR: usize = 512;

/// What goes wrong at the chosen call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Power goes: nothing that was not synced survives.
    Lose,
    /// Power goes: sectors that were not synced survive at random.
    Tear,
    /// The call fails and does nothing.
    Fail,
    /// The call fails and took effect.
    FailButPersist,
}

/// A disk whose faults are set by the test.
#[derive(Debug, Default)]
pub struct Disk {
    /// What a reader sees.
    now: Vec<u8>,
    /// What survives a crash for certain.
    synced: Vec<u8>,
    exists: bool,
    calls: u64,
    fault: Option<(u64, Fault)>,
    /// After power has gone nothing works before the next start.
    down: bool,
    pub faulted: bool,
    /// For the canary: says that it synced and did not.
    pub lies: bool,
}

#[derive(Clone, Debug)]
pub struct Machine(pub Arc<Mutex<Disk>>);

impl Machine {
    pub fn new() -> Self {
        Self(Arc::default())
    }

    /// Lets call number `at` from now on go wrong.
    pub fn break_at(&self, at: u64, fault: Fault) {
        let mut disk = self.0.lock().unwrap();
        (disk.calls, disk.fault, disk.faulted) = (0, Some((at, fault)), false);
    }

    /// Starts the machine again after power has gone.
    pub fn restart(&self, chance: &mut Stream) {
        let mut disk = self.0.lock().unwrap();
        let torn = matches!(disk.fault, Some((_, Fault::Tear)));
        if disk.down {
            let mut after = disk.synced.clone();
            if torn {
                // The length may have reached the disk without the bytes, and the other way round.
                if chance.below(2) == 0 {
                    after.resize(disk.now.len(), 0);
                }
                let sectors = after.len().min(disk.now.len()).div_ceil(SECTOR);
                for sector in 0..sectors {
                    let start = sector * SECTOR;
                    let end = (start + SECTOR).min(after.len()).min(disk.now.len());
                    if start < end && chance.below(2) == 0 {
                        let bytes = disk.now[start..end].to_vec();
                        after[start..end].copy_from_slice(&bytes);
                    }
                }
            }
            disk.now = after;
            disk.synced = disk.now.clone();
        }
        (disk.down, disk.fault) = (false, None);
    }
}

impl Disk {
    /// Counts a call; tells whether it fails, and whether it takes effect.
    fn call(&mut self) -> (bool, bool) {
        if self.down {
            return (true, false);
        }
        self.calls += 1;
        match self.fault {
            Some((at, fault)) if at == self.calls => {
                self.faulted = true;
                self.down = matches!(fault, Fault::Lose | Fault::Tear);
                (true, fault == Fault::FailButPersist)
            }
            _ => (false, true),
        }
    }
}

impl LogFiles for Machine {
    fn open(&self, _write: bool) -> io::Result<Box<dyn StorageBackend>> {
        if !self.0.lock().unwrap().exists {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Box::new(self.clone()))
    }

    fn create(&self) -> io::Result<Box<dyn StorageBackend>> {
        Ok(Box::new(self.clone()))
    }

    fn publish(&self) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        disk.synced = disk.now.clone();
        disk.exists = true;
        Ok(())
    }

    fn path(&self) -> &Path {
        Path::new("log.redb")
    }
}

fn outcome(failed: bool) -> io::Result<()> {
    if failed { Err(io::Error::other("the disk failed")) } else { Ok(()) }
}

impl StorageBackend for Machine {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.0.lock().unwrap();
        if disk.down {
            return outcome(true);
        }
        let start = usize::try_from(offset).unwrap();
        let bytes = disk.now.get(start..start + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        let (failed, effect) = disk.call();
        if effect {
            disk.now.resize(usize::try_from(len).unwrap(), 0);
        }
        outcome(failed)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        let (failed, effect) = disk.call();
        if effect && !disk.lies {
            disk.synced = disk.now.clone();
        }
        outcome(failed)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        let (failed, effect) = disk.call();
        if effect {
            let start = usize::try_from(offset).unwrap();
            disk.now[start..start + data.len()].copy_from_slice(data);
        }
        outcome(failed)
    }
}
