//! Sealed blocks: an aligned power of two of events, compressed together.
//!
//! ```text
//! raw  = count x length (u32, little endian), then the envelopes one after the other
//! rows = zstd(raw) cut into parts of BLOCK_PART_BYTES, so that parts pack into ordinary leaves
//! ```
//!
//! A block is sealed as soon as it is complete, or early when the tail grows above
//! BLOCK_BYTES_MAX; where its borders lie follows from the events alone ([`seal_count`]).

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, PoisonError};

use bincode::{Decode, Encode};

use super::StoreError;
use crate::base::Timestamp;
use crate::base::limits::{BLOCK_BYTES_MAX, BLOCK_EVENTS_MAX};
use crate::domain::{EnvelopeRef, Header, Kind, Parts, StreamId};
use crate::tlog::{Frontier, Hash, leaf_hash};

/// Level of the largest block in the tree.
pub const SEAL_LEVEL_MAX: u8 = BLOCK_EVENTS_MAX.ilog2() as u8;

/// Measured on blocks of metric facts: smaller than level 3 (60, not 65 MB a million) and faster.
const ZSTD_LEVEL: i32 = 1;

/// What a reader may know of a block without unpacking it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BlockHeader {
    /// Number of events, a power of two.
    pub count: u32,
    /// Bytes of the raw form.
    pub raw_bytes: u32,
    /// Kinds that occur, ascending.
    pub kinds: Vec<Kind>,
    /// Streams that occur, as `stream_mark`, ascending.
    pub streams: Vec<u64>,
    /// Recorded times of the first and the last event.
    pub recorded: (Timestamp, Timestamp),
    /// Earliest and latest time by the producers' clocks.
    pub occurred: (Timestamp, Timestamp),
    /// Root of the block's subtree.
    pub root: Hash,
}

/// A stream in eight bytes: enough to rule a block out, never to rule one in.
pub(super) fn stream_mark(stream: StreamId) -> u64 {
    let key = stream.to_key();
    u64::from_be_bytes([key[0], key[1], key[2], key[3], key[4], key[5], key[6], key[7]])
}

/// Events in the largest block that may start at `first`.
fn aligned_count(first: u64) -> u64 {
    if first == 0 { BLOCK_EVENTS_MAX } else { BLOCK_EVENTS_MAX.min(1 << first.trailing_zeros()) }
}

/// Whether a tail of `count` events from `first` on has to be sealed.
pub(super) fn seal_is_due(first: u64, count: u64, tail_bytes: u64) -> bool {
    count >= aligned_count(first) || (count > 0 && tail_bytes > BLOCK_BYTES_MAX as u64)
}

/// How many events to seal from `first` on, when the events from there have these `lengths` in
/// bytes; none when they stay in the tail. Asked once after every event.
pub fn seal_count(first: u64, tail_bytes: u64, lengths: &[u64]) -> Option<u64> {
    let count = lengths.len() as u64;
    if !seal_is_due(first, count, tail_bytes) {
        return None;
    }
    let most = aligned_count(first);
    if count >= most {
        return Some(most);
    }
    let mut size = 1 << count.ilog2();
    while size > 1 && lengths[..size as usize].iter().sum::<u64>() > BLOCK_BYTES_MAX as u64 {
        size /= 2;
    }
    Some(size)
}

impl BlockHeader {
    /// The header of a block with these events, whose raw form takes `raw_bytes`.
    pub(super) fn describing(
        events: &[(Header, Parts)],
        leaves: &[Hash],
        raw_bytes: usize,
    ) -> Self {
        let headers = || events.iter().map(|(header, _)| header);
        let times = |time: fn(&Header) -> Timestamp| {
            let ends = (Timestamp(i64::MAX), Timestamp(i64::MIN));
            headers().map(time).fold(ends, |(low, high), time| (low.min(time), high.max(time)))
        };
        let mut tree = Frontier::default();
        leaves.iter().for_each(|leaf| tree.push(*leaf));
        Self {
            count: events.len() as u32,
            raw_bytes: raw_bytes as u32,
            kinds: ascending(headers().map(|header| header.kind)),
            streams: ascending(headers().map(|header| stream_mark(header.stream))),
            recorded: times(|header| header.recorded),
            occurred: times(Header::occurred),
            root: tree.root(),
        }
    }
}

