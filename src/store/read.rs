//! Reading: one event, one stream, or a scan that skips blocks by their headers. The same code
//! reads inside a write transaction, where it sees what was appended before.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;

use redb::ReadableTable as _;

use super::block::{RecentBlocks, Unpacker, stream_mark};
use super::derive::{MemoryIndex, StreamHead};
use super::lenient::{DamageLog, check_sealed, report_damage};
use super::prove::TreeReader;
use super::schema::{Access, META_STATE, Reading, State, Tables};
use super::{Block, BlockHeader, StoreError};
use crate::base::{CommandId, MoveId, Timestamp, codec, parallel};
use crate::domain::{Envelope, EnvelopeRef, Header, Kind, StreamId};
use crate::tlog::{self, Hash};

/// The log as of one moment.
pub struct View<A: Access> {
    pub(super) tables: Tables<A>,
    pub(super) state: State,
    /// Events of this transaction that are in neither table yet; they end the tail.
    pub(super) fresh: BTreeMap<u64, Vec<u8>>,
    /// Where damage is read past, what was met; none where it is an error.
    pub(super) losses: Option<DamageLog>,
    /// None where blocks may change meanwhile.
    pub(super) recent: Option<RecentBlocks>,
}

/// The log as of one moment, for reading only.
pub type Reader = View<Reading>;

/// Which events a scan hands out; the default is all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only these kinds.
    pub kinds: Option<Vec<Kind>>,
    /// Only these streams.
    pub streams: Option<Vec<StreamId>>,
    /// Only events recorded at this time or later.
    pub recorded_from: Option<Timestamp>,
    /// Only events recorded before this time.
    pub recorded_before: Option<Timestamp>,
}

impl Filter {
    /// Only events of `kinds`.
    pub fn kinds(kinds: impl IntoIterator<Item = Kind>) -> Self {
        Self { kinds: Some(kinds.into_iter().collect()), ..Self::default() }
    }

    /// Only events of `stream`.
    pub fn stream(stream: StreamId) -> Self {
        Self { streams: Some(vec![stream]), ..Self::default() }
    }

    /// Whether an event passes.
    pub fn takes(&self, header: &Header) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&header.kind))
            && self.streams.as_ref().is_none_or(|streams| streams.contains(&header.stream))
            && self.recorded_from.is_none_or(|from| header.recorded >= from)
            && self.recorded_before.is_none_or(|before| header.recorded < before)
    }

    /// Whether a block may hold an event that passes.
    fn may_take(&self, block: &BlockHeader) -> bool {
        let has_stream = |s: &StreamId| block.streams.binary_search(&stream_mark(*s)).is_ok();
        self.kinds.as_ref().is_none_or(|k| k.iter().any(|k| block.kinds.binary_search(k).is_ok()))
            && self.streams.as_ref().is_none_or(|s| s.iter().any(has_stream))
            && self.recorded_from.is_none_or(|from| block.recorded.1 >= from)
            && self.recorded_before.is_none_or(|before| block.recorded.0 < before)
    }
}

pub(super) fn stream_head<A: Access>(
    tables: &Tables<A>,
    stream: StreamId,
) -> Result<Option<StreamHead>, StoreError> {
    let row = tables.stream_heads.get(&stream.to_key())?;
    Ok(row.map(|row| {
        let (next, first, last) = row.value();
        StreamHead { next, first, last }
    }))
}

pub(super) fn stored_state<A: Access>(tables: &Tables<A>) -> Result<State, StoreError> {
    let Some(row) = tables.meta.get(META_STATE)? else { return Ok(State::default()) };
    let state: State = codec::decode(row.value()).map_err(StoreError::malformed(META_STATE))?;
    if state.frontier.is_well_formed() {
        Ok(state)
    } else {
        Err(StoreError::corrupt("the stored frontier does not fit its size"))
    }
}

impl<A: Access> View<A> {
    /// Number of events.
    pub fn size(&self) -> u64 {
        self.state.frontier.size()
    }

