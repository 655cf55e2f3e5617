//! What the layout `training-output` has beside runs and models (W-2): their logs in one folder,
//! those of models in production under the models' names, a summary of each such model, how to
//! reproduce them, and each model under the name of a file.
//!
//! The metric is the version: a model is called `<model type>_v<auc>`, by `roc_auc` or `auc` on
//! the test rows, else on the valid ones; with several labels that is the mean over the labels.
//! Where no run told one, and where people chose a name, the name is what it is and the summary
//! says how good the model is by every metric there is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::{Content, Document, ExportFacts};
use crate::base::markdown::{escape, paragraph};
use crate::base::{Digest, RunId, Split, Timestamp, counted, is_bound, is_count};
use crate::projection::registry::ModelRow;
use crate::projection::runs::RunDetails;
use crate::projection::{Snapshot, ViewError};

/// Name of the artifact that is a run's log.
const LOG: &str = "log";

/// Where the layout `training-output` has what belongs to training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingOutputFiles {
    /// The folder, relative to the workspace.
    pub training: String,
}

/// The log of a run that lies by itself, neither packed nor a production model's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandaloneLog {
    /// The run.
    pub run: RunId,
    /// The run's unique name.
    pub experiment_id: String,
    /// The log's name: `<model type>_training_<date>_<time>.log`.
    pub name: String,
    /// Its bytes.
    pub digest: Digest,
    /// When the run ended.
    pub ended: Timestamp,
}

/// The name of a configuration as part of the name of a file.
pub fn plain(model: &str) -> String {
    model.replace(|c: char| !c.is_alphanumeric() && c != '_' && c != '-', "_")
}

/// The logs of runs that lie by themselves, in the order in which the runs began.
///
/// # Errors
/// When the views cannot be read.
pub fn loose_logs(views: &Snapshot) -> Result<Vec<StandaloneLog>, ViewError> {
    let (runs, models) = (views.run_details()?, views.production()?);
    Logs::of(&runs, &models, views).map(|logs| logs.loose)
}

/// Every document of the layout.
pub(super) fn documents(
    facts: &ExportFacts,
    views: &Snapshot,
    guide: &TrainingOutputFiles,
) -> Result<Vec<Document>, ViewError> {
    let training = &guide.training;
    let logs = Logs::of(&facts.runs, &facts.models, views)?;
    let log = |name: &str, digest| Document {
        path: format!("{training}/logs/{name}"),
        content: Content::Blob(digest),
    };
    let mut all: Vec<Document> = Vec::new();
    all.extend(logs.loose.iter().map(|loose| log(&loose.name, loose.digest)));
    all.extend(logs.canonical.iter().map(|(name, digest)| log(name, *digest)));
    for (name, digest) in packs(views)? {
        let path = format!("{training}/experiments/archived/{name}");
        all.push(Document { path, content: Content::Blob(digest) });
    }
    for model in &facts.models {
        let Some(run) = facts.run_named(model.run()) else { continue };
        let trainer = views.actor(run.actor)?;
        let text = summary(model, run, &trainer);
        let path = format!("{training}/results/{}_summary.md", model.name);
        all.push(Document { path, content: Content::Text(text.into_bytes()) });
        all.extend(link(model, &facts.models));
    }
    let text = reproducibility(facts);
    let path = format!("{training}/results/REPRODUCIBILITY.md");
    all.push(Document { path, content: Content::Text(text.into_bytes()) });
    Ok(all)
}

/// The packs by name; one of many runs is told by several events.
fn packs(views: &Snapshot) -> Result<BTreeMap<String, Digest>, ViewError> {
    Ok(views.log_packs()?.into_iter().map(|pack| (pack.name.clone(), pack.digest())).collect())
}

/// The model as one file, as the guide has it: its weights lie in the model's folder.
fn link(model: &ModelRow, models: &[ModelRow]) -> Option<Document> {
    let weights = |path: &&str| path.strip_prefix("model.").is_some_and(|end| !end.contains('/'));
    let weights = model.files.iter().map(|(path, ..)| path.as_str()).find(weights)?;
    let path = format!("{}.{}", model.path, weights.strip_prefix("model.")?);
    let folder = model.path.rsplit('/').next()?;
    // Another model may be called like a file.
    let free = models.iter().all(|other| other.path != path);
    free.then(|| Document { path, content: Content::Link(format!("{folder}/{weights}")) })
}

struct Logs {
    loose: Vec<StandaloneLog>,
    canonical: Vec<(String, Digest)>,
}

