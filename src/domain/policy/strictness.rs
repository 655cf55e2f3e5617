//! Which rules are weaker in one state of the policy than in another, and which of them were weaker
//! at a promotion than before or after it. The one place that orders rules: a new
//! rule does not compile until it is ordered here.

use serde::Serialize;

use super::{
    DebugExperiments, FailedExperiments, LogCheckpoints, NewRuns, Policy, ProductionPromotion, Runs,
};

/// A rule that allows something in one state of the policy which another state refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeakerRule {
    /// Its key; with its section where that is not `production_promotion`.
    pub rule: &'static str,
    /// The weaker value, as JSON text.
    pub weak: String,
    /// The stricter value, as JSON text.
    pub strict: String,
}

/// A rule that was weaker at a promotion than in an earlier or later state of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeakenedRule {
    /// Its key; with its section where that is not `production_promotion`.
    pub rule: &'static str,
    /// Its value at the promotion, as JSON text.
    pub then: String,
    /// The changes that made it weaker, by their index among the states, each with the value
    /// before it; ascending.
    pub weakened: Vec<(usize, String)>,
    /// The first later change that made it stricter than at the promotion, with its new value.
    pub strengthened: Option<(usize, String)>,
}

/// The rules that are weaker in `weak` than in `strict`: each allows some run, or some way of
/// approving it, that the same rule in `strict` refuses. Rules without an order, such as lists and
/// the critical class, can be weaker in both directions.
pub fn weaker(weak: &Policy, strict: &Policy) -> Vec<WeakerRule> {
    // Without `..`: a new section or rule must be ordered here. When old runs are archived, and
    // where, allows nothing.
    let Policy {
        debug_experiments,
        failed_experiments: FailedExperiments { archive_after_days: _, archive_location: _ },
        production_promotion,
        new_runs: NewRuns { require_clean_tree },
        runs: Runs { others_may_record },
        log_checkpoints: LogCheckpoints { only_signed_events },
    } = weak;
    let DebugExperiments {
        enabled: _,
        criteria: now,
        min_experiments_before_archive: _,
        archive_location: _,
    } = debug_experiments;
    let then = &strict.debug_experiments.criteria;
    // A run that a word no longer makes a debug run may be promoted.
    let criteria = then.iter().any(|word| !now.contains(word));
    let others = [
        rule("debug_experiments.criteria", criteria, now, then),
        duty(
            "new_runs.require_clean_tree",
            *require_clean_tree,
            strict.new_runs.require_clean_tree,
        ),
        permission("runs.others_may_record", *others_may_record, strict.runs.others_may_record),
        duty(
            "log_checkpoints.only_signed_events",
            *only_signed_events,
            strict.log_checkpoints.only_signed_events,
        ),
    ];
    let mut rules = weaker_promotion(production_promotion, &strict.production_promotion);
    rules.extend(others.into_iter().flatten());
    rules
}

