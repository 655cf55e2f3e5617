//! `annals demote`, `rollback`, `alias` and `version`.

use clap::{Subcommand, ValueEnum};

use super::consent::DryRun;
use super::context::Context;
use super::repair::print_damage;
use super::ui::{Table, digest_cells, size};
use crate::app::{Mode, ModelChange, Result, models};
use crate::base::Timestamp;
use crate::domain::registry::Bump;

/// Remove a model from production; its files stay in the blob store
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals demote hate_v1 --reason 'replaced by a larger model'
  annals demote hate_v1 --reason 'replaced by a larger model' --dry-run")]
pub(super) struct DemoteArgs {
    /// The production name, or an alias or NAME@VERSION of what is in production
    model: String,
    /// The reason, which is recorded
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    mode: DryRun,
}

pub(super) fn run_demote(args: &DemoteArgs, context: &mut Context) -> Result<()> {
    let workspace = context.trusted_workspace()?;
    let name = workspace.production_name(&args.model)?;
    let mode = args.mode.mode();
    let demoted = models::demote(&workspace, &name, &args.reason, mode)?;
    let verb = match mode {
        Mode::DryRun => "would leave production",
        Mode::Apply => "is no longer in production",
    };
    print(&demoted, verb, context)
}

/// Restore an earlier version of a production model
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals rollback hate_v1 --reason 'errors in production' --dry-run
  annals rollback hate_v1 --to 1.0.0 --reason 'errors in production'")]
pub(super) struct RollbackArgs {
    /// The production name; NAME@VERSION means --to VERSION
    model: String,
    /// The version, such as 2, v2 or 1.1.0; default: the previous version
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    /// The reason, which is recorded
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    mode: DryRun,
}

pub(super) fn run_rollback(args: &RollbackArgs, context: &mut Context) -> Result<()> {
    let workspace = context.trusted_workspace()?;
    let (name, version) = workspace.model_and_version(&args.model)?;
    // An alias names the model here; which version comes back, it does not say.
    let version = version.filter(|_| args.model.contains('@')).map(|number| number.to_string());
    let (to, reason) = (args.to.as_deref().or(version.as_deref()), &args.reason);
    let mode = args.mode.mode();
    let placed = models::roll_back(&workspace, &name, to, reason, mode)?;
    let verb = match mode {
        Mode::DryRun => "would be in production",
        Mode::Apply => "is in production",
    };
    print(&placed, verb, context)
}

fn print(placed: &ModelChange, verb: &str, context: &mut Context) -> Result<()> {
    context.ui.data(placed, |ui| {
        let ModelChange { name, number, version, .. } = placed;
        ui.line(&format!("{name} {version} (version {number}) {verb}"))?;
        let mut table = Table::new(&["file", "size", "blake3", "sha256"]);
        for file in &placed.plan.files {
            let [blake3, sha256] = digest_cells(file.digest, file.sha256);
            table.row([file.path.clone(), size(file.bytes), blake3, sha256]);
        }
        ui.table(&table)?;
        if !placed.damage.found.is_empty() {
            ui.line("The folder in production differed from the record:")?;
            print_damage(ui, &placed.damage, placed.dry_run)?;
        }
        for alias in &placed.astray {
            ui.note(&format!("The alias {alias} points at a version that is not in production."));
        }
        Ok(())
    })
}

/// Manage aliases of production models: champion, challenger, or names of your own
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals alias list
  annals alias set champion hate_v1 --reason 'best in the field test'
  annals alias remove champion")]
pub(super) struct AliasArgs {
    #[command(subcommand)]
    verb: AliasVerb,
}

#[derive(Debug, Subcommand)]
enum AliasVerb {
    /// Show every alias
    #[command(after_help = "\
Examples:
  annals alias list
  annals alias list --format json")]
    List,
    /// Point an alias at a model
    #[command(after_help = "\
Examples:
  annals alias set champion hate_v1
  annals alias set challenger hate_v1@2 --reason 'next to try'")]
    Set {
        /// The alias, such as champion
        alias: String,
        /// The production name, or NAME@VERSION or an alias for a version that is not current
        model: String,
        /// The reason, which is recorded
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        mode: DryRun,
    },
    /// Remove an alias
    #[command(after_help = "\
Examples:
  annals alias remove challenger
  annals alias remove challenger --reason 'test ended' --dry-run")]
    Remove {
        /// The alias
        alias: String,
        /// The reason, which is recorded
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        mode: DryRun,
    },
}

