//! Housekeeping: old debug runs and old failures go into their archives, as the policy says or
//! as somebody asks (E-3).

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::{
    ArchiveRequest, Error, ErrorKind, Mode, Result, Session, Workspace, fold_workspace, runs,
};
use crate::base::{RunId, Timestamp};
use crate::domain::policy::{ExpiredRun, Policy, RetentionCandidate, housekeeping};
use crate::domain::registry::RequestStatus;
use crate::domain::run::{Archive, Pack};
use crate::effect;
use crate::projection::Snapshot;

/// How to tidy up.
#[derive(Clone, Copy, Debug, Default)]
pub struct CleanupRequest {
    /// How many debug runs stay; as many as the policy says if none is given.
    pub keep: Option<u32>,
    /// How files other than the weights are packed.
    pub pack: Option<Pack>,
    /// Whether weights and training checkpoints are not kept.
    pub drop_weights: bool,
}

/// One run that a rule about old runs found.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CleanupMove {
    /// The run's unique name.
    pub experiment_id: String,
    /// Where it lies.
    pub from: String,
    /// Where it goes.
    pub archive: Archive,
    /// The rule.
    pub rule: &'static str,
    /// Why, in words and numbers.
    pub reason: String,
    /// Why it stays nevertheless.
    pub stays: Option<String>,
    /// Size of its files.
    pub bytes: u64,
    /// How many of them are not needed any more; none where that is not known before packing.
    pub bytes_saved: Option<u64>,
    #[serde(skip)]
    due: ExpiredRun,
}

/// What housekeeping does, or would do.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Cleanup {
    /// Revision of the policy in force.
    pub policy_revision: u64,
    /// How many debug runs stay.
    pub keep: u32,
    /// What the rules found.
    pub moves: Vec<CleanupMove>,
}

impl Cleanup {
    /// The runs that move.
    pub fn moving(&self) -> impl Iterator<Item = &CleanupMove> {
        self.moves.iter().filter(|found| found.stays.is_none())
    }
}

/// What [`cleanup`] would do now.
///
/// # Errors
/// When views or folders cannot be read.
fn plan_cleanup(
    workspace: &Workspace,
    views: &Snapshot,
    request: &CleanupRequest,
) -> Result<Cleanup> {
    let (policy_revision, policy) = views.policy()?;
    let keep = request.keep.unwrap_or(policy.debug_experiments.min_experiments_before_archive);
    let due = due(workspace, views, &policy, Some(keep))?;
    let moves = moves(workspace, views, due, request)?;
    Ok(Cleanup { policy_revision, keep, moves })
}

/// Why the rules about old runs leave a run alone, whatever its age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum KeptBecause {
    Snapshot,
    Requested,
    InProduction,
    WasInProduction,
}

impl KeptBecause {
    /// The words that people read.
    pub(in crate::app) const fn word(self) -> &'static str {
        match self {
            Self::Snapshot => "named by a snapshot",
            Self::Requested => "requested for production",
            Self::InProduction => "in production",
            Self::WasInProduction => "was in production",
        }
    }
}

/// Runs that stay where they are because of what else depends on them.
pub(in crate::app) fn kept_because(
    workspace: &Workspace,
    views: &Snapshot,
) -> Result<BTreeMap<RunId, KeptBecause>> {
    let taken = workspace.store.read(fold_workspace)?.snapshots;
    let kept = taken.into_iter().flat_map(|snapshot| snapshot.runs);
    let mut held: BTreeMap<_, _> = kept.map(|run| (run, KeptBecause::Snapshot)).collect();
    for request in views.requests()?.into_iter().filter(|row| row.status == RequestStatus::Open) {
        held.insert(RunId(request.run), KeptBecause::Requested);
    }
    for model in views.production()? {
        held.insert(RunId(model.run), KeptBecause::InProduction);
    }
    Ok(held)
}

fn due(
    workspace: &Workspace,
    views: &Snapshot,
    policy: &Policy,
    keep: Option<u32>,
) -> Result<Vec<ExpiredRun>> {
    let held = kept_because(workspace, views)?;
    let mut active = Vec::new();
    views.each_run(|run, position| {
        if run.archive.is_some() || run.deleted {
            return Ok::<_, Error>(());
        }
        let nanos = run.seconds.map(|seconds| (seconds * 1e9) as i64);
        let candidate = RetentionCandidate {
            run: run.run,
            category: run.category,
            status: workspace.status_of(&run)?,
            ended: nanos.map(|nanos| run.started.plus_nanos(nanos)),
            held: if run.pinned {
                Some("pinned")
            } else {
                held.get(&run.run).map(|why| why.word())
            },
        };
        active.push((position, candidate));
        Ok(())
    })?;
    active.sort_unstable_by_key(|(position, _)| std::cmp::Reverse(*position));
    let active: Vec<RetentionCandidate> = active.into_iter().map(|(_, run)| run).collect();
    let now: Timestamp = workspace.env.now();
    Ok(housekeeping(policy, &active, now, keep))
}

