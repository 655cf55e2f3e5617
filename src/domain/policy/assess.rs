//! A run against the rules: what each asks, what was found. The one place that judges candidates.

use super::{Policy, ProductionPromotion};
use crate::base::Split;
use crate::domain::RuleResult;
use crate::domain::metric::{Evaluation, FinalMetric};
use crate::domain::run::{Category, RunState, RunStatus};

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

/// Judges a run by the policy. A metric that is missing fails its rule; it never counts as 0.
pub fn assess(policy: &Policy, run: &RunState) -> Assessment {
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
        if run.synthetic { "generated data" } else { "real data" },
    ));
    found.push(rule(
        "leakage",
        rules.allow_leakage || run.leaked_rows == 0,
        if rules.allow_leakage { "any" } else { "0 rows" },
        &format!("{} rows", run.leaked_rows),
    ));
    let evidence: Vec<&str> = rules.evidence.iter().map(|p| p.word()).collect();
    found.push(rule(
        "evidence",
        run.provenance.is_some_and(|p| rules.evidence.contains(&p)),
        &format!("metrics from {}", evidence.join(", ")),
        run.provenance.map_or("none", crate::domain::Provenance::word),
    ));
    let rows = run.rows.iter().find(|(split, _)| *split == rules.split).map_or(0, |(_, n)| *n);
    found.push(rule(
        "min_test_rows",
        rows >= rules.min_test_rows,
        &format!(">= {} on {}", rules.min_test_rows, rules.split.word()),
        &rows.to_string(),
    ));
    found.extend(scores(rules, &run.metrics, run.evaluation(rules.split)));
    found.push(rule(
        "min_reproduced",
        run.reproduced >= rules.min_reproduced,
        &format!(">= {}", rules.min_reproduced),
        &run.reproduced.to_string(),
    ));
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
    let worst = evaluation
        .and_then(|e| e.classes.iter().min_by(|a, b| a.f1.total_cmp(&b.f1)))
        .map(|class| (class.label.as_str(), class.f1));
    found.push(RuleResult {
        rule: "min_class_f1".into(),
        passed: worst.is_some_and(|(_, f1)| f1 >= rules.min_class_f1),
        required: format!("every class >= {} on {}", rules.min_class_f1, split.word()),
        found: worst.map_or_else(
            || "not measured".into(),
            |(label, f1)| format!("{} ({label})", number(f1)),
        ),
    });
    if let (Some(class), Some(least)) = (&rules.critical_class, rules.min_critical_recall) {
        let recall =
            evaluation.and_then(|e| e.classes.iter().find(|c| c.label == *class)).map(|c| c.recall);
        let mut result = floor("min_critical_recall", recall, least, split);
        result.required = format!("recall of {class} {}", result.required);
        found.push(result);
    }
    found
}

fn value(metrics: &[FinalMetric], name: &str, split: Split) -> Option<f64> {
    let of_split = |m: &&FinalMetric| m.key.name == name && m.key.split == Some(split);
    metrics.iter().find(of_split).map(|m| m.value)
}

fn floor(name: &str, found: Option<f64>, least: f64, split: Split) -> RuleResult {
    RuleResult {
        rule: name.into(),
        passed: found.is_some_and(|value| value >= least),
        required: format!(">= {least} on {}", split.word()),
        found: found.map_or_else(|| "not measured".into(), number),
    }
}

fn rule(name: &str, passed: bool, required: &str, found: &str) -> RuleResult {
    RuleResult { rule: name.into(), passed, required: required.into(), found: found.into() }
}

fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

fn number(value: f64) -> String {
    format!("{value:.4}")
}
