//! What a report recommends, each point from facts of the record, and what using a model is limited
//! by.

use super::clinical::Clinical;
use super::column::number;
use super::compare::{Score, score};
use super::document::Block;
use super::report::ReportFacts;
use crate::base::{Split, counted};
use crate::domain::run::Sameness;
use crate::projection::best::marks;
use crate::projection::registry::ModelRow;
use crate::projection::runs::{RunDetails, Status};

/// Calibration error above which probabilities should not be read as such.
const ECE_MAX: f64 = 0.1;
/// Runs that one point names at most.
const NAMES_MAX: usize = 5;

impl ReportFacts {
    /// What to do next.
    pub(super) fn recommendations(&self) -> Vec<Block> {
        let mut points = Vec::new();
        let errors = self.audit.counts.error;
        if errors > 0 {
            points.push(format!(
                "Resolve {} of the audit, listed below, before relying on the models in \
                 production.",
                counted(errors, "error")
            ));
        }
        points.extend(self.production.iter().filter_map(|model| self.weak_evidence(model)));
        points.extend(self.production.iter().filter_map(|model| self.successor(model)));
        if self.production.is_empty() {
            points.push(self.first_model());
        }
        let leaked: Vec<&str> = self
            .counted_runs()
            .filter(|run| run.leaked_rows > 0)
            .map(|run| run.experiment_id.as_str())
            .collect();
        if !leaked.is_empty() {
            points.push(format!(
                "Train again without repeated training rows (`annals train --dedupe`): {}.",
                some(&leaked)
            ));
        }
        if self.critical.is_none() {
            points.push(
                "Name the class whose missed cases do most harm, if there is one: `annals policy \
                 set production_promotion.critical_class NAME`."
                    .into(),
            );
        }
        vec![Block::Heading("Recommendations".into()), Block::List(points)]
    }

    /// Finished runs that are no debug runs.
    pub(super) fn counted_runs(&self) -> impl Iterator<Item = &RunDetails> {
        self.runs.iter().filter(|run| {
            run.status == Status::Finished && run.category != crate::domain::run::Category::Debug
        })
    }

    fn weak_evidence(&self, model: &ModelRow) -> Option<String> {
        let run = self.run(model.run)?;
        let marks = marks(run);
        (!marks.is_empty()).then(|| {
            format!(
                "Check whether {} {} should stay in production: the evidence of {} is weak ({}).",
                model.name,
                model.version,
                run.experiment_id,
                marks.join(", ")
            )
        })
    }

    /// A candidate that scores higher than a model on the same test rows.
    fn successor(&self, model: &ModelRow) -> Option<String> {
        let now = self.run(model.run)?;
        let known = score(now, "f1_macro")?;
        let candidates = self.candidates.iter().filter(|c| c.assessment.is_candidate());
        let rivals = candidates.filter_map(|c| self.run(c.run.0)).filter(|run| {
            run.id != now.id && run.test_rows.sameness(&now.test_rows) == Sameness::Same
        });
        let scored = rivals.filter_map(|run| Some((run, score(run, "f1_macro")?)));
        let (run, found) = scored.max_by(|a, b| a.1.value.total_cmp(&b.1.value))?;
        if found.value <= known.value {
            return None;
        }
        let apart = found.low.zip(known.high).is_some_and(|(low, high)| low > high);
        let verdict = match apart {
            true => "their 95 % intervals do not overlap",
            false => "their intervals overlap or were not measured, so it may be chance",
        };
        Some(format!(
            "Compare {} with {} {} (`annals compare {} {}`): macro F1 {} against {} on the same \
             test rows; {verdict}.",
            run.experiment_id,
            model.name,
            model.version,
            now.experiment_id,
            run.experiment_id,
            found.shown(),
            known.shown()
        ))
    }

    fn first_model(&self) -> String {
        let candidates = self.candidates.iter().filter(|c| c.assessment.is_candidate());
        let runs = candidates.filter_map(|c| self.run(c.run.0));
        let value = |run: &RunDetails| score(run, "f1_macro").map_or(0.0, |score| score.value);
        match runs.max_by(|a, b| value(a).total_cmp(&value(b))) {
            Some(run) => format!(
                "Decide on {}, which meets the policy with macro F1 {}: `annals promote {} \
                 --request`. Nothing is in production.",
                run.experiment_id,
                score(run, "f1_macro").map_or("-".into(), |score| score.shown()),
                run.experiment_id
            ),
            None => "No run meets the policy; `annals candidates` shows which rules fail.".into(),
        }
    }

