//! From a file of labelled texts or series to rows, classes, splits and token ids or numbers.
//!
//! [`read`](fn@read) reads texts and [`read_series`] series; both refuse what they do not
//! understand, by row. [`split`] assigns rows; [`vocab`] and [`tokenizer`] learn a vocabulary and
//! [`Scaler`] the scale of each column from the training rows alone.
//! [`prepare`](crate::model::prepare) does all of it for an architecture.
//!
//! May use: `base`, `stats`. Must never see: `model`, `train`, anything of the log.
//!
//! `table.rs` makes the same rows of every format, `given.rs` and `label.rs` the same labels of
//! every row; `suspect.rs` finds what is read without a fault and yet not meant so. To add a file
//! format: an arm in `format.rs` and its reader in `table.rs` or `series.rs`. Start reading at
//! [`read`](fn@read).

pub mod actigraphy;
pub mod batch;
pub mod difficulty;
mod error;
mod format;
mod given;
pub mod heads;
mod json;
mod label;
pub(crate) mod leakage;
pub mod lexicon;
pub(crate) mod near;
mod npy;
mod pages;
mod parquet;
mod pickle;
pub mod prepared;
pub(crate) mod rationale;
mod read;
pub(crate) mod report;
pub mod sample;
mod scaler;
mod separated;
mod series;
mod series_table;
mod spelling;
pub mod split;
mod suspect;
mod table;
mod test_rows;
pub mod tokenizer;
mod value;
pub mod vocab;

pub use error::DataError;
pub use format::Format;
pub use label::{Label, LabelColumns, LabelSpec};
pub use leakage::{Leakage, SplitCounts};
pub use pickle::Pickle;
pub use read::{DataFile, Dataset, ID_COLUMN, Row, Source, read, read_table};
pub use report::{DataReport, REPORT_FILE};
pub use scaler::{SCALER_FILE, Scaler, ScalerError};
pub use series::{Series, read_series, read_unlabelled};
pub use table::Table;
pub use test_rows::{TEST_ROW_ORDER_FILE, TEST_ROWS_FILE, TestRowIdentity};
pub use value::Value;
