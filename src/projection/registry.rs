//! Promotion requests and production models.

use std::fmt;

use rkyv::{Archive, Deserialize, Serialize};
use schemars::JsonSchema;
use serde::Serialize as SerializeJson;

use super::row::{pack, unpack};
use super::{Definition, Kv, Snapshot, ViewError};
use crate::base::{RequestId, RunId};
use crate::domain::IdentityLevel;
use crate::domain::registry::{
    Bump, ModelPromoted, PromotedFile, RegistryEvent, RequestStatus, Semver,
};
use crate::domain::{EnvelopeRef, Event, Header};

pub(super) const VIEW: Definition = Definition {
    name: "registry",
    revision: 8,
    kinds: &[
        RegistryEvent::REQUESTED,
        RegistryEvent::APPROVED,
        RegistryEvent::REJECTED,
        RegistryEvent::PROMOTED,
        RegistryEvent::DEMOTED,
        RegistryEvent::ROLLED_BACK,
        RegistryEvent::REPAIRED,
        RegistryEvent::VERSION_BUMPED,
        RegistryEvent::ALIAS_SET,
        RegistryEvent::ALIAS_REMOVED,
        RegistryEvent::RELOCATED,
    ],
    apply,
};

/// Keys: `r` and the request's id, `m` and the production name, `v`, the name, a zero byte and
/// the number, `a` and the alias.
const REQUEST: u8 = b'r';
const MODEL: u8 = b'm';
const VERSION: u8 = b'v';
const ALIAS: u8 = b'a';

/// A recorded file: path, digest, bytes, and SHA-256 where it was recorded.
pub type FileRow = (String, String, u64, Option<String>);

/// One person's yes.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize, SerializeJson, JsonSchema)]
pub struct ApprovalRow {
    /// Who, by name.
    pub approver: String,
    /// How far it is proven.
    pub identity: IdentityLevel,
    /// Position of the approval.
    pub position: u64,
}

impl fmt::Display for ApprovalRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.approver, self.identity)
    }
}

/// One promotion request.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct RequestRow {
    /// The request's id.
    pub id: [u8; 16],
    /// The run.
    pub run: [u8; 16],
    /// The production name.
    pub name: String,
    /// How it stands.
    pub status: RequestStatus,
    /// Who approved, in order.
    pub approvals: Vec<ApprovalRow>,
    /// Position of the request.
    pub position: u64,
}

impl RequestRow {
    /// The request's id.
    pub fn request(&self) -> RequestId {
        RequestId(self.id)
    }

    /// The run.
    pub fn run(&self) -> RunId {
        RunId(self.run)
    }
}

/// A name that is or was in production.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
struct NameRow {
    /// The numbers that were in production, in the order they came there.
    history: Vec<u32>,
    /// The number that is in production.
    current: Option<u32>,
    /// How many versions there are.
    versions: u32,
    /// The highest version given.
    highest: (u32, u32, u32),
}

/// Where an alias points.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize, SerializeJson, JsonSchema)]
pub struct AliasRow {
    /// The alias.
    pub alias: String,
    /// The production name.
    pub name: String,
    /// Number of the version; 0 once the alias was removed, for rows are never deleted.
    pub number: u32,
    /// Position of the event that set it.
    pub position: u64,
}

/// One version of a production model.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize, SerializeJson, JsonSchema)]
pub struct ModelRow {
    /// The production name.
    pub name: String,
    /// Its number, from 1, in the order of promotion.
    pub number: u32,
    /// What it is called: MAJOR.MINOR.PATCH.
    pub version: String,
    /// Its folder, relative to the workspace.
    pub path: String,
    /// The run it came from.
    #[serde(skip)]
    pub run: [u8; 16],
    /// Files: path, digest, bytes, and SHA-256 where it was recorded.
    pub files: Vec<FileRow>,
    /// Who approved, by name.
    pub approvers: Vec<String>,
    /// Their approvals.
    pub approvals: Vec<ApprovalRow>,
    /// Who promoted it: position of the actor's registration.
    #[serde(skip)]
    pub actor: u64,
    /// How far it is proven who that was.
    pub identity: IdentityLevel,
    /// Revision of the policy that judged.
    pub policy_revision: u64,
    /// When it was promoted, in nanoseconds since 1970.
    #[serde(skip)]
    pub promoted: i64,
    /// Position of the promotion.
    pub position: u64,
    /// The last event that put it into production.
    pub placed: PlacementRow,
}

/// What put a version into production.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize, SerializeJson, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// Its promotion.
    Promotion,
    /// A rollback to it.
    Rollback,
    /// A repair of its files.
    Repair,
}

impl Placement {
    /// The word used in files and tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Promotion => "promotion",
            Self::Rollback => "rollback",
            Self::Repair => "repair",
        }
    }
}

