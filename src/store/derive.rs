//! What follows from the events alone: the one function by which the append path keeps the index
//! tables and by which `verify` rebuilds them to compare.
//!
//! To add an index table: a field in `schema.rs`, a method of [`Index`], an arm in [`apply`].

use std::collections::BTreeMap;

use redb::ReadableTable as _;

use super::StoreError;
use super::schema::{Access, State, Tables, Writing};
use crate::domain::file_move::MoveEvent;
use crate::domain::invocation::InvocationEvent;
use crate::domain::workspace::WorkspaceEvent;
use crate::domain::{EnvelopeRef, Event, Kind, StreamId, StreamType, kind_info};
use crate::tlog::leaf_hash;

/// Tag of actors in the table of names.
pub const TAG_ACTOR: u8 = 1;
/// Tag of public keys (hexadecimal) in the table of names.
pub const TAG_KEY: u8 = 2;

/// Where a stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamHead {
    /// Revision of the next event.
    pub next: u64,
    /// Position of the first event.
    pub first: u64,
    /// Position of the last event.
    pub last: u64,
}

/// The index tables: in redb, or in memory to compare with.
pub(super) trait Index {
    fn head(&self, stream: StreamId) -> Result<Option<StreamHead>, StoreError>;
    fn set_head(&mut self, stream: StreamId, head: StreamHead) -> Result<(), StoreError>;
    fn set_position(&mut self, stream: StreamId, revision: u64, at: u64) -> Result<(), StoreError>;
    /// Keeps the first position.
    fn set_command(&mut self, command: [u8; 16], at: u64) -> Result<(), StoreError>;
    fn next_sequence(&self, invocation: u64) -> Result<Option<u64>, StoreError>;
    fn set_next_sequence(&mut self, invocation: u64, next: Option<u64>) -> Result<(), StoreError>;
    /// Keeps the first position.
    fn set_name(&mut self, tag: u8, text: &str, at: u64) -> Result<(), StoreError>;
    fn set_open_move(&mut self, id: [u8; 16], planned: Option<u64>) -> Result<(), StoreError>;
}

const INVOCATION_ENDS: [Kind; 2] = [InvocationEvent::FINISHED, InvocationEvent::INTERRUPTED];
const MOVE_ENDS: [Kind; 2] = [MoveEvent::COMPLETED, MoveEvent::ROLLED_BACK];

/// Takes one more event into the state and the index tables.
///
/// # Errors
/// When the event does not follow from those before (position, revision, sequence), or a table
/// cannot be read or written.
pub(super) fn apply(
    index: &mut impl Index,
    state: &mut State,
    event: &EnvelopeRef<'_>,
) -> Result<(), StoreError> {
    follow(index, state, state.frontier.size(), event)?;
    state.frontier.push(leaf_hash(&event.leaf_data().0));
    Ok(())
}

/// [`apply`] without the tree: the caller knows that `size` events came before, and takes in the
/// leaf.
fn follow(
    index: &mut impl Index,
    state: &mut State,
    size: u64,
    event: &EnvelopeRef<'_>,
) -> Result<(), StoreError> {
    let header = &event.header;
    let at = header.position;
    let unexpected = |what: &str, expected: u64, found: u64| {
        StoreError::corrupt(format!("event {at}: {what} {expected} expected, found {found}"))
    };
    if at != size {
        return Err(unexpected("position", size, at));
    }
    let head = index.head(header.stream)?;
    let next = head.map_or(0, |h| h.next);
    if header.revision != next {
        return Err(unexpected("revision", next, header.revision));
    }
    // At the end of all time there is no later instant: positions alone order what follows.
    if at > 0 && header.recorded <= state.recorded && state.recorded.0 != i64::MAX {
        return Err(StoreError::corrupt(format!(
            "event {at}: recorded {}, not after {}",
            header.recorded, state.recorded
        )));
    }
    let first = head.map_or(at, |h| h.first);
    index.set_head(header.stream, StreamHead { next: next + 1, first, last: at })?;
    if kind_info(header.kind).is_none_or(|info| info.class.indexed()) {
        index.set_position(header.stream, header.revision, at)?;
    }
    if let Some(command) = header.command {
        index.set_command(command.0, at)?;
    }
    if let Some(invocation) = header.invocation {
        let next = if invocation == at { Some(0) } else { index.next_sequence(invocation)? };
        if next != Some(header.sequence) {
            return Err(unexpected("sequence", next.unwrap_or(0), header.sequence));
        }
        index.set_next_sequence(invocation, Some(header.sequence + 1))?;
    }
    apply_meaning(index, state, event, first)?;
    state.recorded = header.recorded;
    state.tail_bytes += event.weight();
    Ok(())
}

