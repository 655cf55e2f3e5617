//! `annals repair`, and what is printed about production folders that were not as recorded.

use super::consent::DryRun;
use super::context::Context;
use super::ui::Ui;
use crate::app::{Error, FolderDamage, RepairFailed, Repaired, Repairs, Result, models};
use crate::base::counted;
use crate::domain::registry::Damage;

/// Differences printed one by one.
const SHOWN_MAX: usize = 20;

/// Restore the recorded files of production models from the blob store
///
/// Other files in a model's folder are not deleted: the folder is stored in .annals/damaged.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals repair hate_v1 --dry-run
  annals repair --all --reason 'disk error'")]
pub(super) struct Args {
    /// The production name
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    model: Option<String>,
    /// Every model in production
    #[arg(long)]
    all: bool,
    /// The reason, which is recorded
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    mode: DryRun,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    let workspace = context.trusted_workspace()?;
    let names = match &args.model {
        Some(model) => vec![model.clone()],
        None => workspace.snapshot()?.production()?.into_iter().map(|model| model.name).collect(),
    };
    let (mut repaired, mut failed) = (Vec::new(), Vec::new());
    for name in &names {
        match models::repair(&workspace, name, args.reason.clone(), args.mode.mode()) {
            Ok(model) => {
                repaired.push(model);
            }
            Err(error) => failed.push((name, error)),
        }
    }
    let errors = failed
        .iter()
        .map(|(name, error)| RepairFailed { name: (*name).clone(), error: error.to_string() });
    let dry_run = args.mode.dry_run;
    let repairs = Repairs { models: repaired, failed: errors.collect(), dry_run };
    context.ui.data(&repairs, |ui| {
        if names.is_empty() {
            ui.line("No model is in production.")?;
        }
        repairs.models.iter().try_for_each(|model| print(ui, model, dry_run))
    })?;
    let failures = failed.len();
    let Some((name, first)) = failed.into_iter().next() else { return Ok(()) };
    if failures == 1 && names.len() == 1 {
        return Err(first);
    }
    let message = format!(
        "{failures} of {} {} not repaired, such as {name}: {first}",
        counted(names.len(), "model"),
        if failures == 1 { "was" } else { "were" }
    );
    let hints = first.hints.clone();
    Err(hints.into_iter().fold(Error::new(first.kind, message), Error::hint))
}

fn print(ui: &mut Ui, model: &Repaired, dry_run: bool) -> Result<()> {
    let Repaired { name, version, number, path, damage, .. } = model;
    let named = format!("{name} {version} (version {number})");
    if damage.found.is_empty() {
        return ui.line(&format!("{named} agrees with the record; nothing to repair"));
    }
    let verb = if dry_run { "would be repaired" } else { "was repaired" };
    ui.line(&format!("{named} {verb}: {path}"))?;
    print_damage(ui, damage, dry_run)
}

/// The differences, and where the folder is kept.
pub(super) fn print_damage(ui: &mut Ui, damage: &FolderDamage, dry_run: bool) -> Result<()> {
    for file in damage.found.iter().take(SHOWN_MAX) {
        let found = match &file.damage {
            Damage::Altered { found, sha256 } => {
                let sha256 = sha256.map(|sha256| format!(", sha256 {sha256:.12}"));
                format!(" (blake3 {}{})", found.short(12), sha256.unwrap_or_default())
            }
            _ => String::new(),
        };
        ui.line(&format!("  {}: {}{found}", file.damage.word(), super::ui::escape(&file.path)))?;
    }
    if damage.found.len() > SHOWN_MAX {
        ui.line(&format!("  and {} more", damage.found.len() - SHOWN_MAX))?;
    }
    for file in &damage.lost {
        let file = super::ui::escape(file);
        ui.warn(&format!(
            "the recorded bytes of {file} are in no blob and in no run: they cannot \
             be restored"
        ));
    }
    match &damage.kept {
        Some(kept) => ui.note(&format!("The folder as it was found is stored in {kept}")),
        None if dry_run && damage.found.iter().any(|file| file.damage != Damage::Missing) => {
            ui.note("The folder as it is now would be stored in .annals/damaged");
        }
        None => {}
    }
    Ok(())
}
