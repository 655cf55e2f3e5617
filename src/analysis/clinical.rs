//! What matters where a missed case does harm: the critical class first, with counts, intervals
//! and the reasons why nothing may be concluded.

use serde::Serialize;

use super::compare::{Score, score};
use super::stats::wilson;
use crate::base::Split;
use crate::domain::Provenance;
use crate::projection::runs::RunDetails;

/// Positives below which a recall is not worth a conclusion: its 95 % interval is wider than a
/// third.
pub const POSITIVES_MIN: u64 = 30;

/// Runs by the recall of the critical class.
#[derive(Clone, Debug, Serialize)]
pub struct Clinical {
    /// The critical class.
    pub class: String,
    /// Runs, best recall first.
    pub runs: Vec<ClinicalRun>,
    /// Runs that have no test scores of the class.
    pub without: Vec<String>,
}

/// One run.
#[derive(Clone, Debug, Serialize)]
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
    /// Comprehensiveness and sufficiency of the attention (`ERASER`).
    pub interpretability: Vec<(&'static str, f64)>,
    /// Calibration error.
    pub calibration: Option<Score>,
    /// Why nothing may be concluded from it; empty where something may.
    pub reservations: Vec<String>,
}

/// One class of one run.
#[derive(Clone, Debug, Serialize)]
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
        "false alarms",
        "size (MB)",
        "reservations",
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
        let interpretability = ["comprehensiveness", "sufficiency"]
            .into_iter()
            .filter_map(|name| Some((name, metric(name)?)))
            .collect();
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
            interpretability,
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
        why.push("its data was generated".to_owned());
    }
    if positives < POSITIVES_MIN {
        why.push(format!("only {positives} positives, at least {POSITIVES_MIN} are needed"));
    }
    if run.leaked_rows > 0 {
        why.push(format!("{} test or valid rows stand in the training rows", run.leaked_rows));
    }
    if matches!(run.provenance, Some(Provenance::Typed | Provenance::Imported)) {
        why.push("its scores were typed in or imported, not measured here".to_owned());
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

    /// What may be concluded, in words; a refusal that says why where nothing may.
    pub fn conclusion(&self) -> String {
        let class = &self.class;
        let sound: Vec<&ClinicalRun> =
            self.runs.iter().filter(|run| run.reservations.is_empty()).collect();
        let Some(best) = sound.first() else {
            let mut why: Vec<&str> =
                self.runs.iter().flat_map(|run| &run.reservations).map(String::as_str).collect();
            why.sort_unstable();
            why.dedup();
            return match why.as_slice() {
                [] => format!("No conclusion: no run has test scores of {class}."),
                why => format!("No conclusion about {class}: {}.", why.join("; ")),
            };
        };
        let (low, high) = best.recall_interval;
        let mut text = format!(
            "{} misses fewest rows of {class}: {} of {} (recall {:.4}, 95 % interval {low:.4} to \
             {high:.4}).",
            best.experiment_id, best.false_negatives, best.positives, best.recall
        );
        let rivals: Vec<&str> = sound[1..]
            .iter()
            .filter(|run| run.recall_interval.1 >= low)
            .map(|run| run.experiment_id.as_str())
            .collect();
        if !rivals.is_empty() {
            text.push_str(&format!(
                " The intervals of {} reach into its own: which of them finds more is not decided; \
                 `annals compare` tests two on the same rows.",
                rivals.join(", ")
            ));
        }
        text
    }
}
