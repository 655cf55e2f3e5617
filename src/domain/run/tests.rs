use super::decide::decide;
use super::edit::decide_edit;
use super::*;
use crate::domain::Rejection;

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
        teller: None,
    };
    let end = RunCommand::End(Ending::Interrupt { reason: "Ctrl-C".into() });
    let refused = decide(&RunState::default(), end.clone(), &facts);
    assert!(matches!(refused, Err(Rejection::WrongState { .. })));
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
        teller: None,
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

/// A finished run named `name`.
fn there(name: &str, tags: &[&str]) -> RunState {
    RunState {
        name: name.into(),
        experiment_id: format!("{name}_20260301_120000"),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        status: RunStatus::Finished,
        ..RunState::default()
    }
}

/// What `command` does to `state`, folded into it.
fn say(state: &mut RunState, command: RunEdit) -> Result<Vec<RunEvent>, Rejection> {
    use crate::domain::Fold as _;
    let policy = crate::domain::policy::Policy::default();
    let events = {
        let provenance = crate::domain::Provenance::Reported;
        decide_edit(
            state,
            command,
            &RunFacts { policy: &policy, policy_revision: 4, provenance, teller: None },
        )?
    };
    events.iter().for_each(|event| state.evolve(event));
    Ok(events)
}

fn tag(add: &[&str], remove: &[&str]) -> RunEdit {
    let words = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect();
    RunEdit::Tag { add: words(add), remove: words(remove) }
}

#[test]
fn a_category_follows_the_words_until_somebody_chooses_it() {
    let mut run = there("night", &[]);
    let events = say(&mut run, tag(&["mock"], &[])).unwrap();
    assert_eq!(events.len(), 2);
    let RunEvent::Classified(classified) = &events[1] else { panic!("{events:?}") };
    assert_eq!((classified.rule.as_str(), classified.policy_revision), ("debug tag", Some(4)));
    assert_eq!(classified.matched, ["mock"]);
    assert_eq!(run.category, Category::Debug);
    say(&mut run, RunEdit::Classify(Some(Category::Baseline))).unwrap();
    assert_eq!(say(&mut run, RunEdit::Classify(Some(Category::Baseline))).unwrap(), []);
    assert_eq!(say(&mut run, tag(&["debug"], &[])).unwrap().len(), 1);
    assert_eq!(run.category, Category::Baseline);
    say(&mut run, RunEdit::Classify(None)).unwrap();
    assert_eq!((run.category, run.category_chosen), (Category::Debug, false));
    say(&mut run, tag(&[], &["debug", "mock"])).unwrap();
    assert_eq!(run.category, Category::Baseline);
    say(&mut run, RunEdit::Rename("smoke-test".into())).unwrap();
    assert_eq!((run.category, run.name.as_str()), (Category::Debug, "smoke-test"));
    assert_eq!(run.experiment_id, "night_20260301_120000");
}

#[test]
fn what_is_so_already_is_no_event_and_what_cannot_be_is_refused() {
    let mut run = there("night", &["slow"]);
    for command in
        [tag(&["slow"], &[]), RunEdit::Unpin { reason: None }, RunEdit::Rename("night".into())]
    {
        assert_eq!(say(&mut run, command).unwrap(), []);
    }
    assert_eq!(say(&mut run, RunEdit::Pin { reason: None }).unwrap().len(), 1);
    assert_eq!(say(&mut run, RunEdit::Pin { reason: None }).unwrap(), []);
    let long = "x".repeat(5_000);
    for command in [
        tag(&[], &["fast"]),
        tag(&[""], &[]),
        tag(&["a,b"], &[]),
        tag(&[" a"], &[]),
        tag(&["a\u{1b}[31m"], &[]),
        tag(&["new"], &["new"]),
        tag(&[&long], &[]),
        RunEdit::Note(" ".into()),
        RunEdit::Note(long.clone()),
        RunEdit::Rename("../x".into()),
        RunEdit::Rename(String::new()),
        RunEdit::Pin { reason: Some(String::new()) },
    ] {
        if matches!(command, RunEdit::Pin { .. }) {
            run.pinned = false;
        }
        let refused = say(&mut run, command.clone());
        let expected = match command {
            // A tag that is not there cannot go.
            RunEdit::Tag { remove, .. } if remove == ["fast"] => {
                matches!(&refused, Err(Rejection::Unknown { what: "tag", name }) if name == "fast")
            }
            _ => matches!(refused, Err(Rejection::Invalid { .. })),
        };
        assert!(expected, "{refused:?}");
    }
    let mut nobody = RunState::default();
    let unknown = Rejection::Unknown { what: "run", name: String::new() };
    assert_eq!(say(&mut nobody, RunEdit::Pin { reason: None }), Err(unknown));
}

