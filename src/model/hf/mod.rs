//! Folders in the layout of Hugging Face Transformers: `config.json`, `model.safetensors` and the
//! tokenizer's files, read to fine-tune or to predict, and written so that `transformers` loads
//! them and computes the same scores.
//!
//! May use: `base`, settings, the vocabulary learner. Must never see: tch; weights are digested
//! and their names and shapes checked here, the engine alone reads their numbers.
//!
//! The same training texts give the same `tokenizer.json`, byte for byte. To add a family of
//! models: its `model_type` in `config.rs`. Start reading at [`Pretrained`].

mod auto;
mod config;
mod error;
mod pretrained;
mod tokenizer;
mod weights;

pub use config::{ModelFile, side_files};
pub use error::HfError;
pub use pretrained::Pretrained;
pub use tokenizer::Tokenizer;
pub use weights::{Numbers, Weights};

/// The names of the files beside the weights, all written by [`side_files`].
pub const SIDE_FILES: [&str; 5] =
    [CONFIG_FILE, TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, SPECIALS_FILE, VOCAB_FILE];
/// Settings of the model.
pub const CONFIG_FILE: &str = "config.json";
/// The whole tokenizer.
pub const TOKENIZER_FILE: &str = "tokenizer.json";
/// How Transformers reads the tokenizer.
const TOKENIZER_CONFIG_FILE: &str = "tokenizer_config.json";
/// The special tokens by what they are for.
const SPECIALS_FILE: &str = "special_tokens_map.json";
/// One token per line.
pub const VOCAB_FILE: &str = "vocab.txt";
