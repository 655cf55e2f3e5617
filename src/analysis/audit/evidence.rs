//! Checks of what speaks for a model: scores, seeds, repetitions.

use std::collections::{BTreeMap, BTreeSet};

use super::data::of_production;
use super::{AuditFacts, RawFinding, RunFacts, Severity};
use crate::base::{Direction, Split, counted};
use crate::domain::Provenance;
use crate::domain::metric::FinalMetric;
use crate::domain::policy::stem;
use crate::domain::run::{Category, RunStatus, Unstated};

pub(super) fn debug(facts: &AuditFacts) -> Vec<RawFinding> {
    of_production(facts, |run| {
        let debug = run.state.category == Category::Debug;
        debug.then(|| ("it came from a debug run".into(), vec![("category", "debug".into())]))
    })
}

pub(super) fn typed(facts: &AuditFacts) -> Vec<RawFinding> {
    let typed = facts.runs.iter().filter(|(_, run)| {
        run.state.provenance == Some(Provenance::Typed) && !run.state.metrics.is_empty()
    });
    let found = typed.map(|(id, run)| {
        let count = run.state.metrics.len();
        let what = format!("{} typed in; nothing measured them", counted(count, "score"));
        let found = |what: String| {
            RawFinding::new(run.subject(), what)
                .at(run.positions())
                .value("metrics", count)
                .shown_by("query --saved typed_metrics")
        };
        match facts.placed_of(*id) {
            Some(promotion) => found(format!("{what}, and {} rests on them", promotion.subject()))
                .at([promotion.at.position])
                .with_severity(Severity::Error),
            None => found(what),
        }
    });
    found.collect()
}

pub(super) fn reported(facts: &AuditFacts) -> Vec<RawFinding> {
    of_production(facts, |run| {
        let reported = run.state.provenance == Some(Provenance::Reported);
        let what = "its scores are what a program reported; annals did not watch it".into();
        reported.then(|| (what, vec![("provenance", "reported".into())]))
    })
}

pub(super) fn missing(facts: &AuditFacts) -> Vec<RawFinding> {
    let found = facts.runs.values().flat_map(|run| {
        run.unrecorded.iter().map(|gap| {
            let what = format!(
                "metrics of the updates after {} up to {} may be missing: the run resumed from a \
                 training checkpoint that was never recorded",
                gap.recorded, gap.step
            );
            RawFinding::new(run.subject(), what)
                .at([gap.position])
                .value("recorded_step", gap.recorded)
                .value("resumed_step", gap.step)
        })
    });
    found.collect()
}

/// The ends of intervals stand beside their values and are judged with them.
fn is_score(metric: &FinalMetric) -> bool {
    !metric.key.name.contains(".ci_")
}

pub(super) fn untested(facts: &AuditFacts) -> Vec<RawFinding> {
    of_production(facts, |run| {
        let tested = |metric: &FinalMetric| metric.key.split == Some(Split::Test);
        let none = !run.state.metrics.iter().any(tested) && run.state.evaluations.is_empty();
        none.then(|| ("no score on test rows is known".into(), vec![]))
    })
}

/// Rows of a class, in test and in validation, below which its scores differ by chance.
const CLASS_ROWS_MIN: u64 = 30;
/// Test rows below which a difference to validation is chance more often than not.
const TEST_ROWS_MIN: u64 = 100;

/// Whether a score is of one class that has too few rows to compare anything.
fn is_of_few_rows(run: &RunFacts, name: &str) -> bool {
    let split_of = |name: &str| {
        ["precision_", "recall_", "f1_"]
            .iter()
            .find_map(|start| name.strip_prefix(start).map(str::to_owned))
    };
    let Some(label) = split_of(name).filter(|label| run.state.labels.contains(label)) else {
        return false;
    };
    let rows = |split: Split| {
        let classes = run.state.evaluation(split).map(|evaluation| &evaluation.classes);
        classes.and_then(|all| all.iter().find(|class| class.label == label)).map(|c| c.support)
    };
    [Split::Test, Split::Valid]
        .into_iter()
        .any(|split| rows(split).is_none_or(|n| n < CLASS_ROWS_MIN))
}

