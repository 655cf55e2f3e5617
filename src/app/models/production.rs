//! Models in production: demotion, rollback, versions and aliases. Their files are moved by
//! `app/moves`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::core::session::Tx;
use crate::app::models::promote::PromotionFacts;
use crate::app::models::repair::FolderDamage;
use crate::app::moves;
use crate::app::{Error, ErrorKind, Mode, Result, Workspace, fold_registry, models};
use crate::base::MoveId;
use crate::domain::Rejection;
use crate::domain::file_move::{MoveMode, MovePlan, MovePurpose, MovedFile};
use crate::domain::registry::{
    Bump, ModelVersion, RegistryCommand, RegistryState, Semver, named_version, next_version,
};
use crate::effect;
use crate::projection::registry::ModelRow;
use crate::store::{Access, View};

/// What a demotion or a rollback did, or would do.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ModelChange {
    /// The production name.
    pub name: String,
    /// Number of the version that goes or comes back.
    pub number: u32,
    /// What that version is called.
    pub version: String,
    /// Whether this is a plan, and nothing was changed.
    pub dry_run: bool,
    /// The move.
    pub plan: MovePlan,
    /// Aliases that point at a version which is not in production afterwards.
    #[serde(rename = "aliases_astray")]
    pub astray: Vec<String>,
    /// How the folder that is replaced or removed differs from its record.
    pub damage: FolderDamage,
}

/// An alias that points at a version now.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AliasSet {
    /// The alias.
    pub alias: String,
    /// The production name.
    pub name: String,
    /// Number of the version.
    pub number: u32,
}

/// An alias that was removed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AliasRemoved {
    /// The alias.
    pub alias: String,
    /// Always true.
    pub removed: bool,
}

/// A version that was called something else.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Bumped {
    /// The production name.
    pub name: String,
    /// Number of the version.
    pub number: u32,
    /// What it was called.
    pub from: String,
    /// What it is called.
    pub to: String,
}

/// Takes a model out of production; its files stay in the blob store. A folder that is not as
/// recorded is kept as it is found.
///
/// # Errors
/// [`ErrorKind::NotFound`] for a name that is not in production.
pub fn demote(workspace: &Workspace, name: &str, reason: &str, mode: Mode) -> Result<ModelChange> {
    if mode == Mode::DryRun {
        return workspace.store.read(|log| decide_demotion(workspace, log, name, reason, None));
    }
    place(workspace, "demote", |tx| decide_demotion(workspace, tx.log(), name, reason, tx.key()))
}

/// Brings an earlier version of a name back into production: the one before the present one,
/// or `to` (`2`, `v2` or `1.1.0`). It was granted once; it is not judged again.
///
/// # Errors
/// [`ErrorKind::NotFound`] for a name or version that never was in production, and as
/// [`demote`].
pub fn roll_back(
    workspace: &Workspace,
    name: &str,
    to: Option<&str>,
    reason: &str,
    mode: Mode,
) -> Result<ModelChange> {
    if mode == Mode::DryRun {
        return workspace.store.read(|log| decide_rollback(workspace, log, name, to, reason, None));
    }
    place(workspace, "rollback", |tx| {
        decide_rollback(workspace, tx.log(), name, to, reason, tx.key())
    })
}

fn place(
    workspace: &Workspace,
    verb: &'static str,
    decide: impl FnOnce(&Tx<'_, '_>) -> Result<ModelChange>,
) -> Result<ModelChange> {
    let session = workspace.begin(verb)?;
    let planned = session.transact(|tx| {
        let mut placed = decide(tx)?;
        placed.damage.lost = models::secure_present(workspace, tx.log(), &placed.name)?;
        moves::append(tx, &placed.plan)?;
        Ok(placed)
    });
    let result = planned.and_then(|mut placed| {
        placed.damage.kept = moves::execute(workspace, &session, &placed.plan)?.kept;
        Ok(placed)
    });
    let placed = workspace.refreshed(session.finish_with(result))?;
    Ok(ModelChange { dry_run: false, ..placed })
}

