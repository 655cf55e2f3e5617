//! A loaded model, asked in this process or in an engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::files::{members_in, spec};
use crate::app::runs::train::ensemble;
use crate::app::{Error, ErrorKind, Programs, Result, refuse_pickle};
use crate::base::Digest;
use crate::data::batch::{Batch, Collator};
use crate::data::prepared::{Inputs, Prepared, Targets};
use crate::data::{self, Scaler, Series};
use crate::model::hf::Pretrained;
use crate::model::{
    Known, Labels, LoadedModel, ModelError, ModelFile, ModelFiles, Reader, TextScorer, TokenReader,
    config,
};
use crate::supervise::{Engine, EngineMessage};
use crate::train::metric::probability;
use crate::train::protocol::{Ended, ScoreSpec};

/// Longest that an engine may take to load a model or to score one batch.
const WAIT: Duration = Duration::from_secs(600);
/// Texts that go through a model together.
pub const BATCH_TEXTS: usize = 32;

/// What a model gives for texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scored {
    /// Unnormalized scores of each text, one for each label.
    pub scores: Vec<Vec<f32>>,
    /// Whether each text is longer than the model reads.
    pub cut: Vec<bool>,
}

/// A loaded model.
pub struct Model {
    /// What it is called: a production name, a run's unique name or a folder.
    pub name: String,
    /// Digest of the weights, as found and, where it was recorded, as recorded.
    pub weights: Digest,
    /// Whether a log says that these are the files; a folder alone says nothing.
    pub recorded: bool,
    /// The labels, in the order of the scores.
    pub labels: Vec<String>,
    /// Whether a text may have any number of labels.
    pub multi_label: bool,
    /// From which probability on a text has each label; empty where it has one class.
    pub thresholds: Vec<f64>,
    /// What a user has to know of its files.
    pub notes: Vec<String>,
    pub(super) inner: Inner,
}

pub(super) enum Inner {
    Texts(Box<dyn TextScorer>),
    Tokens { tokens: Box<dyn TokenReader>, engine: Box<Engine> },
    Series { scaler: Scaler, engine: Box<Engine> },
    Ensemble(Vec<Model>),
}

impl Model {
    /// Numbers of a row, where the model takes series instead of texts.
    pub fn series_length(&self) -> Option<usize> {
        match &self.inner {
            Inner::Series { scaler, .. } => Some(scaler.width()),
            Inner::Ensemble(members) => members.first().and_then(Self::series_length),
            _ => None,
        }
    }

    /// Reads the series in a file, for [`series_scores`](Self::series_scores).
    ///
    /// # Errors
    /// When the model takes texts, or the file has other rows than it takes.
    pub fn read_series(&self, path: &Path, id_column: &str) -> Result<Vec<Series>> {
        let length = self.series_length().unwrap_or(0);
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        Ok(data::read_unlabelled(path, true, id_column, length)?)
    }

    /// Unnormalised scores of each series, one for each label.
    ///
    /// # Errors
    /// When the model takes texts, or the engine fails.
    pub fn series_scores(&mut self, series: &[Series]) -> Result<Vec<Vec<f32>>> {
        if let Inner::Ensemble(members) = &mut self.inner {
            return together(members, self.multi_label, |model| model.series_scores(series));
        }
        let Inner::Series { scaler, engine } = &mut self.inner else {
            let message = format!("{} takes texts, not series of numbers", self.name);
            return Err(Error::new(ErrorKind::Usage, message));
        };
        let width = u32::try_from(scaler.width()).unwrap_or(u32::MAX);
        let values = series.iter().flat_map(|row| scaler.apply(&row.values)).collect();
        let scores = rows(engine, Inputs::Series { width, values }, Vec::new(), series.len())?;
        Ok(scores.chunks_exact(self.labels.len()).map(<[f32]>::to_vec).collect())
    }

