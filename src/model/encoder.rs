//! The architecture `encoder`: a transformer encoder over annals' own tokens.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{Rules, TrainConfig};
use super::error::ModelError;
use super::files::ModelFiles;
use super::inputs::{ModelInputs, RowsToPrepare};
use super::load::{Labels, OwnTokens, Reader};
use super::specification::{InputKind, Pipeline, Program, Specification};

/// How the encoder reads beside its layers.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EncoderConfig {
    /// Tokens that a convolution before the layers sees around each one, itself included; 0 for
    /// no convolution.
    pub convolution: u32,
    /// How the tokens become one vector.
    pub pooling: Pooling,
}

/// How the tokens of a text become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The largest of each number.
    Max,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Encoder;

impl Specification for Encoder {
    fn word(&self) -> &'static str {
        "encoder"
    }

    fn title(&self) -> &'static str {
        "transformer encoder"
    }

    fn program(&self) -> Program {
        Program::Engine
    }

    fn inputs(&self) -> InputKind {
        InputKind::Tokens
    }

    fn sections(&self) -> &'static [&'static str] {
        &["attention.", "curriculum.", "encoder.", "lexicon.", "multitask."]
    }

    /// A convolution reads without layers too, unless attention is asked for.
    fn layers_min(&self, config: &TrainConfig) -> u64 {
        let attention = &config.attention;
        let attends = attention.export_rows > 0
            || attention.faithfulness_rows > 0
            || attention.supervision_weight > 0.0;
        u64::from(config.encoder.convolution == 0 || attends)
    }

    fn section_rules(&self, config: &TrainConfig, rules: &mut Rules) {
        let window = config.encoder.convolution;
        rules.require(
            window == 0 || (window % 2 == 1 && window < 32),
            "encoder.convolution",
            window,
            "0, or odd and below 32: as many tokens before as after",
        );
    }
}

impl Pipeline for Encoder {
    fn prepare(
        &self,
        rows: &RowsToPrepare<'_>,
        config: &TrainConfig,
    ) -> Result<ModelInputs, ModelError> {
        ModelInputs::of_tokens(rows, config, true)
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

#[cfg(test)]
mod tests {
    use crate::model::config::{Layer, resolve};

    /// The error of these settings.
    fn said(text: &str) -> String {
        let resolved = resolve(&[Layer::Text { file: "my.yaml", text }]);
        resolved.map_or_else(|error| error.to_string(), |_| "fine".to_owned())
    }

    #[test]
    fn a_convolution_has_a_middle() {
        assert_eq!(said("encoder: {convolution: 3, pooling: max}"), "fine");
        assert!(said("encoder: {convolution: 4}").contains("odd"));
        let flat = "model: {n_layer: 0}";
        assert_eq!(said(&format!("{flat}\nencoder: {{convolution: 3}}")), "fine");
        assert!(said(flat).contains("`model.n_layer` is 0, but must be 1 to 1000"));
        let shown = format!("{flat}\nencoder: {{convolution: 3}}\nattention: {{export_rows: 1}}");
        assert!(said(&shown).contains("`model.n_layer` is 0"));
        let other = "model: {architecture: distilbert}\nencoder: {pooling: max}";
        assert!(said(other).contains("encoder.pooling"));
    }
}
