//! The model card: what a person must know before using a model, from the record alone. Runs of
//! networks, of classical baselines, of scripts and ensembles have one shape; what nobody stated
//! or measured is said to be so.

use std::fmt::{Result, Write as _};

use serde_json::Value;

use crate::app::models::model_files::{BASELINE, INFERENCE_MS, Production, Record, rows_read};
use crate::app::runs::train::ensemble;
use crate::base::markdown::{escape, paragraph};
use crate::base::{Split, counted, is_bound, is_count};
use crate::domain::Provenance;
use crate::domain::metric::{ClassScore, Evaluation, FinalMetric};
use crate::domain::run::{self, RunFinished};
use crate::model::settings;
use crate::train::metric::NAMES;

/// Labels up to which the confusion matrix is a table.
const CONFUSION_LABELS_MAX: usize = 20;
const NOT_STATED: &str = "Not stated.";
/// What scores of one label are called before its name.
const OF_LABEL: [&str; 4] = ["precision_", "recall_", "f1_", "support_"];

/// The card, in Markdown; `production` is none for a run that is not promoted.
pub(in crate::app) fn model_card(record: &Record<'_>, production: Option<&Production>) -> String {
    let mut card = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut card, record, production);
    card
}

fn write(card: &mut String, record: &Record<'_>, production: Option<&Production>) -> Result {
    let started = record.started;
    let name = production.map_or(&started.name, |production| &production.name);
    writeln!(card, "# {}\n", escape(name))?;
    if started.data.synthetic.is_some() {
        writeln!(card, "**Trained on generated data. Not evidence of anything; not for use.**\n")?;
    }
    if !started.description.is_empty() {
        writeln!(card, "{}\n", paragraph(&started.description))?;
    }
    model(card, record, production)?;
    let stated = |text: Option<&String>| text.map_or(NOT_STATED.to_owned(), |text| paragraph(text));
    let intended = production.and_then(|production| production.intended_use.as_ref());
    let limits = production.and_then(|production| production.limits.as_ref());
    writeln!(card, "## Intended use\n\n{}\n", stated(intended))?;
    writeln!(card, "## Limits\n\n{}\n", stated(limits))?;
    data(card, record)?;
    let evaluations = record.finished.map_or(&[][..], |finished| &finished.evaluations);
    let evaluation = [Split::Test, Split::Valid]
        .into_iter()
        .find_map(|split| evaluations.iter().find(|evaluation| evaluation.split == split));
    scores(card, record.finished, evaluation)?;
    match evaluation {
        Some(evaluation) => {
            labels(card, evaluation)?;
            confusion(card, evaluation)?;
        }
        None => writeln!(card, "## Labels\n\nNot measured by label.\n")?,
    }
    baseline(card, record)?;
    approval(card, production)?;
    loading(card, record, production)
}

/// One row of a table of facts; the value is escaped.
fn fact(card: &mut String, what: &str, value: &str) -> Result {
    writeln!(card, "| {what} | {} |", escape(value))
}

