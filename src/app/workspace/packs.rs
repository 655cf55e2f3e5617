//! Old logs go into one file (W-2), in the layout that has a folder of logs.
//!
//! The pack is a blob before the event that names it, and the folder follows the log as every
//! generated file does: a crash in between leaves a blob that nobody names, or files that the next
//! changing verb brings up to date.

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::core::draft::Draft;
use crate::app::{Error, ErrorKind, Mode, Result, Workspace};
use crate::base::Timestamp;
use crate::domain::workspace::{LayoutKind, WorkspaceCommand, WorkspaceStream};
use crate::effect;
use crate::projection::files::{StandaloneLog, loose_logs};

/// Runs that one event names.
const RUNS_PER_EVENT: usize = 1_000;

/// A log that is packed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PackedLog {
    /// The run's unique name.
    pub experiment_id: String,
    /// The log's name, in its folder and in the pack.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

/// What packing does, or did.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LogPack {
    /// The file, relative to the workspace.
    pub file: String,
    /// The logs, in the order in which their runs began.
    pub logs: Vec<PackedLog>,
    /// Size of the logs.
    pub bytes_before: u64,
    /// Size of the file; none where nothing was packed yet.
    pub bytes_after: Option<u64>,
}

/// Packs the logs of the runs that ended before a time, except those of models in production.
/// Without such a log nothing is done.
///
/// # Errors
/// [`ErrorKind::Rejected`] in a layout without a folder of logs, or where another process
/// packs the same logs; when they cannot be read or stored.
pub fn pack_logs(workspace: &Workspace, before: Timestamp, mode: Mode) -> Result<LogPack> {
    if mode == Mode::DryRun {
        return Ok(logs_before(workspace, before)?.0);
    }
    workspace.recover()?;
    let (plan, logs) = logs_before(workspace, before)?;
    if logs.is_empty() {
        return Ok(plan);
    }
    // A pack of other bytes than the recorded ones would make them the record.
    for log in &logs {
        workspace.blobs.verify(log.digest, None)?;
    }
    let paths = logs.iter().map(|log| (log.name.as_str(), workspace.blobs.path(log.digest)));
    let bytes = effect::packed_logs(&paths.collect::<Vec<_>>())
        .map_err(|e| Error::io(format!("pack {} logs", logs.len()), e))?;
    let (digests, size) = (workspace.blobs.put(&bytes)?, bytes.len() as u64);
    let name = plan.file.rsplit('/').next().unwrap_or(&plan.file);
    workspace.decide("layout pack-logs", |tx| {
        let mut packs = Draft::<WorkspaceStream>::read(tx.log(), ())?;
        for part in logs.chunks(RUNS_PER_EVENT) {
            let runs = part.iter().map(|log| log.run).collect();
            let name = name.to_owned();
            packs.decide(WorkspaceCommand::PackLogs { name, digests, bytes: size, runs }, &())?;
        }
        tx.append(&mut packs)
    })?;
    workspace.refresh()?;
    Ok(LogPack { bytes_after: Some(size), ..plan })
}

fn logs_before(workspace: &Workspace, before: Timestamp) -> Result<(LogPack, Vec<StandaloneLog>)> {
    if workspace.layout.kind != LayoutKind::TrainingOutput {
        let message = "the layout consolidated has no folder of logs";
        return Err(Error::new(ErrorKind::Rejected, message)
            .hint("each run keeps its own; `annals archive --compress` packs it with the run"));
    }
    let views = workspace.summed_snapshot()?;
    let mut logs = loose_logs(&views)?;
    logs.retain(|log| log.ended < before && workspace.blobs.contains(log.digest));
    let packed = |log: &StandaloneLog| -> Result<PackedLog> {
        let (experiment_id, name) = (log.experiment_id.clone(), log.name.clone());
        let bytes = std::fs::metadata(workspace.blobs.path(log.digest))
            .map_err(|e| Error::io(format!("read the log of {experiment_id}"), e))?
            .len();
        Ok(PackedLog { experiment_id, name, bytes })
    };
    let packed = logs.iter().map(packed).collect::<Result<Vec<_>>>()?;
    let taken = views.log_packs()?;
    let stem = format!("logs_before_{}", before.date().replace('-', ""));
    let numbered = (2_u64..).map(|number| format!("{stem}_{number}.tar.gz"));
    let mut names = std::iter::once(format!("{stem}.tar.gz")).chain(numbered);
    let free = names.find(|name| taken.iter().all(|pack| pack.name != *name));
    let folder = format!("{}/experiments/archived", workspace.layout.training);
    let plan = LogPack {
        file: format!("{folder}/{}", free.unwrap_or_default()),
        bytes_before: packed.iter().map(|log| log.bytes).sum(),
        bytes_after: None,
        logs: packed,
    };
    Ok((plan, logs))
}
