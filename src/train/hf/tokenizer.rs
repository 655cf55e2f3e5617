//! WordPiece as BERT does it, by the crate `tokenizers`; learned by our own trainer, because the
//! crate's gives another vocabulary every time (huggingface/tokenizers issue 1794).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{
    NormalizedString, Normalizer as _, OffsetReferential, OffsetType, PreTokenizedString,
    PreTokenizer as _, TruncationParams,
};

use super::{HfError, TOKENIZER_FILE, VOCAB_FILE};
use crate::train::data::vocab::{Tokens, learn_pieces};

/// The tokens a learned vocabulary starts with, in order, as in BERT's own.
const SPECIALS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
/// As BERT has it: longer words are unknown.
const WORD_CHARS_MAX: usize = 100;

/// Texts to token ids, exactly as `transformers` does with the same file.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    json: String,
}

impl Tokenizer {
    /// Reads `tokenizer.json`, or `vocab.txt` where there is none.
    ///
    /// # Errors
    /// When neither can be read, or is not a tokenizer.
    pub fn read(folder: &Path) -> Result<Self, HfError> {
        let path = folder.join(TOKENIZER_FILE);
        let is_whole = path.exists();
        let path = if is_whole { path } else { folder.join(VOCAB_FILE) };
        let text = fs::read_to_string(&path)
            .map_err(|source| HfError::Io { path: path.clone(), source })?;
        let made = if is_whole {
            Self::from_json(text)
        } else {
            let lowercase = lowercases(folder);
            Self::from_json(json_of(text.lines(), lowercase))
        };
        made.map_err(|error| HfError::File { path, problem: error.to_string() })
    }

    /// Takes the content of a `tokenizer.json`.
    ///
    /// # Errors
    /// When it is not a tokenizer.
    pub fn from_json(json: String) -> Result<Self, HfError> {
        let mut inner = tokenizers::Tokenizer::from_bytes(json.as_bytes()).map_err(refused)?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(refused)?;
        Ok(Self { inner, json })
    }

