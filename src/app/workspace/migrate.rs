//! From one layout to the other: every run and every model in production moves to where the other
//! layout has it, each in a recorded move of its own.
//!
//! The log says where a folder is, whatever the layout: what a crash leaves is a workspace of which
//! some folders are at their new place, and asking again moves the others. The settings are
//! written when all have moved.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::models::production::in_production;
use crate::app::moves;
use crate::app::runs::archive::{RelocationFacts, changed_meanwhile, folder_name};
use crate::app::{
    Error, ErrorKind, Layout, Mode, NewRun, Paths, Result, Session, Settings, Workspace,
};
use crate::app::{fold_registry, fold_workspace};
use crate::base::{MoveId, Timestamp, failpoint};
use crate::domain::StreamId;
use crate::domain::file_move::{
    Migrated, MigrationOrder, MoveMode, MovePlan, MovePurpose, MovedFile,
};
use crate::domain::policy::Policy;
use crate::domain::run::RunStatus;
use crate::domain::workspace::{LayoutKind, WorkspaceCommand, WorkspaceStream};
use crate::effect;
use crate::projection::runs::RunDetails;

const VERB: &str = "layout migrate";

/// A folder that moves.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LayoutMove {
    /// The run's unique name, or the production name.
    pub name: String,
    /// Where it lies.
    pub from: String,
    /// Where it goes.
    pub to: String,
    /// Size of its files.
    pub bytes: u64,
    #[serde(skip)]
    what: Migrated,
}

/// What a migration does, or did.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Migration {
    /// The layout before.
    pub from: LayoutKind,
    /// The layout afterwards.
    pub to: LayoutKind,
    /// The folders that move.
    pub moves: Vec<LayoutMove>,
}

/// What [`migrate`] would do now.
///
/// # Errors
/// As [`migrate`]; nothing is recorded.
fn plan_migration(workspace: &Workspace, to: LayoutKind) -> Result<Migration> {
    let target = if to == workspace.layout.kind {
        workspace.layout.clone()
    } else {
        no_own_paths(workspace, to)?;
        Layout::new(to)
    };
    let views = workspace.summed_snapshot()?;
    let (_, policy) = views.policy()?;
    let mut runs = views.run_details()?;
    runs.retain(|run| run.deleted.is_none());
    let mut taken: BTreeSet<String> = runs.iter().map(|run| run.folder.clone()).collect();
    let mut moves = Vec::new();
    for run in &runs {
        let status = workspace.status_now(run.status, None)?;
        let Some((folder, home)) = place_in(workspace, &target, &policy, run, &mut taken) else {
            continue;
        };
        if status == RunStatus::Running {
            let message = format!("{} is running in {}", run.experiment_id, run.folder);
            return Err(
                Error::new(ErrorKind::Conflict, message).hint("its folder moves when it has ended")
            );
        }
        moves.push(LayoutMove {
            name: run.experiment_id.clone(),
            bytes: effect::size(&workspace.root, &run.folder).all,
            from: run.folder.clone(),
            to: folder,
            what: Migrated::Run { run: run.run(), home },
        });
    }
    for model in views.production()? {
        let folder = target.model(&model.name);
        if folder != model.path {
            moves.push(LayoutMove {
                bytes: effect::size(&workspace.root, &model.path).all,
                from: model.path,
                to: folder,
                what: Migrated::Model { name: model.name.clone() },
                name: model.name,
            });
        }
    }
    Ok(Migration { from: workspace.layout.kind, to, moves })
}

/// Refuses to leave a layout whose folders `annals.toml` names: they would be forgotten.
fn no_own_paths(workspace: &Workspace, to: LayoutKind) -> Result<()> {
    let Paths { experiments, production, training } = &workspace.settings.paths;
    let named = [("experiments", experiments), ("production", production), ("training", training)];
    let named = named.iter().filter_map(|(key, path)| Some((key, path.as_ref()?)));
    let named: Vec<String> = named.map(|(key, path)| format!("{key} = {path:?}")).collect();
    if named.is_empty() {
        return Ok(());
    }
    let message = format!(
        "annals.toml has {} under [paths], which the layout {} does not know",
        named.join(", "),
        to.word()
    );
    Err(Error::new(ErrorKind::Conflict, message).hint(
        "remove it first: the files there still have to move to the folder of the \
             layout",
    ))
}

