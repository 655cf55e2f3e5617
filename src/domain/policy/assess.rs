//! A run against the rules: what each asks, what was found. The one place that judges candidates.

use std::borrow::Cow;

use super::{Policy, ProductionPromotion};
use crate::base::{Split, counted, fixed};
use crate::domain::RuleResult;
use crate::domain::metric::{Evaluation, FinalMetric};
use crate::domain::run::{Category, NOT_STATED, RunEvidence, RunStatus, UnrecordedSeries};

/// The rule that a run has something to put into production.
pub const MODEL_RULE: &str = "model";

/// A missing value; it fails its rule and never counts as 0.
const NOT_MEASURED: &str = "not measured";

/// A run against every rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// Every rule that applies, in a fixed order.
    pub rules: Vec<RuleResult>,
}

impl Assessment {
    /// Whether every rule is met.
    pub fn is_candidate(&self) -> bool {
        self.rules.iter().all(|rule| rule.passed)
    }

    /// The rules that are not met.
    pub fn failed(&self) -> Vec<RuleResult> {
        self.rules.iter().filter(|rule| !rule.passed).cloned().collect()
    }
}

/// Judges a run by the policy. A metric that is missing and a number of rows that nobody stated
/// fail the rules that need them; they never count as 0. Origin and leakage that nobody stated are
/// no reason to refuse, and no rule reports them as known.
pub fn assess<'r>(policy: &Policy, run: impl Into<RunEvidence<'r>>) -> Assessment {
    let run: RunEvidence<'r> = run.into();
    let rules = &policy.production_promotion;
    let mut found = vec![
        rule("enabled", rules.enabled, "promotion is enabled", yes_no(rules.enabled)),
        rule(
            "finished",
            run.status == RunStatus::Finished,
            "the run has finished",
            run.status.word(),
        ),
    ];
    found.push(rule(
        "category",
        rules.allow_debug || run.category != Category::Debug,
        if rules.allow_debug { "any category" } else { "not a debug run" },
        run.category.word(),
    ));
    found.push(rule(
        "synthetic_data",
        rules.allow_synthetic || !run.synthetic,
        if rules.allow_synthetic { "any data" } else { "no generated data" },
        match run.synthetic {
            true => "generated data",
            false if run.origin_stated => "real data",
            false => NOT_STATED,
        },
    ));
    found.push(rule(
        "leakage",
        rules.allow_leakage || run.leaked_rows == 0,
        if rules.allow_leakage { "any" } else { "0 rows" },
        match run.leaked_rows {
            0 if !run.leakage_stated => NOT_STATED.into(),
            leaked => Cow::from(counted(leaked, "row")),
        },
    ));
    let evidence: Vec<&str> = rules.evidence.iter().map(|p| p.word()).collect();
    found.push(rule(
        "evidence",
        run.provenance.is_some_and(|p| rules.evidence.contains(&p)),
        format!("metrics from {}", evidence.join(", ")),
        run.provenance.map_or("none", crate::domain::Provenance::word),
    ));
    let rows = run.rows.iter().find(|(split, _)| *split == rules.split).map(|(_, rows)| *rows);
    let mut enough =
        count("min_test_rows", rows.unwrap_or(0), rules.min_test_rows, Some(rules.split));
    if rows.is_none() {
        enough.found = NOT_STATED.into();
    }
    found.push(enough);
    let evaluation = run.evaluations.iter().find(|e| e.split == rules.split);
    found.extend(scores(rules, run.metrics, evaluation));
    let diverged: Vec<String> = run
        .unrecorded
        .iter()
        .filter(|series| series.diverged())
        .map(UnrecordedSeries::line)
        .collect();
    if !diverged.is_empty() {
        found.push(rule("finite_metrics", false, "metrics stay finite", diverged.join("; ")));
    }
    if !run.has_model {
        found.push(rule(MODEL_RULE, false, "weights or an ensemble", "none"));
    }
    let (reproduced, least) = (run.reproduced.into(), rules.min_reproduced.into());
    found.push(count("min_reproduced", reproduced, least, None));
    Assessment { rules: found }
}

