//! Points that wait for company: one event for each would make the log ten times as large.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::base::Timestamp;
use crate::base::limits::{METRIC_BATCH_POINTS_MAX, PAYLOAD_INLINE_BYTES_MAX};
use crate::domain::metric::{MetricBatch, MetricKey, MetricPoint};
use crate::domain::run::RunCommand;

/// How long points wait for company.
const GATHER: Duration = Duration::from_millis(250);
/// Stored bytes of a point at most, and of a key beside its name.
const POINT_BYTES: usize = 36;
const KEY_BYTES: usize = 12;
/// Bytes of a batch beside its points and keys.
const BATCH_BYTES: usize = 128;

/// Points that wait, and batches of them that wait for the recorder.
#[derive(Default)]
pub(super) struct Pending {
    index: BTreeMap<MetricKey, u16>,
    keys: Vec<MetricKey>,
    points: Vec<MetricPoint>,
    bytes: usize,
    since: Option<Instant>,
    ready: VecDeque<RunCommand>,
}

impl Pending {
    /// Adds a point; a batch that is full, in points or bytes, is ready.
    pub(super) fn push(
        &mut self,
        key: &MetricKey,
        step: u64,
        epoch: f64,
        value: f64,
        at: Timestamp,
    ) {
        let known = self.index.get(key).copied();
        let bytes = POINT_BYTES + known.map_or(KEY_BYTES + key.name.len(), |_| 0);
        let full = self.bytes + bytes + BATCH_BYTES > PAYLOAD_INLINE_BYTES_MAX
            || self.points.len() >= METRIC_BATCH_POINTS_MAX;
        if full {
            self.seal();
            return self.push(key, step, epoch, value, at);
        }
        self.since.get_or_insert_with(Instant::now);
        let key = known.unwrap_or_else(|| {
            let index = u16::try_from(self.keys.len()).unwrap_or(u16::MAX);
            self.keys.push(key.clone());
            self.index.insert(key.clone(), index);
            index
        });
        self.bytes += bytes;
        self.points.push(MetricPoint { key, step, epoch, value, at });
    }

    /// Makes what waits for long enough ready.
    pub(super) fn seal_if_due(&mut self) {
        if self.since.is_some_and(|since| since.elapsed() >= GATHER) {
            self.seal();
        }
    }

    /// Makes everything that waits ready.
    pub(super) fn seal(&mut self) {
        if !self.points.is_empty() {
            let batch = MetricBatch::new(std::mem::take(&mut self.keys), &self.points);
            self.ready.push_back(RunCommand::RecordMetrics(batch));
        }
        self.points.clear();
        self.index.clear();
        (self.bytes, self.since) = (0, None);
    }

    /// The next batch to record.
    pub(super) fn next(&mut self) -> Option<RunCommand> {
        self.ready.pop_front()
    }

    /// Puts back what could not be taken.
    pub(super) fn put_back(&mut self, command: RunCommand) {
        self.ready.push_front(command);
    }
}
