//! `annals train`, and the hidden child that trains models in plain Rust.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::ValueEnum;
use serde_json::{Value, json};

use super::consent::DryRun;
use super::context::Context;
use super::data_args::DataArgs;
use super::reporter::{Terminal, stop_signals};
use super::show::{class_table, head_scores, with_interval};
use super::train_plan::print_plan;
use super::ui::{Table, duration, share};
use crate::app::{
    ConfigSource, DataSource, Error, ErrorKind, Programs, Result, TrainRequest, Trained, Workspace,
    all_settings, named_configs, runs, show_config,
};
use crate::base::Split;
use crate::domain::run::Category;

/// Rows of generated data when nothing is asked for.
const SAMPLE_ROWS: u32 = 2_000;
/// What the loss of a head counts beside that of the labels.
const HEAD_WEIGHT: &str = "0.5";

/// Train a model and record every step
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals train --config tfidf_logreg --data tweets.csv --text-column tweet --label-column class
  annals train --config baseline_small --create-sample-data --name try-out
  annals train --data notes.jsonl --set training.num_epochs=3 --seed 7 --dry-run")]
pub(super) struct Args {
    /// A named configuration (--list-configs), a YAML file, or a template in one (FILE:NAME)
    ///
    /// A file contains only the settings that differ: it is merged over the defaults, or over the
    /// configuration or file that its key `extends` names. `--list-settings` lists every key.
    #[arg(long, alias = "experiment-config", default_value = "baseline_small")]
    #[arg(value_name = "NAME|FILE|FILE:NAME")]
    config: String,
    /// List the named configurations and exit
    #[arg(long, conflicts_with_all = ["show_config", "resume"])]
    list_configs: bool,
    /// List every setting with its default and description, and exit
    #[arg(long, conflicts_with_all = ["show_config", "resume"])]
    list_settings: bool,
    /// Print the resolved configuration as YAML and exit
    #[arg(long, conflicts_with = "resume")]
    show_config: bool,
    /// Continue a run that was interrupted or failed, from its newest training checkpoint
    #[arg(long, value_name = "RUN")]
    #[arg(conflicts_with_all = ["config", "name", "set", "seed", "threads", "data", "dedupe"])]
    #[arg(conflicts_with_all = ["tags", "description", "category", "device"])]
    resume: Option<String>,
    /// The experiment's name; default: the name of the configuration
    #[arg(long, alias = "experiment-name")]
    name: Option<String>,
    /// A description of the run
    #[arg(long)]
    description: Option<String>,
    /// Tags; words such as debug or test make it a debug run
    #[arg(long, num_args = 1.., value_delimiter = ',')]
    tags: Vec<String>,
    /// Train on synthetic notes (the default without --data)
    #[arg(long, conflicts_with = "data")]
    create_sample_data: bool,
    /// Number of synthetic notes
    #[arg(long, default_value_t = SAMPLE_ROWS, conflicts_with = "data")]
    sample_size: u32,
    /// Fine-tune from the weights in a folder as Hugging Face Transformers writes it
    #[arg(long, value_name = "FOLDER", conflicts_with = "resume")]
    init: Option<PathBuf>,
    /// One setting over the configuration, such as training.num_epochs=3 (see --list-settings)
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Auxiliary target columns, each with an optional loss weight (default 0.5)
    #[arg(long, value_name = "COLUMN[=WEIGHT]", value_delimiter = ',', conflicts_with = "resume")]
    heads: Vec<String>,
    /// Seed of all random numbers
    #[arg(long)]
    seed: Option<u64>,
    /// Train this many runs with consecutive seeds and report the spread of their scores
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "resume")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000))]
    repeat: u32,
    /// Remove training rows whose text also occurs in valid or test
    #[arg(long)]
    dedupe: bool,
    /// The category; default: derived from name and tags
    #[arg(long, value_enum)]
    category: Option<CategoryArg>,
    /// Threads per operation; results depend on it
    #[arg(long)]
    threads: Option<u32>,
    /// Device to train on: cpu, cuda, cuda:1, mps
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Print the status first; without data or a name, only print it
    #[arg(long)]
    experiment_summary: bool,
    /// Print afterwards, rule by rule, whether the run may go into production
    #[arg(long)]
    check_production_promotion: bool,
    /// Archive old debug runs afterwards, even if the policy does not require it
    #[arg(long)]
    auto_archive_debug: bool,
    #[command(flatten)]
    mode: DryRun,
    #[command(flatten)]
    data: DataArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum CategoryArg {
    Baseline,
    Debug,
}

