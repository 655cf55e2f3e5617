use super::*;
use crate::base::{Direction, Split};
use crate::domain::metric::{ClassScore, Evaluation, FinalMetric, MetricKey};
use crate::domain::run::{Category, RunState, RunStatus};
use crate::domain::{Fold as _, Provenance};

fn set(key: &str, value: &str) -> Result<Vec<PolicyEvent>, crate::domain::Rejection> {
    let (key, value) = (key.to_owned(), value.to_owned());
    decide(&PolicyState::default(), PolicyCommand::Set { key, value, reason: None })
}

#[test]
fn a_rule_is_set_and_the_change_is_told() {
    let events = set("production_promotion.approvals", "2").unwrap();
    let PolicyEvent::Changed(changed) = &events[0];
    assert_eq!(changed.changes.len(), 1);
    assert_eq!(changed.changes[0].old.as_deref(), Some("1"));
    assert_eq!(changed.policy.production_promotion.approvals, 2);
    assert!(set("production_promotion.approvals", "1").unwrap().is_empty());
    let words = set("debug_experiments.criteria", "debug, scratch").unwrap();
    let PolicyEvent::Changed(changed) = &words[0];
    assert_eq!(changed.policy.debug_experiments.criteria, ["debug", "scratch"]);
    let critical = set("production_promotion.critical_class", "suicide_risk").unwrap();
    let PolicyEvent::Changed(changed) = &critical[0];
    let found = changed.policy.production_promotion.critical_class.as_deref();
    assert_eq!(found, Some("suicide_risk"));
}

#[test]
fn senseless_rules_are_refused() {
    for (key, value) in [
        ("production_promotion.aprovals", "2"),
        ("approvals", "2"),
        ("production_promotion.approvals", "two"),
        ("production_promotion.approvals", "-1"),
        ("production_promotion.approvals", "0"),
        ("production_promotion.min_accuracy_threshold", "1.5"),
        ("production_promotion.min_critical_recall", "0.9"),
        ("production_promotion.evidence", "hearsay"),
        ("production_promotion.evidence", "[]"),
        ("production_promotion.critical_class", "\" \""),
        ("debug_experiments.criteria", "[\"--\"]"),
        ("debug_experiments.archive_location", "../elsewhere"),
        ("debug_experiments.archive_location", "archived"),
        ("debug_experiments.archive_location", "Archive_Baseline"),
        ("failed_experiments.archive_location", "archive_debug"),
    ] {
        assert!(set(key, value).is_err(), "{key} = {value} was accepted");
    }
}

#[test]
fn the_revision_counts_the_changes() {
    let mut state = PolicyState::default();
    let adopted = decide(&state, PolicyCommand::Adopt).unwrap();
    adopted.iter().for_each(|event| state.evolve(event));
    assert_eq!(state.revision(), 0);
    assert!(decide(&state, PolicyCommand::Adopt).unwrap().is_empty());
    set("production_promotion.approvals", "2").unwrap().iter().for_each(|e| state.evolve(e));
    assert_eq!(state.revision(), 1);
}

fn metric(name: &str, value: f64) -> FinalMetric {
    let split = Some(Split::Test);
    FinalMetric { key: MetricKey { name: name.into(), split, direction: Direction::Higher }, value }
}

fn good() -> RunState {
    let class = |label: &str, f1: f64| ClassScore {
        label: label.into(),
        precision: f1,
        recall: f1,
        f1,
        support: 100,
    };
    RunState {
        status: RunStatus::Finished,
        rows: vec![(Split::Test, 200)],
        provenance: Some(Provenance::Engine),
        metrics: vec![metric("accuracy", 0.56), metric("f1_macro", 0.5)],
        evaluations: vec![Evaluation {
            split: Split::Test,
            rows: 200,
            classes: vec![class("anxiety", 0.6), class("suicide_risk", 0.4)],
            confusion: vec![],
        }],
        ..RunState::default()
    }
}

#[track_caller]
fn fails(policy: &Policy, run: &RunState, rule: &str) {
    let failed: Vec<String> =
        assess(policy, run).failed().into_iter().map(|result| result.rule).collect();
    assert_eq!(failed, [rule]);
}

#[test]
fn each_rule_stands_alone() {
    let policy = Policy::default();
    assert!(assess(&policy, &good()).is_candidate());
    fails(&policy, &RunState { status: RunStatus::Failed, ..good() }, "finished");
    fails(&policy, &RunState { category: Category::Debug, ..good() }, "category");
    fails(&policy, &RunState { synthetic: true, ..good() }, "synthetic_data");
    fails(&policy, &RunState { leaked_rows: 1, ..good() }, "leakage");
    fails(&policy, &RunState { provenance: Some(Provenance::Typed), ..good() }, "evidence");
    fails(&policy, &RunState { rows: vec![(Split::Test, 99)], ..good() }, "min_test_rows");
    let poor = vec![metric("accuracy", 0.5499), metric("f1_macro", 0.5)];
    fails(&policy, &RunState { metrics: poor, ..good() }, "min_accuracy_threshold");
    let mut nothing_recalled = good();
    nothing_recalled.evaluations[0].classes[1].f1 = 0.0;
    fails(&policy, &nothing_recalled, "min_class_f1");
    let mut strict = policy.clone();
    strict.production_promotion.critical_class = Some("suicide_risk".into());
    strict.production_promotion.min_critical_recall = Some(0.9);
    fails(&strict, &good(), "min_critical_recall");
    let mut off = policy;
    off.production_promotion.enabled = false;
    fails(&off, &good(), "enabled");
}

#[test]
fn a_missing_metric_fails_its_rule_and_never_counts_as_zero() {
    let run = RunState { metrics: vec![metric("accuracy", 0.9)], ..good() };
    let failed = assess(&Policy::default(), &run).failed();
    assert_eq!(failed[0].rule, "min_f1_macro_threshold");
    assert_eq!(failed[0].found, "not measured");
}

#[test]
fn a_miss_says_by_how_much() {
    let mut run = good();
    run.metrics[0].value = 0.41;
    run.evaluations[0].classes[0].f1 = 0.01;
    run.evaluations[0].classes[1].f1 = 0.0;
    run.rows = vec![(Split::Test, 58)];
    let found: Vec<String> =
        assess(&Policy::default(), &run).failed().into_iter().map(|r| r.found).collect();
    let classes = "0.0000, 0.0500 short (suicide_risk); 0.0100, 0.0400 short (anxiety)";
    assert_eq!(found, ["58, 42 short", "0.4100, 0.1400 short", classes]);
    run.metrics[0].value = 0.549_99;
    assert_eq!(assess(&Policy::default(), &run).failed()[1].found, "0.54999, 1.0e-5 short");
    let mut strict = Policy::default();
    strict.production_promotion.critical_class = Some("psychosis".into());
    strict.production_promotion.min_critical_recall = Some(0.9);
    strict.production_promotion.min_reproduced = 2;
    let failed = assess(&strict, &good()).failed();
    let found: Vec<&str> = failed.iter().map(|r| r.found.as_str()).collect();
    assert_eq!(found, ["no label psychosis", "0, 2 short"]);
}
