//! The list of runs: which are shown, in which order, and what is shown of each.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::analysis::column::{Cell, cell};
use crate::app::runs::analysis::check_columns;
use crate::app::{Progress, Result, SilentRun, Workspace, runs};
use crate::base::{RunId, Split, Timestamp};
use crate::domain::run::{Archive, Category, RunStatus};
use crate::projection::Snapshot;
use crate::projection::runs::{RunDetails, RunLine};

/// The values of a run or of a row of an answer, by column.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct DataRow(pub serde_json::Map<String, serde_json::Value>);

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunLocation {
    /// Among the active runs.
    Active,
    /// Among the active runs, and a model in production was made from it.
    Production,
    /// In the archive of debug runs.
    ArchiveDebug,
    /// In the archive of baselines.
    ArchiveBaseline,
    /// In the archive of everything else.
    Archived,
    /// Nowhere: its files were deleted.
    Deleted,
}

impl RunLocation {
    /// Every location.
    pub const ALL: [Self; 6] = [
        Self::Active,
        Self::Production,
        Self::ArchiveDebug,
        Self::ArchiveBaseline,
        Self::Archived,
        Self::Deleted,
    ];

    /// The word used in files and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Production => "production",
            Self::ArchiveDebug => Archive::Debug.word(),
            Self::ArchiveBaseline => Archive::Baseline.word(),
            Self::Archived => Archive::Archived.word(),
            Self::Deleted => "deleted",
        }
    }

    /// A model in production is a copy: its run stays where it was.
    fn of(run: &RunLine<'_>, in_production: &BTreeSet<RunId>) -> Self {
        match run.archive {
            Some(Archive::Debug) => Self::ArchiveDebug,
            Some(Archive::Baseline) => Self::ArchiveBaseline,
            Some(Archive::Archived) => Self::Archived,
            None if run.deleted => Self::Deleted,
            None if in_production.contains(&run.run) => Self::Production,
            None => Self::Active,
        }
    }
}

/// One run of the list.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RunRow<'a> {
    /// The run.
    pub run_id: RunId,
    /// Its unique name.
    pub experiment_id: &'a str,
    /// The name of the experiment.
    pub experiment_name: &'a str,
    /// Debug or baseline.
    pub category: Category,
    /// Whether retention rules leave it alone.
    pub pinned: bool,
    /// How far it got.
    pub status: RunStatus,
    /// How far a running training is.
    pub progress: Option<Progress>,
    /// Where it is.
    pub place: RunLocation,
    /// Accuracy.
    pub accuracy: Option<f64>,
    /// Macro F1.
    pub f1_macro: Option<f64>,
    /// The split of these scores; null where the run names none.
    pub split: Option<Split>,
    /// Whether the data was generated; null where that was not stated.
    pub synthetic_data: Option<bool>,
    /// Seconds from start to end; null while it runs.
    pub seconds: Option<f64>,
    /// When it started.
    pub started: Timestamp,
}

/// Which runs are listed, in which order.
#[derive(Clone, Debug, Default)]
pub struct RunQuery {
    /// At most this many.
    pub limit: Option<usize>,
    /// Only runs at this location.
    pub location: Option<RunLocation>,
    /// Only runs in this state.
    pub status: Option<RunStatus>,
    /// Only runs of this category.
    pub category: Option<Category>,
    /// Only runs with all of these tags.
    pub tags: Vec<String>,
    /// Only runs that meet this condition.
    pub condition: Option<String>,
    /// Order by this column, largest first.
    pub sort: Option<String>,
    /// With `sort`: smallest first.
    pub ascending: bool,
    /// These columns instead of the usual facts.
    pub columns: Vec<String>,
}

/// The runs that a query selects.
#[derive(Debug, Default)]
pub struct RunListed<'a> {
    /// The usual facts of each run; empty where columns were chosen.
    pub rows: Vec<RunRow<'a>>,
    /// The chosen columns of each run.
    pub columns: Vec<Vec<Cell>>,
    /// Reported runs that have been silent for a day.
    pub silent: Vec<SilentRun>,
    /// Runs in the workspace.
    pub runs: usize,
    /// Letters that tell the ids of all runs apart.
    pub id_letters: usize,
}

impl RunListed<'_> {
    /// The chosen columns as programs read them.
    pub fn data_rows(&self, names: &[String]) -> Vec<DataRow> {
        self.columns.iter().map(|cells| data_row(names, cells)).collect()
    }
}

/// The values of one run by column.
pub fn data_row<N: AsRef<str>>(names: &[N], cells: &[Cell]) -> DataRow {
    let pairs = names.iter().zip(cells);
    DataRow(pairs.map(|(name, cell)| (name.as_ref().to_owned(), cell.json())).collect())
}

/// Letters of an id that a list shows, at least.
const ID_LETTERS_MIN: usize = 4;
/// Each letter of an id is half a byte.
const BITS_PER_LETTER: usize = 4;

impl RunQuery {
    /// Whether rows are chosen or ordered by more than a row of the list holds.
    fn needs_details(&self) -> bool {
        !self.tags.is_empty()
            || self.condition.is_some()
            || self.sort.is_some()
            || !self.columns.is_empty()
    }

    /// Whether every run is shown, the newest first, as far as the limit allows.
    fn takes_all(&self) -> bool {
        !self.needs_details()
            && self.location.is_none()
            && self.status.is_none()
            && self.category.is_none()
    }

