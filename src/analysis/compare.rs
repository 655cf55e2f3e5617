//! Runs side by side: what was different, what came out, and whether that is more than chance.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::column::{Cell, parameter_cell};
use super::paired::{Paired, paired};
use crate::base::{Direction, Split, counted};
use crate::domain::Provenance;
use crate::domain::metric::FinalMetric;
use crate::domain::run::{Sameness, TestRows, Unstated};
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
    /// Its prediction for each test row; none where it kept none.
    pub predictions: Option<Vec<PredictedRow>>,
    /// Numbers of its test rows in the order of their content; none where that is not known.
    pub order: Option<Vec<u32>>,
}

/// Runs side by side; each row has one value a run, in the order of the runs.
#[derive(Clone, Debug, Serialize, JsonSchema)]
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
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ParameterRow {
    /// Its key.
    pub key: String,
    /// JSON texts; none where a run does not have it.
    pub values: Vec<Option<String>>,
}

/// A score.
#[derive(Clone, Debug, Serialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
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
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ClassRow {
    /// The label.
    pub label: String,
    /// Precision, recall, F1 and rows.
    pub values: Vec<Option<ClassCell>>,
}

/// One class in one run.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
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
        cautions: cautions(&runs, paired_rows.is_some(), unpaired.as_deref()),
        parameters,
        same_parameters,
        scores: scores(&runs, paired_rows.is_some() || other_rows(&runs).is_none()),
        classes: classes(&runs),
        paired: paired_rows,
        unpaired,
    }
}

fn row_by_row(first: &Compared, second: &Compared) -> Result<Paired, String> {
    let (one, two) = (&first.run, &second.run);
    if label_set(one) != label_set(two) {
        return Err("their labels differ".into());
    }
    let sameness = one.test_rows.sameness(&two.test_rows);
    match sameness {
        Sameness::Different => return Err("they were measured on different test rows".into()),
        Sameness::Unknown if one.data != two.data => {
            return Err("it is not recorded that they were measured on the same test rows".into());
        }
        Sameness::Same | Sameness::Unknown => {}
    }
    let of = |one: &'_ Compared| -> Result<Vec<PredictedRow>, String> {
        let missing = || format!("{} kept no test predictions", one.run.experiment_id);
        one.predictions.clone().ok_or_else(missing)
    };
    let (mut rows, mut others) = (of(first)?, of(second)?);
    if let (Sameness::Same, Some(order), Some(other)) = (sameness, &first.order, &second.order) {
        // The same rows may have other numbers in another file.
        number_by(order, &mut rows);
        number_by(other, &mut others);
    }
    let multi = one.evaluations.iter().all(|e| e.confusion.is_empty());
    paired(&rows, &others, &one.labels, multi).map_err(|e| e.to_string())
}

/// Numbers predictions by the place of their row in `order`.
fn number_by(order: &[u32], rows: &mut [PredictedRow]) {
    let places: BTreeMap<u32, u32> = order.iter().copied().zip(0..).collect();
    if rows.iter().all(|row| places.contains_key(&row.row)) {
        rows.iter_mut().for_each(|row| row.row = places[&row.row]);
    }
}

fn label_set(run: &RunDetails) -> BTreeSet<&String> {
    run.labels.iter().collect()
}

/// What keeps the scores of `runs` from being compared, one line for each reason. `paired` tells
/// that two runs were compared row by row, which only runs of the same rows are.
pub fn cautions(runs: &[&RunDetails], paired: bool, unpaired: Option<&str>) -> Vec<String> {
    let mut cautions = Vec::new();
    let names = |of: &dyn Fn(&RunDetails) -> bool| -> Vec<&str> {
        runs.iter().filter(|run| of(run)).map(|run| run.experiment_id.as_str()).collect()
    };
    if runs.windows(2).any(|pair| label_set(pair[0]) != label_set(pair[1])) {
        cautions.push("The labels differ: the scores are of different tasks.".into());
    }
    let rows = if paired { None } else { other_rows(runs) };
    let same_rows = rows.is_none();
    cautions.extend(rows);
    if runs.windows(2).any(|pair| pair[0].data != pair[1].data) {
        cautions.push(
            "The training data differ: differences between scores may come from the data.".into(),
        );
    }
    if let Some(why) = unpaired.filter(|_| same_rows) {
        cautions.push(format!("Not compared row by row: {why}."));
    }
    let listed = [
        (
            names(&|run| run.synthetic),
            "Measured on synthetic data, which is not evidence of quality",
        ),
        (names(&|run| is_from(run, Provenance::Typed)), "Scores typed in by hand, not measured"),
        (names(&|run| is_from(run, Provenance::Imported)), "Scores imported, not measured here"),
        (
            names(&|run| is_from(run, Provenance::Reported)),
            "Scores reported by a script, not measured by annals",
        ),
        (
            names(&|run| !run.stated(Unstated::LeakedRows)),
            "Whether test rows are also training rows is not stated",
        ),
        (names(&|run| run.metrics.is_empty()), "No final scores"),
    ];
    let listed = listed.into_iter().filter(|(names, _)| !names.is_empty());
    cautions.extend(listed.map(|(names, what)| format!("{what}: {}.", names.join(", "))));
    for run in runs {
        for series in run.unrecorded.iter().filter(|series| series.diverged()) {
            cautions.push(format!("{}: {}.", run.experiment_id, series.line()));
        }
    }
    let leaked: Vec<String> = runs
        .iter()
        .filter(|run| run.leaked_rows > 0)
        .map(|run| format!("{} ({})", run.experiment_id, counted(run.leaked_rows, "row")))
        .collect();
    if !leaked.is_empty() {
        let leaked = leaked.join(", ");
        cautions.push(format!("Validation or test rows are also training rows: {leaked}."));
    }
    cautions
}

