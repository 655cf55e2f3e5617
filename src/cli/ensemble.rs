//! `annals ensemble`.

use clap::Subcommand;

use super::consent::DryRun;
use super::context::Context;
use super::reporter::Terminal;
use super::show::{class_table, with_interval};
use super::train_plan::print_plan;
use crate::app::{Programs, Result, runs};
use crate::base::{Split, counted};

/// Combine finished runs into an ensemble
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals ensemble create both small large
  annals ensemble create both small large --dry-run")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create a run that averages the probabilities of other runs
    ///
    /// Its scores are those on the test rows, which must be the same rows of the same files for all
    /// members. It stores copies of the files that its members need, and is shown, used and
    /// promoted like any other run.
    #[command(after_help = "\
Examples:
  annals ensemble create both small large
  annals ensemble create both small large --dry-run")]
    Create {
        /// The experiment's name
        name: String,
        /// Finished runs: ids, prefixes or names; two or more
        #[arg(required = true, num_args = 2.., value_name = "RUN")]
        runs: Vec<String>,
        #[command(flatten)]
        mode: DryRun,
    },
}

pub(super) fn run(args: Args, context: &mut Context) -> Result<()> {
    let Verb::Create { name, runs, mode } = args.verb;
    let workspace = context.changing(mode.dry_run)?;
    if mode.dry_run {
        return print_plan(&runs::plan_ensemble(&workspace, &name, &runs)?, context);
    }
    let programs =
        Programs { torch: context.program("annals-engine"), own: context.program("annals") };
    let run =
        runs::create_ensemble(&workspace, &name, &runs, &programs, &mut Terminal::new(context))?;
    let shown = runs::run_shown(&workspace, run.clone())?;
    context.ui.data(&shown, |ui| {
        ui.line(&format!(
            "{} has {}: test accuracy {}, macro F1 {}",
            run.experiment_id,
            counted(runs.len(), "member"),
            with_interval(&run, "accuracy", Split::Test),
            with_interval(&run, "f1_macro", Split::Test)
        ))?;
        for evaluation in &run.evaluations {
            ui.table(&class_table(&evaluation.classes))?;
        }
        ui.line(&format!("folder {}", run.folder))
    })
}
