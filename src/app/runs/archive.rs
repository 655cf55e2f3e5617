//! Runs go into archives and come back: the plan is in the log before the first file moves, and
//! where they are after the last one did.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::moves;
use crate::app::records::stored_files::{ExpectedFiles, FileKind, RunRecord};
use crate::app::{
    Error, ErrorKind, Mode, Result, Session, Workspace, fold_policy, fold_registry, fold_run,
};
use crate::base::{MoveId, RunId, Sha256Digest};
use crate::domain::file_move::{
    ArchiveOrder, MoveEvent, MoveMode, MovePlan, MovePurpose, MovedFile, RestoreOrder,
};
use crate::domain::policy::PolicyState;
use crate::domain::registry::RegistryState;
use crate::domain::run::{
    Archive, ArchiveFacts, Artifact, DroppedFile, Pack, RunCommand, RunFacts, RunState, RunStream,
};
use crate::domain::{Decider as _, Event, Provenance, Rejection};
use crate::effect::{self, EffectError};
use crate::projection::runs::RunDetails;
use crate::store::{Access, Store, View};

/// What to do about a file of an archive that was changed.
const PUT_BACK: &str = "put the recorded file back from a copy; `annals verify --files` prints the \
                        recorded digest of every file";

/// Runs that may lie under one name in one place.
const SAME_PLACE_MAX: u32 = 1_000;

/// How a run shall be archived.
#[derive(Clone, Debug)]
pub struct ArchiveRequest {
    /// Where.
    pub archive: Archive,
    /// How files other than the weights are packed.
    pub pack: Option<Pack>,
    /// Whether weights and training checkpoints are not kept.
    pub drop_weights: bool,
    /// The rule that asks for it; none where a person does.
    pub rule: Option<String>,
    /// Why, in words.
    pub reason: String,
}

/// A run that changed its place, or would.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Moved {
    /// The run's unique name.
    pub experiment_id: String,
    /// Whether this is a plan, and nothing was moved.
    pub planned_only: bool,
    /// Its folder before.
    pub from: String,
    /// Its folder afterwards.
    pub to: String,
    /// Size of its files before.
    pub bytes_before: u64,
    /// Size of its files afterwards; none where nothing was moved yet and files will be packed.
    pub bytes_after: Option<u64>,
    /// Files of a run that comes back which were not kept and which no blob has.
    pub lost: Vec<String>,
    /// The move.
    pub plan: MovePlan,
}

/// What a decision about a run's place looks at.
pub(in crate::app) struct RelocationFacts {
    pub(in crate::app) run: RunState,
    policy: PolicyState,
    registry: RegistryState,
}

impl RelocationFacts {
    pub(in crate::app) fn read<A: Access>(log: &View<A>, run: RunId) -> Result<Self> {
        refuse_open_move(log, run)?;
        Ok(Self {
            run: fold_run(log, run)?,
            policy: fold_policy(log)?,
            registry: fold_registry(log)?,
        })
    }

    fn may_archive(&self) -> Result<(), Rejection> {
        self.allow(RunCommand::AllowArchive(self.of_registry()))
    }

    pub(in crate::app) fn may_delete(&self) -> Result<(), Rejection> {
        self.allow(RunCommand::AllowRemoval(self.of_registry()))
    }

    fn may_restore(&self) -> Result<(), Rejection> {
        self.allow(RunCommand::AllowRestore)
    }

    fn allow(&self, command: RunCommand) -> Result<(), Rejection> {
        let facts = RunFacts::new(&self.policy, Provenance::Reported);
        RunStream::decide(&self.run, command, &facts).map(drop)
    }

    fn of_registry(&self) -> ArchiveFacts {
        self.run.id.map(|run| ArchiveFacts::of(&self.registry, run)).unwrap_or_default()
    }
}

