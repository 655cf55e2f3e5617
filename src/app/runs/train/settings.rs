//! Where settings come from: named configurations, files, templates in files, and what they extend.

use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;

use super::TrainRequest;
use crate::app::{Error, ErrorKind, Result};
use crate::base::counted;
use crate::base::suggest::nearest;
use crate::model::config::{self, ConfigError, FileKind, Layer, OldKey, TrainConfig};

/// Where settings come from.
#[derive(Clone, Debug)]
pub enum ConfigSource {
    /// A name of `data/configs`.
    Named(String),
    /// A YAML file.
    File(PathBuf),
    /// One of several named templates in a YAML file.
    Template(PathBuf, String),
}

impl ConfigSource {
    /// A named configuration, the path of a YAML file, or `FILE:NAME` for a template in one; paths
    /// are relative to `folder`.
    pub fn parse(text: &str, folder: &Path) -> Self {
        let is_yaml = |path: &str| path.ends_with(".yaml") || path.ends_with(".yml");
        match text.rsplit_once(':') {
            Some((file, name)) if is_yaml(file) => {
                Self::Template(folder.join(file), name.to_owned())
            }
            _ if is_yaml(text) || text.contains('/') => Self::File(folder.join(text)),
            _ => Self::Named(text.to_owned()),
        }
    }
}

/// Settings and the name they go by.
pub(super) struct Resolved {
    pub(super) config: TrainConfig,
    pub(super) name: String,
    /// What the user should know about how the settings were read.
    pub(super) notes: Vec<String>,
}

/// Sets of settings that build on each other, at most.
const EXTENDS_MAX: usize = 16;

/// A text of settings, before it is merged over the ones it extends.
struct OwnedLayer {
    file: String,
    text: String,
    template: Option<String>,
}

impl OwnedLayer {
    fn borrowed(&self) -> Layer<'_> {
        let (file, text) = (&self.file, &self.text);
        match &self.template {
            None => Layer::Text { file, text },
            Some(name) => Layer::Template { file, text, name },
        }
    }
}

/// The texts that a source stands on, those underneath first, and its name.
fn layers(source: &ConfigSource, notes: &mut Vec<String>) -> Result<(Vec<OwnedLayer>, String)> {
    let (mut layers, mut next, mut first) = (Vec::new(), Some(source.clone()), None);
    while let Some(source) = next.take() {
        if layers.len() == EXTENDS_MAX {
            let message = format!("the configuration extends more than {EXTENDS_MAX} others");
            return Err(Error::new(ErrorKind::Data, message)
                .hint("does one of them extend itself? see `extends` in the files"));
        }
        let (layer, name, extends, folder) = layer(&source, notes)?;
        layers.push(layer);
        first.get_or_insert(name);
        next = extends.map(|parent| match (&source, parent.contains(['/', ':', '.'])) {
            // A template builds on its neighbors before the configurations of annals.
            (ConfigSource::Template(file, _), false) if has_template(&layers, &parent) => {
                ConfigSource::Template(file.clone(), parent)
            }
            _ => ConfigSource::parse(&parent, &folder),
        });
    }
    layers.reverse();
    Ok((layers, first.unwrap_or_default()))
}

fn has_template(layers: &[OwnedLayer], name: &str) -> bool {
    layers.last().is_some_and(|layer| {
        let kind = config::inspect(&layer.file, &layer.text);
        // Its own name means the configuration of annals that it refines.
        layer.template.as_deref() != Some(name)
            && matches!(kind, Ok(FileKind::Templates(all)) if all.iter().any(|t| t.name == name))
    })
}

