//! The papers of a production model that its run did not write itself, made from the record alone:
//! `config.json`, `labels.json`, `training_info.json` and the model card.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::base::Split;
use crate::domain::run::{NOT_STATED, RunStarted, RunState, Unstated};

/// Every paper by its file name; the caller leaves out those that the run wrote.
pub(super) fn papers(
    run: &RunState,
    started: Option<&RunStarted>,
    name: &str,
) -> Vec<(&'static str, Vec<u8>)> {
    let Some(started) = started else { return vec![] };
    let mut papers = vec![
        ("config.json", pretty(&config(started))),
        ("training_info.json", pretty(&training_info(run, started))),
        ("README.md", model_card(run, started, name).into_bytes()),
    ];
    if !run.labels.is_empty() {
        papers.push(("labels.json", pretty(&labels(&run.labels))));
    }
    papers
}

/// The settings as they were recorded, with their groups.
fn config(started: &RunStarted) -> Value {
    let mut root = Map::new();
    root.insert("name".into(), json!(started.config_name));
    root.insert("digest".into(), json!(started.config));
    for (key, text) in &started.parameters {
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

fn labels(names: &[String]) -> Value {
    let ids = || (0_usize..).zip(names);
    let id2label: Map<String, Value> = ids().map(|(i, n)| (i.to_string(), json!(n))).collect();
    let label2id: Map<String, Value> = ids().map(|(i, n)| (n.clone(), json!(i))).collect();
    json!({ "label2id": label2id, "id2label": id2label, "classes": names })
}

fn training_info(run: &RunState, started: &RunStarted) -> Value {
    let mut metrics: Map<String, Value> = Map::new();
    for metric in &run.metrics {
        let split = metric.key.split.map_or("run", Split::word);
        let group = metrics.entry(split.to_owned()).or_insert_with(|| json!({}));
        group[&metric.key.name] = json!(metric.value);
    }
    json!({
        "experiment_id": run.experiment_id,
        "experiment_name": started.name,
        "run_id": started.run,
        "config": started.config_name,
        "config_digest": started.config,
        "data_digests": started.data.files.iter().map(|file| file.digest).collect::<Vec<_>>(),
        "synthetic_data": run.origin_known().then_some(run.synthetic),
        "seed": run.stated(Unstated::Seed).then_some(started.seed),
        "trainer": started.trainer,
        "classes": started.data.labels,
        "weights": run.artifacts.get("weights").map(|weights| weights.digest),
        "evidence": run.provenance.map(crate::domain::Provenance::word),
        "metrics": metrics,
    })
}

fn model_card(run: &RunState, started: &RunStarted, name: &str) -> String {
    let mut card = String::new();
    // Writing to a String cannot fail.
    let _ = write_card(&mut card, run, started, name);
    card
}

fn write_card(
    card: &mut String,
    run: &RunState,
    started: &RunStarted,
    name: &str,
) -> std::fmt::Result {
    writeln!(card, "# {name}\n")?;
    if started.data.synthetic.is_some() {
        writeln!(card, "**Trained on generated data. Not evidence of anything; not for use.**\n")?;
    }
    if !started.description.is_empty() {
        writeln!(card, "{}\n", started.description)?;
    }
    writeln!(card, "| | |\n|---|---|\n| run | {} ({}) |", run.experiment_id, started.run)?;
    writeln!(
        card,
        "| configuration | {} |\n| trainer | {} |",
        started.config_name, started.trainer
    )?;
    for file in &started.data.files {
        writeln!(card, "| data (blake3) | {} |", file.digest)?;
    }
    if let Some(weights) = run.artifacts.get("weights") {
        writeln!(card, "| weights (blake3) | {} |", weights.digest)?;
    }
    match run.stated(Unstated::Seed) {
        true => writeln!(card, "| seed | {} |", started.seed)?,
        false => writeln!(card, "| seed | {NOT_STATED} |")?,
    }
    if let Some(provenance) = run.provenance {
        writeln!(card, "| scores came from | {} |", provenance.word())?;
    }
    writeln!(card, "\n| split | metric | value |\n|---|---|---|")?;
    for metric in &run.metrics {
        let split = metric.key.split.map_or("", Split::word);
        writeln!(card, "| {split} | {} | {:.4} |", metric.key.name, metric.value)?;
    }
    Ok(())
}

fn pretty(value: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