    /// Root of the tree.
    pub fn root(&self) -> Hash {
        self.state.frontier.root()
    }

    /// The stored state of the log, as appends keep it.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Name of the log in log checkpoints; empty before its first event.
    pub fn origin(&self) -> &str {
        &self.state.origin
    }

    /// Where a stream stands; none when it has no event.
    ///
    /// # Errors
    /// When a table cannot be read.
    pub fn head(&self, stream: StreamId) -> Result<Option<StreamHead>, StoreError> {
        stream_head(&self.tables, stream)
    }

    /// The event at `position`.
    ///
    /// # Errors
    /// [`StoreError::NoEvent`] beyond the end; damage.
    pub fn event(&self, position: u64) -> Result<Envelope, StoreError> {
        let bytes = self.stored(position)?;
        let event = Envelope::decode(&bytes).map_err(StoreError::malformed(position))?;
        expect_position(&event.header, position)?;
        Ok(event)
    }

    /// The stored bytes of the event at `position`.
    ///
    /// # Errors
    /// [`StoreError::NoEvent`] beyond the end; damage.
    pub fn stored(&self, position: u64) -> Result<Vec<u8>, StoreError> {
        if position >= self.size() {
            return Err(StoreError::NoEvent { position, size: self.size() });
        }
        let missing = || StoreError::corrupt(format!("event {position} is missing"));
        if let Some(stored) = self.fresh.get(&position) {
            return Ok(stored.clone());
        }
        let in_tail = position >= self.state.sealed;
        if in_tail && self.losses.is_none() {
            let row = self.tables.tail.get(position)?.ok_or_else(missing)?;
            return Ok(row.value().to_vec());
        }
        let block = || {
            if in_tail {
                return self.tail();
            }
            let (first, header) = self.block_of(position)?.ok_or_else(missing)?;
            self.unpack(first, &header)
        };
        let stored = match &self.recent {
            Some(recent) => recent.event(position, block)?,
            None => block()?.get(position).map(<[u8]>::to_vec),
        };
        stored.filter(|stored| !stored.is_empty()).ok_or_else(missing)
    }

    /// The events of a stream from `revision` on, in order, without those of bulk kinds.
    ///
    /// # Errors
    /// When a table cannot be read; damage.
    pub fn stream(&self, stream: StreamId, revision: u64) -> Result<Vec<Envelope>, StoreError> {
        let key = stream.to_key();
        let (mut events, mut block) = (Vec::new(), Block::default());
        for row in self.tables.stream_index.range((&key, revision)..=(&key, u64::MAX))? {
            let position = row?.1.value();
            if position < self.state.sealed && block.get(position).is_none() {
                let missing = || StoreError::corrupt(format!("event {position} is missing"));
                let unpacked = self
                    .block_of(position)
                    .and_then(|found| found.ok_or_else(missing))
                    .and_then(|(first, header)| {
                        self.unpack_into(first, &header, std::mem::take(&mut block))
                    });
                match unpacked {
                    Ok(unpacked) => block = unpacked,
                    Err(error) => {
                        report_damage(self.losses.as_ref(), position, 1, error)?;
                        continue;
                    }
                }
            }
            match self.event_of(stream, position, &block) {
                Ok(event) => events.push(event),
                Err(error) => report_damage(self.losses.as_ref(), position, 1, error)?,
            }
        }
        Ok(events)
    }

    fn event_of(
        &self,
        stream: StreamId,
        position: u64,
        block: &Block,
    ) -> Result<Envelope, StoreError> {
        let event = match block.get(position) {
            Some(stored) => Envelope::decode(stored).map_err(StoreError::malformed(position))?,
            None => self.event(position)?,
        };
        expect_position(&event.header, position)?;
        if event.header.stream != stream {
            return Err(StoreError::corrupt(format!("event {position} is not of {stream}")));
        }
        Ok(event)
    }

