//! The architecture `pat`: a transformer on patches of a long series of numbers, such as a week of
//! actigraphy.

use std::fs;
use std::path::Path;

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::weights::encoder;
use crate::base::Digest;
use crate::data::prepared::Inputs;
use crate::data::{self, DataError, Dataset, LabelColumns, SCALER_FILE, Scaler, Source};
use crate::model::config::{Rules, TrainConfig};
use crate::model::{
    Generated, InputKind, Labels, ModelError, ModelFile, ModelFiles, ModelInputs, Pipeline,
    Program, Reader, RowsToPrepare, Specification, refuse_pickle,
};

/// Settings of the architecture `pat`.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatConfig {
    /// Numbers of a row, such as the 10,080 minutes of a week.
    pub length: u32,
    /// Numbers of a patch; divides `length`.
    pub patch_size: u32,
    /// How a patch becomes a vector.
    pub patch_embedding: PatchEmbedding,
    /// Width of the feed-forward layers.
    pub feed_forward: u32,
    /// Units of the layer between encoder and output; 0 has none.
    pub head_hidden: u32,
    /// Learns the encoder from the series alone, without labels: a masked autoencoder. Its weights
    /// are what `init_from` of a later training takes.
    pub pretrain: bool,
    /// Share of the patches that are hidden then.
    pub mask_ratio: f64,
    /// Weights to take the encoder from: Keras' `.h5`, or the `model.safetensors` of another run;
    /// empty trains from scratch.
    pub init_from: String,
    /// Their digest; empty takes the one found, which is then recorded.
    pub init_digest: String,
}

/// How a patch becomes a vector of `model.n_embd` numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PatchEmbedding {
    /// A linear map.
    Linear,
    /// A convolution as wide as the patch, patch by patch: the same maps as `linear`.
    Conv,
    /// A convolution of width 3 inside the patch, ReLU, and the mean over the patch.
    ConvPooled,
}

/// See the module.
#[derive(Debug)]
pub(in crate::model) struct Pat;

impl Specification for Pat {
    fn word(&self) -> &'static str {
        "pat"
    }

    fn title(&self) -> &'static str {
        "actigraphy transformer"
    }

    fn program(&self) -> Program {
        Program::Engine
    }

    fn inputs(&self) -> InputKind {
        InputKind::Series
    }

    fn sections(&self) -> &'static [&'static str] {
        &["pat."]
    }

    fn unused(&self) -> &'static [&'static str] {
        &["model.vocab_size", "model.max_seq_length", "data.min_count"]
    }

    fn section_rules(&self, config: &TrainConfig, rules: &mut Rules) {
        let p = &config.pat;
        rules.whole("pat.length", p.length, 1, 1_000_000);
        rules.whole("pat.patch_size", p.patch_size, 1, 1_000_000);
        rules.whole("pat.feed_forward", p.feed_forward, 1, 65_536);
        rules.whole("pat.head_hidden", p.head_hidden, 0, 65_536);
        rules.inside("pat.mask_ratio", p.mask_ratio, 0.0, 1.0);
        rules.require(
            p.length.is_multiple_of(p.patch_size),
            "pat.length",
            p.length,
            format!("a multiple of `pat.patch_size` ({})", p.patch_size),
        );
        rules.require(
            !p.pretrain || config.training.best_metric == "loss",
            "training.best_metric",
            format!("\"{}\"", config.training.best_metric),
            "\"loss\" where `pat.pretrain` learns without labels",
        );
    }

    fn rules(&self, config: &TrainConfig, rules: &mut Rules) {
        rules.require(
            config.model.n_embd.is_multiple_of(2),
            "model.n_embd",
            config.model.n_embd,
            "even: sines and cosines of the positions share it",
        );
    }

    fn learns_labels(&self, config: &TrainConfig) -> bool {
        !config.pat.pretrain
    }
}

impl Pipeline for Pat {
    /// Records the digest of the weights to take an encoder from, and refuses them where they do
    /// not fit.
    fn resolve_files(
        &self,
        config: &mut TrainConfig,
        folder: &Path,
    ) -> Result<Vec<String>, ModelError> {
        if config.pat.init_from.is_empty() {
            return Ok(Vec::new());
        }
        let given = config.pat.init_from.clone();
        let unreadable = |source| ModelError::Read { path: (&given).into(), source };
        let path = fs::canonicalize(folder.join(&given)).map_err(unreadable)?;
        refuse_pickle(&path)?;
        let bytes = fs::read(&path).map_err(unreadable)?;
        let found = Digest::of(&bytes).to_string();
        let expected = std::mem::replace(&mut config.pat.init_digest, found.clone());
        if !expected.is_empty() && expected != found {
            let message = format!("{given} has digest {found}, `pat.init_digest` is {expected}");
            return Err(ModelError::content(message));
        }
        encoder(&bytes, config).map_err(|e| ModelError::content(format!("{given} {e}")))?;
        config.pat.init_from = path.display().to_string();
        Ok(Vec::new())
    }

    fn read(&self, source: &Source, config: &TrainConfig) -> Result<Dataset, DataError> {
        let mut source = source.clone();
        if config.pat.pretrain {
            source.label_columns = LabelColumns::Flags(Vec::new());
        }
        data::read_series(&source, config.pat.length)
    }

    fn generate(&self, rows: usize, config: &TrainConfig) -> Generated {
        Generated::series(rows, config.pat.length, config.training.seed)
    }

    fn prepare(
        &self,
        rows: &RowsToPrepare<'_>,
        config: &TrainConfig,
    ) -> Result<ModelInputs, ModelError> {
        let train = rows.train.iter().map(|row| &row.values[..]);
        let scaler = Scaler::fit(train, config.pat.length as usize);
        let values = rows.rows.iter().flat_map(|row| scaler.apply(&row.values)).collect();
        let inputs = Inputs::Series { width: config.pat.length, values };
        let files = vec![(SCALER_FILE, scaler.to_json().into_bytes())];
        Ok(ModelInputs { inputs, files, ..ModelInputs::default() })
    }

    fn load(
        &self,
        files: &ModelFiles,
        _: &Labels,
        config: &TrainConfig,
    ) -> Result<Reader, ModelError> {
        if config.pat.pretrain {
            return Err(ModelError::WithoutLabels { model: files.name.clone() });
        }
        let scaler = Scaler::from_json(&files.read_text(ModelFile::Scaler)?)
            .map_err(|e| ModelError::caused(format!("scaler.json of {}", files.name), e))?;
        Ok(Reader::Series(scaler))
    }
}
