//! `annals verify`.

use std::path::PathBuf;

use super::context::Context;
use super::read_bar::ReadBar;
use super::ui::{Ui, size};
use crate::app::{
    Against, Error, ErrorKind, FilesReport, LogReport, Result, VerifyOptions, records,
};
use crate::base::{are, counted};

/// Recompute the whole record from its stored bytes; exit code 10 if anything is wrong
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals verify --files
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
    /// Also read every stored file and compare it with the digest in the record: files of runs,
    /// training checkpoints, prepared data, archives, snapshots, blobs, models in production
    #[arg(long, conflicts_with = "log")]
    files: bool,
    /// A copied log instead of the workspace
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

/// The first finding matters most; more than these nobody reads.
const FINDINGS_SHOWN_MAX: usize = 20;
/// Files without a digest that are named.
const UNCHECKED_SHOWN_MAX: usize = 3;

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    let against = args.against.as_ref().map(|path| Against::read(&context.cwd.join(path)));
    let options = VerifyOptions { against: against.transpose()?, key: args.key.clone() };
    if args.files {
        let bar = ReadBar::new(&context.ui);
        let found = records::verify_files(&context.workspace()?, &options, &bar)?;
        bar.clear();
        context.ui.data(&found, |ui| {
            print_log(ui, &found.log)?;
            print_files(ui, &found.files)
        })?;
        return finish(&found.log, found.files.findings().count());
    }
    let report = match &args.log {
        Some(file) => records::verify_file(&context.cwd.join(file), &context.env, &options)?,
        None => records::verify(&context.workspace()?, &options)?,
    };
    context.ui.data(&report, |ui| print_log(ui, &report))?;
    finish(&report, 0)
}

fn print_log(ui: &mut Ui, report: &LogReport) -> Result<()> {
    for finding in report.findings.iter().take(FINDINGS_SHOWN_MAX) {
        ui.line(&finding.to_string())?;
    }
    print_more(ui, report.findings.len());
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
}

fn print_files(ui: &mut Ui, report: &FilesReport) -> Result<()> {
    let count = report.findings().count();
    for finding in report.findings().take(FINDINGS_SHOWN_MAX) {
        ui.line(&finding.to_string())?;
    }
    print_more(ui, count);
    let bytes = report.totals.iter().map(|total| total.bytes).sum();
    let of = report.totals.iter().map(|total| counted(total.files, total.kind.noun()));
    let of = of.collect::<Vec<_>>().join(", ");
    let whole = report.files.len() - count;
    let (all, read) = (counted(report.files.len(), "file"), size(bytes));
    match count {
        0 if report.files.is_empty() => ui.line("No files are stored.")?,
        0 => ui.line(&format!("{all} ({read}) are as recorded: {of}."))?,
        _ => ui.line(&format!("{whole} of {all} ({read}) are as recorded: {of}."))?,
    }
    if !report.unchecked.is_empty() {
        let named = report.unchecked.iter().take(UNCHECKED_SHOWN_MAX);
        let named = named.map(|file| format!("{} ({})", file.path, file.reason));
        let more = report.unchecked.len().saturating_sub(UNCHECKED_SHOWN_MAX);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        ui.notice(&format!(
            "Not checked, because the record has no digest to compare with: {}{more}.",
            named.collect::<Vec<_>>().join(", ")
        ));
    }
    ui.note("Generated files follow from the log: `annals replay --check` compares them.");
    Ok(())
}

fn print_more(ui: &mut Ui, findings: usize) {
    if let Some(more @ 1..) = findings.checked_sub(FINDINGS_SHOWN_MAX) {
        ui.note(&format!("{more} more; --format json lists them all."));
    }
}

fn finish(log: &LogReport, of_files: usize) -> Result<()> {
    match log.findings.len() + of_files {
        0 => Ok(()),
        count => {
            let error = Error::new(ErrorKind::Integrity, counted(count, "finding"));
            Err(match log.last_good.filter(|_| !log.findings.is_empty()) {
                Some(size) => error.hint(format!("the last good log checkpoint has size {size}")),
                None => error,
            })
        }
    }
}
