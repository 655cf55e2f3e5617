//! Where a run lies: among the active ones, or in one of the archives; and the rules about who
//! may go there. A run that is under way, pinned, in production or asked for stays.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    DroppedFile, PackedFiles, RenamedFile, RunArchived, RunDeleted, RunEvent, RunRelocated,
    RunRestored, RunState, RunStatus,
};
use crate::base::RunId;
use crate::domain::Rejection;
use crate::domain::file_move::{
    ArchiveOrder, Migrated, MigrationOrder, MovePlan, MovePurpose, MovedFile, RemovalOrder,
};
use crate::domain::policy::Policy;
use crate::domain::registry::RegistryState;

/// What an archive is for.
#[derive(
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum Archive {
    /// Try-outs.
    #[serde(rename = "archive_debug")]
    Debug,
    /// Runs that count, or that failed.
    #[serde(rename = "archive_baseline")]
    Baseline,
    /// Everything else.
    #[serde(rename = "archived")]
    Archived,
}

impl Archive {
    /// The word used in files and tables, and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Debug => "archive_debug",
            Self::Baseline => "archive_baseline",
            Self::Archived => "archived",
        }
    }

    /// Its folder among those of the runs.
    pub fn location(self, policy: &Policy) -> &str {
        match self {
            Self::Debug => &policy.debug_experiments.archive_location,
            Self::Baseline => &policy.failed_experiments.archive_location,
            Self::Archived => self.word(),
        }
    }
}

/// How files are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pack {
    /// A tar file, compressed by zstd.
    Zst,
    /// A tar file, compressed by gzip.
    Gz,
}

impl Pack {
    /// The name of the file in the archived folder. In the plan of a move, a path below it is a
    /// path inside the pack.
    pub fn file(self) -> &'static str {
        match self {
            Self::Zst => "packed.tar.zst",
            Self::Gz => "packed.tar.gz",
        }
    }

    /// The pack of a file name.
    pub fn of_file(name: &str) -> Option<Self> {
        [Self::Zst, Self::Gz].into_iter().find(|pack| pack.file() == name)
    }
}

/// What the rules about archives need to know beside the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchiveFacts {
    /// Its name in production, if it is there.
    pub production: Option<String>,
    /// The name of an open request for production, if there is one.
    pub requested: Option<String>,
}

impl ArchiveFacts {
    /// What the registry has about a run.
    pub fn of(registry: &RegistryState, run: RunId) -> Self {
        let production = registry.production.iter().find(|(_, model)| model.run == run);
        let requested = registry.open_request_of(run);
        Self {
            production: production.map(|(name, _)| name.clone()),
            requested: requested.map(|(_, request)| request.requested.name.clone()),
        }
    }
}

/// Refuses an unknown run and one that is under way, archived, pinned, in production or requested
/// for it.
pub(super) fn may_archive(state: &RunState, facts: &ArchiveFacts) -> Result<(), Rejection> {
    let refused = |why: String, wanted: &str| {
        let what = format!("run {}", state.experiment_id);
        Err(Rejection::WrongState { what, state: why, wanted: wanted.into() })
    };
    if state.deleted {
        return refused("deleted".into(), "only one whose files are there has a place");
    }
    match (state.status, state.archive, &facts.production, &facts.requested) {
        (RunStatus::Unknown, ..) => {
            Err(Rejection::Unknown { what: "run", name: state.experiment_id.clone() })
        }
        (RunStatus::Running, ..) => refused("running".into(), "only one that ended is archived"),
        (_, Some(archive), ..) => {
            refused(format!("in {} already", archive.word()), "only an active one is archived")
        }
        (_, _, Some(name), _) => {
            refused(format!("in production as {name}"), "only one that is not is archived")
        }
        (_, _, _, Some(name)) => {
            refused(format!("requested for production as {name}"), "the request is decided first")
        }
        _ if state.pinned => refused("pinned".into(), "`annals unpin` lets it go"),
        _ => Ok(()),
    }
}

/// Refuses as [`may_archive`], but the files of an archived run may be removed as well.
pub(super) fn may_delete(state: &RunState, facts: &ArchiveFacts) -> Result<(), Rejection> {
    may_archive(&RunState { archive: None, ..state.clone() }, facts)
}

