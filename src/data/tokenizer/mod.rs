//! Word pieces in the files of Hugging Face: read as Transformers reads them, or learned from the
//! training texts.

mod auto;
mod error;
mod word_piece;

pub(crate) use auto::object;
pub use error::TokenizerError;
pub use word_piece::Tokenizer;
pub(crate) use word_piece::VOCABULARY_MAX;

/// The settings of a model in the layout of Hugging Face; its type decides the tokenizer's class.
pub const CONFIG_FILE: &str = "config.json";
/// The whole tokenizer.
pub const TOKENIZER_FILE: &str = "tokenizer.json";
/// How Transformers reads the tokenizer.
pub(crate) const TOKENIZER_CONFIG_FILE: &str = "tokenizer_config.json";
/// The special tokens by what they are for.
pub(crate) const SPECIALS_FILE: &str = "special_tokens_map.json";
/// One token per line.
pub const VOCAB_FILE: &str = "vocab.txt";