fn scores(
    rules: &ProductionPromotion,
    metrics: &[FinalMetric],
    evaluation: Option<&Evaluation>,
) -> Vec<RuleResult> {
    let split = rules.split;
    let mut found = vec![
        floor(
            "min_accuracy_threshold",
            value(metrics, "accuracy", split),
            rules.min_accuracy_threshold,
            split,
        ),
        floor(
            "min_f1_macro_threshold",
            value(metrics, "f1_macro", split),
            rules.min_f1_macro_threshold,
            split,
        ),
    ];
    found.push(class_floors(rules, evaluation));
    if let (Some(class), Some(least)) = (&rules.critical_class, rules.min_critical_recall) {
        let score = evaluation.and_then(|e| e.classes.iter().find(|c| c.label == *class));
        let recall = score.map(|c| c.recall);
        let mut result = floor("min_critical_recall", recall, least, split);
        result.required = format!("recall of {class} {}", result.required).into();
        if evaluation.is_some() && score.is_none() {
            result.found = format!("no label {class}").into();
        }
        found.push(result);
    }
    found
}

/// Every class below the floor by name; the worst one where none is.
fn class_floors(rules: &ProductionPromotion, evaluation: Option<&Evaluation>) -> RuleResult {
    let least = rules.min_class_f1;
    let mut classes: Vec<(&str, f64)> = evaluation
        .map(|e| e.classes.iter().map(|class| (class.label.as_str(), class.f1)).collect())
        .unwrap_or_default();
    classes.sort_by(|a, b| a.1.total_cmp(&b.1));
    let below = classes.iter().filter(|(_, f1)| *f1 < least || f1.is_nan()).count();
    let shown = classes.iter().take(below.max(1));
    let words: Vec<String> =
        shown.map(|(label, f1)| format!("{} ({label})", measured(*f1, least))).collect();
    RuleResult {
        rule: "min_class_f1".into(),
        passed: !classes.is_empty() && below == 0,
        required: format!("every class >= {least} on {}", rules.split.word()).into(),
        found: if words.is_empty() { NOT_MEASURED.into() } else { words.join("; ").into() },
    }
}

fn value(metrics: &[FinalMetric], name: &str, split: Split) -> Option<f64> {
    let of_split = |m: &&FinalMetric| m.key.name == name && m.key.split == Some(split);
    metrics.iter().find(of_split).map(|m| m.value)
}

fn floor(name: &'static str, found: Option<f64>, least: f64, split: Split) -> RuleResult {
    RuleResult {
        rule: name.into(),
        passed: found.is_some_and(|value| value >= least),
        required: format!(">= {least} on {}", split.word()).into(),
        found: found.map_or(NOT_MEASURED.into(), |value| measured(value, least).into()),
    }
}

fn rule(
    name: &'static str,
    passed: bool,
    required: impl Into<Cow<'static, str>>,
    found: impl Into<Cow<'static, str>>,
) -> RuleResult {
    RuleResult { rule: name.into(), passed, required: required.into(), found: found.into() }
}

fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// The value, and by how much it misses `least`.
fn measured(value: f64, least: f64) -> String {
    let short = least - value;
    match short {
        _ if value >= least => fixed(value, 4),
        // Four digits would say that nothing is missing.
        _ if short < 1e-4 => format!("{value}, {short:.1e} short"),
        _ => format!("{}, {} short", fixed(value, 4), fixed(short, 4)),
    }
}

fn count(name: &'static str, found: u64, least: u64, split: Option<Split>) -> RuleResult {
    let on = split.map_or(String::new(), |split| format!(" on {}", split.word()));
    let found_words = match least.saturating_sub(found) {
        0 => found.to_string(),
        short => format!("{found}, {short} short"),
    };
    rule(name, found >= least, format!(">= {least}{on}"), found_words)
}
