//! `predict`: a run, a model in production or a folder, loaded as it was recorded and asked.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::train::ensemble;
use super::{App, Error, ErrorKind, Programs, Result};
use crate::base::Digest;
use crate::projection::registry::ModelRow;
use crate::supervise::{Engine, Heard};
use crate::train::Batch;
use crate::train::classical::TextClassifier;
use crate::train::config::{self, Architecture, TrainConfig};
use crate::train::data::lexicon::Concepts;
use crate::train::data::vocab::Vocab;
use crate::train::data::{self, Scaler, Series};
use crate::train::hf::{self, Pretrained, Tokenizer};
use crate::train::prepared::{Collator, Inputs, Prepared, Targets};
use crate::train::protocol::{Ended, ScoreSpec};

/// Longest that an engine may take to load a model or to score one batch.
const WAIT: Duration = Duration::from_secs(600);
/// Texts that go through a model together.
pub const BATCH_TEXTS: usize = 32;

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
    inner: Inner,
}

enum Inner {
    Texts(Box<TextClassifier>),
    Tokens { words: Words, engine: Box<Engine> },
    Series { scaler: Scaler, engine: Box<Engine> },
    Ensemble(Vec<Model>),
}

/// What makes tokens of a text.
enum Words {
    Own { vocab: Vocab, concepts: Concepts, length_max: usize },
    HuggingFace(Box<Tokenizer>),
}

impl Words {
    /// Tokens of a text, and the concept of each where the model knows concepts.
    fn encode(&self, text: &str) -> Result<(Vec<u32>, Vec<u32>)> {
        match self {
            Self::Own { vocab, concepts, length_max } => {
                Ok(concepts.encode(vocab, text, *length_max))
            }
            Self::HuggingFace(tokenizer) => Ok((tokenizer.encode(text)?, vec![])),
        }
    }

    /// Rows of the tables of tokens and of concepts of a model of `config`.
    fn rows(&self, config: &TrainConfig) -> (u32, u32) {
        match self {
            Self::Own { vocab, concepts, .. } => (vocab.len(), concepts.len()),
            Self::HuggingFace(tokenizer) => (tokenizer.rows(config), 0),
        }
    }
}

/// Where the files of a model are, with the digests that were recorded.
#[derive(Default)]
struct Files {
    name: String,
    config: Option<Known>,
    labels: Option<Known>,
    vocabulary: Option<Known>,
    concepts: Option<Known>,
    tokenizer: Option<Known>,
    vectorizer: Option<Known>,
    scaler: Option<Known>,
    weights: Option<Known>,
}

type Known = (PathBuf, Option<Digest>);

#[derive(Deserialize)]
struct Labels {
    classes: Vec<String>,
    #[serde(default)]
    multi_label: bool,
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

    /// Unnormalised scores of each text, one for each label.
    ///
    /// # Errors
    /// When the model takes series, or the engine fails.
    pub fn scores(&mut self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        match &mut self.inner {
            Inner::Texts(model) => Ok(texts.iter().map(|text| model.scores(text)).collect()),
            Inner::Tokens { words, engine } => {
                // The bound on token ids is the engine's to check: it knows the weights.
                let mut inputs = Inputs::tokens(u32::MAX);
                let mut of_tokens = Vec::new();
                for text in texts {
                    let (ids, concepts) = words.encode(text)?;
                    inputs.push_tokens(&ids);
                    of_tokens.extend(concepts);
                }
                let scores = rows(engine, inputs, of_tokens, texts.len())?;
                Ok(scores.chunks_exact(self.labels.len()).map(<[f32]>::to_vec).collect())
            }
            Inner::Series { scaler, .. } => {
                let message =
                    format!("{} takes series of {} numbers, not texts", self.name, scaler.width());
                Err(Error::new(ErrorKind::Usage, message).hint(
                    "give them by --file: a .csv, .tsv, .npy or .parquet with a row for each",
                ))
            }
            Inner::Ensemble(members) => {
                together(members, self.multi_label, |model| model.scores(texts))
            }
        }
    }