    /// The runs that meet tags and condition, in the order to show them.
    fn chosen(&self, workspace: &Workspace, views: &Snapshot) -> Result<Vec<RunDetails>> {
        // A condition that holds for all: without one, only finished runs would be selected.
        let condition = self.condition.as_deref().unwrap_or("experiment_id != \"\"");
        let mut runs = runs::select_runs(workspace, views, &[], Some(condition))?;
        runs.retain(|run| self.tags.iter().all(|tag| run.tags.contains(tag)));
        runs.reverse();
        let columns = self.columns.iter().chain(&self.sort).map(String::as_str);
        check_columns(&runs, columns)?;
        if let Some(column) = &self.sort {
            sort_runs(&mut runs, column, self.ascending);
        }
        Ok(runs)
    }
}

/// Orders runs by a column, largest first unless `ascending`; a missing value is last either way.
pub fn sort_runs(runs: &mut [RunDetails], column: &str, ascending: bool) {
    runs.sort_by(|a, b| {
        let order = match (cell(a, column), cell(b, column)) {
            (Cell::Number(a), Cell::Number(b)) => b.total_cmp(&a),
            (Cell::Text(a), Cell::Text(b)) => b.cmp(&a),
            (Cell::Missing, Cell::Missing) => return std::cmp::Ordering::Equal,
            (Cell::Missing, _) => return std::cmp::Ordering::Greater,
            (_, Cell::Missing) => return std::cmp::Ordering::Less,
            (Cell::Number(_), Cell::Text(_)) => std::cmp::Ordering::Less,
            (Cell::Text(_), Cell::Number(_)) => std::cmp::Ordering::Greater,
        };
        if ascending { order.reverse() } else { order }
    });
}

/// Hands the runs that a query selects to `show`: rows borrow from the views, because copies
/// of ten thousand of them would take most of the time of a list.
///
/// # Errors
/// What `show` returns; [`ErrorKind::Usage`](crate::app::ErrorKind::Usage) for a condition or
/// column that cannot be read.
pub fn list_runs<T>(
    workspace: &Workspace,
    query: &RunQuery,
    show: impl FnOnce(&RunListed<'_>) -> Result<T>,
) -> Result<T> {
    let views = workspace.snapshot()?;
    let runs = match query.limit {
        Some(limit) if query.takes_all() => views.newest_runs(limit)?,
        _ => views.runs()?,
    };
    let mut listed = RunListed {
        runs: runs.len(),
        id_letters: letters_to_tell_apart(runs.ids().collect()),
        ..RunListed::default()
    };
    let mut selection = Selection {
        workspace,
        views: &views,
        query,
        production: views.production()?.into_iter().map(|m| RunId(m.run)).collect(),
        reported: Vec::new(),
        shown: 0,
    };
    if query.needs_details() {
        let lines: BTreeMap<RunId, RunLine<'_>> =
            runs.iter().map(|run| run.map(|run| (run.run, run))).collect::<Result<_, _>>()?;
        for details in query.chosen(workspace, &views)? {
            if let Some(line) = lines.get(&details.run())
                && !selection.add(line, Some(&details), &mut listed)?
            {
                break;
            }
        }
    } else {
        listed.rows.reserve(query.limit.map_or(runs.len(), |limit| limit.min(runs.len())));
        for run in runs.iter() {
            if !selection.add(&run?, None, &mut listed)? {
                break;
            }
        }
    }
    listed.silent = runs::silent_runs(workspace, selection.reported)?;
    show(&listed)
}

struct Selection<'q> {
    workspace: &'q Workspace,
    views: &'q Snapshot,
    query: &'q RunQuery,
    production: BTreeSet<RunId>,
    reported: Vec<(RunId, String)>,
    shown: usize,
}

impl Selection<'_> {
    /// Adds a run, unless a filter leaves it out. False once the list is full.
    fn add<'a>(
        &mut self,
        run: &RunLine<'a>,
        details: Option<&RunDetails>,
        listed: &mut RunListed<'a>,
    ) -> Result<bool> {
        let query = self.query;
        let place = RunLocation::of(run, &self.production);
        if query.location.is_some_and(|wanted| wanted != place)
            || query.category.is_some_and(|wanted| wanted != run.category)
        {
            return Ok(true);
        }
        if query.limit.is_some_and(|limit| self.shown >= limit) {
            return Ok(false);
        }
        let status = self.workspace.status_of(run)?;
        if query.status.is_some_and(|wanted| wanted != status) {
            return Ok(true);
        }
        self.shown += 1;
        if runs::is_reported(run) {
            self.reported.push((run.run, run.experiment_id.to_owned()));
        }
        if let Some(details) = details.filter(|_| !query.columns.is_empty()) {
            let cells = query.columns.iter().map(|column| cell(details, column));
            listed.columns.push(cells.collect());
            return Ok(true);
        }
        let progress = match status {
            RunStatus::Running => self.workspace.progress_of(self.views, run.run)?,
            _ => None,
        };
        listed.rows.push(RunRow {
            run_id: run.run,
            experiment_id: run.experiment_id,
            experiment_name: run.name,
            category: run.category,
            pinned: run.pinned,
            status,
            progress,
            place,
            accuracy: run.accuracy,
            f1_macro: run.f1_macro,
            split: (!run.unsplit).then_some(Split::Test),
            synthetic_data: (run.synthetic || run.origin_stated).then_some(run.synthetic),
            seconds: run.seconds,
            started: run.started,
        });
        Ok(true)
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
