//! `train`: from settings and data to a finished run, every step of it recorded.

mod attempt;
pub(super) mod baseline;
pub(super) mod difficulty;
pub(super) mod dry_run;
pub(in crate::app) mod ensemble;
pub(in crate::app) mod folder;
pub(super) mod owner;
pub(super) mod repeat;
pub(super) mod reproduce;
pub(super) mod request;
pub(super) mod result_size;
pub(super) mod resume;
pub(super) mod settings;
pub(super) mod supervise_engine;
pub(super) mod tell;
pub(super) mod training_log_file;
pub(super) mod translate;

pub(in crate::app) use self::attempt::put_blobs;
pub use self::attempt::{Trained, train};
pub use baseline::Baseline;
pub use dry_run::PlannedRun;
pub(in crate::app) use folder::RunFolder;
pub use repeat::{Spread, TrainedRepeatedly};
pub use reproduce::{ReproduceOptions, Reproduced, RunReproducedAgain};
pub use request::{DataSource, Programs, Reporter, TrainRequest};
pub use settings::{ConfigSource, NamedConfig, named_configs, show_config};

use self::attempt::{
    Attempt, DROP_EMPTY, Flat, Plan, Results, StartSpec, close, record_start, resolve_request,
    run_attempt, start_engine, trained,
};
