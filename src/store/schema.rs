//! Every table of `log.redb`, its keys and values, and the version of the format.
//!
//! ```text
//! truth
//!   tail          position                -> envelope bytes           events not yet sealed
//!   block_headers first position          -> BlockHeader              what a reader may skip by
//!   blocks        (first position, part)  -> zstd bytes              at most BLOCK_PART_BYTES each
//!   tree          (level, index)          -> SHA-256                  roots of blocks and above
//!   checkpoints   size                    -> signed note              C2SP text
//!   meta          "format"                -> (major, minor)
//! rebuilt from events alone, by derive.rs
//!   meta          "state"                 -> State
//!   stream_heads  stream                  -> (next revision, first, last position)
//!   stream_index  (stream, revision)      -> position                 all but bulk kinds
//!   commands      command id              -> position of its first event
//!   writers       invocation position     -> next sequence            while the invocation is open
//!   names         (tag, text)             -> position                 actors by name, keys by hex
//!   open_moves    move id                 -> position of move.planned
//! ```
//!
//! Integers in keys are redb's own, so ranges run in numeric order. Values of several fields are
//! bincode (`base::codec`), except fixed tuples.

use redb::{
    Key, ReadOnlyTable, ReadTransaction, ReadableTable, StorageError, Table, TableDefinition,
    TableError, Value, WriteTransaction,
};

use crate::base::Timestamp;
use crate::tlog::Frontier;

/// A log of a higher major format can neither be read nor written.
pub const FORMAT_MAJOR: u16 = 1;
/// A log of a higher minor format can be read, not written.
pub const FORMAT_MINOR: u16 = 1;

pub(super) const META_FORMAT: &str = "format";
pub(super) const META_STATE: &str = "state";

/// The parts of the log's state that are not rows of their own.
#[derive(Clone, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct State {
    /// Size and perfect subtrees of the tree.
    pub frontier: Frontier,
    /// Position of the first event that is not in a sealed block.
    pub sealed: u64,
    /// Bytes of the events that are not in a sealed block.
    pub tail_bytes: u64,
    /// Recorded time of the last event.
    pub recorded: Timestamp,
    /// Origin of the log, from its first event; empty before that.
    pub origin: String,
    /// Size of the last signed log checkpoint and the recorded time of its last event.
    pub signed: Option<(u64, Timestamp)>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            frontier: Frontier::default(),
            sealed: 0,
            tail_bytes: 0,
            recorded: Timestamp(0),
            origin: String::new(),
            signed: None,
        }
    }
}

/// How tables are opened; what reads is written once for both ways.
pub trait Access {
    /// An open table.
    type Table<K: Key + 'static, V: Value + 'static>: ReadableTable<K, V>;
}

/// Tables of a read transaction.
pub struct Reading;

impl Access for Reading {
    type Table<K: Key + 'static, V: Value + 'static> = ReadOnlyTable<K, V>;
}

/// Tables of a write transaction.
pub struct Writing<'t>(std::marker::PhantomData<&'t ()>);

impl<'t> Access for Writing<'t> {
    type Table<K: Key + 'static, V: Value + 'static> = Table<'t, K, V>;
}

pub(super) type StreamKey = &'static [u8; 17];

macro_rules! tables {
    ($($field:ident: $key:ty => $value:ty;)+) => {
        /// The open tables.
        pub(super) struct Tables<A: Access> {
            $( pub(super) $field: A::Table<$key, $value>, )+
        }

        impl Tables<Reading> {
            pub(super) fn open(txn: &ReadTransaction) -> Result<Self, TableError> {
                Ok(Self { $( $field: txn.open_table(
                    TableDefinition::<$key, $value>::new(stringify!($field)))?, )+ })
            }
        }

        impl<'t> Tables<Writing<'t>> {
            /// Opens every table and creates those that are missing.
            pub(super) fn open(txn: &'t WriteTransaction) -> Result<Self, TableError> {
                Ok(Self { $( $field: txn.open_table(
                    TableDefinition::<$key, $value>::new(stringify!($field)))?, )+ })
            }

            /// Copies every row into tables that are empty.
            pub(super) fn copy_to(&self, to: &mut Tables<Writing<'_>>) -> Result<(), StorageError> {
                $( copy(&self.$field, &mut to.$field)?; )+
                Ok(())
            }
        }
    };
}

fn copy<K: Key + 'static, V: Value + 'static>(
    from: &Table<'_, K, V>,
    to: &mut Table<'_, K, V>,
) -> Result<(), StorageError> {
    for row in from.iter()? {
        let (key, value) = row?;
        to.insert(key.value(), value.value())?;
    }
    Ok(())
}

tables! {
    meta: &'static str => &'static [u8];
    tail: u64 => &'static [u8];
    block_headers: u64 => &'static [u8];
    blocks: (u64, u16) => &'static [u8];
    tree: (u8, u64) => &'static [u8; 32];
    checkpoints: u64 => &'static str;
    stream_heads: StreamKey => (u64, u64, u64);
    stream_index: (StreamKey, u64) => u64;
    commands: &'static [u8; 16] => u64;
    writers: u64 => u64;
    names: (u8, &'static str) => u64;
    open_moves: &'static [u8; 16] => u64;
}
