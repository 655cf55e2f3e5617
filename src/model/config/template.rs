//! Settings that build on others, files of several named templates, and the list of all settings.

use schemars::JsonSchema;

use super::legacy::{self, Translation};
use super::resolve::BASE;
use super::yaml::{self, ConfigError, Node, SourceLocation, Value};

/// The key that names the settings underneath.
pub(super) const EXTENDS: &str = "extends";

/// What a YAML text of a user holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Settings, over those that it extends.
    Settings {
        /// A named configuration, a file, or a template of a file (`FILE:NAME`).
        extends: Option<String>,
        /// How keys of the old tracker were read.
        notes: Vec<String>,
    },
    /// Several sets of settings, each under a name of its own.
    Templates(Vec<Template>),
}

/// One of several sets of settings in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its name.
    pub name: String,
    /// What it builds on, as for a file of settings.
    pub extends: Option<String>,
    /// How keys of the old tracker were read.
    pub notes: Vec<String>,
}

/// One setting, as `annals train --list-settings` prints it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct Setting {
    /// Keys joined by dots, as `--set` takes them.
    pub key: String,
    /// Its value where nothing sets it, as YAML.
    pub default: String,
    /// What it does.
    pub help: String,
}

/// Tells settings from templates. Text is one of templates when no key of it is a setting and each
/// value is a map.
///
/// # Errors
/// [`ConfigError`] for malformed YAML and for an `extends` that is no text.
pub fn inspect(file: &str, text: &str) -> Result<FileKind, ConfigError> {
    let root = yaml::parse(file, text)?;
    let Value::Map(entries) = &root.value else {
        return Ok(FileKind::Settings { extends: None, notes: Vec::new() });
    };
    let base = yaml::parse("base.yaml", BASE)?;
    let is_map = |node: &Node| matches!(node.value, Value::Map(_));
    let known = |key: &str| key == EXTENDS || base.find(key).is_some();
    let templates = !entries.is_empty()
        && entries.iter().all(|entry| !known(&entry.key) && is_map(&entry.node))
        && entries.iter().any(|entry| has_settings(&base, &entry.node));
    if !templates {
        let extends = extends(&root)?;
        return Ok(FileKind::Settings { extends, notes: legacy::translate(root).notes });
    }
    let template = |entry: &yaml::Entry| {
        Ok(Template {
            name: entry.key.clone(),
            extends: extends(&entry.node)?,
            notes: legacy::translate(entry.node.clone()).notes,
        })
    };
    entries.iter().map(template).collect::<Result<_, _>>().map(FileKind::Templates)
}

/// Whether a map has a key that settings have.
fn has_settings(base: &Node, node: &Node) -> bool {
    let Value::Map(entries) = &node.value else { return false };
    entries.iter().any(|entry| entry.key == EXTENDS || base.find(&entry.key).is_some())
}

fn extends(node: &Node) -> Result<Option<String>, ConfigError> {
    match node.find(EXTENDS).map(|parent| (&parent.value, &parent.place)) {
        None => Ok(None),
        Some((Value::Scalar(serde_json::Value::String(name)), _)) => Ok(Some(name.clone())),
        Some((_, place)) => Err(ConfigError::Type {
            place: place.clone(),
            key: EXTENDS.to_owned(),
            message: "the name of a configuration or a file expected".to_owned(),
        }),
    }
}

/// The settings of a text, or of one template in it, with the keys of the old tracker translated.
pub(super) fn settings(
    file: &str,
    text: &str,
    template: Option<&str>,
) -> Result<Node, ConfigError> {
    let mut node = yaml::parse(file, text)?;
    if let Some(name) = template {
        node = node.find(name).cloned().ok_or_else(|| ConfigError::Syntax {
            place: SourceLocation { file: file.to_owned(), line: 0, column: 0 },
            message: format!("there is no template `{name}`"),
        })?;
    }
    if let Value::Map(entries) = &mut node.value {
        entries.retain(|entry| entry.key != EXTENDS);
    }
    let Translation { node, refused, .. } = legacy::translate(node);
    match refused.is_empty() {
        true => Ok(node),
        false => Err(ConfigError::OldKeys { file: file.to_owned(), keys: refused }),
    }
}

/// Every setting with its default and what it does, in the order of `base.yaml`.
///
/// # Panics
/// If `base.yaml` is not as annals ships it.
pub fn all_settings() -> Vec<Setting> {
    let (mut parents, mut settings) = (Vec::<(usize, &str)>::new(), Vec::new());
    for line in BASE.lines() {
        let (code, help) = line.split_once(" #").unwrap_or((line, ""));
        let Some((key, default)) = code.split_once(':').filter(|(key, _)| !key.starts_with('#'))
        else {
            continue;
        };
        let indent = key.len() - key.trim_start().len();
        parents.retain(|(of, _)| *of < indent);
        parents.push((indent, key.trim()));
        if !default.trim().is_empty() {
            let path: Vec<&str> = parents.iter().map(|(_, key)| *key).collect();
            settings.push(Setting {
                key: path.join("."),
                default: default.trim().to_owned(),
                help: help.trim().to_owned(),
            });
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_settings_is_the_base() {
        let base = yaml::parse("base.yaml", BASE).unwrap();
        let listed: Vec<String> = all_settings().into_iter().map(|setting| setting.key).collect();
        let leaves: Vec<String> =
            super::super::resolve::leaves(&base, "").into_iter().map(|(key, _)| key).collect();
        assert_eq!(listed, leaves);
        for setting in all_settings() {
            let text = format!("value: {}", setting.default);
            let default = yaml::parse("default", &text).unwrap();
            let expected = base.find(&setting.key).unwrap().to_json();
            assert_eq!(default.find("value").unwrap().to_json(), expected, "{}", setting.key);
        }
    }

    #[test]
    fn templates_are_told_from_settings() {
        let kind = |text: &str| inspect("my.yaml", text).unwrap();
        let settings = |extends: Option<&str>| FileKind::Settings {
            extends: extends.map(str::to_owned),
            notes: Vec::new(),
        };
        assert_eq!(kind(""), settings(None));
        assert_eq!(kind("training: {num_epochs: 1}"), settings(None));
        assert_eq!(kind("extends: large_model"), settings(Some("large_model")));
        // Mistyped sections stay settings, so that the error names the key.
        assert_eq!(kind("trainning: {num_epochs: 1}"), settings(None));
        let FileKind::Templates(found) =
            kind("a: {model: {name: A, n_layer: 2}}\nb: {extends: a, tags: [x]}")
        else {
            panic!("two templates");
        };
        let names: Vec<&str> = found.iter().map(|template| template.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(found[0].notes, ["`model.name` describes the model and has no effect"]);
        assert_eq!(found[1].extends.as_deref(), Some("a"));
        assert!(inspect("my.yaml", "extends: [a]").is_err());
    }
}
