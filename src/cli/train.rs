//! `annals train`, and the hidden child that trains models in plain Rust.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};

use super::context::Context;
use super::data_args::DataArgs;
use super::promote::tell_edits;
use super::show::{class_table, with_interval};
use super::ui::{duration, share};
use crate::app::{
    ConfigSource, DataSource, Error, ErrorKind, Programs, Regenerated, Result, Screen, TrainEvent,
    TrainRequest, Trained,
};
use crate::base::Split;
use crate::domain::run::Category;

/// Rows of generated data when nothing is asked for.
const SAMPLE_ROWS: u32 = 2_000;
/// What the loss of a head counts beside that of the labels.
const HEAD_WEIGHT: &str = "0.5";

/// Train a model and record every step of it
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A named configuration, or a YAML file merged over the base
    #[arg(long, alias = "experiment-config", default_value = "baseline_small")]
    config: String,
    /// Go on with a run that was interrupted or failed, from its newest training checkpoint
    #[arg(long, value_name = "RUN")]
    #[arg(conflicts_with_all = ["config", "name", "set", "seed", "threads", "data", "dedupe"])]
    #[arg(conflicts_with_all = ["tags", "description", "category", "device"])]
    resume: Option<String>,
    /// The experiment's name; the configuration's by default
    #[arg(long, alias = "experiment-name")]
    name: Option<String>,
    /// What the run is for
    #[arg(long)]
    description: Option<String>,
    /// Words for finding it; debug words make it a debug run
    #[arg(long, num_args = 1.., value_delimiter = ',')]
    tags: Vec<String>,
    #[command(flatten)]
    data: DataArgs,
    /// Train on generated notes (the default without --data)
    #[arg(long, conflicts_with = "data")]
    create_sample_data: bool,
    /// How many notes to generate
    #[arg(long, default_value_t = SAMPLE_ROWS, conflicts_with = "data")]
    sample_size: u32,
    /// One setting over the configuration, such as training.num_epochs=3
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Columns to learn beside the labels, each with what its loss counts (0.5 by default)
    #[arg(long, value_name = "COLUMN[=WEIGHT]", value_delimiter = ',', conflicts_with = "resume")]
    heads: Vec<String>,
    /// Everything random follows from it
    #[arg(long)]
    seed: Option<u64>,
    /// Remove training rows whose text stands in valid or test
    #[arg(long)]
    dedupe: bool,
    /// What the run counts as, whatever its name and tags say
    #[arg(long, value_enum)]
    category: Option<CategoryArg>,
    /// Threads of one operation; part of what decides the numbers
    #[arg(long)]
    threads: Option<u32>,
    /// Where to train: cpu, cuda, cuda:1, mps
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Show the status first; alone, only show it
    #[arg(long)]
    experiment_summary: bool,
    /// Show afterwards, rule by rule, whether the run may go into production
    #[arg(long)]
    check_production_promotion: bool,
    /// Known from an older tool; refused, because nothing here archives
    #[arg(long, hide = true)]
    auto_archive_debug: bool,
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

pub(super) fn run(args: Args, context: &mut Context) -> Result<()> {
    if args.auto_archive_debug {
        let message = "--auto-archive-debug: this version does not archive runs";
        return Err(Error::new(ErrorKind::Usage, message)
            .hint("leave it out: debug runs are told apart and never become candidates"));
    }
    let app = context.app()?;
    if args.experiment_summary {
        super::status::print(&app, context)?;
        if args.name.is_none() && args.data.is_empty() && !args.create_sample_data {
            return Ok(());
        }
    }
    let check = args.check_production_promotion;
    let resume = args.resume.clone();
    let request = request(args, context)?;
    let stop = Arc::new(AtomicUsize::new(0));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        count(signal, &stop)?;
    }
    let trained = {
        let mut screen = Terminal::new(context);
        match &resume {
            Some(run) => app.resume(run, &request.programs, &stop, &mut screen)?,
            None => app.train(&request, &stop, &mut screen)?,
        }
    };
    summary(&trained, context)?;
    if check {
        super::candidates::print(&app, Some(&trained.run.experiment_id), context)?;
    }
    Ok(())
}

/// Counts a signal on a thread that waits for it.
fn count(signal: i32, stop: &Arc<AtomicUsize>) -> Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([signal])
        .map_err(|e| Error::io("listen for signals", e))?;
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        for _ in signals.forever() {
            stop.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    });
    Ok(())
}