fn decide_demotion<A: Access>(
    workspace: &Workspace,
    log: &View<A>,
    name: &str,
    reason: &str,
    key: Option<u64>,
) -> Result<ModelChange> {
    let (mut facts, version) = facts_of(workspace, log, name, None, key)?;
    let (name, reason) = (name.to_owned(), reason.to_owned());
    let command = RegistryCommand::Demote { name: name.clone(), reason: reason.clone() };
    facts.decide(command)?;
    let version = version.ok_or_else(|| unknown_version(&name, "in production"))?;
    let plan = MovePlan {
        id: MoveId(workspace.env.random()),
        mode: MoveMode::Move,
        from: version.path.clone(),
        to: effect::BLOBS.into(),
        files: moved_files(&version),
        purpose: MovePurpose::Demotion { name: name.clone(), reason },
    };
    let damage = models::damage_of(workspace, Some(&version));
    Ok(placed(&name, &version, plan, &facts.registry, damage))
}

fn decide_rollback<A: Access>(
    workspace: &Workspace,
    log: &View<A>,
    name: &str,
    to: Option<&str>,
    reason: &str,
    key: Option<u64>,
) -> Result<ModelChange> {
    let (mut facts, version) = facts_of(workspace, log, name, Some(to), key)?;
    let version = version.ok_or_else(|| match to {
        Some(version) => unknown_version(name, version),
        None => no_earlier_version(&facts.registry, name),
    })?;
    let (name, number, reason) = (name.to_owned(), version.number, reason.to_owned());
    // One that is not in production comes to where the layout has it by now.
    let present = in_production(&facts.registry, &name);
    let damage = models::damage_of(workspace, present);
    let to = present.map_or_else(|| workspace.layout.model(&name), |model| model.path.clone());
    let id = MoveId(workspace.env.random());
    facts.decide(RegistryCommand::RollBack {
        name: name.clone(),
        number,
        file_move: id,
        reason: reason.clone(),
    })?;
    for file in &version.files {
        workspace.blobs.verify(file.digest, file.sha256)?;
    }
    let plan = MovePlan {
        id,
        mode: MoveMode::Copy,
        from: effect::BLOBS.into(),
        to,
        files: moved_files(&version),
        purpose: MovePurpose::Rollback { name: name.clone(), number, reason },
    };
    Ok(placed(&name, &version, plan, &facts.registry, damage))
}

/// What a decision about `name` looks at, and the version it is about: the one in production,
/// or where `to` is given the one to go back to.
fn facts_of<A: Access>(
    workspace: &Workspace,
    log: &View<A>,
    name: &str,
    to: Option<Option<&str>>,
    key: Option<u64>,
) -> Result<(PromotionFacts, Option<ModelVersion>)> {
    let registry = fold_registry(log)?;
    let versions = registry.versions(name);
    let numbered = |number: Option<u32>| versions.iter().find(|v| Some(v.number) == number);
    let version = match to {
        Some(Some(text)) => named_version(versions, text),
        Some(None) => numbered(registry.earlier(name)),
        None => numbered(registry.production.get(name).map(|model| model.number)),
    };
    let run = version.map(|version| version.run);
    Ok((PromotionFacts::read(log, run, &workspace.caller.actor, key)?, version.cloned()))
}

/// Raises the version of a model in production.
///
/// # Errors
/// [`ErrorKind::NotFound`] for a name that is not in production.
pub fn bump_version(
    workspace: &Workspace,
    name: &str,
    bump: Bump,
    reason: Option<String>,
) -> Result<Bumped> {
    change_registry(workspace, "version bump", name, |registry, name| {
        let number = registry.production.get(name).map_or(0, |model| model.number);
        let before = registry.versions(name).iter().find(|v| v.number == number);
        let from = before.map_or(Semver::FIRST, ModelVersion::version);
        let to = next_version(registry.versions(name), bump);
        let name = name.to_owned();
        let bumped =
            Bumped { name: name.clone(), number, from: from.to_string(), to: to.to_string() };
        Ok((RegistryCommand::BumpVersion { name, bump, reason }, bumped))
    })
}

/// Every version of a name, and the number of the one in production.
///
/// # Errors
/// [`ErrorKind::NotFound`] for a name that never was in production.
pub fn versions(workspace: &Workspace, name: &str) -> Result<(Vec<ModelRow>, Option<u32>)> {
    let views = workspace.registry()?;
    let versions = views.versions(name)?;
    if versions.is_empty() {
        let what = "production model";
        return Err(Rejection::Unknown { what, name: name.to_owned() }.into());
    }
    let current = views.production()?.into_iter().find(|model| model.name == name);
    Ok((versions, current.map(|model| model.number)))
}