    /// Tokens of a text that the model reads; none where it reads all of it.
    pub fn length_max(&self) -> Option<u32> {
        match &self.inner {
            Inner::Tokens { tokens, .. } => tokens.length_max(),
            Inner::Ensemble(members) => members.iter().filter_map(Self::length_max).min(),
            Inner::Texts(_) | Inner::Series { .. } => None,
        }
    }

    /// Unnormalized scores of each text.
    ///
    /// # Errors
    /// When the model takes series, or the engine fails.
    pub fn scores(&mut self, texts: &[String]) -> Result<Scored> {
        match &mut self.inner {
            Inner::Texts(model) => Ok(Scored {
                scores: texts.iter().map(|text| model.scores(text)).collect(),
                cut: vec![false; texts.len()],
            }),
            Inner::Tokens { tokens: reader, engine } => {
                // The bound on token ids is the engine's to check: it knows the weights.
                let mut inputs = Inputs::tokens(u32::MAX);
                let (mut of_tokens, mut cut) = (Vec::new(), Vec::new());
                for text in texts {
                    let tokens = reader.encode(text)?;
                    inputs.push_tokens(&tokens.ids);
                    of_tokens.extend(tokens.marks);
                    cut.push(tokens.cut);
                }
                let scores = rows(engine, inputs, of_tokens, texts.len())?;
                let scores = scores.chunks_exact(self.labels.len()).map(<[f32]>::to_vec).collect();
                Ok(Scored { scores, cut })
            }
            Inner::Series { scaler, .. } => {
                let message =
                    format!("{} takes series of {} numbers, not texts", self.name, scaler.width());
                Err(Error::new(ErrorKind::Usage, message).hint(
                    "give them by --file: a .csv, .tsv, .npy or .parquet with a row for each",
                ))
            }
            Inner::Ensemble(members) => {
                let mut cut = vec![false; texts.len()];
                let scores = together(members, self.multi_label, |model| {
                    let found = model.scores(texts)?;
                    cut.iter_mut().zip(found.cut).for_each(|(any, cut)| *any |= cut);
                    Ok(found.scores)
                })?;
                Ok(Scored { scores, cut })
            }
        }
    }

    /// Unnormalised scores of prepared rows, as they were prepared for this model.
    pub(in crate::app) fn scores_of(
        &mut self,
        data: &Prepared,
        rows: &[usize],
    ) -> Result<Vec<Vec<f32>>> {
        let mut scores = Vec::with_capacity(rows.len());
        for rows in rows.chunks(BATCH_TEXTS) {
            match (&mut self.inner, &data.inputs) {
                (Inner::Texts(model), Inputs::Texts(texts)) => {
                    scores.extend(rows.iter().map(|row| model.scores(&texts[*row])));
                }
                (Inner::Tokens { engine, .. } | Inner::Series { engine, .. }, _) => {
                    let found = ask(engine, Collator::new(data).batch(rows))?;
                    scores.extend(found.chunks_exact(self.labels.len()).map(<[f32]>::to_vec));
                }
                _ => {
                    let message = format!("these rows were not prepared for {}", self.name);
                    return Err(Error::new(ErrorKind::Data, message));
                }
            }
        }
        Ok(scores)
    }

    /// Scores as probabilities: of each label by itself where a text may have any number, else of
    /// one among all.
    pub fn probabilities(&self, scores: &[f32]) -> Vec<f64> {
        if self.multi_label {
            return scores.iter().map(|score| probability(*score)).collect();
        }
        let scores: Vec<f64> = scores.iter().map(|score| f64::from(*score)).collect();
        let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = scores.iter().map(|score| (score - max).exp()).sum();
        scores.iter().map(|score| (score - max).exp() / sum).collect()
    }

