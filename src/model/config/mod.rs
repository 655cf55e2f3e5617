//! The settings of a training: typed, complete and validated before anything starts.
//!
//! `data/configs/base.yaml` lists every key with its default; a named config, the user's file and
//! single settings of the command line are merged over it, in this order, key by key. A key that
//! the base lacks is an error that names file, line, column and the nearest known key.
//!
//! To add a setting: a field in `types.rs`, its default in `base.yaml`, its range in
//! `validate.rs`. To add a named config: a file in `data/configs/` and a line in `resolve.rs`.
//! Start reading at [`resolve`].

mod families;
mod legacy;
mod pat;
mod resolve;
mod template;
mod threshold;
mod types;
mod validate;
mod yaml;

pub use families::{
    AttentionConfig, CurriculumConfig, Difficulty, EncoderConfig, HeadConfig, LexiconConfig, MAIN,
    MultitaskConfig, Pooling, StageConfig,
};
pub use pat::{PatConfig, PatchEmbedding};
pub use resolve::{Layer, builtin, builtin_names, recorded, resolve};
pub use template::{FileKind, Setting, Template, all_settings, inspect};
pub use threshold::Threshold;
pub use types::{
    Architecture, ClassWeights, DataConfig, DistilbertConfig, EarlyStopping, ModelConfig,
    Precision, ScheduleKind, SplitConfig, SplitRule, TfidfConfig, ToyConfig, TrainConfig,
    TrainingConfig,
};
pub use yaml::{ConfigError, OldKey, Place};
