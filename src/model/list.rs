//! The list of the architectures; the type of all settings and the word of each architecture follow
//! from it.
//!
//! The order of the rows is that of stored settings and of messages to engines: a new row comes
//! last.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{
    AttentionConfig, CurriculumConfig, DataConfig, LexiconConfig, ModelConfig, MultitaskConfig,
    TrainingConfig,
};
use super::specification::{Pipeline, Specification};
use super::{distilbert, encoder, pat, tfidf, toy};

/// `section: its type => architecture: its specification, ...;`
macro_rules! architectures {
    ($($section:ident: $config:ty => $($name:ident: $specification:expr),+;)+) => {
        /// Everything that decides what is trained and how.
        #[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct TrainConfig {
            /// The shape of the network.
            pub model: ModelConfig,
            /// How it is fitted.
            pub training: TrainingConfig,
            /// How texts become rows and rows become splits.
            pub data: DataConfig,
            /// Which rows are learned first.
            pub curriculum: CurriculumConfig,
            /// Concepts beside the tokens.
            pub lexicon: LexiconConfig,
            /// What is made of attention.
            pub attention: AttentionConfig,
            /// What else the encoder learns.
            pub multitask: MultitaskConfig,
            $(#[doc = concat!("Settings of the architectures of `", stringify!($section), "`.")]
            pub $section: $config,)+
            /// Words the run is classified and found by.
            pub tags: Vec<String>,
            /// One line for people.
            pub description: String,
        }

        /// The architectures of annals.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema,
        )]
        #[serde(rename_all = "snake_case")]
        pub enum Architecture {
            $($(#[doc = concat!("Specified in `model/", stringify!($section), ".rs`.")]
            $name,)+)+
        }

        impl Architecture {
            /// All of them.
            pub const ALL: &[Self] = &[$($(Self::$name,)+)+];

            /// What annals knows of it.
            pub fn specification(self) -> &'static dyn Specification {
                match self {
                    $($(Self::$name => $specification,)+)+
                }
            }

            /// From files and rows to what it takes.
            pub fn pipeline(self) -> &'static dyn Pipeline {
                match self {
                    $($(Self::$name => $specification,)+)+
                }
            }
        }
    };
}

architectures! {
    encoder: encoder::EncoderConfig => Encoder: &encoder::Encoder;
    distilbert: distilbert::DistilbertConfig => Distilbert: &distilbert::Distilbert;
    pat: pat::PatConfig => Pat: &pat::Pat;
    tfidf: tfidf::TfidfConfig => TfidfLogreg: &tfidf::LOGREG, TfidfSvm: &tfidf::SVM;
    toy: toy::ToyConfig => Toy: &toy::Toy;
}

impl Architecture {
    /// The word used in settings.
    pub fn word(self) -> &'static str {
        self.specification().word()
    }
}

impl TrainConfig {
    /// Rows scored together: without gradients twice the rows fit.
    pub fn eval_batch_rows(&self) -> usize {
        self.training.batch_size as usize * 2
    }

    /// Whether it learns labels; pretraining learns from the rows alone.
    pub fn learns_labels(&self) -> bool {
        self.model.architecture.specification().learns_labels(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Architecture;

    #[test]
    fn the_word_of_a_specification_is_the_stored_one() {
        for architecture in Architecture::ALL {
            let word = serde_json::to_string(architecture).unwrap();
            assert_eq!(word, format!("\"{}\"", architecture.word()));
            assert!(!architecture.specification().title().is_empty());
        }
    }
}