fn moves(
    workspace: &Workspace,
    views: &Snapshot,
    due: Vec<ExpiredRun>,
    request: &CleanupRequest,
) -> Result<Vec<CleanupMove>> {
    let wanted: BTreeSet<RunId> = due.iter().map(|due| due.run).collect();
    let mut names = BTreeMap::new();
    for id in wanted {
        let found = views.run(id)?.map(|run| (run.experiment_id, run.folder));
        names.insert(id, found.unwrap_or_default());
    }
    let moves = due.into_iter().map(|due| {
        let (experiment_id, from) = names.get(&due.run).cloned().unwrap_or_default();
        let size = effect::size(&workspace.root, &from);
        Ok(CleanupMove {
            experiment_id,
            from,
            archive: due.archive,
            rule: due.rule,
            reason: due.reason.clone(),
            stays: due.held.map(str::to_owned).or(size.odd),
            bytes: size.all,
            bytes_saved: match (request.pack, request.drop_weights) {
                (None, false) => Some(0),
                (None, true) => Some(size.weights),
                (Some(_), _) => None,
            },
            due,
        })
    });
    moves.collect()
}

/// Moves what the rules find into its archive. A run that must stay by now stays.
///
/// # Errors
/// When a run's files cannot be moved; those before it are in their archives.
pub fn cleanup(workspace: &Workspace, request: &CleanupRequest, mode: Mode) -> Result<Cleanup> {
    if mode == Mode::DryRun {
        return plan_cleanup(workspace, &workspace.snapshot()?, request);
    }
    // What a crash left may be due as well.
    workspace.recover()?;
    let plan = plan_cleanup(workspace, &workspace.summed_snapshot()?, request)?;
    archive_all_due(workspace, plan, request)
}

/// Housekeeping after a run, as the policy says, or in any case where `forced`.
///
/// # Errors
/// As [`cleanup`].
pub fn housekeep(workspace: &Workspace, forced: bool) -> Result<Option<Cleanup>> {
    let request = CleanupRequest::default();
    let planned = |views: &Snapshot| -> Result<Cleanup> {
        let (policy_revision, policy) = views.policy()?;
        let rules = &policy.debug_experiments;
        let keep = rules.min_experiments_before_archive;
        let due = due(workspace, views, &policy, (rules.enabled || forced).then_some(keep))?;
        Ok(Cleanup { policy_revision, keep, moves: moves(workspace, views, due, &request)? })
    };
    // Nothing to do is nothing to record. Most runs end so, and then no row is summed.
    if planned(&workspace.snapshot()?)?.moving().next().is_none() {
        return Ok(None);
    }
    let plan = planned(&workspace.summed_snapshot()?)?;
    archive_all_due(workspace, plan, &request).map(Some)
}

fn archive_all_due(
    workspace: &Workspace,
    mut plan: Cleanup,
    request: &CleanupRequest,
) -> Result<Cleanup> {
    let session = workspace.begin("cleanup")?;
    let result = plan
        .moves
        .iter_mut()
        .filter(|found| found.stays.is_none())
        .try_for_each(|found| archive_due(workspace, &session, found, request));
    workspace.refreshed(session.finish_with(result))?;
    Ok(plan)
}

fn archive_due(
    workspace: &Workspace,
    session: &Session<'_>,
    found: &mut CleanupMove,
    request: &CleanupRequest,
) -> Result<()> {
    let archive = ArchiveRequest {
        archive: found.due.archive,
        pack: request.pack,
        drop_weights: request.drop_weights,
        rule: Some(found.due.rule.to_owned()),
        reason: found.due.reason.clone(),
    };
    match runs::archive_in(workspace, session, found.due.run, &archive) {
        Ok(moved) => {
            let after = moved.bytes_after.unwrap_or(moved.bytes_before);
            found.bytes_saved = Some(moved.bytes_before.saturating_sub(after));
            Ok(())
        }
        Err(error) if bars_one_run(&error) => {
            found.stays = Some(error.to_string());
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Whether an error is about one run, so that the others go their way: somebody pinned, promoted or
/// moved it meanwhile, its place is taken, or its files cannot be read or are not those recorded.
pub(in crate::app) fn bars_one_run(error: &Error) -> bool {
    use ErrorKind::{Conflict, Data, Integrity, Io, NotFound, Rejected};
    matches!(error.kind, Rejected | Conflict | Data | Io | Integrity | NotFound)
}