fn model(card: &mut String, record: &Record<'_>, production: Option<&Production>) -> Result {
    let started = record.started;
    let environment = &started.environment;
    writeln!(card, "## Model\n\n| | |\n|---|---|")?;
    fact(
        card,
        "version",
        &match production {
            Some(p) => format!("{} (number {} of {})", p.version, p.number, p.name),
            None => "not in production when this card was written".to_owned(),
        },
    )?;
    let title = settings::architecture(&started.parameters).and_then(settings::title);
    let is_ensemble = record.artifacts.iter().any(|name| name == ensemble::ARTIFACT);
    let title = title.or(is_ensemble.then_some("ensemble: mean of the probabilities"));
    fact(card, "architecture", title.unwrap_or("not stated"))?;
    let config = format!("{} (blake3 {})", started.config_name, started.config);
    fact(card, "configuration", &config)?;
    let count = record.finished.and_then(|finished| finished.parameter_count);
    let count = count.map_or("not stated".to_owned(), |count| count.to_string());
    fact(card, "parameters", &count)?;
    let weights = record.finished.and_then(|finished| finished.weights);
    let weights = weights.map_or("none kept".to_owned(), |digest| digest.to_string());
    fact(card, "weights (blake3)", &weights)?;
    fact(card, "run", &format!("{} ({})", started.experiment_id, started.run))?;
    let when = record.began.map_or(String::new(), |at| format!(", {} UTC", at.human()));
    fact(card, "trained by", &format!("{}{when}", record.trainer))?;
    fact(card, "trainer", &started.trainer)?;
    let accelerators = match environment.accelerators.as_slice() {
        [] => String::new(),
        some => format!(" ({})", some.join(", ")),
    };
    let device =
        if environment.device.is_empty() { run::NOT_STATED } else { environment.device.as_str() };
    fact(card, "device", &format!("{device}{accelerators}"))?;
    if let Some(finished) = record.finished {
        fact(card, "training time", &format!("{:.1} s", finished.duration_seconds))?;
    }
    let inference = record.measured.get(INFERENCE_MS).and_then(Value::as_f64);
    let inference = inference.map_or("not measured".to_owned(), |ms| {
        format!("{ms:.3} ms for one row, mean over the test rows in batches")
    });
    fact(card, "inference time", &inference)?;
    fact(
        card,
        "code",
        &match &environment.git {
            Some(git) => {
                let branch = git.branch.as_ref().map_or(String::new(), |b| format!(" on {b}"));
                let dirty = if git.dirty { ", with uncommitted changes" } else { "" };
                format!("commit {}{branch}{dirty}", git.commit)
            }
            None => "not recorded".to_owned(),
        },
    )?;
    let seed = record.seed.map_or("not stated".to_owned(), |seed| seed.to_string());
    fact(card, "seed", &seed)?;
    let weights = settings::class_weights(&started.parameters).unwrap_or(run::NOT_STATED);
    fact(card, "class weights", weights.trim_matches('"'))?;
    let best = record.finished.and_then(|finished| Some((finished, finished.best.as_ref()?)));
    fact(
        card,
        "chosen by",
        &match best {
            Some((finished, best)) => format!(
                "{} on valid, epoch {} of {}",
                best.metric,
                best.epoch,
                finished.epochs.max(best.epoch)
            ),
            None => "not stated".to_owned(),
        },
    )?;
    let provenance = record.provenance.map_or("not stated", Provenance::word);
    fact(card, "source of the scores", provenance)?;
    writeln!(card)
}

fn data(card: &mut String, record: &Record<'_>) -> Result {
    let data = &record.started.data;
    writeln!(card, "## Data\n")?;
    if let Some(synthetic) = &data.synthetic {
        let generator = escape(&synthetic.generator);
        match synthetic.rows {
            0 => writeln!(card, "Generated by {generator}; the number of rows is not stated.\n")?,
            rows => writeln!(card, "{} generated by {generator}.\n", counted(rows, "row"))?,
        }
    }
    if data.files.is_empty() && data.synthetic.is_none() {
        writeln!(card, "{NOT_STATED}\n")?;
    }
    if !data.files.is_empty() {
        // Of files of old days SHA-256 was not recorded.
        let both = data.files.iter().any(|file| file.sha256.is_some());
        let (head, line) = if both { (" sha256 |", "---|") } else { ("", "") };
        writeln!(card, "| file | rows | bytes | blake3 of the file's bytes |{head}")?;
        writeln!(card, "|---|---|---|---|{line}")?;
        for file in &data.files {
            let (path, digest) = (escape(&file.path), file.digest);
            let rows = rows_read(file).map_or(run::NOT_STATED.to_owned(), |rows| rows.to_string());
            write!(card, "| {path} | {rows} | {} | {digest} |", file.bytes)?;
            match file.sha256 {
                Some(sha256) => writeln!(card, " {sha256} |")?,
                None if both => writeln!(card, " not recorded |")?,
                None => writeln!(card)?,
            }
        }
        match record.began {
            Some(at) => writeln!(card, "\nRead on {} UTC.\n", at.human())?,
            None => writeln!(card)?,
        }
    }
    writeln!(card, "| | |\n|---|---|")?;
    for split in &data.splits {
        let labels = data.labels.iter().zip(&split.per_label);
        let labels: Vec<String> = labels.map(|(label, rows)| format!("{label} {rows}")).collect();
        let labels =
            if labels.is_empty() { String::new() } else { format!(": {}", labels.join(", ")) };
        fact(card, &format!("rows of {}", split.split.word()), &format!("{}{labels}", split.rows))?;
    }
    let rule = if data.split_rule.is_empty() { "not stated" } else { &data.split_rule };
    fact(card, "split", rule)?;
    let labels = data.labels.join(", ");
    fact(card, "labels", if labels.is_empty() { "not stated" } else { &labels })?;
    if !data.splits.is_empty() {
        let what = "the rows as the model read them, after the split";
        fact(card, "prepared rows (blake3)", &format!("{} ({what})", data.prepared))?;
    }
    let leaked = record
        .leaked_rows
        .map_or("not stated".to_owned(), |rows| format!("{rows} of valid and test repeat train"));
    fact(card, "leaked rows", &leaked)?;
    let origin = match record.synthetic {
        Some(true) => "generated",
        Some(false) => "real",
        None => "not stated",
    };
    fact(card, "origin", origin)?;
    let near = record.report.get("nearly_repeated").and_then(Value::as_array);
    let near = near.map_or("not measured".to_owned(), |rows| {
        format!("{} of valid and test nearly repeat train", rows.len())
    });
    fact(card, "near-duplicate rows", &near)?;
    writeln!(card)
}

