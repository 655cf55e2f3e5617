//! Which requests stand how, and which models are in production.

use std::collections::BTreeMap;

use super::{PromotionRequested, RegistryEvent};
use crate::base::{RequestId, RunId};
use crate::domain::Fold;

/// How a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

/// The fold of the registry stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RegistryState {
    /// Every request.
    pub requests: BTreeMap<RequestId, Request>,
    /// The models in production, by name.
    pub production: BTreeMap<String, ProductionModel>,
}

impl RegistryState {
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
    pub fn evolve_from(&mut self, event: &RegistryEvent, key: Option<u64>) {
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
                    request.approvals.push(Approval { approver: approved.approver.clone(), key });
                }
            }
            RegistryEvent::Rejected(rejected) => {
                if let Some(request) = self.requests.get_mut(&rejected.request) {
                    request.status = RequestStatus::Rejected;
                }
            }
            RegistryEvent::Refused(_) => {}
            RegistryEvent::Promoted(promoted) => {
                if let Some(request) = self.requests.get_mut(&promoted.request) {
                    request.status = RequestStatus::Granted;
                }
                let model = ProductionModel {
                    run: promoted.run,
                    request: promoted.request,
                    path: promoted.path.clone(),
                };
                self.production.insert(promoted.name.clone(), model);
            }
            RegistryEvent::Demoted(demoted) => {
                self.production.remove(&demoted.name);
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
