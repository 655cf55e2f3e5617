//! The files of a model: where they are, and that they are the ones that were recorded.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::model::{Inner, Model, start};
use crate::app::core::environment;
use crate::app::runs::run_files::{Location, RunFiles, decides, files_of_details};
use crate::app::runs::train::ensemble;
use crate::app::runs::train::folder::THRESHOLDS_FILE;
use crate::app::{App, Error, ErrorKind, Named, Programs, Result, refuse_pickle};
use crate::base::Digest;
use crate::data::lexicon::Concepts;
use crate::data::vocab::{Tokens, Vocab};
use crate::data::{self, Scaler};
use crate::effect;
use crate::model::classical::TextClassifier;
use crate::model::config::{self, Architecture, TrainConfig};
use crate::model::hf::{self, Tokenizer};
use crate::projection::registry::ModelRow;
use crate::train::protocol::ScoreSpec;

/// What makes tokens of a text.
pub(super) enum Words {
    Own { vocab: Vocab, concepts: Concepts, length_max: usize },
    HuggingFace(Box<Tokenizer>),
}

impl Words {
    /// Tokens of a text, marked with their concepts where the model knows concepts.
    pub(super) fn encode(&self, text: &str) -> Result<Tokens> {
        match self {
            Self::Own { vocab, concepts, length_max } => {
                Ok(concepts.encode(vocab, text, *length_max))
            }
            Self::HuggingFace(tokenizer) => Ok(tokenizer.tokens(text)?),
        }
    }

    /// Tokens to which texts are cut.
    pub(super) fn length_max(&self) -> Option<u32> {
        match self {
            Self::Own { length_max, .. } => u32::try_from(*length_max).ok(),
            Self::HuggingFace(tokenizer) => tokenizer.limit(),
        }
    }

    /// Rows of the tables of tokens and of concepts of a model of `config`.
    pub(super) fn rows(&self, config: &TrainConfig) -> (u32, u32) {
        match self {
            Self::Own { vocab, concepts, .. } => (vocab.len(), concepts.len()),
            Self::HuggingFace(tokenizer) => (tokenizer.rows(config), 0),
        }
    }
}

/// Where the files of a model are, with the digests that were recorded.
#[derive(Default)]
pub(super) struct Files {
    pub(super) name: String,
    pub(super) config: Option<Known>,
    pub(super) labels: Option<Known>,
    pub(super) vocabulary: Option<Known>,
    pub(super) concepts: Option<Known>,
    pub(super) tokenizer: Option<Known>,
    pub(super) vectorizer: Option<Known>,
    pub(super) scaler: Option<Known>,
    pub(super) thresholds: Option<Known>,
    pub(super) weights: Option<Known>,
}

pub(super) type Known = (PathBuf, Option<Digest>);

#[derive(Deserialize)]
pub(super) struct Labels {
    pub(super) classes: Vec<String>,
    #[serde(default)]
    pub(super) multi_label: bool,
}

impl Labels {
    /// One half for each label, where a text may have any number of them.
    pub(super) fn halves(&self) -> Vec<f64> {
        if self.multi_label { vec![0.5; self.classes.len()] } else { Vec::new() }
    }

    /// A model of these labels, to be loaded from `dir`.
    pub(super) fn spec(&self, rows: (u32, u32), config: TrainConfig, dir: &Path) -> ScoreSpec {
        ScoreSpec {
            labels: self.classes.clone(),
            multi_label: self.multi_label,
            vocab_size: rows.0,
            concepts: rows.1,
            config,
            dir: dir.to_owned(),
            device: "cpu".into(),
            threads: environment::cpus(),
        }
    }
}

