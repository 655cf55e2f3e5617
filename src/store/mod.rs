//! The log on disk: `log.redb`, its lock, the blobs and the keys. Everything that survives a
//! crash passes through here, and nobody holds the database open between two calls.
//!
//! May use: `base`, `tlog`, `domain`, redb. Must never see: `projection`, `app`.
//!
//! LOG-1 positions are dense from 0. LOG-2 stored bytes never change, except a payload that a
//! signed `text.redacted` event names. LOG-3 the stored tree is the tree of the stored bytes.
//! LOG-5 one append's events appear all or not at all. LOG-6 an acknowledged event survives a
//! crash. STR-1 revisions are dense per stream, and the expected one is checked in the
//! transaction. DOM-2 a command id takes effect once. BLB-1 a blob's digest is checked on reading.
//!
//! What a crash leaves behind: between two commits nothing but an open flag in `log.redb`, which
//! the next opening clears in milliseconds; while a log is made, a `log.redb.new` that the next
//! attempt replaces; while a blob is stored, a temporary file beside it; while the file is
//! compacted, a database that the next writer repairs by reading it once; while texts are taken
//! out, a `log.redb.new` without them.
//!
//! To add a table: a field in `schema.rs`; if it can be rebuilt from events, an arm in
//! `derive.rs`. Start reading at [`Store`], then `append.rs`.

mod append;
mod backend;
mod blob;
mod block;
mod copy;
mod derive;
mod digest;
mod error;
mod key;
mod lenient;
mod lock;
mod open;
mod pages;
mod past;
mod pin;
mod prove;
mod read;
mod rewrite;
mod schema;
#[cfg(test)]
mod tests;

pub use append::{Append, Appended, Author, Expected, Origin, Writer};
pub use backend::{LogFiles, Overlay};
pub use blob::{Blobs, StoredBlob};
pub use block::{Block, BlockHeader, SEAL_LEVEL_MAX, seal_count};
pub use copy::{copy_file, copy_into};
pub use derive::{MemoryIndex, StreamHead, TAG_ACTOR, TAG_KEY};
pub use digest::Digested;
pub use error::StoreError;
pub use key::KeyRing;
pub use lenient::Lost;
pub use lock::{Lock, LockGuard, lock_file_within};
pub use open::{Burst, Store, WriteOptions};
pub use pin::Pin;
pub use prove::TreeReader;
pub use read::{Filter, Reader, View};
pub use schema::{Access, FORMAT_MAJOR, FORMAT_MINOR, Reading, State, Writing};
