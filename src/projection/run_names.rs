//! What runs are called: who looks for one by its name reads no other row.

use rkyv::{Archive, Deserialize, Serialize};

use super::row::{open, pack, unpack};
use super::{Definition, Kv, Snapshot, ViewError};
use crate::base::RunId;
use crate::domain::run::RunEvent;
use crate::domain::{EnvelopeRef, Event};

pub(super) const VIEW: Definition = Definition {
    name: "run_names",
    revision: 1,
    kinds: &[RunEvent::STARTED, RunEvent::RENAMED],
    apply,
};

/// Before the id of a run; its names follow.
const NAMES: u8 = b'n';
/// Before a unique name; the id of its run follows.
const ID: u8 = b'u';

#[derive(Archive, Serialize, Deserialize)]
struct NameRow {
    experiment_id: String,
    name: String,
}

fn apply(kv: &mut dyn Kv, envelope: &EnvelopeRef<'_>, event: &Event) -> Result<(), ViewError> {
    let run = envelope.header.stream.entity;
    let key = [&[NAMES], &run[..]].concat();
    match event {
        Event::Run(RunEvent::Started(started)) => {
            let (experiment_id, name) = (started.experiment_id.clone(), started.name.clone());
            kv.put(&[&[ID], experiment_id.as_bytes()].concat(), run.to_vec())?;
            kv.put(&key, pack(&NameRow { experiment_id, name }))
        }
        Event::Run(RunEvent::Renamed(renamed)) => {
            let Some(row) = kv.get(&key)? else { return Ok(()) };
            let NameRow { experiment_id, .. } = unpack(&VIEW, &row)?;
            kv.put(&key, pack(&NameRow { experiment_id, name: renamed.new.clone() }))
        }
        _ => Ok(()),
    }
}

impl Snapshot {
    /// The run with this unique name.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn run_called(&self, experiment_id: &str) -> Result<Option<RunId>, ViewError> {
        let row = self.get(&VIEW, &[&[ID], experiment_id.as_bytes()].concat())?;
        row.map(|id| id.try_into().map(RunId).map_err(|_| ViewError::Row { view: VIEW.name }))
            .transpose()
    }

    /// The ids of all runs with their unique name and their experiment's name; reads in place.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn run_names(&self, mut each: impl FnMut(RunId, &str, &str)) -> Result<(), ViewError> {
        self.scan(&VIEW, &[NAMES], |key, row| {
            let id = key[1..].try_into().map_err(|_| ViewError::Row { view: VIEW.name })?;
            let row: &ArchivedNameRow = open(&VIEW, row)?;
            each(RunId(id), row.experiment_id.as_str(), row.name.as_str());
            Ok(())
        })
    }
}