    /// Unnormalised scores of prepared rows, as they were prepared for this model.
    pub(super) fn scores_of(&mut self, data: &Prepared, rows: &[usize]) -> Result<Vec<Vec<f32>>> {
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
        let scores: Vec<f64> = scores.iter().map(|score| f64::from(*score)).collect();
        if self.multi_label {
            return scores.iter().map(|score| 1.0 / (1.0 + (-score).exp())).collect();
        }
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
        let file = |name: &str| {
            let path = folder.join(name);
            path.is_file().then_some((path, None))
        };
        if let Some(list) = file(ensemble::MANIFEST) {
            let of_members = members_in(folder)?;
            return Self::ensemble(folder.display().to_string(), &list, &of_members, programs);
        }
        if file("config.yaml").is_none() && file(hf::CONFIG_FILE).is_some() {
            return Self::hugging_face(folder, programs);
        }
        let files = Files {
            name: folder.display().to_string(),
            config: file("config.yaml"),
            labels: file("labels.json"),
            vocabulary: file("vocab.txt"),
            concepts: file("concepts.tsv"),
            tokenizer: file(hf::TOKENIZER_FILE),
            vectorizer: file("vectorizer.json"),
            scaler: file(data::SCALER_FILE),
            weights: file("model.safetensors"),
        };
        files.load(programs)
    }

    /// Loads the members that `list` names from their files, told apart by their paths.
    fn ensemble(
        name: String,
        list: &Known,
        files: &[(String, Known)],
        programs: &Programs,
    ) -> Result<Self> {
        let whole = Files { name, ..Files::default() };
        let (json, weights) = whole.read(Some(list), ensemble::MANIFEST)?;
        let manifest: ensemble::Manifest = serde_json::from_slice(&json).map_err(|e| {
            Error::new(ErrorKind::Data, format!("{} of {}: {e}", ensemble::MANIFEST, whole.name))
        })?;
        let mut members: Vec<Self> = Vec::new();
        for number in 1..=manifest.members.len() {
            let name = format!("{}, member {number}", whole.name);
            let mut of_member = Files { name, ..Files::default() };
            for (path, known) in files {
                if let Some(path) = ensemble::member_file(path, number) {
                    of_member.take(path, known.clone());
                }
            }
            members.push(of_member.load(programs)?);
        }
        let fits = |model: &&Self| {
            (&model.labels, model.multi_label) == (&members[0].labels, members[0].multi_label)
        };
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
            inner: Inner::Ensemble(members),
        })
    }

    fn hugging_face(folder: &Path, programs: &Programs) -> Result<Self> {
        let found = Pretrained::open(folder)?;
        if !found.has_head() {
            let message = format!("{} has no classifier", folder.display());
            return Err(Error::new(ErrorKind::Data, message)
                .hint("train one: annals train --config distilbert --init FOLDER"));
        }
        let mut config =
            config::resolve(&[]).map_err(|e| Error::new(ErrorKind::Bug, e.to_string()))?;
        config.model.max_seq_length = found.length_max;
        found.settle(&mut config)?;
        let words = Words::HuggingFace(Box::new(found.tokenizer.limited(found.length_max)?));
        let labels =
            Labels { classes: found.model.labels(), multi_label: found.model.is_multi_label() };
        let spec = labels.spec(words.rows(&config), config, folder);
        Ok(Self {
            name: folder.display().to_string(),
            weights: found.weights,
            recorded: false,
            multi_label: labels.multi_label,
            labels: labels.classes,
            inner: Inner::Tokens { words, engine: Box::new(start(programs, spec)?) },
        })
    }
}

impl Labels {
    /// A model of these labels, to be loaded from `dir`.
    fn spec(&self, rows: (u32, u32), config: TrainConfig, dir: &Path) -> ScoreSpec {
        ScoreSpec {
            labels: self.classes.clone(),
            multi_label: self.multi_label,
            vocab_size: rows.0,
            concepts: rows.1,
            config,
            dir: dir.to_owned(),
            device: "cpu".into(),
            threads: super::environment::cpus(),
        }
    }
}

