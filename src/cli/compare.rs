//! `annals compare`.

use super::context::Context;
use super::export::csv_cells;
use super::format::Format;
use super::out::{self, OutPath};
use super::read_args::ReadScope;
use super::ui::{Table, Ui};
use crate::app::{
    Cell, Comparison, DataRow, McNemar, ParameterRow, Result, Row, RowFormat, RowTable, Score,
    Value, Workspace, cell, check_columns, compare, runs, sort_runs,
};
use crate::base::counted;

/// Runs that fit side by side; more become a line each.
const BESIDE_MAX: usize = 5;
/// Columns where none are asked for.
const COLUMNS: &[&str] = &[
    "experiment_id",
    "config",
    "accuracy",
    "f1_macro",
    "loss",
    "parameters_millions",
    "duration_minutes",
];
/// Formats of the file.
const FORMATS: &[RowFormat] =
    &[RowFormat::Csv, RowFormat::Markdown, RowFormat::Json, RowFormat::Parquet];
/// A difference that chance alone makes less often than this is called one.
const SIGNIFICANT: f64 = 0.05;

/// Compare runs: parameters that differ, scores with intervals, classes, a test of two
///
/// Without names, all finished runs. Up to five are shown side by side; with --columns, or when
/// there are more, each has a line. Two runs measured on the same test rows are tested (McNemar,
/// paired bootstrap).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals compare small large
  annals compare --where 'final_accuracy > 0.85 and config = \"baseline_small\"'
  annals compare --columns experiment_name,f1_macro,n_embd --sort f1_macro --format csv")]
pub(super) struct Args {
    /// Runs, by id, prefix or name
    runs: Vec<String>,
    /// Only runs that meet this: COLUMN = != < <= > >= ~ VALUE, joined by and, or, not, ( )
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<String>,
    /// One line per run with these columns: facts, parameters, scores (`valid.loss`)
    #[arg(long, value_delimiter = ',')]
    columns: Vec<String>,
    /// Order by this column, largest first
    #[arg(long, value_name = "COLUMN")]
    sort: Option<String>,
    /// With --sort: smallest first
    #[arg(long, requires = "sort")]
    ascending: bool,
    /// Write the table to this file: .csv, .md, .json or .parquet
    #[arg(long, value_name = "FILE")]
    out: Option<OutPath>,
    /// Escape texts in CSV that a spreadsheet would run as a formula, with a leading '
    #[arg(long)]
    spreadsheet: bool,
    #[command(flatten)]
    scope: ReadScope,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    args.scope.read(context, |workspace, context| print(args, workspace, context))
}

fn print(args: &Args, workspace: &Workspace, context: &mut Context) -> Result<()> {
    let mut runs = runs::select_runs(
        workspace,
        &workspace.snapshot()?,
        &args.runs,
        args.condition.as_deref(),
    )?;
    if let Some(column) = &args.sort {
        check_columns(&runs, [column.as_str()])?;
        sort_runs(&mut runs, column, args.ascending);
    }
    if runs.is_empty() {
        let message = match &args.condition {
            Some(condition) => format!("No run meets the condition {condition:?}."),
            None => "No run has finished yet; name runs to compare others.".to_owned(),
        };
        context.ui.note(&message);
        let format = context.ui.format();
        if args.out.is_none() && (format == Format::Human || format.is_json()) {
            return context.ui.data(&compare(&[]), |_| Ok(()));
        }
    }
    let table = matches!(context.ui.format(), Format::Csv | Format::Markdown | Format::Parquet);
    if args.columns.is_empty() && args.out.is_none() && !table && runs.len() <= BESIDE_MAX {
        let lost: Vec<String> = runs
            .iter()
            .filter_map(|run| runs::predictions_lost(workspace, run).transpose())
            .collect::<Result<_>>()?;
        let mut found = compare(&runs::compared(workspace, runs)?);
        found.cautions.extend(lost.into_iter().map(|lost| sentence(&lost)));
        return context.ui.data(&found, |ui| beside(ui, &found));
    }
    let columns: Vec<&str> = match args.columns.as_slice() {
        [] => COLUMNS.to_vec(),
        columns => columns.iter().map(String::as_str).collect(),
    };
    check_columns(&runs, columns.iter().copied().filter(|column| !COLUMNS.contains(column)))?;
    let names: Vec<String> = columns.iter().map(|&column| column.to_owned()).collect();
    let row = |run| columns.iter().map(|column| value_of(cell(run, column))).collect();
    let rows: Vec<Row> = runs.iter().map(row).collect();
    let cells = csv_cells(args.spreadsheet);
    let answer = RowTable { name: "runs", columns: &names, kinds: &[], rows: &rows, cells };
    if let Some(path) = &args.out {
        let path = path.place(context)?;
        out::write(&path, &answer.bytes(RowFormat::of(&path, FORMATS)?)?)?;
        return context.ui.wrote(path, |path| {
            format!("Wrote {} to {}", counted(runs.len(), "run"), path.display())
        });
    }
    if table {
        return context.ui.records(&answer);
    }
    let value: Vec<DataRow> = answer.objects().collect();
    context.ui.data(&value, |ui| {
        let mut table = Table::new(&columns);
        for run in &runs {
            table.row(columns.iter().map(|column| cell(run, column).shown()));
        }
        ui.table(&table)
    })
}

