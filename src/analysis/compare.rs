//! Runs side by side: what was different, what came out, and whether that is more than chance.

use std::collections::BTreeSet;

use serde::Serialize;

use super::column::{Cell, parameter_cell};
use super::stats::{Paired, paired};
use crate::base::{Direction, Split};
use crate::projection::runs::RunDetails;
use crate::train::metric::PredictedRow;

/// Scores that are shown first, in this order.
const FIRST: &[&str] =
    &["accuracy", "f1_macro", "balanced_accuracy", "roc_auc", "pr_auc", "mcc", "ece", "loss"];
/// Beginnings of the names of scores that stand in the table of the classes.
const OF_CLASSES: &[&str] = &["precision_", "recall_", "f1_", "support_", "threshold_"];
/// Such names that are scores over all classes.
const OVER_ALL: &[&str] = &["_macro", "_weighted", "_micro"];

/// A run with the predictions it kept.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The run.
    pub run: RunDetails,
    /// Digests of its data files.
    pub data: Vec<String>,
    /// What it said of each test row; none where it kept nothing.
    pub predictions: Option<Vec<PredictedRow>>,
}

/// Runs side by side; each row has one value a run, in the order of the runs.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The runs' unique names.
    pub runs: Vec<String>,
    /// What is said before anything else: why numbers may not be compared.
    pub cautions: Vec<String>,
    /// Parameters that are not the same in all runs.
    pub parameters: Vec<ParameterRow>,
    /// How many are the same in all.
    pub same_parameters: usize,
    /// Scores on the test split.
    pub scores: Vec<ScoreRow>,
    /// Scores of each class on the test split.
    pub classes: Vec<ClassRow>,
    /// Two runs row by row.
    pub paired: Option<Paired>,
    /// Why two runs are not compared row by row.
    pub unpaired: Option<String>,
}

/// A parameter.
#[derive(Clone, Debug, Serialize)]
pub struct ParameterRow {
    /// Its key.
    pub key: String,
    /// JSON texts; none where a run does not have it.
    pub values: Vec<Option<String>>,
}

/// A score.
#[derive(Clone, Debug, Serialize)]
pub struct ScoreRow {
    /// Its name.
    pub metric: String,
    /// Which way it gets better.
    pub direction: Direction,
    /// What was measured.
    pub values: Vec<Option<Score>>,
    /// The run with the best value; none where neither way is better or several are as good.
    pub best: Option<usize>,
}

/// A value with its 95 % interval, where that was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Score {
    /// The value.
    pub value: f64,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

impl Score {
    /// As people read it.
    pub fn shown(&self) -> String {
        match (self.low, self.high) {
            (Some(low), Some(high)) => format!("{:.4} [{low:.4}, {high:.4}]", self.value),
            _ => format!("{:.4}", self.value),
        }
    }
}

/// One class in all runs.
#[derive(Clone, Debug, Serialize)]
pub struct ClassRow {
    /// The label.
    pub label: String,
    /// Precision, recall, F1 and rows.
    pub values: Vec<Option<ClassCell>>,
}

/// One class in one run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ClassCell {
    /// Right among those said.
    pub precision: f64,
    /// Found among those there.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f1: f64,
    /// Rows of the class.
    pub rows: u64,
}

/// Puts runs side by side.
pub fn compare(all: &[Compared]) -> Comparison {
    let runs: Vec<&RunDetails> = all.iter().map(|one| &one.run).collect();
    let (parameters, same_parameters) = parameters(&runs);
    let (mut paired_rows, mut unpaired) = (None, None);
    if let [first, second] = all {
        match row_by_row(first, second) {
            Ok(found) => paired_rows = Some(found),
            Err(why) => unpaired = Some(why),
        }
    }
    Comparison {
        runs: runs.iter().map(|run| run.experiment_id.clone()).collect(),
        cautions: cautions(all, unpaired.as_deref()),
        parameters,
        same_parameters,
        scores: scores(&runs),
        classes: classes(&runs),
        paired: paired_rows,
        unpaired,
    }
}

fn row_by_row(first: &Compared, second: &Compared) -> Result<Paired, String> {
    if first.run.labels != second.run.labels {
        return Err("their labels differ".into());
    }
    if first.data != second.data {
        return Err("they were trained and measured on different data files".into());
    }
    let of = |one: &'_ Compared| -> Result<Vec<PredictedRow>, String> {
        let missing = || format!("{} kept no test predictions", one.run.experiment_id);
        one.predictions.clone().ok_or_else(missing)
    };
    paired(&of(first)?, &of(second)?, &first.run.labels).map_err(|e| e.to_string())
}