    /// Loads the model in a folder, as annals writes it into production or as Hugging Face
    /// Transformers writes it; no workspace is needed.
    ///
    /// # Errors
    /// When a file is missing, damaged or does not fit the others.
    pub fn in_folder(folder: &Path, programs: &Programs) -> Result<Self> {
        refuse_pickle(folder)?;
        let mut files = ModelFiles::of(folder.display().to_string());
        for file in ModelFile::all() {
            let path = folder.join(file.file_name());
            if path.is_file() {
                files.insert(file, (path, None));
            }
        }
        if let Some(list) = files.get(ModelFile::Ensemble) {
            let of_members = members_in(folder)?;
            return Self::ensemble(files.name.clone(), list, &of_members, programs);
        }
        let has = |file| files.get(file).is_some();
        if !has(ModelFile::Config) && has(ModelFile::HfConfig) {
            return Self::hugging_face(folder, programs);
        }
        Self::load(files, programs)
    }

    /// Loads the model of `files`, and the program that scores its rows where it has one.
    pub(super) fn load(files: ModelFiles, programs: &Programs) -> Result<Self> {
        let loaded = files.load()?;
        let LoadedModel { config, labels, thresholds, weights, folder, reader } = loaded;
        let engine = |rows, config| -> Result<Box<Engine>> {
            Ok(Box::new(start(programs, spec(&labels, rows, config, &folder))?))
        };
        let inner = match reader {
            Reader::Texts(model) => Inner::Texts(model),
            Reader::Series(scaler) => Inner::Series { scaler, engine: engine((0, 0), config)? },
            Reader::Tokens(tokens) => {
                let engine = engine(tokens.rows(&config), config)?;
                Inner::Tokens { tokens, engine }
            }
        };
        let recorded = files.get(ModelFile::Weights).is_some_and(|(_, digest)| digest.is_some());
        Ok(Self {
            recorded,
            thresholds,
            notes: Vec::new(),
            name: files.name,
            weights,
            multi_label: labels.multi_label,
            labels: labels.classes,
            inner,
        })
    }

    /// Loads the members that `list` names from their files, told apart by their paths.
    pub(super) fn ensemble(
        name: String,
        list: &Known,
        files: &[(String, Known)],
        programs: &Programs,
    ) -> Result<Self> {
        let mut whole = ModelFiles::of(name);
        whole.insert(ModelFile::Ensemble, list.clone());
        let (json, weights) = whole.read(ModelFile::Ensemble)?;
        let manifest: ensemble::EnsembleManifest = serde_json::from_slice(&json).map_err(|e| {
            Error::new(ErrorKind::Data, format!("{} of {}: {e}", ensemble::MANIFEST, whole.name))
        })?;
        let mut members: Vec<Self> = Vec::new();
        for number in 1..=manifest.members.len() {
            let mut of_member = ModelFiles::of(format!("{}, member {number}", whole.name));
            for (path, known) in files {
                let name = ensemble::member_file(path, number);
                if let Some(file) = name.and_then(ModelFile::of_file_name) {
                    of_member.insert(file, known.clone());
                }
            }
            members.push(Self::load(of_member, programs)?);
        }
        let fits = |model: &&Self| {
            (&model.labels, model.multi_label) == (&members[0].labels, members[0].multi_label)
        };
        let thresholds: Vec<_> = members.iter().map(|model| model.thresholds.clone()).collect();
        if members.is_empty() || !members.iter().all(|model| fits(&model)) {
            let message = format!("the members of {} do not fit each other", whole.name);
            return Err(Error::new(ErrorKind::Data, message));
        }
        Ok(Self {
            name: whole.name,
            weights,
            recorded: list.1.is_some(),
            labels: members[0].labels.clone(),
            multi_label: members[0].multi_label,
            thresholds: ensemble::mean_thresholds(&thresholds),
            notes: Vec::new(),
            inner: Inner::Ensemble(members),
        })
    }

