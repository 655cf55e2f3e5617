//! The events the simulation appends.

use annals::base::{Direction, RunId, Timestamp};
use annals::domain::Event;
use annals::domain::metric::{MetricBatch, MetricKey, MetricPoint};
use annals::domain::run::{MetricsRecorded, RunEvent};
use annals::store::{Reader, Store, StoreError, WriteOptions};
use annals::tlog::NoteSigner;

use crate::history::append;
use crate::runs;

pub const ORIGIN: &str = "annals/sim";

pub fn signer() -> NoteSigner {
    NoteSigner::new(ORIGIN, &[7; 32]).unwrap()
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

/// The numbers of a run's events, but for its beginning, in the order of the log.
pub fn numbers(log: &Reader, run: RunId) -> Result<Vec<u64>, StoreError> {
    let events = log.events(0..log.size(), &annals::store::Filter::stream(run.into()))?;
    let number = |event: &annals::domain::Envelope| match event.event() {
        Ok(Event::Run(RunEvent::Started(_))) => None,
        Ok(Event::Run(RunEvent::MetricsRecorded(recorded))) => {
            Some(recorded.batch.points().next().map_or(u64::MAX, |point| point.step))
        }
        _ => Some(u64::MAX),
    };
    Ok(events.iter().filter_map(number).collect())
}

/// The first event of a run, which takes in numbers from then on.
pub fn begin_run(store: &Store, run: RunId) {
    let started = [runs::started(run, format!("numbers_{run}"), 0)];
    let begun = store.write(&WriteOptions::interactive("sim", Some(&signer())), |w| {
        w.append(&append(run.into(), &started))?;
        Ok::<_, StoreError>(())
    });
    begun.unwrap();
}
