//! The settings of a training: typed, complete and validated before anything starts.

mod types;

pub use types::{
    Architecture, ClassWeights, DataConfig, EarlyStopping, ModelConfig, ScheduleKind, SplitConfig,
    SplitRule, ToyConfig, TrainConfig, TrainingConfig,
};