impl App {
    /// Loads what `text` names: a model in production, or a run.
    ///
    /// # Errors
    /// When there is no such model, it has no weights, or a file is not the one that was recorded.
    pub fn model(&self, text: &str, programs: &Programs) -> Result<Model> {
        let (mut list, mut of_members) = (None, Vec::new());
        let views = self.snapshot()?;
        let production = views.production()?;
        let alias = views.aliases()?.into_iter().find(|alias| alias.alias == text);
        let named = |model: &&ModelRow| match &alias {
            Some(alias) => (&model.name, model.number) == (&alias.name, alias.number),
            None => model.name == text,
        };
        if let Some(model) = production.iter().find(named) {
            let folder = self.root.join(&model.path);
            let mut files = Files { name: model.name.clone(), ..Files::default() };
            for (path, digest, _) in &model.files {
                let known = (folder.join(path), digest.parse().ok());
                if path == ensemble::MANIFEST {
                    list = Some(known);
                } else if ensemble::is_of_member(path) {
                    of_members.push((path.clone(), known));
                } else {
                    files.take(path, known);
                }
            }
            return match list {
                Some(list) => Model::ensemble(files.name, &list, &of_members, programs),
                None => files.load(programs),
            };
        }
        if let Some(alias) = alias {
            let message = format!(
                "{text} points at version {} of {}, which is not in production",
                alias.number, alias.name
            );
            return Err(Error::new(ErrorKind::Rejected, message)
                .hint(format!("`annals rollback {} --to {}`", alias.name, alias.number)));
        }
        let run = self.find_run(&views, text)?;
        let details = views
            .run(run)?
            .ok_or_else(|| Error::new(ErrorKind::Bug, format!("BUG: run {run} is in no view")))?;
        let folder = self.root.join(&details.folder);
        let mut files = Files { name: details.experiment_id.clone(), ..Files::default() };
        for (name, path, digest) in &details.artifacts {
            let Some(path) = path else { continue };
            let digest: Option<Digest> = digest.parse().ok();
            let mut file = folder.join(path);
            // What an archive packed is in the blob store as well.
            if details.archive.is_some()
                && !file.exists()
                && let Some(blob) = digest.filter(|digest| self.blobs.contains(*digest))
            {
                file = self.blobs.path(blob);
            }
            let known = Some((file, digest));
            match name.as_str() {
                ensemble::ARTIFACT => list = known,
                member if ensemble::is_of_member(member) => {
                    of_members.extend(known.map(|known| (member.to_owned(), known)));
                }
                "weights" if details.dropped.contains(path) => {
                    let message = format!("the weights of {} were not kept", files.name);
                    return Err(Error::new(ErrorKind::Rejected, message).hint(format!(
                        "`annals restore {}` brings them back while the blob store has them",
                        files.name
                    )));
                }
                "config" => files.config = known,
                "labels" => files.labels = known,
                "vocabulary" => files.vocabulary = known,
                "concepts" => files.concepts = known,
                "tokenizer" => files.tokenizer = known,
                "vectorizer" => files.vectorizer = known,
                "scaler" => files.scaler = known,
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

impl Files {
    /// Takes in a file by its name in a folder of a model.
    fn take(&mut self, path: &str, known: Known) {
        let place = match path {
            "config.yaml" => &mut self.config,
            "labels.json" => &mut self.labels,
            "vocab.txt" => &mut self.vocabulary,
            "concepts.tsv" => &mut self.concepts,
            hf::TOKENIZER_FILE => &mut self.tokenizer,
            "vectorizer.json" => &mut self.vectorizer,
            data::SCALER_FILE => &mut self.scaler,
            "model.safetensors" => &mut self.weights,
            _ => return,
        };
        *place = Some(known);
    }

    fn load(self, programs: &Programs) -> Result<Model> {
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
            name: self.name,
            weights,
            labels: labels.classes,
            multi_label: labels.multi_label,
            inner,
        })
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
    fn read(&self, known: Option<&Known>, name: &str) -> Result<(Vec<u8>, Digest)> {
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

/// The files of members below a folder, by their paths in it.
fn members_in(folder: &Path) -> Result<Vec<(String, Known)>> {
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

fn start(programs: &Programs, spec: ScoreSpec) -> Result<Engine> {
    let (program, args) = programs.for_architecture(spec.config.model.architecture);
    let lost = |e| Error::caused(ErrorKind::TrainingFailed, "the engine does not start", e);
    let mut engine = Engine::start(program, args, Path::new("/dev/null")).map_err(lost)?;
    engine.score(spec).map_err(lost)?;
    match engine.hear(WAIT) {
        Heard::Ready => Ok(engine),
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
    match engine.hear(WAIT) {
        Heard::Scores(scores) => Ok(scores),
        other => Err(failed(other)),
    }
}

fn failed(heard: Heard) -> Error {
    let message = match heard {
        Heard::Ended(Ended::Failed(failure)) => failure.message,
        Heard::Gone(gone) => gone.reason,
        Heard::Silence => format!("the engine said nothing for {} s", WAIT.as_secs()),
        other => format!("the engine said something else: {other:?}"),
    };
    Error::new(ErrorKind::TrainingFailed, message)
}
