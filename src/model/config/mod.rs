//! The settings of a training: typed, complete and validated before anything starts.
//!
//! `data/configs/base.yaml` lists every key with its default; a named config, the user's file and
//! single settings of the command line are merged over it, in this order, key by key. A key that
//! the base lacks is an error that names file, line, column and the nearest known key.
//!
//! To add a setting: a field and its range in the file of its section, its default in `base.yaml`;
//! the sections that belong to one architecture are in its specification. To add a named config: a
//! file in `data/configs/` and a line in `resolve.rs`. Start reading at `resolve`.

mod attention;
mod curriculum;
mod data;
mod legacy;
mod lexicon;
mod multitask;
mod network;
mod resolve;
mod rules;
mod template;
mod threshold;
mod training;
mod unused;
mod validate;
mod yaml;

pub use super::distilbert::DistilbertConfig;
pub use super::encoder::{EncoderConfig, Pooling};
pub use super::list::{Architecture, TrainConfig};
pub use super::pat::{PatConfig, PatchEmbedding};
pub use super::tfidf::TfidfConfig;
pub use super::toy::ToyConfig;
pub use attention::AttentionConfig;
pub use curriculum::{CurriculumConfig, Difficulty, StageConfig};
pub use data::{DataConfig, SplitConfig, SplitRule};
pub use lexicon::LexiconConfig;
pub use multitask::{HeadConfig, MAIN, MultitaskConfig};
pub use network::ModelConfig;
pub use resolve::{Layer, builtin, builtin_names, recorded, resolve};
pub use rules::{Rule, Rules};
pub use template::{FileKind, Setting, Template, all_settings, inspect};
pub use threshold::Threshold;
pub use training::{ClassWeights, EarlyStopping, Precision, ScheduleKind, TrainingConfig};
pub use yaml::{ConfigError, OldKey, SourceLocation, yaml_message, yaml_options};
