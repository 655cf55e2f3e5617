//! `annals doctor`.

use super::context::Context;
use super::read_bar::ReadBar;
use crate::app::{Depth, Error, ErrorKind, Result, records};
use crate::base::counted;

/// Check the workspace for problems
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals doctor
  annals doctor --files
  annals doctor --compact")]
pub(super) struct Args {
    /// Read every byte of every stored file; without it sizes are compared
    #[arg(long)]
    files: bool,
    /// Compact the file of the log; other processes wait until it is done
    #[arg(long)]
    compact: bool,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    let compact = args.compact;
    let workspace = if compact { context.trusted_workspace()? } else { context.workspace()? };
    if compact {
        let (before, after) = records::compact(&workspace)?;
        let (before, after) = (super::ui::size(before), super::ui::size(after));
        context.ui.note(&format!("log.redb: {before} before, {after} after"));
    }
    let depth = if args.files { Depth::Content } else { Depth::Size };
    let bar = ReadBar::new(&context.ui);
    let findings = records::doctor(&workspace, depth, &bar)?;
    bar.clear();
    context.ui.data(&findings, |ui| {
        for finding in &findings {
            ui.line(&format!("{}: {}", finding.what, finding.advice))?;
        }
        if findings.is_empty() {
            ui.line("Nothing to report.")?;
        }
        if !args.files {
            ui.dim("Files were compared by size; `annals verify --files` reads every byte.");
        }
        Ok(())
    })?;
    match findings.len() {
        0 => Ok(()),
        count => Err(Error::new(ErrorKind::Findings, counted(count, "finding"))),
    }
}
