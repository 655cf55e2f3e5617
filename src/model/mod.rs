//! The architectures. Each has a [`Specification`], its section of settings with their ranges and
//! the program that runs it, and a [`Pipeline`] from files and rows to what it takes. Engines link
//! the first alone, without readers of files and tokenizers.
//!
//! May use: `base`, `stats`, `data`. Must never see: `train`, `store`, `domain`, `cli`, tch; every
//! path is given.
//!
//! To add an architecture: a file here with its specification, a line in `list.rs`, its named
//! config in `data/configs/`, and for a network a folder and a line in `engine/arch/`. Start
//! reading at [`Specification`], then `toy.rs`.

pub mod classical;
pub mod config;
mod distilbert;
mod encoder;
mod error;
mod files;
pub mod hf;
mod inputs;
mod list;
mod load;
pub mod pat;
mod prepare;
pub mod settings;
mod specification;
mod tfidf;
mod toy;

pub use error::{ModelError, refuse_pickle};
pub use files::{Known, MODEL_FILES, ModelFile, ModelFiles, SIDE_FILES, WEIGHTS_FILE};
pub use inputs::{Generated, ModelInputs, RowsToPrepare};
pub use load::{Labels, LoadedModel, Reader, TextScorer, TokenReader};
pub use prepare::{Preparation, prepare, prepare_as};
pub use specification::{InputKind, Pipeline, Program, Specification};