impl From<CategoryArg> for Category {
    fn from(category: CategoryArg) -> Self {
        match category {
            CategoryArg::Baseline => Self::Baseline,
            CategoryArg::Debug => Self::Debug,
        }
    }
}

/// What is asked of the configurations alone, without a workspace.
fn shown(args: &Args, context: &mut Context) -> Result<bool> {
    if args.list_configs {
        let configs = named_configs()?;
        context.ui.data(&configs, |ui| {
            let mut table = Table::new(&["configuration", "architecture", "description"]);
            for config in &configs {
                table.row([config.name, &config.architecture, &config.description]);
            }
            ui.table(&table)
        })?;
    }
    if args.list_settings {
        let settings = all_settings();
        context.ui.data(&settings, |ui| {
            let mut table = Table::new(&["setting", "default", "description"]);
            for setting in &settings {
                table.row([&setting.key, &setting.default, &setting.help]);
            }
            ui.table(&table)
        })?;
    }
    Ok(args.list_configs || args.list_settings)
}

pub(super) fn run(args: Args, context: &mut Context) -> Result<()> {
    if shown(&args, context)? {
        return Ok(());
    }
    if args.show_config {
        let (config, notes) = show_config(&request(args, context)?)?;
        notes.iter().for_each(|note| context.ui.note(note));
        return context
            .ui
            .data(&config, |ui| config.to_yaml().lines().try_for_each(|line| ui.line(line)));
    }
    let workspace = context.changing(args.mode.dry_run)?;
    if args.experiment_summary {
        super::status::print(&workspace, context)?;
        if args.name.is_none() && args.data.is_empty() && !args.create_sample_data {
            return Ok(());
        }
    }
    let (check, repeat) = (args.check_production_promotion, args.repeat);
    let tidy = args.auto_archive_debug;
    let (resume, dry_run) = (args.resume.clone(), args.mode.dry_run);
    let request = request(args, context)?;
    if dry_run {
        let plan = match &resume {
            Some(run) => runs::plan_resume(&workspace, run)?,
            None => runs::plan_training(&workspace, &request, &mut Terminal::new(context))?,
        };
        return print_plan(&plan, context);
    }
    let stop = stop_signals()?;
    let runs = match &resume {
        _ if repeat > 1 => train_repeatedly(&workspace, &request, repeat, &stop, context),
        Some(run) => {
            runs::resume(&workspace, run, &request.programs, &stop, &mut Terminal::new(context))
                .map(|trained| vec![trained])
        }
        None => runs::train(&workspace, &request, &stop, &mut Terminal::new(context))
            .map(|trained| vec![trained]),
    };
    if super::cleanup::is_one_more(&runs) {
        super::cleanup::housekeep(&workspace, tidy, context);
    }
    let runs = runs?;
    match runs.as_slice() {
        [trained] => summary(&workspace, trained, context)?,
        _ => spread(&workspace, &runs, context)?,
    }
    for trained in runs.iter().filter(|_| check) {
        super::candidates::print(&workspace, Some(&trained.run.experiment_id), context)?;
    }
    Ok(())
}

/// One run after the other; the first that does not finish is the last.
fn train_repeatedly(
    workspace: &Workspace,
    request: &TrainRequest,
    count: u32,
    stop: &AtomicUsize,
    context: &mut Context,
) -> Result<Vec<Trained>> {
    let mut runs = Vec::new();
    for (seed, request) in request.repeated(count)? {
        context.ui.note(&format!("Run {} of {count}, seed {seed}.", runs.len() + 1));
        let asked = stop.load(Ordering::SeqCst) > 0;
        let ended = if asked {
            Err(Error::new(ErrorKind::Interrupted, "stopped by the user between two runs"))
        } else {
            runs::train(workspace, &request, stop, &mut Terminal::new(context))
        };
        match ended {
            Ok(trained) => runs.push(trained),
            Err(error) => {
                let done: Vec<&str> = runs.iter().map(|r| r.run.experiment_id.as_str()).collect();
                if !done.is_empty() {
                    context.ui.warn(&format!("only these finished: {}", done.join(", ")));
                }
                return Err(error);
            }
        }
    }
    Ok(runs)
}