/// Where a run lies in `layout`, and where it lies there while it is active; none where it is
/// there already.
fn place_in(
    workspace: &Workspace,
    layout: &Layout,
    policy: &Policy,
    run: &RunDetails,
    taken: &mut BTreeSet<String>,
) -> Option<(String, String)> {
    let parent = match &run.archive {
        None => layout.experiments.clone(),
        Some(archived) => layout.archive(archived.archive, policy),
    };
    let began = Timestamp(run.started);
    let new = NewRun { name: &run.experiment_name, model: &run.config_name, began };
    let name = |number: u32| match layout.kind {
        // There the folder is called like the run, whatever its present name.
        LayoutKind::Consolidated => run.experiment_id.clone(),
        LayoutKind::TrainingOutput => layout.folder_name(&new, number),
    };
    let (at, called) = run.folder.rsplit_once('/').unwrap_or(("", &run.folder));
    let numbered = called.strip_prefix(name(1).as_str()).is_some_and(|rest| {
        let number = rest.strip_prefix('_').unwrap_or_default();
        rest.is_empty() || number.parse::<u32>().is_ok()
    });
    if at == parent && numbered {
        return None;
    }
    let free = |folder: &String| {
        !taken.contains(folder) && workspace.inside(folder).is_ok_and(|path| !path.exists())
    };
    let numbers = (1..).take(taken.len() + 1);
    let mut places = numbers.map(|number| format!("{parent}/{}", name(number)));
    // In a layout without numbers a taken place is an error of the move itself.
    let folder = places.find(free).unwrap_or_else(|| format!("{parent}/{}", name(1)));
    taken.insert(folder.clone());
    let home = layout.home(folder_name(&folder));
    Some((folder, home))
}

/// Moves everything to where the layout `to` has it, and makes it the workspace's.
///
/// # Errors
/// [`ErrorKind::Conflict`] while a run is under way or a place is taken; what was moved before
/// is at its new place.
pub fn migrate(workspace: &Workspace, to: LayoutKind, mode: Mode) -> Result<Migration> {
    if mode == Mode::DryRun {
        return plan_migration(workspace, to);
    }
    workspace.recover()?;
    let migration = plan_migration(workspace, to)?;
    let known = workspace.store.read(|log| Ok::<_, Error>(fold_workspace(log)?.layout))?;
    // What a crash left out last is the event.
    if migration.moves.is_empty() && to == workspace.layout.kind && known.unwrap_or(to) == to {
        return Ok(migration);
    }
    let session = workspace.begin(VERB)?;
    let result = migrate_in(workspace, &session, &migration, known);
    let ended = session.finish_with(result);
    // What is generated goes where the new layout has it.
    let layout = match ended.is_ok() && to != workspace.layout.kind {
        true => Layout::new(to),
        false => workspace.layout.clone(),
    };
    let refreshed = workspace.refresh_in(&layout);
    ended?;
    refreshed?;
    Ok(migration)
}

fn migrate_in(
    workspace: &Workspace,
    session: &Session<'_>,
    migration: &Migration,
    known: Option<LayoutKind>,
) -> Result<()> {
    for row in &migration.moves {
        migrate_one(workspace, session, migration.to, row)?;
    }
    let count = |run: bool| {
        let of = |row: &&LayoutMove| matches!(row.what, Migrated::Run { .. }) == run;
        migration.moves.iter().filter(of).count() as u64
    };
    if migration.to != workspace.layout.kind {
        let settings = Settings { layout: migration.to, ..workspace.settings.clone() };
        workspace.write_settings(&settings)?;
        failpoint::hit();
        workspace.make_pretrained(&Layout::of(
            &workspace.root,
            &settings,
            &workspace.caller.folders,
        )?)?;
    }
    let from = match migration.from == migration.to {
        false => migration.from,
        true => known.unwrap_or(migration.from),
    };
    let (to, runs, models) = (migration.to, count(true), count(false));
    let command = WorkspaceCommand::ChangeLayout { from, to, runs, models };
    session.transact_patiently(|tx| tx.decide::<WorkspaceStream>((), command, &()))?;
    remove_empty_places(workspace, migration);
    Ok(())
}

