//! `annals layout show | migrate | pack-logs`.

use clap::Subcommand;
use serde_json::json;

use super::context::Context;
use super::init::LayoutArg;
use super::promote::tell_edits;
use super::ui::{Table, size};
use crate::app::{Migration, Result};
use crate::base::counted;

/// Show where things lie, or move everything to where the other layout has it
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show the layout and its folders
    Show,
    /// Move every run and every model in production to where another layout has it
    Migrate {
        /// The layout
        #[arg(value_enum)]
        to: LayoutArg,
        /// Only show what would move
        #[arg(long, conflicts_with = "apply")]
        dry_run: bool,
        /// Move it; without this flag the plan is shown
        #[arg(long)]
        apply: bool,
    },
    /// Pack old logs of the layout training-output into one file, beside the archived runs
    ///
    /// The logs of models in production stay as they are. Each packed log is in the file under
    /// its name, and `annals show RUN` still tells its digest.
    PackLogs {
        /// Those of runs that ended before this: a day, a time, or an age such as 30d
        #[arg(long, value_name = "WHEN")]
        before: String,
        /// Only show what would be packed
        #[arg(long, conflicts_with = "apply")]
        dry_run: bool,
        /// Pack it; without this flag the plan is shown
        #[arg(long)]
        apply: bool,
    },
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    match &args.what {
        What::Show => show(context),
        What::Migrate { to, apply, .. } => migrate(*to, *apply, context),
        What::PackLogs { before, apply, .. } => pack_logs(before, *apply, context),
    }
}

fn show(context: &mut Context) -> Result<()> {
    let app = context.app()?;
    let layout = app.layout.clone();
    let astray = app.plan_migration(layout.kind)?.moves;
    let value = json!({
        "layout": layout.kind,
        "experiments": layout.experiments,
        "production": layout.production,
        "training": layout.training,
        "elsewhere": astray,
    });
    context.ui.data(&value, |ui| {
        ui.line(&format!("layout       {}", layout.kind.word()))?;
        ui.line(&format!("experiments  {}/", layout.experiments))?;
        ui.line(&format!("production   {}/", layout.production))?;
        for row in &astray {
            ui.line(&format!("elsewhere    {} (the layout has it in {})", row.from, row.to))?;
        }
        Ok(())
    })
}

fn migrate(to: LayoutArg, apply: bool, context: &mut Context) -> Result<()> {
    let app = context.app()?;
    let migration = if apply { app.migrate(to.into())? } else { app.plan_migration(to.into())? };
    tell_edits(&migration.regenerated, context);
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
            format!("{folders} would move; `annals layout migrate {to} --apply` does it")
        }
    }
}

fn pack_logs(before: &str, apply: bool, context: &mut Context) -> Result<()> {
    let app = context.app()?;
    let before = context.time("--before", before)?.start;
    let pack = if apply { app.pack_logs(before)? } else { app.plan_log_pack(before)? };
    tell_edits(&pack.regenerated, context);
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
            (_, None) => format!("{logs} would go into {}; --apply does it", pack.file),
        });
        Ok(())
    })
}
