//! `annals list`.

use serde_json::json;

use super::context::Context;
use super::ui::{Table, duration, share};
use crate::app::Result;
use crate::base::Timestamp;

/// Letters of an id that a list shows, at least.
const ID_LETTERS_MIN: usize = 4;

/// List the runs, newest first
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Show at most this many
    #[arg(long, short = 'n')]
    limit: Option<usize>,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    let app = context.app()?;
    let views = app.snapshot()?;
    let runs = views.runs()?;
    let mut ids: Vec<String> = runs.iter().map(|run| run.run().to_string()).collect();
    ids.sort_unstable();
    let letters = unique_prefix(&ids);
    let mut table = Table::new(&[
        "id",
        "experiment",
        "category",
        "status",
        "accuracy",
        "macro F1",
        "data",
        "time",
        "started",
    ]);
    let mut rows = Vec::new();
    for run in runs.iter().take(args.limit.unwrap_or(usize::MAX)) {
        let status = app.status_of(run)?;
        let data = if run.synthetic { "generated" } else { "real" };
        if context.ui.json() {
            rows.push(json!({
                "run_id": run.run(),
                "experiment_id": run.experiment_id,
                "experiment_name": run.name,
                "category": run.category.word(),
                "status": status.word(),
                "accuracy": run.accuracy,
                "f1_macro": run.f1_macro,
                "split": "test",
                "synthetic_data": run.synthetic,
                "seconds": run.seconds,
                "started": Timestamp(run.started),
            }));
        } else {
            table.row(vec![
                run.run().short(letters),
                run.experiment_id.clone(),
                run.category.word().into(),
                status.word().into(),
                share(run.accuracy),
                share(run.f1_macro),
                data.into(),
                run.seconds.map_or_else(|| "-".into(), duration),
                Timestamp(run.started).human(),
            ]);
        }
    }
    context.ui.data(&rows, |ui| {
        ui.table(&table)?;
        if runs.is_empty() {
            ui.note("No runs yet. `annals train --config baseline_small` makes one.");
        } else {
            ui.dim("Scores are of the test split.");
        }
        Ok(())
    })
}

/// The letters that tell any two of the sorted ids apart.
fn unique_prefix(sorted: &[String]) -> usize {
    let common = |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    let longest = sorted.windows(2).map(|pair| common(&pair[0], &pair[1]) + 1).max();
    longest.unwrap_or(0).max(ID_LETTERS_MIN)
}
