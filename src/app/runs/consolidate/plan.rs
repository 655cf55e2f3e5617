//! The plan of a consolidation: a row for each run, kept in the blob store under its digest.
//!
//! It holds nothing that changes by itself, such as a time: as long as log and files say the same,
//! it is the same bytes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::app::runs::archive::folder_name;
use crate::app::runs::cleanup::KeptBecause;
use crate::app::{Error, ErrorKind, Result, Workspace, runs};
use crate::base::{Digest, FileDigests, RunId, Sha256Digest, Split, parallel};
use crate::domain::policy::{
    Action, Class, ConfigKey, Member, Policy, Score, assess, consolidate, series, stem,
};
use crate::domain::registry::RequestStatus;
use crate::domain::run::{Archive, Category, RunStatus};
use crate::domain::workspace::LayoutKind;
use crate::effect::{self, Size};
use crate::projection::Snapshot;
use crate::projection::best::{Admission, Contender, Contest};
use crate::projection::run_summary::RunSummary;

/// What decides which run of a series is the best, the first that was measured.
pub(super) fn metrics(layout: LayoutKind) -> [&'static str; 4] {
    match layout {
        LayoutKind::Consolidated => ["f1_macro", "accuracy", "roc_auc", "auc"],
        // There the metric is the version.
        LayoutKind::TrainingOutput => ["roc_auc", "auc", "f1_macro", "accuracy"],
    }
}

/// What becomes of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanRow {
    /// The run.
    pub run: RunId,
    /// Its unique name.
    pub experiment_id: String,
    /// Its series.
    pub series: String,
    /// What it counts as.
    pub class: Class,
    /// What becomes of it.
    pub action: Action,
    /// Where it lies.
    pub from: String,
    /// Where it goes.
    pub to: Option<String>,
    /// Size of its folder.
    pub bytes: u64,
    /// How much of that is not needed any more, at least: packing may save more.
    pub bytes_saved: u64,
    /// Digest over the names, sizes and times of change of its files.
    pub state: Option<Digest>,
    /// Why.
    pub reason: String,
}

/// What a consolidation does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConsolidationPlan {
    /// Revision of the policy it was made under.
    pub policy_revision: u64,
    /// Every run whose files are there, oldest first.
    pub rows: Vec<PlanRow>,
}

impl ConsolidationPlan {
    /// The runs that it moves.
    pub fn moving(&self) -> impl Iterator<Item = &PlanRow> {
        self.rows.iter().filter(|row| row.action != Action::Keep)
    }

    /// How many runs have `action`.
    pub fn count(&self, action: Action) -> usize {
        self.rows.iter().filter(|row| row.action == action).count()
    }

    /// What is not needed any more afterwards, at least.
    pub fn bytes_saved(&self) -> u64 {
        self.rows.iter().map(|row| row.bytes_saved).sum()
    }

    fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|e| Error::caused(ErrorKind::Bug, "BUG: a plan is not JSON", e))
    }
}

/// A plan with its digest.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Planned {
    /// Digest of the plan: what `apply` is called with.
    pub plan_digest: Digest,
    /// SHA-256 of the plan.
    pub plan_sha256: Sha256Digest,
    /// The plan.
    pub plan: ConsolidationPlan,
}

/// A run as the plan needs it beside what the rules see.
struct RunFolderKey {
    stem: String,
    config: ConfigKey,
    folder: String,
}

/// What a consolidation would do now; the plan is kept, so that it can be applied by its
/// digest, except in a workspace that is not trusted.
///
/// # Errors
/// When views or folders cannot be read, or the plan cannot be kept.
pub fn plan_consolidation(workspace: &Workspace) -> Result<Planned> {
    let plan = consolidation_now(workspace, &workspace.snapshot()?)?;
    let bytes = plan.bytes()?;
    let digests = match workspace.is_trusted() {
        true => workspace.blobs.put(&bytes)?,
        false => FileDigests::of(&bytes),
    };
    Ok(Planned { plan_digest: digests.blake3, plan_sha256: digests.sha256, plan })
}

