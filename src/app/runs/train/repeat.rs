//! `train --repeat`: the same training with one seed after the other, to see how much of a score
//! is luck.

use schemars::JsonSchema;
use serde::Serialize;

use super::settings::merged;
use super::{TrainRequest, Trained};
use crate::app::runs::shown::RunShown;
use crate::app::{Error, ErrorKind, Result, Workspace, runs};
use crate::base::Split;
use crate::projection::runs::RunDetails;

/// The scores that are compared, where the runs have them.
const SCORES: [&str; 7] =
    ["accuracy", "balanced_accuracy", "f1_macro", "f1_weighted", "mcc", "roc_auc", "loss"];

/// One score of the test rows over several runs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Spread {
    /// The score.
    pub name: String,
    /// Over the runs.
    pub mean: f64,
    /// Standard deviation of a sample (divisor n - 1).
    pub deviation: f64,
    /// The smallest.
    pub lowest: f64,
    /// The largest.
    pub highest: f64,
    /// One of each run, in the order of the seeds.
    pub values: Vec<f64>,
}

/// The same training with several seeds.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TrainedRepeatedly {
    /// The runs, in the order of the seeds.
    pub runs: Vec<RunShown>,
    /// The scores of the test rows over the runs.
    pub test: Vec<Spread>,
}

/// A run that was trained just now, with the baseline on the same rows.
///
/// # Errors
/// When log or views cannot be read.
pub fn trained_shown(workspace: &Workspace, trained: &Trained) -> Result<RunShown> {
    let mut shown = runs::run_shown(workspace, trained.run.clone())?;
    shown.tfidf_logreg_on_the_same_rows = trained.baseline;
    Ok(shown)
}

/// Runs that were trained just now, and their scores together.
///
/// # Errors
/// When log or views cannot be read.
pub fn trained_repeatedly(workspace: &Workspace, trained: &[Trained]) -> Result<TrainedRepeatedly> {
    let runs = trained.iter().map(|trained| trained_shown(workspace, trained));
    Ok(TrainedRepeatedly { runs: runs.collect::<Result<_>>()?, test: Spread::of(trained) })
}

impl TrainRequest {
    /// This request `count` times, each with its seed: the configured one and those after it.
    ///
    /// # Errors
    /// When the settings cannot be used or a seed would not fit 64 bits.
    pub fn repeated(&self, count: u32) -> Result<Vec<(u64, Self)>> {
        let first = merged(self)?.config.training.seed;
        let seeds = (0..u64::from(count)).map(|more| {
            first.checked_add(more).ok_or_else(|| {
                let message = format!("seed {first} has no {count} seeds from it on");
                Error::new(ErrorKind::Usage, message)
            })
        });
        let with = |seed: u64| {
            let mut request = self.clone();
            request.set.push(("training.seed".to_owned(), seed.to_string()));
            (seed, request)
        };
        seeds.map(|seed| Ok(with(seed?))).collect()
    }
}

impl Spread {
    /// The scores that all of the runs have; none of fewer than two runs.
    pub fn of(runs: &[Trained]) -> Vec<Self> {
        let runs: Vec<&RunDetails> = runs.iter().map(|trained| &trained.run).collect();
        SCORES.iter().filter_map(|name| Self::of_score(name, &runs)).collect()
    }

    fn of_score(name: &str, runs: &[&RunDetails]) -> Option<Self> {
        let values: Vec<f64> =
            runs.iter().map(|run| run.metric(name, Split::Test)).collect::<Option<_>>()?;
        (values.len() > 1).then(|| Self::over(name, values))
    }

    fn over(name: &str, values: Vec<f64>) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self {
            name: name.to_owned(),
            mean,
            deviation: (squares / (count - 1.0)).sqrt(),
            lowest: values.iter().copied().fold(f64::INFINITY, f64::min),
            highest: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            values,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_equal_those_computed_by_hand() {
        let found = Spread::over("accuracy", vec![0.5, 0.75, 1.0]);
        assert_eq!((found.mean, found.deviation), (0.75, 0.25));
        assert_eq!((found.lowest, found.highest), (0.5, 1.0));
    }
}
