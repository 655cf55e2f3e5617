//! Production folders that are not as recorded: what differs, what is kept when such a folder is
//! replaced or removed, and the repair from the blob store.

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::models::production::{in_production, moved_files};
use crate::app::models::promote::PromotionFacts;
use crate::app::moves;
use crate::app::{Error, ErrorKind, Finding, Mode, ModelRow, Result, Workspace, fold_registry};
use crate::base::{MoveId, confine};
use crate::domain::file_move::{MoveMode, MovePlan, MovePurpose};
use crate::domain::registry::{Damage, DamagedFile, ModelVersion, PromotedFile, RegistryCommand};
use crate::effect;
use crate::store::{Access, View};

/// Paths of differences that one event holds, in bytes, so that it fits.
const LISTED_BYTES_MAX: usize = 16 * 1024;

/// How a production folder differs from its record, and what became of that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FolderDamage {
    /// What is not as recorded.
    pub found: Vec<DamagedFile>,
    /// Where the folder is kept as it was found; none when files were only missing.
    pub kept: Option<String>,
    /// Recorded files whose bytes are neither in the folder nor in the blob store.
    pub lost: Vec<String>,
}

/// What a repair did with one model, or would do.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Repaired {
    /// The production name.
    pub name: String,
    /// Number of the version in production.
    pub number: u32,
    /// Its version.
    pub version: String,
    /// Its folder, relative to the workspace.
    pub path: String,
    /// What was not as recorded; nothing for a model that needed no repair.
    pub damage: FolderDamage,
}

/// What a repair of several models did, or would do.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Repairs {
    /// The models that were repaired or needed no repair.
    pub models: Vec<Repaired>,
    /// The models that could not be repaired.
    pub failed: Vec<RepairFailed>,
    /// Whether this is a plan, and nothing was changed.
    pub dry_run: bool,
}

/// A model that could not be repaired.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RepairFailed {
    /// The production name.
    pub name: String,
    /// The error.
    pub error: String,
}

/// What [`repair`] would do now.
///
/// # Errors
/// As [`repair`]; nothing is changed.
fn plan_repair(workspace: &Workspace, name: &str) -> Result<Repaired> {
    let version = workspace.store.read(|log| version_in_production(log, name))?;
    let mut damage = damage_of(workspace, Some(&version));
    if !damage.found.is_empty() {
        damage.lost = lost_files(workspace, &version, false)?;
        refuse_lost(&version, &damage)?;
    }
    Ok(repaired(name, &version, damage))
}

/// Brings the recorded files of a model in production back from the blob store, and keeps what
/// else is in its folder. Records nothing when the folder is as recorded.
///
/// # Errors
/// [`ErrorKind::NotFound`] for a name that is not in production; [`ErrorKind::Integrity`] when
/// recorded bytes are neither in the folder nor in the blob store.
pub fn repair(
    workspace: &Workspace,
    name: &str,
    reason: Option<String>,
    mode: Mode,
) -> Result<Repaired> {
    if mode == Mode::DryRun {
        return plan_repair(workspace, name);
    }
    // A folder on its way is none that is damaged.
    workspace.recover()?;
    let planned = plan_repair(workspace, name)?;
    if planned.damage.found.is_empty() {
        workspace.refresh()?;
        return Ok(planned);
    }
    let session = workspace.begin("repair")?;
    let decided = session.transact(|tx| {
        let version = version_in_production(tx.log(), name)?;
        let mut damage = damage_of(workspace, Some(&version));
        damage.lost = lost_files(workspace, &version, true)?;
        refuse_lost(&version, &damage)?;
        let (id, number) = (MoveId(workspace.env.random()), version.number);
        let mut facts =
            PromotionFacts::read(tx.log(), version.run, &workspace.caller.actor, tx.key())?;
        let name = name.to_owned();
        let command = RegistryCommand::Repair {
            name: name.clone(),
            number,
            file_move: id,
            reason: reason.clone(),
        };
        facts.decide(command)?;
        let plan = MovePlan {
            id,
            mode: MoveMode::Copy,
            from: effect::BLOBS.into(),
            to: version.path.clone(),
            files: moved_files(&version),
            purpose: MovePurpose::Repair { name, number, reason },
        };
        moves::append(tx, &plan)?;
        Ok((version, damage, plan))
    });
    let result = decided.and_then(|(version, mut damage, plan)| {
        damage.kept = moves::execute(workspace, &session, &plan)?.kept;
        Ok(repaired(name, &version, damage))
    });
    workspace.refreshed(session.finish_with(result))
}

fn repaired(name: &str, version: &ModelVersion, damage: FolderDamage) -> Repaired {
    Repaired {
        name: name.to_owned(),
        number: version.number,
        version: version.version().to_string(),
        path: version.path.clone(),
        damage,
    }
}