/// The few kinds whose meaning the store itself needs.
fn apply_meaning(
    index: &mut impl Index,
    state: &mut State,
    event: &EnvelopeRef<'_>,
    first: u64,
) -> Result<(), StoreError> {
    let (at, stream, kind) = (event.header.position, event.header.stream, event.header.kind);
    match stream.stream_type() {
        Some(StreamType::Workspace) => match event.event() {
            // A log begins once, whatever somebody appends to it later.
            Ok(Event::Workspace(WorkspaceEvent::Created(created))) if state.origin.is_empty() => {
                state.origin = created.origin;
            }
            Ok(Event::Workspace(WorkspaceEvent::ActorRegistered(actor))) => {
                index.set_name(TAG_ACTOR, &actor.name, at)?;
            }
            Ok(Event::Workspace(WorkspaceEvent::KeyCreated(key))) => {
                index.set_name(TAG_KEY, &key.public_key.to_string(), at)?;
            }
            // Kinds of a later version mean nothing to the index.
            _ => {}
        },
        Some(StreamType::Invocation) if INVOCATION_ENDS.contains(&kind) => {
            index.set_next_sequence(first, None)?;
        }
        Some(StreamType::Move) if kind == MoveEvent::PLANNED => {
            index.set_open_move(stream.entity, Some(at))?;
        }
        Some(StreamType::Move) if MOVE_ENDS.contains(&kind) => {
            index.set_open_move(stream.entity, None)?;
        }
        _ => {}
    }
    Ok(())
}

/// The index tables in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryIndex {
    /// The head of the last stream, not yet in `stream_heads`: events come in long runs of one.
    recent: Option<(StreamId, StreamHead)>,
    /// Streams by key.
    pub stream_heads: BTreeMap<[u8; 17], StreamHead>,
    /// Positions by stream and revision, without bulk kinds.
    pub stream_index: BTreeMap<([u8; 17], u64), u64>,
    /// Positions by command id.
    pub commands: BTreeMap<[u8; 16], u64>,
    /// Next sequence of each open invocation, by the position of its start.
    pub writers: BTreeMap<u64, u64>,
    /// Positions by tag and text.
    pub names: BTreeMap<(u8, String), u64>,
    /// Positions of planned moves without an end, by move id.
    pub open_moves: BTreeMap<[u8; 16], u64>,
}

impl MemoryIndex {
    /// Takes one more event into `self` and `state`, as an append does; the caller keeps
    /// `state.sealed`, `state.tail_bytes` after sealing, and `state.signed`.
    ///
    /// # Errors
    /// When the event does not follow from those before (LOG-1, STR-1).
    pub fn apply(&mut self, state: &mut State, event: &EnvelopeRef<'_>) -> Result<(), StoreError> {
        apply(self, state, event)?;
        self.finalize();
        Ok(())
    }

    /// [`apply`](Self::apply) without the tree: `size` events came before, and the caller takes
    /// the leaf into `state.frontier`. `finalize` comes after the last event.
    ///
    /// # Errors
    /// When the event does not follow from those before (LOG-1, STR-1).
    pub fn follow(
        &mut self,
        state: &mut State,
        size: u64,
        event: &EnvelopeRef<'_>,
    ) -> Result<(), StoreError> {
        follow(self, state, size, event)
    }

    /// Writes down what is still on its way into the tables.
    pub fn finalize(&mut self) {
        if let Some((stream, head)) = self.recent.take() {
            self.stream_heads.insert(stream.to_key(), head);
        }
    }

