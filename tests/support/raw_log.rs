//! The file of a log, written past every rule: what an attacker does who has read the format.

use std::path::Path;

use annals::base::codec;
use annals::domain::EnvelopeRef;
use annals::store::{MemoryIndex, State, StoreError};
use redb::{Database, TableDefinition};

pub(crate) const TAIL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("tail");
const NAMES: TableDefinition<'_, (u8, &str), u64> = TableDefinition::new("names");
const MOVES: TableDefinition<'_, &[u8; 16], u64> = TableDefinition::new("open_moves");
const COMMANDS: TableDefinition<'_, &[u8; 16], u64> = TableDefinition::new("commands");
const WRITERS: TableDefinition<'_, u64, u64> = TableDefinition::new("writers");
const HEADS: TableDefinition<'_, &[u8; 17], (u64, u64, u64)> = TableDefinition::new("stream_heads");
const INDEX: TableDefinition<'_, (&[u8; 17], u64), u64> = TableDefinition::new("stream_index");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// Writes a log of `format` with these events, all in its tail, and these log checkpoints.
///
/// # Errors
/// When the events do not follow from each other.
pub(crate) fn write(
    path: &Path,
    format: (u16, u16),
    rows: &[Vec<u8>],
    checkpoints: &[(u64, String)],
) -> Result<(), StoreError> {
    let (mut state, mut index) = (State::default(), MemoryIndex::default());
    for stored in rows {
        index.apply(&mut state, &EnvelopeRef::decode(stored).unwrap())?;
    }
    state.signed = checkpoints.last().map(|(size, _)| (*size, state.recorded));
    put(path, format, rows, checkpoints, &state, &index);
    Ok(())
}

fn put(
    path: &Path,
    format: (u16, u16),
    rows: &[Vec<u8>],
    checkpoints: &[(u64, String)],
    state: &State,
    index: &MemoryIndex,
) {
    let db = Database::create(path).unwrap();
    let txn = db.begin_write().unwrap();
    {
        let mut meta = txn.open_table(META).unwrap();
        meta.insert("format", codec::encode(&format).as_slice()).unwrap();
        meta.insert("state", codec::encode(state).as_slice()).unwrap();
        let mut tail = txn.open_table(TAIL).unwrap();
        for (at, stored) in (0_u64..).zip(rows) {
            tail.insert(at, stored.as_slice()).unwrap();
        }
        let (mut heads, mut by_stream) =
            (txn.open_table(HEADS).unwrap(), txn.open_table(INDEX).unwrap());
        for (key, head) in &index.stream_heads {
            heads.insert(key, (head.next, head.first, head.last)).unwrap();
        }
        for ((key, revision), at) in &index.stream_index {
            by_stream.insert((key, *revision), *at).unwrap();
        }
        let (mut names, mut moves) =
            (txn.open_table(NAMES).unwrap(), txn.open_table(MOVES).unwrap());
        for ((tag, text), at) in &index.names {
            names.insert((*tag, text.as_str()), *at).unwrap();
        }
        for (id, at) in &index.open_moves {
            moves.insert(id, *at).unwrap();
        }
        let (mut commands, mut writers) =
            (txn.open_table(COMMANDS).unwrap(), txn.open_table(WRITERS).unwrap());
        for (id, at) in &index.commands {
            commands.insert(id, *at).unwrap();
        }
        for (invocation, next) in &index.writers {
            writers.insert(*invocation, *next).unwrap();
        }
        let headers = TableDefinition::<u64, &[u8]>::new("block_headers");
        let blocks = TableDefinition::<(u64, u16), &[u8]>::new("blocks");
        let tree = TableDefinition::<(u8, u64), &[u8; 32]>::new("tree");
        let signed = TableDefinition::<u64, &str>::new("checkpoints");
        txn.open_table(headers).unwrap();
        txn.open_table(blocks).unwrap();
        txn.open_table(tree).unwrap();
        let mut signed = txn.open_table(signed).unwrap();
        for (size, note) in checkpoints {
            signed.insert(size, note.as_str()).unwrap();
        }
    }
    txn.commit().unwrap();
}
