//! What can be asked of a run by name: its facts, its parameters, its scores.

use std::collections::BTreeSet;

use crate::base::Split;
use crate::domain::run::Unstated;
use crate::projection::runs::RunDetails;

/// Facts of a run that are neither parameters nor scores.
const FACTS: &[&str] = &[
    "experiment_id",
    "experiment_name",
    "status",
    "category",
    "config",
    "tags",
    "seed",
    "synthetic",
    "leaked_rows",
    "train_rows",
    "test_rows",
    "duration_minutes",
    "parameters",
    "parameters_millions",
    "model_mb",
];

/// The value of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// A number; finite.
    Number(f64),
    /// The run has no such value.
    Missing,
}

impl Cell {
    /// As people read it: a dash where there is nothing, four digits where there is a fraction.
    pub fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(value) => number(*value),
            Self::Missing => "-".into(),
        }
    }

    /// As programs read it.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Number(value) => (*value).into(),
            Self::Missing => serde_json::Value::Null,
        }
    }
}

/// A number without digits that say nothing: whole ones whole, small ones with an exponent.
pub fn number(value: f64) -> String {
    match value.abs() {
        v if value.fract() == 0.0 && v < 1e15 => format!("{value:.0}"),
        v if v < 1e-3 => format!("{value:.2e}"),
        v if v >= 1e6 => format!("{value:.4e}"),
        _ => format!("{value:.4}"),
    }
}

/// The column `name` of a run. Names are those of [`names`]; the prefix `final_` and no prefix
/// mean the test split, `train.`, `valid.` and `test.` name one; a parameter may be called by its
/// last part where that is unique.
pub fn cell(run: &RunDetails, name: &str) -> Cell {
    fact(run, name).or_else(|| parameter(run, name)).or_else(|| score(run, name)).map_or(
        Cell::Missing,
        |cell| match cell {
            Cell::Number(value) if !value.is_finite() => Cell::Missing,
            cell => cell,
        },
    )
}

fn fact(run: &RunDetails, name: &str) -> Option<Cell> {
    let text = |text: &str| Some(Cell::Text(text.to_owned()));
    let count = |value: Option<u64>| Some(value.map_or(Cell::Missing, |v| Cell::Number(v as f64)));
    let scaled = |value: Option<u64>, by: f64| {
        Some(value.map_or(Cell::Missing, |v| Cell::Number(v as f64 / by)))
    };
    let rows = |split| run.rows.iter().find(|(s, _)| *s == split).map(|(_, rows)| *rows);
    match name {
        "experiment_id" => text(&run.experiment_id),
        "experiment_name" => text(&run.experiment_name),
        "status" => text(run.status.word()),
        "category" => text(run.category.word()),
        "config" => text(&run.config_name),
        "tags" => text(&run.tags.join(",")),
        "seed" => count(run.stated(Unstated::Seed).then_some(run.seed)),
        "synthetic" => match run.shown_origin() {
            "generated" => text("yes"),
            "real" => text("no"),
            _ => Some(Cell::Missing),
        },
        "leaked_rows" => count(run.stated(Unstated::LeakedRows).then_some(run.leaked_rows)),
        "train_rows" => count(rows(Split::Train)),
        "test_rows" => count(rows(Split::Test)),
        "duration_minutes" => {
            Some(run.duration_seconds.map_or(Cell::Missing, |s| Cell::Number(s / 60.0)))
        }
        "parameters" => count(run.parameter_count),
        "parameters_millions" => scaled(run.parameter_count, 1e6),
        "model_mb" => scaled(run.model_bytes, 1e6),
        _ => None,
    }
}

fn parameter(run: &RunDetails, name: &str) -> Option<Cell> {
    let exact = run.parameters.iter().find(|(key, _)| key == name);
    let found = exact.or_else(|| {
        let last = |key: &str| key.rsplit('.').next() == Some(name);
        let mut fitting = run.parameters.iter().filter(|(key, _)| last(key));
        fitting.next().filter(|_| fitting.next().is_none())
    });
    found.map(|(_, json)| parameter_cell(json))
}

/// A parameter from its JSON text.
pub fn parameter_cell(json: &str) -> Cell {
    match serde_json::from_str(json) {
        Ok(serde_json::Value::Number(n)) => n.as_f64().map_or(Cell::Missing, Cell::Number),
        Ok(serde_json::Value::String(text)) => Cell::Text(text),
        Ok(serde_json::Value::Null) => Cell::Missing,
        _ => Cell::Text(json.to_owned()),
    }
}

fn score(run: &RunDetails, name: &str) -> Option<Cell> {
    let (split, metric) = match name.split_once('.') {
        Some((word, metric)) => match Split::ALL.into_iter().find(|s| s.word() == word) {
            Some(split) => (split, metric),
            None => (Split::Test, name),
        },
        None => (Split::Test, name.strip_prefix("final_").unwrap_or(name)),
    };
    // A metric that names no split is what its plain name means, if there is none on test.
    let unsplit = || run.metrics.iter().find(|m| m.key.name == name && m.key.split.is_none());
    let value = run.metric(metric, split).or_else(|| unsplit().map(|metric| metric.value));
    value.map(Cell::Number)
}

/// Every column that at least one of the runs has a value in.
pub fn names<'a>(runs: impl Iterator<Item = &'a RunDetails>) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = FACTS.iter().map(|&name| name.to_owned()).collect();
    for run in runs {
        for (key, _) in &run.parameters {
            names.insert(key.clone());
            names.extend(key.rsplit('.').next().map(str::to_owned));
        }
        for metric in &run.metrics {
            if metric.key.split.is_none() {
                names.insert(metric.key.name.clone());
            }
            if let Some(split) = metric.key.split {
                names.insert(format!("{}.{}", split.word(), metric.key.name));
                if split == Split::Test {
                    names.insert(metric.key.name.clone());
                    names.insert(format!("final_{}", metric.key.name));
                }
            }
        }
    }
    names
}
