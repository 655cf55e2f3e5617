//! What the user asked for, resolved and checked.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Flat;
use super::folder::RunFolder;
use super::settings::{ConfigSource, Resolved, merged};
use crate::app::{Error, ErrorKind, Result, refuse_pickle};
use crate::base::{Digest, settings};
use crate::data::{
    self, DataError, Dataset, LabelColumns, Preparation, Source, actigraphy, sample,
};
use crate::domain::run::{Category, Synthetic};
use crate::model::config::{Architecture, Threshold, TrainConfig};
use crate::model::hf::{HfError, Pretrained};
use crate::model::pat;
use crate::projection::files::Regenerated;
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
        match architecture {
            Architecture::Toy | Architecture::TfidfLogreg | Architecture::TfidfSvm => {
                (&self.own, &["engine"])
            }
            Architecture::Encoder | Architecture::Distilbert | Architecture::Pat => {
                (&self.torch, &[])
            }
        }
    }
}

/// Where a training shows itself.
pub trait Screen {
    /// One line for the user.
    fn note(&mut self, line: &str);
    /// One line the user should not miss.
    fn warn(&mut self, line: &str);
    /// The registry files were written, some of them maybe over an edit.
    fn regenerated(&mut self, files: &Regenerated);
    /// Something happened in training.
    fn event(&mut self, event: &TrainEvent);
}

/// Merges the settings; files they name are looked for in `folder`.
pub(super) fn resolve(request: &TrainRequest, folder: &Path) -> Result<Resolved> {
    let Resolved { mut config, name, mut notes } = merged(request)?;
    let lexicon = &mut config.lexicon;
    if lexicon.names_a_file() {
        for file in [&mut lexicon.file, &mut lexicon.types_file] {
            if !file.is_empty() {
                *file = folder.join(&file).display().to_string();
            }
        }
    }
    notes.extend(settle_init(&mut config)?);
    settle_encoder(&mut config, folder)?;
    Ok(Resolved { config, name, notes })
}

/// Names the weights to take an encoder from by digest, and refuses them where they do not fit.
fn settle_encoder(config: &mut TrainConfig, folder: &Path) -> Result<()> {
    if config.pat.init_from.is_empty() {
        return Ok(());
    }
    let given = config.pat.init_from.clone();
    let unreadable = |e| Error::caused(ErrorKind::Data, format!("cannot read {given}"), e);
    let path = fs::canonicalize(folder.join(&given)).map_err(unreadable)?;
    refuse_pickle(&path)?;
    let bytes = fs::read(&path).map_err(unreadable)?;
    let found = Digest::of(&bytes).to_string();
    let expected = std::mem::replace(&mut config.pat.init_digest, found.clone());
    if !expected.is_empty() && expected != found {
        let message = format!("{given} has digest {found}, `pat.init_digest` is {expected}");
        return Err(Error::new(ErrorKind::Data, message));
    }
    pat::encoder(&bytes, config)
        .map_err(|e| Error::new(ErrorKind::Data, format!("{given} {e}")))?;
    config.pat.init_from = path.display().to_string();
    Ok(())
}

/// Lets the folder to fine-tune from decide what it decides, and names its weights by digest. Gives
/// what a user has to know of them.
fn settle_init(config: &mut TrainConfig) -> Result<Vec<String>> {
    if config.distilbert.init_from.is_empty() {
        return Ok(Vec::new());
    }
    let given = Path::new(&config.distilbert.init_from);
    let folder = fs::canonicalize(given).map_err(|e| {
        Error::caused(ErrorKind::Data, format!("cannot read {}", given.display()), e)
    })?;
    refuse_pickle(&folder)?;
    let found = Pretrained::open(&folder)?;
    found.settle(config)?;
    Ok(found.notes.iter().map(|note| format!("{}: {note}", folder.display())).collect())
}

impl From<HfError> for Error {
    fn from(error: HfError) -> Self {
        Self::new(ErrorKind::Data, error.to_string())
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

/// Reads the rows, with the columns that `config` learns besides the labels.
pub(super) fn read(source: &Source, config: &TrainConfig) -> Result<Dataset> {
    if config.model.architecture.takes_series() {
        let mut source = source.clone();
        if config.pat.pretrain {
            source.label_columns = LabelColumns::Flags(Vec::new());
        }
        return Ok(data::read_series(&source, config.pat.length)?);
    }
    let heads = config.multitask.heads.iter();
    let rationale = Some(&config.attention.rationale_column).filter(|column| !column.is_empty());
    let extra_columns = heads.map(|head| &head.column).chain(rationale).cloned().collect();
    Ok(data::read(&Source { extra_columns, ..source.clone() })?)
}

pub(super) fn prepare(dataset: &Dataset, config: &TrainConfig) -> Result<Preparation> {
    if !dataset.multi && config.training.threshold != Threshold::HALF {
        let message = "training.threshold decides nothing where a row has one label";
        return Err(Error::new(ErrorKind::Data, message)
            .hint("it is for --labels and --label-columns, where a row has any number of them"));
    }
    Ok(data::prepare(dataset, config)?)
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
    let (path, generator) = if config.model.architecture.takes_series() {
        let weeks = actigraphy::generate(count, config.pat.length, seed);
        let (counts, labels) = actigraphy::to_files(&weeks);
        folder.write("config/sample_data.labels.csv", &labels)?;
        (folder.write("config/sample_data.npy", &counts)?, "annals sample actigraphy 1")
    } else {
        let notes = sample::to_csv(&sample::generate(count, seed));
        (folder.write("config/sample_data.csv", &notes)?, "annals sample notes 2")
    };
    let dataset = read(&Source::of(path, text_column, label_column), config)?;
    let synthetic = Synthetic { generator: generator.to_owned(), rows: rows.into(), seed };
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
