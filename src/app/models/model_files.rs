//! The papers of a model, made from the record alone and of one shape for all kinds of runs:
//! `config.json`, `labels.json`, `training_info.json` and, in `model_card.rs`, the model card.

use serde_json::{Map, Value, json};

use crate::app::models::model_card::model_card;
use crate::base::{Split, Timestamp, is_count};
use crate::domain::registry::Semver;
use crate::domain::run::{DataFile, RunFinished, RunStarted, RunState};
use crate::domain::{Provenance, RuleResult};
use crate::model::settings;

/// Name of the scores of the classical baseline in `training_info.json`.
pub(in crate::app) const BASELINE: &str = "tfidf_logreg_on_the_same_rows";
/// Name of the mean time of one prediction in `training_info.json`, in milliseconds.
pub(in crate::app) const INFERENCE_MS: &str = "avg_inference_time_ms";

/// What `training_info.json` alone knows.
pub(in crate::app) const MEASURED: [&str; 2] = [BASELINE, INFERENCE_MS];

/// What the papers of a run are made from.
pub(in crate::app) struct Record<'a> {
    pub(in crate::app) started: &'a RunStarted,
    /// How it ended; none where it did not finish.
    pub(in crate::app) finished: Option<&'a RunFinished>,
    pub(in crate::app) provenance: Option<Provenance>,
    /// Who trained it, as the log knows.
    pub(in crate::app) trainer: String,
    /// When it began.
    pub(in crate::app) began: Option<Timestamp>,
    /// Its seed, where somebody stated it.
    pub(in crate::app) seed: Option<u64>,
    /// Valid and test rows that are training rows too, where somebody stated or counted them.
    pub(in crate::app) leaked_rows: Option<u64>,
    /// Whether its data was generated, where somebody stated it.
    pub(in crate::app) synthetic: Option<bool>,
    /// `data_report.json` of the run; null where there is none.
    pub(in crate::app) report: Value,
    /// What was measured and is no metric, by the names of `training_info.json`.
    pub(in crate::app) measured: Map<String, Value>,
    /// The run's files, by what they are.
    pub(in crate::app) artifacts: Vec<String>,
}

/// How a run comes into production.
pub(in crate::app) struct Production {
    pub(in crate::app) name: String,
    pub(in crate::app) number: u32,
    pub(in crate::app) version: Semver,
    pub(in crate::app) promoter: String,
    pub(in crate::app) approvals: Vec<String>,
    pub(in crate::app) reason: Option<String>,
    pub(in crate::app) intended_use: Option<String>,
    pub(in crate::app) limits: Option<String>,
    pub(in crate::app) policy_revision: u64,
    pub(in crate::app) rules: Vec<RuleResult>,
}

/// Every paper by its file name; the caller leaves out those that the run wrote.
pub(in crate::app) fn papers(
    record: &Record<'_>,
    run: &RunState,
    production: &Production,
) -> Vec<(&'static str, Vec<u8>)> {
    let mut papers = vec![
        ("config.json", pretty(&config(record.started))),
        ("training_info.json", pretty(&training_info(record))),
        ("README.md", model_card(record, Some(production)).into_bytes()),
    ];
    if !run.labels.is_empty() {
        papers.push(("labels.json", pretty(&Value::Object(labels(&run.labels)))));
    }
    papers
}

/// The settings that decided something, with their groups.
fn config(started: &RunStarted) -> Value {
    let mut root = Map::new();
    root.insert("name".into(), json!(started.config_name));
    root.insert("digest".into(), json!(started.config));
    for (key, text) in &settings::recorded(&started.parameters) {
        let value = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
        let parts: Vec<&str> = key.split('.').collect();
        insert(&mut root, &parts, value);
    }
    Value::Object(root)
}

fn insert(into: &mut Map<String, Value>, key: &[&str], value: Value) {
    match key {
        [] => {}
        [last] => drop(into.insert((*last).to_owned(), value)),
        [first, rest @ ..] => {
            let group = into.entry((*first).to_owned()).or_insert_with(|| json!({}));
            match group.as_object_mut() {
                Some(group) => insert(group, rest, value),
                // A value and a group under one name: the key stays as it was recorded.
                None => drop(into.insert(key.join("."), value)),
            }
        }
    }
}