    /// How the models in production may be used, as far as the record tells.
    pub(super) fn deployment(&self) -> Vec<Block> {
        let mut blocks = vec![Block::Heading("Deployment guidance and its limits".into())];
        for model in &self.production {
            let Some(run) = self.run(model.run) else { continue };
            let mut points = vec![format!(
                "{} {} ({}): {}",
                model.name,
                model.version,
                run.experiment_id,
                tested_on(run)
            )];
            points.extend(weakest(run));
            points.extend(calibrated(score(run, "ece")));
            points.extend(cut_at(run));
            blocks.push(Block::List(points));
        }
        if self.production.is_empty() {
            blocks.push(Block::Text("Nothing is in production.".into()));
        }
        blocks.push(Block::Text(
            "Limits: the scores are of the test rows of each run. Texts of another source, time, \
             language or group of people may be classified worse, which the record cannot show. \
             Intended use and excluded uses are not recorded. A classifier of texts is no \
             diagnosis: before it is used, the people responsible have to decide which missed \
             cases and false alarms are acceptable, and check its answers in operation."
                .into(),
        ));
        blocks
    }

    /// The critical class in numbers.
    pub(super) fn critical_class(&self, clinical: Option<&Clinical>) -> Vec<Block> {
        let mut blocks = vec![Block::Heading("Critical class".into())];
        let Some(clinical) = clinical else {
            blocks.push(Block::Text(
                "The policy names no critical class (`annals policy set \
                 production_promotion.critical_class NAME`), so missed cases are not assessed."
                    .into(),
            ));
            return blocks;
        };
        blocks.push(Block::Text(clinical.conclusion()));
        let rows: Vec<_> = clinical
            .runs
            .iter()
            .take(super::report::RUNS_MAX)
            .map(super::clinical::ClinicalRun::cells)
            .collect();
        if !rows.is_empty() {
            blocks.push(Block::table(super::clinical::ClinicalRun::HEADING, rows));
        }
        blocks
    }
}

fn tested_on(run: &RunDetails) -> String {
    let rows = run.rows.iter().find(|(split, _)| *split == Split::Test);
    let rows = rows.map_or("an unknown number of rows".into(), |(_, n)| counted(*n, "row"));
    let shown = |name: &str| score(run, name).map_or("not measured".into(), |s| s.shown());
    format!("tested on {rows}; accuracy {}, macro F1 {}.", shown("accuracy"), shown("f1_macro"))
}

fn weakest(run: &RunDetails) -> Option<String> {
    let evaluation = run.evaluations.iter().find(|e| e.split == Split::Test)?;
    let class = evaluation.classes.iter().min_by(|a, b| a.f1.total_cmp(&b.f1))?;
    Some(format!(
        "Weakest class: {} with F1 {:.4}, recall {:.4}, precision {:.4} on {}.",
        class.label,
        class.f1,
        class.recall,
        class.precision,
        counted(class.support, "row")
    ))
}

fn calibrated(ece: Option<Score>) -> Option<String> {
    let ece = ece?.value;
    let advice = match ece > ECE_MAX {
        true => "do not read probabilities as frequencies",
        false => "probabilities are close to frequencies on the test rows",
    };
    Some(format!("Calibration error {}: {advice}.", number(ece)))
}

fn cut_at(run: &RunDetails) -> Option<String> {
    let reads_tokens = run.parameters.iter().any(|(key, value)| {
        key == "model.architecture" && ["\"encoder\"", "\"distilbert\""].contains(&value.as_str())
    });
    let (_, limit) = run.parameters.iter().find(|(key, _)| key == "model.max_seq_length")?;
    reads_tokens.then(|| format!("Texts are cut after {limit} tokens."))
}

/// Some names, and how many more.
fn some(names: &[&str]) -> String {
    let shown = names.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