/// One text with its name, what it extends, and the folder of its paths.
fn layer(
    source: &ConfigSource,
    notes: &mut Vec<String>,
) -> Result<(OwnedLayer, String, Option<String>, PathBuf)> {
    let path = match source {
        ConfigSource::Named(name) => {
            let text = config::builtin(name).ok_or_else(|| unknown_config(name))?.to_owned();
            let layer = OwnedLayer { file: name.clone(), text, template: None };
            return Ok((layer, name.clone(), None, PathBuf::new()));
        }
        ConfigSource::File(path) | ConfigSource::Template(path, _) => path,
    };
    let text = fs::read_to_string(path).map_err(|e| {
        Error::caused(ErrorKind::Data, format!("cannot read {}", path.display()), e)
    })?;
    let (file, folder) = (path.display().to_string(), path.parent().unwrap_or(Path::new("")));
    let kind = config::inspect(&file, &text).map_err(|e| invalid(&e))?;
    let (template, name, extends) = match (source, kind) {
        (ConfigSource::Template(_, name), FileKind::Templates(templates)) => {
            let all: Vec<&str> = templates.iter().map(|t| t.name.as_str()).collect();
            let found = templates.iter().find(|template| template.name == *name);
            let found = found.ok_or_else(|| {
                let message = format!("{file} has no template \"{name}\"");
                Error::new(ErrorKind::NotFound, message)
                    .hint(format!("its templates are {}", all.join(", ")))
            })?;
            notes.extend(found.notes.iter().map(|note| format!("{file}, template {name}: {note}")));
            (Some(name.clone()), name.clone(), found.extends.clone())
        }
        (ConfigSource::Template(_, name), FileKind::Settings { .. }) => {
            let message = format!("{file} holds settings, not templates such as \"{name}\"");
            return Err(Error::new(ErrorKind::Data, message).hint(format!("use --config {file}")));
        }
        (_, FileKind::Templates(templates)) => {
            let all: Vec<&str> = templates.iter().map(|t| t.name.as_str()).collect();
            let message =
                format!("{file} holds {}: {}", counted(all.len(), "template"), all.join(", "));
            let first = all.first().copied().unwrap_or_default();
            return Err(Error::new(ErrorKind::Data, message)
                .hint(format!("name one, such as --config {file}:{first}")));
        }
        (_, FileKind::Settings { extends, notes: found }) => {
            notes.extend(found.iter().map(|note| format!("{file}: {note}")));
            (None, stem(path), extends)
        }
    };
    Ok((OwnedLayer { file, text, template }, name, extends, folder.to_owned()))
}

/// The name that a file of settings gives its runs.
fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn invalid(error: &ConfigError) -> Error {
    let failed = Error::new(ErrorKind::Data, error.to_string());
    match error {
        ConfigError::OldKeys { keys, .. } => {
            let hint = |old: &OldKey| format!("`{}`: {}; use {}", old.key, old.why, old.instead);
            let failed = keys.iter().fold(failed, |failed, old| failed.hint(hint(old)));
            failed.hint("`annals train --list-configs` lists configurations that annals ships")
        }
        ConfigError::UnknownKey { key, nearest: None, .. } => match same_end(key) {
            Some(known) => failed.hint(format!("did you mean `{known}`?")),
            None => failed.hint("`annals train --list-settings` lists every key"),
        },
        _ => failed,
    }
}

/// The setting whose last part is `key`, where it is the only one.
fn same_end(key: &str) -> Option<String> {
    let last = key.rsplit('.').next()?;
    let ends = |known: &str| known.rsplit('.').next() == Some(last);
    let mut found = config::all_settings().into_iter().filter(|setting| ends(&setting.key));
    found.next().filter(|_| found.next().is_none()).map(|setting| setting.key)
}

/// The settings of a request, without the files they name, and how they were read: for showing
/// them.
///
/// # Errors
/// As a training with them is refused.
pub fn show_config(request: &TrainRequest) -> Result<(TrainConfig, Vec<String>)> {
    merged(request).map(|resolved| (resolved.config, resolved.notes))
}

pub(super) fn merged(request: &TrainRequest) -> Result<Resolved> {
    let mut notes = Vec::new();
    let (texts, name) = layers(&request.config, &mut notes)?;
    let mut layers: Vec<Layer<'_>> = texts.iter().map(OwnedLayer::borrowed).collect();
    layers.extend(request.set.iter().map(|(key, value)| Layer::Set { key, value }));
    let config = config::resolve(&layers).map_err(|e| invalid(&e))?;
    Ok(Resolved { config, name, notes })
}

fn unknown_config(name: &str) -> Error {
    let names: Vec<&str> = config::builtin_names().collect();
    let error = Error::new(
        ErrorKind::NotFound,
        format!("there is no configuration \"{name}\" (known: {})", names.join(", ")),
    );
    match nearest(name, names.iter().copied()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error
            .hint("`annals train --list-configs` describes them; a path to a YAML file works too"),
    }
}

/// One of the configurations that annals ships.
#[derive(Clone, Debug, serde::Serialize, JsonSchema)]
pub struct NamedConfig {
    /// What `--config` takes.
    pub name: &'static str,
    /// The kind of model.
    pub architecture: String,
    /// What it is for.
    pub description: String,
}

/// The configurations that annals ships.
///
/// # Errors
/// Never, as each is tested.
pub fn named_configs() -> Result<Vec<NamedConfig>> {
    let one = |name: &'static str| {
        let text = config::builtin(name).unwrap_or_default();
        let config =
            config::resolve(&[Layer::Text { file: name, text }]).map_err(|e| invalid(&e))?;
        let architecture = config.model.architecture.word().to_owned();
        Ok(NamedConfig { name, architecture, description: config.description })
    };
    config::builtin_names().map(one).collect()
}
