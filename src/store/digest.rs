//! The costly part of a check, which needs one block only: unpacking, decoding, hashing.
//!
//! May use: the block at hand. Must never see: what came before it; that is for the fold.
//! Workers use what they allocated again and again: fresh pages cost a tenth of a check.

use std::sync::{Mutex, PoisonError};

use super::block::{Block, BlockHeader, Unpacker};
use super::{Reader, StoreError};
use crate::base::parallel::in_order;
use crate::domain::{Class, EnvelopeRef, Event, Header, Parts, kind_info};
use crate::tlog::{Hash, leaf_hash};

/// A block with all that follows from its events alone.
#[derive(Clone, Debug)]
pub struct Digested {
    block: Block,
    headers: Vec<(Header, Parts)>,
    /// What happened, by index: of each event but points, which are many.
    named: Vec<(usize, Event)>,
    /// The leaf hash of each event.
    pub leaves: Vec<Hash>,
    /// The header that fits the events.
    pub described: BlockHeader,
}

/// What a digested block takes up beside the block.
#[derive(Default)]
struct Room {
    headers: Vec<(Header, Parts)>,
    named: Vec<(usize, Event)>,
    leaves: Vec<Hash>,
}

impl Digested {
    /// Digests a block in the room of another one.
    fn of(block: Block, room: Room) -> Result<Self, StoreError> {
        let Room { mut headers, mut named, mut leaves } = room;
        headers.clear();
        named.clear();
        leaves.clear();
        for (index, (position, stored)) in block.iter().enumerate() {
            let event = EnvelopeRef::decode(stored).map_err(StoreError::malformed(position))?;
            leaves.push(leaf_hash(&event.leaf_data().0));
            if kind_info(event.header.kind).is_some_and(|info| info.class != Class::Bulk) {
                // What cannot be decoded changes no state.
                named.extend(event.event_without_settings().ok().map(|event| (index, event)));
            }
            headers.push(event.into_parts());
        }
        let described = BlockHeader::describing(&headers, &leaves, block.raw_bytes());
        Ok(Self { block, headers, named, leaves, described })
    }

    /// Position of the first event.
    pub fn first(&self) -> u64 {
        self.block.first()
    }

    /// Hands out the events in order, with what happened where that is no point.
    ///
    /// # Errors
    /// What `each` returns, with the number of events before.
    pub fn events(
        &self,
        mut each: impl FnMut(&EnvelopeRef<'_>, Option<&Event>) -> Result<(), StoreError>,
    ) -> Result<(), Box<(usize, StoreError)>> {
        let mut named = self.named.iter().peekable();
        let stored = self.headers.iter().zip(self.block.iter()).enumerate();
        for (index, ((header, parts), (_, stored))) in stored {
            let named = named.next_if(|(at, _)| *at == index).map(|(_, named)| named);
            let event = EnvelopeRef::rejoin(header, parts, stored);
            each(&event, named).map_err(|error| Box::new((index, error)))?;
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
        Digested::of(self.tail()?, Room::default())
    }

    /// Digests the blocks with these headers on as many threads, and hands them out in order on
    /// this one, with their index, until `each` returns false.
    pub fn digest_blocks(
        &self,
        threads: usize,
        blocks: &[(u64, BlockHeader)],
        mut each: impl FnMut(usize, &Result<Digested, StoreError>) -> bool,
    ) {
        // What was handed out is used again: a block is worth a megabyte.
        let used: Mutex<Vec<Digested>> = Mutex::new(Vec::new());
        let used = || used.lock().unwrap_or_else(PoisonError::into_inner);
        let work = |unpacker: &mut Unpacker, block: &(u64, BlockHeader)| {
            let old = used().pop();
            self.digest(block, unpacker, old)
        };
        let mut index = 0..;
        let hand_out = |digested: Result<Digested, StoreError>| {
            let goes_on = index.next().is_some_and(|index| each(index, &digested));
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
        let old = old.map(|Digested { block, headers, named, leaves, .. }| {
            (block, Room { headers, named, leaves })
        });
        let (block, room) = old.unwrap_or_default();
        Digested::of(self.unpack_with(*first, header, unpacker, block)?, room)
    }
}
