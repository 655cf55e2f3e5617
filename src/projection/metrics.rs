//! Metrics: the last and the best value of each series of each run.

use rkyv::{Archive, Deserialize, Serialize};

use super::row::{pack, unpack};
use super::{Definition, Kv, Snapshot, ViewError};
use crate::base::{Direction, RunId, Split};
use crate::domain::metric::{MetricKey, MetricPoint};
use crate::domain::run::RunEvent;
use crate::domain::{EnvelopeRef, Event};

pub(super) const VIEW: Definition =
    Definition { name: "metrics", revision: 2, kinds: &[RunEvent::METRICS_RECORDED], apply };

/// One series of one run.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct MetricRow {
    /// What was measured.
    pub name: String,
    /// Where.
    pub split: Option<Split>,
    /// Which way it gets better.
    pub direction: Direction,
    /// Points recorded.
    pub points: u64,
    /// Greatest step of all points; they may come in any order.
    pub highest_step: u64,
    /// Step and value of the last point; the last attempt wins.
    pub last: (u64, f64),
    /// Step and value of the best point; the last one where neither way is better.
    pub best: (u64, f64),
}

impl MetricRow {
    /// The series with one more point.
    pub fn with(row: Option<Self>, key: &MetricKey, point: &MetricPoint) -> Self {
        let now = (point.step, point.value);
        let mut row = row.unwrap_or_else(|| Self {
            name: key.name.clone(),
            split: key.split,
            direction: key.direction,
            points: 0,
            highest_step: now.0,
            last: now,
            best: now,
        });
        row.points += 1;
        row.highest_step = row.highest_step.max(now.0);
        row.last = now;
        if row.direction == Direction::Neutral || row.direction.is_better(now.1, row.best.1) {
            row.best = now;
        }
        row
    }
}

fn apply(kv: &mut dyn Kv, envelope: &EnvelopeRef<'_>, event: &Event) -> Result<(), ViewError> {
    let Event::Run(RunEvent::MetricsRecorded(recorded)) = event else { return Ok(()) };
    let mut rows: Vec<Option<MetricRow>> = vec![None; recorded.batch.keys.len()];
    let key_of = |name: &str, split: Option<Split>| {
        let split = split.map_or("", Split::word);
        [&envelope.header.stream.entity, split.as_bytes(), b"/", name.as_bytes()].concat()
    };
    for (row, key) in rows.iter_mut().zip(&recorded.batch.keys) {
        let stored = kv.get(&key_of(&key.name, key.split))?;
        *row = stored.map(|row| unpack::<MetricRow>(&VIEW, &row)).transpose()?;
    }
    for point in recorded.batch.points() {
        let index = usize::from(point.key);
        let (Some(row), Some(key)) = (rows.get_mut(index), recorded.batch.keys.get(index)) else {
            continue;
        };
        *row = Some(MetricRow::with(row.take(), key, &point));
    }
    for row in rows.into_iter().flatten() {
        kv.put(&key_of(&row.name, row.split), pack(&row))?;
    }
    Ok(())
}

impl Snapshot {
    /// The series of a run, by split and name.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn metrics(&self, run: RunId) -> Result<Vec<MetricRow>, ViewError> {
        let mut metrics = Vec::new();
        self.scan(&VIEW, &run.0, |_, row| {
            metrics.push(unpack::<MetricRow>(&VIEW, row)?);
            Ok(())
        })?;
        Ok(metrics)
    }
}
