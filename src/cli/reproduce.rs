//! `annals reproduce`.

use super::consent::DryRun;
use super::context::Context;
use super::reporter::{Terminal, stop_signals};
use super::train_plan::print_plan;
use crate::app::{Error, ErrorKind, Programs, ReproduceOptions, Result, runs};
use crate::domain::run::{NumberDifference, Reproduction};

/// Train a run again from its record and compare the results bit for bit
///
/// The settings and rows whose digests are in the log are used, with the recorded seed, threads and
/// device. The new run is recorded like any other run, and the result of the comparison with the
/// original; the policy rule `min_reproduced` counts equal results.
///
/// Exit code 0: equal, or different where annals, the trainer, libtorch, CPU model, threads, device
/// or variables differ as well, which the output names. 9: different without such a reason.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals reproduce hate
  annals reproduce hate --threads 4
  annals reproduce hate --dry-run")]
pub(super) struct Args {
    /// A finished run: id, prefix or name
    run: String,
    /// Threads per operation instead of the recorded number; results may then differ
    #[arg(long)]
    threads: Option<u32>,
    /// Device to train on instead of the recorded device; results may then differ
    #[arg(long)]
    device: Option<String>,
    #[command(flatten)]
    mode: DryRun,
}

pub(super) fn run(args: Args, context: &mut Context) -> Result<()> {
    let workspace = context.changing(args.mode.dry_run)?;
    let options = ReproduceOptions {
        threads: args.threads,
        device: args.device,
        programs: Programs {
            torch: context.program("annals-engine"),
            own: context.program("annals"),
        },
    };
    if args.mode.dry_run {
        return print_plan(&runs::plan_reproduction(&workspace, &args.run, &options)?, context);
    }
    let stop = stop_signals()?;
    let found =
        runs::reproduce(&workspace, &args.run, &options, &stop, &mut Terminal::new(context))?;
    let verdict = &found.verdict;
    let shown = runs::reproduction_shown(&workspace, &found)?;
    context.ui.data(&shown, |ui| {
        let (original, again) = (&found.original, &found.run.experiment_id);
        if verdict.equal {
            ui.line(&format!("{again} equals {original}, bit for bit:"))?;
            ui.line(&format!("weights {}, {} numbers", verdict.weights, found.numbers))?;
        } else {
            ui.line(&format!("{again} differs from {original}: {}", difference(verdict)))?;
        }
        for other in &verdict.environment {
            ui.line(&format!(
                "{}: {} was recorded, here it is {}",
                other.what, other.recorded, other.found
            ))?;
        }
        Ok(())
    })?;
    judge(&found.original, verdict)
}

/// Only a difference without a reason is a finding.
fn judge(original: &str, verdict: &Reproduction) -> Result<()> {
    if verdict.equal || !verdict.environment.is_empty() {
        return Ok(());
    }
    let message = format!("{original} was not reproduced, although no recorded condition differs");
    Err(Error::new(ErrorKind::Findings, message).hint(
        "the log holds what was reported; the recorded numbers were not computed with these \
             inputs, or not on this machine",
    ))
}

fn difference(verdict: &Reproduction) -> String {
    let Some(NumberDifference { metric, split, step, recorded, found }) = &verdict.difference
    else {
        return format!("all numbers are equal, the weights are {}", verdict.weights);
    };
    let split = split.map(|split| format!("{} ", split.word())).unwrap_or_default();
    let number = |value: &Option<f64>| value.map_or("not there".into(), |value| value.to_string());
    format!(
        "first in {split}{metric} at update {step}, which was {} and is {}",
        number(recorded),
        number(found)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Digest, RunId, Split};
    use crate::domain::run::EnvironmentDifference;

    #[test]
    fn only_a_difference_without_a_reason_is_a_finding() {
        let mut verdict = Reproduction {
            by: RunId([1; 16]),
            equal: false,
            weights: Digest([2; 32]),
            difference: Some(NumberDifference {
                metric: "loss".into(),
                split: Some(Split::Train),
                step: 3,
                recorded: Some(0.5),
                found: None,
            }),
            environment: vec![],
        };
        let error = judge("notes", &verdict).unwrap_err();
        assert_eq!(error.kind.exit_code(), 9);
        let told = "first in train loss at update 3, which was 0.5 and is not there";
        assert_eq!(difference(&verdict), told);
        let (what, recorded, found) = ("threads".into(), "4".into(), "2".into());
        verdict.environment.push(EnvironmentDifference { what, recorded, found });
        assert!(judge("notes", &verdict).is_ok());
        verdict.environment.clear();
        verdict.equal = true;
        assert!(judge("notes", &verdict).is_ok());
    }
}