/// Refuses an unknown run and one that is in no archive.
pub(super) fn may_restore(state: &RunState) -> Result<(), Rejection> {
    match state.archive {
        _ if state.status == RunStatus::Unknown => {
            Err(Rejection::Unknown { what: "run", name: state.experiment_id.clone() })
        }
        Some(_) => Ok(()),
        None => Err(Rejection::WrongState {
            what: format!("run {}", state.experiment_id),
            state: if state.deleted { "deleted" } else { "active" }.into(),
            wanted: "only an archived one is restored".into(),
        }),
    }
}

/// That the files of a run are where a move brought them. Where they really are is not refused.
pub(super) fn moved(plan: &MovePlan, packed: Option<PackedFiles>) -> Vec<RunEvent> {
    let event = match &plan.purpose {
        MovePurpose::Archive(order) => archived(plan, order, packed).into(),
        MovePurpose::Restore(order) => RunRestored {
            folder: plan.to.clone(),
            reason: order.reason.clone(),
            recovered: order.from_blobs.clone(),
            file_move: plan.id,
        }
        .into(),
        MovePurpose::Removal(order) => deleted(plan, order).into(),
        MovePurpose::Migration(MigrationOrder { what: Migrated::Run { home, .. }, .. }) => {
            let (folder, home) = (plan.to.clone(), home.clone());
            RunRelocated { folder, home, renamed: renamed(&plan.files), file_move: plan.id }.into()
        }
        // These move files of a model: the run stays where it is.
        MovePurpose::Migration(_)
        | MovePurpose::Promotion { .. }
        | MovePurpose::Demotion { .. }
        | MovePurpose::Rollback { .. }
        | MovePurpose::Repair { .. } => return vec![],
    };
    vec![event]
}

/// Size of files; a plan by somebody else may claim any.
pub(in crate::domain) fn size_of(files: &[MovedFile]) -> u64 {
    files.iter().map(|file| file.bytes).fold(0, u64::saturating_add)
}

/// Size of a run's files before and after it goes into an archive.
pub(in crate::domain) fn archived_sizes(
    files: &[MovedFile],
    order: &ArchiveOrder,
    packed: Option<&PackedFiles>,
) -> (u64, u64) {
    let is_loose = |file: &&MovedFile| packed.is_none() || file.path == file.source;
    let loose = files.iter().filter(is_loose).map(|file| file.bytes);
    let after = loose.chain(packed.map(|packed| packed.bytes));
    let dropped = order.dropped.iter().map(|file| file.bytes);
    let before = dropped.fold(size_of(files), u64::saturating_add);
    (before, after.fold(0, u64::saturating_add))
}

/// Files that are called otherwise in their folder after a move.
pub(in crate::domain) fn renamed(files: &[MovedFile]) -> Vec<RenamedFile> {
    let other = files.iter().filter(|file| file.path != file.source);
    other.map(|file| RenamedFile { from: file.source.clone(), to: file.path.clone() }).collect()
}

fn archived(plan: &MovePlan, order: &ArchiveOrder, packed: Option<PackedFiles>) -> RunArchived {
    let (bytes_before, bytes_after) = archived_sizes(&plan.files, order, packed.as_ref());
    RunArchived {
        archive: order.archive,
        folder: plan.to.clone(),
        rule: order.rule.clone(),
        reason: order.reason.clone(),
        policy_revision: order.policy_revision,
        bytes_before,
        bytes_after,
        packed,
        dropped: order.dropped.clone(),
        file_move: plan.id,
    }
}

fn deleted(plan: &MovePlan, order: &RemovalOrder) -> RunDeleted {
    let files = plan.files.iter().map(|file| DroppedFile {
        path: file.path.clone(),
        digest: file.digest,
        sha256: file.sha256,
        bytes: file.bytes,
    });
    RunDeleted {
        plan: order.plan,
        reason: order.reason.clone(),
        policy_revision: order.policy_revision,
        files: files.collect(),
        bytes: size_of(&plan.files),
        file_move: plan.id,
    }
}