impl Logs {
    fn of(runs: &[RunDetails], models: &[ModelRow], views: &Snapshot) -> Result<Self, ViewError> {
        // In the order in which they began: a name once given stays, whatever else goes.
        let mut runs: Vec<&RunDetails> = runs.iter().collect();
        runs.sort_by_key(|run| run.started_position);
        let rows = views.log_packs()?;
        let packed: BTreeSet<[u8; 16]> = rows.iter().flat_map(|row| row.runs.clone()).collect();
        let promoted: BTreeSet<[u8; 16]> = models.iter().map(|model| model.run).collect();
        let mut taken = BTreeSet::new();
        let mut loose = Vec::new();
        for run in &runs {
            let began = Timestamp(run.started).compact();
            let stem = format!("{}_training_{began}", plain(&run.config_name));
            let name = free(&mut taken, &stem);
            let (Some(digest), Some(ended)) = (log_of(run), run.ended) else { continue };
            if run.deleted.is_none() && !packed.contains(&run.id) && !promoted.contains(&run.id) {
                let (id, experiment_id) = (run.run(), run.experiment_id.clone());
                let ended = Timestamp(ended);
                loose.push(StandaloneLog { run: id, experiment_id, name, digest, ended });
            }
        }
        let mut canonical = Vec::new();
        for model in models {
            let run = runs.iter().find(|run| run.id == model.run);
            if let Some((run, digest)) = run.and_then(|run| Some((run, log_of(run)?))) {
                let date = format!("_{}", Timestamp(run.started).date().replace('-', ""));
                let stem = model.name.strip_suffix(&date).unwrap_or(&model.name);
                canonical.push((free(&mut taken, &format!("{stem}{date}")), digest));
            }
        }
        Ok(Self { loose, canonical })
    }
}

fn log_of(run: &RunDetails) -> Option<Digest> {
    let (_, _, digest, _) = run.artifacts.iter().find(|(name, ..)| name == LOG)?;
    digest.parse().ok()
}

/// The first free of `stem.log`, `stem_2.log` and so on.
fn free(taken: &mut BTreeSet<String>, stem: &str) -> String {
    let numbered = (2_u64..).map(|number| format!("{stem}_{number}.log"));
    let mut names = std::iter::once(format!("{stem}.log")).chain(numbered);
    let name = names.find(|name| !taken.contains(name)).unwrap_or_default();
    taken.insert(name.clone());
    name
}

fn summary(model: &ModelRow, run: &RunDetails, trainer: &str) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_facts(&mut text, model, run, trainer);
    let _ = write_results(&mut text, run);
    let _ = write_steps(&mut text, model, run);
    text
}

fn write_facts(
    text: &mut String,
    model: &ModelRow,
    run: &RunDetails,
    trainer: &str,
) -> std::fmt::Result {
    writeln!(text, "# {}\n", escape(&model.name))?;
    if run.synthetic {
        writeln!(text, "**Trained on generated data. Not evidence of anything; not for use.**\n")?;
    }
    if !run.description.is_empty() {
        writeln!(text, "{}\n", paragraph(&run.description))?;
    }
    writeln!(text, "| | |\n|---|---|")?;
    let version = format!("{} (number {})", model.version, model.number);
    writeln!(text, "| version | {version} |")?;
    let promoted = Timestamp(model.promoted).human();
    writeln!(text, "| promoted | {promoted} UTC, event {} |", model.position)?;
    let placed = &model.placed;
    let since = Timestamp(placed.at).human();
    let how = format!("{}, event {}", placed.how.word(), placed.position);
    writeln!(text, "| in production since | {since} UTC ({how}) |")?;
    writeln!(text, "| files | {}/ |", model.path)?;
    writeln!(text, "| approved by | {} |", escape(&model.approvers.join(", ")))?;
    writeln!(text, "| run | {} ({}) |", run.experiment_id, run.run())?;
    let began = Timestamp(run.started).human();
    writeln!(text, "| trained by | {}, {began} UTC |", escape(trainer))?;
    if let Some(seconds) = run.duration_seconds {
        writeln!(text, "| took | {seconds:.1} s |")?;
    }
    writeln!(text, "| configuration | {} (blake3 {}) |", run.config_name, run.config_digest)?;
    writeln!(text, "| seed | {} |", run.shown_seed())?;
    let data = Digest(run.data);
    writeln!(text, "| data (blake3 over the digests of all data files) | {data} |")?;
    for (split, rows) in &run.rows {
        writeln!(text, "| rows of {} | {rows} |", split.word())?;
    }
    writeln!(text, "| leaked rows | {} |", run.shown_leaked_rows())?;
    writeln!(text, "| labels | {} |", escape(&run.labels.join(", ")))?;
    if let Some(count) = run.parameter_count {
        writeln!(text, "| weights, number | {count} |")?;
    }
    if let Some(weights) = &run.weights {
        writeln!(text, "| weights (blake3) | {weights} |")?;
    }
    if let Some(provenance) = run.provenance {
        writeln!(text, "| scores came from | {} |", provenance.word())?;
    }
    writeln!(text, "| reproduced | {} |", reproduced(run))?;
    writeln!(text, "\n## Parameters\n\n| parameter | value |\n|---|---|")?;
    for (key, value) in &run.parameters {
        writeln!(text, "| {} | {} |", escape(key), escape(value))?;
    }
    Ok(())
}