fn cautions(all: &[Compared], unpaired: Option<&str>) -> Vec<String> {
    let mut cautions = Vec::new();
    let differ =
        |of: fn(&Compared) -> String| all.iter().map(of).collect::<BTreeSet<_>>().len() > 1;
    if differ(|one| one.run.labels.join("\n")) {
        cautions.push("The labels differ: these scores answer different questions.".into());
    }
    if differ(|one| one.data.join("\n")) {
        cautions.push("The data differ: differences between scores may come from the data.".into());
    } else if differ(|one| format!("{:?}", one.run.rows)) {
        cautions.push("The splits differ: the scores are of different test rows.".into());
    } else if let Some(why) = unpaired {
        cautions.push(format!("Not compared row by row: {why}."));
    }
    for one in all {
        let run = &one.run;
        if run.synthetic {
            cautions.push(format!(
                "{} was measured on generated data, which says nothing about a model in use.",
                run.experiment_id
            ));
        }
        if run.leaked_rows > 0 {
            cautions.push(format!(
                "{}: {} valid and test rows also stand in the training rows.",
                run.experiment_id, run.leaked_rows
            ));
        }
        if run.metrics.is_empty() {
            cautions.push(format!("{} has no final scores.", run.experiment_id));
        }
    }
    cautions
}

fn parameters(runs: &[&RunDetails]) -> (Vec<ParameterRow>, usize) {
    let keys: BTreeSet<&String> =
        runs.iter().flat_map(|run| run.parameters.iter().map(|(key, _)| key)).collect();
    let of = |run: &RunDetails, key: &str| {
        run.parameters.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone())
    };
    let all = keys.len();
    let mut rows: Vec<ParameterRow> = keys
        .into_iter()
        .map(|key| ParameterRow {
            key: key.clone(),
            values: runs.iter().map(|run| of(run, key)).collect(),
        })
        .filter(|row| differs(&row.values))
        .collect();
    let same = all - rows.len();
    let seeds = runs.iter().map(|run| Some(run.seed.to_string())).collect();
    let configs = runs.iter().map(|run| Some(run.config_name.clone())).collect();
    for (name, values) in [("seed", seeds), ("config", configs)] {
        let values: Vec<Option<String>> = values;
        if differs(&values) {
            rows.insert(0, ParameterRow { key: name.into(), values });
        }
    }
    (rows, same)
}

fn differs<T: PartialEq>(values: &[T]) -> bool {
    values.windows(2).any(|pair| pair[0] != pair[1])
}

impl ParameterRow {
    /// The values as people read them.
    pub fn shown(&self) -> Vec<String> {
        let cell = |json: &Option<String>| {
            json.as_ref().map_or(Cell::Missing, |json| parameter_cell(json)).shown()
        };
        self.values.iter().map(cell).collect()
    }
}

/// A score of one run on the test split.
pub fn score(run: &RunDetails, metric: &str) -> Option<Score> {
    let end = |which: &str| run.metric(&format!("{metric}.{which}"), Split::Test);
    let value = run.metric(metric, Split::Test)?;
    Some(Score { value, low: end("ci_low"), high: end("ci_high") })
}

fn scores(runs: &[&RunDetails]) -> Vec<ScoreRow> {
    let mut names: Vec<(&str, Direction)> = Vec::new();
    for metric in runs.iter().flat_map(|run| &run.metrics) {
        let name = metric.key.name.as_str();
        let of_interval = name.ends_with(".ci_low") || name.ends_with(".ci_high");
        let of_class = OF_CLASSES.iter().any(|start| name.starts_with(start))
            && !OVER_ALL.iter().any(|end| name.ends_with(end));
        let known = names.iter().any(|(known, _)| *known == name);
        if metric.key.split == Some(Split::Test) && !of_interval && !of_class && !known {
            names.push((name, metric.key.direction));
        }
    }
    let place = |name: &str| FIRST.iter().position(|first| *first == name).unwrap_or(FIRST.len());
    names.sort_by_key(|(name, _)| (place(name), *name));
    let row = |(name, direction): (&str, Direction)| {
        let values: Vec<Option<Score>> = runs.iter().map(|run| score(run, name)).collect();
        ScoreRow { metric: name.to_owned(), direction, best: best(&values, direction), values }
    };
    names.into_iter().map(row).collect()
}

fn best(values: &[Option<Score>], direction: Direction) -> Option<usize> {
    let measured = values.iter().enumerate().filter_map(|(i, v)| Some((i, v.as_ref()?.value)));
    let measured: Vec<(usize, f64)> = measured.collect();
    let better = |a: f64, b: f64| direction.is_better(a, b);
    let (index, value) = measured
        .iter()
        .copied()
        .reduce(|best, next| if better(next.1, best.1) { next } else { best })?;
    let alone = measured.iter().all(|(i, v)| *i == index || better(value, *v));
    (direction != Direction::Neutral && measured.len() > 1 && alone).then_some(index)
}

fn classes(runs: &[&RunDetails]) -> Vec<ClassRow> {
    let mut labels: Vec<&String> = Vec::new();
    for label in runs.iter().flat_map(|run| &run.labels) {
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    let cell = |run: &RunDetails, label: &str| {
        let evaluation = run.evaluations.iter().find(|e| e.split == Split::Test)?;
        let class = evaluation.classes.iter().find(|class| class.label == label)?;
        Some(ClassCell {
            precision: class.precision,
            recall: class.recall,
            f1: class.f1,
            rows: class.support,
        })
    };
    let row = |label: &String| ClassRow {
        label: label.clone(),
        values: runs.iter().map(|run| cell(run, label)).collect(),
    };
    labels.into_iter().map(row).filter(|row| row.values.iter().any(Option::is_some)).collect()
}