    pub(super) fn load<A: Access>(tables: &Tables<A>) -> Result<Self, StoreError> {
        let mut index = Self::default();
        for row in tables.stream_heads.iter()? {
            let (key, value) = row?;
            let (next, first, last) = value.value();
            index.stream_heads.insert(*key.value(), StreamHead { next, first, last });
        }
        for row in tables.stream_index.iter()? {
            let (key, value) = row?;
            let (stream, revision) = key.value();
            index.stream_index.insert((*stream, revision), value.value());
        }
        for row in tables.commands.iter()? {
            let (key, value) = row?;
            index.commands.insert(*key.value(), value.value());
        }
        for row in tables.writers.iter()? {
            let (key, value) = row?;
            index.writers.insert(key.value(), value.value());
        }
        for row in tables.names.iter()? {
            let (key, value) = row?;
            let (tag, text) = key.value();
            index.names.insert((tag, text.to_owned()), value.value());
        }
        for row in tables.open_moves.iter()? {
            let (key, value) = row?;
            index.open_moves.insert(*key.value(), value.value());
        }
        Ok(index)
    }
}

impl Index for MemoryIndex {
    fn head(&self, stream: StreamId) -> Result<Option<StreamHead>, StoreError> {
        match self.recent {
            Some((recent, head)) if recent == stream => Ok(Some(head)),
            _ => Ok(self.stream_heads.get(&stream.to_key()).copied()),
        }
    }
    fn set_head(&mut self, stream: StreamId, head: StreamHead) -> Result<(), StoreError> {
        if self.recent.is_some_and(|(recent, _)| recent != stream) {
            self.finalize();
        }
        self.recent = Some((stream, head));
        Ok(())
    }
    fn set_position(&mut self, stream: StreamId, revision: u64, at: u64) -> Result<(), StoreError> {
        self.stream_index.insert((stream.to_key(), revision), at);
        Ok(())
    }
    fn set_command(&mut self, command: [u8; 16], at: u64) -> Result<(), StoreError> {
        self.commands.entry(command).or_insert(at);
        Ok(())
    }
    fn next_sequence(&self, invocation: u64) -> Result<Option<u64>, StoreError> {
        Ok(self.writers.get(&invocation).copied())
    }
    fn set_next_sequence(&mut self, invocation: u64, next: Option<u64>) -> Result<(), StoreError> {
        match next {
            Some(next) => self.writers.insert(invocation, next),
            None => self.writers.remove(&invocation),
        };
        Ok(())
    }
    fn set_name(&mut self, tag: u8, text: &str, at: u64) -> Result<(), StoreError> {
        self.names.entry((tag, text.to_owned())).or_insert(at);
        Ok(())
    }
    fn set_open_move(&mut self, id: [u8; 16], planned: Option<u64>) -> Result<(), StoreError> {
        match planned {
            Some(at) => self.open_moves.insert(id, at),
            None => self.open_moves.remove(&id),
        };
        Ok(())
    }
}

impl Index for Tables<Writing<'_>> {
    fn head(&self, stream: StreamId) -> Result<Option<StreamHead>, StoreError> {
        super::read::stream_head(self, stream)
    }
    fn set_head(&mut self, stream: StreamId, head: StreamHead) -> Result<(), StoreError> {
        self.stream_heads.insert(&stream.to_key(), (head.next, head.first, head.last))?;
        Ok(())
    }
    fn set_position(&mut self, stream: StreamId, revision: u64, at: u64) -> Result<(), StoreError> {
        self.stream_index.insert((&stream.to_key(), revision), at)?;
        Ok(())
    }
    fn set_command(&mut self, command: [u8; 16], at: u64) -> Result<(), StoreError> {
        if self.commands.get(&command)?.is_none() {
            self.commands.insert(&command, at)?;
        }
        Ok(())
    }
    fn next_sequence(&self, invocation: u64) -> Result<Option<u64>, StoreError> {
        Ok(self.writers.get(invocation)?.map(|row| row.value()))
    }
    fn set_next_sequence(&mut self, invocation: u64, next: Option<u64>) -> Result<(), StoreError> {
        match next {
            Some(next) => drop(self.writers.insert(invocation, next)?),
            None => drop(self.writers.remove(invocation)?),
        }
        Ok(())
    }
    fn set_name(&mut self, tag: u8, text: &str, at: u64) -> Result<(), StoreError> {
        if self.names.get((tag, text))?.is_none() {
            self.names.insert((tag, text), at)?;
        }
        Ok(())
    }
    fn set_open_move(&mut self, id: [u8; 16], planned: Option<u64>) -> Result<(), StoreError> {
        match planned {
            Some(at) => drop(self.open_moves.insert(&id, at)?),
            None => drop(self.open_moves.remove(&id)?),
        }
        Ok(())
    }
}
