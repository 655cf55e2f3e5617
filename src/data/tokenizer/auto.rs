//! The tokenizer of a folder as `AutoTokenizer` of Transformers 5 makes it: the class that
//! `tokenizer_config.json` names decides whether `tokenizer.json` is taken whole, or only its
//! vocabulary, with everything else from `tokenizer_config.json`. Transformers' answers to 200
//! folders are in `tests/train/fixtures/hf_tokenizers.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use tokenizers::AddedToken;

use super::word_piece::{self, refused, template, word_piece};
use super::{
    CONFIG_FILE, SPECIALS_FILE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE, TokenizerError, VOCAB_FILE,
};

/// Classes that take the vocabulary alone; all of them are BERT's in Transformers 5.
const BERT: [&str; 7] = [
    "BertTokenizer",
    "DistilBertTokenizer",
    "ElectraTokenizer",
    "LayoutLMTokenizer",
    "LxmertTokenizer",
    "MobileBertTokenizer",
    "SqueezeBertTokenizer",
];
/// Classes that take `tokenizer.json` whole.
const WHOLE: [&str; 2] = ["PreTrainedTokenizer", "TokenizersBackend"];
/// Special tokens by their keys in `tokenizer_config.json`, with BERT's defaults.
const NAMED: [(&str, Option<&str>); 7] = [
    ("bos_token", None),
    ("eos_token", None),
    ("unk_token", Some("[UNK]")),
    ("sep_token", Some("[SEP]")),
    ("pad_token", Some("[PAD]")),
    ("cls_token", Some("[CLS]")),
    ("mask_token", Some("[MASK]")),
];
const ADDED_FILE: &str = "added_tokens.json";

/// The `tokenizer.json` that says what the files of `folder` say together: the one in the folder,
/// byte for byte, where nothing contradicts it.
pub(super) fn read(folder: &Path) -> Result<String, TokenizerError> {
    let settings = object(folder, TOKENIZER_CONFIG_FILE)?.unwrap_or_default();
    let bad = |problem: String| TokenizerError::File {
        path: folder.join(TOKENIZER_CONFIG_FILE),
        problem,
    };
    if settings.get("split_special_tokens") == Some(&json!(true)) {
        return Err(bad("split_special_tokens true is not supported".into()));
    }
    let class = class(folder, &settings)?;
    let path = folder.join(TOKENIZER_FILE);
    let whole = path.exists().then(|| text(&path)).transpose()?;
    let broken = |problem: String| TokenizerError::File { path: path.clone(), problem };
    let parsed: Option<Value> = match &whole {
        Some(text) => Some(serde_json::from_str(text).map_err(|e| broken(e.to_string()))?),
        None => None,
    };
    let is_bert = BERT.contains(&class.as_str());
    let added = Added::read(folder, &settings, parsed.as_ref(), is_bert)?;
    let base = if is_bert {
        let vocabulary = match &parsed {
            Some(parsed) => vocabulary(parsed).map_err(broken)?,
            None => vocabulary_of_lines(folder)?,
        };
        let normalizer = normalizer(&settings).map_err(bad)?;
        let unknown = added.content("unk_token").unwrap_or("[UNK]");
        if !vocabulary.contains_key(unknown) {
            let problem = format!("the unknown token {unknown:?} is not in the vocabulary");
            return Err(TokenizerError::File { path: folder.to_owned(), problem });
        }
        word_piece(&vocabulary, unknown, &normalizer).to_string()
    } else if let Some(whole) = &whole {
        whole.clone()
    } else {
        let problem = format!("tokenizer_class {class} needs {TOKENIZER_FILE}, which is missing");
        return Err(bad(problem));
    };
    let mut made = load(&base).map_err(broken)?;
    made.add_tokens(added.tokens()).map_err(refused)?;
    let mut found = content(&made)?;
    if is_bert {
        let id = |key: &str, otherwise: &str| {
            let token = added.content(key).unwrap_or(otherwise).to_owned();
            let id = id_of(&found, &token);
            (token, id)
        };
        let (first, last) = (id("cls_token", "[CLS]"), id("sep_token", "[SEP]"));
        found["post_processor"] = template((&first.0, &first.1), (&last.0, &last.1));
    }
    let is_left = match settings.get("truncation_side").and_then(Value::as_str) {
        Some(side) => side == "left",
        None => parsed.as_ref().is_some_and(|p| p["truncation"]["direction"] == "Left"),
    };
    if let Some(whole) = whole {
        let was_left = parsed.is_some_and(|p| p["truncation"]["direction"] == "Left");
        let mut known = content(&load(&whole).map_err(broken)?)?;
        known["truncation"] = Value::Null;
        if known == found && is_left == was_left {
            return Ok(whole);
        }
    }
    if is_left {
        found["truncation"] = json!({
            "direction": "Left", "max_length": 512, "strategy": "LongestFirst", "stride": 0,
        });
    }
    let mut text = serde_json::to_string_pretty(&found).unwrap_or_default();
    text.push('\n');
    Ok(text)
}

