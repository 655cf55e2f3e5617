//! The log as a whole: what is appended is read back, in every layout and after every end.

use std::path::Path;

use super::*;
use crate::base::{
    CommandId, Digest, Env, InvocationId, LogId, MoveId, PublicKey, RunId, Timestamp,
};
use crate::domain::file_move::{MoveCompleted, MoveMode, MovePlanned, MovePurpose};
use crate::domain::invocation::{InvocationFinished, InvocationStarted, Outcome};
use crate::domain::metric::{MetricBatch, MetricKey, MetricPoint};
use crate::domain::run::MetricsRecorded;
use crate::domain::workspace::{ActorRegistered, KeyAlgorithm, KeyCreated, WorkspaceCreated};
use crate::domain::{Event, Provenance, StreamId};
use crate::tlog::{self, Frontier, LogCheckpoint, NoteSigner, leaf_hash};

const ORIGIN: &str = "annals/test";

fn env() -> Env {
    Env::fixed(Timestamp(1_000_000_000), 1)
}

fn options(signer: Option<&NoteSigner>) -> WriteOptions<'_> {
    WriteOptions::interactive("test", signer)
}

fn append<'a>(stream: StreamId, events: &'a [Event]) -> Append<'a> {
    Append {
        stream,
        expected: Expected::Any,
        author: Author { actor: Origin::At(1), invocation: Some(Origin::At(2)), key: None },
        sequence: None,
        command: None,
        occurred: None,
        provenance: Provenance::Reported,
        events,
    }
}

fn invocation(id: u8) -> (StreamId, Event) {
    let invocation = InvocationId([id; 16]);
    let started = InvocationStarted {
        invocation,
        verb: "test".into(),
        argv: vec![],
        host: "host".into(),
        pid: 1,
        cwd: ".".into(),
        tool_version: "0".into(),
    };
    (invocation.into(), started.into())
}

/// A log with its first three events: workspace, actor, invocation.
fn begin(dir: &Path) -> Store {
    let store = Store::create(dir, env()).unwrap();
    store.write(&options(None), begin_events).unwrap();
    store
}

fn begin_events(w: &mut Writer<'_>) -> Result<(), StoreError> {
    let log = LogId([1; 16]);
    let created = WorkspaceCreated {
        log,
        origin: ORIGIN.into(),
        project: "p".into(),
        tool_version: "0".into(),
    };
    let first = [created.into(), ActorRegistered { name: "ann".into() }.into()];
    let none = Author { actor: Origin::At(1), invocation: None, key: None };
    w.append(&Append { author: none, ..append(StreamId::WORKSPACE, &first) })?;
    let (stream, started) = invocation(1);
    let this = Author { invocation: Some(Origin::This), ..none };
    w.append(&Append { author: this, ..append(stream, &[started]) })?;
    Ok(())
}

fn metrics(points: u64, from: u64) -> Event {
    let key =
        MetricKey { name: "loss".into(), split: None, direction: crate::base::Direction::Lower };
    let point = |i: u64| MetricPoint {
        key: 0,
        step: from + i,
        epoch: 0.5,
        value: 1.0 / (from + i + 1) as f64,
        at: Timestamp(1_000 * i as i64),
    };
    let points: Vec<_> = (0..points).map(point).collect();
    MetricsRecorded { attempt: 1, batch: MetricBatch::new(vec![key], &points) }.into()
}

fn read<T>(store: &Store, f: impl FnOnce(&Reader) -> Result<T, StoreError>) -> T {
    store.read(f).unwrap()
}

/// Everything that can be recomputed, recomputed from the stored bytes.
fn check(reader: &Reader) {
    let mut index = MemoryIndex::default();
    let mut state = State { signed: reader.state().signed, ..State::default() };
    let mut lengths: Vec<u64> = Vec::new();
    let mut tree = Frontier::default();
    let mut nodes = std::collections::BTreeMap::new();
    reader
        .scan(0..u64::MAX, &Filter::default(), |event| {
            index.apply(&mut state, event)?;
            tree.push_subtree(0, leaf_hash(&event.leaf_data().0), |l, i, h| {
                nodes.insert((l, i), h);
            });
            nodes.insert((0, event.header.position), leaf_hash(&event.leaf_data().0));
            lengths.push(event.stored().len() as u64);
            if let Some(count) = seal_count(state.sealed, state.tail_bytes, &lengths) {
                state.sealed += count;
                state.tail_bytes -= lengths.drain(..count as usize).sum::<u64>();
            }
            Ok::<(), StoreError>(())
        })
        .unwrap();
    assert_eq!(&state, reader.state());
    assert_eq!(index, reader.stored_index().unwrap());
    for (level, index, hash) in reader.tree_nodes().unwrap() {
        assert_eq!(nodes.get(&(level, index)), Some(&hash), "node ({level}, {index})");
    }
    assert_eq!(tree.root(), reader.root());
}

