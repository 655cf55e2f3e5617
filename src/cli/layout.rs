//! `annals layout show | migrate | pack-logs`.

use clap::Subcommand;

use super::consent::DryRun;
use super::context::Context;
use super::init::LayoutArg;
use super::ui::{Table, size};
use crate::app::{Migration, Mode, Result, workspace};
use crate::base::counted;

/// Show the folder layout, or move everything to another layout
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals layout show
  annals layout migrate training-output --dry-run
  annals layout pack-logs --before 30d")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show the layout and its folders
    #[command(after_help = "\
Examples:
  annals layout show
  annals layout show --format json")]
    Show,
    /// Move every run and every model in production to the folders of another layout
    #[command(after_help = "\
Examples:
  annals layout migrate training-output --dry-run
  annals layout migrate training-output")]
    Migrate {
        /// The layout
        #[arg(value_enum)]
        to: LayoutArg,
        /// Accepted for older scripts: the verb moves without it
        #[arg(long, hide = true, conflicts_with = "dry_run")]
        apply: bool,
        #[command(flatten)]
        mode: DryRun,
    },
    /// Pack old logs of the layout training-output into one file, beside the archived runs
    ///
    /// The logs of models in production stay as they are. Each packed log is in the file under
    /// its name, and `annals show RUN` still prints its digest.
    #[command(after_help = "\
Examples:
  annals layout pack-logs --before 30d --dry-run
  annals layout pack-logs --before 2026-11-01")]
    PackLogs {
        /// Only logs of runs that ended before this date, time or age, such as 30d
        #[arg(long, value_name = "WHEN")]
        before: String,
        /// Accepted for older scripts: the verb packs without it
        #[arg(long, hide = true, conflicts_with = "dry_run")]
        apply: bool,
        #[command(flatten)]
        mode: DryRun,
    },
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    match &args.what {
        What::Show => show(context),
        What::Migrate { to, apply, mode } => {
            old_apply(*apply, "layout migrate", context);
            migrate(*to, !mode.dry_run, context)
        }
        What::PackLogs { before, apply, mode } => {
            old_apply(*apply, "layout pack-logs", context);
            pack_logs(before, !mode.dry_run, context)
        }
    }
}

fn old_apply(given: bool, verb: &str, context: &Context) {
    if given {
        context.ui.old_spelling("--apply", &format!("`annals {verb}` without an option"));
    }
}

fn show(context: &mut Context) -> Result<()> {
    let shown = workspace::layout_shown(&context.workspace()?)?;
    context.ui.data(&shown, |ui| {
        ui.fact("layout", shown.layout.word())?;
        ui.fact("experiments", format_args!("{}/", shown.experiments))?;
        ui.fact("production", format_args!("{}/", shown.production))?;
        if let Some(pretrained) = &shown.pretrained {
            ui.fact("pretrained", format_args!("{pretrained}/"))?;
        }
        for row in &shown.elsewhere {
            ui.fact("elsewhere", format_args!("{} (the layout has it in {})", row.from, row.to))?;
        }
        Ok(())
    })
}

fn migrate(to: LayoutArg, apply: bool, context: &mut Context) -> Result<()> {
    let workspace = context.trusted_workspace()?;
    let migration = workspace::migrate(&workspace, to.into(), Mode::of(!apply))?;
    context.ui.data(&migration, |ui| {
        let mut table = Table::new(&["name", "from", "to", "size"]);
        for row in &migration.moves {
            table.row([row.name.as_str(), &row.from, &row.to, &size(row.bytes)]);
        }
        ui.table(&table)?;
        ui.dim(&told(&migration, apply));
        Ok(())
    })
}

fn told(migration: &Migration, applied: bool) -> String {
    let count = migration.moves.len();
    let folders = counted(count, "folder");
    let to = migration.to.word();
    match (applied, count, migration.from == migration.to) {
        (_, 0, true) => format!("everything is where the layout {to} has it"),
        (true, ..) => format!("{folders} moved; the layout is {to}"),
        (false, ..) => {
            format!("{folders} would move; `annals layout migrate {to}` moves them")
        }
    }
}

fn pack_logs(before: &str, apply: bool, context: &mut Context) -> Result<()> {
    let workspace = context.trusted_workspace()?;
    let before = context.time("--before", before)?.start;
    let pack = workspace::pack_logs(&workspace, before, Mode::of(!apply))?;
    context.ui.data(&pack, |ui| {
        let mut table = Table::new(&["run", "log", "size"]);
        for log in &pack.logs {
            table.row([log.experiment_id.as_str(), &log.name, &size(log.bytes)]);
        }
        ui.table(&table)?;
        let count = pack.logs.len();
        let logs = counted(count, "log");
        ui.dim(&match (count, pack.bytes_after) {
            (0, _) => "no log is that old".to_owned(),
            (_, Some(after)) => {
                format!(
                    "{logs} ({}) packed into {} ({})",
                    size(pack.bytes_before),
                    pack.file,
                    size(after)
                )
            }
            (_, None) => format!("{logs} would be packed into {}", pack.file),
        });
        Ok(())
    })
}
