//! `annals status`.

use super::context::Context;
use super::read_args::ReadScope;
use super::show::progress_line;
use crate::app::{Result, records};
use crate::base::counted;

/// Entries that were not allowed, named one by one.
const NOT_ALLOWED_MAX: usize = 5;

/// Summarize the workspace: runs, models in production, pending requests
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals status
  annals status --as-of 2026-11-01")]
pub(super) struct Args {
    #[command(flatten)]
    scope: ReadScope,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    args.scope.read(context, print)
}

/// Also `annals train --experiment-summary`.
pub(super) fn print(workspace: &crate::app::Workspace, context: &mut Context) -> Result<()> {
    let status = records::status(workspace)?;
    context.ui.data(&status, |ui| {
        ui.line(&format!("project     {}", status.project))?;
        ui.line(&format!(
            "runs        {} ({} finished, {} running, {} failed, {} interrupted; {} archived{})",
            status.runs,
            status.finished,
            status.running,
            status.failed,
            status.interrupted,
            status.archived,
            if status.deleted > 0 {
                format!(", {} deleted", status.deleted)
            } else {
                String::new()
            }
        ))?;
        for (run, progress) in &status.progress {
            ui.line(&format!("running     {run}: {}", progress_line(progress)))?;
        }
        ui.line(&format!("production  {}", status.production))?;
        for model in &status.models {
            ui.line(&format!("  {} {} from {}", model.name, model.version, model.run))?;
        }
        ui.line(&format!("candidates  {}", status.candidates))?;
        for request in &status.open_requests {
            ui.line(&format!(
                "request     {} wants {} to become {} ({} of {} approvals)",
                request.id, request.run, request.name, request.approvals, request.needed
            ))?;
        }
        ui.line(&format!(
            "log         {}, {} after the last signed log checkpoint",
            counted(status.events, "event"),
            status.unsigned_tail
        ))?;
        ui.line(&format!("policy      revision {}", status.policy_revision))?;
        let shown = status.not_allowed.iter().take(NOT_ALLOWED_MAX);
        shown.for_each(|found| ui.warn(&found.to_string()));
        if let more @ 1.. = status.not_allowed.len().saturating_sub(NOT_ALLOWED_MAX) {
            let events = counted(more, "event");
            ui.warn(&format!("{events} more were not allowed; `annals verify` lists them"));
        }
        for silent in &status.silent_runs {
            let (what, advice) = silent.advice();
            ui.warn(&format!("{what}; {advice}"));
        }
        for file in &status.changed_files {
            ui.warn(&format!(
                "{file} was edited by hand; the next changing verb stores the edit in a separate \
                 file, \
                 `annals replay --check` compares"
            ));
        }
        Ok(())
    })
}