#[test]
fn what_is_appended_is_read_back_across_blocks_of_every_size() {
    let dir = tempfile::tempdir().unwrap();
    let store = begin(dir.path());
    let (one, other) = (RunId([7; 16]), RunId([8; 16]));
    let mut expected = 3;
    for (points, count) in [(3, 700), (900, 60), (3, 40), (900, 9), (3, 2_500)] {
        store
            .write(&options(None), |w| {
                for i in 0..count {
                    let run = if i % 3 == 0 { other } else { one };
                    w.append(&append(run.into(), &[metrics(points, i)]))?;
                }
                Ok::<(), StoreError>(())
            })
            .unwrap();
        expected += count;
    }
    read(&store, |r| {
        assert_eq!(r.size(), expected);
        check(r);
        let all = r.events(0..u64::MAX, &Filter::default())?;
        assert_eq!(all.len() as u64, expected);
        let of_other = r.events(100..2_000, &Filter::stream(other.into()))?;
        let wanted: Vec<_> = all[100..2_000]
            .iter()
            .filter(|e| e.header.stream == StreamId::from(other))
            .cloned()
            .collect();
        assert_eq!(of_other, wanted);
        for position in (0..expected).step_by(97) {
            assert_eq!(r.event(position)?, all[position as usize]);
        }
        let mapped = r.map_blocks(4, 0..u64::MAX, &Filter::default(), |block| {
            Ok::<_, StoreError>((block.first(), block.count()))
        })?;
        assert_eq!(mapped.iter().map(|(_, count)| count).sum::<u64>(), expected);
        assert!(mapped.windows(2).all(|w| w[0].0 + w[0].1 == w[1].0));
        let blocks = r.block_headers(0..u64::MAX, &Filter::default())?;
        let sizes: std::collections::BTreeSet<u32> = blocks.iter().map(|(_, h)| h.count).collect();
        assert!(sizes.len() > 3 && sizes.contains(&1_024), "{sizes:?}");
        for (position, size) in [(0, 1), (0, expected), (expected - 1, expected), (700, 800)] {
            let leaf = leaf_hash(&all[position as usize].leaf_data().0);
            let root = tlog::tree_root(&mut r.tree(), size)?;
            let proof = r.inclusion_proof(position, size)?;
            assert_eq!(tlog::verify_inclusion(leaf, position, size, root, &proof), Ok(()));
            let proof = r.consistency_proof(size, expected)?;
            let verified = tlog::verify_consistency(size, root, expected, r.root(), &proof);
            assert_eq!(verified, Ok(()));
        }
        assert!(r.inclusion_proof(5, expected + 1).is_err());
        Ok(())
    });
}

#[test]
fn the_layout_does_not_depend_on_how_commits_group_events() {
    let grouped = |group: usize| {
        let dir = tempfile::tempdir().unwrap();
        let store = begin(dir.path());
        let events: Vec<Event> =
            (0..150).map(|i| metrics(if i % 5 == 0 { 3 } else { 1_000 }, i)).collect();
        for group in events.chunks(group) {
            store
                .write(&options(None), |w| w.append(&append(RunId([7; 16]).into(), group)))
                .unwrap();
        }
        read(&store, |r| {
            check(r);
            Ok((r.state().clone(), r.block_headers(0..u64::MAX, &Filter::default())?))
        })
    };
    let one_by_one = grouped(1);
    assert!(one_by_one.1.len() > 3 && one_by_one.0.sealed < 153);
    assert_eq!(grouped(7), one_by_one);
    assert_eq!(grouped(150), one_by_one);
}

#[test]
fn revisions_are_checked_and_a_refused_append_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = begin(dir.path());
    let run = RunId([7; 16]);
    let events = [metrics(1, 0)];
    let at = |n| Append { expected: Expected::Revision(n), ..append(run.into(), &events) };
    let before = read(&store, |r| Ok(r.root()));
    let refused = store.write(&options(None), |w| {
        w.append(&at(0))?;
        w.append(&at(0))
    });
    assert!(matches!(refused, Err(StoreError::Revision { expected: 0, found: 1, .. })));
    assert_eq!(read(&store, |r| Ok(r.root())), before);
    let done = store.write(&options(None), |w| w.append(&at(0))).unwrap();
    assert_eq!(done, Appended { first: Some(3), repeated: false, next_revision: 1 });
    assert!(store.write(&options(None), |w| w.append(&at(5))).is_err());
    read(&store, |r| {
        check(r);
        Ok(())
    });
}