fn reproduced(run: &RunDetails) -> String {
    let equal = run.reproductions.iter().filter(|(_, equal)| *equal).count();
    match run.reproductions.len() {
        0 => "not yet".to_owned(),
        all => format!("{equal} of {all} times bit for bit"),
    }
}

fn write_results(text: &mut String, run: &RunDetails) -> std::fmt::Result {
    writeln!(text, "\n## Results\n\n| split | metric | value |\n|---|---|---|")?;
    for metric in run.metrics.iter().filter(|metric| !is_bound(&metric.key.name)) {
        let (name, split) = (&metric.key.name, metric.key.split.map_or("none", Split::word));
        let value = match is_count(name, metric.value) {
            true => format!("{:.0}", metric.value),
            false => format!("{:.4}", metric.value),
        };
        writeln!(text, "| {split} | {} | {value} |", escape(name))?;
    }
    for evaluation in run.evaluations.iter().filter(|found| !found.classes.is_empty()) {
        let split = evaluation.split.word();
        writeln!(text, "\n### Labels on {split}, {}\n", counted(evaluation.rows, "row"))?;
        writeln!(text, "| label | precision | recall | F1 | rows |\n|---|---|---|---|---|")?;
        for class in &evaluation.classes {
            let (label, support) = (escape(&class.label), class.support);
            let scores = [class.precision, class.recall, class.f1].map(|s| format!("{s:.4}"));
            writeln!(text, "| {label} | {} | {support} |", scores.join(" | "))?;
        }
    }
    Ok(())
}

fn write_steps(text: &mut String, model: &ModelRow, run: &RunDetails) -> std::fmt::Result {
    let (name, id) = (&model.name, &run.experiment_id);
    let steps = [
        (format!("annals why {name}"), "the code, data, settings and environment it came from"),
        ("annals verify".to_owned(), "that the record is whole"),
        (format!("annals reproduce {id}"), "the same training once more, and whether it is equal"),
        (prediction(name, run), "the model at work"),
    ];
    writeln!(text, "\n## Steps to reproduce\n")?;
    for (number, (command, what)) in (1..).zip(steps) {
        writeln!(text, "{number}. `{command}`: {what}")?;
    }
    Ok(())
}

/// The command that asks the model, by what it takes.
fn prediction(name: &str, run: &RunDetails) -> String {
    // Series of numbers are scaled; texts are not.
    let takes_series = run.artifacts.iter().any(|(what, ..)| what == "scaler");
    let what = if takes_series { "--file SERIES" } else { "\"a text\"" };
    format!("annals predict {name} {what}")
}

fn reproducibility(facts: &ExportFacts) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_reproducibility(&mut text, facts);
    text
}

fn write_reproducibility(text: &mut String, facts: &ExportFacts) -> std::fmt::Result {
    writeln!(text, "# Reproducibility of {}\n", facts.project)?;
    writeln!(
        text,
        "Each model below is what its run left, byte for byte. The same settings, rows, seed, \
         program and kind of machine give the same weights; `annals reproduce RUN` shows it, and \
         the answer is in the log. What a run began from is shown by `annals why MODEL`.\n"
    )?;
    if facts.models.is_empty() {
        return writeln!(text, "No model is in production.");
    }
    writeln!(text, "| model | run | settings | data | seed | weights | reproduced |")?;
    writeln!(text, "|---|---|---|---|---|---|---|")?;
    let short = |digest: &str| digest.get(..12).unwrap_or(digest).to_owned();
    for model in &facts.models {
        let Some(run) = facts.run_named(model.run()) else { continue };
        let (config, data) = (short(&run.config_digest), short(&Digest(run.data).to_string()));
        let weights = run.weights.as_deref().map(short).unwrap_or_default();
        let (name, id, seed) = (&model.name, &run.experiment_id, run.shown_seed());
        let again = reproduced(run);
        let name = escape(name);
        writeln!(text, "| {name} | {id} | {config} | {data} | {seed} | {weights} | {again} |")?;
    }
    Ok(())
}