/// Whether it is one label's score, which the table of labels shows.
fn of_one_label(name: &str, evaluation: Option<&Evaluation>) -> bool {
    evaluation.is_some_and(|evaluation| !evaluation.classes.is_empty())
        && OF_LABEL.iter().any(|prefix| name.starts_with(prefix))
        && !NAMES.contains(&name)
}

fn scores(
    card: &mut String,
    finished: Option<&RunFinished>,
    evaluation: Option<&Evaluation>,
) -> Result {
    writeln!(card, "## Scores\n")?;
    let all = finished.map_or(&[][..], |finished| &finished.metrics);
    if all.is_empty() {
        return writeln!(card, "Not measured.\n");
    }
    writeln!(card, "| split | metric | value | 95 % interval |\n|---|---|---|---|")?;
    for split in [Some(Split::Test), None, Some(Split::Valid), Some(Split::Train)] {
        let of_split = |metric: &&FinalMetric| metric.key.split == split;
        let shown = all.iter().filter(of_split).filter(|metric| {
            let name = &metric.key.name;
            !is_bound(name) && !of_one_label(name, evaluation)
        });
        for metric in shown {
            let name = &metric.key.name;
            let bound = |end: &str| {
                let bound = format!("{name}.{end}");
                all.iter().filter(of_split).find(|m| m.key.name == bound).map(|m| m.value)
            };
            let interval = bound("ci_low").zip(bound("ci_high"));
            let interval = interval.map(|(low, high)| format!("{low:.4} to {high:.4}"));
            let value = match is_count(name, metric.value) {
                true => format!("{:.0}", metric.value),
                false => format!("{:.4}", metric.value),
            };
            let (split, interval) =
                (split.map_or("none", Split::word), interval.unwrap_or_default());
            writeln!(card, "| {split} | {} | {value} | {interval} |", escape(name))?;
        }
    }
    writeln!(card)
}

fn labels(card: &mut String, evaluation: &Evaluation) -> Result {
    if evaluation.classes.is_empty() {
        return writeln!(card, "## Labels\n\nNot measured by label.\n");
    }
    let (split, rows) = (evaluation.split.word(), evaluation.rows);
    writeln!(card, "## Labels\n\nOn {split}, {}:\n", counted(rows, "row"))?;
    writeln!(card, "| label | precision | recall | F1 | rows |\n|---|---|---|---|---|")?;
    for class in &evaluation.classes {
        let ClassScore { label, precision, recall, f1, support } = class;
        let label = escape(label);
        writeln!(card, "| {label} | {precision:.4} | {recall:.4} | {f1:.4} | {support} |")?;
    }
    let weakest = evaluation.classes.iter().filter(|class| class.support > 0);
    if let Some(weakest) = weakest.min_by(|a, b| a.f1.total_cmp(&b.f1)) {
        let ClassScore { label, precision, recall, f1, support } = weakest;
        let label = escape(label);
        writeln!(
            card,
            "\nWeakest label: {label}, F1 {f1:.4} (precision {precision:.4}, recall {recall:.4}, \
             {}).",
            counted(*support, "row")
        )?;
    }
    let absent = evaluation.classes.iter().filter(|class| class.support == 0);
    let absent: Vec<String> = absent.map(|class| escape(&class.label)).collect();
    if !absent.is_empty() {
        writeln!(card, "\nWithout any row of {split}: {}.", absent.join(", "))?;
    }
    writeln!(card)
}

