//! `annals list`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use clap::ValueEnum;
use serde_json::json;

use super::compare::sort;
use super::context::Context;
use super::lens::Lens;
use super::train::CategoryArg;
use super::ui::{Table, duration, share};
use crate::analysis::column::cell;
use crate::app::{App, Progress, Result, RunDetails, RunLine, Snapshot, check_columns};
use crate::base::RunId;
use crate::domain::run::{Archive, Category, NOT_STATED, RunStatus};

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
/// Letters of an id that a list shows, at least.
const ID_LETTERS_MIN: usize = 4;
/// A letter of an id stands for half a byte.
const BITS_PER_LETTER: usize = 4;

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
    lens: Lens,
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

impl PlaceArg {
    fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Production => "production",
            Self::Debug => Archive::Debug.word(),
            Self::Baseline => Archive::Baseline.word(),
            Self::Archived => Archive::Archived.word(),
            Self::Deleted => "deleted",
        }
    }
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    args.lens.read(context, |app, context| print(args, app, context))
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

impl Args {
    /// Whether rows are chosen or ordered by more than a row of the list holds.
    fn needs_details(&self) -> bool {
        !self.tag.is_empty()
            || self.condition.is_some()
            || self.sort.is_some()
            || !self.columns.is_empty()
    }

    /// The runs that meet tags and condition, in the order to show them.
    fn chosen(&self, app: &App, views: &Snapshot) -> Result<Vec<RunDetails>> {
        // A condition that holds for all: without one, only finished runs would be selected.
        let condition = self.condition.as_deref().unwrap_or("experiment_id != \"\"");
        let mut runs = app.select_runs(views, &[], Some(condition))?;
        runs.retain(|run| self.tag.iter().all(|tag| run.tags.contains(tag)));
        runs.reverse();
        let columns = self.columns.iter().chain(&self.sort).map(String::as_str);
        check_columns(&runs, columns)?;
        if let Some(column) = &self.sort {
            sort(&mut runs, column, self.ascending);
        }
        Ok(runs)
    }
}

fn print(args: &Args, app: &App, context: &mut Context) -> Result<()> {
    let views = app.snapshot()?;
    let runs = views.runs()?;
    let letters = letters_to_tell_apart(runs.ids().collect());
    let production: BTreeSet<RunId> =
        views.production()?.into_iter().map(|m| RunId(m.run)).collect();
    let mut list = List::new(args, &views, letters);
    if args.needs_details() {
        let lines: BTreeMap<RunId, RunLine<'_>> =
            runs.iter().map(|run| run.map(|run| (run.run, run))).collect::<Result<_, _>>()?;
        for details in args.chosen(app, &views)? {
            if let Some(line) = lines.get(&details.run())
                && !list.add(app, line, &production, Some(&details), context)?
            {
                break;
            }
        }
    } else {
        for run in runs.iter() {
            if !list.add(app, &run?, &production, None, context)? {
                break;
            }
        }
    }
    let silent = app.silent_runs(list.reported)?;
    context.ui.data(&list.rows, |ui| {
        ui.table(&list.table)?;
        for silent in &silent {
            let (what, advice) = silent.advice();
            ui.warn(&format!("{what}; {advice}"));
        }
        if runs.is_empty() {
            ui.note("No runs yet. `annals train --config baseline_small` trains one.");
        } else if list.shown == 0 {
            ui.note("No run meets these conditions.");
        } else if args.columns.is_empty() {
            ui.dim("Scores are of the test split.");
            if list.unsplit {
                ui.dim("* The run names no split for these scores.");
            }
        }
        Ok(())
    })
}

/// What is printed, row by row.
struct List<'a> {
    args: &'a Args,
    views: &'a Snapshot,
    letters: usize,
    table: Table,
    rows: Vec<serde_json::Value>,
    reported: Vec<(RunId, String)>,
    shown: usize,
    /// Whether scores are shown whose split is not known.
    unsplit: bool,
}

impl<'a> List<'a> {
    fn new(args: &'a Args, views: &'a Snapshot, letters: usize) -> Self {
        let columns: Vec<&str> = args.columns.iter().map(String::as_str).collect();
        let heading = if columns.is_empty() { HEADING } else { &columns };
        let (table, rows, reported) = (Table::new(heading), Vec::new(), Vec::new());
        Self { args, views, letters, table, rows, reported, shown: 0, unsplit: false }
    }

