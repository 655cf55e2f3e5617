//! Promotion requests and production models.

use std::fmt;

use rkyv::{Archive, Deserialize, Serialize};
use serde::Serialize as SerializeJson;

use super::row::{pack, unpack};
use super::{Definition, Kv, Snapshot, ViewError};
use crate::base::{RequestId, RunId};
use crate::domain::registry::RegistryEvent;
use crate::domain::{EnvelopeRef, Event};

pub(super) const VIEW: Definition = Definition {
    name: "registry",
    revision: 2,
    kinds: &[
        "promotion.requested",
        "promotion.approved",
        "promotion.rejected",
        "model.promoted",
        "model.demoted",
    ],
    apply,
};

/// Keys: `r` and the request's id, `m` and the production name.
const REQUEST: u8 = b'r';
const MODEL: u8 = b'm';

/// One person's yes.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize, SerializeJson)]
pub struct ApprovalRow {
    /// Who, by name.
    pub approver: String,
    /// `signed` with a key of that person, or `claimed`.
    pub identity: String,
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
    /// `open`, `rejected` or `granted`.
    pub status: String,
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

/// A production model, in production or demoted.
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize, SerializeJson)]
pub struct ModelRow {
    /// The production name.
    pub name: String,
    /// Its folder, relative to the workspace.
    pub path: String,
    /// The run it came from.
    #[serde(skip)]
    pub run: [u8; 16],
    /// Files: path, digest, bytes.
    pub files: Vec<(String, String, u64)>,
    /// Who approved, by name.
    pub approvers: Vec<String>,
    /// Their approvals.
    pub approvals: Vec<ApprovalRow>,
    /// Who promoted it: position of the actor's registration.
    #[serde(skip)]
    pub actor: u64,
    /// How the log knows that actor: `signed` or `claimed`.
    pub identity: String,
    /// Revision of the policy that judged.
    pub policy_revision: u64,
    /// When it was promoted, in nanoseconds since 1970.
    #[serde(skip)]
    pub promoted: i64,
    /// Position of the promotion.
    pub position: u64,
    /// Whether it is in production.
    pub in_production: bool,
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
                status: "open".into(),
                approvals: vec![],
                position: envelope.header.position,
            };
            kv.put(&key(REQUEST, &requested.request.0), pack(&row))
        }
        RegistryEvent::Approved(approved) => change(kv, approved.request, |row| {
            row.approvals.push(ApprovalRow {
                approver: approved.approver.clone(),
                identity: envelope.header.identity.word().into(),
                position: envelope.header.position,
            });
        }),
        RegistryEvent::Rejected(rejected) => {
            change(kv, rejected.request, |row| row.status = "rejected".into())
        }
        RegistryEvent::Refused(_) => Ok(()),
        RegistryEvent::Promoted(promoted) => {
            let files = promoted.files.iter();
            let request = kv.get(&key(REQUEST, &promoted.request.0))?;
            let request = request.map(|row| unpack::<RequestRow>(&VIEW, &row)).transpose()?;
            let row = ModelRow {
                name: promoted.name.clone(),
                path: promoted.path.clone(),
                run: promoted.run.0,
                files: files.map(|f| (f.path.clone(), f.digest.to_string(), f.bytes)).collect(),
                approvers: promoted.approvers.clone(),
                approvals: request.map(|row| row.approvals).unwrap_or_default(),
                actor: envelope.header.actor,
                identity: envelope.header.identity.word().into(),
                policy_revision: promoted.policy_revision,
                promoted: envelope.header.recorded.0,
                position: envelope.header.position,
                in_production: true,
            };
            kv.put(&key(MODEL, promoted.name.as_bytes()), pack(&row))?;
            change(kv, promoted.request, |row| row.status = "granted".into())
        }
        RegistryEvent::Demoted(demoted) => {
            let key = key(MODEL, demoted.name.as_bytes());
            let Some(row) = kv.get(&key)? else { return Ok(()) };
            let mut row: ModelRow = unpack(&VIEW, &row)?;
            row.in_production = false;
            kv.put(&key, pack(&row))
        }
    }
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
        let mut models = Vec::new();
        self.scan(&VIEW, &[MODEL], |_, row| {
            let row: ModelRow = unpack(&VIEW, row)?;
            if row.in_production {
                models.push(row);
            }
            Ok(())
        })?;
        Ok(models)
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