/// The class that reads the tokenizer, without `Fast`.
fn class(folder: &Path, settings: &Map<String, Value>) -> Result<String, TokenizerError> {
    let config = object(folder, CONFIG_FILE)?.unwrap_or_default();
    let named = |from: &Map<String, Value>| {
        from.get("tokenizer_class").and_then(Value::as_str).map(str::to_owned)
    };
    let named = named(settings).or_else(|| named(&config));
    let class = named.unwrap_or_else(|| BERT[0].to_owned());
    let class = class.strip_suffix("Fast").unwrap_or(&class).to_owned();
    if BERT.contains(&class.as_str()) || WHOLE.contains(&class.as_str()) {
        return Ok(class);
    }
    let problem = format!(
        "tokenizer_class {class:?} is not supported (supported: {}, {})",
        BERT.join(", "),
        WHOLE.join(", ")
    );
    Err(TokenizerError::File { path: folder.join(TOKENIZER_CONFIG_FILE), problem })
}

/// BERT's normalizer with the options of `tokenizer_config.json`.
fn normalizer(settings: &Map<String, Value>) -> Result<Value, String> {
    let flag = |key: &str, default: bool| match settings.get(key) {
        None => Ok(default),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => Err(format!("{key} is {other}, true or false expected")),
    };
    let strip = match settings.get("strip_accents") {
        None | Some(Value::Null) => Value::Null,
        Some(_) => json!(flag("strip_accents", false)?),
    };
    Ok(json!({
        "type": "BertNormalizer", "clean_text": true,
        "handle_chinese_chars": flag("tokenize_chinese_chars", true)?,
        "strip_accents": strip, "lowercase": flag("do_lower_case", true)?,
    }))
}

/// The tokens of `tokenizer.json`, with their ids.
fn vocabulary(parsed: &Value) -> Result<Map<String, Value>, String> {
    match &parsed["model"]["vocab"] {
        Value::Object(vocabulary) if vocabulary.values().all(Value::is_u64) => {
            Ok(vocabulary.clone())
        }
        _ => Err("its model has no vocabulary of tokens with their ids".into()),
    }
}

/// One token a line; of two equal ones the later counts, as in the crate `tokenizers`.
fn vocabulary_of_lines(folder: &Path) -> Result<Map<String, Value>, TokenizerError> {
    let text = text(&folder.join(VOCAB_FILE))?;
    Ok(text.lines().zip(0_u32..).map(|(l, id)| (l.trim_end().to_owned(), json!(id))).collect())
}

/// Tokens beside the vocabulary: those added, in the order of their ids, the special ones by their
/// keys, and more special ones.
struct Added {
    listed: BTreeMap<u64, AddedToken>,
    named: Vec<(String, AddedToken)>,
    extra: Vec<AddedToken>,
}

impl Added {
    fn read(
        folder: &Path,
        settings: &Map<String, Value>,
        parsed: Option<&Value>,
        is_bert: bool,
    ) -> Result<Self, TokenizerError> {
        let mut merged = settings.clone();
        let mut listed = BTreeMap::new();
        if let Some(Value::Object(decoder)) = settings.get("added_tokens_decoder") {
            for (id, token) in decoder {
                let id: Option<u64> = id.parse().ok();
                listed.extend(id.zip(token_of(token)));
            }
        } else {
            // Folders of older versions spread them over three files.
            merged.extend(object(folder, SPECIALS_FILE)?.unwrap_or_default());
            let special = special_contents(&merged);
            for (content, id) in object(folder, ADDED_FILE)?.unwrap_or_default() {
                let is_special = special.contains(&content);
                listed.extend(id.as_u64().map(|id| (id, AddedToken::from(content, is_special))));
            }
            let of_whole = parsed.and_then(|p| p["added_tokens"].as_array());
            for token in of_whole.into_iter().flatten() {
                listed.extend(token["id"].as_u64().zip(token_of(token)));
            }
        }
        let known = |content: &str| listed.values().find(|t| t.content == content).cloned();
        let resolve = |token: AddedToken| known(&token.content).unwrap_or(token);
        let mut named = Vec::new();
        for (key, default) in NAMED {
            let given = merged.get(key).and_then(token_of);
            let default = default.filter(|_| is_bert && !merged.contains_key(key));
            let token = given.or_else(|| default.map(|d| AddedToken::from(d, true)));
            named.extend(token.map(|token| (key.to_owned(), resolve(token))));
        }
        for (key, value) in settings {
            let is_own = key.ends_with("_token") && !NAMED.iter().any(|(known, _)| known == key);
            let token = token_of(value).filter(|_| is_own);
            named.extend(token.map(|token| (key.clone(), resolve(token))));
        }
        let lists = ["extra_special_tokens", "additional_special_tokens"];
        let lists = lists.into_iter().filter_map(|key| merged.get(key)?.as_array());
        let extra = lists.flatten().filter_map(token_of).map(resolve).collect();
        Ok(Self { listed, named, extra })
    }

