//! PRJ-1: whatever history, and wherever it is interrupted, incremental views equal rebuilt ones.

use crate::base::{Digest, Env, RequestId, RunId, Split, Timestamp};
use crate::domain::metric::{Evaluation, FinalMetric, MetricBatch, MetricKey, MetricPoint};
use crate::domain::policy::{PolicyState, assess};
use crate::domain::registry::{RegistryCommand, RegistryFacts, RegistryState, RegistryStream};
use crate::domain::run::{
    Category, DataRecord, Ending, Environment, MetricsRecorded, Reproduction, RunCommand, RunEdit,
    RunEvidence, RunFacts, RunFailed, RunInterrupted, RunOutcome, RunStart, RunState, RunStream,
    StoredFile, Teller, UnrecordedReason, UnrecordedSeries, UnrecordedValues,
};
use crate::domain::workspace::ActorRegistered;
use crate::domain::{Decider as _, Event, Provenance, StreamId, fold};
use crate::projection::{Snapshot, Views, ViewsKey};
use crate::store::{Append, Author, Expected, Origin, Store, StoreError, WriteOptions};

fn append(store: &Store, stream: StreamId, events: &[Event], actor: Origin) {
    store
        .write(&WriteOptions::interactive("test", None), |w| {
            w.append(&Append {
                stream,
                expected: Expected::Any,
                author: Author { actor, invocation: None, key: None },
                sequence: None,
                command: None,
                occurred: None,
                provenance: Provenance::Engine,
                events,
            })?;
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

fn points(run: u8, step: u64) -> (StreamId, Event) {
    let key = MetricKey {
        name: format!("loss_{}", step % 3),
        split: None,
        direction: crate::base::Direction::Lower,
    };
    let value = (step as f64 * 0.7).sin();
    let point = MetricPoint { key: 0, step, epoch: 0.0, value, at: Timestamp(0) };
    let batch = MetricBatch::new(vec![key], &[point]);
    (RunId([run; 16]).into(), MetricsRecorded { attempt: 1, batch }.into())
}

/// What happens `i`-th in a long history of five runs.
fn happens(i: u64) -> (StreamId, Event) {
    let run = (i % 5) as u8;
    match i % 50 {
        13 => {
            let failed = RunFailed {
                attempt: 1,
                reason: "x".into(),
                signal: None,
                exit_code: None,
                stderr_tail: String::new(),
            };
            (RunId([run; 16]).into(), failed.into())
        }
        31 => {
            let reason = "y".into();
            let event = RunInterrupted { attempt: 1, reason, resumable_step: None };
            (RunId([run; 16]).into(), event.into())
        }
        _ => points(run, i),
    }
}

fn key() -> ViewsKey {
    ViewsKey::new(&[7; 32])
}

fn dump(snapshot: &Snapshot) -> Digest {
    snapshot.digest().unwrap()
}

#[test]
fn prj_1_incremental_views_equal_rebuilt_ones() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), Env::fixed(Timestamp(1_000_000), 3)).unwrap();
    let views = Views::new(dir.path(), Some(key()));
    append(
        &store,
        StreamId::WORKSPACE,
        &[ActorRegistered { name: "ann".into() }.into()],
        Origin::This,
    );
    for i in 0..400_u64 {
        let (stream, event) = happens(i);
        append(&store, stream, &[event], Origin::At(0));
        if i % 37 == 0 {
            views.update(&store).unwrap();
        }
        if i % 61 == 0 {
            let (now, anew) = (views.read(&store).unwrap(), Views::folded(&store, i + 2).unwrap());
            assert_eq!(dump(&now), dump(&anew), "after {i}");
        }
    }
    let incremental = dump(&views.read(&store).unwrap());
    assert_ne!(incremental, dump(&Views::folded(&store, 0).unwrap()), "nothing was folded");
    views.rebuild(&store).unwrap();
    assert_eq!(dump(&views.read(&store).unwrap()), incremental);
    std::fs::remove_file(dir.path().join("views.redb")).unwrap();
    assert_eq!(dump(&views.read(&store).unwrap()), incremental);
}