pub(super) fn run_alias(args: AliasArgs, context: &mut Context) -> Result<()> {
    match args.verb {
        AliasVerb::List => {
            let workspace = context.workspace()?;
            let views = workspace.snapshot()?;
            let (aliases, production) = (views.aliases()?, views.production()?);
            context.ui.data(&aliases, |ui| {
                let mut table = Table::new(&["alias", "model", "number", "state", "event"]);
                for alias in &aliases {
                    let current = production
                        .iter()
                        .any(|model| model.name == alias.name && model.number == alias.number);
                    table.row([
                        alias.alias.clone(),
                        alias.name.clone(),
                        alias.number.to_string(),
                        if current { "in production" } else { "not in production" }.into(),
                        alias.position.to_string(),
                    ]);
                }
                ui.table(&table)
            })
        }
        AliasVerb::Set { alias, model, reason, mode } => {
            let workspace = context.changing(mode.dry_run)?;
            let (name, version) = workspace.model_and_version(&model)?;
            let model = version.map_or_else(|| name.clone(), |number| format!("{name}@{number}"));
            let set = models::set_alias(&workspace, &alias, &model, reason)?;
            context.ui.data(&set, |ui| {
                ui.line(&format!("{} is {}, version {}", set.alias, set.name, set.number))
            })
        }
        AliasVerb::Remove { alias, reason, mode } => {
            let workspace = context.changing(mode.dry_run)?;
            let removed = models::remove_alias(&workspace, &alias, reason)?;
            context.ui.data(&removed, |ui| ui.line(&format!("{alias} was removed")))
        }
    }
}

/// Show and raise the versions of production models
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals version list hate_v1
  annals version bump minor hate_v1 --reason 'new thresholds'")]
pub(super) struct VersionArgs {
    #[command(subcommand)]
    verb: VersionVerb,
}

#[derive(Debug, Subcommand)]
enum VersionVerb {
    /// Show every version of a model
    #[command(after_help = "\
Examples:
  annals version list hate_v1
  annals version list hate_v1 --format json")]
    List {
        /// The production name
        model: String,
    },
    /// Raise the version of the model in production
    #[command(after_help = "\
Examples:
  annals version bump patch hate_v1 --reason 'new model card'
  annals version bump major hate_v1 --dry-run")]
    Bump {
        /// The part to raise
        part: Part,
        /// The production name
        model: String,
        /// The reason, which is recorded
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        mode: DryRun,
    },
}

/// A part of MAJOR.MINOR.PATCH.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Part {
    /// Users must change something
    Major,
    /// What a promotion raises
    Minor,
    /// Only documentation changed
    Patch,
}

pub(super) fn run_version(args: VersionArgs, context: &mut Context) -> Result<()> {
    match args.verb {
        VersionVerb::List { model } => {
            let workspace = context.workspace()?;
            let (model, _) = workspace.model_and_version(&model)?;
            let (versions, current) = models::versions(&workspace, &model)?;
            context.ui.data(&versions, |ui| {
                let mut table =
                    Table::new(&["number", "version", "promoted", "state", "approved by", "event"]);
                for version in &versions {
                    let approvals: Vec<String> =
                        version.approvals.iter().map(ToString::to_string).collect();
                    let placed = &version.placed;
                    let state = match current == Some(version.number) {
                        true if placed.is_later(version) => {
                            let since = Timestamp(placed.at).human();
                            let (how, at) = (placed.how.word(), placed.position);
                            format!("in production since {since} ({how}, event {at})")
                        }
                        true => "in production".into(),
                        false => String::new(),
                    };
                    table.row([
                        version.number.to_string(),
                        version.version.clone(),
                        Timestamp(version.promoted).human(),
                        state,
                        approvals.join(", "),
                        version.position.to_string(),
                    ]);
                }
                ui.table(&table)
            })
        }
        VersionVerb::Bump { part, model, reason, mode } => {
            let workspace = context.changing(mode.dry_run)?;
            let bump = match part {
                Part::Major => Bump::Major,
                Part::Minor => Bump::Minor,
                Part::Patch => Bump::Patch,
            };
            let bumped = models::bump_version(
                &workspace,
                &workspace.production_name(&model)?,
                bump,
                reason,
            )?;
            context.ui.data(&bumped, |ui| {
                ui.line(&format!("{}: {} -> {}", bumped.name, bumped.from, bumped.to))
            })
        }
    }
}