/// Each value once, in order; they come in long runs.
fn ascending<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = Vec::new();
    for value in values {
        if all.last() != Some(&value) {
            all.push(value);
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// Packs events that start at an aligned position: header and compressed bytes.
pub(super) fn seal(first: u64, events: &[Vec<u8>]) -> Result<(BlockHeader, Vec<u8>), StoreError> {
    let mut raw = Vec::with_capacity(events.iter().map(|e| e.len() + 4).sum());
    for event in events {
        raw.extend((event.len() as u32).to_le_bytes());
    }
    let mut headers = Vec::with_capacity(events.len());
    let mut leaves = Vec::with_capacity(events.len());
    for (position, event) in (first..).zip(events) {
        raw.extend(event);
        let event = EnvelopeRef::decode(event).map_err(StoreError::malformed(position))?;
        leaves.push(leaf_hash(&event.leaf_data().0));
        headers.push(event.into_parts());
    }
    let packed = zstd::bulk::compress(&raw, ZSTD_LEVEL)
        .map_err(StoreError::io(format!("compress the block at {first}")))?;
    Ok((BlockHeader::describing(&headers, &leaves, raw.len()), packed))
}

/// What unpacking needs, kept from block to block.
#[derive(Default)]
pub(super) struct Unpacker {
    zstd: Option<zstd::bulk::Decompressor<'static>>,
    /// The compressed bytes at hand.
    pub(super) packed: Vec<u8>,
}

impl Unpacker {
    fn unpack(&mut self, raw_bytes: usize, into: &mut Vec<u8>) -> io::Result<()> {
        let zstd = match &mut self.zstd {
            Some(zstd) => zstd,
            none => none.insert(zstd::bulk::Decompressor::new()?),
        };
        // A length from a damaged header is no reason to ask for gigabytes.
        let needed = zstd::bulk::Decompressor::upper_bound(&self.packed);
        into.clear();
        into.reserve_exact(needed.unwrap_or(raw_bytes).min(raw_bytes));
        zstd.decompress_to_buffer(&self.packed, into)?;
        Ok(())
    }
}

/// The blocks that single events were last looked for in: one question after another is often
/// about neighbours.
#[derive(Debug, Default)]
pub(super) struct RecentBlocks(Mutex<VecDeque<Block>>);

/// Some MB at most.
const RECENT_MAX: usize = 8;

impl RecentBlocks {
    /// The stored bytes of an event; `block` reads the block it is in.
    pub(super) fn event(
        &self,
        position: u64,
        block: impl FnOnce() -> Result<Block, StoreError>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = |block: &Block| block.get(position).map(<[u8]>::to_vec);
        if let Some(stored) = blocks.iter().find_map(stored) {
            return Ok(Some(stored));
        }
        blocks.truncate(RECENT_MAX - 1);
        blocks.push_front(block()?);
        Ok(blocks.front().and_then(stored))
    }
}

/// Events side by side in memory: an unpacked block, or the tail.
#[derive(Clone, Debug, Default)]
pub struct Block {
    first: u64,
    bytes: Vec<u8>,
    /// Where each event ends in `bytes`.
    ends: Vec<u32>,
    /// Where the first event begins in `bytes`.
    start: u32,
}

impl Block {
    /// Unpacks what lies in `unpacker`; the memory of `old` is used again.
    pub(super) fn unpack(
        first: u64,
        header: &BlockHeader,
        unpacker: &mut Unpacker,
        old: Self,
    ) -> Result<Self, StoreError> {
        let Self { mut bytes, mut ends, .. } = old;
        unpacker
            .unpack(header.raw_bytes as usize, &mut bytes)
            .map_err(StoreError::io(format!("unpack the block at {first}")))?;
        let damaged = || StoreError::corrupt(format!("the block at {first} is incomplete"));
        let start = header.count.checked_mul(4).filter(|s| *s as usize <= bytes.len());
        let start = start.ok_or_else(damaged)?;
        let mut end = start;
        ends.clear();
        for length in bytes[..start as usize].chunks_exact(4) {
            let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
            end = end.checked_add(length).ok_or_else(damaged)?;
            ends.push(end);
        }
        if end as usize != bytes.len() || end != header.raw_bytes {
            return Err(damaged());
        }
        Ok(Self { first, bytes, ends, start })
    }

    pub(super) fn of_tail(first: u64) -> Self {
        Self { first, ..Self::default() }
    }

    pub(super) fn push(&mut self, event: &[u8]) {
        self.bytes.extend(event);
        self.ends.push(self.bytes.len() as u32);
    }

    /// Position of the first event.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Number of events.
    pub fn count(&self) -> u64 {
        self.ends.len() as u64
    }

    /// The stored bytes of the event at `position` of the log.
    pub fn get(&self, position: u64) -> Option<&[u8]> {
        let index = usize::try_from(position.checked_sub(self.first)?).ok()?;
        let end = *self.ends.get(index)? as usize;
        let start = if index == 0 { self.start } else { self.ends[index - 1] } as usize;
        Some(&self.bytes[start..end])
    }

    /// The events, by position, as stored.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let starts = std::iter::once(self.start).chain(self.ends.iter().copied());
        let slices =
            starts.zip(&self.ends).map(|(start, end)| &self.bytes[start as usize..*end as usize]);
        (self.first..).zip(slices)
    }

    /// The leaf hashes of the events, in order.
    ///
    /// # Errors
    /// When an event does not decode.
    pub fn leaves(&self) -> Result<Vec<Hash>, StoreError> {
        self.iter()
            .map(|(position, stored)| {
                let event = EnvelopeRef::decode(stored).map_err(StoreError::malformed(position))?;
                Ok(leaf_hash(&event.leaf_data().0))
            })
            .collect()
    }

    /// Bytes of the raw form.
    pub(super) fn raw_bytes(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_follow_from_the_events_alone() {
        let small = vec![100_u64; 1_024];
        assert_eq!(seal_count(0, 102_300, &small[..1_023]), None);
        assert_eq!(seal_count(0, 102_400, &small), Some(1_024));
        assert_eq!(seal_count(4_096 + 64, 6_400, &small[..64]), Some(64));
        let large = [11_000; 24];
        assert_eq!(seal_count(0, 264_000, &large), Some(16));
        assert_eq!(seal_count(16, 88_000, &large[..8]), None);
        assert_eq!(seal_count(0, 300_000, &[300_000]), Some(1));
        assert_eq!(seal_count(0, 301_000, &[1_000, 300_000]), Some(1));
    }
}
