use super::decide::decide;
use super::*;
use crate::base::{Direction, RunId, Split, Timestamp};
use crate::domain::metric::{ClassScore, Evaluation, FinalMetric, MetricKey};
use crate::domain::run::{Artifact, Category, RunState, RunStatus, Unstated};
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
        let refused = set(key, value);
        let is_invalid = matches!(&refused, Err(crate::domain::Rejection::Invalid { .. }));
        assert!(is_invalid, "{key} = {value}: {refused:?}");
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

fn weights() -> Artifact {
    Artifact { path: None, digest: crate::base::Digest([1; 32]), sha256: None, bytes: 9 }
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
        artifacts: [("weights".to_owned(), weights())].into(),
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
        assess(policy, run).failed().into_iter().map(|result| result.rule.into_owned()).collect();
    assert_eq!(failed, [rule]);
}

#[test]
fn each_rule_stands_alone() {
    let policy = Policy::default();
    assert!(assess(&policy, &good()).is_candidate());
    fails(&policy, &RunState { status: RunStatus::Failed, ..good() }, "finished");
    fails(&policy, &RunState { category: Category::Debug, ..good() }, "category");
    fails(&policy, &RunState { synthetic: true, ..good() }, "synthetic_data");
    fails(&policy, &RunState { artifacts: [].into(), ..good() }, "model");
    let ensemble = [("ensemble".to_owned(), weights())].into();
    assert!(assess(&policy, &RunState { artifacts: ensemble, ..good() }).is_candidate());
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

/// Every rule against a run of which facts are not stated: a rule either needs none of them or
/// reports "not stated" in place of a value, and only the number of rows is a reason to refuse.
#[test]
fn a_rule_never_reports_an_unstated_fact_as_known() {
    let all = [Unstated::Seed, Unstated::DataOrigin, Unstated::LeakedRows];
    let needed = [
        ("synthetic_data", Some(Unstated::DataOrigin)),
        ("leakage", Some(Unstated::LeakedRows)),
        ("min_test_rows", None),
    ];
    let policy = Policy::default();
    // One fact at a time, the rows of the test split among them: all others stay as they were.
    for unstated in all.iter().copied().map(Some).chain([None]) {
        let run = match unstated {
            Some(fact) => RunState { unstated: [fact].into(), ..good() },
            None => RunState { rows: vec![(Split::Train, 900)], ..good() },
        };
        for rule in assess(&policy, &run).rules {
            let needs = needed.iter().any(|(name, fact)| rule.rule == *name && *fact == unstated);
            assert_eq!(rule.found == "not stated", needs, "{rule:?} with {unstated:?}");
            assert_eq!(rule.passed, !needs || unstated.is_some(), "{rule:?} with {unstated:?}");
        }
    }
    // A fact that is known to be bad is one, stated or not.
    let leaked = RunState { unstated: all.into(), leaked_rows: 3, synthetic: true, ..good() };
    let failed: Vec<_> = assess(&policy, &leaked).failed();
    assert_eq!(failed.len(), 2, "{failed:?}");
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
    let found: Vec<String> = assess(&Policy::default(), &run)
        .failed()
        .into_iter()
        .map(|r| r.found.into_owned())
        .collect();
    let classes = "0.0000, 0.0500 short (suicide_risk); 0.0100, 0.0400 short (anxiety)";
    assert_eq!(found, ["58, 42 short", "0.4100, 0.1400 short", classes]);
    run.metrics[0].value = 0.549_99;
    assert_eq!(assess(&Policy::default(), &run).failed()[1].found, "0.54999, 1.0e-5 short");
    let mut strict = Policy::default();
    strict.production_promotion.critical_class = Some("psychosis".into());
    strict.production_promotion.min_critical_recall = Some(0.9);
    strict.production_promotion.min_reproduced = 2;
    let failed = assess(&strict, &good()).failed();
    let found: Vec<&str> = failed.iter().map(|r| &*r.found).collect();
    assert_eq!(found, ["no label psychosis", "0, 2 short"]);
}

#[test]
fn a_stem_is_what_the_names_of_a_series_have_in_common() {
    for (name, expected) in [
        ("baseline_small", "baseline_small"),
        ("baseline_small_v2", "baseline_small"),
        ("Baseline-Small v1.3", "baseline_small"),
        ("baseline_small_20250525", "baseline_small"),
        ("baseline_small_20250525_064536", "baseline_small"),
        ("2025-05-25_baseline_small", "baseline_small"),
        ("baseline_small_seed7", "baseline_small"),
        ("baseline_small_seed_7", "baseline_small"),
        // What tells questions apart stays.
        ("small_data_10k", "small_data_10k"),
        ("layers_12", "layers_12"),
        ("seed_words", "seed_words"),
        ("vocab_100", "vocab_100"),
        ("year_2024", "year_2024"),
        ("small_123456789", "small_123456789"),
        // A name of nothing else.
        ("v2", "v2"),
        ("20250525_064536", "20250525_064536"),
        ("", ""),
    ] {
        assert_eq!(stem(name), expected, "{name:?}");
    }
}

#[test]
fn runs_are_of_one_series_by_name_or_by_configuration() {
    let key = |n: u8| Some([n; 32]);
    let run = |stem: &str, config: ConfigKey| (stem.to_owned(), config);
    let runs = [
        run("small", key(1)),
        run("large", key(2)),
        run("small", key(3)),
        // Of the configuration of a small one: the series has the names of both.
        run("again", key(3)),
        run("unknown", None),
        run("other", None),
        // Brings two series together.
        run("large", key(4)),
        run("small", key(4)),
        run("again", key(9)),
    ];
    let all = "small + large + again";
    assert_eq!(series(&runs), [all, all, all, all, "unknown", "other", all, all, all]);
    assert_eq!(series(&[]), Vec::<String>::new());
}

const DAY: i64 = 86_400 * 1_000_000_000;

fn member(n: u8, class: Class, score: Option<f64>) -> Member {
    Member {
        run: RunId([n; 16]),
        experiment_id: format!("run_{n}"),
        series: "small".into(),
        class,
        status: if class == Class::Incomplete { RunStatus::Failed } else { RunStatus::Finished },
        score: Score {
            counts: true,
            measured: score.map(|value| (Split::Test, "f1_macro", value)),
            second: 0.0,
        },
        ended: Some(Timestamp(0)),
        archived: false,
        held: None,
    }
}

fn actions(members: &[Member], now: i64) -> Vec<Action> {
    let decided = consolidate(&Policy::default(), members, Timestamp(now));
    decided.into_iter().map(|(action, _)| action).collect()
}

#[test]
fn of_a_series_the_best_stays_the_second_is_archived_and_the_rest_goes() {
    use Action::{Archive, Keep, Remove};
    use Class::{Baseline, Debug, Incomplete, TestMock};
    let scores = [(1, 0.5), (2, 0.9), (3, 0.7)];
    let mut members: Vec<Member> =
        scores.iter().map(|(n, score)| member(*n, Baseline, Some(*score))).collect();
    assert_eq!(actions(&members, 0), [Remove, Keep, Archive]);
    // A debug run never is the best, whatever it measured; the machinery's tests go.
    members.push(member(4, Debug, Some(1.0)));
    members.push(member(5, TestMock, Some(1.0)));
    assert_eq!(actions(&members, 0), [Remove, Keep, Archive, Remove, Remove]);
    // Of debug runs alone one stands for the series and none stays.
    let debug = [member(1, Debug, Some(0.1)), member(2, Debug, Some(0.2))];
    assert_eq!(actions(&debug, 0), [Remove, Archive]);
    // Numbers that do not count are no better than any that do; no number is the least.
    let mut typed = [member(1, Baseline, Some(0.9)), member(2, Baseline, Some(0.2))];
    typed[0].score.counts = false;
    assert_eq!(actions(&typed, 0), [Archive, Keep]);
    let measured = [member(1, Baseline, None), member(2, Baseline, Some(0.0))];
    assert_eq!(actions(&measured, 0), [Archive, Keep]);
    // The test rows count more than the valid ones; of equals the later is better.
    let mut split = [member(1, Baseline, Some(0.2)), member(2, Baseline, Some(0.9))];
    split[1].score.measured = Some((Split::Valid, "f1_macro", 0.9));
    assert_eq!(actions(&split, 0), [Keep, Archive]);
    let equal = [member(1, Baseline, Some(0.5)), member(2, Baseline, Some(0.5))];
    assert_eq!(actions(&equal, 0), [Archive, Keep]);
    // A failure stays until the policy's days are over.
    let days = i64::from(Policy::default().failed_experiments.archive_after_days);
    let failed = [member(1, Incomplete, None)];
    assert_eq!(actions(&failed, days * DAY - 1), [Keep]);
    assert_eq!(actions(&failed, days * DAY), [Remove]);
}

#[test]
fn who_is_held_stays_and_a_consolidation_cut_short_is_decided_the_same_way() {
    use Action::{Archive, Keep, Remove};
    let scores = [(1, 0.5), (2, 0.9), (3, 0.7)];
    let mut members: Vec<Member> =
        scores.iter().map(|(n, score)| member(*n, Class::Baseline, Some(*score))).collect();
    members[0].held = Some("pinned".into());
    let decided = consolidate(&Policy::default(), &members, Timestamp(0));
    assert_eq!(decided[0], (Keep, "pinned".into()));
    assert_eq!(decided[1].1, "best of its series: f1_macro 0.9000 on test");
    members[0].held = None;
    members[2].archived = true;
    let decided = consolidate(&Policy::default(), &members, Timestamp(0));
    assert_eq!(decided[0].0, Remove);
    assert_eq!(decided[0].1, "f1_macro 0.5000 on test; run_2 has f1_macro 0.9000 on test");
    assert_eq!(decided[2].0, Keep);
    assert!(decided[2].1.ends_with("archived already"), "{}", decided[2].1);
    members[2].archived = false;
    assert_eq!(actions(&members, 0), [Remove, Keep, Archive]);
    // Another series decides for itself.
    members[2].series = "large".into();
    assert_eq!(actions(&members, 0), [Archive, Keep, Keep]);
}
