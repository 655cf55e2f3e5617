//! YAML as a tree that remembers where each key and value stands.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

/// Settings that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The text is not YAML.
    #[error("{place}: {message}")]
    Syntax {
        /// Where the parser gave up.
        place: SourceLocation,
        /// What it said.
        message: String,
    },
    /// A key that no setting has.
    #[error("{place}: unknown key `{key}`{}", near(.nearest.as_ref()))]
    UnknownKey {
        /// Where the key stands.
        place: SourceLocation,
        /// The key with its parents, joined by dots.
        key: String,
        /// The known key most like it.
        nearest: Option<String>,
    },
    /// Keys of the tracker before annals without a setting of the same meaning.
    #[error("{file}: no setting of annals means the same as {}", key_lines(.keys))]
    OldKeys {
        /// The file.
        file: String,
        /// The keys, in the order in which they are looked for.
        keys: Vec<OldKey>,
    },
    /// A key that decides nothing beside the others.
    #[error("{place}: `{key}` has no effect {beside}")]
    UnusedKey {
        /// Where the key stands.
        place: SourceLocation,
        /// The key with its parents, joined by dots.
        key: String,
        /// Beside what, such as `for the architecture toy`.
        beside: String,
    },
    /// A value of the wrong type.
    #[error("{place}: `{key}`: {message}")]
    Type {
        /// Where the value stands.
        place: SourceLocation,
        /// The key with its parents, joined by dots.
        key: String,
        /// What was expected and what was found.
        message: String,
    },
    /// A value out of its range.
    #[error("{place}: `{key}` is {value}, but must be {rule}")]
    Range {
        /// Where the value stands.
        place: SourceLocation,
        /// The key with its parents, joined by dots.
        key: String,
        /// The value.
        value: String,
        /// What it must be.
        rule: String,
    },
}

fn near(nearest: Option<&String>) -> String {
    nearest.map(|key| format!(" (nearest known key: `{key}`)")).unwrap_or_default()
}

fn key_lines(keys: &[OldKey]) -> String {
    let line = |key: &OldKey| format!("`{}` (line {})", key.key, key.place.line);
    keys.iter().map(line).collect::<Vec<_>>().join(", ")
}

/// A key of the tracker before annals that no setting can express.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldKey {
    /// The position of the key.
    pub place: SourceLocation,
    /// The key with its parents, joined by dots.
    pub key: String,
    /// The reason for the refusal.
    pub why: String,
    /// The setting or option to use instead.
    pub instead: String,
}

/// A place in a text of settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceLocation {
    /// The file, or what else the text came from.
    pub file: String,
    /// From 1; 0 where unknown.
    pub line: u64,
    /// In characters, from 1; 0 where unknown.
    pub column: u64,
}

impl SourceLocation {
    /// A place in a file; of the whole file where the parser tells none.
    pub fn new(file: &str, at: Option<Location>) -> Self {
        let (line, column) = at.map_or((0, 0), |at| (at.line(), at.column()));
        Self { file: file.to_owned(), line, column }
    }
}

impl fmt::Display for SourceLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: SourceLocation,
    pub(super) value: Value,
}

/// A value of a tree of settings.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Map(Vec<Entry>),
    List(Vec<Node>),
    /// Null, boolean, number or text.
    Scalar(serde_json::Value),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_place: SourceLocation,
    pub(super) node: Node,
}

/// Settings are nested a few levels deep; each level of a text takes up to 45 kB of the stack.
const DEPTH_MAX: usize = 24;

/// How every YAML text is read: deep nesting is refused, where it would overflow the stack.
pub fn yaml_options() -> serde_saphyr::Options {
    serde_saphyr::options! { budget: serde_saphyr::budget! { max_depth: DEPTH_MAX } }
}

/// What is wrong with a text, in one line.
pub fn yaml_message(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::{Error, budget::BudgetBreach};
    let error = error.without_snippet();
    let message = first_line(&error.to_string());
    let deep = matches!(error, Error::Budget { breach: BudgetBreach::Depth { .. }, .. });
    // The parser has a limit of its own, which still deeper texts meet first.
    if deep || message == "recursion limit exceeded" {
        return format!("nested deeper than {DEPTH_MAX} levels");
    }
    message
}

/// Reads a text that must be a map; an empty text is an empty map.
pub(super) fn parse(file: &str, text: &str) -> Result<Node, ConfigError> {
    let syntax = |e: &serde_saphyr::Error| ConfigError::Syntax {
        place: SourceLocation::new(file, e.location()),
        message: yaml_message(e),
    };
    let raw: Option<Spanned<Raw>> =
        serde_saphyr::from_str_with_options(text, yaml_options()).map_err(|e| syntax(&e))?;
    let node = match raw {
        Some(raw) => to_node(file, raw),
        None => Node { place: SourceLocation::new(file, None), value: Value::Map(Vec::new()) },
    };
    match node.value {
        Value::Map(_) => Ok(node),
        _ => Err(ConfigError::Syntax {
            place: node.place,
            message: "a map of settings expected (key: value)".into(),
        }),
    }
}

/// The message without the position, which [`SourceLocation`] already tells.
fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    let (start, end) = (line.find("line "), line.rfind(": "));
    match (start, end) {
        (Some(0), Some(end)) => line[end + 2..].to_owned(),
        _ => line.split(" at line ").next().unwrap_or(line).to_owned(),
    }
}

impl Node {
    /// The JSON value without places.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Map(entries) => serde_json::Value::Object(
                entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect(),
            ),
            Value::List(items) => {
                serde_json::Value::Array(items.iter().map(Self::to_json).collect())
            }
            Value::Scalar(value) => value.clone(),
        }
    }

    /// Whether both are the same single value.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::Scalar(a), Value::Scalar(b)) => {
                a == b || a.as_f64().is_some_and(|a| b.as_f64() == Some(a))
            }
            (Value::List(a), Value::List(b)) => a.is_empty() && b.is_empty(),
            _ => false,
        }
    }

    /// The value under a path of keys joined by dots.
    pub(super) fn find(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |node, key| match &node.value {
            Value::Map(entries) => {
                entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
            }
            _ => None,
        })
    }
}

enum Raw {
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
    List(Vec<Spanned<Raw>>),
    Scalar(serde_json::Value),
}

fn to_node(file: &str, raw: Spanned<Raw>) -> Node {
    let place = SourceLocation::new(file, Some(raw.referenced));
    let value = match raw.value {
        Raw::Scalar(value) => Value::Scalar(value),
        Raw::List(items) => {
            Value::List(items.into_iter().map(|item| to_node(file, item)).collect())
        }
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| Entry {
                    key_place: SourceLocation::new(file, Some(key.referenced)),
                    key: key.value,
                    node: to_node(file, value),
                })
                .collect(),
        ),
    };
    Node { place, value }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map, a list, a number, a boolean or a text")
    }
    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Raw, E> {
        let number = serde_json::Number::from_f64(value);
        number.map(|n| Raw::Scalar(n.into())).ok_or_else(|| E::custom("a finite number expected"))
    }
    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }
    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(serde_json::Value::Null))
    }
    fn visit_none<E: serde::de::Error>(self) -> Result<Raw, E> {
        self.visit_unit()
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(self)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries: Vec<(Spanned<String>, Spanned<Raw>)> = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<String>, _>()? {
            if entries.iter().any(|(known, _)| known.value == key.value) {
                return Err(A::Error::custom(format!("key `{}` occurs twice", key.value)));
            }
            entries.push((key, value));
        }
        Ok(Raw::Map(entries))
    }
}
