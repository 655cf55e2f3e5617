//! `annals export`.

use clap::ValueEnum;

use super::context::Context;
use super::out::OutPath;
use super::read_args::ReadScope;
use super::ui::Table;
use crate::app::{CsvCells, Error, ErrorKind, ExportFormat as Format, Result, Workspace, records};
use crate::base::counted;

/// Export the record for other programs as Parquet, JSON Lines, CSV or C2SP tiles
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals export parquet tables
  annals export csv tables --table runs --table metrics
  annals export tiles tiles --log copy.redb")]
pub(super) struct Args {
    /// What to write
    #[arg(value_enum)]
    what: What,
    /// A new or empty folder
    folder: OutPath,
    /// Only these tables (`annals query --tables` describes them); may be repeated
    #[arg(long, value_name = "NAME")]
    table: Vec<String>,
    /// One file for each day in which there are rows, TABLE/day=YYYY-MM-DD/, where a table has the
    /// column recorded
    #[arg(long)]
    by_day: bool,
    /// Escape texts in CSV that a spreadsheet would run as a formula, with a leading '
    #[arg(long)]
    spreadsheet: bool,
    #[command(flatten)]
    scope: ReadScope,
}

/// How texts are written into CSV.
pub(super) fn csv_cells(spreadsheet: bool) -> CsvCells {
    if spreadsheet { CsvCells::Spreadsheet } else { CsvCells::Exact }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// A file for each table, typed, with the raw envelope of each event
    Parquet,
    /// A file for each table, one JSON object per line
    Jsonl,
    /// A file for each table, with a header
    Csv,
    /// The signed tree, for any client of transparency logs (c2sp.org/tlog-tiles)
    Tiles,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    args.scope.read(context, |workspace, context| export(args, workspace, context))
}

fn export(args: &Args, workspace: &Workspace, context: &mut Context) -> Result<()> {
    let folder = args.folder.place(context)?;
    let format = match args.what {
        What::Parquet => Format::Parquet,
        What::Jsonl => Format::Jsonl,
        What::Csv => Format::Csv(csv_cells(args.spreadsheet)),
        What::Tiles => {
            if args.by_day || !args.table.is_empty() {
                let message = "tiles contain the whole tree: --table and --by-day do not apply";
                return Err(Error::new(ErrorKind::Usage, message));
            }
            let exported = records::export_tiles(workspace, &folder)?;
            return context.ui.data(&exported, |ui| {
                ui.line(&format!(
                    "{} in {}",
                    counted(exported.size, "event"),
                    counted(exported.files, "file")
                ))
            });
        }
    };
    let exported = records::export_tables(workspace, format, &args.table, args.by_day, &folder)?;
    context.ui.data(&exported, |ui| {
        let mut table = Table::new(&["table", "rows"]);
        for one in &exported {
            table.row([one.table, &one.rows.to_string()]);
        }
        ui.table(&table)
    })
}
