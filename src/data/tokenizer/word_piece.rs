//! WordPiece as BERT does it, by the crate `tokenizers`; learned by our own trainer, because the
//! crate's gives another vocabulary every time (huggingface/tokenizers issue 1794).

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{
    NormalizedString, Normalizer as _, OffsetReferential, OffsetType, PreTokenizedString,
    PreTokenizer as _, TruncationDirection, TruncationParams,
};

use super::{TokenizerError, auto};
use crate::base::guard::guarded;
use crate::data::vocab::{Tokens, learn_pieces};

/// The tokens a learned vocabulary starts with, in order, as in BERT's own.
const SPECIALS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
/// As BERT has it: longer words are unknown.
const WORD_CHARS_MAX: usize = 100;
/// Tokens of a vocabulary, as for settings. Room is made up to the largest id.
pub(crate) const VOCABULARY_MAX: u32 = 1_000_000;
/// Characters of words that are cut into pieces at most: the time grows with their square.
const PIECED_CHARS_MAX: u64 = 1_000;

/// Texts to token ids, exactly as `transformers` does with the same files.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    json: String,
    /// Which end of a text that is too long is cut off.
    cut: TruncationDirection,
}

impl Tokenizer {
    /// Reads `tokenizer.json`, or `vocab.txt` where there is none, with what
    /// `tokenizer_config.json` says of them.
    ///
    /// # Errors
    /// When neither can be read, or is not a tokenizer of BERT's kind.
    pub fn read(folder: &Path) -> Result<Self, TokenizerError> {
        Self::from_json(auto::read(folder)?)
    }

