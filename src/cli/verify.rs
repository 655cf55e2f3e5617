//! `annals verify`.

use std::path::PathBuf;

use super::context::Context;
use crate::app::{Against, Error, ErrorKind, Result, VerifyOptions, records};
use crate::base::{are, counted};

/// Recompute the whole record from its stored bytes; exit code 10 if anything is wrong
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals verify
  annals verify --log copy.redb --against checkpoint.txt
  annals verify --key 'annals/hate/1+ed25519+AAAA'")]
pub(super) struct Args {
    /// An older signed log checkpoint from outside, or another log.redb of this workspace, that
    /// this log must extend; reports where the two diverge
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// The public key that must have signed (`annals checkpoint show --format json` prints it)
    #[arg(long)]
    key: Option<String>,
    /// A copied log instead of the workspace
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

/// The first finding matters most; more than these nobody reads.
const FINDINGS_SHOWN_MAX: usize = 20;

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    let against = args.against.as_ref().map(|path| Against::read(&context.cwd.join(path)));
    let options = VerifyOptions { against: against.transpose()?, key: args.key.clone() };
    let report = match &args.log {
        Some(file) => records::verify_file(&context.cwd.join(file), &context.env, &options)?,
        None => records::verify(&context.workspace()?, &options)?,
    };
    context.ui.data(&report, |ui| {
        for finding in report.findings.iter().take(FINDINGS_SHOWN_MAX) {
            ui.line(&finding.to_string())?;
        }
        if let Some(more @ 1..) = report.findings.len().checked_sub(FINDINGS_SHOWN_MAX) {
            ui.note(&format!("{more} more; --format json lists them all."));
        }
        if report.findings.is_empty() {
            ui.line(&format!(
                "{} {} intact: positions, revisions, payloads, blocks, tree, indexes and {} agree.",
                counted(report.size, "event"),
                are(&report.size),
                counted(report.log_checkpoints, "signed log checkpoint")
            ))?;
            ui.line(&format!("root {}", report.root))?;
            ui.note(&format!(
                "{} {} signed with {} actor's own key; all other names are claimed.",
                counted(report.actor_signatures, "event"),
                are(&report.actor_signatures),
                if report.actor_signatures == 1 { "its" } else { "their" }
            ));
        }
        if report.unsigned_tail > 0 {
            ui.note(&format!(
                "{} after the last signed log checkpoint {} not signed yet.",
                counted(report.unsigned_tail, "event"),
                are(&report.unsigned_tail)
            ));
        }
        if !report.key_pinned && report.size > 0 {
            ui.note(
                "The key was read from the log itself, so this proves only that the log is \
                 consistent; --key pins the key you trust, --against compares with a log \
                 checkpoint stored elsewhere.",
            );
        }
        Ok(())
    })?;
    match report.findings.len() {
        0 => Ok(()),
        count => {
            let findings = if count == 1 { "finding" } else { "findings" };
            let error = Error::new(ErrorKind::Integrity, format!("{count} {findings}"));
            Err(match report.last_good {
                Some(size) => error.hint(format!("the last good log checkpoint has size {size}")),
                None => error,
            })
        }
    }
}
