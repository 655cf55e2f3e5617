//! PRJ-1: whatever history, and wherever it is interrupted, incremental views equal rebuilt ones.

use crate::base::{Env, RunId, Timestamp};
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

fn dump(snapshot: &Snapshot) -> Vec<super::Row> {
    snapshot.dump().unwrap()
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
        let (stream, event) = match i % 50 {
            13 => (
                RunId([(i % 5) as u8; 16]).into(),
                RunFailed {
                    attempt: 1,
                    reason: "x".into(),
                    signal: None,
                    exit_code: None,
                    stderr_tail: String::new(),
                }
                .into(),
            ),
            31 => (
                RunId([(i % 5) as u8; 16]).into(),
                RunInterrupted { attempt: 1, reason: "y".into(), resumable_step: None }.into(),
            ),
            _ => points((i % 5) as u8, i),
        };
        append(&store, stream, &[event], Origin::At(0));
        if i % 37 == 0 {
            views.update(&store).unwrap();
        }
        if i % 61 == 0 {
            let (now, anew) = (views.read(&store).unwrap(), Views::as_of(&store, i + 2).unwrap());
            assert_eq!(dump(&now), dump(&anew), "after {i}");
        }
    }
    let incremental = dump(&views.read(&store).unwrap());
    assert!(incremental.len() > 10);
    views.rebuild(&store).unwrap();
    assert_eq!(dump(&views.read(&store).unwrap()), incremental);
    std::fs::remove_file(dir.path().join("views.redb")).unwrap();
    assert_eq!(dump(&views.read(&store).unwrap()), incremental);
}
