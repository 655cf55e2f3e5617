//! Reported runs that nobody has heard of for a day: such a run has no supervisor whose end could
//! be noticed, so its script may be gone. Nothing is decided here; people are told.

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::{Error, Result, Workspace};
use crate::base::{RunId, Timestamp};
use crate::domain::{StreamId, StreamType};
use crate::projection::runs::{RunLine, Status};

/// Hours without a word after which people are told.
const SILENT_HOURS: u64 = 24;
const NANOS_PER_HOUR: u64 = 3_600_000_000_000;

/// A reported run without an end and without a word.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SilentRun {
    /// The run's id.
    pub run_id: RunId,
    /// Its unique name.
    pub experiment_id: String,
    /// When its script last said something.
    pub heard: Timestamp,
    /// Whole hours since.
    pub hours: u64,
}

impl SilentRun {
    /// What to tell, and what to do.
    pub fn advice(&self) -> (String, String) {
        let Self { experiment_id, hours, .. } = self;
        (
            format!(
                "{experiment_id} is running, and its script has reported nothing for {hours} \
                 h"
            ),
            format!("if it is gone: annals run fail {experiment_id} --reason WHY"),
        )
    }
}

/// Whether a script reports the run and has not ended it.
pub fn is_reported(run: &RunLine<'_>) -> bool {
    run.status == Status::Running && run.invocation.is_none()
}

/// Those of `open`, which are [`crate::app::runs::is_reported`], that have been silent for a day.
///
/// # Errors
/// When the log cannot be read.
pub fn silent_runs(workspace: &Workspace, open: Vec<(RunId, String)>) -> Result<Vec<SilentRun>> {
    if open.is_empty() {
        return Ok(Vec::new());
    }
    let now = workspace.store.env().now();
    workspace.store.read(|log| {
        let mut silent = Vec::new();
        for (run_id, experiment_id) in open {
            let stream = StreamId { code: StreamType::Run.code(), entity: run_id.0 };
            let Some(head) = log.head(stream)? else { continue };
            let heard = log.event(head.last)?.header.dated();
            let hours = u64::try_from(now.0 - heard.0).unwrap_or(0) / NANOS_PER_HOUR;
            if hours >= SILENT_HOURS {
                silent.push(SilentRun { run_id, experiment_id, heard, hours });
            }
        }
        Ok::<_, Error>(silent)
    })
}
