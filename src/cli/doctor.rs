//! `annals doctor`.

use super::context::Context;
use crate::app::{Error, ErrorKind, Result};
use crate::base::counted;

/// Look for what is not as it should be
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Make the log's file as small as its content; keeps everybody out meanwhile
    #[arg(long)]
    compact: bool,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    let app = context.app()?;
    if args.compact {
        let (before, after) = app.compact()?;
        let (before, after) = (super::ui::size(before), super::ui::size(after));
        context.ui.note(&format!("log.redb: {before} before, {after} after"));
    }
    let findings = app.doctor()?;
    context.ui.data(&findings, |ui| {
        for finding in &findings {
            ui.line(&format!("{}: {}", finding.what, finding.advice))?;
        }
        if findings.is_empty() {
            ui.line("Nothing to report.")?;
        }
        Ok(())
    })?;
    match findings.len() {
        0 => Ok(()),
        count => Err(Error::new(ErrorKind::Findings, counted(count, "finding"))),
    }
}
