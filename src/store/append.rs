//! Appending: numbers are given, events encoded once, and everything that follows from them
//! (tail, blocks, tree, index tables, signed log checkpoint) is written in one transaction.
//!
//! A crash before the commit leaves nothing of it, a crash after it everything (LOG-5, LOG-6).

use std::collections::BTreeMap;
use std::ops::Deref;

use redb::ReadableTable as _;

use super::derive;
use super::schema::{META_STATE, Tables, Writing};
use super::{StoreError, View, block};
use crate::base::limits::{BLOCK_PART_BYTES, PAYLOAD_INLINE_BYTES_MAX, SIGN_INTERVAL};
use crate::base::{CommandId, Env, Timestamp, codec};
use crate::domain::{
    Envelope, EnvelopeRef, Event, Header, Identity, Payload, Provenance, StreamId, kind_info,
    signing_message,
};
use crate::tlog::{Hash, LogCheckpoint, NoteSigner, node_hash};

/// Where a stream must stand for an append to take place (STR-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Anywhere: facts that do not depend on what was there before.
    Any,
    /// The stream has this many events; 0 for a new stream.
    Revision(u64),
}

/// The event that names an actor or an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The event at this position.
    At(u64),
    /// The first event of this append itself.
    This,
}

/// Who appends.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    /// The actor's `actor.registered` event.
    pub actor: Origin,
    /// The invocation's `invocation.started` event.
    pub invocation: Option<Origin>,
    /// The actor's key and the position of its `key.created` event; events are then signed.
    pub key: Option<(u64, &'a NoteSigner)>,
}

/// One append: events of one stream that take effect together.
#[derive(Clone, Copy, Debug)]
pub struct Append<'a> {
    /// Whose events.
    pub stream: StreamId,
    /// Where the stream must stand.
    pub expected: Expected,
    /// Who appends.
    pub author: Author<'a>,
    /// Sequence of the first event inside its invocation, where the caller counts itself
    /// (recorders): a repeated append is then recognised. None takes the next one.
    pub sequence: Option<u64>,
    /// The request behind it; a repeated one takes effect once (DOM-2). Where one request makes
    /// several appends, the first of the transaction carries it and speaks for the others.
    pub command: Option<CommandId>,
    /// When it happened by the producer's clock; none means the time of the append.
    pub occurred: Option<Timestamp>,
    /// How the facts came to the log.
    pub provenance: Provenance,
    /// What happened; at least one event.
    pub events: &'a [Event],
}

/// What an append did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Position of the first event; none when a recorder repeated facts.
    pub first: Option<u64>,
    /// Whether it had taken effect before and changed nothing now.
    pub repeated: bool,
    /// Revision that the stream's next event will have.
    pub next_revision: u64,
}

/// The log inside one write transaction; reads see what was appended before.
pub struct Writer<'t> {
    view: View<Writing<'t>>,
    env: &'t Env,
    signer: Option<&'t NoteSigner>,
    sign: bool,
    size_before: u64,
}

impl<'t> Deref for Writer<'t> {
    type Target = View<Writing<'t>>;
    fn deref(&self) -> &Self::Target {
        &self.view
    }
}

impl<'t> Writer<'t> {
    pub(super) fn new(
        tables: Tables<Writing<'t>>,
        env: &'t Env,
        signer: Option<&'t NoteSigner>,
    ) -> Result<Self, StoreError> {
        let state = super::read::stored_state(&tables)?;
        let size_before = state.frontier.size();
        let view = View { tables, state, fresh: BTreeMap::new(), losses: None, recent: None };
        Ok(Self { view, env, signer, sign: false, size_before })
    }

    /// Appends events.
    ///
    /// # Errors
    /// [`StoreError::Revision`] when somebody was faster, [`StoreError::CommandReused`],
    /// [`StoreError::SequenceGap`], [`StoreError::InvocationClosed`],
    /// [`StoreError::PayloadTooLarge`]. The transaction is then as it was before.
    pub fn append(&mut self, append: &Append<'_>) -> Result<Appended, StoreError> {
        let next_revision = self.view.head(append.stream)?.map_or(0, |h| h.next);
        let done = |first, next_revision| Appended { first, repeated: true, next_revision };
        if let Some(first) = self.repeated_command(append)? {
            return Ok(done(Some(first), next_revision));
        }
        let sequence = self.first_sequence(append)?;
        if append.sequence.is_some_and(|given| given < sequence) {
            return Ok(done(None, next_revision));
        }
        if let Expected::Revision(expected) = append.expected
            && expected != next_revision
        {
            let stream = append.stream;
            return Err(StoreError::Revision { stream, expected, found: next_revision });
        }
        let payloads = append.events.iter().map(encode_payload).collect::<Result<Vec<_>, _>>()?;
        let first = self.view.size();
        for (i, (event, bytes)) in (0_u64..).zip(append.events.iter().zip(payloads)) {
            let sequence = if append.author.invocation.is_some() { sequence + i } else { 0 };
            self.append_one(append, event, bytes, first, next_revision + i, sequence)?;
        }
        let next_revision = next_revision + append.events.len() as u64;
        Ok(Appended { first: Some(first), repeated: false, next_revision })
    }

