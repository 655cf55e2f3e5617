//! What matters where a missed case does harm: the critical class first, with counts, intervals
//! and the reasons why nothing may be concluded.

use schemars::JsonSchema;
use serde::Serialize;

use super::compare::{Score, score};
use crate::base::{Split, counted};
use crate::domain::Provenance;
use crate::domain::run::{Category, Unstated};
use crate::projection::runs::RunDetails;
use crate::stats::wilson;

/// Positives below which a recall is not worth a conclusion: its 95 % interval is wider than a
/// third.
pub const POSITIVES_MIN: u64 = 30;

/// Runs by the recall of the critical class.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Clinical {
    /// The critical class.
    pub class: String,
    /// Runs, best recall first.
    pub runs: Vec<ClinicalRun>,
    /// Runs that have no test scores of the class.
    pub without: Vec<String>,
}

/// One run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ClinicalRun {
    /// Its unique name.
    pub experiment_id: String,
    /// Rows of the critical class in the test split.
    pub positives: u64,
    /// Rows of it that the model missed.
    pub false_negatives: u64,
    /// Share of them that it found.
    pub recall: f64,
    /// Wilson's 95 % interval of the recall.
    pub recall_interval: (f64, f64),
    /// Share of those it named that are of the class.
    pub precision: f64,
    /// Rows it named that are not of the class.
    pub false_positives: Option<u64>,
    /// Size of the weights in bytes.
    pub model_bytes: Option<u64>,
    /// Each class: label, rows, missed rows, recall, precision, F1.
    pub disorders: Vec<Disorder>,
    /// Macro F1 with the clinical vocabulary, and without it on the same rows.
    pub vocabulary: Option<(f64, f64)>,
    /// How well the attention explains the answers.
    pub interpretability: Vec<Interpretability>,
    /// Calibration error.
    pub calibration: Option<Score>,
    /// Why nothing may be concluded from it; empty where something may.
    pub reservations: Vec<String>,
}

/// A score of how well the attention explains the answers (`ERASER`).
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Interpretability {
    /// `comprehensiveness` or `sufficiency`.
    pub name: &'static str,
    /// The score with the tokens that get most attention.
    pub value: f64,
    /// The same with as many tokens drawn at random: what any tokens would do.
    pub random: Option<f64>,
    /// What it means.
    pub meaning: &'static str,
}

impl Interpretability {
    const ALL: [(&'static str, &'static str); 2] = [
        (
            "comprehensiveness",
            "the drop in the predicted label's probability when the most attended tokens are \
             removed; higher is better, and it should be above the random baseline",
        ),
        (
            "sufficiency",
            "the drop in the predicted label's probability when only the most attended tokens \
             are kept; lower is better, and it should be below the random baseline",
        ),
    ];

    fn of(run: &RunDetails) -> Vec<Self> {
        let metric = |name: &str| run.metric(name, Split::Test);
        let one = |(name, meaning): (&'static str, &'static str)| {
            let (value, random) = (metric(name)?, metric(&format!("{name}_random")));
            Some(Self { name, value, random, meaning })
        };
        Self::ALL.into_iter().filter_map(one).collect()
    }

    /// As people read it.
    pub fn sentence(&self) -> String {
        let random = match self.random {
            Some(random) => format!("random baseline {random:.4}"),
            None => "no random baseline recorded".to_owned(),
        };
        format!("{} {:.4} ({random}): {}", self.name, self.value, self.meaning)
    }
}

/// One class of one run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Disorder {
    /// The label.
    pub label: String,
    /// Rows of it in the test split.
    pub rows: u64,
    /// Rows of it that the model missed.
    pub missed: u64,
    /// Found among those there.
    pub recall: f64,
    /// Right among those said.
    pub precision: f64,
    /// The harmonic mean of both.
    pub f1: f64,
}

impl ClinicalRun {
    /// Over the columns of [`Self::cells`].
    pub const HEADING: &[&str] = &[
        "run",
        "recall",
        "95 % interval",
        "missed",
        "of",
        "precision",
        "false positives",
        "size (MB)",
        "limitations",
    ];

    /// The run as a row of a table.
    pub fn cells(&self) -> Vec<String> {
        let (low, high) = self.recall_interval;
        vec![
            self.experiment_id.clone(),
            format!("{:.4}", self.recall),
            format!("{low:.4} to {high:.4}"),
            self.false_negatives.to_string(),
            self.positives.to_string(),
            format!("{:.4}", self.precision),
            self.false_positives.map_or("-".into(), |n| n.to_string()),
            self.model_bytes.map_or("-".into(), |bytes| format!("{:.1}", bytes as f64 / 1e6)),
            self.reservations.join("; "),
        ]
    }

