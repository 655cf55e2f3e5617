//! `annals list`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use clap::ValueEnum;
use serde_json::json;

use super::context::Context;
use super::lens::Lens;
use super::ui::{Table, duration, share};
use crate::app::{App, Result};
use crate::base::RunId;
use crate::domain::run::Archive;

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
    /// Show only runs in this place
    #[arg(long, value_enum)]
    place: Option<PlaceArg>,
    #[command(flatten)]
    lens: Lens,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PlaceArg {
    #[value(name = "active")]
    Active,
    #[value(name = "production")]
    Production,
    #[value(name = "archive_debug")]
    Debug,
    #[value(name = "archive_baseline")]
    Baseline,
    #[value(name = "archived")]
    Archived,
    #[value(name = "deleted")]
    Deleted,
}

impl PlaceArg {
    fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Production => "production",
            Self::Debug => Archive::Debug.word(),
            Self::Baseline => Archive::Baseline.word(),
            Self::Archived => Archive::Archived.word(),
            Self::Deleted => "deleted",
        }
    }
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    args.lens.read(context, |app, context| print(args, app, context))
}

fn print(args: &Args, app: &App, context: &mut Context) -> Result<()> {
    let views = app.snapshot()?;
    let runs = views.runs()?;
    let letters = letters_to_tell_apart(runs.ids().collect());
    let mut table = Table::new(&[
        "id",
        "experiment",
        "category",
        "status",
        "place",
        "accuracy",
        "macro F1",
        "data",
        "time",
        "started",
    ]);
    let mut rows = Vec::new();
    let production: BTreeSet<RunId> =
        views.production()?.into_iter().map(|m| RunId(m.run)).collect();
    let (mut shown, mut reported) = (0, Vec::new());
    for run in runs.iter() {
        let run = run?;
        // A model in production is a copy: its run lies where it lay.
        let place = match run.archive {
            Some(archive) => archive.word(),
            None if run.deleted => "deleted",
            None if production.contains(&run.run) => "production",
            None => "active",
        };
        if args.place.as_ref().is_some_and(|wanted| wanted.word() != place) {
            continue;
        }
        if args.limit.is_some_and(|limit| shown >= limit) {
            break;
        }
        shown += 1;
        if App::is_reported(&run) {
            reported.push((run.run, run.experiment_id.to_owned()));
        }
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
                "place": place,
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
                if run.pinned { format!("{place}, pinned").into() } else { place.into() },
                share(run.accuracy),
                share(run.f1_macro),
                data.into(),
                run.seconds.map_or("-".into(), |seconds| duration(seconds).into()),
                run.started.human().into(),
            ]);
        }
    }
    let silent = app.silent_runs(reported)?;
    context.ui.data(&rows, |ui| {
        ui.table(&table)?;
        for silent in &silent {
            let (what, advice) = silent.advice();
            ui.warn(&format!("{what}; {advice}"));
        }
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