/// The last event that put a version into production: its promotion, a rollback or a repair.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize, SerializeJson, JsonSchema)]
pub struct PlacementRow {
    /// What it was.
    pub how: Placement,
    /// Position of the event.
    pub position: u64,
    /// Who did it: position of the actor's registration.
    #[serde(skip)]
    pub actor: u64,
    /// How far it is proven who that was.
    pub identity: IdentityLevel,
    /// When, in nanoseconds since 1970.
    #[serde(skip)]
    pub at: i64,
}

impl PlacementRow {
    fn of(how: Placement, header: &Header) -> Self {
        Self {
            how,
            position: header.position,
            actor: header.actor,
            identity: header.identity.level(),
            at: header.dated().0,
        }
    }

    /// Whether it came after the promotion of `model`.
    pub fn is_later(&self, model: &ModelRow) -> bool {
        self.position != model.position
    }
}

impl ModelRow {
    /// The run it came from.
    pub fn run(&self) -> RunId {
        RunId(self.run)
    }
}

fn key(tag: u8, rest: &[u8]) -> Vec<u8> {
    [&[tag], rest].concat()
}

fn apply(kv: &mut dyn Kv, envelope: &EnvelopeRef<'_>, event: &Event) -> Result<(), ViewError> {
    let Event::Registry(event) = event else { return Ok(()) };
    match event {
        RegistryEvent::Requested(requested) => {
            let row = RequestRow {
                id: requested.request.0,
                run: requested.run.0,
                name: requested.name.clone(),
                status: RequestStatus::Open,
                approvals: vec![],
                position: envelope.header.position,
            };
            kv.put(&key(REQUEST, &requested.request.0), pack(&row))
        }
        RegistryEvent::Approved(approved) => change(kv, approved.request, |row| {
            row.approvals.push(ApprovalRow {
                approver: approved.approver.clone(),
                identity: envelope.header.identity.level(),
                position: envelope.header.position,
            });
        }),
        RegistryEvent::Rejected(rejected) => {
            change(kv, rejected.request, |row| row.status = RequestStatus::Rejected)
        }
        RegistryEvent::Refused(_) | RegistryEvent::FoundDamaged(_) => Ok(()),
        RegistryEvent::Promoted(promoted) => promote(kv, envelope, promoted),
        RegistryEvent::Demoted(demoted) => change_name(kv, &demoted.name, |row| row.current = None),
        RegistryEvent::RolledBack(back) => {
            change_name(kv, &back.name, |row| {
                row.current = Some(back.number);
                row.history.push(back.number);
            })?;
            let placed = PlacementRow::of(Placement::Rollback, &envelope.header);
            change_version(kv, &back.name, back.number, |row| row.placed = placed)
        }
        RegistryEvent::Repaired(repaired) => {
            let placed = PlacementRow::of(Placement::Repair, &envelope.header);
            change_version(kv, &repaired.name, repaired.number, |row| row.placed = placed)
        }
        RegistryEvent::VersionBumped(bumped) => {
            change_name(kv, &bumped.name, |row| row.highest = parts(bumped.to))?;
            let to = bumped.to.to_string();
            change_version(kv, &bumped.name, bumped.number, |row| row.version = to)
        }
        RegistryEvent::Relocated(relocated) => {
            let name = key(MODEL, relocated.name.as_bytes());
            let Some(row) = kv.get(&name)? else { return Ok(()) };
            for number in 1..=unpack::<NameRow>(&VIEW, &row)?.versions {
                let path = relocated.path.clone();
                change_version(kv, &relocated.name, number, |row| row.path = path)?;
            }
            Ok(())
        }
        RegistryEvent::AliasSet(set) => {
            let row = AliasRow {
                alias: set.alias.clone(),
                name: set.name.clone(),
                number: set.number,
                position: envelope.header.position,
            };
            kv.put(&key(ALIAS, set.alias.as_bytes()), pack(&row))
        }
        RegistryEvent::AliasRemoved(removed) => {
            let row = AliasRow {
                alias: removed.alias.clone(),
                name: String::new(),
                number: 0,
                position: envelope.header.position,
            };
            kv.put(&key(ALIAS, removed.alias.as_bytes()), pack(&row))
        }
    }
}

fn promote(
    kv: &mut dyn Kv,
    envelope: &EnvelopeRef<'_>,
    promoted: &ModelPromoted,
) -> Result<(), ViewError> {
    let header = &envelope.header;
    let name_key = key(MODEL, promoted.name.as_bytes());
    let known = kv.get(&name_key)?.map(|row| unpack::<NameRow>(&VIEW, &row)).transpose()?;
    let first =
        NameRow { history: vec![], current: None, versions: 0, highest: parts(Semver::FIRST) };
    let mut name = known.unwrap_or(first);
    name.versions = name.versions.saturating_add(1);
    if name.versions > 1 {
        let (major, minor, patch) = name.highest;
        name.highest = parts(Semver { major, minor, patch }.bumped(Bump::Minor));
    }
    let (major, minor, patch) = name.highest;
    name.current = Some(name.versions);
    name.history.push(name.versions);
    let files = promoted.files.iter();
    let request = kv.get(&key(REQUEST, &promoted.request.0))?;
    let request = request.map(|row| unpack::<RequestRow>(&VIEW, &row)).transpose()?;
    let row = ModelRow {
        name: promoted.name.clone(),
        number: name.versions,
        version: Semver { major, minor, patch }.to_string(),
        path: promoted.path.clone(),
        run: promoted.run.0,
        files: files.map(file_row).collect(),
        approvers: promoted.approvers.clone(),
        approvals: request.map(|row| row.approvals).unwrap_or_default(),
        actor: header.actor,
        identity: header.identity.level(),
        policy_revision: promoted.policy_revision,
        promoted: header.dated().0,
        position: header.position,
        placed: PlacementRow::of(Placement::Promotion, header),
    };
    kv.put(&name_key, pack(&name))?;
    kv.put(&version_key(&row.name, row.number), pack(&row))?;
    change(kv, promoted.request, |row| row.status = RequestStatus::Granted)
}

