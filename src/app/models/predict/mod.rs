//! `predict`: a run, a model in production or a folder, loaded as it was recorded and asked.
//!
//! `files.rs` finds the files of a model and checks them against the log; `model.rs` asks the
//! model, in this process or in an engine. To add a file that models are asked with: a field of
//! `Files`, its artifact and file name beside the others, and a line in `app/models/promote.rs`.
//! `input.rs` reads files of texts. Start reading at [`Model`].

mod files;
mod input;
mod model;

pub use input::TextFile;
pub use model::{BATCH_TEXTS, Model, Scored};