fn confusion(card: &mut String, evaluation: &Evaluation) -> Result {
    let (matrix, classes) = (&evaluation.confusion, &evaluation.classes);
    if matrix.is_empty() || matrix.len() != classes.len() {
        return Ok(());
    }
    writeln!(card, "### Confusion\n")?;
    if matrix.len() > CONFUSION_LABELS_MAX {
        return writeln!(card, "{} labels: the matrix is in training_info.json.\n", matrix.len());
    }
    let names: Vec<String> = classes.iter().map(|class| escape(&class.label)).collect();
    writeln!(card, "| label \\ predicted as | {} |", names.join(" | "))?;
    writeln!(card, "|---|{}", "---|".repeat(names.len()))?;
    for (name, row) in names.iter().zip(matrix) {
        let cells: Vec<String> = row.iter().map(u64::to_string).collect();
        writeln!(card, "| {name} | {} |", cells.join(" | "))?;
    }
    writeln!(card)
}

fn baseline(card: &mut String, record: &Record<'_>) -> Result {
    writeln!(card, "## Comparison with the baseline\n")?;
    let found = record.measured.get(BASELINE).filter(|found| found.is_object());
    let Some(found) = found else {
        return writeln!(card, "Not measured.\n");
    };
    writeln!(card, "TF-IDF with logistic regression, trained on the same rows, on test:\n")?;
    writeln!(card, "| metric | baseline | this model |\n|---|---|---|")?;
    let all = record.finished.map_or(&[][..], |finished| &finished.metrics);
    for name in ["accuracy", "f1_macro"] {
        let own = |m: &&FinalMetric| m.key.name == name && m.key.split == Some(Split::Test);
        let own = all.iter().find(own).map(|m| m.value);
        let text = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.4}"));
        let theirs = found.get(name).and_then(Value::as_f64);
        writeln!(card, "| {name} | {} | {} |", text(theirs), text(own))?;
    }
    writeln!(card)
}

fn approval(card: &mut String, production: Option<&Production>) -> Result {
    writeln!(card, "## Approval\n")?;
    let Some(production) = production else {
        return writeln!(card, "Not promoted when this card was written.\n");
    };
    writeln!(card, "| | |\n|---|---|")?;
    fact(card, "promoted by", &production.promoter)?;
    let approvals = match production.approvals.as_slice() {
        [] => "nobody: the rules require no approval".to_owned(),
        some => some.join(", "),
    };
    fact(card, "approved by", &approvals)?;
    fact(card, "reason", production.reason.as_deref().unwrap_or("not stated"))?;
    fact(card, "rules", &format!("revision {}", production.policy_revision))?;
    writeln!(card, "\n| rule | required | found | met |\n|---|---|---|---|")?;
    for rule in &production.rules {
        let (name, required, found) =
            (escape(&rule.rule), escape(&rule.required), escape(&rule.found));
        let met = if rule.passed { "yes" } else { "no" };
        writeln!(card, "| {name} | {required} | {found} | {met} |")?;
    }
    writeln!(card)
}

fn loading(card: &mut String, record: &Record<'_>, production: Option<&Production>) -> Result {
    let name = production.map_or(&record.started.experiment_id, |production| &production.name);
    let has = |artifact: &str| record.artifacts.iter().any(|name| name == artifact);
    writeln!(card, "## How to load\n")?;
    let known = settings::architecture(&record.started.parameters).and_then(settings::title);
    if known.is_none() && !has(ensemble::ARTIFACT) {
        let trainer = escape(&record.started.trainer);
        return writeln!(
            card,
            "The files are those of another trainer ({trainer}): load them with the program that \
             wrote them. `annals why {name}` shows where they came from."
        );
    }
    let ask = match has("scaler") {
        true => format!("annals predict {name} --file SERIES"),
        false => format!("annals predict {name} \"a text\""),
    };
    writeln!(card, "```sh\n{ask}\n```")?;
    if has("config.json") {
        writeln!(
            card,
            "\n```python\nfrom transformers import AutoModelForSequenceClassification, \
             AutoTokenizer\n\nmodel = AutoModelForSequenceClassification.from_pretrained(\".\")\n\
             tokenizer = AutoTokenizer.from_pretrained(\".\")\n```"
        )?;
    } else if has("vectorizer") {
        writeln!(
            card,
            "\n`vectorizer.json` holds the terms and their weights, `model.safetensors` the \
             coefficients of each label."
        )?;
    } else if has(ensemble::ARTIFACT) {
        writeln!(
            card,
            "\n`members/<n>/` holds the files of each member, `ensemble.json` the list."
        )?;
    }
    writeln!(
        card,
        "\n`annals why {name}` shows where it came from; `labels.json` lists the labels."
    )
}
