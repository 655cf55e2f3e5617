//! Gathers metric points and hands them over in batches.

use std::time::{Duration, Instant};

use super::recorder::{MetricKey, MetricPoint, MetricPoints, Recorder, TrainEvent};
use crate::base::limits::METRIC_BATCH_POINTS_MAX;
use crate::base::{Direction, Split};

/// How long a point waits, at most, while training goes on.
const FLUSH_INTERVAL: Duration = Duration::from_millis(250);

/// Points not yet handed over.
pub(super) struct MetricsOut {
    start: Instant,
    last_flush: Instant,
    pending: MetricPoints,
}

impl MetricsOut {
    /// Times count from `start`.
    pub(super) fn new(start: Instant) -> Self {
        Self { start, last_flush: start, pending: MetricPoints::default() }
    }

    /// Takes in one point.
    pub(super) fn push(
        &mut self,
        name: &str,
        split: Option<Split>,
        direction: Direction,
        step: u64,
        epoch: f64,
        value: f64,
    ) {
        let keys = &mut self.pending.keys;
        let known = keys.iter().position(|key| key.name == name && key.split == split);
        let index = known.unwrap_or_else(|| {
            keys.push(MetricKey { name: name.to_owned(), split, direction });
            keys.len() - 1
        });
        let elapsed_us = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let key = u16::try_from(index).unwrap_or(u16::MAX);
        self.pending.points.push(MetricPoint { key, step, epoch, value, elapsed_us });
    }

    /// Hands the points over when they are many or have waited.
    pub(super) fn flush_if_due(&mut self, recorder: &mut dyn Recorder) {
        let full = self.pending.points.len() + 64 > METRIC_BATCH_POINTS_MAX;
        if full || self.last_flush.elapsed() >= FLUSH_INTERVAL {
            self.flush(recorder);
        }
    }

    /// Hands all points over, in batches of the allowed size.
    pub(super) fn flush(&mut self, recorder: &mut dyn Recorder) {
        self.last_flush = Instant::now();
        let pending = std::mem::take(&mut self.pending);
        for points in pending.points.chunks(METRIC_BATCH_POINTS_MAX) {
            let batch = MetricPoints { keys: pending.keys.clone(), points: points.to_vec() };
            recorder.record(TrainEvent::Metrics(batch));
        }
    }
}