#[test]
fn the_first_shape_of_a_classification_is_still_read() {
    use crate::base::codec;
    use crate::domain::{DecodeError, Event, kind_named};
    let kind = kind_named("run.classified").unwrap();
    let v1 = codec::encode(&(Category::Debug, "debug tag".to_owned(), vec!["micro".to_owned()]));
    let Ok(Event::Run(RunEvent::Classified(read))) = Event::decode(kind, 1, &v1) else {
        panic!("version 1 is not read");
    };
    assert_eq!((read.category, read.policy_revision), (Category::Debug, None));
    let later = Event::decode(kind, 3, &v1);
    assert!(matches!(later, Err(DecodeError::UnknownVersion { version: 3, .. })), "{later:?}");
}

#[test]
fn equal_reproductions_of_a_finished_run_by_others_count() {
    use crate::base::{Digest, RunId};
    use crate::domain::Fold as _;
    let policy = crate::domain::policy::Policy::default();
    let facts = RunFacts {
        policy: &policy,
        policy_revision: 0,
        provenance: crate::domain::Provenance::Engine,
        teller: None,
    };
    let reproduced = |by, equal| {
        let (weights, environment) = (Digest([1; 32]), vec![]);
        let by = RunId([by; 16]);
        let event = Reproduction { by, equal, weights, difference: None, environment };
        RunCommand::Reproduce(Box::new(event))
    };
    let mut run = RunState { id: Some(RunId([1; 16])), ..there("night", &[]) };
    for (by, equal, counted) in [(2, true, 1), (3, false, 1), (4, true, 2)] {
        let events = decide(&run, reproduced(by, equal), &facts).unwrap();
        events.iter().for_each(|event| run.evolve(event));
        assert_eq!(run.reproduced, counted);
    }
    let wrong = |state: &str| Rejection::WrongState {
        what: "run night_20260301_120000".into(),
        state: state.into(),
        wanted: "only a finished one is reproduced, by another run".into(),
    };
    assert_eq!(decide(&run, reproduced(1, true), &facts), Err(wrong("finished")), "by itself");
    run.status = RunStatus::Failed;
    assert_eq!(decide(&run, reproduced(5, true), &facts), Err(wrong("failed")), "no model");
}

