//! The architectures `tfidf_logreg` and `tfidf_svm`: TF-IDF with logistic regression or a linear
//! support vector machine, fitted to the optimum in plain Rust.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::classical::{TextClassifier, has_word};
use super::config::{Rules, TrainConfig};
use super::error::ModelError;
use super::files::{ModelFile, ModelFiles};
use super::inputs::{ModelInputs, RowsToPrepare};
use super::load::{Labels, Reader, TextScorer};
use super::specification::{InputKind, Pipeline, Program, Specification};
use crate::data::DataError;
use crate::data::prepared::Inputs;

/// Settings of the classical baselines.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TfidfConfig {
    /// Terms to keep: the most frequent ones.
    pub max_features: u32,
    /// Words of the longest term.
    pub ngram_max: u32,
    /// Inverse strength of the L2 penalty, as scikit-learn's `C`.
    pub c: f64,
}

/// Which linear model; see the module.
#[derive(Debug)]
pub(super) struct Tfidf {
    word: &'static str,
    title: &'static str,
}

/// `tfidf_logreg`.
pub(super) const LOGREG: Tfidf =
    Tfidf { word: "tfidf_logreg", title: "TF-IDF + logistic regression" };
/// `tfidf_svm`.
pub(super) const SVM: Tfidf = Tfidf { word: "tfidf_svm", title: "TF-IDF + linear SVM" };

impl Specification for Tfidf {
    fn word(&self) -> &'static str {
        self.word
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn program(&self) -> Program {
        Program::Own
    }

    fn inputs(&self) -> InputKind {
        InputKind::Texts
    }

    fn sections(&self) -> &'static [&'static str] {
        &["tfidf."]
    }

    fn unused(&self) -> &'static [&'static str] {
        &[
            "model.vocab_size",
            "model.n_embd",
            "model.num_heads",
            "model.n_layer",
            "model.max_seq_length",
            "model.dropout",
            "model.attention_dropout",
            "training.batch_size",
            "training.accumulation_steps",
            "training.num_epochs",
            "training.learning_rate",
            "training.weight_decay",
            "training.gradient_clip_norm",
            "training.schedule",
            "training.cosine_cycles",
            "training.warmup_fraction",
            "training.warmup_steps",
            "training.label_smoothing",
            "training.focal_gamma",
            "training.precision",
            "training.early_stopping.",
            "training.keep_best",
            "training.keep_last",
            "training.save_steps",
            "data.min_count",
        ]
    }

    fn section_rules(&self, config: &TrainConfig, rules: &mut Rules) {
        rules.whole("tfidf.max_features", config.tfidf.max_features, 1, 100_000_000);
        rules.whole("tfidf.ngram_max", config.tfidf.ngram_max, 1, 8);
        rules.inside("tfidf.c", config.tfidf.c, 0.0, 1e9);
    }

    fn is_fitted_at_once(&self) -> bool {
        true
    }
}

impl Pipeline for Tfidf {
    fn prepare(
        &self,
        rows: &RowsToPrepare<'_>,
        _: &TrainConfig,
    ) -> Result<ModelInputs, ModelError> {
        if !rows.train_texts().any(has_word) {
            let problem = "no training text holds a word of two or more letters or digits";
            return Err(DataError::NoWords { problem: problem.to_owned() }.into());
        }
        let inputs = Inputs::Texts(rows.rows.iter().map(|row| row.text.clone()).collect());
        Ok(ModelInputs { inputs, ..ModelInputs::default() })
    }

    fn load(
        &self,
        files: &ModelFiles,
        labels: &Labels,
        _: &TrainConfig,
    ) -> Result<Reader, ModelError> {
        files.read(ModelFile::Vectorizer)?;
        let folder = files.get(ModelFile::Weights).and_then(|(path, _)| path.parent());
        let model = TextClassifier::load(folder.unwrap_or("".as_ref()))
            .map_err(|e| ModelError::caused(format!("{} cannot be loaded", files.name), e))?;
        let (listed, found) = (labels.classes.len(), model.scores("").len());
        if found != listed {
            return Err(ModelError::content(format!(
                "{}: {listed} labels are listed, the weights have {found}",
                files.name
            )));
        }
        Ok(Reader::Texts(Box::new(model)))
    }
}

impl TextScorer for TextClassifier {
    fn scores(&self, text: &str) -> Vec<f32> {
        Self::scores(self, text)
    }
}
