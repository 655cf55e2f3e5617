//! Which requests stand how, and which models are in production.

use std::collections::BTreeMap;

use super::{Bump, ModelVersion, PromotionRequested, RegistryEvent, next_version};
use crate::base::{Digest, RequestId, RunId};
use crate::domain::Fold;

/// How a request stands.
#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestStatus {
    /// Waits for approvals, or for the promotion itself.
    Open,
    /// A person said no.
    Rejected,
    /// The model is, or was, in production.
    Granted,
}

impl RequestStatus {
    /// The word used in files and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Rejected => "rejected",
            Self::Granted => "granted",
        }
    }
}

/// One person's yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Who, by name.
    pub approver: String,
    /// Position of the `key.created` event of the key that signed it; none for a name that is
    /// only claimed.
    pub key: Option<u64>,
    /// Digest of the evidence that they approved; none in logs of old days.
    pub evidence: Option<Digest>,
}

/// One promotion request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What was asked.
    pub requested: PromotionRequested,
    /// Who approved, in order.
    pub approvals: Vec<Approval>,
    /// How it stands.
    pub status: RequestStatus,
}

/// A model in production.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductionModel {
    /// The run it came from.
    pub run: RunId,
    /// The request that was granted.
    pub request: RequestId,
    /// Its folder, relative to the workspace.
    pub path: String,
    /// Number of its version.
    pub number: u32,
}

/// The fold of the registry stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RegistryState {
    /// Every request.
    pub requests: BTreeMap<RequestId, Request>,
    /// The models in production, by name.
    pub production: BTreeMap<String, ProductionModel>,
    /// Every version that was ever in production, by name, in the order of their numbers.
    pub models: BTreeMap<String, Vec<ModelVersion>>,
    /// The numbers that were in production, by name, in the order they came there.
    pub history: BTreeMap<String, Vec<u32>>,
    /// Where each alias points: name and number.
    pub aliases: BTreeMap<String, (String, u32)>,
}

impl RegistryState {
    /// The versions of a name, by number; empty for a name that was never in production.
    pub fn versions(&self, name: &str) -> &[ModelVersion] {
        self.models.get(name).map_or(&[], Vec::as_slice)
    }

    /// The number that was in production before the present one; the last one for a name that is
    /// not in production.
    pub fn earlier(&self, name: &str) -> Option<u32> {
        let now = self.production.get(name).map(|model| model.number);
        self.history.get(name)?.iter().rev().copied().find(|number| Some(*number) != now)
    }

    fn version_mut(&mut self, name: &str, number: u32) -> Option<&mut ModelVersion> {
        self.models.get_mut(name)?.iter_mut().find(|version| version.number == number)
    }

    fn place(&mut self, name: &str, number: u32) {
        let Some(version) = self.version_mut(name, number) else { return };
        let model = ProductionModel {
            run: version.run,
            request: version.request,
            path: version.path.clone(),
            number,
        };
        self.production.insert(name.to_owned(), model);
        self.history.entry(name.to_owned()).or_default().push(number);
    }

    /// The open request of `run`, the latest if there are several.
    pub fn open_request_of(&self, run: RunId) -> Option<(RequestId, &Request)> {
        self.requests
            .iter()
            .find(|(_, r)| r.requested.run == run && r.status == RequestStatus::Open)
            .map(|(id, r)| (*id, r))
    }
}

impl RegistryState {
    /// Takes in one more event and the key that signed it; the header knows the key.
    pub(in crate::domain) fn evolve_from(&mut self, event: &RegistryEvent, key: Option<u64>) {
        match event {
            RegistryEvent::Requested(requested) => {
                let request = Request {
                    requested: requested.clone(),
                    approvals: vec![],
                    status: RequestStatus::Open,
                };
                self.requests.insert(requested.request, request);
            }
            RegistryEvent::Approved(approved) => {
                if let Some(request) = self.requests.get_mut(&approved.request) {
                    let (approver, evidence) = (approved.approver.clone(), approved.evidence);
                    request.approvals.push(Approval { approver, key, evidence });
                }
            }
            RegistryEvent::Rejected(rejected) => {
                if let Some(request) = self.requests.get_mut(&rejected.request) {
                    request.status = RequestStatus::Rejected;
                }
            }
            RegistryEvent::Refused(_)
            | RegistryEvent::FoundDamaged(_)
            | RegistryEvent::Repaired(_) => {}
            RegistryEvent::Promoted(promoted) => {
                if let Some(request) = self.requests.get_mut(&promoted.request) {
                    request.status = RequestStatus::Granted;
                }
                let versions = self.models.entry(promoted.name.clone()).or_default();
                let number = u32::try_from(versions.len()).map_or(u32::MAX, |n| n + 1);
                versions.push(ModelVersion {
                    number,
                    versions: vec![next_version(versions, Bump::Minor)],
                    run: promoted.run,
                    request: promoted.request,
                    path: promoted.path.clone(),
                    files: promoted.files.clone(),
                });
                self.place(&promoted.name, number);
            }
            RegistryEvent::Demoted(demoted) => {
                self.production.remove(&demoted.name);
            }
            RegistryEvent::RolledBack(back) => self.place(&back.name, back.number),
            RegistryEvent::VersionBumped(bumped) => {
                if let Some(version) = self.version_mut(&bumped.name, bumped.number) {
                    version.versions.push(bumped.to);
                }
            }
            RegistryEvent::Relocated(relocated) => {
                let versions = self.models.get_mut(&relocated.name).into_iter().flatten();
                versions.for_each(|version| version.path.clone_from(&relocated.path));
                if let Some(model) = self.production.get_mut(&relocated.name) {
                    model.path.clone_from(&relocated.path);
                }
            }
            RegistryEvent::AliasSet(set) => {
                self.aliases.insert(set.alias.clone(), (set.name.clone(), set.number));
            }
            RegistryEvent::AliasRemoved(removed) => {
                self.aliases.remove(&removed.alias);
            }
        }
    }
}

impl Fold for RegistryState {
    type Event = RegistryEvent;

    fn evolve(&mut self, event: &RegistryEvent) {
        self.evolve_from(event, None);
    }
}