/// Points an alias at a version of a name, given as `NAME` (the one in production) or
/// `NAME@VERSION`.
///
/// # Errors
/// [`ErrorKind::NotFound`] for a version that never was in production; a bad alias.
pub fn set_alias(
    workspace: &Workspace,
    alias: &str,
    model: &str,
    reason: Option<String>,
) -> Result<AliasSet> {
    let (name, version) =
        model.split_once('@').map_or((model, None), |(name, version)| (name, Some(version)));
    change_registry(workspace, "alias set", name, |registry, name| {
        let number = match version {
            Some(text) => named_version(registry.versions(name), text).map(|v| v.number),
            None => registry.production.get(name).map(|model| model.number),
        };
        let number =
            number.ok_or_else(|| unknown_version(name, version.unwrap_or("in production")))?;
        let (alias, name) = (alias.to_owned(), name.to_owned());
        let set = AliasSet { alias: alias.clone(), name: name.clone(), number };
        Ok((RegistryCommand::SetAlias { alias, name, number, reason }, set))
    })
}

/// Takes an alias away.
///
/// # Errors
/// [`ErrorKind::NotFound`] when there is none.
pub fn remove_alias(
    workspace: &Workspace,
    alias: &str,
    reason: Option<String>,
) -> Result<AliasRemoved> {
    change_registry(workspace, "alias remove", "", |_, _| {
        let alias = alias.to_owned();
        let removed = AliasRemoved { alias: alias.clone(), removed: true };
        Ok((RegistryCommand::RemoveAlias { alias, reason }, removed))
    })
}

/// One decision about a name that moves no file; a refusal is recorded.
fn change_registry<T>(
    workspace: &Workspace,
    verb: &'static str,
    name: &str,
    command: impl FnOnce(&RegistryState, &str) -> Result<(RegistryCommand, T)>,
) -> Result<T> {
    let changed = workspace.decide(verb, |tx| {
        let registry = fold_registry(tx.log())?;
        let (command, changed) = command(&registry, name)?;
        let run = registry.versions(name).last().map(|version| version.run);
        let mut facts = PromotionFacts::read(tx.log(), run, &workspace.caller.actor, tx.key())?;
        facts.decide(command)?;
        tx.append(&mut facts.registry)?;
        Ok(changed)
    });
    match &changed {
        Ok(_) => workspace.refresh()?,
        Err(error) if error.kind == ErrorKind::Rejected => workspace.refuse(verb, error)?,
        Err(_) => {}
    }
    changed
}

pub(in crate::app) fn in_production<'r>(
    registry: &'r RegistryState,
    name: &str,
) -> Option<&'r ModelVersion> {
    let number = registry.production.get(name)?.number;
    registry.versions(name).iter().find(|version| version.number == number)
}

pub(in crate::app) fn moved_files(version: &ModelVersion) -> Vec<MovedFile> {
    let files = version.files.iter();
    files.map(|file| effect::from_blobs(&file.path, file.digest, file.sha256, file.bytes)).collect()
}

fn unknown_version(name: &str, version: &str) -> Error {
    Rejection::Unknown { what: "version", name: format!("{version} of {name}") }.into()
}

/// Why there is nothing to roll back to.
fn no_earlier_version(registry: &RegistryState, name: &str) -> Error {
    if registry.versions(name).is_empty() {
        return Rejection::Unknown { what: "production model", name: name.to_owned() }.into();
    }
    let message = format!("{name} has no earlier version to go back to");
    Error::new(ErrorKind::NotFound, message).hint(format!(
        "`annals version list {name}` lists its versions; `annals demote {name} --reason WHY` \
         takes it out of production"
    ))
}

fn placed(
    name: &str,
    version: &ModelVersion,
    plan: MovePlan,
    after: &RegistryState,
    damage: FolderDamage,
) -> ModelChange {
    let astray = after.aliases.iter().filter(|(_, (pointed, number))| {
        let current = after.production.get(pointed).map(|model| model.number);
        pointed == name && current != Some(*number)
    });
    ModelChange {
        name: name.to_owned(),
        number: version.number,
        version: version.version().to_string(),
        dry_run: true,
        plan,
        astray: astray.map(|(alias, _)| alias.clone()).collect(),
        damage,
    }
}
