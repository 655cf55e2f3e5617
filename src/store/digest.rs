//! The costly part of a check, which needs one block only: unpacking, decoding, hashing.
//!
//! May use: the block at hand. Must never see: what came before it; that is for the fold.
//! Workers use what they allocated again and again: fresh pages cost a tenth of a check.

use std::panic::resume_unwind;
use std::sync::mpsc::{channel, sync_channel};

use super::block::{Block, BlockHeader, Unpacker};
use super::{Reader, StoreError};
use crate::domain::{EnvelopeRef, Header};
use crate::tlog::{Hash, leaf_hash};

/// Digested blocks that may wait for each worker: memory is bounded, a slow block stops nobody.
const BLOCKS_WAITING: usize = 3;

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
    ) -> Result<(), (usize, StoreError)> {
        let stored = self.headers.drain(..).zip(self.block.iter()).enumerate();
        for (index, ((header, header_len), (position, stored))) in stored {
            EnvelopeRef::rejoin(header, header_len, stored)
                .map_err(StoreError::malformed(position))
                .and_then(|event| each(&event))
                .map_err(|error| (index, error))?;
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
        if threads <= 1 {
            return self.digest_here(blocks, each);
        }
        std::thread::scope(|scope| {
            // Each worker has every n-th block, so the order is known without sorting.
            let worker = |nth: usize| {
                let (done, results) = sync_channel(BLOCKS_WAITING);
                let (give_back, used) = channel();
                let work = scope.spawn(move || {
                    let mut unpacker = Unpacker::default();
                    for block in blocks.iter().skip(nth).step_by(threads) {
                        let digested = self.digest(block, &mut unpacker, used.try_recv().ok());
                        if done.send(digested).is_err() {
                            break;
                        }
                    }
                });
                (work, results, give_back)
            };
            let workers: Vec<_> = (0..threads.min(blocks.len())).map(worker).collect();
            for (index, (_, results, give_back)) in
                workers.iter().cycle().enumerate().take(blocks.len())
            {
                // A worker ends early only by a panic, which is passed on below.
                let Ok(mut digested) = results.recv() else { break };
                if !each(index, &mut digested) {
                    break;
                }
                if let Ok(digested) = digested {
                    // The worker may have no more use for it.
                    let _ = give_back.send(digested);
                }
            }
            for (work, results, _) in workers {
                drop(results);
                work.join().unwrap_or_else(|panic| resume_unwind(panic));
            }
        });
    }

    /// The same on this thread alone.
    fn digest_here(
        &self,
        blocks: &[(u64, BlockHeader)],
        mut each: impl FnMut(usize, &mut Result<Digested, StoreError>) -> bool,
    ) {
        let (mut unpacker, mut old) = (Unpacker::default(), None);
        for (index, block) in blocks.iter().enumerate() {
            let mut digested = self.digest(block, &mut unpacker, old.take());
            if !each(index, &mut digested) {
                break;
            }
            old = digested.ok();
        }
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
