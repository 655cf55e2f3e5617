//! `annals ensemble`.

use clap::Subcommand;

use super::context::Context;
use super::screen::Terminal;
use super::show::{class_table, with_interval};
use crate::app::{Programs, Result};
use crate::base::{Split, counted};

/// Ask several finished runs together
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a run whose probabilities are the means of those of other runs
    ///
    /// Its scores are those on the test rows, which must be the same rows of the same files for all
    /// members. It holds a copy of what its members need to be asked, and is shown, asked and
    /// promoted like any other run.
    Create {
        /// The experiment's name
        name: String,
        /// Finished runs: ids, prefixes or names; two or more
        #[arg(required = true, num_args = 2.., value_name = "RUN")]
        runs: Vec<String>,
    },
}

pub(super) fn run(args: Args, context: &mut Context) -> Result<()> {
    let app = context.app()?;
    let Verb::Create { name, runs } = args.verb;
    let programs =
        Programs { torch: context.program("annals-engine"), own: context.program("annals") };
    let run = app.create_ensemble(&name, &runs, &programs, &mut Terminal::new(context))?;
    let mut value = serde_json::to_value(&run).unwrap_or_default();
    value["run_id"] = serde_json::json!(run.run());
    context.ui.data(&value, |ui| {
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