/// What is not as recorded in the folder of a model in production, each with the way back.
pub(in crate::app) fn damaged_model(workspace: &Workspace, model: &ModelRow) -> Vec<Finding> {
    let files = model.files.iter().filter_map(|(path, digest, bytes, sha256)| {
        let sha256 = sha256.as_ref().and_then(|sha256| sha256.parse().ok());
        Some(effect::from_blobs(path, digest.parse().ok()?, sha256, *bytes))
    });
    let files: Vec<_> = files.collect();
    let folder = match confine::parent_inside(&workspace.root, &model.path) {
        Ok(folder) => folder,
        Err(error) => {
            return vec![Finding {
                what: format!("{} of {} is not used: {error}", model.path, model.name),
                advice: "put the folder itself in the place of the link".into(),
            }];
        }
    };
    let found = effect::inspect(&folder, &files);
    let finding = |file: DamagedFile| Finding {
        what: match file.path.as_str() {
            "." => format!("{} of {} is {}", model.path, model.name, file.damage.word()),
            path => {
                format!("{}/{path} of {} is {}", model.path, model.name, file.damage.word())
            }
        },
        advice: format!(
            "`annals repair {}` restores the recorded files and stores the present ones",
            model.name
        ),
    };
    found.into_iter().map(finding).collect()
}

/// How the folder of a version in production differs from its record.
pub(in crate::app) fn damage_of(
    workspace: &Workspace,
    version: Option<&ModelVersion>,
) -> FolderDamage {
    let inspect =
        |version: &ModelVersion| match confine::parent_inside(&workspace.root, &version.path) {
            Ok(folder) => effect::inspect(&folder, &moved_files(version)),
            Err(_) => vec![of_folder(Damage::NotAFile)],
        };
    FolderDamage { found: version.map(inspect).unwrap_or_default(), ..FolderDamage::default() }
}

/// Stores what the blob store lacks of the version in production, as far as its folder has the
/// recorded bytes: whatever is taken out of production can come back. Returns the files whose
/// bytes are nowhere.
pub(in crate::app) fn secure_present<A: Access>(
    workspace: &Workspace,
    log: &View<A>,
    name: &str,
) -> Result<Vec<String>> {
    let registry = fold_registry(log)?;
    let version = in_production(&registry, name);
    version.map_or(Ok(vec![]), |version| lost_files(workspace, version, true))
}

/// The files of a version whose recorded bytes are neither in the blob store nor in its folder;
/// with `store`, what only the folder has is stored.
fn lost_files(workspace: &Workspace, version: &ModelVersion, store: bool) -> Result<Vec<String>> {
    let mut lost = Vec::new();
    for file in &version.files {
        if workspace.blobs.verify(file.digest, file.sha256).is_ok() {
            continue;
        }
        let found = workspace.inside_folder(&version.path, &file.path).ok().filter(|path| {
            let found = effect::digests(path);
            found.is_ok_and(|found| found.is_some_and(|d| d.are(file.digest, file.sha256)))
        });
        match found {
            Some(path) if store => workspace.blobs.restore(file.digest, &path)?,
            Some(_) => {}
            None => lost.push(file.path.clone()),
        }
    }
    Ok(lost)
}

/// What to note about a folder that a move replaced or removed and that was not as recorded,
/// and where the folder is kept.
/// After a crash only what is kept is known.
pub(in crate::app) fn found_damaged<A: Access>(
    workspace: &Workspace,
    log: &View<A>,
    plan: &MovePlan,
    recovered: bool,
) -> Result<Option<(RegistryCommand, Option<String>)>> {
    let registry = fold_registry(log)?;
    let name = plan.purpose.model().unwrap_or_default();
    let Some(version) = in_production(&registry, name) else { return Ok(None) };
    let files = moved_files(version);
    let replaced = effect::replaced(&workspace.root, moves::folder(plan), plan);
    if replaced.is_none() && recovered {
        return Ok(None);
    }
    let (mut found, kept) = match &replaced {
        Some((path, is_kept)) => {
            (effect::inspect(path, &files), is_kept.then(|| workspace.relative(path)))
        }
        None => (vec![of_folder(Damage::Missing)], None),
    };
    if found.is_empty() {
        return Ok(None);
    }
    let (mut bytes, all) = (0, found.len());
    found.retain(|file| {
        bytes += file.path.len() + 48;
        bytes <= LISTED_BYTES_MAX
    });
    let note = RegistryCommand::NoteDamage {
        name: name.to_owned(),
        unlisted: (all - found.len()) as u64,
        found,
        kept: kept.clone(),
        file_move: plan.id,
    };
    Ok(Some((note, kept)))
}

fn of_folder(damage: Damage) -> DamagedFile {
    DamagedFile { path: ".".into(), damage }
}

fn version_in_production<A: Access>(log: &View<A>, name: &str) -> Result<ModelVersion> {
    let registry = fold_registry(log)?;
    in_production(&registry, name).cloned().ok_or_else(|| {
        let what = "production model";
        crate::domain::Rejection::Unknown { what, name: name.to_owned() }.into()
    })
}

fn refuse_lost(version: &ModelVersion, damage: &FolderDamage) -> Result<()> {
    let of_path = |path: &String| version.files.iter().find(|file| file.path == *path);
    let named = |file: &PromotedFile| format!("{} (blake3 {})", file.path, file.digest.short(12));
    let lost: Vec<String> = damage.lost.iter().filter_map(of_path).map(named).collect();
    if lost.is_empty() {
        return Ok(());
    }
    let message = format!(
        "cannot repair {}: the recorded bytes of {} are neither in the folder nor, undamaged, in \
         the blob store",
        version.path,
        lost.join(", ")
    );
    Err(Error::new(ErrorKind::Integrity, message).hint(
        "copy the blob from a backup into .annals/blobs, or replace the model: `annals promote \
         RUN --replace`, `annals rollback`, `annals demote`",
    ))
}
