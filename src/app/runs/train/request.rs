//! What the user asked for, resolved and checked.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Flat;
use super::folder::RunFolder;
use super::settings::{ConfigSource, Resolved, merged};
use crate::app::{Error, ErrorKind, Result};
use crate::data::{DataError, Dataset, Source, sample};
use crate::domain::run::{Category, Synthetic};
use crate::model::config::{Architecture, Threshold, TrainConfig};
use crate::model::hf::HfError;
use crate::model::settings;
use crate::model::{self, ModelError, Preparation, Program};
use crate::train::TrainEvent;

/// A training, as the user asked for it.
#[derive(Clone, Debug)]
pub struct TrainRequest {
    /// Named settings or a file of them.
    pub config: ConfigSource,
    /// Single settings over it: dotted key and YAML value.
    pub set: Vec<(String, String)>,
    /// The experiment's name; the configuration's where none is given.
    pub name: Option<String>,
    /// What the run is for.
    pub description: Option<String>,
    /// More tags than the configuration has.
    pub tags: Vec<String>,
    /// What it learns from.
    pub data: DataSource,
    /// Chosen category.
    pub category: Option<Category>,
    /// Threads of one operation; as many as there are processors where none is given.
    pub threads: Option<u32>,
    /// `cpu`, `cuda`, `cuda:1`, `mps`.
    pub device: String,
    /// Where the engines are.
    pub programs: Programs,
}

/// What a run learns from.
#[derive(Clone, Debug)]
pub enum DataSource {
    /// A file of labelled texts.
    File(Box<Source>),
    /// Generated notes.
    Sample {
        /// How many.
        rows: u32,
    },
}

/// The programs that train.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `annals-engine`, for torch models.
    pub torch: PathBuf,
    /// `annals` itself, for the ones in plain Rust.
    pub own: PathBuf,
}

impl Programs {
    pub(in crate::app) fn for_architecture(&self, architecture: Architecture) -> (&Path, &[&str]) {
        match architecture.specification().program() {
            Program::Own => (&self.own, &["engine"]),
            Program::Engine => (&self.torch, &[]),
        }
    }
}

/// Where a training shows itself.
pub trait Reporter {
    /// One line for the user.
    fn note(&mut self, line: &str);
    /// One line the user should not miss.
    fn warn(&mut self, line: &str);
    /// Something happened in training.
    fn event(&mut self, event: &TrainEvent);
}

/// Merges the settings; files they name are looked for in `folder`, and weights to start from in
/// `pretrained` too.
pub(super) fn resolve(
    request: &TrainRequest,
    folder: &Path,
    pretrained: Option<&Path>,
) -> Result<Resolved> {
    let Resolved { mut config, name, mut notes } = merged(request)?;
    let given = [&mut config.pat.init_from, &mut config.distilbert.init_from];
    for given in given.into_iter().filter(|given| !given.is_empty()) {
        let elsewhere = pretrained.map(|pretrained| pretrained.join(&*given));
        if let Some(path) = elsewhere.filter(|path| !folder.join(&*given).exists() && path.exists())
        {
            notes.push(format!("{given} is read from {}", path.display()));
            *given = path.display().to_string();
        }
    }
    let lexicon = &mut config.lexicon;
    if lexicon.names_a_file() {
        for file in [&mut lexicon.file, &mut lexicon.types_file] {
            if !file.is_empty() {
                *file = folder.join(&file).display().to_string();
            }
        }
    }
    let pipeline = config.model.architecture.pipeline();
    notes.extend(pipeline.resolve_files(&mut config, folder)?);
    Ok(Resolved { config, name, notes })
}

impl From<HfError> for Error {
    fn from(error: HfError) -> Self {
        Self::new(ErrorKind::Data, error.to_string())
    }
}

impl From<ModelError> for Error {
    fn from(error: ModelError) -> Self {
        let message = error.to_string();
        match error {
            ModelError::Data(error) => error.into(),
            ModelError::HuggingFace(error) => error.into(),
            ModelError::Pickle(pickle) => pickle.into(),
            ModelError::Read { source, .. } => Self::caused(ErrorKind::Data, message, source),
            ModelError::Content { source: Some(source), .. } => {
                Self::caused_by(ErrorKind::Data, message, source)
            }
            ModelError::Content { source: None, .. } => Self::new(ErrorKind::Data, message),
            ModelError::Missing { .. } => Self::new(ErrorKind::NotFound, message),
            ModelError::NotRecorded { .. } => Self::new(ErrorKind::Integrity, message)
                .hint("the recorded bytes are in the blob store under that digest"),
            ModelError::WithoutLabels { .. } => Self::new(ErrorKind::Rejected, message)
                .hint("train with `--set pat.init_from=` its model.safetensors"),
        }
    }
}

impl From<DataError> for Error {
    fn from(error: DataError) -> Self {
        let (message, hint) = (error.to_string(), error.hint());
        let error = match error {
            DataError::Io { source, .. } => Self::caused(ErrorKind::Data, message, source),
            DataError::Pickle(pickle) => pickle.into(),
            _ => Self::new(ErrorKind::Data, message),
        };
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

pub(super) fn prepare(dataset: &Dataset, config: &TrainConfig) -> Result<Preparation> {
    if !dataset.multi && config.training.threshold != Threshold::HALF {
        let message = "`training.threshold` has no effect where a row has one label";
        return Err(Error::new(ErrorKind::Data, message)
            .hint("it is for --labels and --label-columns, where a row has any number of them"));
    }
    Ok(model::prepare(dataset, config)?)
}

/// Generates data into the run's folder and reads them back like any other data.
pub(super) fn sample(
    request: &TrainRequest,
    folder: &RunFolder,
    config: &TrainConfig,
) -> Result<(Dataset, Option<Synthetic>)> {
    let DataSource::Sample { rows } = request.data else {
        return Err(Error::new(ErrorKind::Bug, "BUG: no data was asked for"));
    };
    let (count, seed) = (rows as usize, config.training.seed);
    let [text_column, label_column, ..] = sample::COLUMNS;
    let pipeline = config.model.architecture.pipeline();
    let made = pipeline.generate(count, config);
    let mut path = PathBuf::new();
    for (name, bytes) in &made.files {
        path = folder.write(&format!("config/{name}"), bytes)?;
    }
    let dataset = pipeline.read(&Source::of(path, text_column, label_column), config)?;
    let generator = made.generator.to_owned();
    let synthetic = Synthetic { generator, rows: rows.into(), seed };
    Ok((dataset, Some(synthetic)))
}

/// The settings that the architecture uses, by dotted key, values as JSON text.
pub(super) fn flatten(config: &TrainConfig) -> Flat {
    fn walk(prefix: &str, value: &Value, flat: &mut Flat) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    let key =
                        if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                    walk(&key, value, flat);
                }
            }
            value => {
                flat.insert(prefix.to_owned(), value.to_string());
            }
        }
    }
    let mut flat = Flat::new();
    walk("", &serde_json::to_value(config).unwrap_or(Value::Null), &mut flat);
    // Said elsewhere in the event.
    flat.retain(|key, _| key != "tags" && key != "description");
    settings::used(&flat)
}