#[test]
fn kept_states_are_what_the_log_adds_up_to() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), Env::fixed(Timestamp(1_000_000), 3)).unwrap();
    let views = Views::keeping(dir.path(), key(), 16);
    let ann = [ActorRegistered { name: "ann".into() }.into()];
    append(&store, StreamId::WORKSPACE, &ann, Origin::This);
    for i in 0..99_u64 {
        let (stream, event) = happens(i);
        append(&store, stream, &[event], Origin::At(0));
        if i % 7 == 0 {
            views.update(&store).unwrap();
        }
    }
    let agree = |views: &Views, what: &str| {
        for size in (0..=100).step_by(3).chain([16, 48, 95]) {
            let (kept, folded) =
                (views.as_of(&store, size).unwrap(), Views::folded(&store, size).unwrap());
            assert_eq!(dump(&kept), dump(&folded), "{what}, size {size}");
        }
    };
    agree(&views, "kept bit by bit");
    assert_eq!(views.kept_before(&store, 100), Some(96));
    assert_eq!(views.kept_before(&store, 15), None);
    views.rebuild(&store).unwrap();
    agree(&views, "kept by a rebuild");
    assert_eq!(views.kept_before(&store, 95), Some(80));
    // A copied file has no seal: its rows are summed.
    let [file, copy] = ["views.redb", "copy"].map(|name| dir.path().join(name));
    std::fs::copy(&file, &copy).unwrap();
    std::fs::rename(&copy, &file).unwrap();
    assert_eq!(views.kept_before(&store, 95), Some(80));
    let of_another = Views::keeping(dir.path(), ViewsKey::new(&[8; 32]), 16);
    assert_eq!(of_another.kept_before(&store, 95), None, "proven with another key");
    assert!(!views.is_changed(&store).unwrap() && !of_another.is_changed(&store).unwrap());
    let proven = views.clone();
    let stored = views.unproven();
    let wrong = |size| stored.folded_beside_kept(&store, size).unwrap().1;
    assert_eq!(wrong(100), None);
    let rows = redb::TableDefinition::<(&str, &[u8], u64), &[u8]>::new("kept");
    let db = redb::Database::open(dir.path().join("views.redb")).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(rows).unwrap().retain(|(.., interval), _| interval != 2).unwrap();
    txn.commit().unwrap();
    drop(db);
    assert_eq!(wrong(47), None);
    assert_eq!(wrong(100), Some(48));
    assert_eq!(proven.kept_before(&store, 95), None, "rows that do not fit the proof");
    assert!(proven.is_changed(&store).unwrap());
    assert!(proven.update(&store).unwrap(), "the next writer says so");
    assert!(!proven.update(&store).unwrap());
    assert_eq!(proven.kept_before(&store, 95), Some(80));
}

#[test]
fn kept_states_of_another_history_do_not_count() {
    let dir = tempfile::tempdir().unwrap();
    let grow = |dir: &std::path::Path, seed: u64, from: u64| {
        std::fs::create_dir(dir).unwrap();
        let store = Store::create(dir, Env::fixed(Timestamp(1_000_000), seed)).unwrap();
        let ann = [ActorRegistered { name: "ann".into() }.into()];
        append(&store, StreamId::WORKSPACE, &ann, Origin::This);
        for i in from..from + 40 {
            let (stream, event) = happens(i);
            append(&store, stream, &[event], Origin::At(0));
        }
        store
    };
    let [one, other] = ["one", "other"].map(|name| dir.path().join(name));
    let (first, second) = (grow(&one, 1, 0), grow(&other, 2, 100));
    let views = Views::keeping(&one, key(), 16);
    views.update(&first).unwrap();
    assert_eq!(views.kept_before(&first, 41), Some(32));
    assert_eq!(views.kept_before(&second, 41), None);
    let folded = dump(&Views::folded(&second, 35).unwrap());
    assert_eq!(dump(&views.as_of(&second, 35).unwrap()), folded);
}

/// The start of a run whose data nobody described.
fn begins(run: RunId) -> RunStart {
    let digest = Digest([1; 32]);
    RunStart {
        run,
        name: "hate".into(),
        experiment_id: "hate_1".into(),
        folder: "experiments/hate_1".into(),
        description: String::new(),
        tags: vec![],
        config_name: "toy".into(),
        config: digest,
        parameters: [].into(),
        seed: 1,
        data: DataRecord {
            files: vec![],
            synthetic: None,
            labels: vec![],
            split_rule: "hash".into(),
            splits: vec![],
            leaked_rows: 0,
            prepared: digest,
        },
        environment: Environment {
            tool_version: "0".into(),
            libtorch: None,
            os: "Linux".into(),
            host: "host".into(),
            cpu: "cpu".into(),
            cpus: 4,
            threads: 4,
            memory_bytes: 0,
            device: "cpu".into(),
            accelerators: vec![],
            variables: [].into(),
            git: None,
            cargo_lock: None,
        },
        trainer: "engine".into(),
        unstated: [].into(),
    }
}