fn request(args: Args, context: &Context) -> Result<TrainRequest> {
    let config = ConfigSource::parse(&args.config, &context.cwd);
    let mut set = Vec::new();
    for pair in &args.set {
        let (key, value) = pair.split_once('=').ok_or_else(|| {
            let message = format!("--set {pair}: KEY=VALUE expected");
            Error::new(ErrorKind::Usage, message).hint("such as --set training.num_epochs=3")
        })?;
        set.push((key.to_owned(), value.to_owned()));
    }
    if !args.heads.is_empty() {
        set.push(("multitask.heads".to_owned(), heads(&args.heads)?));
    }
    let quoted = |folder: &PathBuf| json!(context.cwd.join(folder)).to_string();
    set.extend(args.init.as_ref().map(|f| ("distilbert.init_from".to_owned(), quoted(f))));
    set.extend(args.seed.map(|seed| ("training.seed".to_owned(), seed.to_string())));
    set.extend(args.dedupe.then(|| ("data.dedupe".to_owned(), "true".to_owned())));
    let data = match args.data.source(context)? {
        None => DataSource::Sample { rows: args.sample_size },
        Some(source) => DataSource::File(Box::new(source)),
    };
    Ok(TrainRequest {
        config,
        set,
        name: args.name,
        description: args.description,
        tags: args.tags,
        data,
        category: args.category.map(Into::into),
        threads: args.threads,
        device: args.device,
        programs: Programs {
            torch: context.program("annals-engine"),
            own: context.program("annals"),
        },
    })
}

/// What `--heads` means as a setting.
fn heads(given: &[String]) -> Result<String> {
    let head = |given: &String| {
        let (column, weight) = given.split_once('=').unwrap_or((given, HEAD_WEIGHT));
        let weight: f64 = weight.parse().map_err(|_| {
            let message = format!("--heads {given}: COLUMN or COLUMN=WEIGHT expected");
            Error::new(ErrorKind::Usage, message).hint("such as --heads severity=0.5,urgent")
        })?;
        let name = column.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "_");
        Ok(json!({"name": name, "column": column, "weight": weight}))
    };
    let heads: Vec<Value> = given.iter().map(head).collect::<Result<_>>()?;
    Ok(Value::from(heads).to_string())
}

fn summary(workspace: &Workspace, trained: &Trained, context: &mut Context) -> Result<()> {
    let run = &trained.run;
    let shown = runs::trained_shown(workspace, trained)?;
    context.ui.data(&shown, |ui| {
        let metric = |name: &str| with_interval(run, name, Split::Test);
        ui.line(&format!(
            "{} finished in {}: test accuracy {}, macro F1 {}",
            run.experiment_id,
            run.duration_seconds.map_or_else(|| "-".into(), duration),
            metric("accuracy"),
            metric("f1_macro")
        ))?;
        if let Some(baseline) = &trained.baseline {
            ui.line(&format!(
                "TF-IDF + logistic regression on the same rows: accuracy {}, macro F1 {}",
                share(Some(baseline.accuracy)),
                share(Some(baseline.f1_macro))
            ))?;
        }
        let test = run.evaluations.iter().find(|evaluation| evaluation.split == Split::Test);
        if let Some(test) = test {
            ui.table(&class_table(&test.classes))?;
        }
        head_scores(run, Split::Test).iter().try_for_each(|line| ui.line(line))?;
        ui.line(&format!("folder {}", run.folder))?;
        if run.synthetic {
            ui.note(
                "The data is synthetic: these scores are not evidence of how the model \
                 performs in use.",
            );
        }
        ui.note(&format!("Next: annals candidates {}", run.experiment_id));
        Ok(())
    })
}

fn spread(workspace: &Workspace, runs: &[Trained], context: &mut Context) -> Result<()> {
    let all = runs::trained_repeatedly(workspace, runs)?;
    context.ui.data(&all, |ui| {
        for Trained { run, .. } in runs {
            ui.line(&format!(
                "{} (seed {}): test accuracy {}, macro F1 {}",
                run.experiment_id,
                run.seed,
                with_interval(run, "accuracy", Split::Test),
                with_interval(run, "f1_macro", Split::Test)
            ))?;
        }
        let mut table = Table::new(&["test score", "mean", "deviation", "lowest", "highest"]);
        for score in &all.test {
            let numbers = [score.mean, score.deviation, score.lowest, score.highest];
            let [mean, deviation, lowest, highest] = numbers.map(|number| share(Some(number)));
            table.row([score.name.as_str().into(), mean, deviation, lowest, highest]);
        }
        ui.table(&table)?;
        if runs.iter().any(|trained| trained.run.synthetic) {
            ui.note(
                "The data is synthetic: these scores are not evidence of how the model \
                 performs in use.",
            );
        }
        Ok(())
    })
}
