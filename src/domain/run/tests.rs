use super::*;

fn debug_criteria() -> Vec<String> {
    crate::domain::policy::Policy::default().debug_experiments.criteria
}

#[track_caller]
fn sorted(name: &str, tags: &[&str], expected: Category, rule: &str) {
    let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
    let found = classify(name, &tags, &debug_criteria(), None);
    assert_eq!((found.category, found.rule), (expected, rule), "{name} {tags:?}");
}

#[test]
fn whole_words_classify_and_parts_of_words_do_not() {
    sorted("latest", &[], Category::Baseline, "no debug word");
    sorted("contest_winner", &[], Category::Baseline, "no debug word");
    sorted("smoke_test", &[], Category::Debug, "debug word in the name");
    sorted("Debug-Loader", &[], Category::Debug, "debug word in the name");
    sorted("baseline_ultra_micro_3", &[], Category::Debug, "debug word in the name");
}

#[test]
fn tags_outweigh_the_name_and_debug_tags_outweigh_baseline_tags() {
    sorted("medium_cpu_experiment", &["production"], Category::Baseline, "baseline tag");
    sorted("smoke_test", &["production-candidate"], Category::Baseline, "baseline tag");
    sorted("night", &["baseline", "ultra-micro"], Category::Debug, "debug tag");
    let chosen = classify("night", &["debug".into()], &debug_criteria(), Some(Category::Baseline));
    assert_eq!((chosen.category, chosen.rule), (Category::Baseline, "chosen by the user"));
}

#[test]
fn an_empty_criterion_matches_nothing() {
    let found = classify("night", &[], &["--".into()], None);
    assert_eq!(found.category, Category::Baseline);
}

#[test]
fn a_run_that_has_not_begun_takes_in_nothing() {
    let policy = crate::domain::policy::Policy::default();
    let facts = RunFacts {
        policy: &policy,
        policy_revision: 0,
        provenance: crate::domain::Provenance::Engine,
    };
    let end = RunCommand::End(Ending::Interrupt { reason: "Ctrl-C".into() });
    let refused = decide(&RunState::default(), end.clone(), &facts);
    assert!(matches!(refused, Err(crate::domain::Rejection::WrongState { .. })));
    let running = RunState { status: RunStatus::Running, ..RunState::default() };
    assert_eq!(decide(&running, end, &facts).unwrap().len(), 1);
}

#[test]
fn a_metric_that_is_not_finite_is_refused_by_name_and_step() {
    use crate::base::{Direction, Timestamp};
    use crate::domain::metric::{MetricBatch, MetricKey, MetricPoint};
    let policy = crate::domain::policy::Policy::default();
    let facts = RunFacts {
        policy: &policy,
        policy_revision: 0,
        provenance: crate::domain::Provenance::Engine,
    };
    let running = RunState { status: RunStatus::Running, ..RunState::default() };
    for value in [f64::NAN, f64::INFINITY] {
        let key = MetricKey { name: "loss".into(), split: None, direction: Direction::Lower };
        let point = MetricPoint { key: 0, step: 3, epoch: 0.0, value, at: Timestamp(0) };
        let batch = MetricBatch::new(vec![key], &[point]);
        let refused = decide(&running, RunCommand::RecordMetrics(batch), &facts).unwrap_err();
        assert!(refused.to_string().starts_with("metric loss at step 3"), "{refused}");
    }
}