    /// Headers of the sealed blocks that overlap `range` and may hold what `filter` takes.
    ///
    /// # Errors
    /// When a table cannot be read.
    pub fn block_headers(
        &self,
        range: Range<u64>,
        filter: &Filter,
    ) -> Result<Vec<(u64, BlockHeader)>, StoreError> {
        // Only where a block begins matters here; whether its header is whole is asked below.
        let start = match self.tables.block_headers.range(..=range.start)?.next_back() {
            Some(row) => row?.0.value(),
            None => range.start,
        };
        let (mut headers, mut damaged) = (Vec::new(), None);
        for row in self.tables.block_headers.range(start..range.end.max(start))? {
            let (first, value) = row?;
            let first = first.value();
            if let Some((lost, error)) = damaged.take() {
                report_damage(self.losses.as_ref(), lost, first - lost, error)?;
            }
            match decode_header(first, value.value()) {
                Ok(header) => {
                    let end = first.saturating_add(u64::from(header.count));
                    if filter.may_take(&header) && end > range.start {
                        headers.push((first, header));
                    }
                }
                Err(error) => damaged = Some((first, error)),
            }
        }
        if let Some((lost, error)) = damaged {
            let next = self.tables.block_headers.range(lost + 1..)?.next().transpose()?;
            let next = next.map_or(self.state.sealed, |(first, _)| first.value());
            report_damage(self.losses.as_ref(), lost, next.saturating_sub(lost), error)?;
        }
        Ok(headers)
    }

    /// Unpacks one sealed block.
    ///
    /// # Errors
    /// When it is not whole.
    pub fn unpack(&self, first: u64, header: &BlockHeader) -> Result<Block, StoreError> {
        self.unpack_into(first, header, Block::default())
    }

    /// [`unpack`](Self::unpack) into the memory of `old`.
    fn unpack_into(
        &self,
        first: u64,
        header: &BlockHeader,
        old: Block,
    ) -> Result<Block, StoreError> {
        thread_local! {
            // Making one takes as long as unpacking a quarter of a block.
            static UNPACKER: RefCell<Unpacker> = RefCell::default();
        }
        UNPACKER.with_borrow_mut(|unpacker| self.unpack_with(first, header, unpacker, old))
    }

    /// The same with an unpacker of the caller's.
    pub(super) fn unpack_with(
        &self,
        first: u64,
        header: &BlockHeader,
        unpacker: &mut Unpacker,
        old: Block,
    ) -> Result<Block, StoreError> {
        unpacker.packed.clear();
        for (index, row) in self.tables.blocks.range((first, 0)..=(first, u16::MAX))?.enumerate() {
            let (key, part) = row?;
            if usize::from(key.value().1) != index {
                return Err(StoreError::corrupt(format!("block {first}: part {index} is missing")));
            }
            unpacker.packed.extend(part.value());
        }
        let block = Block::unpack(first, header, unpacker, old)?;
        // Whoever reads past damage must not be told what a flipped bit made of an event.
        if self.losses.is_some() {
            check_sealed(&block, header)?;
        }
        Ok(block)
    }

