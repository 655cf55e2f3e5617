//! The costly part of a check, which needs one block only: unpacking, decoding, hashing.
//!
//! May use: the block at hand. Must never see: what came before it; that is for the fold.
//! Workers use what they allocated again and again: fresh pages cost a tenth of a check.

use std::sync::{Mutex, PoisonError};

use super::block::{Block, BlockHeader, Unpacker};
use super::{Reader, StoreError};
use crate::base::parallel::in_order;
use crate::domain::{EnvelopeRef, Header};
use crate::tlog::{Hash, leaf_hash};

/// A block with all that follows from its events alone.
#[derive(Clone, Debug)]
pub struct Digested {
    block: Block,
    headers: Vec<(Header, usize)>,
    /// The leaf hash of each event.
    pub leaves: Vec<Hash>,
    /// The header that fits the events.
    pub described: BlockHeader,
}

impl Digested {
    fn new(
        block: Block,
        mut headers: Vec<(Header, usize)>,
        mut leaves: Vec<Hash>,
    ) -> Result<Self, StoreError> {
        headers.clear();
        leaves.clear();
        for (position, stored) in block.iter() {
            let event = EnvelopeRef::decode(stored).map_err(StoreError::malformed(position))?;
            leaves.push(leaf_hash(&event.leaf_data().0));
            headers.push(event.into_header());
        }
        let described = BlockHeader::describing(&headers, &leaves, block.raw_bytes());
        Ok(Self { block, headers, leaves, described })
    }

    /// Position of the first event.
    pub fn first(&self) -> u64 {
        self.block.first()
    }

    /// Hands out the events in order, once.
    ///
    /// # Errors
    /// What `each` returns, with the number of events before.
    pub fn events(
        &mut self,
        mut each: impl FnMut(&EnvelopeRef<'_>) -> Result<(), StoreError>,
    ) -> Result<(), Box<(usize, StoreError)>> {
        let stored = self.headers.drain(..).zip(self.block.iter()).enumerate();
        for (index, ((header, header_len), (position, stored))) in stored {
            EnvelopeRef::rejoin(header, header_len, stored)
                .map_err(StoreError::malformed(position))
                .and_then(|event| each(&event))
                .map_err(|error| Box::new((index, error)))?;
        }
        Ok(())
    }
}

impl Reader {
    /// The events that are in no sealed block, digested.
    ///
    /// # Errors
    /// When a table cannot be read or an event does not decode.
    pub fn digest_tail(&self) -> Result<Digested, StoreError> {
        Digested::new(self.tail()?, vec![], vec![])
    }

    /// Digests the blocks with these headers on as many threads, and hands them out in order on
    /// this one, with their index, until `each` returns false.
    pub fn digest_blocks(
        &self,
        threads: usize,
        blocks: &[(u64, BlockHeader)],
        mut each: impl FnMut(usize, &mut Result<Digested, StoreError>) -> bool,
    ) {
        // What was handed out is used again: a block is worth a megabyte.
        let used: Mutex<Vec<Digested>> = Mutex::new(Vec::new());
        let used = || used.lock().unwrap_or_else(PoisonError::into_inner);
        let work = |unpacker: &mut Unpacker, block: &(u64, BlockHeader)| {
            let old = used().pop();
            self.digest(block, unpacker, old)
        };
        let mut index = 0..;
        let hand_out = |mut digested: Result<Digested, StoreError>| {
            let goes_on = index.next().is_some_and(|index| each(index, &mut digested));
            used().extend(digested);
            if goes_on { Ok(()) } else { Err(()) }
        };
        // An error is only the end that `each` wants.
        let _ = in_order(threads, blocks, Unpacker::default, work, hand_out);
    }

    fn digest(
        &self,
        (first, header): &(u64, BlockHeader),
        unpacker: &mut Unpacker,
        old: Option<Digested>,
    ) -> Result<Digested, StoreError> {
        let old = old.map(|old| (old.block, old.headers, old.leaves));
        let (block, headers, leaves) = old.unwrap_or_default();
        Digested::new(self.unpack_with(*first, header, unpacker, block)?, headers, leaves)
    }
}