fn is_from(run: &RunDetails, provenance: Provenance) -> bool {
    run.provenance == Some(provenance)
}

/// Which of `runs` were not measured on the same test rows, or not provably; none where all were.
pub fn other_rows(runs: &[&RunDetails]) -> Option<String> {
    let runs: Vec<&RunDetails> =
        runs.iter().copied().filter(|run| !run.metrics.is_empty()).collect();
    let identities: Vec<TestRows> = runs.iter().map(|run| run.test_rows).collect();
    let groups = TestRows::groups(&identities);
    let sets: BTreeSet<usize> = groups.iter().flatten().copied().collect();
    let of = |wanted: Option<usize>| -> String {
        let members = runs.iter().zip(&groups).filter(|(_, group)| **group == wanted);
        members.map(|(run, _)| run.experiment_id.as_str()).collect::<Vec<_>>().join(", ")
    };
    if sets.len() > 1 {
        let lists: Vec<String> = sets.into_iter().map(|set| of(Some(set))).collect();
        let unknown = match groups.contains(&None) {
            true => format!("; of {} the test rows are not recorded", of(None)),
            false => String::new(),
        };
        return Some(format!(
            "Measured on different test rows, so scores cannot be compared across these groups: \
             {}{unknown}.",
            lists.join(" | ")
        ));
    }
    (runs.len() > 1 && groups.contains(&None)).then(|| {
        format!("Whether the runs have the same test rows is not recorded for: {}.", of(None))
    })
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
    let seeds = runs.iter().map(|run| Some(run.shown_seed())).collect();
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

/// Scores by name; of runs on different test rows none is the best.
fn scores(runs: &[&RunDetails], comparable: bool) -> Vec<ScoreRow> {
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
        let best = best(&values, direction).filter(|_| comparable);
        ScoreRow { metric: name.to_owned(), direction, best, values }
    };
    let mut rows: Vec<ScoreRow> = names.into_iter().map(row).collect();
    rows.extend(without_split(runs));
    rows
}

/// Values that name no split, in rows of their own: they are not known to be of the test rows.
fn without_split(runs: &[&RunDetails]) -> Vec<ScoreRow> {
    fn of(run: &RunDetails) -> impl Iterator<Item = &FinalMetric> {
        run.metrics.iter().filter(|metric| metric.key.split.is_none())
    }
    let keyed = |metric: &FinalMetric| (metric.key.name.clone(), metric.key.direction);
    let found: BTreeMap<String, Direction> =
        runs.iter().flat_map(|run| of(run)).map(keyed).collect();
    let row = |(name, direction): (String, Direction)| {
        let value = |run: &&RunDetails| {
            let found = of(run).find(|metric| metric.key.name == name);
            found.map(|metric| Score { value: metric.value, low: None, high: None })
        };
        let values: Vec<Option<Score>> = runs.iter().map(value).collect();
        let best = best(&values, direction);
        ScoreRow { metric: format!("{name} (no split)"), direction, best, values }
    };
    found.into_iter().map(row).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::metric::{FinalMetric, MetricKey};
    use proptest::prelude::*;

    fn run(n: usize, digest: Option<u8>, data: u8, rows: u64) -> RunDetails {
        let key = MetricKey {
            name: "accuracy".into(),
            split: Some(Split::Test),
            direction: Direction::Higher,
        };
        RunDetails {
            experiment_id: format!("run_{n}"),
            test_rows: TestRows { digest: digest.map(|byte| [byte; 32]), rule: None },
            data: [data; 32],
            rows: vec![(Split::Train, rows), (Split::Test, 100)],
            metrics: vec![FinalMetric { key, value: 0.5 }],
            ..RunDetails::default()
        }
    }

    proptest! {
        #[test]
        fn runs_on_the_same_test_rows_are_never_warned_about_other_rows(
            runs in proptest::collection::vec((0_u8..3, 0_u64..3), 2..6), digest: u8,
        ) {
            let same: Vec<RunDetails> = runs
                .iter()
                .enumerate()
                .map(|(n, (data, rows))| run(n, Some(digest), *data, *rows))
                .collect();
            let same: Vec<&RunDetails> = same.iter().collect();
            prop_assert_eq!(other_rows(&same), None);
            let all = cautions(&same, false, None);
            prop_assert!(!all.iter().any(|caution| caution.contains("test rows")), "{:?}", all);
            // One run of other rows, or of rows that are not recorded, is always named.
            for other in [Some(digest.wrapping_add(1)), None] {
                let other = run(9, other, runs[0].0, runs[0].1);
                let mixed: Vec<&RunDetails> = same.iter().copied().chain([&other]).collect();
                let all = cautions(&mixed, false, None);
                let rows: Vec<_> = all.iter().filter(|c| c.contains("test rows")).collect();
                prop_assert!(rows.len() == 1 && rows[0].contains("run_9"), "{:?}", all);
            }
        }
    }
}
