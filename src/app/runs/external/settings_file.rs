//! The file of settings that a script states for its run, JSON or YAML: read as it is, or refused.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::app::{Error, ErrorKind, Result};
use crate::model::config::{SourceLocation, yaml_message, yaml_options};

/// The settings by dotted key, as JSON text.
///
/// # Errors
/// [`ErrorKind::Data`] for what is no map of settings, and where a setting is there twice.
pub(super) fn parameters(path: &Path, bytes: &[u8]) -> Result<BTreeMap<String, String>> {
    let bad = |what: String| Error::new(ErrorKind::Data, format!("{}: {what}", path.display()));
    let text = std::str::from_utf8(bytes).map_err(|e| bad(e.to_string()))?;
    let Exact(value) = match path.extension().is_some_and(|e| e == "json") {
        true => serde_json::from_str(text).map_err(|e| bad(e.to_string()))?,
        false => serde_saphyr::from_str_with_options(text, yaml_options()).map_err(|e| {
            let place = SourceLocation::new(&path.display().to_string(), e.location());
            Error::new(ErrorKind::Data, format!("{place}: {}", yaml_message(&e)))
        })?,
    };
    let Value::Object(fields) = value else {
        return Err(bad("a map of settings is expected".into()));
    };
    let mut found = BTreeMap::new();
    flatten("", &fields, &mut found)
        .map_err(|key| bad(format!("the setting {key} is there twice")))?;
    Ok(found)
}

/// The key that is there twice, nested and with dots, is given back.
fn flatten(
    prefix: &str,
    fields: &Map<String, Value>,
    into: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    for (key, value) in fields {
        let dot = if prefix.is_empty() { "" } else { "." };
        let key = format!("{prefix}{dot}{key}");
        match value {
            Value::Object(fields) => flatten(&key, fields, into)?,
            value => {
                if into.insert(key.clone(), value.to_string()).is_some() {
                    return Err(key);
                }
            }
        }
    }
    Ok(())
}

/// A value in which no map has a key twice: of two the last would win without a word.
struct Exact(Value);

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyValue).map(Self)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a setting")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let number = serde_json::Number::from_f64(value);
        number.map(Value::Number).ok_or_else(|| E::custom(format!("{value} is no number")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Exact(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut found = Map::new();
        while let Some(key) = fields.next_key::<String>()? {
            let Exact(value) = fields.next_value()?;
            if found.contains_key(&key) {
                return Err(A::Error::custom(format!("the setting {key} is there twice")));
            }
            found.insert(key, value);
        }
        Ok(Value::Object(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<Vec<(String, String)>> {
        Ok(parameters(Path::new(name), text.as_bytes())?.into_iter().collect())
    }

    #[test]
    fn json_and_yaml_give_the_same_settings() {
        let json = r#"{"a": {"b": [1, -2, 0.5], "c": null}, "d": "x", "e": true, "f": 1e3}"#;
        let yaml = "a:\n  b: [1, -2, 0.5]\n  c: null\nd: x\ne: true\nf: 1000.0\n";
        let wanted = [("a.b", "[1,-2,0.5]"), ("a.c", "null"), ("d", "\"x\""), ("e", "true")];
        let wanted = wanted.into_iter().chain([("f", "1000.0")]);
        let wanted: Vec<_> = wanted.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        assert_eq!(read("s.json", json).unwrap(), wanted);
        assert_eq!(read("s.yaml", yaml).unwrap(), wanted);
    }

    #[test]
    fn a_setting_that_is_there_twice_is_refused_in_every_spelling() {
        for (name, text) in [
            ("s.json", r#"{"lr": 1, "lr": 2}"#),
            ("s.json", r#"{"lr": 1, "lr": 1}"#),
            ("s.json", r#"{"a": {"lr": 1, "lr": 2}}"#),
            ("s.json", r#"{"a": [{"lr": 1, "lr": 2}]}"#),
            ("s.json", r#"{"a.lr": 1, "a": {"lr": 2}}"#),
            ("s.json", r#"{"a": {"lr": 1}, "a": {"b": 2}}"#),
            ("s.yaml", "lr: 1\nlr: 2\n"),
            ("s.yaml", "a:\n  lr: 1\n  lr: 2\n"),
            ("s.yaml", "a.lr: 1\na:\n  lr: 2\n"),
            ("s.yaml", "{a: {lr: 1}, a: {b: 2}}\n"),
        ] {
            let refused = read(name, text).unwrap_err();
            assert_eq!(refused.kind, ErrorKind::Data, "{text}");
            let said = refused.to_string();
            assert!(said.starts_with(&format!("{name}:")), "{said}");
            assert!(said.contains("twice") || said.contains("duplicate"), "{said}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_before_the_stack_ends() {
        for depth in [100, 2_000, 200_000] {
            let nested = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
            let maps = format!("{}1{}", "{a: ".repeat(depth), "}".repeat(depth));
            let lists = format!("a:\n{}1\n", "- ".repeat(depth));
            for text in [&nested, &maps, &lists] {
                for name in ["s.json", "s.yaml"] {
                    let refused = read(name, text).unwrap_err();
                    assert_eq!(refused.kind, ErrorKind::Data, "{name} {depth}");
                    let said = refused.to_string();
                    assert!(said.len() < 500, "{said}");
                    let plain = said.contains("nested deeper than 24 levels");
                    assert!(name == "s.json" || plain, "{said}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["lr: .nan\n", "lr: .inf\n", "lr: [-.inf]\n"] {
            assert_eq!(read("s.yaml", text).unwrap_err().kind, ErrorKind::Data, "{text}");
        }
    }
}
