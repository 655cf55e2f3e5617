//! Merges layers of settings over the base and reads the result as [`TrainConfig`].

use super::TrainConfig;
use super::template;
use super::unused::{Unused, unused_keys};
use super::yaml::{self, ConfigError, Entry, Node, Value};
use crate::base::{Digest, suggest};

pub(super) const BASE: &str = include_str!("../../../data/configs/base.yaml");

/// Named configs; `base` is under all of them.
const BUILTIN: &[(&str, &str)] = &[
    ("baseline_small", include_str!("../../../data/configs/baseline_small.yaml")),
    ("medium_model", include_str!("../../../data/configs/medium_model.yaml")),
    ("large_model", include_str!("../../../data/configs/large_model.yaml")),
    ("umls_enhanced", include_str!("../../../data/configs/umls_enhanced.yaml")),
    ("curriculum_model", include_str!("../../../data/configs/curriculum_model.yaml")),
    ("interpretable_model", include_str!("../../../data/configs/interpretable_model.yaml")),
    ("multitask_model", include_str!("../../../data/configs/multitask_model.yaml")),
    ("pat_s", include_str!("../../../data/configs/pat_s.yaml")),
    ("pat_m", include_str!("../../../data/configs/pat_m.yaml")),
    ("pat_l", include_str!("../../../data/configs/pat_l.yaml")),
    ("pat_conv_l", include_str!("../../../data/configs/pat_conv_l.yaml")),
    ("distilbert", include_str!("../../../data/configs/distilbert.yaml")),
    ("distilbert_fullscale", include_str!("../../../data/configs/distilbert_fullscale.yaml")),
    ("tfidf_logreg", include_str!("../../../data/configs/tfidf_logreg.yaml")),
    ("tfidf_svm", include_str!("../../../data/configs/tfidf_svm.yaml")),
    ("toxicity_multi_head", include_str!("../../../data/configs/toxicity_multi_head.yaml")),
    ("toy", include_str!("../../../data/configs/toy.yaml")),
];

/// The text of the config named `name`.
pub fn builtin(name: &str) -> Option<&'static str> {
    BUILTIN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// The names of all named configs.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    BUILTIN.iter().map(|(name, _)| *name)
}

/// Settings that lie over others.
#[derive(Clone, Copy, Debug)]
pub enum Layer<'a> {
    /// A YAML text.
    Text {
        /// Its file, for messages.
        file: &'a str,
        /// The YAML.
        text: &'a str,
    },
    /// One of several templates in a YAML text.
    Template {
        /// Its file, for messages.
        file: &'a str,
        /// The YAML.
        text: &'a str,
        /// The name of the template.
        name: &'a str,
    },
    /// One setting.
    Set {
        /// Keys joined by dots, such as `training.num_epochs`.
        key: &'a str,
        /// The value as YAML.
        value: &'a str,
    },
}

