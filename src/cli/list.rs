//! `annals list`.

use std::borrow::Cow;

use clap::ValueEnum;

use super::context::Context;
use super::read_args::ReadScope;
use super::train::CategoryArg;
use super::ui::{Table, Ui, duration, share};
use crate::app::{Cell, Result, RunListed, RunLocation, RunQuery, RunRow, Workspace, runs};
use crate::domain::run::{NOT_STATED, RunStatus};

const HEADING: &[&str] = &[
    "id",
    "experiment",
    "category",
    "status",
    "location",
    "accuracy",
    "macro F1",
    "data",
    "time",
    "started",
];
/// List the runs, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals list --status finished --sort f1_macro -n 10
  annals list --tag ward-3 --where 'f1_macro > 0.8 and n_layer = 6'
  annals list --columns experiment_name,f1_macro,learning_rate --format csv")]
pub(super) struct Args {
    /// Show at most this many
    #[arg(long, short = 'n')]
    limit: Option<usize>,
    /// Show only runs in this location
    #[arg(long = "location", alias = "place", value_enum)]
    place: Option<PlaceArg>,
    /// Show only runs in this state
    #[arg(long, value_enum)]
    status: Option<StatusArg>,
    /// Show only runs of this category
    #[arg(long, value_enum)]
    category: Option<CategoryArg>,
    /// Show only runs with this tag; may be repeated, and a run needs all of them
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// Show only runs that meet this condition (see `annals compare --help`)
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<String>,
    /// Order by this column, largest first
    #[arg(long, value_name = "COLUMN")]
    sort: Option<String>,
    /// With --sort: smallest first
    #[arg(long, requires = "sort")]
    ascending: bool,
    /// Show these columns: facts, parameters, scores (`valid.loss`), as in `annals compare`
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    columns: Vec<String>,
    #[command(flatten)]
    scope: ReadScope,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PlaceArg {
    #[value(name = "active")]
    Active,
    #[value(name = "production")]
    Production,
    #[value(name = "archive_debug")]
    Debug,
    #[value(name = "archive_baseline")]
    Baseline,
    #[value(name = "archived")]
    Archived,
    #[value(name = "deleted")]
    Deleted,
}

impl From<PlaceArg> for RunLocation {
    fn from(place: PlaceArg) -> Self {
        match place {
            PlaceArg::Active => Self::Active,
            PlaceArg::Production => Self::Production,
            PlaceArg::Debug => Self::ArchiveDebug,
            PlaceArg::Baseline => Self::ArchiveBaseline,
            PlaceArg::Archived => Self::Archived,
            PlaceArg::Deleted => Self::Deleted,
        }
    }
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    args.scope.read(context, |workspace, context| print(args, workspace, context))
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum StatusArg {
    Running,
    Finished,
    Failed,
    Interrupted,
    Unknown,
}

impl StatusArg {
    fn status(self) -> RunStatus {
        match self {
            Self::Running => RunStatus::Running,
            Self::Finished => RunStatus::Finished,
            Self::Failed => RunStatus::Failed,
            Self::Interrupted => RunStatus::Interrupted,
            Self::Unknown => RunStatus::Unknown,
        }
    }
}

fn print(args: &Args, workspace: &Workspace, context: &mut Context) -> Result<()> {
    let query = RunQuery {
        limit: args.limit,
        location: args.place.map(Into::into),
        status: args.status.map(StatusArg::status),
        category: args.category.map(Into::into),
        tags: args.tag.clone(),
        condition: args.condition.clone(),
        sort: args.sort.clone(),
        ascending: args.ascending,
        columns: args.columns.clone(),
    };
    runs::list_runs(workspace, &query, |listed| {
        if query.columns.is_empty() {
            return context.ui.data(&listed.rows, |ui| {
                let mut table = Table::new(HEADING);
                table.reserve(listed.rows.len());
                listed.rows.iter().for_each(|run| table.row(cells(run, listed.id_letters)));
                ui.table(&table)?;
                remarks(ui, listed, args.scope.is_past());
                if !listed.rows.is_empty() {
                    ui.dim("Scores are of the test split.");
                    if listed.rows.iter().any(is_marked) {
                        ui.dim("* The run names no split for these scores.");
                    }
                }
                Ok(())
            });
        }
        context.ui.data(&listed.data_rows(&query.columns), |ui| {
            let heading: Vec<&str> = query.columns.iter().map(String::as_str).collect();
            let mut table = Table::new(&heading);
            for row in &listed.columns {
                table.row(row.iter().map(Cell::shown));
            }
            ui.table(&table)?;
            remarks(ui, listed, args.scope.is_past());
            Ok(())
        })
    })
}

/// What there is to note about the list as a whole.
fn remarks(ui: &mut Ui, listed: &RunListed<'_>, past: bool) {
    for silent in &listed.silent {
        let (what, advice) = silent.advice();
        ui.warn(&format!("{what}; {advice}"));
    }
    if listed.runs == 0 && past {
        ui.note("No run had begun then.");
    } else if listed.runs == 0 {
        ui.note("No runs yet. `annals train --config baseline_small` trains one.");
    } else if listed.rows.is_empty() && listed.columns.is_empty() {
        ui.note("No run meets these conditions.");
    }
}

/// Whether the run has scores of an unknown split.
fn is_marked(run: &RunRow<'_>) -> bool {
    run.split.is_none() && (run.accuracy.is_some() || run.f1_macro.is_some())
}

fn cells<'a>(run: &RunRow<'a>, id_letters: usize) -> [Cow<'a, str>; 10] {
    let data = match run.synthetic_data {
        Some(true) => "generated",
        Some(false) => "real",
        None => NOT_STATED,
    };
    let score = |value: Option<f64>| match value {
        Some(_) if run.split.is_none() => Cow::from(format!("{} *", share(value))),
        _ => share(value),
    };
    let place = run.place.word();
    [
        run.run_id.short(id_letters).into(),
        run.experiment_id.into(),
        run.category.word().into(),
        match run.progress {
            Some(progress) => format!("running {} %", progress.percent()).into(),
            None => run.status.word().into(),
        },
        if run.pinned { format!("{place}, pinned").into() } else { place.into() },
        score(run.accuracy),
        score(run.f1_macro),
        data.into(),
        run.seconds.map_or("-".into(), |seconds| duration(seconds).into()),
        run.started.human().into(),
    ]
}
