//! `annals list`.

use std::borrow::Cow;

use serde_json::json;

use super::context::Context;
use super::ui::{Table, duration, share};
use crate::app::Result;
use crate::base::RunId;

/// Letters of an id that a list shows, at least.
const ID_LETTERS_MIN: usize = 4;
/// A letter of an id stands for half a byte.
const BITS_PER_LETTER: usize = 4;

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
    let letters = letters_to_tell_apart(runs.ids().collect());
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
        let run = run?;
        let status = app.status_of(&run)?;
        let data = if run.synthetic { "generated" } else { "real" };
        if context.ui.json() {
            rows.push(json!({
                "run_id": run.run,
                "experiment_id": run.experiment_id,
                "experiment_name": run.name,
                "category": run.category.word(),
                "pinned": run.pinned,
                "status": status.word(),
                "accuracy": run.accuracy,
                "f1_macro": run.f1_macro,
                "split": "test",
                "synthetic_data": run.synthetic,
                "seconds": run.seconds,
                "started": run.started,
            }));
        } else {
            table.row([
                Cow::Owned(run.run.short(letters)),
                run.experiment_id.into(),
                run.category.word().into(),
                status.word().into(),
                share(run.accuracy),
                share(run.f1_macro),
                data.into(),
                run.seconds.map_or("-".into(), |seconds| duration(seconds).into()),
                run.started.human().into(),
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

/// The letters that tell any two of the ids apart.
fn letters_to_tell_apart(mut ids: Vec<RunId>) -> usize {
    ids.sort_unstable();
    let common = |a: &RunId, b: &RunId| {
        let (a, b) = (u128::from_be_bytes(a.0), u128::from_be_bytes(b.0));
        (a ^ b).leading_zeros() as usize / BITS_PER_LETTER
    };
    let longest = ids.windows(2).map(|pair| common(&pair[0], &pair[1]) + 1).max();
    longest.unwrap_or(0).max(ID_LETTERS_MIN)
}