/// A plan that was shown, by the first digits of its digest.
pub(super) fn shown_plan(workspace: &Workspace, digits: &str) -> Result<Planned> {
    let digest = match digits.parse::<Digest>() {
        Ok(digest) => digest,
        Err(_) => plan_beginning(workspace, digits)?,
    };
    let unknown = || {
        let message = format!("no consolidation plan has the digest {digits}");
        Error::new(ErrorKind::NotFound, message)
            .hint("`annals consolidate plan` makes one and prints its digest")
    };
    if !workspace.blobs.contains(digest) {
        return Err(unknown());
    }
    let bytes = workspace.blobs.get(digest)?;
    let plan = serde_json::from_slice(&bytes).map_err(|_| unknown())?;
    let plan_sha256 = FileDigests::of(&bytes).sha256;
    Ok(Planned { plan_digest: digest, plan_sha256, plan })
}

fn plan_beginning(workspace: &Workspace, digits: &str) -> Result<Digest> {
    let begins = |digest: &Digest| digest.to_string().starts_with(digits);
    let plans = workspace.blobs.all()?.into_iter().map(|blob| blob.digest).filter(begins);
    let is_plan = |digest: &Digest| {
        let bytes = workspace.blobs.get(*digest).unwrap_or_default();
        serde_json::from_slice::<ConsolidationPlan>(&bytes).is_ok()
    };
    match plans.filter(is_plan).collect::<Vec<_>>().as_slice() {
        [digest] => Ok(*digest),
        [] => {
            let message = format!("no consolidation plan begins with {digits:?}");
            Err(Error::new(ErrorKind::NotFound, message)
                .hint("`annals consolidate plan` makes one and prints its digest"))
        }
        several => {
            let message = format!("{} plans begin with {digits:?}", several.len());
            Err(Error::new(ErrorKind::Usage, message).hint("give more digits"))
        }
    }
}

/// What a consolidation would do now, by `views`.
pub(super) fn consolidation_now(
    workspace: &Workspace,
    views: &Snapshot,
) -> Result<ConsolidationPlan> {
    let (policy_revision, policy) = views.policy()?;
    let held = runs::kept_because(workspace, views)?;
    let (members, places) = members(views, &policy, held, workspace.layout.kind)?;
    let decided = consolidate(&policy, &members, workspace.env.now());
    let sizes = sizes(workspace, &places);
    let archived = workspace.layout.archive(Archive::Archived, &policy);
    let rows = members.into_iter().zip(places).zip(decided.into_iter().zip(sizes));
    let rows = rows.map(|((member, place), ((action, reason), size))| {
        let (action, reason) = feasible(action, reason, &size);
        PlanRow {
            to: (action == Action::Archive)
                .then(|| format!("{archived}/{}", folder_name(&place.folder))),
            bytes_saved: match action {
                Action::Keep => 0,
                Action::Archive => size.weights,
                Action::Remove => size.all,
            },
            run: member.run,
            experiment_id: member.experiment_id,
            series: member.series,
            class: member.class,
            action,
            from: place.folder,
            bytes: size.all,
            state: size.state,
            reason,
        }
    });
    Ok(ConsolidationPlan { policy_revision, rows: rows.collect() })
}

/// The sizes of folders, several at a time: most of it is waiting for the file system.
fn sizes(workspace: &Workspace, places: &[RunFolderKey]) -> Vec<Size> {
    let measure = |places: &[RunFolderKey]| -> Vec<Size> {
        places.iter().map(|place| effect::size(&workspace.root, &place.folder)).collect()
    };
    parallel::map_shares(parallel::cores(), places, measure).concat()
}

/// What can be done with a folder as it is.
fn feasible(action: Action, reason: String, size: &Size) -> (Action, String) {
    match (action, &size.odd) {
        (Action::Keep, _) => (action, reason),
        (_, Some(odd)) => (Action::Keep, odd.clone()),
        (Action::Archive, None) if !size.there => {
            (Action::Keep, format!("{reason}; its folder is missing"))
        }
        (_, None) => (action, reason),
    }
}