impl App {
    /// Loads what `text` names: a model in production, or a run.
    ///
    /// # Errors
    /// When there is no such model, it has no weights, or a file is not the one that was recorded.
    pub fn model(&self, text: &str, programs: &Programs) -> Result<Model> {
        let views = self.snapshot()?;
        let run = match self.find_named(&views, text)? {
            Named::Run(run) => run,
            Named::Version(model) => {
                let current = views.production()?.into_iter().find(|m| m.name == model.name);
                let is_current = current.is_some_and(|current| current.number == model.number);
                if is_current {
                    return self.model_in_production(&model, programs);
                }
                // A name or an alias means what is in production; a version means that version.
                if !text.contains('@') {
                    let message = format!(
                        "{text} points at version {} of {}, which is not in production",
                        model.number, model.name
                    );
                    return Err(Error::new(ErrorKind::Rejected, message)
                        .hint(format!("`annals rollback {} --to {}`", model.name, model.number)));
                }
                model.run()
            }
        };
        let details = views
            .run(run)?
            .ok_or_else(|| Error::new(ErrorKind::Bug, format!("BUG: run {run} is in no view")))?;
        let place = RunFiles::of_details(&details, self.redacted_files()?);
        let recorded = files_of_details(&details);
        self.model_available(&place, &recorded)?;
        let mut files = Files { name: details.experiment_id.clone(), ..Files::default() };
        let (mut list, mut of_members) = (None, Vec::new());
        for file in recorded.into_iter().filter(|file| decides(file.name)) {
            let path = match self.locate(&place, file)? {
                Location::Folder(path) => path,
                // Weights are loaded from a folder that holds everything they are loaded with.
                Location::Blob if !effect::is_weight_file(file.path) => {
                    self.blobs.path(file.digest)
                }
                Location::Blob | Location::Pack(_) => {
                    let id = &files.name;
                    let message = match place.was_dropped(file.path) {
                        true => format!("{} when it was archived", file.not_kept(id)),
                        false => format!("{} of {id} is not in its folder", file.path),
                    };
                    return Err(Error::new(ErrorKind::Rejected, message).hint(format!(
                        "`annals restore {id}` brings it back from the archive and the blob store"
                    )));
                }
            };
            let known = Some((path, Some(file.digest)));
            match file.name {
                ensemble::ARTIFACT => list = known,
                member if ensemble::is_of_member(member) => {
                    of_members.extend(known.map(|known| (member.to_owned(), known)));
                }
                "config" => files.config = known,
                "labels" => files.labels = known,
                "vocabulary" => files.vocabulary = known,
                "concepts" => files.concepts = known,
                "tokenizer" => files.tokenizer = known,
                "vectorizer" => files.vectorizer = known,
                "scaler" => files.scaler = known,
                "thresholds" => files.thresholds = known,
                "weights" => files.weights = known,
                _ => {}
            }
        }
        if let Some(list) = list {
            return Model::ensemble(files.name, &list, &of_members, programs);
        }
        if files.weights.is_none() {
            let status = self.status_now(details.status, None)?.word();
            let message = format!("{} is {status} and has no weights", files.name);
            return Err(Error::new(ErrorKind::Rejected, message));
        }
        files.load(programs)
    }
}

impl App {
    fn model_in_production(&self, model: &ModelRow, programs: &Programs) -> Result<Model> {
        let (mut list, mut of_members) = (None, Vec::new());
        let mut files = Files { name: model.name.clone(), ..Files::default() };
        for (path, digest, _) in &model.files {
            let known = (self.inside_folder(&model.path, path)?, digest.parse().ok());
            if path == ensemble::MANIFEST {
                list = Some(known);
            } else if ensemble::is_of_member(path) {
                of_members.push((path.clone(), known));
            } else {
                files.take(path, known);
            }
        }
        let loaded = match list {
            Some(list) => Model::ensemble(files.name, &list, &of_members, programs),
            None => files.load(programs),
        };
        // Looked at only where loading failed: it reads every file.
        loaded.map_err(|error| match self.damaged_model(model).is_empty() {
            true => error,
            false => error.hint(format!("`annals repair {}` restores its files", model.name)),
        })
    }
}

impl Files {
    /// Takes in a file by its name in a folder of a model.
    pub(super) fn take(&mut self, path: &str, known: Known) {
        let place = match path {
            "config.yaml" => &mut self.config,
            "labels.json" => &mut self.labels,
            "vocab.txt" => &mut self.vocabulary,
            "concepts.tsv" => &mut self.concepts,
            hf::TOKENIZER_FILE => &mut self.tokenizer,
            "vectorizer.json" => &mut self.vectorizer,
            data::SCALER_FILE => &mut self.scaler,
            THRESHOLDS_FILE => &mut self.thresholds,
            "model.safetensors" => &mut self.weights,
            _ => return,
        };
        *place = Some(known);
    }

    pub(super) fn load(self, programs: &Programs) -> Result<Model> {
        if let Some((path, _)) = &self.weights {
            refuse_pickle(path)?;
        }
        let (config, _) = self.read(self.config.as_ref(), "config.yaml")?;
        let config = config::recorded(&String::from_utf8_lossy(&config))
            .map_err(|e| Error::new(ErrorKind::Data, e.to_string()))?;
        let (labels, _) = self.read(self.labels.as_ref(), "labels.json")?;
        let labels: Labels = serde_json::from_slice(&labels).map_err(|e| {
            Error::new(ErrorKind::Data, format!("labels.json of {}: {e}", self.name))
        })?;
        let (_, weights) = self.read(self.weights.as_ref(), "model.safetensors")?;
        let dir = self.weights.as_ref().and_then(|(path, _)| path.parent()).map(Path::to_owned);
        let dir = dir.unwrap_or_default();
        let inner = if config.model.architecture.takes_texts() {
            self.read(self.vectorizer.as_ref(), "vectorizer.json")?;
            let model = TextClassifier::load(&dir).map_err(|e| {
                Error::caused(ErrorKind::Data, format!("{} cannot be loaded", self.name), e)
            })?;
            if model.scores("").len() != labels.classes.len() {
                let found = model.scores("").len();
                let message = format!(
                    "{}: {} labels are listed, the weights have {found}",
                    self.name,
                    labels.classes.len()
                );
                return Err(Error::new(ErrorKind::Data, message));
            }
            Inner::Texts(Box::new(model))
        } else if config.model.architecture.takes_series() {
            if config.pat.pretrain {
                let message = format!("{} was trained without labels", self.name);
                return Err(Error::new(ErrorKind::Rejected, message)
                    .hint("train with `--set pat.init_from=` its model.safetensors"));
            }
            let (json, _) = self.read(self.scaler.as_ref(), data::SCALER_FILE)?;
            let scaler = Scaler::from_json(&String::from_utf8_lossy(&json)).map_err(|e| {
                Error::caused(ErrorKind::Data, format!("scaler.json of {}", self.name), e)
            })?;
            let spec = labels.spec((0, 0), config, &dir);
            Inner::Series { scaler, engine: Box::new(start(programs, spec)?) }
        } else {
            let words = self.words(&config)?;
            let spec = labels.spec(words.rows(&config), config, &dir);
            Inner::Tokens { words, engine: Box::new(start(programs, spec)?) }
        };
        Ok(Model {
            recorded: self.weights.as_ref().is_some_and(|(_, digest)| digest.is_some()),
            thresholds: self.thresholds_of(&labels)?,
            notes: Vec::new(),
            name: self.name,
            weights,
            labels: labels.classes,
            multi_label: labels.multi_label,
            inner,
        })
    }