fn weaker_promotion(weak: &ProductionPromotion, strict: &ProductionPromotion) -> Vec<WeakerRule> {
    // Without `..`: a new rule must be ordered here.
    let ProductionPromotion {
        enabled,
        min_accuracy_threshold,
        min_f1_macro_threshold,
        min_class_f1,
        critical_class,
        min_critical_recall,
        split,
        min_test_rows,
        require_manual_approval,
        approvals,
        trainer_may_approve,
        approvals_signed,
        evidence,
        allow_synthetic,
        allow_leakage,
        allow_debug,
        min_reproduced,
    } = weak;
    let other = strict;
    let (now, then) = (min_accuracy_threshold, &other.min_accuracy_threshold);
    let accuracy = rule("min_accuracy_threshold", now < then, now, then);
    let (now, then) = (min_f1_macro_threshold, &other.min_f1_macro_threshold);
    let f1_macro = rule("min_f1_macro_threshold", now < then, now, then);
    let (now, then) = (min_class_f1, &other.min_class_f1);
    let class_f1 = rule("min_class_f1", now < then, now, then);
    // Another class leaves the one that must not be missed unprotected.
    let (now, then) = (critical_class, &other.critical_class);
    let class = rule("critical_class", then.is_some() && now != then, now, then);
    // `None` is less than every value.
    let (now, then) = (min_critical_recall, &other.min_critical_recall);
    let recall = rule("min_critical_recall", now < then, now, then);
    // In the order of use: the model knows the rows of an earlier split better.
    let split = rule("split", *split < other.split, split, &other.split);
    let (now, then) = (evidence, &other.evidence);
    let evidence = rule("evidence", now.iter().any(|p| !then.contains(p)), now, then);
    let rules = [
        permission("enabled", *enabled, other.enabled),
        accuracy,
        f1_macro,
        class_f1,
        class,
        recall,
        split,
        least("min_test_rows", *min_test_rows, other.min_test_rows),
        duty("require_manual_approval", *require_manual_approval, other.require_manual_approval),
        least("approvals", (*approvals).into(), other.approvals.into()),
        permission("trainer_may_approve", *trainer_may_approve, other.trainer_may_approve),
        duty("approvals_signed", *approvals_signed, other.approvals_signed),
        evidence,
        permission("allow_synthetic", *allow_synthetic, other.allow_synthetic),
        permission("allow_leakage", *allow_leakage, other.allow_leakage),
        permission("allow_debug", *allow_debug, other.allow_debug),
        least("min_reproduced", (*min_reproduced).into(), other.min_reproduced.into()),
    ];
    rules.into_iter().flatten().collect()
}

/// The rules that were weaker in the state `at` than in any state before or after it, whatever was
/// changed in between and by how many changes. `states` are in the order they were in force.
pub fn weakened(states: &[&Policy], at: usize) -> Vec<WeakenedRule> {
    let Some(used) = states.get(at) else { return vec![] };
    let mut found: Vec<WeakenedRule> = Vec::new();
    for (change, pair) in (1..=at).zip(states.windows(2)) {
        let [before, after] = pair else { continue };
        let lost = weaker(after, before);
        // What is still lost at the promotion: the rest was restored before it.
        let still = weaker(used, before).into_iter();
        for lost in still.filter(|still| lost.iter().any(|lost| lost.rule == still.rule)) {
            entry(&mut found, &lost).weakened.push((change, lost.strict));
        }
    }
    for (change, later) in states.iter().enumerate().skip(at + 1) {
        for gained in weaker(used, later) {
            let rule = entry(&mut found, &gained);
            rule.strengthened.get_or_insert((change, gained.strict));
        }
    }
    found
}

fn entry<'f>(found: &'f mut Vec<WeakenedRule>, rule: &WeakerRule) -> &'f mut WeakenedRule {
    let index = found.iter().position(|known| known.rule == rule.rule).unwrap_or_else(|| {
        found.push(WeakenedRule {
            rule: rule.rule,
            then: rule.weak.clone(),
            weakened: vec![],
            strengthened: None,
        });
        found.len() - 1
    });
    &mut found[index]
}

/// A rule that is weaker where it is true.
fn permission(name: &'static str, weak: bool, strict: bool) -> Option<WeakerRule> {
    rule(name, weak && !strict, &weak, &strict)
}

/// A rule that is weaker where it is false.
fn duty(name: &'static str, weak: bool, strict: bool) -> Option<WeakerRule> {
    rule(name, !weak && strict, &weak, &strict)
}

/// A count that is weaker where it is lower.
fn least(name: &'static str, weak: u64, strict: u64) -> Option<WeakerRule> {
    rule(name, weak < strict, &weak, &strict)
}

fn rule(
    rule: &'static str,
    weaker: bool,
    weak: &impl Serialize,
    strict: &impl Serialize,
) -> Option<WeakerRule> {
    let text = |value: serde_json::Result<String>| value.unwrap_or_default();
    let [weak, strict] = [serde_json::to_string(weak), serde_json::to_string(strict)].map(text);
    weaker.then_some(WeakerRule { rule, weak, strict })
}