/// Refuses a run whose files are on their way.
fn refuse_open_move<A: Access>(log: &View<A>, run: RunId) -> Result<()> {
    for (_, position) in log.open_moves()? {
        if let Ok(Event::Move(MoveEvent::Planned(plan))) = log.event(position)?.event()
            && plan.purpose.run() == Some(run)
        {
            let message = format!("the files of run {run} are on their way to {}", plan.to);
            return Err(Error::new(ErrorKind::Conflict, message)
                .hint("try again when that `annals` has ended"));
        }
    }
    Ok(())
}

fn not_being_moved_to(store: &Store, to: &str) -> Result<()> {
    store.read(|log| moves::refuse_other_move(log, to))
}

/// What [`archive`] would do now.
///
/// # Errors
/// As [`archive`]; nothing is recorded.
fn plan_archive(workspace: &Workspace, run: RunId, request: &ArchiveRequest) -> Result<Moved> {
    let facts = workspace.store.read(|log| RelocationFacts::read(log, run))?;
    facts.may_archive()?;
    let files = effect::survey(&workspace.root, &facts.run.folder)?;
    let bytes_before = files.iter().map(|file| file.bytes).sum();
    let (dropped, mut kept): (Vec<MovedFile>, Vec<MovedFile>) =
        files.into_iter().partition(|f| request.drop_weights && effect::is_weight_file(&f.path));
    if let Some(pack) = request.pack {
        for file in kept.iter_mut().filter(|file| !effect::is_weight_file(&file.path)) {
            file.path = format!("{}/{}", pack.file(), file.source);
        }
    }
    let bytes_kept = kept.iter().map(|file| file.bytes).sum();
    let dropped = dropped.into_iter().map(|file| {
        let MovedFile { path, digest, sha256, bytes, .. } = file;
        DroppedFile { path, digest, sha256, bytes }
    });
    let order = ArchiveOrder {
        run,
        archive: request.archive,
        rule: request.rule.clone(),
        reason: request.reason.clone(),
        policy_revision: facts.policy.revision(),
        pack: request.pack,
        dropped: dropped.collect(),
    };
    let archive = workspace.layout.archive(request.archive, &facts.policy.policy);
    let to = format!("{archive}/{}", folder_name(&facts.run.folder));
    let to = unless_taken(workspace, run, &to)?;
    not_being_moved_to(&workspace.store, &to)?;
    let plan = relocation(workspace, MovePurpose::Archive(order), &facts.run.folder, &to, kept);
    Ok(Moved {
        experiment_id: facts.run.experiment_id,
        planned_only: true,
        from: plan.from.clone(),
        to: plan.to.clone(),
        plan,
        bytes_before,
        bytes_after: request.pack.is_none().then_some(bytes_kept),
        lost: vec![],
    })
}

/// `to`, with a number where another run is there (W-3): a layout may name folders by the day.
fn unless_taken(workspace: &Workspace, run: RunId, to: &str) -> Result<String> {
    let mut place = to.to_owned();
    for number in 2..SAME_PLACE_MAX {
        if effect::taken(&workspace.inside(&place)?)?.is_none() {
            break;
        }
        let folded = place.to_lowercase();
        let others = workspace.summed_snapshot()?.run_details()?;
        let in_the_way =
            |other: &RunDetails| other.id != run.0 && other.folder.to_lowercase() == folded;
        if !others.iter().any(in_the_way) {
            break;
        }
        place = format!("{to}_{number}");
    }
    // Somebody else's folder is in the way: the move itself would refuse it.
    match effect::taken(&workspace.inside(&place)?)? {
        Some(taken) => {
            Err(Error::from(EffectError::TargetExists(taken)).hint("move it elsewhere first"))
        }
        None => Ok(place),
    }
}

fn relocation(
    workspace: &Workspace,
    purpose: MovePurpose,
    from: &str,
    to: &str,
    files: Vec<MovedFile>,
) -> MovePlan {
    let (from, to) = (from.to_owned(), to.to_owned());
    let id = MoveId(workspace.env.random());
    MovePlan { id, purpose, mode: MoveMode::Move, from, to, files }
}

