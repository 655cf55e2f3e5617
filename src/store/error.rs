//! What can go wrong between annals and its log.

use std::io;
use std::path::PathBuf;

use crate::base::{CommandId, Digest, Sha256Digest, codec::CodecError};
use crate::domain::StreamId;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file could not be read or written.
    #[error("cannot {what}")]
    Io {
        /// What was tried, with the file's name.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The database refused.
    #[error("the log's database failed")]
    Database {
        /// What redb said.
        source: Box<redb::Error>,
    },
    /// A commit failed in a way that leaves open whether it took place; reopening tells.
    #[error("the commit failed, and whether it took effect shows only on reopening the log")]
    Unsure {
        /// What redb said.
        source: Box<redb::Error>,
    },
    /// There is no log here.
    #[error("there is no log at {}", .path.display())]
    NoLog {
        /// Where one was expected.
        path: PathBuf,
    },
    /// A log's file without a byte: every log has some from the moment it is made.
    #[error("the log at {} is empty: its events are lost", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// There is something here already.
    #[error("{} exists already", .path.display())]
    Exists {
        /// What exists.
        path: PathBuf,
    },
    /// The log was written by a later annals.
    #[error("the log has format {found}, this annals {does} up to {supported}")]
    NewerFormat {
        /// Format of the log.
        found: String,
        /// Newest format known here.
        supported: String,
        /// `reads` or `writes`.
        does: &'static str,
    },
    /// The log cannot be changed here.
    #[error("the log at {} can only be read", .path.display())]
    ReadOnly {
        /// The log.
        path: PathBuf,
    },
    /// Another process has the lock.
    #[error("the log is in use by {holder}; waited {waited_ms} ms")]
    Busy {
        /// Pid and verb, as the holder wrote them.
        holder: String,
        /// How long was waited.
        waited_ms: u128,
    },
    /// Another process has the lock of a file beside the log.
    #[error("{file} is in use by {holder}; waited {waited_ms} ms")]
    Held {
        /// The file, such as `.annals/views.lock`.
        file: String,
        /// Its holder, as the kernel names it.
        holder: String,
        /// The length of the wait.
        waited_ms: u128,
    },
    /// A writer that has failed once was used again.
    #[error("this opening of the log has failed before and must be dropped")]
    Dropped,
    /// Stored bytes that annals cannot have written.
    #[error("the log is damaged: {what}")]
    Corrupt {
        /// What is wrong, and where.
        what: String,
    },
    /// Stored bytes that do not decode.
    #[error("the log is damaged at {at}")]
    Malformed {
        /// Position or row.
        at: String,
        /// What the codec said.
        source: CodecError,
    },
    /// Pages of the log's file that redb cannot have written.
    #[error("the pages of {} are damaged: {what}", .path.display())]
    Pages {
        /// The file.
        path: PathBuf,
        /// What redb said.
        what: String,
    },
    /// There is no such event.
    #[error("there is no event {position}: the log has {size}")]
    NoEvent {
        /// Position asked for.
        position: u64,
        /// Size of the log.
        size: u64,
    },
    /// Somebody else was faster (STR-1).
    #[error("{stream} is at revision {found}, expected {expected}")]
    Revision {
        /// The stream.
        stream: StreamId,
        /// What the caller expected.
        expected: u64,
        /// Revisions there are.
        found: u64,
    },
    /// A command id was used for something else (DOM-2).
    #[error("command {command} took effect at position {position} with other content")]
    CommandReused {
        /// The command.
        command: CommandId,
        /// Its first event.
        position: u64,
    },
    /// A recorder skipped facts.
    #[error("fact {expected} of invocation {invocation} comes next, found {found}")]
    SequenceGap {
        /// Position of the invocation's start.
        invocation: u64,
        /// Sequence that comes next.
        expected: u64,
        /// Sequence that was given.
        found: u64,
    },
    /// The invocation is over.
    #[error("invocation {invocation} is not open")]
    InvocationClosed {
        /// Position of the invocation's start.
        invocation: u64,
    },
    /// Too large for an event.
    #[error("the payload of {kind} has {bytes} bytes, at most {bytes_max} fit into an event")]
    PayloadTooLarge {
        /// Name of the kind.
        kind: String,
        /// Bytes found.
        bytes: usize,
        /// Bytes allowed.
        bytes_max: usize,
    },
    /// There is no such blob.
    #[error("blob {digest} is missing")]
    BlobMissing {
        /// Its digest.
        digest: Digest,
    },
    /// A blob's bytes are not those it is named after (BLB-1).
    #[error("blob {digest} is damaged: its bytes have digest {found}")]
    BlobDamaged {
        /// Its name.
        digest: Digest,
        /// Digest of its bytes.
        found: Digest,
    },
    /// A blob's bytes have the digest it is named after, and another SHA-256 than was recorded.
    #[error("blob {digest} has another SHA-256 than was recorded")]
    BlobSha256 {
        /// Its name.
        digest: Digest,
        /// As recorded.
        expected: Sha256Digest,
        /// SHA-256 of its bytes.
        found: Sha256Digest,
    },
    /// A private key file does not hold the key it is named after.
    #[error("{} does not contain the private key of its file name", .path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
    },
    /// A pin that cannot be used.
    #[error("the file {} is no pin of that log, or others may write it", .path.display())]
    PinFile {
        /// The file.
        path: PathBuf,
    },
    /// A private key that others may read.
    #[error(
        "the private key {} has mode {mode:o}, so others may read it: run `chmod 600 {}`, and \
         `annals actor rotate` if it may have been read", .path.display(), .path.display()
    )]
    KeyMode {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

impl StoreError {
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what: what.into(), source }
    }

    pub(super) fn malformed(at: impl ToString) -> impl FnOnce(CodecError) -> Self {
        move |source| Self::Malformed { at: at.to_string(), source }
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }
}

/// What redb says of bytes that it cannot have written, and of a file that ends too early.
impl From<redb::Error> for StoreError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Corrupted(what) => Self::Corrupt { what },
            redb::Error::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                Self::corrupt("the file ends too early")
            }
            redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TypeDefinitionChanged { .. }
            | redb::Error::TableDoesNotExist(_)
            | redb::Error::UpgradeRequired(_) => Self::corrupt(error.to_string()),
            other => Self::Database { source: Box::new(other) },
        }
    }
}

macro_rules! from_redb {
    ($($error:ident),+) => {$(
        impl From<redb::$error> for StoreError {
            fn from(error: redb::$error) -> Self {
                redb::Error::from(error).into()
            }
        }
    )+};
}

from_redb!(DatabaseError, TransactionError, TableError, StorageError, CompactionError, CommitError);
