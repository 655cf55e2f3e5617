//! `annals archive` and `annals restore`.

use clap::ValueEnum;

use super::consent::{Consent, DryRun};
use super::context::Context;
use super::ui::{Table, Ui, digest_cells, size};
use crate::app::{ArchiveRequest, Mode, Moved, Result, runs};
use crate::base::counted;
use crate::domain::run::{Archive, Pack};

/// Move a run that ended into an archive; it stays in every list and can be restored
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals archive hate --reason superseded
  annals archive hate --type archive_baseline --compress
  annals archive hate --drop-weights --yes")]
pub(super) struct Args {
    /// The run: id, prefix or name
    run: String,
    /// Which archive
    #[arg(long = "type", value_enum, default_value = "archived")]
    archive: ArchiveArg,
    /// Pack its files into one compressed file, except weights and training checkpoints
    #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "zst")]
    compress: Option<PackArg>,
    /// Delete weights and training checkpoints; metrics and digests stay in the log
    #[arg(long)]
    drop_weights: bool,
    /// The reason, which is recorded
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    mode: DryRun,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ArchiveArg {
    #[value(name = "archive_debug")]
    Debug,
    #[value(name = "archive_baseline")]
    Baseline,
    #[value(name = "archived")]
    Archived,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum PackArg {
    Zst,
    Gz,
}

impl From<PackArg> for Pack {
    fn from(pack: PackArg) -> Self {
        match pack {
            PackArg::Zst => Self::Zst,
            PackArg::Gz => Self::Gz,
        }
    }
}

/// Restore an archived run to its previous location
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals restore hate
  annals restore hate --dry-run")]
pub(super) struct RestoreArgs {
    /// The run: id, prefix or name
    run: String,
    /// The reason, which is recorded
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    mode: DryRun,
}

pub(super) fn run(args: Args, context: &mut Context) -> Result<()> {
    let workspace = context.trusted_workspace()?;
    let run = workspace.find_run(&workspace.snapshot()?, &args.run)?;
    let request = ArchiveRequest {
        archive: match args.archive {
            ArchiveArg::Debug => Archive::Debug,
            ArchiveArg::Baseline => Archive::Baseline,
            ArchiveArg::Archived => Archive::Archived,
        },
        pack: args.compress.map(Into::into),
        drop_weights: args.drop_weights,
        rule: None,
        reason: args.reason.unwrap_or_else(|| "archived by hand".into()),
    };
    let (mode, verb) = mode(&args.mode);
    if args.drop_weights && mode == Mode::Apply {
        let action = format!("delete the weights and training checkpoints of {}", args.run);
        args.consent.ask_or_warn(&action, context)?;
    }
    let moved = runs::archive(&workspace, run, &request, mode)?;
    tell(verb, &moved, context)
}

pub(super) fn run_restore(args: RestoreArgs, context: &mut Context) -> Result<()> {
    let workspace = context.trusted_workspace()?;
    let run = workspace.find_run(&workspace.snapshot()?, &args.run)?;
    let (mode, verb) = mode(&args.mode);
    let moved = runs::restore(&workspace, run, args.reason, mode)?;
    tell(verb, &moved, context)
}

/// The mode, and what the answer says of it.
const fn mode(asked: &DryRun) -> (Mode, &'static str) {
    match asked.mode() {
        Mode::DryRun => (Mode::DryRun, "would move"),
        Mode::Apply => (Mode::Apply, "is moved"),
    }
}

fn tell(verb: &str, moved: &Moved, context: &mut Context) -> Result<()> {
    if !moved.lost.is_empty() {
        let word = if moved.planned_only { "would be restored" } else { "was restored" };
        context.ui.warn(&format!(
            "{} {word} without {} (weights, training checkpoints) that were deleted when it was \
             archived and are in no blob: {}",
            moved.experiment_id,
            counted(moved.lost.len(), "file"),
            moved.lost.join(", ")
        ));
    }
    context.ui.data(moved, |ui| {
        ui.line(&format!("{} {verb} from {} to {}", moved.experiment_id, moved.from, moved.to))?;
        if moved.planned_only {
            files(moved, ui)?;
        }
        match moved.bytes_after {
            Some(after) => {
                ui.line(&format!("{} before, {} after", size(moved.bytes_before), size(after)))
            }
            None => ui.line(&format!("{} before packing", size(moved.bytes_before))),
        }
    })
}

fn files(moved: &Moved, ui: &mut Ui) -> Result<()> {
    let mut table = Table::new(&["source", "target", "size", "blake3", "sha256"]);
    for file in &moved.plan.files {
        let [blake3, sha256] = digest_cells(file.digest, file.sha256);
        table.row([&file.source, &file.path, &size(file.bytes), &blake3, &sha256]);
    }
    for file in moved.plan.purpose.dropped() {
        let [blake3, sha256] = digest_cells(file.digest, file.sha256);
        table.row([file.path.as_str(), "(deleted)", &size(file.bytes), &blake3, &sha256]);
    }
    for file in moved.plan.purpose.from_blobs() {
        let [blake3, sha256] = digest_cells(file.digest, file.sha256);
        table.row(["(blob store)", &file.path, &size(file.bytes), &blake3, &sha256]);
    }
    ui.table(&table)
}