/// What may happen to a run next: command `what`, varied by `n`.
fn next_command(what: u8, n: u8) -> RunCommand {
    let digest = Digest([n; 32]);
    match what {
        0 | 1 => {
            let name = ["weights", "ensemble", "config", "labels"][usize::from(n)].to_owned();
            let (path, bytes, blob) = (Some(format!("{name}.bin")), 9, true);
            let sha256 = None;
            RunCommand::StoreArtifact(StoredFile { name, path, digest, sha256, bytes, blob })
        }
        2..=4 => {
            let metric = |name: &str| FinalMetric {
                key: MetricKey {
                    name: name.into(),
                    split: Some(Split::Test),
                    direction: crate::base::Direction::Higher,
                },
                value: f64::from(n) / 3.0,
            };
            let labels = ["x".to_owned(), "y".to_owned()];
            let confusion = vec![vec![90, 10], vec![u64::from(n) * 25, 100 - u64::from(n) * 25]];
            RunCommand::End(Ending::Finish(Box::new(RunOutcome {
                duration_seconds: 1.0,
                steps: 1,
                epochs: 1,
                best: None,
                metrics: vec![metric("accuracy"), metric("f1_macro")],
                evaluations: vec![
                    Evaluation::of_confusion(Split::Test, &labels, confusion).unwrap(),
                ],
                parameter_count: None,
                model_bytes: 9,
                weights: None,
                rows_per_second: None,
            })))
        }
        5 => RunCommand::End(Ending::Interrupt { reason: "Ctrl-C".into() }),
        6 => RunCommand::Edit(RunEdit::Classify(Some(match n {
            0 => Category::Debug,
            _ => Category::Baseline,
        }))),
        7 => RunCommand::Edit(RunEdit::Tag { add: vec!["debug".into()], remove: vec![] }),
        8 => RunCommand::Edit(RunEdit::Pin { reason: None }),
        9 => RunCommand::Reproduce(Box::new(Reproduction {
            by: RunId([90 + n; 16]),
            equal: n > 0,
            weights: digest,
            difference: None,
            environment: vec![],
        })),
        _ => RunCommand::NoteUnrecorded(UnrecordedValues {
            series: vec![UnrecordedSeries {
                name: "loss".into(),
                split: None,
                reason: UnrecordedReason::NotFinite,
                values: 1,
                first_step: Some(1),
                last_step: Some(1),
                ends_so: n == 0,
            }],
            others: 0,
        }),
    }
}

/// Rules that a run with measured values and a model can meet.
fn lenient() -> PolicyState {
    let mut state = PolicyState::default();
    let rules = &mut state.policy.production_promotion;
    rules.min_test_rows = 0;
    rules.min_accuracy_threshold = 0.5;
    state
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    /// `promote` judges the state that it folds, `candidates` and `consolidate` judge rows of
    /// views: of the same history they say the same.
    #[test]
    fn states_and_views_are_judged_alike(
        steps in proptest::collection::vec((0_u8..12, 0_u8..4), 0..16),
    ) {
        let run = RunId([7; 16]);
        let policy = lenient();
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(dir.path(), Env::fixed(Timestamp(1_000_000), 3)).unwrap();
        let ann = [ActorRegistered { name: "ann".into() }.into()];
        append(&store, StreamId::WORKSPACE, &ann, Origin::This);
        let teller = Teller { actor: 0, name: "ann", signs: false };
        let facts = RunFacts::new(&policy, Provenance::Engine).told_by(teller);
        let start = RunCommand::Start(Box::new(begins(run)), None);
        let commands = steps.into_iter().map(|(what, n)| next_command(what, n));
        let mut decided = RunState::default();
        for command in std::iter::once(start).chain(commands) {
            // What a rule refuses does not happen.
            let Ok(events) = RunStream::decide(&decided, command, &facts) else { continue };
            for event in events {
                RunStream::anticipate(&mut decided, &event, &facts);
                append(&store, run.into(), &[event.into()], Origin::At(0));
            }
        }
        let state = store.read(|log| {
            Ok::<_, StoreError>(fold::<RunStream>(&log.stream(run.into(), 0)?))
        }).unwrap();
        proptest::prop_assert_eq!(&state, &decided, "folded after the fact and before it");
        let size = store.read(|log| Ok::<_, StoreError>(log.size())).unwrap();
        let views = Views::folded(&store, size).unwrap();
        let details = views.run(run).unwrap().unwrap();
        proptest::prop_assert_eq!(RunEvidence::from(&state), RunEvidence::from(&details));
        let judged = assess(&policy.policy, &state);
        let listed = views.map_runs(|run| Some(assess(&policy.policy, run))).unwrap();
        proptest::prop_assert_eq!(&listed, std::slice::from_ref(&judged));
        let facts = RegistryFacts {
            policy: &policy.policy,
            policy_revision: 0,
            promotion_revision: 0,
            originals: &crate::domain::registry::Originals::new(),
            actor: "ann",
            run: &state,
            trainer: "ann",
            trainer_signed: false,
            key: None,
            vouched: &std::collections::BTreeSet::new(),
        };
        let (request, name) = (RequestId([1; 16]), "hate_v1".to_owned());
        let (reason, intended_use, limits, replace) = (None, None, None, false);
        let ask =
            RegistryCommand::Request { request, name, reason, intended_use, limits, replace };
        let answer = RegistryStream::decide(&RegistryState::default(), ask, &facts);
        proptest::prop_assert_eq!(answer.is_ok(), judged.is_candidate(), "{:?}", judged);
    }
}
