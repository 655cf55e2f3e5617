//! What a training would do (`--dry-run`): settings and data are read and checked as for a
//! training, and nothing is written.

use super::reproduce;
use super::resume;
use schemars::JsonSchema;
use serde::Serialize;

use super::reproduce::reproduced_name;
use super::{
    DataSource, Reporter, ReproduceOptions, TrainRequest, difficulty, request, result_size,
};
use crate::app::core::environment::cpus;
use crate::app::{Result, Workspace};
use crate::base::Split;
use crate::domain::Name;

/// A run that would begin.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct PlannedRun {
    /// The experiment's name.
    pub name: String,
    /// The configuration.
    pub config: String,
    /// The network or algorithm, where annals trains it.
    pub architecture: Option<String>,
    /// The seed, where one is stated.
    pub seed: Option<u64>,
    /// Passes over the training rows.
    pub epochs: Option<u32>,
    /// Where it computes.
    pub device: Option<String>,
    /// Threads of one operation.
    pub threads: Option<u32>,
    /// The labels in the order of the outputs.
    pub labels: Vec<String>,
    /// Rows of each split, where they are known before the run begins.
    pub rows: Vec<(Split, u64)>,
    /// Rows that would be generated.
    pub generated_rows: Option<u32>,
    /// Runs that would become members of an ensemble.
    pub members: Vec<String>,
    /// The update after which a run would continue.
    pub after_step: Option<u64>,
}

impl PlannedRun {
    pub(in crate::app) fn new(name: &str, config: &str) -> Self {
        Self { name: name.to_owned(), config: config.to_owned(), ..Self::default() }
    }
}

/// The run that `train` would train.
///
/// # Errors
/// As `train`, for settings and data.
pub fn plan_training(
    workspace: &Workspace,
    request: &TrainRequest,
    reporter: &mut dyn Reporter,
) -> Result<PlannedRun> {
    let resolved = super::resolve_request(workspace, request)?;
    resolved.notes.iter().for_each(|note| reporter.note(note));
    let config = &resolved.config;
    let name = Name::new(request.name.as_deref().unwrap_or(&resolved.name))?;
    let mut plan = PlannedRun::new(name.as_str(), &resolved.name);
    match &request.data {
        DataSource::File(source) => {
            let dataset = config.model.architecture.pipeline().read(source, config)?;
            result_size::refuse_too_many_labels(&dataset)?;
            let prepared =
                difficulty::prepare(workspace, &dataset, config, &request.programs, reporter)?;
            plan.labels = dataset.label_names();
            plan.rows = prepared.splits.iter().map(|s| (s.split, s.rows)).collect();
            dataset.remarks.iter().for_each(|remark| reporter.warn(remark));
        }
        DataSource::Sample { rows } => plan.generated_rows = Some(*rows),
    }
    workspace.may_begin("train")?;
    plan.architecture = Some(config.model.architecture.word().to_owned());
    plan.seed = Some(config.training.seed);
    // Only settings that the architecture uses are shown.
    let used = request::flatten(config).contains_key("training.num_epochs");
    plan.epochs = used.then_some(config.training.num_epochs);
    plan.device = Some(request.device.clone());
    plan.threads = Some(request.threads.unwrap_or_else(cpus));
    Ok(plan)
}

/// The run that `resume` would continue.
///
/// # Errors
/// As `resume`, before anything is written.
pub fn plan_resume(workspace: &Workspace, text: &str) -> Result<PlannedRun> {
    let found = resume::resumable(workspace, text)?;
    workspace.may_begin("train")?;
    let mut plan = PlannedRun::new(&found.started.experiment_id, &found.started.config_name);
    plan.architecture = Some(found.config.model.architecture.word().to_owned());
    plan.seed = Some(found.started.seed);
    plan.epochs = Some(found.config.training.num_epochs);
    plan.after_step = Some(found.step);
    Ok(plan)
}

/// The run that `reproduce` would train.
///
/// # Errors
/// As `reproduce`, before anything is written.
pub fn plan_reproduction(
    workspace: &Workspace,
    text: &str,
    options: &ReproduceOptions,
) -> Result<PlannedRun> {
    let original =
        reproduce::recorded(workspace, workspace.find_run(&workspace.snapshot()?, text)?)?;
    reproduce::inputs(workspace, &original)?;
    workspace.may_begin("reproduce")?;
    let started = &original.started;
    let mut plan = PlannedRun::new(&reproduced_name(started), &started.config_name);
    let environment = &started.environment;
    plan.architecture = Some(original.config.model.architecture.word().to_owned());
    plan.seed = Some(started.seed);
    plan.epochs = Some(original.config.training.num_epochs);
    plan.device = Some(options.device.clone().unwrap_or_else(|| environment.device.clone()));
    plan.threads = Some(options.threads.unwrap_or(environment.threads));
    plan.labels.clone_from(&started.data.labels);
    plan.rows = started.data.splits.iter().map(|s| (s.split, s.rows)).collect();
    Ok(plan)
}