    /// What the special token `key` is called.
    fn content(&self, key: &str) -> Option<&str> {
        let found = self.named.iter().find(|(known, _)| known == key);
        found.map(|(_, token)| token.content.as_str())
    }

    /// All of them, in the order in which they get their ids.
    fn tokens(&self) -> Vec<AddedToken> {
        let mut tokens: Vec<AddedToken> = self.listed.values().cloned().collect();
        let more = self.named.iter().map(|(_, token)| token).chain(&self.extra);
        for token in more {
            if !tokens.iter().any(|known| known.content == token.content) {
                tokens.push(token.clone());
            }
        }
        for token in &mut tokens {
            token.special |= self.named.iter().any(|(_, named)| named.content == token.content);
        }
        tokens
    }
}

/// What the special tokens are called.
fn special_contents(settings: &Map<String, Value>) -> Vec<String> {
    let named = NAMED.iter().filter_map(|(key, _)| settings.get(*key));
    let extra = settings.get("extra_special_tokens").and_then(Value::as_array);
    let all = named.chain(extra.into_iter().flatten()).filter_map(token_of);
    all.map(|token| token.content).collect()
}

/// A token as a text, which is special, or as an object with its properties.
fn token_of(value: &Value) -> Option<AddedToken> {
    let Value::Object(fields) = value else {
        return value.as_str().map(|content| AddedToken::from(content, true));
    };
    let flag = |key: &str| fields.get(key).and_then(Value::as_bool);
    let token =
        AddedToken::from(fields.get("content")?.as_str()?, flag("special").unwrap_or(false));
    let normalized = flag("normalized").unwrap_or(token.normalized);
    Some(
        token
            .single_word(flag("single_word").unwrap_or(false))
            .lstrip(flag("lstrip").unwrap_or(false))
            .rstrip(flag("rstrip").unwrap_or(false))
            .normalized(normalized),
    )
}

/// The id of a token, added or in the vocabulary.
fn id_of(tokenizer: &Value, token: &str) -> Value {
    let added = tokenizer["added_tokens"].as_array().into_iter().flatten();
    let added = added.into_iter().find(|known| known["content"] == token);
    added.map_or_else(|| tokenizer["model"]["vocab"][token].clone(), |known| known["id"].clone())
}

fn load(json: &str) -> Result<tokenizers::Tokenizer, String> {
    let mut made = word_piece::load(json)?;
    made.with_padding(None);
    made.with_truncation(None).map_err(|e| e.to_string())?;
    Ok(made)
}

fn content(tokenizer: &tokenizers::Tokenizer) -> Result<Value, TokenizerError> {
    let text = tokenizer.to_string(false).map_err(refused)?;
    serde_json::from_str(&text).map_err(|e| TokenizerError::Refused(e.to_string()))
}

fn text(path: &Path) -> Result<String, TokenizerError> {
    fs::read_to_string(path).map_err(|source| TokenizerError::Io { path: path.to_owned(), source })
}

/// The object in a file; none where there is no file.
pub(crate) fn object(
    folder: &Path,
    name: &str,
) -> Result<Option<Map<String, Value>>, TokenizerError> {
    let path = folder.join(name);
    if !path.exists() {
        return Ok(None);
    }
    serde_json::from_str(&text(&path)?)
        .map(Some)
        .map_err(|e| TokenizerError::File { path, problem: e.to_string() })
}