/// The labels of a model, in class order, as `labels.json` has them.
pub(in crate::app) fn labels(names: &[String]) -> Map<String, Value> {
    let ids = || (0_usize..).zip(names);
    let id2label: Map<String, Value> = ids().map(|(i, n)| (i.to_string(), json!(n))).collect();
    let label2id: Map<String, Value> = ids().map(|(i, n)| (n.clone(), json!(i))).collect();
    let all =
        [("label2id", json!(label2id)), ("id2label", json!(id2label)), ("classes", json!(names))];
    all.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
}

/// A value as JSON; counts have no decimals.
fn number(name: &str, value: f64) -> Value {
    if is_count(name, value) { json!(value as u64) } else { json!(value) }
}

/// The rows read from a file; none of a file that only a script read.
pub(super) fn rows_read(file: &DataFile) -> Option<u64> {
    Some(file.rows).filter(|rows| *rows > 0)
}

/// What was trained, on what, where, for how long and how well. What nobody measured or stated is
/// left out.
pub(in crate::app) fn training_info(record: &Record<'_>) -> Value {
    let started = record.started;
    let (data, environment) = (&started.data, &started.environment);
    let files = data.files.iter().map(|file| {
        let mut entry = json!({
            "path": file.path, "rows": rows_read(file), "bytes": file.bytes, "blake3": file.digest
        });
        if let Some(sha256) = file.sha256 {
            entry["sha256"] = json!(sha256);
        }
        entry
    });
    let mut info = json!({
        "experiment_id": started.experiment_id,
        "experiment_name": started.name,
        "run_id": started.run,
        "config": started.config_name,
        "config_digest": started.config,
        "data_files": files.collect::<Vec<_>>(),
        "data_digests": data.files.iter().map(|file| file.digest).collect::<Vec<_>>(),
        "synthetic_data": record.synthetic,
        "seed": record.seed,
        "trainer": started.trainer,
        "num_classes": data.labels.len(),
        "classes": data.labels,
    });
    let mut put = |key: &str, value: Value| {
        info[key] = value;
    };
    if !environment.device.is_empty() {
        put("device", json!(environment.device));
    }
    if environment.threads > 0 {
        put("threads", json!(environment.threads));
    }
    if let Some(git) = &environment.git {
        put("git_commit", json!(git.commit));
        put("git_branch", json!(git.branch));
        put("git_dirty", json!(git.dirty));
    }
    if let Some(provenance) = record.provenance {
        put("evidence", json!(provenance.word()));
    }
    for (key, value) in &record.measured {
        put(key, value.clone());
    }
    let Some(finished) = record.finished else { return info };
    put("training_time_seconds", json!(finished.duration_seconds));
    put("training_time_minutes", json!(finished.duration_seconds / 60.0));
    for (key, count) in [("steps", finished.steps), ("epochs", finished.epochs.into())] {
        if count > 0 {
            put(key, json!(count));
        }
    }
    if let Some(best) = &finished.best {
        put("best_epoch", json!(best.epoch));
        put("chosen_by", json!(format!("{} on valid", best.metric)));
    }
    if let Some(count) = finished.parameter_count {
        put("parameters", json!(count));
    }
    if let Some(weights) = finished.weights {
        put("weights", json!(weights));
        put("weights_bytes", json!(finished.model_bytes));
    }
    if let Some(rate) = finished.rows_per_second {
        put("rows_per_second", json!(rate));
    }
    put("metrics", metrics(finished, Some(Split::Test)));
    let measured = |split: Option<Split>| finished.metrics.iter().any(|m| m.key.split == split);
    if measured(None) {
        put("metrics_without_split", metrics(finished, None));
    }
    let splits = Split::ALL.into_iter().filter(|split| measured(Some(*split)));
    let splits = splits.map(|split| {
        let found = finished.evaluations.iter().find(|evaluation| evaluation.split == split);
        let scores = json!({
            "rows": found.map(|evaluation| evaluation.rows),
            "metrics": metrics(finished, Some(split)),
            "confusion": found.map(|evaluation| &evaluation.confusion),
        });
        (split.word().to_owned(), scores)
    });
    let splits: Map<String, Value> = splits.collect();
    put("evaluations", Value::Object(splits));
    info
}

/// The final values of one split, by name.
fn metrics(finished: &RunFinished, split: Option<Split>) -> Value {
    let of_split = finished.metrics.iter().filter(|metric| metric.key.split == split);
    let named = of_split.map(|m| (m.key.name.clone(), number(&m.key.name, m.value)));
    Value::Object(named.collect())
}

pub(in crate::app) fn pretty(value: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