/// Every run whose files are there, oldest first.
fn members(
    views: &Snapshot,
    policy: &Policy,
    held: BTreeMap<RunId, KeptBecause>,
    layout: LayoutKind,
) -> Result<(Vec<Member>, Vec<RunFolderKey>)> {
    let mut named: BTreeMap<RunId, KeptBecause> = BTreeMap::new();
    for request in views.requests()?.iter().filter(|row| row.status == RequestStatus::Granted) {
        named.insert(request.run(), KeptBecause::WasInProduction);
    }
    named.extend(held);
    // A run that is the best only where unproven scores count too is kept as well.
    let [measured, unproven] =
        [Admission::Measured, Admission::Unproven].map(|a| Contest::new(policy, a));
    let metrics = metrics(layout);
    let found = views.map_runs(|run| {
        let entry = || unproven.enter(run).map(|contender| (contender, measured.admits(run)));
        (!run.deleted).then(|| (member(run, policy, &named, &metrics), entry()))
    })?;
    let (found, entries): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    let (mut members, places): (Vec<Member>, Vec<RunFolderKey>) = found.into_iter().unzip();
    let keys: Vec<(String, ConfigKey)> =
        places.iter().map(|place| (place.stem.clone(), place.config)).collect();
    for (member, series) in members.iter_mut().zip(series(&keys)) {
        member.series = series;
    }
    let entries: Vec<(Contender, bool)> = entries.into_iter().flatten().collect();
    let proven = entries.iter().filter(|(_, proven)| *proven).map(|(run, _)| run).collect();
    let all = entries.iter().map(|(run, _)| run).collect();
    let contenders: [(Contest<'_>, Vec<&Contender>); 2] = [(measured, proven), (unproven, all)];
    for (contest, contenders) in contenders {
        for best in contest.best(&contenders) {
            for member in members.iter_mut().filter(|m| m.experiment_id == best.experiment_id) {
                member.held.get_or_insert_with(|| format!("best of all: {}", best.role.word()));
            }
        }
    }
    Ok((members, places))
}

fn member(
    run: &RunSummary<'_>,
    policy: &Policy,
    named: &BTreeMap<RunId, KeptBecause>,
    metrics: &[&'static str],
) -> (Member, RunFolderKey) {
    let RunSummary { status, category, pinned, .. } = *run;
    let in_production = named.get(&run.run()) == Some(&KeptBecause::InProduction);
    // Most runs have no chance; judging them all costs more than reading them.
    let chance = policy.production_promotion.allow_debug || category != Category::Debug;
    let ready = in_production || (chance && assess(policy, run).is_candidate());
    let held = match (status, pinned, named.get(&run.run()), run.archived_by_hand) {
        (RunStatus::Running, ..) => Some("running".to_owned()),
        (_, true, ..) => Some("pinned".to_owned()),
        (_, _, Some(why), _) => Some(why.word().to_owned()),
        (.., Some(reason)) => Some(format!("archived by hand: {reason}")),
        _ => None,
    };
    let member = Member {
        run: run.run(),
        experiment_id: run.experiment_id.to_owned(),
        series: String::new(),
        class: Class::of(status, category, run.name, &run.tags(), ready),
        status,
        score: score(run, policy, metrics),
        ended: run.ended,
        archived: run.archived,
        held,
    };
    let config = run.configuration().map(|digest| digest.0);
    (member, RunFolderKey { stem: stem(run.name), config, folder: run.folder.to_owned() })
}

/// How good a run is by the split the policy asks for, else on the valid rows.
fn score(run: &RunSummary<'_>, policy: &Policy, metrics: &[&'static str]) -> Score {
    let rules = &policy.production_promotion;
    let measured = [rules.split, Split::Valid].into_iter().find_map(|split| {
        metrics.iter().find_map(|name| Some((split, *name, run.metric(name, split)?)))
    });
    let second = measured.and_then(|(split, ..)| run.metric("accuracy", split));
    let evidence = run.provenance;
    Score {
        counts: (rules.allow_synthetic || !run.synthetic)
            && evidence.is_some_and(|provenance| rules.evidence.contains(&provenance)),
        measured,
        second: second.unwrap_or_default(),
    }
}