fn migrate_one(
    workspace: &Workspace,
    session: &Session<'_>,
    to: LayoutKind,
    row: &LayoutMove,
) -> Result<()> {
    let plan = MovePlan {
        id: MoveId(workspace.env.random()),
        purpose: MovePurpose::Migration(MigrationOrder { layout: to, what: row.what.clone() }),
        mode: MoveMode::Move,
        from: row.from.clone(),
        to: row.to.clone(),
        files: files_in(workspace, to, row)?,
    };
    session.transact(|tx| match &row.what {
        Migrated::Run { run, .. } => {
            let facts = RelocationFacts::read(tx.log(), *run)?;
            if facts.run.folder != plan.from || facts.run.status == RunStatus::Running {
                return Err(changed_meanwhile(&facts.run));
            }
            moves::append(tx, &plan)
        }
        Migrated::Model { name } => {
            let registry = fold_registry(tx.log())?;
            if in_production(&registry, name).map(|model| &model.path) != Some(&plan.from) {
                let message = format!("{name} was changed in production in the meantime");
                return Err(Error::new(ErrorKind::Conflict, message).hint("try again"));
            }
            moves::append(tx, &plan)
        }
    })?;
    moves::execute(workspace, session, &plan).map(drop)
}

/// The files of what moves, called as the layout `to` calls them.
fn files_in(workspace: &Workspace, to: LayoutKind, row: &LayoutMove) -> Result<Vec<MovedFile>> {
    let mut files = effect::survey(&workspace.root, &row.from)?;
    let Migrated::Run { run, .. } = &row.what else { return Ok(files) };
    let details = workspace.snapshot_of(&[(*run).into()])?.run(*run)?;
    let layout = Layout::new(to);
    for (name, path, digest, _) in details.iter().flat_map(|run| &run.artifacts) {
        let Some(path) = path else { continue };
        let Some(own) = layout.inside(name, path) else { continue };
        // What was put there by somebody else stays what it is.
        if files.iter().any(|file| file.path == own) {
            continue;
        }
        let recorded =
            |file: &&mut MovedFile| file.source == *path && file.digest.to_string() == *digest;
        if let Some(file) = files.iter_mut().find(recorded) {
            file.path = own;
        }
    }
    Ok(files)
}

/// Folders of the former layout that hold nothing any more.
fn remove_empty_places(workspace: &Workspace, migration: &Migration) {
    let before = &workspace.layout;
    let mut places = BTreeSet::from([before.experiments.clone(), before.production.clone()]);
    if migration.to != before.kind {
        places.extend(before.pretrained());
    }
    if let Ok((_, policy)) =
        workspace.snapshot_of(&[StreamId::POLICY]).and_then(|views| Ok(views.policy()?))
    {
        use crate::domain::run::Archive::{Archived, Baseline, Debug};
        places.extend([Debug, Baseline, Archived].map(|kind| before.archive(kind, &policy)));
    }
    // Settings of former days may have had some elsewhere.
    let parents = migration.moves.iter().filter_map(|row| row.from.rsplit_once('/'));
    places.extend(parents.map(|(parent, _)| parent.to_owned()));
    for place in places.iter().rev() {
        let Ok(mut folder) = workspace.inside(place) else { continue };
        // One that holds something stays, and those above it.
        while folder != workspace.root && std::fs::remove_dir(&folder).is_ok() {
            if !folder.pop() {
                break;
            }
        }
    }
}