/// Merges `layers` over the base, later over earlier, and validates the result.
///
/// # Errors
/// [`ConfigError`] for malformed YAML, unknown keys, wrong types and values out of range, each
/// with its place.
pub fn resolve(layers: &[Layer<'_>]) -> Result<TrainConfig, ConfigError> {
    let base = yaml::parse("base.yaml", BASE)?;
    let layers = layers.iter().map(parse_layer).collect::<Result<Vec<_>, _>>()?;
    let mut merged = base.clone();
    for layer in &layers {
        check_keys(&base, layer, "")?;
        merge(&mut merged, layer);
    }
    let config = read(&base, &merged)?;
    super::validate::validate(&config, &merged)?;
    let set_at = |key: &str| layers.iter().rposition(|layer| layer.find(key).is_some());
    for unused in unused_keys(&config) {
        let start = set_at("model.architecture").max(set_at(unused.by)).unwrap_or(0);
        for layer in &layers[start..] {
            check_use(&base, layer, "", &unused)?;
        }
    }
    Ok(config)
}

/// Reads settings that were complete and checked when they were recorded.
///
/// # Errors
/// As [`resolve`]; keys that decide nothing are not looked for.
pub fn recorded(text: &str) -> Result<TrainConfig, ConfigError> {
    let base = yaml::parse("base.yaml", BASE)?;
    let mut merged = base.clone();
    let layer = yaml::parse("config.yaml", text)?;
    check_keys(&base, &layer, "")?;
    merge(&mut merged, &layer);
    let config = read(&base, &merged)?;
    super::validate::validate(&config, &merged)?;
    Ok(config)
}

/// A setting that is not the default and decides nothing is a mistake.
fn check_use(base: &Node, layer: &Node, parents: &str, unused: &Unused) -> Result<(), ConfigError> {
    let Value::Map(entries) = &layer.value else { return Ok(()) };
    for entry in entries {
        let key = format!("{parents}{}", entry.key);
        if let Value::Map(_) = entry.node.value {
            check_use(base, &entry.node, &format!("{key}."), unused)?;
        } else if base.find(&key).is_some_and(|default| default.is_like(&entry.node)) {
            continue;
        } else if unused.matches(&key) {
            let (place, beside) = (entry.key_place.clone(), unused.beside.clone());
            return Err(ConfigError::UnusedKey { place, key, beside });
        }
    }
    Ok(())
}

fn parse_layer(layer: &Layer<'_>) -> Result<Node, ConfigError> {
    match *layer {
        Layer::Text { file, text } => template::settings(file, text, None),
        Layer::Template { file, text, name } => template::settings(file, text, Some(name)),
        Layer::Set { key, value } => {
            let file = format!("--set {key}={value}");
            let mut node = yaml::parse(&file, &format!("value: {value}"))?;
            if let Value::Map(entries) = &mut node.value {
                node = entries.swap_remove(0).node;
            }
            Ok(key.rsplit('.').fold(node, |node, key| {
                let place = yaml::SourceLocation { file: file.clone(), line: 0, column: 0 };
                let node = Node { place: place.clone(), ..node };
                let entry = Entry { key: key.to_owned(), key_place: place.clone(), node };
                Node { place, value: Value::Map(vec![entry]) }
            }))
        }
    }
}

/// The base lists every key, so a key it lacks is unknown.
fn check_keys(base: &Node, layer: &Node, parents: &str) -> Result<(), ConfigError> {
    let (Value::Map(known), Value::Map(entries)) = (&base.value, &layer.value) else {
        return Ok(());
    };
    for entry in entries {
        let key = format!("{parents}{}", entry.key);
        match known.iter().find(|known| known.key == entry.key) {
            Some(below) => check_keys(&below.node, &entry.node, &format!("{key}."))?,
            None => {
                let names = known.iter().map(|known| known.key.as_str());
                let nearest = suggest::nearest(&entry.key, names);
                return Err(ConfigError::UnknownKey {
                    place: entry.key_place.clone(),
                    key,
                    nearest: nearest.map(|near| format!("{parents}{near}")),
                });
            }
        }
    }
    Ok(())
}

fn merge(under: &mut Node, over: &Node) {
    match (&mut under.value, &over.value) {
        (Value::Map(under), Value::Map(over)) => {
            for entry in over {
                match under.iter_mut().find(|below| below.key == entry.key) {
                    Some(below) => merge(&mut below.node, &entry.node),
                    None => under.push(entry.clone()),
                }
            }
        }
        _ => *under = over.clone(),
    }
}

fn read(base: &Node, merged: &Node) -> Result<TrainConfig, ConfigError> {
    serde_json::from_value(merged.to_json()).map_err(|e| {
        // serde tells what is wrong but not where: the culprit is the value that breaks the base.
        let (key, node, message) = leaves(merged, "")
            .into_iter()
            .find_map(|(key, node)| {
                let mut single = base.clone();
                replace(&mut single, &key, node);
                let error = serde_json::from_value::<TrainConfig>(single.to_json()).err()?;
                Some((key, node, in_words(&error.to_string())))
            })
            .unwrap_or_else(|| (String::new(), merged, e.to_string()));
        ConfigError::Type { place: node.place.clone(), key, message }
    })
}

/// A wrong type in the words of YAML instead of those of the code.
fn in_words(message: &str) -> String {
    let Some((found, expected)) =
        message.strip_prefix("invalid type: ").and_then(|rest| rest.rsplit_once(", expected "))
    else {
        return message.to_owned();
    };
    let expected = match expected {
        "u32" | "u64" => "a whole number of 0 or more",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a string" => "a text",
        "a sequence" => "a list",
        structure if structure.starts_with("struct ") => "a map of settings",
        other => other,
    };
    let found = found.replacen("string ", "text ", 1).replacen("sequence", "list", 1);
    format!("{expected} expected, found {found}")
}

pub(super) fn leaves<'a>(node: &'a Node, path: &str) -> Vec<(String, &'a Node)> {
    match &node.value {
        Value::Map(entries) => entries
            .iter()
            .flat_map(|entry| {
                let dot = if path.is_empty() { "" } else { "." };
                leaves(&entry.node, &format!("{path}{dot}{}", entry.key))
            })
            .collect(),
        _ => vec![(path.to_owned(), node)],
    }
}

