//! `annals run`: runs of other trainers.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use clap::Subcommand;

use super::consent::DryRun;
use super::context::Context;
use super::edit::{edit_found, warn_of_secrets};
use super::reporter::stop_signals;
use super::train_plan::print_plan;
use super::ui::{Table, digest_cells, share, size};
use crate::app::{
    Error, ErrorKind, ExecRequest, MetricPoints, MetricsLogged, Parameter, Printed, ReportedBy,
    Result, RunEnded, RunResult, StartRun, Workspace, runs,
};
use crate::base::{RunId, Split};
use crate::domain::metric::Evaluation;
use crate::domain::run::{Category, RunEdit, RunState};

/// Track runs of other trainers: any script, or a command that annals supervises
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals run start --name night --param lr=0.001 --data rows.csv
  annals run log night valid/loss=0.31 valid/accuracy=0.9 --step 10
  annals run exec --name night --save weights=model.pt -- python train.py")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start a run and print its unique name; each call is durable when it returns
    #[command(after_help = "\
Examples:
  annals run start --name night --config settings.yaml --data rows.csv
  annals run start --name night --labels no,yes --rows test=300 --synthetic false")]
    Start(StartArgs),
    /// Record metrics of a run that has not ended
    #[command(after_help = "\
Examples:
  annals run log night loss=0.42 --step 100
  annals run log night valid/f1_macro=0.81 valid/loss:lower=0.3 --epoch 2")]
    Log {
        /// The run: unique name, id or prefix
        run: String,
        /// NAME=NUMBER, SPLIT/NAME=NUMBER or SPLIT/NAME:lower=NUMBER
        #[arg(required = true)]
        metrics: Vec<String>,
        /// Completed updates; default: the epoch, or one more than the last step
        #[arg(long)]
        step: Option<u64>,
        /// Completed passes over the training rows
        #[arg(long)]
        epoch: Option<f64>,
        #[command(flatten)]
        mode: DryRun,
    },
    /// Store a file of a run that has not ended, in its folder and in the blob store
    #[command(after_help = "\
Examples:
  annals run save night model.safetensors
  annals run save night vocab.json --as vocabulary")]
    Save {
        /// The run
        run: String,
        /// The file
        file: PathBuf,
        /// Its role: weights, vocabulary, labels, or a word of your own
        #[arg(long = "as", value_name = "WHAT", default_value = "weights")]
        what: String,
        #[command(flatten)]
        mode: DryRun,
    },
    /// End a run successfully; the policy then applies to it
    #[command(after_help = "\
Examples:
  annals run finish night test/accuracy=0.93 test/f1_macro=0.91
  annals run finish night --confusion confusion.json --epochs 3")]
    Finish {
        /// The run
        run: String,
        /// Final values, as for `log`; default: the last value of each series
        metrics: Vec<String>,
        /// A confusion matrix: {"split": "test", "labels": […], "matrix": [[…]]}; rows are truth
        #[arg(long, value_name = "FILE")]
        confusion: Vec<PathBuf>,
        /// Completed passes over the training rows
        #[arg(long, default_value_t = 0)]
        epochs: u32,
        /// Number of trainable parameters
        #[arg(long)]
        parameters: Option<u64>,
        #[command(flatten)]
        mode: DryRun,
    },
    /// End a run that failed
    #[command(after_help = "\
Examples:
  annals run fail night --reason 'out of memory'
  annals run fail night --reason killed --exit-code 137")]
    Fail {
        /// The run
        run: String,
        /// The reason, which is recorded
        #[arg(long)]
        reason: String,
        /// The trainer's exit code
        #[arg(long)]
        exit_code: Option<i32>,
        #[command(flatten)]
        mode: DryRun,
    },
    /// Let another person record facts of a run that you began
    #[command(after_help = "\
Examples:
  annals run share night bob
  annals run share night bob --stop")]
    Share {
        /// The run
        run: String,
        /// The person, by name
        person: String,
        /// From here on they may not any more
        #[arg(long)]
        stop: bool,
        #[command(flatten)]
        mode: DryRun,
    },
    /// Run a command as a tracked run; its output is stored and lines of JSON become metrics
    #[command(after_help = "\