    /// Hands out the events of `range` that `filter` takes, in order.
    ///
    /// # Errors
    /// What `each` returns; damage.
    pub fn scan<E: From<StoreError>>(
        &self,
        range: Range<u64>,
        filter: &Filter,
        mut each: impl FnMut(&EnvelopeRef<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (mut unpacker, mut block) = (Unpacker::default(), Block::default());
        for (first, header) in self.block_headers(range.clone(), filter)? {
            match self.unpack_with(first, &header, &mut unpacker, block) {
                Ok(unpacked) => block = unpacked,
                Err(error) => {
                    report_damage(self.losses.as_ref(), first, u64::from(header.count), error)?;
                    block = Block::default();
                    continue;
                }
            }
            self.scan_block(&block, &range, filter, &mut each)?;
        }
        if range.end > self.state.sealed {
            self.scan_block(&self.tail()?, &range, filter, &mut each)?;
        }
        Ok(())
    }

    fn scan_block<E: From<StoreError>>(
        &self,
        block: &Block,
        range: &Range<u64>,
        filter: &Filter,
        each: &mut impl FnMut(&EnvelopeRef<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for (position, stored) in block.iter().filter(|(position, _)| range.contains(position)) {
            if stored.is_empty() && self.losses.is_some() {
                continue; // lost already
            }
            match decode_at(position, stored) {
                Ok(event) if filter.takes(&event.header) => each(&event)?,
                Ok(_) => {}
                Err(error) => report_damage(self.losses.as_ref(), position, 1, error)?,
            }
        }
        Ok(())
    }

    /// The events of `range` that `filter` takes, in order and in memory.
    ///
    /// # Errors
    /// When a table cannot be read; damage.
    pub fn events(&self, range: Range<u64>, filter: &Filter) -> Result<Vec<Envelope>, StoreError> {
        let mut events = Vec::new();
        self.scan(range, filter, |event| {
            events.push(event.to_envelope().map_err(StoreError::malformed(event.header.position))?);
            Ok::<(), StoreError>(())
        })?;
        Ok(events)
    }

    /// Position of the event that registered a name under `tag`.
    ///
    /// # Errors
    /// When a table cannot be read.
    pub fn name(&self, tag: u8, text: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.tables.names.get((tag, text))?.map(|row| row.value()))
    }

    /// Position of the first event of a command.
    ///
    /// # Errors
    /// When a table cannot be read.
    pub fn command(&self, id: CommandId) -> Result<Option<u64>, StoreError> {
        Ok(self.tables.commands.get(&id.0)?.map(|row| row.value()))
    }

    /// Sequence of the next fact of an invocation; none when it is not open.
    ///
    /// # Errors
    /// When a table cannot be read.
    pub fn next_sequence(&self, invocation: u64) -> Result<Option<u64>, StoreError> {
        Ok(self.tables.writers.get(invocation)?.map(|row| row.value()))
    }

    /// Positions of the starts of all open invocations.
    ///
    /// # Errors
    /// When a table cannot be read.
    pub fn open_invocations(&self) -> Result<Vec<u64>, StoreError> {
        self.tables.writers.iter()?.map(|row| Ok(row?.0.value())).collect()
    }

    /// The moves without an end, with the position of their plan.
    ///
    /// # Errors
    /// When a table cannot be read.
    pub fn open_moves(&self) -> Result<Vec<(MoveId, u64)>, StoreError> {
        let rows = self.tables.open_moves.iter()?.map(|row| {
            let (id, position) = row?;
            Ok((MoveId(*id.value()), position.value()))
        });
        rows.collect()
    }

    /// The signed log checkpoints of the given sizes, ascending, as stored.
    ///
    /// # Errors
    /// When a table cannot be read.
    pub fn checkpoints(
        &self,
        sizes: impl std::ops::RangeBounds<u64>,
    ) -> Result<Vec<(u64, String)>, StoreError> {
        let bounds = (sizes.start_bound().cloned(), sizes.end_bound().cloned());
        let rows = self.tables.checkpoints.range::<u64>(bounds)?.map(|row| {
            let (size, note) = row?;
            Ok((size.value(), note.value().to_owned()))
        });
        rows.collect()
    }

    /// The last signed log checkpoint.
    ///
    /// # Errors
    /// When a table cannot be read.
    pub fn last_checkpoint(&self) -> Result<Option<(u64, String)>, StoreError> {
        self.checkpoint_before(u64::MAX)
    }

    /// The last signed log checkpoint of at most `size` events.
    ///
    /// # Errors
    /// When a table cannot be read.
    pub fn checkpoint_before(&self, size: u64) -> Result<Option<(u64, String)>, StoreError> {
        let row = self.tables.checkpoints.range(..=size)?.next_back().transpose()?;
        Ok(row.map(|(size, note)| (size.value(), note.value().to_owned())))
    }

    /// Every stored node of the tree, as (level, index, hash).
    ///
    /// # Errors
    /// When a table cannot be read.
    pub fn tree_nodes(&self) -> Result<Vec<(u8, u64, Hash)>, StoreError> {
        let rows = self.tables.tree.iter()?.map(|row| {
            let (key, hash) = row?;
            let (level, index) = key.value();
            Ok((level, index, Hash(*hash.value())))
        });
        rows.collect()
    }

    /// The index tables as stored, to compare with a rebuild.
    ///
    /// # Errors
    /// When a table cannot be read.
    pub fn stored_index(&self) -> Result<MemoryIndex, StoreError> {
        MemoryIndex::load(&self.tables)
    }

    /// Reads nodes of the tree; what is not stored is computed from one block.
    pub fn tree(&self) -> TreeReader<'_, A> {
        TreeReader::new(self)
    }