    fn of(run: &RunDetails, class: &str) -> Option<Self> {
        let evaluation = run.evaluations.iter().find(|e| e.split == Split::Test)?;
        let index = evaluation.classes.iter().position(|found| found.label == class)?;
        let found = &evaluation.classes[index];
        let disorders: Vec<Disorder> = evaluation
            .classes
            .iter()
            .map(|class| Disorder {
                label: class.label.clone(),
                rows: class.support,
                missed: class.support - hits(class.recall, class.support),
                recall: class.recall,
                precision: class.precision,
                f1: class.f1,
            })
            .collect();
        let hits = hits(found.recall, found.support);
        let column = |row: &Vec<u64>| row.get(index).copied().unwrap_or(0);
        let named: u64 = evaluation.confusion.iter().map(column).sum();
        let metric = |name: &str| run.metric(name, Split::Test);
        let vocabulary = metric("f1_macro").zip(metric("without_concepts.f1_macro"));
        Some(Self {
            experiment_id: run.experiment_id.clone(),
            positives: found.support,
            false_negatives: found.support - hits,
            recall: found.recall,
            recall_interval: wilson(hits, found.support),
            precision: found.precision,
            false_positives: (!evaluation.confusion.is_empty()).then(|| named - hits),
            model_bytes: run.model_bytes,
            disorders,
            vocabulary,
            interpretability: Interpretability::of(run),
            calibration: score(run, "ece"),
            reservations: reservations(run, found.support),
        })
    }
}

/// Rows found, back from their share.
fn hits(recall: f64, support: u64) -> u64 {
    (recall * support as f64).round() as u64
}

fn reservations(run: &RunDetails, positives: u64) -> Vec<String> {
    let mut why = Vec::new();
    if run.synthetic {
        why.push("generated data".to_owned());
    }
    if run.category == Category::Debug {
        why.push("a debug run".to_owned());
    }
    if positives < POSITIVES_MIN {
        let cases = counted(positives, "positive test row");
        why.push(format!("only {cases}; at least {POSITIVES_MIN} are needed"));
    }
    if run.leaked_rows > 0 {
        let rows = counted(run.leaked_rows, "validation or test row");
        why.push(format!("{rows} also among the training rows"));
    }
    if !run.stated(Unstated::LeakedRows) {
        why.push("whether test rows are also training rows is not stated".to_owned());
    }
    match run.provenance {
        Some(Provenance::Typed) => why.push("scores typed in, not measured".to_owned()),
        Some(Provenance::Imported) => why.push("scores imported, not measured here".to_owned()),
        Some(Provenance::Reported) => why.push("scores reported by a script".to_owned()),
        _ => {}
    }
    why
}

impl Clinical {
    /// The runs by the recall of `class`.
    pub fn of(runs: &[RunDetails], class: &str) -> Self {
        let (mut found, mut without) = (Vec::new(), Vec::new());
        for run in runs {
            match ClinicalRun::of(run, class) {
                Some(one) => found.push(one),
                None => without.push(run.experiment_id.clone()),
            }
        }
        found.sort_by(|a, b| {
            b.recall.total_cmp(&a.recall).then(b.precision.total_cmp(&a.precision))
        });
        Self { class: class.to_owned(), runs: found, without }
    }

    /// The run with the highest recall among those that allow a conclusion.
    pub fn best(&self) -> Option<&ClinicalRun> {
        self.runs.iter().find(|run| run.reservations.is_empty())
    }

    /// What may be concluded, in words, or why nothing may.
    pub fn conclusion(&self) -> String {
        let class = &self.class;
        let Some(best) = self.best() else {
            let mut why: Vec<&str> =
                self.runs.iter().flat_map(|run| &run.reservations).map(String::as_str).collect();
            why.sort_unstable();
            why.dedup();
            return match why.as_slice() {
                [] => format!("No conclusion: no run has test scores for {class}."),
                why => format!(
                    "No conclusion about {class}: every run has a limitation ({}).",
                    why.join("; ")
                ),
            };
        };
        let (low, high) = best.recall_interval;
        let mut text = format!(
            "{} has the highest recall for {class}: it misses {} of {} (recall {:.4}, 95 % \
             interval {low:.4} to {high:.4}).",
            best.experiment_id,
            best.false_negatives,
            counted(best.positives, "positive test row"),
            best.recall
        );
        let sound = self.runs.iter().filter(|run| run.reservations.is_empty());
        let rivals: Vec<&str> = sound
            .filter(|run| run.experiment_id != best.experiment_id)
            .filter(|run| run.recall_interval.1 >= low)
            .map(|run| run.experiment_id.as_str())
            .collect();
        if let Some(first) = rivals.first() {
            text.push_str(&format!(
                " The 95 % interval overlaps with that of {}, so the difference may be chance; \
                 `annals compare {} {first}` tests two runs on the same test rows.",
                rivals.join(", "),
                best.experiment_id
            ));
        }
        text
    }
}