fn replace(node: &mut Node, path: &str, by: &Node) {
    let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
    let Value::Map(entries) = &mut node.value else { return };
    if let Some(entry) = entries.iter_mut().find(|entry| entry.key == key) {
        match rest {
            Some(rest) if matches!(entry.node.value, Value::Map(_)) => {
                replace(&mut entry.node, rest, by);
            }
            _ => entry.node = by.clone(),
        }
    }
}

impl TrainConfig {
    /// The canonical form: compact JSON with every key, in the order of the types.
    pub fn canonical_json(&self) -> String {
        // Numbers are finite (validated) and keys are texts, so nothing can fail.
        serde_json::to_string(self).expect("BUG: settings do not serialise")
    }

    /// The digest of the canonical form.
    pub fn digest(&self) -> Digest {
        Digest::of(self.canonical_json().as_bytes())
    }

    /// The settings as YAML with every key; [`resolve`] reads them back unchanged.
    pub fn to_yaml(&self) -> String {
        serde_saphyr::to_string(self).expect("BUG: settings do not serialise")
    }
}

#[cfg(test)]
mod tests {
    use super::super::Architecture;
    use super::*;

    fn text(text: &str) -> Result<TrainConfig, ConfigError> {
        resolve(&[Layer::Text { file: "my.yaml", text }])
    }

    #[test]
    fn named_configs_resolve_and_come_back_from_yaml() {
        for name in builtin_names() {
            let layer = Layer::Text { file: name, text: builtin(name).unwrap() };
            let config = resolve(&[layer]).unwrap();
            assert_eq!(text(&config.to_yaml()).unwrap(), config, "{name}");
        }
        assert_eq!(text("").unwrap().model.architecture, Architecture::Encoder);
    }

    #[test]
    fn later_layers_win_key_by_key() {
        let text = "training: {num_epochs: 9, batch_size: 8}";
        let file = Layer::Text { file: "a", text };
        let set = Layer::Set { key: "training.num_epochs", value: "2" };
        let config = resolve(&[file, set]).unwrap();
        assert_eq!((config.training.num_epochs, config.training.batch_size), (2, 8));
        assert_eq!(config.training.seed, 42);
        assert_ne!(config.digest(), resolve(&[file]).unwrap().digest());
    }

    #[test]
    fn errors_name_their_place() {
        let said = |yaml: &str| text(yaml).unwrap_err().to_string();
        assert_eq!(
            said("training:\n  lerning_rate: 1.0\n"),
            "my.yaml:2:3: unknown key `training.lerning_rate` \
             (nearest known key: `training.learning_rate`)"
        );
        assert_eq!(
            said("model:\n  n_embd: wide\n"),
            "my.yaml:2:11: `model.n_embd`: a whole number of 0 or more expected, found text \
             \"wide\""
        );
        assert_eq!(
            said("model:\n  n_embd: 250\n"),
            "my.yaml:2:11: `model.n_embd` is 250, but must be a multiple of `model.num_heads` (4)"
        );
        assert_eq!(
            said("model: {architecture: tfidf_svm, n_embd: 512}"),
            "my.yaml:1:34: `model.n_embd` has no effect for the architecture tfidf_svm"
        );
        for (yaml, expected) in [
            ("training: {learning_rate: fast}", "a number expected, found text \"fast\""),
            ("data: {dedupe: 3}", "true or false expected, found integer `3`"),
            ("training: {early_stopping: 3}", "a map of settings expected, found integer `3`"),
            ("tags: x", "a list expected, found text \"x\""),
            ("description: [x]", "a text expected, found list"),
        ] {
            assert!(said(yaml).ends_with(expected), "{}", said(yaml));
        }
        assert!(text("model: {architecture: toy, n_embd: 256}").is_ok(), "the default");
        assert!(said("model:\n  n_embd: [1\n").starts_with("my.yaml:"), "{}", said("a: [1"));
        assert!(said("training: 3\n").contains("`training`"), "{}", said("training: 3\n"));
        assert!(said("- a\n").contains("a map of settings expected"));
        assert!(
            said("tags: [a]\ntags: [b]\n").starts_with("my.yaml:2:1"),
            "{}",
            said("tags: [a]\ntags: [b]\n")
        );
        let set = resolve(&[Layer::Set { key: "training.sed", value: "1" }]).unwrap_err();
        assert_eq!(
            set.to_string(),
            "--set training.sed=1: unknown key `training.sed` (nearest known key: `training.seed`)"
        );
    }
}