    /// Asks for a signed log checkpoint with this commit even if only facts were appended; what a
    /// recorder does on close. Without a key the tail stays unsigned.
    pub fn sign(&mut self) {
        self.sign = true;
    }

    fn repeated_command(&self, append: &Append<'_>) -> Result<Option<u64>, StoreError> {
        let Some(command) = append.command else { return Ok(None) };
        let Some(position) = self.view.command(command)? else { return Ok(None) };
        for (at, event) in (position..).zip(append.events) {
            let same = at < self.view.size() && {
                let stored = self.view.event(at)?;
                stored.header.command == Some(command)
                    && stored.header.stream == append.stream
                    && stored.header.kind == event.kind()
                    // A redacted payload can no longer be compared; its kind and place can.
                    && (stored.payload.redacted_by().is_some()
                        || stored.payload.bytes() == event.encode())
            };
            if !same {
                return Err(StoreError::CommandReused { command, position });
            }
        }
        Ok(Some(position))
    }

    /// The sequence that comes next; a given one must not lie beyond it.
    fn first_sequence(&self, append: &Append<'_>) -> Result<u64, StoreError> {
        let Some(Origin::At(invocation)) = append.author.invocation else { return Ok(0) };
        let next = self.view.next_sequence(invocation)?;
        let expected = next.ok_or(StoreError::InvocationClosed { invocation })?;
        match append.sequence {
            Some(found) if found > expected => {
                Err(StoreError::SequenceGap { invocation, expected, found })
            }
            _ => Ok(expected),
        }
    }

    fn append_one(
        &mut self,
        append: &Append<'_>,
        event: &Event,
        bytes: Vec<u8>,
        first: u64,
        revision: u64,
        sequence: u64,
    ) -> Result<(), StoreError> {
        let info = kind_info(event.kind())
            .ok_or_else(|| StoreError::corrupt(format!("BUG: {:?} is not listed", event.kind())))?;
        let wall = self.env.now();
        let recorded = match self.view.size() {
            0 => wall,
            _ => wall.max(self.view.state.recorded.plus_nanos(1)),
        };
        let at = |origin| if let Origin::At(position) = origin { position } else { first };
        let payload = if info.class.salted() {
            Payload::Salted { salt: self.env.random(), bytes }
        } else {
            Payload::Inline(bytes)
        };
        let mut header = Header {
            position: self.view.size(),
            stream: append.stream,
            revision,
            kind: info.kind,
            version: info.version,
            recorded,
            wall_offset_ns: wall.0.saturating_sub(recorded.0),
            occurred_offset_ns: append.occurred.unwrap_or(wall).0.saturating_sub(recorded.0),
            actor: at(append.author.actor),
            invocation: append.author.invocation.map(at),
            sequence,
            command: append.command,
            provenance: append.provenance,
            identity: Identity::Claimed,
        };
        if let Some((key, signer)) = append.author.key {
            let message = signing_message(&header, &payload.digest());
            header.identity = Identity::Signed { key, signature: signer.sign_bytes(&message) };
        }
        self.sign |= info.class.signs();
        self.store(Envelope::encode(header, payload).into_stored())
    }

    fn store(&mut self, stored: Vec<u8>) -> Result<(), StoreError> {
        let position = self.view.size();
        let event = EnvelopeRef::decode(&stored).map_err(StoreError::malformed(position))?;
        derive::apply(&mut self.view.tables, &mut self.view.state, &event)?;
        self.view.fresh.insert(position, stored);
        self.seal_if_due()
    }

    /// Borders of blocks follow from the events alone, not from how commits group them.
    fn seal_if_due(&mut self) -> Result<(), StoreError> {
        let state = &self.view.state;
        let first = state.sealed;
        if !block::seal_is_due(first, state.frontier.size() - first, state.tail_bytes) {
            return Ok(());
        }
        let mut events = Vec::new();
        for row in self.view.tables.tail.range(first..)? {
            events.push(row?.1.value().to_vec());
        }
        let stored = events.len() as u64;
        events.extend(std::mem::take(&mut self.view.fresh).into_values());
        let lengths = weights(first, &events)?;
        let count =
            block::seal_count(first, self.view.state.tail_bytes, &lengths).ok_or_else(|| {
                StoreError::corrupt(format!("the tail from {first} on is incomplete"))
            })?;
        let rest = events.split_off(count as usize);
        // What is left over and has a row in the tail keeps it.
        let unstored = count.max(stored);
        let rest = (first + count..).zip(rest).skip((unstored - count) as usize);
        self.view.fresh = rest.collect();
        self.seal(first, &events)
    }

