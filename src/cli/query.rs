//! `annals query`.

use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;

use super::context::Context;
use super::export::csv_cells;
use super::format::Format;
use super::out::{self, OutPath};
use super::read_args::ReadScope;
use super::ui::Table;
use crate::app::{
    CsvCells, Error, ErrorKind, QueryAnswer, QueryLimits as Limits, Result, RowFormat, RowTable,
    SAVED_QUERIES, Value, records, tables_of_log,
};
use crate::base::counted;

/// Query the log with SQL (read-only); `--tables` lists the schema
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("asked").required(true))]
#[command(after_help = "\
Examples:
  annals query 'SELECT name, version FROM models'
  annals query --saved typed_metrics --format csv
  annals query 'SELECT * FROM runs' --out runs.parquet")]
pub(super) struct Args {
    /// The query, such as "SELECT kind, count(*) FROM events GROUP BY kind". Times are text like
    /// 2026-03-01T12:30:00.000000000Z; conditions on position, recorded, kind and run skip blocks
    #[arg(group = "asked")]
    sql: Option<String>,
    /// Run a saved query
    #[arg(long, value_name = "NAME", group = "asked")]
    saved: Option<String>,
    /// List the saved queries
    #[arg(long, group = "asked")]
    list: bool,
    /// Describe every table and column
    #[arg(long, group = "asked")]
    tables: bool,
    /// The old spelling of --format
    #[arg(long, hide = true)]
    output: Option<Output>,
    /// Write the rows to this file instead: .csv, .jsonl, .md or .parquet
    #[arg(long, value_name = "FILE")]
    out: Option<OutPath>,
    /// Escape texts in CSV that a spreadsheet would run as a formula, with a leading '
    #[arg(long)]
    spreadsheet: bool,
    /// Return at most this many rows
    #[arg(long, short = 'n', default_value_t = 10_000)]
    limit: usize,
    /// Stop after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    timeout: f64,
    #[command(flatten)]
    scope: ReadScope,
}

/// Formats of the file.
const FORMATS: &[RowFormat] =
    &[RowFormat::Csv, RowFormat::Jsonl, RowFormat::Markdown, RowFormat::Parquet];

/// The values of the old option `--output`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Csv,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    if let Some(output) = args.output {
        old_output(output, context);
    }
    if args.list {
        return list(context);
    }
    if args.tables {
        return tables(context);
    }
    let sql = match (&args.sql, &args.saved) {
        (_, Some(name)) => records::saved_query(name)?.sql.to_owned(),
        (sql, None) => sql.clone().unwrap_or_default(),
    };
    let time = Duration::try_from_secs_f64(args.timeout).map_err(|_| {
        Error::new(
            ErrorKind::Usage,
            format!(
                "--timeout must be a number of seconds, 0 or greater \
             (got {})",
                args.timeout
            ),
        )
    })?;
    let limits = Limits { rows: args.limit, time };
    let cells = csv_cells(args.spreadsheet);
    args.scope.read(context, |workspace, context| {
        let answer = records::query(workspace, &sql, limits)?;
        match &args.out {
            Some(path) => write(&answer, &path.place(context)?, cells, context)?,
            None => print(&answer, cells, context)?,
        }
        if answer.more {
            let shown = answer.rows.len();
            context.ui.warn(&format!("there are more than these {shown} rows; --limit shows more"));
        }
        Ok(())
    })
}

/// `--output csv` is `--format csv`.
fn old_output(output: Output, context: &mut Context) {
    let format = match output {
        Output::Table => Format::Human,
        Output::Csv => Format::Csv,
    };
    let old = format!("--output {}", if output == Output::Csv { "csv" } else { "table" });
    let asked = context.ui.format();
    // As before: JSON, where it is asked for, wins.
    if asked == Format::Human {
        context.ui.set_format(format);
    }
    context.ui.old_spelling(&old, &format!("--format {}", format.word()));
}

fn list(context: &mut Context) -> Result<()> {
    let saved = SAVED_QUERIES.to_vec();
    context.ui.data(&saved, |ui| {
        let mut table = Table::new(&["name", "description"]);
        for saved in SAVED_QUERIES {
            table.row([saved.name, &saved.about()]);
        }
        ui.table(&table)
    })
}

fn tables(context: &mut Context) -> Result<()> {
    let all = tables_of_log();
    context.ui.data(&all, |ui| {
        for described in &all {
            ui.line(&format!("\n{}: {}", described.table, described.about))?;
            let mut table = Table::new(&["column", "type", "content"]);
            for column in &described.columns {
                table.row([column.name, column.kind, column.about]);
            }
            ui.table(&table)?;
        }
        Ok(())
    })
}

fn table(answer: &QueryAnswer, cells: CsvCells) -> RowTable<'_> {
    let QueryAnswer { columns, kinds, rows, .. } = answer;
    RowTable { name: "rows", columns, kinds, rows, cells }
}

fn write(answer: &QueryAnswer, path: &Path, cells: CsvCells, context: &mut Context) -> Result<()> {
    let format = RowFormat::of(path, FORMATS)?;
    out::write(path, &table(answer, cells).bytes(format)?)?;
    let rows = counted(answer.rows.len(), "row");
    context.ui.wrote(path.to_owned(), |path| format!("{rows} written to {}", path.display()))
}

fn print(answer: &QueryAnswer, cells: CsvCells, context: &mut Context) -> Result<()> {
    let table = table(answer, cells);
    match context.ui.format() {
        Format::Human => {}
        Format::Csv | Format::Markdown | Format::Parquet => return context.ui.records(&table),
        Format::Json | Format::Jsonl | Format::Sarif => {
            let rows: Vec<_> = table.objects().collect();
            return context.ui.data(&rows, |_| Ok(()));
        }
    }
    let heading: Vec<&str> = answer.columns.iter().map(String::as_str).collect();
    let mut table = Table::new(&heading);
    for row in &answer.rows {
        table.row(row.iter().map(Value::to_text));
    }
    context.ui.table(&table)
}
