//! Folders in the layout of Hugging Face Transformers: `config.json`, `model.safetensors` and the
//! tokenizer's files, read to fine-tune or to predict, and written so that `transformers` loads
//! them and computes the same scores.
//!
//! May use: `base`, settings, the vocabulary learner. Must never see: tch; weights are digested
//! and their names and shapes checked here, the engine alone reads their numbers.
//!
//! The same training texts give the same `tokenizer.json`, byte for byte. To add a family of
//! models: its `model_type` in `config.rs`. Start reading at [`Pretrained`].

mod config;
mod error;
mod pretrained;
mod weights;

pub use config::{ConfigFile, side_files};
pub use error::HfError;
pub use pretrained::Pretrained;
pub use weights::{Numbers, Weights};

use crate::data::tokenizer::{
    CONFIG_FILE, SPECIALS_FILE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE, VOCAB_FILE,
};

/// The names of the files beside the weights, all written by [`side_files`].
pub const SIDE_FILES: [&str; 5] =
    [CONFIG_FILE, TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, SPECIALS_FILE, VOCAB_FILE];