/// Moves a run's files into an archive.
///
/// # Errors
/// [`ErrorKind::Rejected`] for a run that must stay, which is then in the log;
/// [`ErrorKind::Conflict`] when the target is taken or its files are on their way.
pub fn archive(
    workspace: &Workspace,
    run: RunId,
    request: &ArchiveRequest,
    mode: Mode,
) -> Result<Moved> {
    if mode == Mode::DryRun {
        return plan_archive(workspace, run, request);
    }
    let session = workspace.begin("archive")?;
    let result = archive_in(workspace, &session, run, request);
    let moved = workspace.refreshed(session.finish_with(result))?;
    Ok(Moved { planned_only: false, ..moved })
}

pub(in crate::app) fn archive_in(
    workspace: &Workspace,
    session: &Session<'_>,
    run: RunId,
    request: &ArchiveRequest,
) -> Result<Moved> {
    // Digests are taken before the log is locked; what they depend on is asked again then.
    let mut moved = plan_archive(workspace, run, request)?;
    session.transact(|tx| {
        let facts = RelocationFacts::read(tx.log(), run)?;
        facts.may_archive()?;
        if facts.run.folder != moved.plan.from {
            return Err(changed_meanwhile(&facts.run));
        }
        moves::append(tx, &moved.plan)
    })?;
    moved.bytes_after = moves::execute(workspace, session, &moved.plan)?.bytes;
    Ok(moved)
}

/// What [`restore`] would do now.
///
/// # Errors
/// As [`restore`]; nothing is recorded.
fn plan_restore(workspace: &Workspace, run: RunId, reason: Option<String>) -> Result<Moved> {
    let (facts, record) = workspace.store.read(|log| {
        Ok::<_, Error>((RelocationFacts::read(log, run)?, RunRecord::read(log, run)?))
    })?;
    facts.may_restore()?;
    let state = &facts.run;
    not_being_moved_to(&workspace.store, &state.home)?;
    let mut files = effect::survey(&workspace.root, &state.folder)?;
    let bytes_before = files.iter().map(|file| file.bytes).sum();
    if let Some(pack) = state.pack {
        check_pack(state, pack, &files)?;
        files.retain(|file| file.path != pack.file());
        let packed = effect::survey_pack(&workspace.root, &state.folder, pack)?;
        files.extend(packed.into_iter().map(|(path, (digests, bytes))| MovedFile {
            source: format!("{}/{path}", pack.file()),
            path,
            digest: digests.blake3,
            sha256: Some(digests.sha256),
            bytes,
        }));
    }
    check_archived(workspace, &record, &files)?;
    let from_blobs = state.artifacts.values().filter_map(|artifact| {
        let path = artifact.path.clone().filter(|path| state.dropped.contains(path))?;
        let Artifact { digest, sha256, bytes, .. } = *artifact;
        workspace.blobs.contains(digest).then_some(DroppedFile { path, digest, sha256, bytes })
    });
    let from_blobs: Vec<DroppedFile> = from_blobs.collect();
    let comes_back = |path: &&String| from_blobs.iter().any(|file| file.path == **path);
    let lost = state.dropped.iter().filter(|path| !comes_back(path)).cloned().collect();
    let bytes_after = files.iter().map(|f| f.bytes).sum::<u64>()
        + from_blobs.iter().map(|f| f.bytes).sum::<u64>();
    let order = RestoreOrder { run, reason, pack: state.pack, from_blobs };
    let home = unless_taken(workspace, run, &state.home)?;
    let plan = relocation(workspace, MovePurpose::Restore(order), &state.folder, &home, files);
    Ok(Moved {
        experiment_id: facts.run.experiment_id,
        planned_only: true,
        from: plan.from.clone(),
        to: plan.to.clone(),
        plan,
        bytes_before,
        bytes_after: Some(bytes_after),
        lost,
    })
}