Examples:
  annals run exec --name night -- python train.py
  annals run exec --name night --save weights=model.pt --config settings.yaml -- sh train.sh")]
    Exec {
        #[command(flatten)]
        start: StartArgs,
        /// Store a file if the command succeeds: ROLE=FILE, such as weights=model.pt
        #[arg(long, value_name = "WHAT=FILE")]
        save: Vec<String>,
        /// The command
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

#[derive(Debug, clap::Args)]
struct StartArgs {
    /// The experiment's name
    #[arg(long)]
    name: String,
    /// A description of the run
    #[arg(long, default_value = "")]
    description: String,
    /// Tags
    #[arg(long, num_args = 1..)]
    tags: Vec<String>,
    /// The category; default: derived from name and tags
    #[arg(long, value_parser = category)]
    category: Option<Category>,
    /// A file of settings (YAML or JSON)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting
    #[arg(long = "param", value_name = "KEY=VALUE")]
    parameters: Vec<String>,
    /// The seed that the script uses
    #[arg(long)]
    seed: Option<u64>,
    /// A data file, recorded by digest
    #[arg(long, value_name = "FILE")]
    data: Vec<PathBuf>,
    /// The data was generated; `--synthetic false` states that it is real
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    synthetic: Option<bool>,
    /// The labels, in the order of the model's outputs
    #[arg(long, value_delimiter = ',')]
    labels: Vec<String>,
    /// Rows of a split, such as test=300
    #[arg(long, value_name = "SPLIT=ROWS", value_parser = rows)]
    rows: Vec<(Split, u64)>,
    /// Valid and test rows that also occur in the training rows
    #[arg(long)]
    leaked_rows: Option<u64>,
    /// The device, such as cpu or cuda:0
    #[arg(long)]
    device: Option<String>,
    /// The program that trains
    #[arg(long)]
    trainer: Option<String>,
    #[command(flatten)]
    mode: DryRun,
}

fn category(text: &str) -> std::result::Result<Category, String> {
    match text {
        "baseline" => Ok(Category::Baseline),
        "debug" => Ok(Category::Debug),
        _ => Err("baseline or debug".into()),
    }
}

fn rows(text: &str) -> std::result::Result<(Split, u64), String> {
    let (word, rows) = text.split_once('=').ok_or("SPLIT=ROWS, such as test=300")?;
    let split = Split::ALL.into_iter().find(|split| split.word() == word);
    let split = split.ok_or("the split is train, valid or test")?;
    Ok((split, rows.parse().map_err(|_| format!("{rows:?} is not a number of rows"))?))
}

impl StartArgs {
    fn into_start(self, context: &Context) -> Result<StartRun> {
        warn_of_secrets("description", &self.description, context);
        let mut parameters = BTreeMap::new();
        for text in self.parameters {
            let Some((key, value)) = text.split_once('=').filter(|(key, _)| !key.is_empty()) else {
                let message = format!("--param {text:?} is not KEY=VALUE");
                return Err(Error::new(ErrorKind::Usage, message));
            };
            parameters.insert(key.to_owned(), Parameter::parse(value));
        }
        let here = |path: PathBuf| context.cwd.join(path);
        Ok(StartRun {
            name: self.name,
            description: self.description,
            tags: self.tags,
            category: self.category,
            config: self.config.map(here),
            parameters,
            seed: self.seed,
            data: self.data.into_iter().map(here).collect(),
            synthetic: self.synthetic,
            labels: self.labels,
            rows: self.rows,
            leaked_rows: self.leaked_rows,
            device: self.device,
            trainer: self.trainer,
        })
    }
}

impl Verb {
    fn dry_run(&self) -> bool {
        match self {
            Self::Start(StartArgs { mode, .. })
            | Self::Exec { start: StartArgs { mode, .. }, .. }
            | Self::Log { mode, .. }
            | Self::Save { mode, .. }
            | Self::Finish { mode, .. }
            | Self::Fail { mode, .. }
            | Self::Share { mode, .. } => mode.dry_run,
        }
    }
}

pub(super) fn run(args: Args, context: &mut Context) -> Result<()> {
    let dry_run = args.verb.dry_run();
    let workspace = context.changing(dry_run)?;
    if dry_run && let Verb::Start(start) | Verb::Exec { start, .. } = args.verb {
        return print_plan(&runs::plan_start(&workspace, &start.into_start(context)?)?, context);
    }
    let ends = matches!(args.verb, Verb::Finish { .. } | Verb::Fail { .. } | Verb::Exec { .. });
    let done = run_verb(&workspace, args.verb, context);
    if ends && !dry_run && super::cleanup::is_one_more(&done) {
        super::cleanup::housekeep(&workspace, false, context);
    }
    done
}

fn run_verb(workspace: &Workspace, verb: Verb, context: &mut Context) -> Result<()> {
    match verb {
        Verb::Start(start) => {
            let started = runs::start_run(workspace, &start.into_start(context)?)?;
            context.ui.data(&started, |ui| ui.line(&started.experiment_id))
        }
        Verb::Log { run, metrics, step, epoch, .. } => {
            let run = find(workspace, &run)?;
            let values = runs::parse_metrics(&metrics)?;
            let points = MetricPoints { values, step, epoch, source: source() };
            let step = runs::log_metrics(workspace, run, &points)?;
            context.ui.data(&MetricsLogged { step }, |_| Ok(()))
        }
        Verb::Save { run, file, what, .. } => {
            let stored =
                runs::save_file(workspace, find(workspace, &run)?, &context.cwd.join(file), &what)?;
            context.ui.data(&stored, |ui| {
                let path = stored.path.as_deref().unwrap_or_default();
                let [blake3, sha256] = digest_cells(stored.digest, stored.sha256);
                let digests = format!("blake3 {blake3}  sha256 {sha256}");
                ui.line(&format!("{what}  {path}  {}  {digests}", size(stored.bytes)))
            })
        }
        Verb::Finish { run, metrics, confusion, epochs, parameters, .. } => {
            let confusions = confusion.iter().map(|file| read_json(&context.cwd.join(file)));
            let confusions = confusions.collect::<Result<Vec<_>>>()?;
            let run = find(workspace, &run)?;
            let values = runs::parse_metrics(&metrics)?;
            let evaluations =
                confusions.iter().map(runs::parse_confusion).collect::<Result<Vec<_>>>()?;
            let source = source();
            let finish = RunResult { values, evaluations, epochs, parameters, source };
            print(&runs::finish_run(workspace, run, &finish)?, context)
        }
        Verb::Fail { run, reason, exit_code, .. } => {
            print(&runs::fail_run(workspace, find(workspace, &run)?, &reason, exit_code)?, context)
        }
        Verb::Share { run, person, stop, mode } => {
            let edit = RunEdit::Share { person, allowed: !stop };
            edit_found(workspace, "run share", find(workspace, &run)?, edit, mode, context)
        }
        Verb::Exec { start, save, command } => exec(workspace, start, &save, command, context),
    }
}

fn exec(
    workspace: &Workspace,
    start: StartArgs,
    save: &[String],
    command: Vec<OsString>,
    context: &mut Context,
) -> Result<()> {
    let save = save.iter().map(|text| match text.split_once('=') {
        Some((what, file)) => Ok((what.to_owned(), PathBuf::from(file))),
        None => Err(Error::new(ErrorKind::Usage, format!("--save {text:?} is not WHAT=FILE"))),
    });
    let save = save.collect::<Result<_>>()?;
    let mut start = start.into_start(context)?;
    if start.trainer.is_none() {
        start.trainer = command.first().map(|program| program.to_string_lossy().into_owned());
    }
    let request = ExecRequest { start, command, guard: context.program("annals"), save };
    let stop = stop_signals()?;
    // The command's words go where they would have gone; annals' own answer comes after them.
    let json = context.ui.json();
    let mut echo = |printed: &Printed| {
        // Whoever reads has had enough: the record goes on. A progress bar has no end of line.
        let _ = match printed.error || json {
            true => std::io::stderr().write_all(&printed.bytes),
            false => {
                let mut out = std::io::stdout();
                out.write_all(&printed.bytes).and_then(|()| out.flush())
            }
        };
    };
    let executed =
        runs::exec(workspace, &request, &stop, &mut echo, &mut |note| context.ui.warn(note))?;
    if let Some(run) = workspace.snapshot()?.run(executed.run)? {
        warn_of_absent_labels(&run.evaluations, context);
    }
    let text = format!("{} is {}", executed.experiment_id, executed.status.word());
    if json {
        context.ui.data(&executed, |_| Ok(()))
    } else {
        context.ui.note(&text);
        Ok(())
    }
}

/// Warns where a reported confusion matrix has no row of a label.
fn warn_of_absent_labels(evaluations: &[Evaluation], context: &mut Context) {
    for warning in evaluations.iter().filter_map(Evaluation::absent_labels) {
        context.ui.warn(&warning);
    }
}

/// A person types at a terminal; a script is called without one.
fn source() -> ReportedBy {
    if std::io::stdin().is_terminal() { ReportedBy::Person } else { ReportedBy::CommandLine }
}

fn find(workspace: &Workspace, text: &str) -> Result<RunId> {
    workspace.find_run(&workspace.snapshot()?, text)
}

fn read_json(path: &std::path::Path) -> Result<serde_json::Value> {
    let bytes =
        std::fs::read(path).map_err(|e| Error::io(format!("read {}", path.display()), e))?;
    serde_json::from_slice(&bytes)
        .map_err(|e| Error::new(ErrorKind::Data, format!("{}: {e}", path.display())))
}

fn print(run: &RunState, context: &mut Context) -> Result<()> {
    warn_of_absent_labels(&run.evaluations, context);
    context.ui.data(&RunEnded::from(run), |ui| {
        ui.line(&format!("{} is {}", run.experiment_id, run.status.word()))?;
        if run.metrics.is_empty() {
            return Ok(());
        }
        let mut table = Table::new(&["split", "metric", "value"]);
        for metric in &run.metrics {
            let split = metric.key.split.map_or("", Split::word);
            table.row([split, &metric.key.name, &share(Some(metric.value))]);
        }
        ui.table(&table)
    })
}