fn request(args: Args, context: &Context) -> Result<TrainRequest> {
    let looks_like_file = args.config.contains('/')
        || [".yaml", ".yml"].iter().any(|ending| args.config.ends_with(ending));
    let config = if looks_like_file {
        ConfigSource::File(context.cwd.join(&args.config))
    } else {
        ConfigSource::Named(args.config)
    };
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
        Ok(serde_json::json!({"name": name, "column": column, "weight": weight}))
    };
    let heads: Vec<serde_json::Value> = given.iter().map(head).collect::<Result<_>>()?;
    Ok(serde_json::Value::from(heads).to_string())
}

/// A progress bar on a terminal, a line per epoch elsewhere.
struct Terminal<'a> {
    context: &'a mut Context,
    bar: Option<ProgressBar>,
}

impl<'a> Terminal<'a> {
    fn new(context: &'a mut Context) -> Self {
        let bar = context.ui.has_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {msg}  {eta} left");
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { context, bar }
    }

    fn say(&mut self, say: impl FnOnce(&mut Context)) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(self.context)),
            None => say(self.context),
        }
    }
}

impl Screen for Terminal<'_> {
    fn note(&mut self, line: &str) {
        self.say(|context| context.ui.note(line));
    }

    fn warn(&mut self, line: &str) {
        self.say(|context| context.ui.warn(line));
    }

    fn regenerated(&mut self, files: &Regenerated) {
        self.say(|context| tell_edits(files, context));
    }

    fn event(&mut self, event: &TrainEvent) {
        match event {
            TrainEvent::Started(started) => {
                if let Some(bar) = &self.bar {
                    bar.set_length(started.steps);
                }
                if started.parameters == 0 {
                    // A model that is fitted in one go has none before.
                    return;
                }
                let line = format!(
                    "{} parameters on {} with {} threads, {} epochs of {} steps",
                    started.parameters,
                    started.device,
                    started.threads,
                    started.epochs,
                    started.steps / started.epochs.max(1)
                );
                self.note(&line);
            }
            TrainEvent::Progress(progress) => {
                if let Some(bar) = &self.bar {
                    bar.set_position(progress.step);
                    bar.set_message(format!(
                        "epoch {}/{}  loss {:.4}  {:.0} rows/s",
                        progress.epoch, progress.epochs, progress.loss, progress.rows_per_s
                    ));
                }
            }
            TrainEvent::EpochEnded(ended) => {
                let line = format!(
                    "epoch {}/{}  loss {:.4}  valid {} {:.4}{}  {}",
                    ended.epoch,
                    ended.epochs,
                    ended.train_loss,
                    ended.metric,
                    ended.value,
                    if ended.best { " (best)" } else { "" },
                    duration(ended.seconds)
                );
                self.note(&line);
            }
            TrainEvent::Metrics(_)
            | TrainEvent::CheckpointSaved(_)
            | TrainEvent::CheckpointPruned { .. } => {}
        }
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn summary(trained: &Trained, context: &mut Context) -> Result<()> {
    let run = &trained.run;
    let mut value = serde_json::to_value(run).unwrap_or_default();
    value["run_id"] = serde_json::json!(run.run());
    value["tfidf_logreg_on_the_same_rows"] = serde_json::json!(trained.yardstick);
    context.ui.data(&value, |ui| {
        let metric = |name: &str| with_interval(run, name, Split::Test);
        ui.line(&format!(
            "{} finished in {}: test accuracy {}, macro F1 {}",
            run.experiment_id,
            run.duration_seconds.map_or_else(|| "-".into(), duration),
            metric("accuracy"),
            metric("f1_macro")
        ))?;
        if let Some(yardstick) = &trained.yardstick {
            ui.line(&format!(
                "TF-IDF + logistic regression on the same rows: accuracy {}, macro F1 {}",
                share(Some(yardstick.accuracy)),
                share(Some(yardstick.f1_macro))
            ))?;
        }
        let test = run.evaluations.iter().find(|evaluation| evaluation.split == Split::Test);
        if let Some(test) = test {
            ui.table(&class_table(&test.classes))?;
        }
        ui.line(&format!("folder {}", run.folder))?;
        if run.synthetic {
            ui.note("The data was generated: these numbers say nothing about a model in use.");
        }
        ui.note(&format!("Next: annals candidates {}", run.run().short(8)));
        Ok(())
    })
}