/// Refuses a pack that is not the one that was recorded.
fn check_pack(state: &RunState, pack: Pack, files: &[MovedFile]) -> Result<()> {
    let found = files.iter().find(|file| file.path == pack.file()).map(|file| file.digest);
    if found == state.pack_digest || found.is_none() {
        return Ok(());
    }
    let message = format!(
        "{}/{} was changed after {} was archived",
        state.folder,
        pack.file(),
        state.experiment_id
    );
    Err(Error::new(ErrorKind::Integrity, message).hint(PUT_BACK))
}

/// Refuses files of an archived run that are not the recorded ones, and warns of those that are
/// missing: nothing that was altered in an archive becomes a run's again.
fn check_archived(workspace: &Workspace, record: &RunRecord, files: &[MovedFile]) -> Result<()> {
    let found: BTreeMap<&str, &MovedFile> = files.iter().map(|f| (f.path.as_str(), f)).collect();
    let ExpectedFiles { folder, packed, .. } = record.expected();
    let mut missing = Vec::new();
    for (path, expected) in folder.iter().chain(&packed) {
        // The archive itself was compared before it was read.
        if expected.kind == FileKind::Archive {
            continue;
        }
        let Some(file) = found.get(path.as_str()) else {
            missing.push(path.as_str());
            continue;
        };
        let recorded = &expected.recorded;
        let of_sha256 = |sha256: &Sha256Digest| recorded.sha256.contains(sha256);
        let sha256 = recorded.sha256.is_empty() || file.sha256.as_ref().is_none_or(of_sha256);
        if file.digest != recorded.digest || !sha256 {
            let message = format!(
                "{}/{path} was changed after it was recorded: it has digest {}, expected {}",
                record.state.folder, file.digest, recorded.digest
            );
            return Err(Error::new(ErrorKind::Integrity, message).hint(PUT_BACK));
        }
    }
    if !missing.is_empty() {
        workspace.warnings.push(format!(
            "{} recorded in {} but missing from it: {}",
            match missing.len() {
                1 => "1 file is".to_owned(),
                count => format!("{count} files are"),
            },
            record.state.folder,
            missing.join(", ")
        ));
    }
    Ok(())
}

/// Moves a run's files back from an archive; what was dropped comes back as far as the blob
/// store still has it.
///
/// # Errors
/// [`ErrorKind::Rejected`] for a run in no archive, which is then in the log;
/// [`ErrorKind::Conflict`] when its old place is taken or its files are on their way.
pub fn restore(
    workspace: &Workspace,
    run: RunId,
    reason: Option<String>,
    mode: Mode,
) -> Result<Moved> {
    if mode == Mode::DryRun {
        return plan_restore(workspace, run, reason);
    }
    let session = workspace.begin("restore")?;
    let result = plan_restore(workspace, run, reason).and_then(|moved| {
        session.transact(|tx| {
            let facts = RelocationFacts::read(tx.log(), run)?;
            facts.may_restore()?;
            if facts.run.folder != moved.plan.from {
                return Err(changed_meanwhile(&facts.run));
            }
            moves::append(tx, &moved.plan)
        })?;
        moves::execute(workspace, &session, &moved.plan)?;
        Ok(moved)
    });
    let moved = workspace.refreshed(session.finish_with(result))?;
    Ok(Moved { planned_only: false, ..moved })
}

pub(in crate::app) fn changed_meanwhile(run: &RunState) -> Error {
    let message = format!("run {} was moved to {} in the meantime", run.experiment_id, run.folder);
    Error::new(ErrorKind::Conflict, message).hint("try again")
}

/// The last part of the path of a folder.
pub(in crate::app) fn folder_name(folder: &str) -> &str {
    folder.rsplit('/').next().unwrap_or(folder)
}