/// Metrics by name: validation, test, and by how much test is worse.
fn worse(run: &RunFacts, margin: f64) -> Vec<(&str, f64, f64, f64)> {
    let of = |split: Split| {
        let metrics = run.state.metrics.iter().filter(move |m| m.key.split == Some(split));
        metrics.filter(|metric| is_score(metric) && !is_of_few_rows(run, &metric.key.name))
    };
    let mut found: Vec<_> = of(Split::Test)
        .filter_map(|test| {
            let valid = of(Split::Valid).find(|valid| valid.key.name == test.key.name)?;
            let worse = match test.key.direction {
                Direction::Higher => valid.value - test.value,
                Direction::Lower => test.value - valid.value,
                Direction::Neutral => return None,
            };
            (worse > margin).then_some((test.key.name.as_str(), valid.value, test.value, worse))
        })
        .collect();
    found.sort_by(|a, b| b.3.total_cmp(&a.3));
    found
}

pub(super) fn below_validation(facts: &AuditFacts) -> Vec<RawFinding> {
    let finished = facts.runs.iter().filter(|(_, run)| run.state.status == RunStatus::Finished);
    let found = finished.filter_map(|(id, run)| {
        let worse = worse(run, facts.margin);
        let (name, valid, test, by) = worse.first()?;
        let more = match worse.len() {
            1 => String::new(),
            many => format!(", and {}", counted(many - 1, "more metric")),
        };
        let what = format!("{name} is {test:.4} on test and {valid:.4} on valid{more}");
        let mut found = RawFinding::new(run.subject(), what)
            .at(run.ended)
            .value("margin", facts.margin)
            .value("worst", format!("{by:.4}"))
            .shown_by(format!("show {}", run.started.experiment_id));
        let rows = run.state.rows.iter().find(|(split, _)| *split == Split::Test);
        let tiny = rows.is_some_and(|(_, rows)| *rows < TEST_ROWS_MIN);
        let minor = run.state.category == Category::Debug || tiny;
        if minor && facts.placed_of(*id).is_none() {
            found = found.with_severity(Severity::Note);
        }
        Some(worse.iter().fold(found, |found, (name, valid, test, _)| {
            found.value(name, format!("valid {valid}, test {test}"))
        }))
    });
    found.collect()
}

/// What runs have in common that differ in their seed only. Without settings their names tell.
fn question(run: &RunFacts) -> (Vec<(&str, &str)>, String, &[String]) {
    let seedless = |(key, _): &(&String, &String)| !key.ends_with("seed");
    let settings = run.started.parameters.iter().filter(seedless);
    let settings: Vec<_> = settings.map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let name = if settings.is_empty() { stem(&run.started.name) } else { String::new() };
    (settings, name, &run.started.data.labels)
}

pub(super) fn one_seed(facts: &AuditFacts) -> Vec<RawFinding> {
    let mut seeds: BTreeMap<_, BTreeSet<u64>> = BTreeMap::new();
    for run in facts.runs.values().filter(|run| run.state.status == RunStatus::Finished) {
        let seeds = seeds.entry(question(run)).or_default();
        seeds.extend(run.state.stated(Unstated::Seed).then_some(run.started.seed));
    }
    of_production(facts, |run| {
        let tried = seeds.get(&question(run)).map_or(0, BTreeSet::len);
        if !run.state.stated(Unstated::Seed) {
            return Some(("its seed was not stated".into(), vec![]));
        }
        let what = format!("its settings were tried with seed {} only", run.started.seed);
        (tried == 1).then(|| (what, vec![("seed", run.started.seed.to_string())]))
    })
}

pub(super) fn not_reproduced(facts: &AuditFacts) -> Vec<RawFinding> {
    of_production(facts, |run| {
        let never = run.state.reproduced == 0;
        never.then(|| ("it was never reproduced with the same result".into(), vec![]))
    })
}

pub(super) fn reproduced_differently(facts: &AuditFacts) -> Vec<RawFinding> {
    let differed = facts.runs.values().filter(|run| !run.differed.is_empty());
    let found = differed.map(|run| {
        let what = format!(
            "it came out differently {}, and equal {}",
            counted(run.differed.len(), "time"),
            counted(run.state.reproduced, "time")
        );
        RawFinding::new(run.subject(), what)
            .at(run.differed.iter().copied())
            .value("differently", run.differed.len())
            .value("alike", run.state.reproduced)
    });
    found.collect()
}