    fn hugging_face(folder: &Path, programs: &Programs) -> Result<Self> {
        let found = Pretrained::open(folder)?;
        if !found.missing.is_empty() {
            let missing = found.missing.join(", ");
            let message =
                format!("{} has no complete classifier: {missing} is missing", folder.display());
            return Err(Error::new(ErrorKind::Data, message)
                .hint("train one: annals train --config distilbert --init FOLDER"));
        }
        let mut config =
            config::resolve(&[]).map_err(|e| Error::new(ErrorKind::Bug, e.to_string()))?;
        config.model.max_seq_length = found.length_max;
        found.resolve(&mut config)?;
        let tokens = found.tokenizer.limited(found.length_max).map_err(ModelError::from)?;
        let labels = Labels { classes: found.labels, multi_label: found.multi_label };
        let spec = spec(&labels, tokens.rows(&config), config, folder);
        Ok(Self {
            name: folder.display().to_string(),
            weights: found.weights,
            recorded: false,
            thresholds: labels.halves(),
            notes: found.notes,
            multi_label: labels.multi_label,
            labels: labels.classes,
            inner: Inner::Tokens {
                tokens: Box::new(tokens),
                engine: Box::new(start(programs, spec)?),
            },
        })
    }
}

/// The scores of an ensemble, of what `ask` gets from each member.
fn together(
    members: &mut [Model],
    multi_label: bool,
    mut ask: impl FnMut(&mut Model) -> Result<Vec<Vec<f32>>>,
) -> Result<Vec<Vec<f32>>> {
    let mut probabilities = Vec::new();
    for member in members {
        let scores = ask(member)?;
        probabilities.push(scores.iter().map(|row| member.probabilities(row)).collect());
    }
    Ok(ensemble::average(&probabilities, multi_label))
}

pub(super) fn start(programs: &Programs, spec: ScoreSpec) -> Result<Engine> {
    let (program, args) = programs.for_architecture(spec.config.model.architecture);
    let lost = |e| Error::caused(ErrorKind::TrainingFailed, "the engine does not start", e);
    let mut engine =
        Engine::start_to_answer(program, args, Path::new("/dev/null")).map_err(lost)?;
    engine.require(spec.config.model.architecture).map_err(lost)?;
    engine.score(spec).map_err(lost)?;
    match engine.recv(WAIT) {
        EngineMessage::Ready => Ok(engine),
        other => Err(failed(other)),
    }
}

/// Scores of `count` rows, row by row.
fn rows(engine: &mut Engine, inputs: Inputs, concepts: Vec<u32>, count: usize) -> Result<Vec<f32>> {
    let targets = Targets::Multi(vec![vec![]; count]);
    let rows = (0..).take(count).collect();
    let data = Prepared { rows, targets, inputs, concepts, ..Prepared::default() };
    let all: Vec<usize> = (0..count).collect();
    ask(engine, Collator::new(&data).batch(&all))
}

fn ask(engine: &mut Engine, batch: Batch) -> Result<Vec<f32>> {
    engine
        .rows(batch)
        .map_err(|e| Error::caused(ErrorKind::TrainingFailed, "the engine is lost", e))?;
    match engine.recv(WAIT) {
        EngineMessage::Scores(scores) => Ok(scores),
        other => Err(failed(other)),
    }
}

fn failed(heard: EngineMessage) -> Error {
    let message = match heard {
        EngineMessage::Ended(Ended::Failed(failure)) => failure.message,
        EngineMessage::Gone(gone) => gone.reason,
        EngineMessage::Silence => format!("the engine sent nothing for {} s", WAIT.as_secs()),
        other => format!("the engine sent an unexpected message: {other:?}"),
    };
    Error::new(ErrorKind::TrainingFailed, message)
}

/// The answer of a model to one row. The columns of an input file stand beside these fields, with
/// all digits of their numbers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Prediction {
    /// The labels that the model gives.
    pub labels: Vec<String>,
    /// The probability of each label.
    pub probabilities: BTreeMap<String, f64>,
    /// Whether the text was cut; absent for series.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncated: Option<bool>,
    /// The name of the model.
    pub model: String,
    /// BLAKE3 digest of its weights.
    pub weights: Digest,
    /// The threshold of each label, where a row can have any number of labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<BTreeMap<String, f64>>,
    /// Unnormalized scores, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logits: Option<Vec<f32>>,
}
