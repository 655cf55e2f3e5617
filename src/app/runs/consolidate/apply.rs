//! Carrying out a plan that was shown, run by run, each in a move of its own: what a crash leaves
//! is a plan of which some rows are done, and applying it again does the others.

use super::plan;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::plan::{ConsolidationPlan, PlanRow, Planned};
use crate::app::core::session::Tx;
use crate::app::moves;
use crate::app::runs::archive::{RelocationFacts, changed_meanwhile};
use crate::app::runs::cleanup::bars_one_run;
use crate::app::{ArchiveRequest, Error, ErrorKind, Result, Session, Workspace, runs};
use crate::base::{Digest, MoveId, RunId, failpoint};
use crate::domain::file_move::{MoveMode, MovePlan, MovePurpose, RemovalOrder};
use crate::domain::invocation::InvocationEvent;
use crate::domain::policy::Action;
use crate::domain::run::{Archive, Pack};
use crate::domain::workspace::{ConsolidationResult, WorkspaceCommand, WorkspaceStream};
use crate::domain::{Event, StreamId};
use crate::effect;
use crate::projection::Snapshot;

/// The verb of the invocations; two at once do not work.
const VERB: &str = "consolidate";
/// Changes that an error tells.
const CHANGES_MAX: usize = 5;

/// What applying a plan did.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Applied {
    /// Digest of the plan.
    pub plan_digest: Digest,
    /// Whether all of it had been done before.
    pub already: bool,
    /// The rows that this invocation carried out.
    pub done: Vec<PlanRow>,
    /// Runs that stayed, because somebody held them meanwhile, with why.
    pub stayed: Vec<(String, String)>,
    /// Size of the folders of all runs that the plan moves, before.
    pub bytes_before: u64,
    /// Their size now.
    pub bytes_after: u64,
}

/// What stands as the rule in the events of runs that a plan archived.
pub(super) fn rule(plan: Digest) -> String {
    format!("consolidation {plan}")
}

/// What became of the rows of a plan so far.
#[derive(Default)]
pub(super) struct Progress {
    pub(super) archived: BTreeMap<RunId, u64>,
    pub(super) deleted: BTreeMap<RunId, u64>,
}

impl Progress {
    pub(super) fn of(views: &Snapshot, planned: &Planned) -> Result<Self> {
        let (rule, plan) = (rule(planned.plan_digest), planned.plan_digest.to_string());
        let mut progress = Self::default();
        for row in planned.plan.moving() {
            let Some(run) = views.run(row.run)? else { continue };
            if let Some(archive) = run.archive.filter(|a| a.rule.as_ref() == Some(&rule)) {
                progress.archived.insert(row.run, archive.bytes_after);
            }
            if run.deleted.is_some_and(|deleted| deleted.plan == plan) {
                progress.deleted.insert(row.run, 0);
            }
        }
        Ok(progress)
    }

    pub(super) fn after(&self, row: &PlanRow) -> Option<u64> {
        self.archived.get(&row.run).or_else(|| self.deleted.get(&row.run)).copied()
    }
}

/// Does what the plan of that digest says, exactly: archives, and takes files away.
///
/// # Errors
/// [`ErrorKind::NotFound`] for a plan that nobody made; [`ErrorKind::Conflict`] when log or
/// files have moved on so that the plan would be another one, or another process consolidates.
pub fn apply_consolidation(workspace: &Workspace, digits: &str) -> Result<Applied> {
    let session = workspace.begin(VERB)?;
    let result = apply_in(workspace, &session, digits);
    workspace.refreshed(session.finish_with(result))
}

/// The plan that [`apply_consolidation`] would carry out.
///
/// # Errors
/// As [`apply_consolidation`], before anything is written.
pub fn check_consolidation(workspace: &Workspace, digits: &str) -> Result<Planned> {
    let planned = plan::shown_plan(workspace, digits)?;
    judged_again(workspace, &planned)?;
    Ok(planned)
}

/// What is done of a plan; refuses the rest where it would be planned otherwise by now. What is
/// done already is not judged again.
fn judged_again(workspace: &Workspace, planned: &Planned) -> Result<Progress> {
    let views = workspace.summed_snapshot()?;
    let before = Progress::of(&views, planned)?;
    if planned.plan.moving().any(|row| before.after(row).is_none()) {
        still_so(&planned.plan, &plan::consolidation_now(workspace, &views)?, &before)?;
    }
    Ok(before)
}

fn apply_in(workspace: &Workspace, session: &Session<'_>, digits: &str) -> Result<Applied> {
    let planned = plan::shown_plan(workspace, digits)?;
    session.transact(|tx| exclusive(tx))?;
    let before = judged_again(workspace, &planned)?;
    let (mut done, mut stayed) = (Vec::new(), Vec::new());
    for row in planned.plan.moving().filter(|row| before.after(row).is_none()) {
        match carry_out_row(workspace, session, &planned, row) {
            Ok(()) => done.push(row.clone()),
            Err(e) if bars_one_run(&e) => {
                stayed.push((row.experiment_id.clone(), e.to_string()));
            }
            Err(error) => return Err(error),
        }
    }
    let progress = Progress::of(&workspace.summed_snapshot()?, &planned)?;
    let rows = || planned.plan.moving();
    let applied = Applied {
        plan_digest: planned.plan_digest,
        already: done.is_empty() && stayed.is_empty() && was_applied(workspace, &planned)?,
        done,
        stayed,
        bytes_before: rows().map(|row| row.bytes).sum(),
        bytes_after: rows().map(|row| progress.after(row).unwrap_or(row.bytes)).sum(),
    };
    if !applied.already {
        let command = WorkspaceCommand::ApplyConsolidation(ConsolidationResult {
            plan: planned.plan_digest,
            plan_sha256: Some(planned.plan_sha256),
            policy_revision: planned.plan.policy_revision,
            runs_before: planned.plan.rows.len() as u64,
            archived: progress.archived.len() as u64,
            deleted: progress.deleted.len() as u64,
            stayed: rows().filter(|row| progress.after(row).is_none()).count() as u64,
            bytes_before: applied.bytes_before,
            bytes_after: applied.bytes_after,
        });
        session.transact_patiently(|tx| tx.decide::<WorkspaceStream>((), command, &()))?;
        failpoint::hit();
    }
    Ok(applied)
}

