//! The experiments log: one JSON line when a run starts and one when it ends, as
//! `experiments_log.jsonl` shows them. The old tools wrote the first only: their runs ran for ever.

use serde_json::json;

use super::{Definition, Kv, Snapshot, ViewError};
use crate::base::RunId;
use crate::domain::run::{RunEvent, RunStarted};
use crate::domain::{EnvelopeRef, Event};

pub(super) const VIEW: Definition = Definition {
    name: "experiments",
    revision: 3,
    kinds: &[
        RunEvent::STARTED,
        RunEvent::CLASSIFIED,
        RunEvent::FINISHED,
        RunEvent::FAILED,
        RunEvent::INTERRUPTED,
        RunEvent::RESUMED,
        RunEvent::TAGGED,
        RunEvent::RENAMED,
    ],
    apply,
};

/// Keys: `l` and a position for lines, `s` and a run for the start that its end repeats.
const LINE: u8 = b'l';
const START: u8 = b's';

fn apply(kv: &mut dyn Kv, envelope: &EnvelopeRef<'_>, event: &Event) -> Result<(), ViewError> {
    let Event::Run(event) = event else { return Ok(()) };
    let start_key = [&[START], envelope.header.stream.entity.as_slice()].concat();
    let damaged = || ViewError::Row { view: VIEW.name };
    if let RunEvent::Started(started) = event {
        let line = first_line(envelope, started);
        let at = envelope.header.position;
        return kv.put(&start_key, [&at.to_be_bytes(), line.as_bytes()].concat());
    }
    let Some(start) = kv.get(&start_key)? else { return Ok(()) };
    let (at, line) = start.split_at_checked(8).ok_or_else(damaged)?;
    let mut line: serde_json::Value = serde_json::from_slice(line).map_err(|_| damaged())?;
    // What a run is called stands in its next lines; those that are there already stay.
    let renamed = match event {
        RunEvent::Classified(classified) => {
            line["experiment_category"] = json!(classified.category);
            true
        }
        RunEvent::Tagged(tagged) => {
            if let Some(tags) = line["tags"].as_array_mut() {
                tags.retain(|tag| !tagged.removed.iter().any(|gone| tag == gone));
                tags.extend(tagged.added.iter().map(|tag| json!(tag)));
            }
            true
        }
        RunEvent::Renamed(renamed) => {
            line["experiment_name"] = json!(renamed.new);
            true
        }
        _ => false,
    };
    if renamed {
        kv.put(&start_key, [at, line.to_string().as_bytes()].concat())?;
        let key = [&[LINE], at].concat();
        return match kv.get(&key)? {
            // The first line waits for the category.
            None => kv.put(&key, line.to_string().into_bytes()),
            Some(_) => Ok(()),
        };
    }
    line["timestamp"] = json!(envelope.header.dated());
    line["status"] = json!(match event {
        RunEvent::Resumed(_) => "running",
        RunEvent::Finished(_) => "completed",
        RunEvent::Failed(_) => "failed",
        RunEvent::Interrupted(_) => "interrupted",
        _ => return Ok(()),
    });
    let key = [&[LINE], envelope.header.position.to_be_bytes().as_slice()].concat();
    kv.put(&key, line.to_string().into_bytes())
}

fn first_line(envelope: &EnvelopeRef<'_>, started: &RunStarted) -> String {
    let run: RunId = started.run;
    json!({
        "experiment_id": started.experiment_id,
        "timestamp": envelope.header.dated(),
        "experiment_name": started.name,
        "description": started.description,
        "config_hash": started.config.short(8),
        "tags": started.tags,
        "status": "running",
        "experiment_category": "baseline",
        "tracking_version": super::files::TRACKING_VERSION,
        "run_id": run,
    })
    .to_string()
}

impl Snapshot {
    /// The lines, in the order of the log.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn experiments_log(&self) -> Result<Vec<String>, ViewError> {
        let mut lines = Vec::new();
        self.scan(&VIEW, &[LINE], |_, row| {
            lines.push(String::from_utf8_lossy(row).into_owned());
            Ok(())
        })?;
        Ok(lines)
    }
}