    /// Takes the content of a `tokenizer.json`.
    ///
    /// # Errors
    /// When it is not a tokenizer.
    pub fn from_json(json: String) -> Result<Self, TokenizerError> {
        let mut inner = load(&json).map_err(TokenizerError::Refused)?;
        let cut = inner.get_truncation().map_or_else(Default::default, |given| given.direction);
        inner.with_padding(None);
        inner.with_truncation(None).map_err(refused)?;
        Ok(Self { inner, json, cut })
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
    ) -> Result<Self, TokenizerError> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for text in texts {
            for word in words(text)? {
                if word.chars().count() <= WORD_CHARS_MAX {
                    *counts.entry(word).or_default() += 1;
                }
            }
        }
        let pieces = learn_pieces(&counts, &SPECIALS, size, min_count);
        Self::from_json(json_of(pieces.iter().map(String::as_str)))
    }

    /// Cuts texts to `max` tokens, the special ones included.
    ///
    /// # Errors
    /// When `max` leaves no place beside the special tokens.
    pub fn limited(mut self, max: u32) -> Result<Self, TokenizerError> {
        let (max_length, direction) = (max as usize, self.cut);
        let params = TruncationParams { max_length, direction, ..TruncationParams::default() };
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
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        Ok(self.tokens(text)?.ids)
    }

    /// The tokens of `text`, special tokens included, and whether it was cut.
    ///
    /// # Errors
    /// When the tokenizer refuses the text, as one without `[UNK]` does with unknown words.
    pub fn tokens(&self, text: &str) -> Result<Tokens, TokenizerError> {
        let encode = || self.inner.encode(text, true).map_err(|e| e.to_string());
        let found = guarded(encode).map_err(TokenizerError::Refused)?;
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

    /// The special tokens by their keys in `tokenizer_config.json`.
    pub fn specials(&self) -> Map<String, Value> {
        let whole: Value = serde_json::from_str(&self.json).unwrap_or_default();
        let ends = whole["post_processor"]["single"].as_array();
        let end = |part: Option<&Value>| part.map(|part| part["SpecialToken"]["id"].clone());
        let added = |token: &str| {
            let mut added = whole["added_tokens"].as_array().into_iter().flatten();
            added.find(|known| known["content"] == token).map(|known| known["content"].clone())
        };
        let all = [
            ("cls_token", end(ends.and_then(|ends| ends.first()))),
            ("mask_token", added("[MASK]")),
            ("pad_token", added("[PAD]")),
            ("sep_token", end(ends.and_then(|ends| ends.last()))),
            ("unk_token", Some(whole["model"]["unk_token"].clone())),
        ];
        let all = all.into_iter().filter_map(|(key, token)| Some((key.to_owned(), token?)));
        all.filter(|(_, token)| token.is_string()).collect()
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

/// The tokenizer of a `tokenizer.json`, unless a number in it would cost memory or time without
/// end. A panic of the library is an error like any other.
pub(super) fn load(json: &str) -> Result<tokenizers::Tokenizer, String> {
    let whole: Value = serde_json::from_str(json).map_err(|e| e.to_string())?;
    let model = &whole["model"];
    let known = model["vocab"].as_object().into_iter().flat_map(Map::values);
    let added = whole["added_tokens"].as_array().into_iter().flatten().map(|token| &token["id"]);
    let too_large = |id: &u64| *id >= u64::from(VOCABULARY_MAX);
    if let Some(id) = known.chain(added).filter_map(Value::as_u64).find(too_large) {
        return Err(format!("the token id {id} is not below {VOCABULARY_MAX}"));
    }
    match model["max_input_chars_per_word"].as_u64() {
        Some(chars) if chars > PIECED_CHARS_MAX => Err(format!(
            "max_input_chars_per_word is {chars}, at most {PIECED_CHARS_MAX} supported"
        )),
        _ => guarded(|| tokenizers::Tokenizer::from_bytes(json).map_err(|e| e.to_string())),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn refused(error: tokenizers::Error) -> TokenizerError {
    TokenizerError::Refused(error.to_string())
}

/// The words BERT sees in a text.
fn words(text: &str) -> Result<Vec<String>, TokenizerError> {
    let mut normalized = NormalizedString::from(text);
    let normalizer = BertNormalizer::new(true, true, None, true);
    normalizer.normalize(&mut normalized).map_err(refused)?;
    let mut cut = PreTokenizedString::from(normalized);
    BertPreTokenizer.pre_tokenize(&mut cut).map_err(refused)?;
    let splits = cut.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
    Ok(splits.into_iter().map(|(word, ..)| word.to_owned()).collect())
}

/// A `tokenizer.json` of BERT's kind over `pieces`, in the order of their ids, in lower case.
fn json_of<'a>(pieces: impl Iterator<Item = &'a str>) -> String {
    let vocab: Map<String, Value> =
        pieces.zip(0_u32..).map(|(piece, id)| (piece.to_owned(), json!(id))).collect();
    let id = |token: &str| vocab.get(token).cloned().unwrap_or_default();
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
    let normalizer = json!({
        "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
        "strip_accents": null, "lowercase": true,
    });
    let mut whole = word_piece(&vocab, "[UNK]", &normalizer);
    whole["added_tokens"] = Value::from(added);
    whole["post_processor"] = template(("[CLS]", &id("[CLS]")), ("[SEP]", &id("[SEP]")));
    let mut text = serde_json::to_string_pretty(&whole).unwrap_or_default();
    text.push('\n');
    text
}

/// A tokenizer of BERT's kind without special tokens.
pub(super) fn word_piece(vocab: &Map<String, Value>, unknown: &str, normalizer: &Value) -> Value {
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": normalizer,
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": null,
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": {
            "type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##",
            "max_input_chars_per_word": WORD_CHARS_MAX, "vocab": vocab,
        },
    })
}

/// Puts a token with its id before a text and one after it.
pub(super) fn template(first: (&str, &Value), last: (&str, &Value)) -> Value {
    let special = |token: &str| json!({ "SpecialToken": { "id": token, "type_id": 0 } });
    let second = |token: &str| json!({ "SpecialToken": { "id": token, "type_id": 1 } });
    let text = |name: &str, kind: u32| json!({ "Sequence": { "id": name, "type_id": kind } });
    let named =
        |(token, id): (&str, &Value)| json!({ "id": token, "ids": [id], "tokens": [token] });
    let mut tokens = Map::new();
    tokens.insert(first.0.to_owned(), named(first));
    tokens.insert(last.0.to_owned(), named(last));
    json!({
        "type": "TemplateProcessing",
        "single": [special(first.0), text("A", 0), special(last.0)],
        "pair": [
            special(first.0), text("A", 0), special(last.0), text("B", 1), second(last.0),
        ],
        "special_tokens": tokens,
    })
}