#[test]
fn commands_and_sequences_take_effect_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = begin(dir.path());
    let run = RunId([7; 16]);
    let events = [metrics(1, 0), metrics(1, 1)];
    let command = Some(CommandId([5; 16]));
    let request = Append { command, ..append(run.into(), &events) };
    let one = store.write(&options(None), |w| w.append(&request)).unwrap();
    let two = store.write(&options(None), |w| w.append(&request)).unwrap();
    assert_eq!((one.first, one.repeated, two.first, two.repeated), (Some(3), false, Some(3), true));
    let changed = [metrics(2, 0)];
    let other = Append { events: &changed, ..request };
    let error = store.write(&options(None), |w| w.append(&other)).unwrap_err();
    assert!(matches!(error, StoreError::CommandReused { position: 3, .. }));

    let next = read(&store, |r| r.next_sequence(2)).unwrap();
    let numbered = |n| Append { sequence: Some(n), ..append(run.into(), &events) };
    assert!(!store.write(&options(None), |w| w.append(&numbered(next))).unwrap().repeated);
    assert!(store.write(&options(None), |w| w.append(&numbered(next))).unwrap().repeated);
    let gap = store.write(&options(None), |w| w.append(&numbered(next + 3))).unwrap_err();
    assert!(matches!(gap, StoreError::SequenceGap { .. }));
    let finished = [InvocationFinished { outcome: Outcome::Succeeded }.into()];
    let end = append(InvocationId([1; 16]).into(), &finished);
    store.write(&options(None), |w| w.append(&end)).unwrap();
    let late = store.write(&options(None), |w| w.append(&numbered(next + 2))).unwrap_err();
    assert!(matches!(late, StoreError::InvocationClosed { invocation: 2 }));
    read(&store, |r| {
        assert_eq!((r.size(), r.open_invocations()?), (8, vec![]));
        check(r);
        Ok(())
    });
}

#[test]
fn decisions_sign_a_log_checkpoint_in_the_same_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), env()).unwrap();
    let signer = NoteSigner::new(ORIGIN, &[3; 32]).unwrap();
    let key: PublicKey = signer.public().public_key();
    store.write(&options(Some(&signer)), begin_events).unwrap();
    let created = KeyCreated {
        algorithm: KeyAlgorithm::Ed25519,
        public_key: key,
        owner: "ann".into(),
        replaces: None,
        endorsement: None,
    };
    let events = [created.into()];
    let author = Author { key: Some((3, &signer)), ..append(StreamId::WORKSPACE, &[]).author };
    let decision = Append { author, ..append(StreamId::WORKSPACE, &events) };
    store.write(&options(Some(&signer)), |w| w.append(&decision)).unwrap();
    let fact = [metrics(1, 0)];
    let fact = append(RunId([7; 16]).into(), &fact);
    store.write(&options(Some(&signer)), |w| w.append(&fact)).unwrap();
    read(&store, |r| {
        let keys = [signer.public().clone()];
        let notes = r.checkpoints(..)?;
        assert_eq!(notes.iter().map(|(size, _)| *size).collect::<Vec<_>>(), [3, 4]);
        for (size, note) in &notes {
            let (checkpoint, _) = LogCheckpoint::open(note, ORIGIN, &keys).unwrap();
            assert_eq!(
                (checkpoint.size, checkpoint.root),
                (*size, tlog::tree_root(&mut r.tree(), *size)?)
            );
        }
        assert_eq!(r.name(TAG_ACTOR, "ann")?, Some(1));
        assert_eq!(r.name(TAG_KEY, &key.to_string())?, Some(3));
        check(r);
        Ok(())
    });
    store
        .write(&options(Some(&signer)), |w| {
            w.sign();
            Ok::<(), StoreError>(())
        })
        .unwrap();
    assert_eq!(read(&store, Reader::last_checkpoint).unwrap().0, 5);
}

