//! The architecture `toy`: softmax regression on bags of tokens in plain Rust; seconds to train,
//! for trying things out and for tests.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::TrainConfig;
use super::error::ModelError;
use super::files::ModelFiles;
use super::inputs::{ModelInputs, RowsToPrepare};
use super::load::{Labels, OwnTokens, Reader};
use super::specification::{InputKind, Pipeline, Program, Specification};

/// Settings of the architecture `toy`, mostly ways to misbehave.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToyConfig {
    /// Milliseconds every update takes at least.
    pub step_ms: u32,
    /// The update that fails with an error; 0 never.
    pub fail_at_step: u64,
    /// The update at which the process aborts, as after a crash in a library; 0 never.
    pub abort_at_step: u64,
    /// The update whose loss is NaN; 0 never.
    pub nan_at_step: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Toy;

impl Specification for Toy {
    fn word(&self) -> &'static str {
        "toy"
    }

    fn title(&self) -> &'static str {
        "softmax regression on token counts"
    }

    fn program(&self) -> Program {
        Program::Own
    }

    fn inputs(&self) -> InputKind {
        InputKind::Tokens
    }

    fn sections(&self) -> &'static [&'static str] {
        &["curriculum.", "toy."]
    }

    fn unused(&self) -> &'static [&'static str] {
        &[
            "model.n_embd",
            "model.num_heads",
            "model.n_layer",
            "model.attention_dropout",
            "training.label_smoothing",
            "training.focal_gamma",
            "training.precision",
        ]
    }
}

impl Pipeline for Toy {
    /// An empty vocabulary is no fault: a constant answer is still one.
    fn prepare(
        &self,
        rows: &RowsToPrepare<'_>,
        config: &TrainConfig,
    ) -> Result<ModelInputs, ModelError> {
        ModelInputs::of_tokens(rows, config, false)
    }

    fn load(
        &self,
        files: &ModelFiles,
        _: &Labels,
        config: &TrainConfig,
    ) -> Result<Reader, ModelError> {
        Ok(Reader::Tokens(Box::new(OwnTokens::load(files, config)?)))
    }
}