#[test]
fn the_files_of_a_run_are_where_a_move_brought_them() {
    use crate::base::{Digest, MoveId, RunId};
    use crate::domain::file_move::{
        ArchiveOrder, MoveMode, MovePlan, MovePurpose, MovedFile, RemovalOrder, RestoreOrder,
    };
    let run = RunId([1; 16]);
    let policy = crate::domain::policy::Policy::default();
    let provenance = crate::domain::Provenance::Reported;
    let facts = RunFacts { policy: &policy, policy_revision: 4, provenance, teller: None };
    let file = |path: &str, source: &str, bytes| {
        let (path, source, digest) = (path.to_owned(), source.to_owned(), Digest([1; 32]));
        MovedFile { path, source, digest, sha256: None, bytes }
    };
    let plan = |purpose| MovePlan {
        id: MoveId([3; 16]),
        purpose,
        mode: MoveMode::Move,
        from: "experiments/hate_1".into(),
        to: "experiments/archived/hate_1".into(),
        files: vec![
            file("model.bin", "model.bin", 9),
            file("packed.tar.zst/log.txt", "log.txt", 100),
        ],
    };
    let sha256 = Some(crate::base::Sha256Digest([6; 32]));
    let (path, digest, bytes) = ("old.bin".into(), Digest([2; 32]), 1_000);
    let dropped = DroppedFile { path, digest, sha256, bytes };
    let archive = plan(MovePurpose::Archive(ArchiveOrder {
        run,
        archive: Archive::Archived,
        rule: None,
        reason: "old".into(),
        policy_revision: 4,
        pack: Some(Pack::Zst),
        dropped: vec![dropped.clone()],
    }));
    let packed = PackedFiles { pack: Pack::Zst, digest: Digest([5; 32]), sha256, bytes: 20 };
    let note = |plan: &MovePlan, packed: Option<PackedFiles>| {
        let command = RunCommand::NoteMoved(Box::new(plan.clone()), packed);
        let events = decide(&there("night", &[]), command, &facts).unwrap();
        let [event]: [RunEvent; 1] = events.try_into().unwrap();
        event
    };
    let RunEvent::Archived(archived) = note(&archive, Some(packed.clone())) else { panic!() };
    assert_eq!((archived.bytes_before, archived.bytes_after), (1_109, 29));
    assert_eq!((archived.packed, archived.dropped), (Some(packed), vec![dropped.clone()]));
    let restore = plan(MovePurpose::Restore(RestoreOrder {
        run,
        reason: None,
        pack: None,
        from_blobs: vec![dropped.clone()],
    }));
    let RunEvent::Restored(restored) = note(&restore, None) else { panic!() };
    assert_eq!((restored.folder, restored.recovered), (restore.to.clone(), vec![dropped]));
    let removal = plan(MovePurpose::Removal(RemovalOrder {
        run,
        plan: Digest([6; 32]),
        reason: "not the best".into(),
        policy_revision: 4,
    }));
    let RunEvent::Deleted(deleted) = note(&removal, None) else { panic!() };
    assert_eq!((deleted.bytes, deleted.files.len(), deleted.file_move), (109, 2, MoveId([3; 16])));
}

#[test]
fn a_run_stays_where_it_is_used() {
    let policy = crate::domain::policy::Policy::default();
    let provenance = crate::domain::Provenance::Reported;
    let facts = RunFacts { policy: &policy, policy_revision: 4, provenance, teller: None };
    let free = ArchiveFacts::default;
    let named = |name: &str| Some(name.to_owned());
    let in_production = ArchiveFacts { production: named("hate_v1"), requested: None };
    let requested = ArchiveFacts { production: None, requested: named("hate_v1") };
    let run = there("night", &[]);
    let archived = RunState { archive: Some(Archive::Archived), ..run.clone() };
    let allowed = |state: &RunState, command| decide(state, command, &facts) == Ok(vec![]);
    assert!(allowed(&run, RunCommand::AllowArchive(free())));
    assert!(allowed(&run, RunCommand::AllowRemoval(free())));
    assert!(!allowed(&run, RunCommand::AllowRestore));
    // An archived run is not archived twice, but restored, or removed for good.
    assert!(!allowed(&archived, RunCommand::AllowArchive(free())));
    assert!(allowed(&archived, RunCommand::AllowRemoval(free())));
    assert!(allowed(&archived, RunCommand::AllowRestore));
    for kept in [in_production, requested] {
        assert!(!allowed(&run, RunCommand::AllowArchive(kept.clone())), "{kept:?}");
        assert!(!allowed(&archived, RunCommand::AllowRemoval(kept)));
    }
    for kept in [
        RunState { status: RunStatus::Running, ..run.clone() },
        RunState { pinned: true, ..run.clone() },
        RunState { deleted: true, ..run },
        RunState::default(),
    ] {
        assert!(!allowed(&kept, RunCommand::AllowArchive(free())), "{kept:?}");
        assert!(!allowed(&kept, RunCommand::AllowRemoval(free())), "{kept:?}");
    }
}
