//! `annals log`.

use std::path::PathBuf;

use clap::Subcommand;

use super::context::Context;
use crate::app::{LogQuery, Result};

/// Show the audit log, newest first, or copy it
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Only kinds that start with this, such as run. or promotion.
    #[arg(long)]
    kind: Option<String>,
    /// Only events of this run
    #[arg(long)]
    run: Option<String>,
    /// Show at most this many events
    #[arg(long, short = 'n', default_value_t = 50)]
    limit: usize,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a consistent copy of the log; a plain copy of a live file may be torn
    Copy {
        /// The new file
        target: PathBuf,
    },
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    let app = context.app()?;
    if let Some(Verb::Copy { target }) = &args.verb {
        let target = context.cwd.join(target);
        app.copy_log(&target)?;
        context.ui.note(&format!("Copied to {}", target.display()));
        return Ok(());
    }
    let run = match &args.run {
        Some(text) => Some(app.find_run(&app.snapshot()?, text)?),
        None => None,
    };
    let lines = app.log(&LogQuery { kind: args.kind.clone(), run, limit: args.limit })?;
    context.ui.data(&lines, |ui| {
        let mut last = None;
        for line in &lines {
            if line.invocation != last {
                if let Some(words) = &line.words {
                    ui.line(&format!("\n{words}"))?;
                }
                last = line.invocation;
            }
            ui.line(&format!(
                "{:>8}  {}  {:<7}  {:<30} {}",
                line.position,
                line.recorded.human(),
                line.identity,
                line.kind,
                line.summary
            ))?;
        }
        Ok(())
    })
}