fn file_row(file: &PromotedFile) -> FileRow {
    let sha256 = file.sha256.map(|sha256| sha256.to_string());
    (file.path.clone(), file.digest.to_string(), file.bytes, sha256)
}

fn parts(version: Semver) -> (u32, u32, u32) {
    (version.major, version.minor, version.patch)
}

fn version_key(name: &str, number: u32) -> Vec<u8> {
    [&[VERSION], name.as_bytes(), &[0], &number.to_be_bytes()].concat()
}

fn change_name(kv: &mut dyn Kv, name: &str, f: impl FnOnce(&mut NameRow)) -> Result<(), ViewError> {
    let key = key(MODEL, name.as_bytes());
    let Some(row) = kv.get(&key)? else { return Ok(()) };
    let mut row: NameRow = unpack(&VIEW, &row)?;
    f(&mut row);
    kv.put(&key, pack(&row))
}

fn change_version(
    kv: &mut dyn Kv,
    name: &str,
    number: u32,
    f: impl FnOnce(&mut ModelRow),
) -> Result<(), ViewError> {
    let key = version_key(name, number);
    let Some(row) = kv.get(&key)? else { return Ok(()) };
    let mut row: ModelRow = unpack(&VIEW, &row)?;
    f(&mut row);
    kv.put(&key, pack(&row))
}

fn change(
    kv: &mut dyn Kv,
    request: RequestId,
    f: impl FnOnce(&mut RequestRow),
) -> Result<(), ViewError> {
    let key = key(REQUEST, &request.0);
    let Some(row) = kv.get(&key)? else { return Ok(()) };
    let mut row: RequestRow = unpack(&VIEW, &row)?;
    f(&mut row);
    kv.put(&key, pack(&row))
}

impl Snapshot {
    /// The models in production, by name.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn production(&self) -> Result<Vec<ModelRow>, ViewError> {
        let mut current = Vec::new();
        self.scan(&VIEW, &[MODEL], |key, row| {
            let row: NameRow = unpack(&VIEW, row)?;
            if let Some(number) = row.current {
                current.push(
                    [&[VERSION], key.get(1..).unwrap_or(&[]), &[0], &number.to_be_bytes()].concat(),
                );
            }
            Ok(())
        })?;
        let rows = current.iter().map(|key| self.get(&VIEW, key));
        let rows = rows.filter_map(Result::transpose);
        rows.map(|row| unpack::<ModelRow>(&VIEW, &row?)).collect()
    }

    /// Every version of a production name, by number; empty for a name that never was one.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn versions(&self, name: &str) -> Result<Vec<ModelRow>, ViewError> {
        let mut versions = Vec::new();
        let prefix = [&[VERSION], name.as_bytes(), &[0]].concat();
        self.scan(&VIEW, &prefix, |_, row| {
            versions.push(unpack::<ModelRow>(&VIEW, row)?);
            Ok(())
        })?;
        Ok(versions)
    }

    /// Every version of every production name, in the order of their promotion.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn all_versions(&self) -> Result<Vec<ModelRow>, ViewError> {
        let mut versions = Vec::new();
        self.scan(&VIEW, &[VERSION], |_, row| {
            versions.push(unpack::<ModelRow>(&VIEW, row)?);
            Ok(())
        })?;
        versions.sort_by_key(|version| version.position);
        Ok(versions)
    }

    /// Every alias, by name.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn aliases(&self) -> Result<Vec<AliasRow>, ViewError> {
        let mut aliases = Vec::new();
        self.scan(&VIEW, &[ALIAS], |_, row| {
            aliases.push(unpack::<AliasRow>(&VIEW, row)?);
            Ok(())
        })?;
        aliases.retain(|alias| alias.number > 0);
        Ok(aliases)
    }

    /// Every promotion request, oldest first.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn requests(&self) -> Result<Vec<RequestRow>, ViewError> {
        let mut requests = Vec::new();
        self.scan(&VIEW, &[REQUEST], |_, row| {
            requests.push(unpack::<RequestRow>(&VIEW, row)?);
            Ok(())
        })?;
        requests.sort_by_key(|request| request.position);
        Ok(requests)
    }
}
