//! A fitted baseline: texts in, scores out; on disk as `model.safetensors` and `vectorizer.json`.

use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::linear::{Linear, Task};
use super::{ClassicalError, Vectorizer, logreg, svm};
use crate::base::Split;
use crate::data::prepared::{Inputs, Prepared, Targets};
use crate::model::config::{Architecture, TrainConfig};
use crate::model::{InputKind, ModelFile, WEIGHTS_FILE};

/// The file beside the weights that holds the terms.
pub const VECTORIZER_FILE: &str = ModelFile::Vectorizer.file_name();

/// A fitted baseline.
#[derive(Clone, Debug)]
pub struct TextClassifier {
    vectorizer: Vectorizer,
    linear: Linear,
    kind: Architecture,
    /// Whether there is one score for two classes: then the first class has the score 0.
    two_classes: bool,
}

/// How far a fit got.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// The objective, summed over the models where there are several.
    pub objective: f64,
    /// Whether every one of them reached its optimum.
    pub converged: bool,
}

/// The terms and how they are found, as the file has them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VectorizerFile {
    model: Architecture,
    two_classes: bool,
    ngram_max: usize,
    terms: Vec<String>,
}

impl VectorizerFile {
    fn check(&self) -> Result<(), String> {
        if self.model.specification().inputs() != InputKind::Texts {
            return Err(format!("{:?} is not a classical model", self.model));
        }
        if let Some(two) = self.terms.windows(2).find(|two| two[0] >= two[1]) {
            return Err(format!("the terms {:?} and {:?} are not in order", two[0], two[1]));
        }
        let misfits = |term: &&String| !(1..=self.ngram_max).contains(&term.split(' ').count());
        match self.terms.iter().find(misfits) {
            Some(term) => Err(format!("the term {term:?} is longer than {}", self.ngram_max)),
            None => Ok(()),
        }
    }
}

impl TextClassifier {
    /// Fits to the training rows of `data`, until the optimum or until `go_on` says no. `go_on`
    /// hears the objective reached so far: after each step of logistic regression, and of the
    /// other after the last pass for an output. The objectives of models fitted before are in it.
    ///
    /// # Errors
    /// When the rows are no texts or the training rows have fewer than two classes.
    pub fn fit(
        config: &TrainConfig,
        data: &Prepared,
        mut go_on: impl FnMut(Option<f64>) -> bool,
    ) -> Result<(Self, Fit), ClassicalError> {
        let Inputs::Texts(texts) = &data.inputs else {
            return Err(ClassicalError::Config("this model takes texts".into()));
        };
        let train = data.of_split(Split::Train);
        let rows: Vec<&str> = train.iter().map(|row| texts[*row].as_str()).collect();
        let (features, words) = (config.tfidf.max_features, config.tfidf.ngram_max);
        let (vectorizer, rows) = Vectorizer::fit(&rows, features as usize, words as usize);
        if rows.width == 0 {
            return Err(ClassicalError::Config("the training texts hold no word".into()));
        }
        let counts = data.class_counts(Split::Train);
        let two_classes = counts.len() == 2 && !data.targets.is_multi();
        let mut model = Self {
            vectorizer,
            linear: Linear::zero(0, 0),
            kind: config.model.architecture,
            two_classes,
        };
        let mut fit = Fit { objective: 0.0, converged: true };
        for problem in problems(config, data, &train, &counts) {
            let task = Task {
                rows: &rows,
                classes: &problem.classes,
                weights: &problem.weights,
                outputs: problem.outputs,
                c: config.tfidf.c,
            };
            let before = fit.objective;
            let (linear, converged) = if model.kind == Architecture::TfidfSvm {
                let hear = |objective: Option<f64>| {
                    fit.objective += objective.unwrap_or_default();
                    go_on(objective.map(|_| fit.objective))
                };
                let fitted = svm::fit(&task, config.training.seed, hear);
                (fitted.model, fitted.converged)
            } else {
                let fitted = logreg::fit(&task, |objective| go_on(Some(before + objective)));
                fit.objective += fitted.objectives.last().copied().unwrap_or_default();
                (fitted.model, fitted.converged)
            };
            fit.converged &= converged;
            model.linear.weights.extend(linear.weights);
            model.linear.intercept.extend(linear.intercept);
        }
        Ok((model, fit))
    }

    /// Unnormalised scores of a text, one for each label.
    pub fn scores(&self, text: &str) -> Vec<f32> {
        let row = self.vectorizer.row(text);
        let entries = row.iter().map(|(column, value)| (*column as usize, *value));
        let scores = self.linear.scores(&entries);
        let first = self.two_classes.then_some(0.0);
        first.into_iter().chain(scores).map(|score| score as f32).collect()
    }

    /// Fitted numbers.
    pub fn parameter_count(&self) -> u64 {
        (self.linear.weights.len() + self.linear.intercept.len()) as u64
    }