#[test]
fn open_moves_are_known_until_they_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = begin(dir.path());
    let id = MoveId([4; 16]);
    let planned = MovePlanned {
        id,
        purpose: MovePurpose::Demotion { name: "m".into(), reason: "worse".into() },
        mode: MoveMode::Move,
        from: "a".into(),
        to: "b".into(),
        files: vec![],
    };
    let planned = [planned.into()];
    store.write(&options(None), |w| w.append(&append(id.into(), &planned))).unwrap();
    assert_eq!(read(&store, Reader::open_moves), [(id, 3)]);
    let done = [MoveCompleted { recovered: false }.into()];
    store.write(&options(None), |w| w.append(&append(id.into(), &done))).unwrap();
    read(&store, |r| {
        assert_eq!(r.open_moves()?, []);
        assert_eq!(r.stream(id.into(), 0)?.len(), 2);
        check(r);
        Ok(())
    });
}

#[test]
fn an_interrupted_writer_is_no_obstacle_to_readers_and_copies() {
    let dir = tempfile::tempdir().unwrap();
    let store = begin(dir.path());
    // What a kill -9 leaves: the bytes of the file while a writer has it open.
    let torn = dir.path().join("torn.redb");
    let mut burst = store.burst(&options(None)).unwrap();
    let events = [metrics(1, 0)];
    burst.write(|w| w.append(&append(RunId([7; 16]).into(), &events))).unwrap();
    copy_file(&store.path(), &torn).unwrap();
    drop(burst);
    let copy = Store::open_file(&torn, env()).unwrap();
    let before = Digest::of(&std::fs::read(&torn).unwrap());
    read(&copy, |r| {
        assert_eq!(r.size(), 4);
        check(r);
        Ok(())
    });
    assert_eq!(Digest::of(&std::fs::read(&torn).unwrap()), before);
    assert!(matches!(copy.burst(&options(None)), Err(StoreError::ReadOnly { .. })));

    let target = dir.path().join("copy.redb");
    store.copy_to(&target).unwrap();
    assert!(matches!(store.copy_to(&target), Err(StoreError::Exists { .. })));
    read(&Store::open_file(&target, env()).unwrap(), |r| {
        check(r);
        Ok(())
    });
    store.compact(&options(None)).unwrap();
    read(&store, |r| {
        check(r);
        Ok(())
    });
}

#[test]
fn what_is_not_a_log_or_a_newer_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Store::open(dir.path(), env()), Err(StoreError::NoLog { .. })));
    drop(begin(dir.path()));
    assert!(matches!(Store::create(dir.path(), env()), Err(StoreError::Exists { .. })));
    let text = dir.path().join("text");
    #[expect(clippy::disallowed_methods, reason = "the test plays the user")]
    std::fs::write(&text, "not a log").unwrap();
    assert!(Store::open_file(&text, env()).unwrap().read(|_| Ok::<(), StoreError>(())).is_err());
    let newer = [(FORMAT_MAJOR, FORMAT_MINOR + 1, true), (FORMAT_MAJOR + 1, 0, false)];
    for (major, minor, readable) in newer {
        let dir = tempfile::tempdir().unwrap();
        let store = begin(dir.path());
        let run = RunId([7; 16]);
        store
            .write(&options(None), |w| {
                let format = crate::base::codec::encode(&(major, minor));
                w.tables().meta.insert(schema::META_FORMAT, format.as_slice())?;
                w.append(&append(run.into(), &[metrics(1, 0)]))
            })
            .unwrap();
        let written = store.write(&options(None), |_| Ok::<(), StoreError>(()));
        assert!(matches!(written, Err(StoreError::NewerFormat { does: "writes", .. })));
        assert_eq!(store.read(|r| Ok::<_, StoreError>(r.size())).is_ok(), readable);
    }
}
#[test]
fn many_writers_and_readers_see_one_dense_log() {
    let dir = tempfile::tempdir().unwrap();
    drop(begin(dir.path()));
    std::thread::scope(|scope| {
        for id in 0..4 {
            // Each thread with a lock of its own, as if it were another process.
            let store = Store::open(dir.path(), env()).unwrap();
            scope.spawn(move || {
                let run = RunId([id; 16]);
                for i in 0..25 {
                    let event = [metrics(1, i)];
                    let expected = Expected::Revision(i);
                    let one = Append { expected, ..append(run.into(), &event) };
                    store.write(&WriteOptions::recorder("test", None), |w| w.append(&one)).unwrap();
                    assert_eq!(read(&store, |r| r.head(run.into())).unwrap().next, i + 1);
                }
            });
        }
    });
    read(&Store::open(dir.path(), env()).unwrap(), |r| {
        assert_eq!(r.size(), 103);
        check(r);
        Ok(())
    });
}