/// A reason as a sentence of its own.
fn sentence(reason: &str) -> String {
    let mut letters = reason.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

fn value_of(cell: Cell) -> Value {
    match cell {
        Cell::Text(text) => text.into(),
        Cell::Number(value) => value.into(),
        Cell::Missing => Value::Null,
    }
}

fn beside(ui: &mut Ui, found: &Comparison) -> Result<()> {
    for caution in &found.cautions {
        ui.warn(caution);
    }
    let heading: Vec<&str> =
        [""].into_iter().chain(found.runs.iter().map(String::as_str)).collect();
    let rows = |cells: Vec<Vec<String>>, names: Vec<String>| -> Vec<Vec<String>> {
        names.into_iter().zip(cells).map(|(name, row)| [vec![name], row].concat()).collect()
    };
    if !found.parameters.is_empty() {
        let names = found.parameters.iter().map(|row| row.key.clone()).collect();
        let cells = found.parameters.iter().map(ParameterRow::shown).collect();
        ui.beside(&heading, &rows(cells, names))?;
    }
    if found.runs.len() > 1 && found.same_parameters > 0 {
        let verb = if found.same_parameters == 1 { "is" } else { "are" };
        let same = counted(found.same_parameters, "parameter");
        ui.dim(&format!("{same} {verb} the same in all runs."));
    }
    if !found.scores.is_empty() {
        ui.line("")?;
        let cells = found.scores.iter().map(|row| {
            let cell = |(index, value): (usize, &Option<Score>)| {
                let best = if row.best == Some(index) { " *" } else { "" };
                value.as_ref().map_or("-".into(), |score| score.shown() + best)
            };
            row.values.iter().enumerate().map(cell).collect()
        });
        let names = found.scores.iter().map(|row| row.metric.clone()).collect();
        ui.beside(&heading, &rows(cells.collect(), names))?;
        let values = || found.scores.iter().flat_map(|row| row.values.iter().flatten());
        let intervals = match values().any(|score| score.low.is_some()) {
            true => ", with 95 % intervals where they were measured",
            false => "",
        };
        let starred = found.scores.iter().any(|row| row.best.is_some());
        let star = if starred { "; * marks the best value" } else { "" };
        ui.dim(&format!("Scores are of the test split{intervals}{star}."));
    }
    if !found.classes.is_empty() {
        ui.line("")?;
        classes(ui, found)?;
    }
    tested(ui, found)
}

/// One line for each class and run: five runs beside each other would not fit any screen.
fn classes(ui: &mut Ui, found: &Comparison) -> Result<()> {
    let mut table = Table::new(&["label", "run", "F1", "recall", "precision", "rows"]);
    for row in &found.classes {
        for (index, (run, value)) in found.runs.iter().zip(&row.values).enumerate() {
            let label = if index == 0 { row.label.as_str() } else { "" };
            let cells = match value {
                Some(class) => {
                    let [f1, recall, precision] =
                        [class.f1, class.recall, class.precision].map(|v| format!("{v:.4}"));
                    [f1, recall, precision, class.rows.to_string()]
                }
                None => ["-"; 4].map(str::to_owned),
            };
            let [f1, recall, precision, rows] = &cells;
            table.row([label, run, f1, recall, precision, rows]);
        }
    }
    ui.table(&table)
}

fn tested(ui: &mut Ui, found: &Comparison) -> Result<()> {
    let Some(paired) = &found.paired else { return Ok(()) };
    let (first, second) = (&found.runs[0], &found.runs[1]);
    ui.line("")?;
    ui.line(&format!("On the same {}:", counted(paired.rows, "test row")))?;
    let McNemar { only_first, only_second, p } = paired.mcnemar.clone();
    let verdict = if p < SIGNIFICANT { "more than chance" } else { "may be chance" };
    ui.line(&format!(
        "  only {first} is right on {only_first}, only {second} on {only_second}: {verdict} \
         (McNemar's exact p = {p:.3e})"
    ))?;
    for difference in &paired.differences {
        ui.line(&format!(
            "  {}: {second} is {:+.4} [{:+.4}, {:+.4}] against {first}",
            difference.metric, difference.value, difference.low, difference.high
        ))?;
    }
    Ok(())
}
