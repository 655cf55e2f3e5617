//! The architecture `distilbert`: DistilBERT with a classifier, in the layout of Hugging Face.

use std::fs;
use std::path::Path;

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{Rules, TrainConfig};
use super::error::{ModelError, refuse_pickle};
use super::files::{ModelFile, ModelFiles};
use super::hf::{self, Pretrained};
use super::inputs::{ModelInputs, RowsToPrepare, rare_words};
use super::load::{Labels, Reader};
use super::specification::{InputKind, Pipeline, Program, Specification};
use crate::data::prepared::Inputs;
use crate::data::tokenizer::Tokenizer;

/// Settings of the architecture `distilbert`. With `init_from` the folder decides the sizes, and
/// all of them are recorded.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DistilbertConfig {
    /// A folder in the layout of Hugging Face to fine-tune from; empty trains from scratch.
    pub init_from: String,
    /// Digest of its weights; empty takes the one found, which is then recorded.
    pub init_digest: String,
    /// Width of the feed-forward layers.
    pub hidden_dim: u32,
    /// Rows of the position table; texts may be as long.
    pub max_position_embeddings: u32,
    /// Dropout of the classifier's input.
    pub classifier_dropout: f64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Distilbert;

impl Specification for Distilbert {
    fn word(&self) -> &'static str {
        "distilbert"
    }

    fn title(&self) -> &'static str {
        "DistilBERT"
    }

    fn program(&self) -> Program {
        Program::Engine
    }

    fn inputs(&self) -> InputKind {
        InputKind::Tokens
    }

    fn sections(&self) -> &'static [&'static str] {
        &["curriculum.", "distilbert."]
    }

    fn section_rules(&self, config: &TrainConfig, rules: &mut Rules) {
        let own = &config.distilbert;
        rules.whole("distilbert.hidden_dim", own.hidden_dim, 1, 65_536);
        let positions = own.max_position_embeddings;
        rules.whole("distilbert.max_position_embeddings", positions, 2, 65_536);
        rules.share("distilbert.classifier_dropout", own.classifier_dropout, 1.0);
    }

    fn rules(&self, config: &TrainConfig, rules: &mut Rules) {
        let positions = config.distilbert.max_position_embeddings;
        rules.require(
            config.model.max_seq_length <= positions,
            "model.max_seq_length",
            config.model.max_seq_length,
            format!("at most `distilbert.max_position_embeddings` ({positions})"),
        );
    }
}

impl Pipeline for Distilbert {
    /// Lets the folder to fine-tune from decide what it decides, and records the digest of its
    /// weights.
    fn resolve_files(&self, config: &mut TrainConfig, _: &Path) -> Result<Vec<String>, ModelError> {
        if config.distilbert.init_from.is_empty() {
            return Ok(Vec::new());
        }
        let given = Path::new(&config.distilbert.init_from);
        let folder = fs::canonicalize(given)
            .map_err(|source| ModelError::Read { path: given.to_owned(), source })?;
        refuse_pickle(&folder)?;
        let found = Pretrained::open(&folder)?;
        found.resolve(config)?;
        Ok(found.notes.iter().map(|note| format!("{}: {note}", folder.display())).collect())
    }

    fn prepare(
        &self,
        rows: &RowsToPrepare<'_>,
        config: &TrainConfig,
    ) -> Result<ModelInputs, ModelError> {
        let tokenizer = Tokenizer::for_training(config, rows.labels, rows.train_texts())?;
        if tokenizer.is_bare() {
            return Err(rare_words(config));
        }
        let (mut inputs, mut cut) = (Inputs::tokens(tokenizer.token_rows(config)), Vec::new());
        for (row, number) in rows.rows.iter().zip(rows.numbers) {
            let tokens = tokenizer.tokens(&row.text)?;
            inputs.push_tokens(&tokens.ids);
            cut.extend(tokens.cut.then_some(*number));
        }
        let files = hf::side_files(config, rows.labels, rows.multi_label, &tokenizer).to_vec();
        Ok(ModelInputs { inputs, files, cut, ..ModelInputs::default() })
    }

    fn load(
        &self,
        files: &ModelFiles,
        _: &Labels,
        config: &TrainConfig,
    ) -> Result<Reader, ModelError> {
        let tokenizer = Tokenizer::from_json(files.read_text(ModelFile::Tokenizer)?)?;
        Ok(Reader::Tokens(Box::new(tokenizer.limited(config.model.max_seq_length)?)))
    }
}
