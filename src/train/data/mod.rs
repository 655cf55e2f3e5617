//! From a file of labelled texts to rows, classes, splits and token ids.
//!
//! [`read`](fn@read) reads one file and refuses what it does not understand, by row; [`split`]
//! assigns rows; [`vocab`] learns a vocabulary from the training rows alone; [`prepare`] does all
//! three and says what it found.
//!
//! To add a file format: an arm in `format.rs` and its reader in `read.rs`. Start reading at
//! [`prepare`].

mod error;
mod format;
mod heads;
mod label;
mod prepare;
mod read;
pub mod sample;
pub mod split;
pub mod vocab;

pub use error::DataError;
pub use format::Format;
pub use label::{Label, LabelColumns, LabelSpec};
pub use prepare::{Leakage, Preparation, SplitCounts, prepare};
pub use read::{DataFile, Dataset, Row, Source, read};
