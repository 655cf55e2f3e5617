//! Proof that `views.redb` is what annals, run by this user, folded from this log.
//!
//! Who can write the workspace can write the views. So views count only with a proof: a MAC under
//! a secret of this user, which is never in the workspace, over the size and root of the log and
//! a sum over all rows. The sum adds up a keyed hash of each row, so that a writer updates it with
//! the rows that it changes.
//!
//! Computing the sum reads every row, which takes longer than most verbs. So a writer also seals
//! the file: a second MAC, stored in `views.lock`, over the inode, size and times of `views.redb`.
//! While they are those that were sealed, the rows are not summed again. Anything that writes to
//! the file breaks the seal; a copied file has none. Then the sum decides.
//!
//! A crash between the commit and the seal only costs a sum: the proof is committed with the rows.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use redb::{ReadTransaction, ReadableTable as _, TableDefinition, TableError};

use super::{ALL, ViewError, runner, view_snapshot};
use crate::base::codec;
use crate::tlog::Hash;

/// The proof's table, which has one row, and that row's key.
pub(super) const PROOF: TableDefinition<'static, &'static str, &'static [u8]> =
    TableDefinition::new("proof");
pub(super) const NEWEST: &str = "newest";

/// Size, root, sum and MAC, as they are stored.
type Stored = (u64, [u8; 32], [u64; 4], [u8; 32]);

/// What the views of one user are proven with.
#[derive(Clone)]
pub struct ViewsKey {
    rows: [u8; 32],
    macs: [u8; 32],
}

impl ViewsKey {
    /// The keys that follow from a secret of the user.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self {
            rows: blake3::derive_key("annals 2026 views rows", secret),
            macs: blake3::derive_key("annals 2026 views macs", secret),
        }
    }
}

impl fmt::Debug for ViewsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ViewsKey")
    }
}

/// How much has to fit before stored views count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// The seal, else the sum over all rows.
    Sealed,
    /// The sum over all rows.
    Summed,
    /// Nothing: what is stored is to be compared with the log.
    Unproven,
}

/// The sum of the keyed hashes of rows, whatever their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RowSum([u64; 4]);

impl RowSum {
    /// Counts a row in: its table, and the parts of its key and its value.
    pub(super) fn add(&mut self, key: &ViewsKey, table: &str, parts: &[&[u8]]) {
        for (sum, hash) in self.0.iter_mut().zip(row_hash(key, table, parts)) {
            *sum = sum.wrapping_add(hash);
        }
    }

    /// Counts a row out.
    pub(super) fn remove(&mut self, key: &ViewsKey, table: &str, parts: &[&[u8]]) {
        for (sum, hash) in self.0.iter_mut().zip(row_hash(key, table, parts)) {
            *sum = sum.wrapping_sub(hash);
        }
    }
}

fn row_hash(key: &ViewsKey, table: &str, parts: &[&[u8]]) -> [u64; 4] {
    let mut hasher = blake3::Hasher::new_keyed(&key.rows);
    for part in [table.as_bytes()].iter().chain(parts) {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    let hash = *hasher.finalize().as_bytes();
    let mut lanes = [0; 4];
    for (lane, bytes) in lanes.iter_mut().zip(hash.as_chunks::<8>().0) {
        *lane = u64::from_le_bytes(*bytes);
    }
    lanes
}

/// The sum over every row of a file.
pub(super) fn sum_of_rows(txn: &ReadTransaction, key: &ViewsKey) -> Result<RowSum, ViewError> {
    let mut sum = RowSum::default();
    for view in ALL {
        let table = match txn.open_table(runner::rows(view)) {
            Err(TableError::TableDoesNotExist(_)) => continue,
            table => table?,
        };
        for row in table.iter()? {
            let (row_key, value) = row?;
            sum.add(key, view.name, &[row_key.value(), value.value()]);
        }
    }
    for row in txn.open_table(runner::CURSORS)?.iter()? {
        let (name, cursor) = row?;
        sum.add(key, runner::CURSORS_NAME, &[name.value().as_bytes(), cursor.value()]);
    }
    view_snapshot::sum(txn, key, &mut sum)?;
    Ok(sum)
}

/// What a file of views was folded from, and the sum over its rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proof {
    pub(super) size: u64,
    pub(super) root: Hash,
    pub(super) sum: RowSum,
}

