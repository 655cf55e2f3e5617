//! `predict`: loads a run, a model in production or a folder as it was recorded, and scores texts.
//!
//! `files.rs` finds the files of a model; [`crate::model`] checks them against the log and loads
//! them; `model.rs` scores rows, in this process or in an engine. To add a file that a model
//! answers from: a variant of [`ModelFile`](crate::model::ModelFile).
//! `input.rs` reads files of texts. Start reading at [`Model`].

pub(super) mod files;
pub(super) mod input;
pub(super) mod model;

pub use input::TextFile;
pub use model::{BATCH_TEXTS, Model, Prediction, Scored};