    /// Writes both files into `dir`; the same model gives the same bytes.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, dir: &Path) -> Result<(), ClassicalError> {
        let width = self.vectorizer.terms.len();
        let outputs = self.linear.outputs();
        let bytes = |values: &[f64]| -> Vec<u8> {
            values.iter().flat_map(|value| value.to_le_bytes()).collect()
        };
        let parts = [
            ("idf", vec![width], bytes(&self.vectorizer.idf)),
            ("intercept", vec![outputs], bytes(&self.linear.intercept)),
            ("weight", vec![outputs, width], bytes(&self.linear.weights)),
        ];
        let mut views = Vec::new();
        for (name, shape, bytes) in &parts {
            let view = TensorView::new(Dtype::F64, shape.clone(), bytes)
                .map_err(|e| ClassicalError::Backend(format!("{name}: {e}")))?;
            views.push((*name, view));
        }
        let weights = safetensors::serialize(views, None)
            .map_err(|e| ClassicalError::Backend(e.to_string()))?;
        let file = VectorizerFile {
            model: self.kind,
            two_classes: self.two_classes,
            ngram_max: self.vectorizer.ngram_max,
            terms: self.vectorizer.terms.clone(),
        };
        let terms =
            serde_json::to_vec(&file).map_err(|e| ClassicalError::Backend(e.to_string()))?;
        for (name, bytes) in [(WEIGHTS_FILE, weights), (VECTORIZER_FILE, terms)] {
            let path = dir.join(name);
            #[expect(clippy::disallowed_methods, reason = "the trainer makes the folder durable")]
            fs::write(&path, bytes).map_err(|source| io("write", &path, source))?;
        }
        Ok(())
    }

    /// Reads both files of `dir`.
    ///
    /// # Errors
    /// [`ClassicalError::State`] for files that are damaged or do not fit each other.
    pub fn load(dir: &Path) -> Result<Self, ClassicalError> {
        let read = |name: &str| {
            let path = dir.join(name);
            fs::read(&path).map_err(|source| io("read", &path, source))
        };
        let state =
            |file: &str, message: String| ClassicalError::State { file: file.into(), message };
        let file: VectorizerFile = serde_json::from_slice(&read(VECTORIZER_FILE)?)
            .map_err(|e| state(VECTORIZER_FILE, e.to_string()))?;
        file.check().map_err(|message| state(VECTORIZER_FILE, message))?;
        let bytes = read(WEIGHTS_FILE)?;
        let bad = |message: String| state(WEIGHTS_FILE, message);
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| bad(e.to_string()))?;
        let numbers = |name: &str, shape: &[usize]| {
            let view = tensors.tensor(name).map_err(|e| bad(e.to_string()))?;
            if view.shape() != shape || view.dtype() != Dtype::F64 {
                let found = (view.dtype(), view.shape());
                return Err(bad(format!("{name} is {found:?}, F64 {shape:?} expected")));
            }
            let number = |eight: &[u8]| f64::from_le_bytes(eight.try_into().unwrap_or_default());
            let numbers: Vec<f64> = view.data().chunks_exact(8).map(number).collect();
            match numbers.iter().position(|number| !number.is_finite()) {
                Some(place) => Err(bad(format!("{name} holds {} at {place}", numbers[place]))),
                None => Ok(numbers),
            }
        };
        let outputs =
            tensors.tensor("intercept").map_err(|e| bad(e.to_string()))?.shape().iter().product();
        let width = file.terms.len();
        let linear = Linear {
            weights: numbers("weight", &[outputs, width])?,
            intercept: numbers("intercept", &[outputs])?,
        };
        if file.two_classes && outputs != 1 {
            return Err(bad(format!("1 output expected for two classes, found {outputs}")));
        }
        let idf = numbers("idf", &[width])?;
        let vectorizer = Vectorizer::new(file.terms, idf, file.ngram_max);
        Ok(Self { vectorizer, linear, kind: file.model, two_classes: file.two_classes })
    }
}

/// One fit: all classes together, or one label against the rest.
struct Problem {
    classes: Vec<u32>,
    weights: Vec<f64>,
    outputs: usize,
}

fn problems(
    config: &TrainConfig,
    data: &Prepared,
    train: &[usize],
    counts: &[u64],
) -> Vec<Problem> {
    let class_weights = config.training.class_weights;
    match &data.targets {
        Targets::Single(classes) => {
            let weight = class_weights.weights(counts);
            let classes: Vec<u32> = train.iter().map(|row| classes[*row]).collect();
            let weights = classes.iter().map(|class| weight[*class as usize]).collect();
            let outputs = if counts.len() == 2 { 1 } else { counts.len() };
            vec![Problem { classes, weights, outputs }]
        }
        Targets::Multi(sets) => (0_u32..)
            .zip(counts)
            .map(|(label, count)| {
                let has = |row: &usize| u32::from(sets[*row].contains(&label));
                let classes: Vec<u32> = train.iter().map(has).collect();
                let weight = class_weights.weights(&[train.len() as u64 - count, *count]);
                let weights = classes.iter().map(|class| weight[*class as usize]).collect();
                Problem { classes, weights, outputs: 1 }
            })
            .collect(),
    }
}

fn io(verb: &'static str, path: &Path, source: std::io::Error) -> ClassicalError {
    ClassicalError::Io { verb, path: path.display().to_string(), source }
}
