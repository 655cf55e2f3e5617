//! How far a running training is, from what it planned and what it has recorded so far.

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::{Result, Workspace};
use crate::base::{RunId, Timestamp};
use crate::projection::Snapshot;
use crate::projection::runs::{Planned, RunDetails};

/// Share of the planned steps after which the time left can be estimated.
const ESTIMATE_FROM_SHARE: f64 = 0.02;

/// How far a training is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Progress {
    /// Optimizer updates recorded so far.
    pub step: u64,
    /// Updates planned; early stopping may end before.
    pub steps: u64,
    /// Epochs planned.
    pub epochs: u32,
    /// Seconds left at the speed so far; none as long as too little is known.
    pub seconds_left: Option<f64>,
}

impl Progress {
    /// The step of a plan that was reached at `now`.
    fn new(planned: &Planned, step: u64, now: Timestamp) -> Self {
        let Planned { steps, epochs, .. } = *planned;
        let (done, left) = (step.saturating_sub(planned.from), steps.saturating_sub(step));
        let enough = done as f64 >= steps as f64 * ESTIMATE_FROM_SHARE && done > 0;
        let elapsed = now.seconds_since(Timestamp(planned.at)).max(0.0);
        let seconds_left = enough.then(|| elapsed / done as f64 * left as f64);
        Self { step, steps, epochs, seconds_left }
    }

    /// Whole percent of the planned steps.
    pub fn percent(&self) -> u64 {
        (self.step.min(self.steps) * 100).checked_div(self.steps).unwrap_or(0)
    }
}

impl Workspace {
    /// How far a running training is; none for a run that recorded no plan, or in the past.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn progress(&self, views: &Snapshot, run: &RunDetails) -> Result<Option<Progress>> {
        let Some(planned) = run.planned.as_ref().filter(|_| !self.looks_back()) else {
            return Ok(None);
        };
        let last = views.metrics(run.run())?.iter().map(|row| row.last.0).max();
        let step = last.unwrap_or(planned.from);
        Ok(Some(Progress::new(planned, step, self.env.now())))
    }

    /// [`Self::progress`] of a run by its id.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn progress_of(&self, views: &Snapshot, run: RunId) -> Result<Option<Progress>> {
        match views.run(run)? {
            Some(run) => self.progress(views, &run),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_is_told_when_enough_was_done_in_this_attempt() {
        let second = 1_000_000_000;
        let planned = Planned { steps: 1_000, epochs: 5, from: 400, at: 0 };
        let at = |step, seconds: i64| Progress::new(&planned, step, Timestamp(seconds * second));
        assert_eq!(at(400, 60).seconds_left, None);
        assert_eq!(at(410, 60).seconds_left, None, "one percent is too little");
        assert_eq!(at(500, 100).seconds_left, Some(500.0));
        assert_eq!((at(500, 100).percent(), at(2_000, 100).percent()), (50, 100));
        assert_eq!(at(1_000, 100).seconds_left, Some(0.0));
        let nothing = Planned { steps: 0, epochs: 0, from: 0, at: 0 };
        assert_eq!(Progress::new(&nothing, 0, Timestamp(1)).percent(), 0);
    }
}
