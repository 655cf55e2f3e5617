//! Every rule, weakened and restored in every way around a promotion.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;

/// Each rule with a strict and a weak value.
fn values() -> Vec<(&'static str, Value, Value)> {
    vec![
        ("enabled", json!(false), json!(true)),
        ("min_accuracy_threshold", json!(0.55), json!(0.549)),
        ("min_f1_macro_threshold", json!(0.45), json!(0.0)),
        ("min_class_f1", json!(0.05), json!(0.0)),
        ("critical_class", json!("risk"), json!(null)),
        ("min_critical_recall", json!(0.9), json!(null)),
        ("split", json!("test"), json!("train")),
        ("min_test_rows", json!(100), json!(99)),
        ("require_manual_approval", json!(true), json!(false)),
        ("approvals", json!(2), json!(1)),
        ("trainer_may_approve", json!(false), json!(true)),
        ("approvals_signed", json!(true), json!(false)),
        ("evidence", json!(["engine"]), json!(["engine", "typed"])),
        ("allow_synthetic", json!(false), json!(true)),
        ("allow_leakage", json!(false), json!(true)),
        ("allow_debug", json!(false), json!(true)),
        ("min_reproduced", json!(1), json!(0)),
        ("debug_experiments.criteria", json!(["debug", "toy"]), json!(["debug"])),
        ("new_runs.require_clean_tree", json!(true), json!(false)),
        ("runs.others_may_record", json!(false), json!(true)),
        ("log_checkpoints.only_signed_events", json!(true), json!(false)),
    ]
}

/// Pairs of values of which each allows what the other refuses, and other weak values.
fn more() -> Vec<(&'static str, Value, Value)> {
    vec![
        ("critical_class", json!("risk"), json!("calm")),
        ("critical_class", json!("calm"), json!("risk")),
        ("evidence", json!(["engine"]), json!(["typed"])),
        ("evidence", json!(["engine", "supervised"]), json!(["typed"])),
        ("min_critical_recall", json!(0.9), json!(0.5)),
        ("split", json!("test"), json!("valid")),
        ("split", json!("valid"), json!("train")),
        ("debug_experiments.criteria", json!(["toy"]), json!(["debug"])),
    ]
}

fn with(policy: &Policy, rule: &str, value: &Value) -> Policy {
    let mut json = serde_json::to_value(policy).unwrap();
    let (section, rule) = rule.split_once('.').unwrap_or(("production_promotion", rule));
    json[section][rule] = value.clone();
    serde_json::from_value(json).unwrap()
}

/// Rules about files of runs that nobody needs any more.
const HOUSEKEEPING: [&str; 5] = [
    "debug_experiments.archive_location",
    "debug_experiments.enabled",
    "debug_experiments.min_experiments_before_archive",
    "failed_experiments.archive_after_days",
    "failed_experiments.archive_location",
];

fn fields() -> BTreeSet<String> {
    let json = serde_json::to_value(Policy::default()).unwrap();
    let rules = json.as_object().unwrap().iter().flat_map(|(section, rules)| {
        rules.as_object().unwrap().keys().map(move |rule| match section.as_str() {
            "production_promotion" => rule.clone(),
            _ => format!("{section}.{rule}"),
        })
    });
    rules.filter(|rule| !HOUSEKEEPING.contains(&rule.as_str())).collect()
}

/// The rule in question as found; nothing may be reported of the others.
fn of(states: &[&Policy], at: usize, rule: &str, noise: &[&str]) -> Option<WeakenedRule> {
    let mut found = weakened(states, at);
    found.retain(|found| !noise.contains(&found.rule));
    assert!(found.iter().all(|found| found.rule == rule), "{rule}: {found:#?}");
    found.pop()
}

#[test]
fn every_serialized_rule_is_ordered() {
    let tested: BTreeSet<String> = values().iter().map(|(rule, ..)| (*rule).to_owned()).collect();
    assert_eq!(tested, fields());
    for (rule, strict, weak) in values().into_iter().chain(more()) {
        let base = Policy::default();
        let [strict, weak] = [strict, weak].map(|value| with(&base, rule, &value));
        let found = weaker(&weak, &strict);
        assert_eq!(found.iter().map(|found| found.rule).collect::<Vec<_>>(), [rule]);
        assert_eq!(weaker(&weak, &weak), []);
    }
    for (rule, strict, weak) in values() {
        let base = Policy::default();
        let [strict, weak] = [strict, weak].map(|value| with(&base, rule, &value));
        assert_eq!(weaker(&strict, &weak), []);
    }
}

/// Weakened, used, restored: however many changes of another rule lie in between, and however
/// many promotions ago the strict value was in force.
#[test]
fn every_rule_weaker_at_a_promotion_is_found_with_both_changes() {
    for (rule, strict, weak) in values().into_iter().chain(more()) {
        for (other, other_strict, other_weak) in values().into_iter().filter(|o| o.0 != rule) {
            let base = with(&Policy::default(), other, &other_strict);
            let strong = with(&base, rule, &strict);
            let open = with(&strong, rule, &weak);
            let other_open = with(&open, other, &other_weak);
            let (was, used) = (strict.to_string(), weak.to_string());
            let noise = [other];
            // In one change each, with changes of another rule between them.
            for states in [
                vec![&strong, &open, &open, &strong],
                vec![&strong, &open, &other_open, &open, &strong],
                vec![&base, &strong, &other_open, &other_open, &strong],
            ] {
                let at = states.len() - 2;
                let found = of(&states, at, rule, &noise).unwrap_or_else(|| panic!("{rule}"));
                assert_eq!(found.then, used);
                assert_eq!(found.weakened.last().map(|(_, value)| value), Some(&was));
                assert_eq!(found.strengthened, Some((states.len() - 1, was.clone())));
            }
            // Never restored.
            let found = of(&[&strong, &open, &other_open], 2, rule, &noise).unwrap();
            assert_eq!((found.weakened, found.strengthened), (vec![(1, was.clone())], None));
            // Restored, and changed once more after: the first stricter state counts.
            let found = of(&[&strong, &open, &strong, &open], 1, rule, &noise).unwrap();
            assert_eq!(found.strengthened, Some((2, was.clone())));
        }
    }
}

#[test]
fn a_rule_strengthened_only_after_and_one_restored_before_are_told_apart() {
    for (rule, strict, weak) in values() {
        let open = with(&Policy::default(), rule, &weak);
        let strong = with(&open, rule, &strict);
        let found = of(&[&open, &open, &strong], 1, rule, &[]).unwrap();
        assert_eq!((found.weakened, found.strengthened), (vec![], Some((2, strict.to_string()))));
        // Strict at the promotion, whatever came before and after: nothing.
        assert_eq!(of(&[&strong, &open, &strong, &open], 2, rule, &[]), None);
        assert_eq!(weakened(&[&open], 0), []);
        assert_eq!(weakened(&[&open], 1), []);
    }
}

/// A value lowered step by step is weakened by each step that the promotion used.
#[test]
fn every_step_of_a_slow_weakening_is_named() {
    let states: Vec<Policy> = [0.9, 0.8, 0.95, 0.7, 0.6]
        .iter()
        .map(|value| with(&Policy::default(), "min_accuracy_threshold", &json!(value)))
        .collect();
    let states: Vec<&Policy> = states.iter().collect();
    let found = weakened(&states, 4).remove(0);
    let steps = [(1, "0.9"), (3, "0.95"), (4, "0.7")].map(|(at, was)| (at, was.to_owned()));
    assert_eq!(found.weakened, steps);
}