fn was_applied(workspace: &Workspace, planned: &Planned) -> Result<bool> {
    let plan = planned.plan_digest.to_string();
    Ok(workspace
        .snapshot_of(&[StreamId::WORKSPACE])?
        .consolidations()?
        .iter()
        .any(|row| row.plan == plan))
}

fn carry_out_row(
    workspace: &Workspace,
    session: &Session<'_>,
    planned: &Planned,
    row: &PlanRow,
) -> Result<()> {
    match row.action {
        Action::Keep => Ok(()),
        Action::Archive => {
            let request = ArchiveRequest {
                archive: Archive::Archived,
                pack: Some(Pack::Zst),
                drop_weights: true,
                rule: Some(rule(planned.plan_digest)),
                reason: row.reason.clone(),
            };
            runs::archive_in(workspace, session, row.run, &request).map(drop)
        }
        Action::Remove => delete(workspace, session, planned, row),
    }
}

fn delete(
    workspace: &Workspace,
    session: &Session<'_>,
    planned: &Planned,
    row: &PlanRow,
) -> Result<()> {
    let there = workspace.inside(&row.from)?.symlink_metadata().is_ok();
    let order = RemovalOrder {
        run: row.run,
        plan: planned.plan_digest,
        reason: row.reason.clone(),
        policy_revision: planned.plan.policy_revision,
    };
    let plan = MovePlan {
        id: MoveId(workspace.env.random()),
        purpose: MovePurpose::Removal(order),
        mode: MoveMode::Move,
        from: row.from.clone(),
        to: effect::REMOVED.into(),
        files: if there { effect::survey(&workspace.root, &row.from)? } else { vec![] },
    };
    session.transact(|tx| {
        let facts = RelocationFacts::read(tx.log(), row.run)?;
        facts.may_delete()?;
        if facts.run.folder != plan.from {
            return Err(changed_meanwhile(&facts.run));
        }
        moves::append(tx, &plan)
    })?;
    moves::execute(workspace, session, &plan).map(drop)
}

/// Refuses while an earlier consolidation is under way.
fn exclusive(tx: &Tx<'_, '_>) -> Result<()> {
    for position in tx.log().open_invocations()? {
        if position < tx.invocation()
            && let Ok(Event::Invocation(InvocationEvent::Started(other))) =
                tx.log().event(position)?.event()
            && other.verb == VERB
        {
            let message = format!("pid {} on {} is consolidating", other.pid, other.host);
            return Err(Error::new(ErrorKind::Conflict, message).hint("try again when it ended"));
        }
    }
    Ok(())
}

/// Refuses a plan of which not exactly the rows that are not done yet would be planned now.
fn still_so(shown: &ConsolidationPlan, now: &ConsolidationPlan, done: &Progress) -> Result<()> {
    let shown: BTreeMap<RunId, &PlanRow> =
        shown.moving().filter(|row| done.after(row).is_none()).map(|row| (row.run, row)).collect();
    let present: BTreeMap<RunId, &PlanRow> = now.rows.iter().map(|row| (row.run, row)).collect();
    let mut changes: Vec<String> = Vec::new();
    for (run, row) in &shown {
        changes.extend(match present.get(run) {
            None => Some(format!("{} is deleted by now", row.experiment_id)),
            Some(now) => changed(row, now),
        });
    }
    for row in now.moving().filter(|row| !shown.contains_key(&row.run)) {
        changes.push(format!(
            "{}: not in the plan, now {} ({})",
            row.experiment_id,
            row.action.word(),
            row.reason
        ));
    }
    if changes.is_empty() {
        return Ok(());
    }
    let more = changes.len().saturating_sub(CHANGES_MAX);
    changes.truncate(CHANGES_MAX);
    if more > 0 {
        changes.push(format!("and {more} more"));
    }
    let message = format!("the plan would be another one by now: {}", changes.join("; "));
    Err(Error::new(ErrorKind::Conflict, message)
        .hint("nothing was moved; `annals consolidate plan` shows the present plan"))
}

fn changed(shown: &PlanRow, now: &PlanRow) -> Option<String> {
    let name = &shown.experiment_id;
    if shown.action != now.action {
        let (was, is) = (shown.action.word(), now.action.word());
        return Some(format!("{name}: {was} was planned, now {is} ({})", now.reason));
    }
    if shown.from != now.from {
        return Some(format!("{name} is in {} now, it was in {}", now.from, shown.from));
    }
    let same = shown.bytes == now.bytes && shown.state == now.state;
    (!same).then(|| {
        format!("files of {name} were changed ({} now, {} before)", now.bytes, shown.bytes)
    })
}
