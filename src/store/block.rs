//! Sealed blocks: an aligned power of two of events, compressed together.
//!
//! ```text
//! raw  = count x length (u32, little endian), then the envelopes one after the other
//! rows = zstd(raw) cut into parts of BLOCK_PART_BYTES, so that parts pack into ordinary leaves
//! ```
//!
//! A block is sealed as soon as it is complete, or early when the tail grows above
//! BLOCK_BYTES_MAX; where its borders lie follows from the events alone ([`seal_count`]).

use bincode::{Decode, Encode};

use super::StoreError;
use crate::base::Timestamp;
use crate::base::limits::{BLOCK_BYTES_MAX, BLOCK_EVENTS_MAX};
use crate::domain::{EnvelopeRef, Header, Kind, StreamId};
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

/// What the header of a block takes from one event.
struct Summary {
    kind: Kind,
    stream: u64,
    recorded: Timestamp,
    occurred: Timestamp,
    leaf: Hash,
}

impl Summary {
    fn of(event: &EnvelopeRef<'_>) -> Self {
        Self {
            kind: event.header.kind,
            stream: stream_mark(event.header.stream),
            recorded: event.header.recorded,
            occurred: event.header.occurred(),
            leaf: leaf_hash(&event.leaf_data().0),
        }
    }
}

impl BlockHeader {
    /// The header of a block whose raw form takes `raw_bytes`.
    fn describing(events: &[Summary], raw_bytes: usize) -> Self {
        let ascending = |mut values: Vec<u64>| {
            values.sort_unstable();
            values.dedup();
            values
        };
        let mut kinds: Vec<Kind> = events.iter().map(|event| event.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let times = |time: fn(&Summary) -> Timestamp| {
            let ends = (Timestamp(i64::MAX), Timestamp(i64::MIN));
            events.iter().map(time).fold(ends, |(low, high), time| (low.min(time), high.max(time)))
        };
        let mut tree = Frontier::default();
        events.iter().for_each(|event| tree.push(event.leaf));
        Self {
            count: events.len() as u32,
            raw_bytes: raw_bytes as u32,
            kinds,
            streams: ascending(events.iter().map(|event| event.stream).collect()),
            recorded: times(|event| event.recorded),
            occurred: times(|event| event.occurred),
            root: tree.root(),
        }
    }
}

/// Packs events that start at an aligned position: header and compressed bytes.
pub(super) fn seal(first: u64, events: &[Vec<u8>]) -> Result<(BlockHeader, Vec<u8>), StoreError> {
    let mut raw = Vec::with_capacity(events.iter().map(|e| e.len() + 4).sum());
    for event in events {
        raw.extend((event.len() as u32).to_le_bytes());
    }
    let mut summaries = Vec::with_capacity(events.len());
    for (position, event) in (first..).zip(events) {
        raw.extend(event);
        let event = EnvelopeRef::decode(event).map_err(StoreError::malformed(position))?;
        summaries.push(Summary::of(&event));
    }
    let packed = zstd::bulk::compress(&raw, ZSTD_LEVEL)
        .map_err(StoreError::io(format!("compress the block at {first}")))?;
    Ok((BlockHeader::describing(&summaries, raw.len()), packed))
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
    pub(super) fn unpack(
        first: u64,
        header: &BlockHeader,
        packed: &[u8],
        unpacker: &mut zstd::bulk::Decompressor<'_>,
    ) -> Result<Self, StoreError> {
        let bytes = unpacker
            .decompress(packed, header.raw_bytes as usize)
            .map_err(StoreError::io(format!("unpack the block at {first}")))?;
        let damaged = || StoreError::corrupt(format!("the block at {first} is not whole"));
        let start = header.count.checked_mul(4).filter(|s| *s as usize <= bytes.len());
        let start = start.ok_or_else(damaged)?;
        let mut end = start;
        let mut ends = Vec::with_capacity(header.count as usize);
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

    /// Computes all that follows from the events of this block alone: the costly part of a check,
    /// for many blocks at a time.
    ///
    /// # Errors
    /// When an event does not decode.
    pub fn digest(self) -> Result<Digested, StoreError> {
        let mut summaries = Vec::with_capacity(self.ends.len());
        let mut headers = Vec::with_capacity(self.ends.len());
        for (position, stored) in self.iter() {
            let event = EnvelopeRef::decode(stored).map_err(StoreError::malformed(position))?;
            summaries.push(Summary::of(&event));
            headers.push(event.into_header());
        }
        let described = BlockHeader::describing(&summaries, self.bytes.len());
        let leaves = summaries.into_iter().map(|summary| summary.leaf).collect();
        Ok(Digested { block: self, headers, leaves, described })
    }
}

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
    /// Position of the first event.
    pub fn first(&self) -> u64 {
        self.block.first
    }

    /// Hands out the events in order, once.
    ///
    /// # Errors
    /// What `each` returns, with the number of events before.
    pub fn events(
        &mut self,
        mut each: impl FnMut(&EnvelopeRef<'_>) -> Result<(), StoreError>,
    ) -> Result<(), (usize, StoreError)> {
        let headers = std::mem::take(&mut self.headers);
        let stored = headers.into_iter().zip(self.block.iter()).enumerate();
        for (index, ((header, header_len), (position, stored))) in stored {
            EnvelopeRef::rejoin(header, header_len, stored)
                .map_err(StoreError::malformed(position))
                .and_then(|event| each(&event))
                .map_err(|error| (index, error))?;
        }
        Ok(())
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