    fn seal(&mut self, first: u64, events: &[Vec<u8>]) -> Result<(), StoreError> {
        let (header, packed) = block::seal(first, events)?;
        let tables = &mut self.view.tables;
        for (part, bytes) in (0_u16..).zip(packed.chunks(BLOCK_PART_BYTES)) {
            tables.blocks.insert((first, part), bytes)?;
        }
        tables.block_headers.insert(first, codec::encode(&header).as_slice())?;
        let end = first + events.len() as u64;
        for position in first..end {
            tables.tail.remove(position)?;
        }
        self.view.state.sealed = end;
        self.view.state.tail_bytes -= weights(first, events)?.iter().sum::<u64>();
        let level = events.len().ilog2() as u8;
        self.store_node(level, first >> level, header.root)
    }

    /// Stores the root of a sealed block and every node above that it completes.
    fn store_node(&mut self, level: u8, index: u64, hash: Hash) -> Result<(), StoreError> {
        let tree = &mut self.view.tables.tree;
        let (mut level, mut index, mut hash) = (level, index, hash);
        loop {
            tree.insert((level, index), &hash.0)?;
            if index & 1 == 0 {
                return Ok(());
            }
            let left = tree.get((level, index - 1))?.map(|row| Hash(*row.value()));
            let left = left.ok_or_else(|| {
                StoreError::corrupt(format!("node {} of tree level {level} is missing", index - 1))
            })?;
            (hash, level, index) = (node_hash(left, hash), level + 1, index >> 1);
        }
    }

    /// Writes what belongs to the commit as a whole; the transaction is then ready.
    /// Tells whether there is anything to commit.
    pub(super) fn finish(mut self) -> Result<bool, StoreError> {
        let signed = self.sign_if_due()?;
        let changed = signed || self.view.size() != self.size_before;
        for (position, stored) in std::mem::take(&mut self.view.fresh) {
            self.view.tables.tail.insert(position, stored.as_slice())?;
        }
        if changed {
            let state = codec::encode(&self.view.state);
            self.view.tables.meta.insert(META_STATE, state.as_slice())?;
        }
        Ok(changed)
    }

    fn sign_if_due(&mut self) -> Result<bool, StoreError> {
        let Some(signer) = self.signer else { return Ok(false) };
        let size = self.view.size();
        let state = &mut self.view.state;
        let interval = SIGN_INTERVAL.as_nanos() as i64;
        let (signed_size, due) = state.signed.map_or((0, true), |(size, at)| {
            (size, state.recorded.0.saturating_sub(at.0) >= interval)
        });
        if size == signed_size || state.origin.is_empty() || !(self.sign || due) {
            return Ok(false);
        }
        let root = state.frontier.root();
        let note = LogCheckpoint { origin: state.origin.clone(), size, root }.sign(signer);
        state.signed = Some((size, state.recorded));
        self.view.tables.checkpoints.insert(size, note.as_str())?;
        Ok(true)
    }

    /// Puts other bytes in the place of an event that is not in a block.
    pub(super) fn replace_in_tail(
        &mut self,
        position: u64,
        new: Vec<u8>,
    ) -> Result<(), StoreError> {
        match self.view.fresh.get_mut(&position) {
            Some(fresh) => *fresh = new,
            None => drop(self.view.tables.tail.insert(position, new.as_slice())?),
        }
        Ok(())
    }

    pub(super) fn tables(&mut self) -> &mut Tables<Writing<'t>> {
        &mut self.view.tables
    }
}

/// What each event from `first` on counts for where blocks end.
fn weights(first: u64, events: &[Vec<u8>]) -> Result<Vec<u64>, StoreError> {
    let weight = |(position, event): (u64, &Vec<u8>)| {
        let event = EnvelopeRef::decode(event).map_err(StoreError::malformed(position))?;
        Ok(event.weight())
    };
    (first..).zip(events).map(weight).collect()
}

fn encode_payload(event: &Event) -> Result<Vec<u8>, StoreError> {
    let bytes = event.encode();
    if bytes.len() <= PAYLOAD_INLINE_BYTES_MAX {
        return Ok(bytes);
    }
    Err(StoreError::PayloadTooLarge {
        kind: event.kind().name(),
        bytes: bytes.len(),
        bytes_max: PAYLOAD_INLINE_BYTES_MAX,
    })
}
