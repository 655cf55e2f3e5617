//! `annals replay`.

use super::context::Context;
use super::out::OutPath;
use crate::app::{Error, ErrorKind, Result, records};

/// Rebuild views and registry files from the log, or compare them with it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals replay --check
  annals replay
  annals replay --as-of 2026-11-01 --out old-registry")]
pub(super) struct Args {
    /// Compare only and change nothing; exit code 9 when something differs
    #[arg(long, visible_alias = "dry-run")]
    check: bool,
    /// The state at this time or position in the log
    #[arg(long, value_name = "TIME|POSITION")]
    as_of: Option<String>,
    /// Write the registry files into this folder instead
    #[arg(long, value_name = "DIR")]
    out: Option<OutPath>,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    let reads = args.check || args.as_of.is_some() || args.out.is_some();
    let workspace = if reads { context.workspace()? } else { context.trusted_workspace()? };
    let size =
        args.as_of.as_deref().map(|text| records::size_as_of(&workspace, text)).transpose()?;
    if let Some(out) = &args.out {
        let out = out.place_of_registry(context)?;
        let written = records::replay_to(&workspace, &out, size)?;
        return context.ui.data(&written, |ui| {
            written.files.iter().try_for_each(|file| ui.line(&format!("{}/{file}", out.display())))
        });
    }
    if args.check || size.is_some() {
        let differences = records::replay_check(&workspace, size)?;
        context.ui.data(&differences, |ui| {
            for difference in &differences {
                let at = difference.line.map_or(String::new(), |n| format!(" from line {n}"));
                let found = difference.found.map_or("nothing".into(), |d| d.short(16));
                ui.line(&format!(
                    "{}: {}{at}; according to the log {}, actual {found}",
                    difference.file,
                    difference.what,
                    difference.expected.short(16)
                ))?;
            }
            if differences.is_empty() {
                ui.line("Views and registry files agree with the log.")?;
            }
            Ok(())
        })?;
        if differences.is_empty() {
            return Ok(());
        }
        let count = differences.len();
        return Err(Error::new(ErrorKind::Findings, format!("{count} differ from the log"))
            .hint("`annals replay` rewrites them and keeps edits in a separate file"));
    }
    let replayed = records::replay(&workspace)?;
    context.ui.data(&replayed, |ui| {
        for file in &replayed.changed {
            ui.line(&format!("wrote {file}"))?;
        }
        ui.note("The views are rebuilt and the registry files agree with the log.");
        Ok(())
    })
}
