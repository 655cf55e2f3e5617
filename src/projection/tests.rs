//! PRJ-1: whatever history, and wherever it is interrupted, incremental views equal rebuilt ones.

use crate::base::{Digest, Env, RunId, Timestamp};
use crate::domain::metric::{MetricBatch, MetricKey, MetricPoint};
use crate::domain::run::{MetricsRecorded, RunFailed, RunInterrupted};
use crate::domain::workspace::ActorRegistered;
use crate::domain::{Event, Provenance, StreamId};
use crate::projection::{Snapshot, Views};
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

fn dump(snapshot: &Snapshot) -> Digest {
    snapshot.digest().unwrap()
}

#[test]
fn prj_1_incremental_views_equal_rebuilt_ones() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), Env::fixed(Timestamp(1_000_000), 3)).unwrap();
    let views = Views::new(dir.path());
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
    let views = Views::keeping(dir.path(), 16);
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
    let wrong = |size| views.folded_beside_kept(&store, size).unwrap().1;
    assert_eq!(wrong(100), None);
    let rows = redb::TableDefinition::<(&str, &[u8], u64), &[u8]>::new("kept");
    let db = redb::Database::open(dir.path().join("views.redb")).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(rows).unwrap().retain(|(.., stretch), _| stretch != 2).unwrap();
    txn.commit().unwrap();
    drop(db);
    assert_eq!(wrong(47), None);
    assert_eq!(wrong(100), Some(48));
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
    let views = Views::keeping(&one, 16);
    views.update(&first).unwrap();
    assert_eq!(views.kept_before(&first, 41), Some(32));
    assert_eq!(views.kept_before(&second, 41), None);
    let folded = dump(&Views::folded(&second, 35).unwrap());
    assert_eq!(dump(&views.as_of(&second, 35).unwrap()), folded);
}