    /// The recorded thresholds; one half where there are none, as in other layouts.
    fn thresholds_of(&self, labels: &Labels) -> Result<Vec<f64>> {
        let known = match &self.thresholds {
            Some(known) if labels.multi_label => known,
            _ => return Ok(labels.halves()),
        };
        let (json, _) = self.read(Some(known), THRESHOLDS_FILE)?;
        let bad = |what: String| {
            let message = format!("{THRESHOLDS_FILE} of {}: {what}", self.name);
            Error::new(ErrorKind::Data, message)
        };
        let by_label: BTreeMap<String, f64> =
            serde_json::from_slice(&json).map_err(|e| bad(e.to_string()))?;
        let of_label = |label: &String| match by_label.get(label) {
            Some(threshold) if *threshold > 0.0 && *threshold < 1.0 => Ok(*threshold),
            Some(other) => Err(bad(format!("{label} has {other}, above 0 and below 1 expected"))),
            None => Err(bad(format!("no threshold for {label}"))),
        };
        labels.classes.iter().map(of_label).collect()
    }

    fn words(&self, config: &TrainConfig) -> Result<Words> {
        let length = config.model.max_seq_length;
        if config.model.architecture == Architecture::Distilbert {
            let (json, _) = self.read(self.tokenizer.as_ref(), hf::TOKENIZER_FILE)?;
            let json = String::from_utf8_lossy(&json).into_owned();
            let tokenizer = Tokenizer::from_json(json)?.limited(length)?;
            return Ok(Words::HuggingFace(Box::new(tokenizer)));
        }
        let (vocab, _) = self.read(self.vocabulary.as_ref(), "vocab.txt")?;
        let vocab = Vocab::parse(&String::from_utf8_lossy(&vocab))
            .map_err(|e| Error::new(ErrorKind::Data, format!("vocab.txt of {}: {e}", self.name)))?;
        let mut concepts = Concepts::default();
        if config.lexicon.is_on() {
            let (table, _) = self.read(self.concepts.as_ref(), "concepts.tsv")?;
            let path = Path::new("concepts.tsv");
            concepts = Concepts::parse(&String::from_utf8_lossy(&table), path)
                .map_err(|e| Error::new(ErrorKind::Data, format!("{}: {e}", self.name)))?;
        }
        Ok(Words::Own { vocab, concepts, length_max: length as usize })
    }

    /// Reads a file, which must have the digest that was recorded.
    pub(super) fn read(&self, known: Option<&Known>, name: &str) -> Result<(Vec<u8>, Digest)> {
        let Some((path, recorded)) = known else {
            let message = format!("{} has no {name}", self.name);
            return Err(Error::new(ErrorKind::NotFound, message));
        };
        let bytes = fs::read(path).map_err(|e| {
            Error::caused(ErrorKind::Data, format!("cannot read {}", path.display()), e)
        })?;
        let found = Digest::of(&bytes);
        match recorded {
            Some(recorded) if *recorded != found => {
                let message =
                    format!("{} has digest {found}, {recorded} is in the log", path.display());
                Err(Error::new(ErrorKind::Integrity, message)
                    .hint("the recorded bytes are in the blob store under that digest"))
            }
            _ => Ok((bytes, found)),
        }
    }
}

/// The files of members below a folder, by their paths in it.
pub(super) fn members_in(folder: &Path) -> Result<Vec<(String, Known)>> {
    let unreadable = |path: &Path| {
        let message = format!("cannot read {}", path.display());
        move |e| Error::caused(ErrorKind::Data, message, e)
    };
    let within = |path: &Path| -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(path).map_err(unreadable(path))?;
        entries.map(|entry| Ok(entry.map_err(unreadable(path))?.path())).collect()
    };
    let mut found = Vec::new();
    for member in within(&folder.join("members"))? {
        for file in within(&member)? {
            let path = file.strip_prefix(folder).unwrap_or(&file);
            found.push((path.to_string_lossy().into_owned(), (file.clone(), None)));
        }
    }
    Ok(found)
}
