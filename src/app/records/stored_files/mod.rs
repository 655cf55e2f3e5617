//! Every file that annals stores, compared with the digest that the record has for it: files of
//! runs, training checkpoints, prepared rows, archives and what is packed in them, models in
//! production, snapshots and blobs.
//!
//! `expected.rs` folds one run into the files it must have, `list.rs` and `stores.rs` list what
//! there is to read, `check.rs` reads it on all cores. To add a kind of file: a variant of
//! [`FileKind`] and a place where it is listed. Start reading in `check.rs`.

mod check;
mod expected;
mod list;
mod recorded;
mod report;
mod stores;

pub(in crate::app) use self::check::check_files;
pub use self::check::{Depth, ReadProgress};
pub(in crate::app) use self::expected::{ExpectedFiles, RunRecord};
pub use self::report::{
    CheckedFile, FileKind, FileState, FilesReport, KindTotal, UncheckedFiles, VerifiedFiles,
};