    /// Adds a run, unless a filter leaves it out. False once the list is full.
    fn add(
        &mut self,
        app: &App,
        run: &RunLine<'_>,
        production: &BTreeSet<RunId>,
        details: Option<&RunDetails>,
        context: &Context,
    ) -> Result<bool> {
        let args = self.args;
        // A model in production is a copy: its run lies where it lay.
        let place = match run.archive {
            Some(archive) => archive.word(),
            None if run.deleted => "deleted",
            None if production.contains(&run.run) => "production",
            None => "active",
        };
        if args.place.is_some_and(|wanted| wanted.word() != place)
            || args.category.is_some_and(|wanted| Category::from(wanted) != run.category)
        {
            return Ok(true);
        }
        if args.limit.is_some_and(|limit| self.shown >= limit) {
            return Ok(false);
        }
        let status = app.status_of(run)?;
        if args.status.is_some_and(|wanted| wanted.status() != status) {
            return Ok(true);
        }
        self.shown += 1;
        if App::is_reported(run) {
            self.reported.push((run.run, run.experiment_id.to_owned()));
        }
        match details.filter(|_| !args.columns.is_empty()) {
            Some(details) => self.add_columns(details, context),
            None => {
                let progress = match status {
                    RunStatus::Running => app.progress_of(self.views, run.run)?,
                    _ => None,
                };
                self.add_line(run, place, (status, progress), context);
            }
        }
        Ok(true)
    }

    fn add_columns(&mut self, run: &RunDetails, context: &Context) {
        let cells = || self.args.columns.iter().map(|column| (column, cell(run, column)));
        if context.ui.json() {
            let row = cells().map(|(column, cell)| (column.clone(), cell.json())).collect();
            self.rows.push(row);
        } else {
            self.table.row(cells().map(|(_, cell)| cell.shown()).collect::<Vec<_>>());
        }
    }

    fn add_line(
        &mut self,
        run: &RunLine<'_>,
        place: &str,
        (status, progress): (RunStatus, Option<Progress>),
        context: &Context,
    ) {
        let data = match run.synthetic {
            true => "generated",
            false if run.origin_stated => "real",
            false => NOT_STATED,
        };
        self.unsplit |= run.unsplit && (run.accuracy.is_some() || run.f1_macro.is_some());
        let score = |value: Option<f64>| match value {
            Some(_) if run.unsplit => Cow::from(format!("{} *", share(value))),
            _ => share(value),
        };
        if context.ui.json() {
            self.rows.push(json!({
                "run_id": run.run,
                "experiment_id": run.experiment_id,
                "experiment_name": run.name,
                "category": run.category.word(),
                "pinned": run.pinned,
                "status": status.word(),
                "progress": progress,
                "place": place,
                "accuracy": run.accuracy,
                "f1_macro": run.f1_macro,
                "split": (!run.unsplit).then_some("test"),
                "synthetic_data": (run.synthetic || run.origin_stated).then_some(run.synthetic),
                "seconds": run.seconds,
                "started": run.started,
            }));
        } else {
            self.table.row([
                Cow::Owned(run.run.short(self.letters)),
                run.experiment_id.into(),
                run.category.word().into(),
                match progress {
                    Some(progress) => format!("running {} %", progress.percent()).into(),
                    None => status.word().into(),
                },
                if run.pinned { format!("{place}, pinned").into() } else { place.into() },
                score(run.accuracy),
                score(run.f1_macro),
                data.into(),
                run.seconds.map_or("-".into(), |seconds| duration(seconds).into()),
                run.started.human().into(),
            ]);
        }
    }
}

/// The letters that tell any two of the ids apart.
fn letters_to_tell_apart(mut ids: Vec<RunId>) -> usize {
    ids.sort_unstable();
    let common = |a: &RunId, b: &RunId| {
        let (a, b) = (u128::from_be_bytes(a.0), u128::from_be_bytes(b.0));
        (a ^ b).leading_zeros() as usize / BITS_PER_LETTER
    };
    let longest = ids.windows(2).map(|pair| common(&pair[0], &pair[1]) + 1).max();
    longest.unwrap_or(0).max(ID_LETTERS_MIN)
}