    /// Learns at most `size` pieces from `texts`: the most frequent pair is merged first, equal
    /// counts are decided by the pieces' numbers, and pairs that stand together fewer than
    /// `min_count` times stay apart.
    ///
    /// # Errors
    /// When the tokenizer refuses its own vocabulary: a bug.
    pub fn learn<'a>(
        texts: impl Iterator<Item = &'a str>,
        size: u32,
        min_count: u32,
    ) -> Result<Self, HfError> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for text in texts {
            for word in words(text)? {
                if word.chars().count() <= WORD_CHARS_MAX {
                    *counts.entry(word).or_default() += 1;
                }
            }
        }
        let pieces = learn_pieces(&counts, &SPECIALS, size, min_count);
        Self::from_json(json_of(pieces.iter().map(String::as_str), true))
    }

    /// Cuts texts to `max` tokens, the special ones included.
    ///
    /// # Errors
    /// When `max` leaves no place beside the special tokens.
    pub fn limited(mut self, max: u32) -> Result<Self, HfError> {
        let params = TruncationParams { max_length: max as usize, ..TruncationParams::default() };
        self.inner.with_truncation(Some(params)).map_err(refused)?;
        Ok(self)
    }

    /// Tokens to which texts are cut, if they are.
    pub fn limit(&self) -> Option<u32> {
        u32::try_from(self.inner.get_truncation()?.max_length).ok()
    }

    /// Token ids of `text`, special tokens included.
    ///
    /// # Errors
    /// As [`tokens`](Self::tokens).
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, HfError> {
        Ok(self.tokens(text)?.ids)
    }

    /// The tokens of `text`, special tokens included, and whether it was cut.
    ///
    /// # Errors
    /// When the tokenizer refuses the text, as one without `[UNK]` does with unknown words.
    pub fn tokens(&self, text: &str) -> Result<Tokens, HfError> {
        let found = self.inner.encode(text, true).map_err(refused)?;
        let (ids, cut) = (found.get_ids().to_vec(), !found.get_overflowing().is_empty());
        Ok(Tokens { ids, marks: Vec::new(), cut })
    }

    /// One more than the largest token id.
    pub fn len(&self) -> u32 {
        self.pieces().last_key_value().map_or(0, |(id, _)| id + 1)
    }

    /// Whether there are no tokens but the special ones that a vocabulary starts with.
    pub fn is_bare(&self) -> bool {
        self.len() as usize <= SPECIALS.len()
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The content of `tokenizer.json`.
    pub fn to_json(&self) -> &str {
        &self.json
    }

    /// The content of `vocab.txt`: the token of each id, `[unused<id>]` where there is none.
    pub fn to_vocab_text(&self) -> String {
        let pieces = self.pieces();
        let line = |id| match pieces.get(&id) {
            Some(piece) => format!("{piece}\n"),
            None => format!("[unused{id}]\n"),
        };
        (0..self.len()).map(line).collect()
    }

    fn pieces(&self) -> BTreeMap<u32, String> {
        self.inner.get_vocab(true).into_iter().map(|(piece, id)| (id, piece)).collect()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn refused(error: tokenizers::Error) -> HfError {
    HfError::Tokenizer(error.to_string())
}

/// `do_lower_case` of `tokenizer_config.json`; BERT's default is true.
fn lowercases(folder: &Path) -> bool {
    let settings = fs::read(folder.join("tokenizer_config.json")).unwrap_or_default();
    let settings: Value = serde_json::from_slice(&settings).unwrap_or_default();
    settings["do_lower_case"].as_bool().unwrap_or(true)
}

/// The words BERT sees in a text.
fn words(text: &str) -> Result<Vec<String>, HfError> {
    let mut normalized = NormalizedString::from(text);
    let normalizer = BertNormalizer::new(true, true, None, true);
    normalizer.normalize(&mut normalized).map_err(refused)?;
    let mut cut = PreTokenizedString::from(normalized);
    BertPreTokenizer.pre_tokenize(&mut cut).map_err(refused)?;
    let splits = cut.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
    Ok(splits.into_iter().map(|(word, ..)| word.to_owned()).collect())
}

/// A `tokenizer.json` of BERT's kind over `pieces`, in the order of their ids.
fn json_of<'a>(pieces: impl Iterator<Item = &'a str>, lowercase: bool) -> String {
    let vocab: Map<String, Value> =
        pieces.zip(0_u32..).map(|(piece, id)| (piece.to_owned(), json!(id))).collect();
    let id = |token: &str| vocab.get(token).cloned().unwrap_or_default();
    let special = |token: &str| json!({ "SpecialToken": { "id": token, "type_id": 0 } });
    let second = |token: &str| json!({ "SpecialToken": { "id": token, "type_id": 1 } });
    let text = |name: &str, kind: u32| json!({ "Sequence": { "id": name, "type_id": kind } });
    let named = |token: &str| json!({ "id": token, "ids": [id(token)], "tokens": [token] });
    let added: Vec<Value> = SPECIALS
        .iter()
        .filter(|token| vocab.contains_key(**token))
        .map(|token| {
            json!({
                "id": id(token), "content": token, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true,
            })
        })
        .collect();
    let whole = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": lowercase,
        },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [special("[CLS]"), text("A", 0), special("[SEP]")],
            "pair": [
                special("[CLS]"), text("A", 0), special("[SEP]"), text("B", 1), second("[SEP]"),
            ],
            "special_tokens": { "[CLS]": named("[CLS]"), "[SEP]": named("[SEP]") },
        },
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": WORD_CHARS_MAX, "vocab": vocab,
        },
    });
    let mut text = serde_json::to_string_pretty(&whole).unwrap_or_default();
    text.push('\n');
    text
}