impl Proof {
    fn mac(&self, key: &ViewsKey) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&key.macs);
        hasher.update(b"proof").update(&self.size.to_le_bytes()).update(&self.root.0);
        for lane in self.sum.0 {
            hasher.update(&lane.to_le_bytes());
        }
        hasher.finalize()
    }

    pub(super) fn encode(&self, key: &ViewsKey) -> Vec<u8> {
        let stored: Stored = (self.size, self.root.0, self.sum.0, *self.mac(key).as_bytes());
        codec::encode(&stored)
    }

    /// The proof that a file has; none without one that this user's annals made.
    pub(super) fn of(txn: &ReadTransaction, key: &ViewsKey) -> Option<Self> {
        let table = txn.open_table(PROOF).ok()?;
        let row = table.get(NEWEST).ok()??;
        let (size, root, sum, mac) = codec::decode::<Stored>(row.value()).ok()?;
        let proof = Self { size, root: Hash(root), sum: RowSum(sum) };
        // `blake3::Hash` compares in constant time.
        (proof.mac(key) == blake3::Hash::from_bytes(mac)).then_some(proof)
    }

    /// Whether the file's rows are those that were proven.
    pub(super) fn fits(
        &self,
        txn: &ReadTransaction,
        key: &ViewsKey,
        seal: &Seal,
        trust: Trust,
    ) -> bool {
        (trust == Trust::Sealed && seal.fits(key, self))
            || sum_of_rows(txn, key).is_ok_and(|sum| sum == self.sum)
    }

    /// Seals the file at `path`, which nobody has open for writing, in its locked lock file.
    ///
    /// # Errors
    /// When the lock file cannot be written; the views then have to be summed.
    pub(super) fn seal(
        &self,
        lock: &File,
        path: &Path,
        key: &ViewsKey,
    ) -> Result<(), std::io::Error> {
        let Some(file) = fingerprint(path) else { return Ok(()) };
        lock.write_all_at(seal_mac(key, &file, self).as_bytes(), 0)?;
        lock.set_len(32)
    }
}

/// A seal as it is stored, and the file that it may be of.
pub(super) struct Seal {
    mac: Option<[u8; 32]>,
    file: Option<[u8; FINGERPRINT_BYTES]>,
}

impl Seal {
    /// The seal in a locked lock file of the file at `path`.
    pub(super) fn of(lock: &File, path: &Path) -> Self {
        let mut mac = [0; 32];
        let read = lock.read_exact_at(&mut mac, 0);
        Self { mac: read.is_ok().then_some(mac), file: fingerprint(path) }
    }

    fn fits(&self, key: &ViewsKey, proof: &Proof) -> bool {
        let stored = self.mac.map(blake3::Hash::from_bytes);
        let found = self.file.as_ref().map(|file| seal_mac(key, file, proof));
        found.is_some() && stored == found
    }
}

const FINGERPRINT_BYTES: usize = 7 * 8;

/// What changes whenever a file is written or replaced. The time of the last change cannot be set
/// by who may write the file.
fn fingerprint(path: &Path) -> Option<[u8; FINGERPRINT_BYTES]> {
    let meta = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file)?;
    let times = [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()];
    let numbers = [meta.dev(), meta.ino(), meta.len()].map(u64::to_le_bytes);
    let mut bytes = [0; FINGERPRINT_BYTES];
    let all = numbers.into_iter().chain(times.map(i64::to_le_bytes));
    for (part, number) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(all) {
        *part = number;
    }
    Some(bytes)
}

fn seal_mac(key: &ViewsKey, file: &[u8; FINGERPRINT_BYTES], proof: &Proof) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(&key.macs);
    hasher.update(b"seal").update(file).update(proof.mac(key).as_bytes());
    hasher.finalize()
}
