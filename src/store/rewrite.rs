//! Taking payloads out: the log is written anew into another file, which takes its place whole.
//!
//! redb does not clear the pages it frees, so no text may ever reach a page of the new file: what
//! changes is changed in a transaction of the old file that is never committed, and the rows that
//! result are copied. Keeps everybody out meanwhile. A crash leaves the old log and at most a
//! `log.redb.new` without the texts, which the next rewriting replaces, or the new log.

use std::collections::BTreeMap;

use super::backend::Boxed;
use super::block;
use super::open::{Burst, builder};
use super::schema::{FORMAT_MAJOR, FORMAT_MINOR, META_FORMAT, Tables, Writing};
use super::{Store, StoreError, WriteOptions, Writer};
use crate::base::limits::BLOCK_PART_BYTES;
use crate::base::{codec, failpoint};
use crate::domain::EnvelopeRef;

impl Writer<'_> {
    /// Puts other stored bytes in the place of events. Their leaves must stay what they are.
    ///
    /// # Errors
    /// When a replacement has another leaf (LOG-2), or the log cannot be read or written.
    pub fn replace(&mut self, events: BTreeMap<u64, Vec<u8>>) -> Result<(), StoreError> {
        for (position, new) in &events {
            let old = self.stored(*position)?;
            let leaf = |stored: &[u8]| {
                let event =
                    EnvelopeRef::decode(stored).map_err(StoreError::malformed(*position))?;
                Ok::<_, StoreError>((event.leaf_data(), event.weight()))
            };
            if leaf(&old)? != leaf(new)? {
                return Err(StoreError::corrupt(format!(
                    "BUG: LOG-2: what replaces event {position} is another event"
                )));
            }
        }
        let sealed = self.state().sealed;
        let mut blocks: BTreeMap<u64, BTreeMap<u64, Vec<u8>>> = BTreeMap::new();
        for (position, new) in events {
            if position >= sealed {
                self.replace_in_tail(position, new)?;
                continue;
            }
            let (first, _) = self
                .block_of(position)?
                .ok_or_else(|| StoreError::corrupt(format!("event {position} is missing")))?;
            blocks.entry(first).or_default().insert(position, new);
        }
        blocks.into_iter().try_for_each(|(first, new)| self.replace_in_block(first, new))
    }

    fn replace_in_block(
        &mut self,
        first: u64,
        mut new: BTreeMap<u64, Vec<u8>>,
    ) -> Result<(), StoreError> {
        let (_, header) = self
            .block_of(first)?
            .ok_or_else(|| StoreError::corrupt(format!("the block at {first} is missing")))?;
        let old = self.unpack(first, &header)?;
        let events: Vec<Vec<u8>> = old
            .iter()
            .map(|(position, stored)| new.remove(&position).unwrap_or_else(|| stored.to_vec()))
            .collect();
        let (header, packed) = block::seal(first, &events)?;
        let tables = self.tables();
        tables.blocks.retain_in((first, 0)..=(first, u16::MAX), |_, _| false)?;
        for (part, bytes) in (0_u16..).zip(packed.chunks(BLOCK_PART_BYTES)) {
            tables.blocks.insert((first, part), bytes)?;
        }
        tables.block_headers.insert(first, codec::encode(&header).as_slice())?;
        Ok(())
    }
}

impl Store {
    /// Runs `f` in one write transaction, as [`Store::write`] does, and writes the log that results
    /// into a new file, so that nothing of what was [replaced](Writer::replace) is left in any
    /// page. Takes as long as reading and writing the whole log, and keeps everybody out meanwhile.
    ///
    /// # Errors
    /// As [`Store::write`]; the log is then as it was.
    pub fn rewrite<T, E: From<StoreError>>(
        &self,
        options: &WriteOptions<'_>,
        f: impl FnOnce(&mut Writer<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let burst = self.burst(options)?;
        let db = burst.database()?;
        let txn = db.begin_write().map_err(StoreError::from)?;
        let (value, changed) = {
            let tables = Tables::<Writing<'_>>::open(&txn).map_err(StoreError::from)?;
            let mut writer = Writer::new(tables, self.env(), options.signer)?;
            let value = f(&mut writer)?;
            (value, writer.finish()?)
        };
        if changed {
            let copied = Tables::<Writing<'_>>::open(&txn)
                .map_err(StoreError::from)
                .and_then(|tables| self.copy_rows(&tables));
            if let Err(error) = copied {
                self.files().discard();
                return Err(error.into());
            }
        }
        // Never committed: the texts that `f` took out lie in the old file alone.
        txn.abort().map_err(StoreError::from)?;
        if changed {
            failpoint::hit();
            self.publish(burst)?;
            failpoint::hit();
        }
        Ok(value)
    }

    /// The old file is closed before the new one takes its name; the lock is held until then.
    fn publish(&self, mut burst: Burst<'_>) -> Result<(), StoreError> {
        burst.close();
        self.files().publish().map_err(self.failed("replace"))
    }

    fn copy_rows(&self, from: &Tables<Writing<'_>>) -> Result<(), StoreError> {
        let backend = self.files().replace().map_err(self.failed("rewrite"))?;
        let db = builder().create_with_backend(Boxed(backend))?;
        let mut txn = db.begin_write()?;
        txn.set_quick_repair(true);
        {
            let mut tables = Tables::<Writing<'_>>::open(&txn)?;
            from.copy_to(&mut tables)?;
            let format = codec::encode(&(FORMAT_MAJOR, FORMAT_MINOR));
            tables.meta.insert(META_FORMAT, format.as_slice())?;
        }
        failpoint::hit();
        txn.commit()?;
        Ok(())
    }
}