    /// Proves that the event at `position` is in the log of `size` events.
    ///
    /// # Errors
    /// [`StoreError::NoEvent`] when there is no such event or size; damage.
    pub fn inclusion_proof(&self, position: u64, size: u64) -> Result<Vec<Hash>, StoreError> {
        if size > self.size() || position >= size {
            return Err(StoreError::NoEvent { position, size: size.min(self.size()) });
        }
        tlog::inclusion_proof(&mut self.tree(), position, size)
    }

    /// Proves that the log of `old` events is the beginning of that of `new` events.
    ///
    /// # Errors
    /// [`StoreError::NoEvent`] when there is no such size; damage.
    pub fn consistency_proof(&self, old: u64, new: u64) -> Result<Vec<Hash>, StoreError> {
        if old > new || new > self.size() {
            return Err(StoreError::NoEvent { position: old.max(new), size: self.size() });
        }
        tlog::consistency_proof(&mut self.tree(), old, new)
    }

    /// The sealed block that holds `position`.
    pub(super) fn block_of(&self, position: u64) -> Result<Option<(u64, BlockHeader)>, StoreError> {
        let Some(row) = self.tables.block_headers.range(..=position)?.next_back() else {
            return Ok(None);
        };
        let (first, value) = row?;
        let header = decode_header(first.value(), value.value())?;
        let holds = position - first.value() < u64::from(header.count);
        Ok(holds.then(|| (first.value(), header)))
    }
}

impl Reader {
    /// Maps every block of `range` that may hold what `filter` takes, and the tail, on `threads`
    /// threads; results are in the order of the log. `map` sees whole blocks: it applies
    /// [`Filter::takes`] and the range itself.
    ///
    /// # Errors
    /// The first error in the order of the log.
    pub fn map_blocks<T: Send, E: From<StoreError> + Send>(
        &self,
        threads: usize,
        range: Range<u64>,
        filter: &Filter,
        map: impl Fn(Block) -> Result<T, E> + Sync,
    ) -> Result<Vec<T>, E> {
        let headers = self.block_headers(range.clone(), filter)?;
        let work = |headers: &[(u64, BlockHeader)]| -> Result<Vec<T>, E> {
            let mut unpacker = Unpacker::default();
            let one = |(first, header): &(u64, BlockHeader)| {
                map(self.unpack_with(*first, header, &mut unpacker, Block::default())?)
            };
            headers.iter().map(one).collect()
        };
        let parts = parallel::map_shares(threads, &headers, work);
        let mut results = Vec::with_capacity(headers.len() + 1);
        for part in parts {
            results.extend(part?);
        }
        if range.end > self.state.sealed && self.size() > self.state.sealed {
            results.push(map(self.tail()?)?);
        }
        Ok(results)
    }
}

fn decode_header(first: u64, value: &[u8]) -> Result<BlockHeader, StoreError> {
    codec::decode(value).map_err(StoreError::malformed(format!("block {first}")))
}

fn decode_at(position: u64, stored: &[u8]) -> Result<EnvelopeRef<'_>, StoreError> {
    let event = EnvelopeRef::decode(stored).map_err(StoreError::malformed(position))?;
    expect_position(&event.header, position)?;
    Ok(event)
}

fn expect_position(header: &Header, position: u64) -> Result<(), StoreError> {
    if header.position == position {
        return Ok(());
    }
    Err(StoreError::corrupt(format!("event {} is stored at position {position}", header.position)))
}
