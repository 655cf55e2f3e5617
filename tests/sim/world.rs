//! The events the simulation appends, and how a log is begun.

use annals::base::{Direction, InvocationId, LogId, PublicKey, RunId, Timestamp};
use annals::domain::invocation::InvocationStarted;
use annals::domain::metric::{MetricBatch, MetricKey, MetricPoint};
use annals::domain::run::{MetricsRecorded, RunEvent};
use annals::domain::workspace::{ActorRegistered, KeyAlgorithm, KeyCreated, WorkspaceCreated};
use annals::domain::{Event, Provenance, StreamId};
use annals::store::{
    Append, Author, Expected, Origin, Reader, Store, StoreError, WriteOptions, Writer,
};
use annals::tlog::NoteSigner;

const ORIGIN: &str = "annals/sim";

/// Events before the first one of a test.
pub const BEGIN: u64 = 4;

pub fn signer() -> NoteSigner {
    NoteSigner::new(ORIGIN, &[7; 32]).unwrap()
}

/// The first events: the log, its actor, its key, one invocation.
pub fn begin(store: &Store, signer: &NoteSigner) {
    let created = WorkspaceCreated {
        log: LogId([1; 16]),
        origin: ORIGIN.into(),
        project: "sim".into(),
        tool_version: "0".into(),
    };
    let public_key: PublicKey = signer.public().public_key();
    let key = KeyCreated {
        algorithm: KeyAlgorithm::Ed25519,
        public_key,
        owner: "ann".into(),
        replaces: None,
        endorsement: None,
    };
    let first = [created.into(), ActorRegistered { name: "ann".into() }.into(), Event::from(key)];
    let invocation = InvocationId([1; 16]);
    let started = InvocationStarted {
        invocation,
        verb: "sim".into(),
        argv: vec![],
        host: "host".into(),
        pid: 1,
        cwd: ".".into(),
        tool_version: "0".into(),
    };
    let options = WriteOptions::interactive("sim", Some(signer));
    store
        .write(&options, |w: &mut Writer<'_>| {
            let none = Author { actor: Origin::At(1), invocation: None, key: None };
            w.append(&Append { author: none, ..append(StreamId::WORKSPACE, &first) })?;
            let this = Author { invocation: Some(Origin::This), ..none };
            w.append(&Append { author: this, ..append(invocation.into(), &[started.into()]) })?;
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

pub fn append<'a>(stream: StreamId, events: &'a [Event]) -> Append<'a> {
    Append {
        stream,
        expected: Expected::Any,
        author: Author { actor: Origin::At(1), invocation: Some(Origin::At(3)), key: None },
        sequence: None,
        command: None,
        occurred: None,
        provenance: Provenance::Reported,
        events,
    }
}

/// An event that carries a number, and some weight.
pub fn numbered(number: u64, points: u64) -> Event {
    let key = MetricKey { name: "loss".into(), split: None, direction: Direction::Lower };
    let point = |i: u64| MetricPoint {
        key: 0,
        step: number,
        epoch: 0.5,
        value: 1.0 / (number + i + 1) as f64,
        at: Timestamp(1_000 * i64::try_from(i).unwrap()),
    };
    let points: Vec<MetricPoint> = (0..points).map(point).collect();
    MetricsRecorded { attempt: 1, batch: MetricBatch::new(vec![key], &points) }.into()
}

/// The numbers of a stream's events, in the order of the log.
pub fn numbers(log: &Reader, run: RunId) -> Result<Vec<u64>, StoreError> {
    let events = log.events(0..log.size(), &annals::store::Filter::stream(run.into()))?;
    let number = |event: &annals::domain::Envelope| match event.event() {
        Ok(Event::Run(RunEvent::MetricsRecorded(recorded))) => {
            recorded.batch.points().next().map_or(u64::MAX, |point| point.step)
        }
        _ => u64::MAX,
    };
    Ok(events.iter().map(number).collect())
}
