//! `invocations`, `promotions`, `approvals`, `models` and `policies`: who decided what.

use std::collections::BTreeMap;

use super::{
    ACTOR, Batch, EventRow, Fold, IDENTITY, POSITION, RECORDED, Rows, Table, Type, column, row,
};
use crate::base::{RequestId, RunId, Timestamp};
use crate::domain::IdentityLevel;
use crate::domain::invocation::{InvocationEvent, InvocationStarted, Outcome};
use crate::domain::policy::PolicyEvent;
use crate::domain::registry::{RegistryEvent, RegistryState, RegistryStream};
use crate::domain::{Decider as _, Event};

pub(super) const INVOCATIONS: Table = Table {
    name: "invocations",
    about: "one row for each use of a verb that changes something",
    kinds: Some(&[
        InvocationEvent::STARTED,
        InvocationEvent::FINISHED,
        InvocationEvent::INTERRUPTED,
    ]),
    columns: &[
        column("position", Type::Int, "position of its start"),
        column("started", Type::Time, "when the log took its start"),
        column("invocation", Type::Text, "its id"),
        column("verb", Type::Text, "the verb"),
        column("words", Type::Text, "the words after annals, secrets masked"),
        ACTOR,
        column("host", Type::Text, "the machine"),
        column("pid", Type::Int, "the process"),
        column("cwd", Type::Text, "the folder, relative to the workspace"),
        column("tool_version", Type::Text, "version of annals"),
        column("ended_position", Type::Int, "position of its end"),
        column("ended", Type::Time, "when the log took its end"),
        column("outcome", Type::Text, "succeeded, refused, failed or interrupted; null while open"),
        column("exit_code", Type::Int, "exit code where it failed"),
        column("message", Type::Text, "why it was refused or failed"),
    ],
    fold: Fold::Whole(|| Box::new(Invocations::default())),
};

#[derive(Default)]
struct Invocations(BTreeMap<[u8; 16], (u64, Timestamp, String, InvocationStarted)>);

impl Invocations {
    fn row(
        (position, recorded, actor, started): (u64, Timestamp, String, InvocationStarted),
        end: Option<(&EventRow<'_>, &InvocationEvent)>,
        out: &mut Batch,
    ) {
        let (outcome, exit_code, message) = match end.map(|(_, event)| event) {
            Some(InvocationEvent::Finished(finished)) => match &finished.outcome {
                Outcome::Succeeded => (Some("succeeded"), None, None),
                Outcome::Refused { message } => (Some("refused"), None, Some(message.clone())),
                Outcome::Failed { exit_code, message } => {
                    (Some("failed"), Some(u32::from(*exit_code)), Some(message.clone()))
                }
            },
            Some(_) => (Some("interrupted"), None, None),
            None => (None, None, None),
        };
        row![out;
            position,
            recorded,
            started.invocation.to_string(),
            started.verb,
            started.argv.join(" "),
            actor,
            started.host,
            started.pid,
            started.cwd,
            started.tool_version,
            end.map(|(seen, _)| seen.header.position),
            end.map(|(seen, _)| seen.header.dated()),
            outcome,
            exit_code,
            message,
        ];
    }
}

impl Rows for Invocations {
    fn take(&mut self, seen: &EventRow<'_>, out: &mut Batch) {
        let Some(Event::Invocation(event)) = seen.event() else { return };
        let key = seen.header.stream.entity;
        if let InvocationEvent::Started(started) = event {
            let (position, recorded) = (seen.header.position, seen.header.dated());
            self.0.insert(key, (position, recorded, seen.actor.to_owned(), started.clone()));
        } else if let Some(begun) = self.0.remove(&key) {
            Self::row(begun, Some((seen, event)), out);
        }
    }

    fn end(&mut self, out: &mut Batch) {
        let open = std::mem::take(&mut self.0).into_values();
        open.for_each(|begun| Self::row(begun, None, out));
    }
}

pub(super) const PROMOTIONS: Table = Table {
    name: "promotions",
    about: "one row for each promotion request, and one for each that the rules refused at once",
    kinds: Some(&[
        RegistryEvent::REQUESTED,
        RegistryEvent::APPROVED,
        RegistryEvent::REJECTED,
        RegistryEvent::REFUSED,
        RegistryEvent::PROMOTED,
    ]),
    columns: &[
        column("position", Type::Int, "position of the request or refusal"),
        column("recorded", Type::Time, "when the log took it"),
        column("request", Type::Text, "id of the request"),
        column("run", Type::Text, "id of the run"),
        column("name", Type::Text, "the requested production name"),
        column("status", Type::Text, "open, rejected, refused or granted"),
        column("requested_by", Type::Text, "who asked"),
        column("trainer", Type::Text, "who trained the run, according to the request"),
        column("policy_revision", Type::Int, "revision of the policy that judged"),
        column("approvals", Type::Int, "how many approvals there are"),
        column("approvers", Type::Int, "how many different people they are of"),
        column("second_person", Type::Bool, "whether a person other than the requester approved"),
        column("promoted_position", Type::Int, "position of the promotion"),
        column("promoted", Type::Time, "when the log took the promotion"),
        column("reason", Type::Text, "the reason of the request, the rejection or the refusal"),
    ],
    fold: Fold::Whole(|| Box::new(Promotions::default())),
};

#[derive(Default)]
struct Promotions(BTreeMap<RequestId, Request>);

struct Request {
    position: u64,
    recorded: Timestamp,
    run: RunId,
    name: String,
    status: &'static str,
    by: String,
    trainer: Option<String>,
    policy_revision: u64,
    approvers: Vec<String>,
    promoted: Option<(u64, Timestamp)>,
    reason: Option<String>,
}

impl Request {
    fn row(self, request: Option<RequestId>, out: &mut Batch) {
        let mut people = self.approvers.clone();
        people.sort_unstable();
        people.dedup();
        row![out;
            self.position,
            self.recorded,
            request.map(|request| request.to_string()),
            self.run.to_string(),
            self.name,
            self.status,
            self.by.clone(),
            self.trainer,
            self.policy_revision,
            self.approvers.len() as u64,
            people.len() as u64,
            people.iter().any(|person| *person != self.by),
            self.promoted.map(|(position, _)| position),
            self.promoted.map(|(_, time)| time),
            self.reason,
        ];
    }
}

impl Rows for Promotions {
    fn take(&mut self, seen: &EventRow<'_>, out: &mut Batch) {
        let Some(Event::Registry(event)) = seen.event() else { return };
        let (position, recorded) = (seen.header.position, seen.header.dated());
        let request = |run, name: &String, policy_revision| Request {
            position,
            recorded,
            run,
            name: name.clone(),
            status: "open",
            by: seen.actor.to_owned(),
            trainer: None,
            policy_revision,
            approvers: vec![],
            promoted: None,
            reason: None,
        };
        match event {
            RegistryEvent::Requested(e) => {
                let made = request(e.run, &e.name, e.policy_revision);
                let (trainer, reason) = (Some(e.trainer.clone()), e.reason.clone());
                self.0.insert(e.request, Request { trainer, reason, ..made });
            }
            RegistryEvent::Approved(e) => {
                if let Some(request) = self.0.get_mut(&e.request) {
                    request.approvers.push(e.approver.clone());
                }
            }
            RegistryEvent::Rejected(e) => {
                if let Some(request) = self.0.get_mut(&e.request) {
                    (request.status, request.reason) = ("rejected", Some(e.reason.clone()));
                }
            }
            RegistryEvent::Refused(e) => {
                let refused = request(e.run, &e.name, e.policy_revision);
                let reason = Some(e.message.clone());
                Request { status: "refused", reason, ..refused }.row(None, out);
            }
            RegistryEvent::Promoted(e) => {
                if let Some(request) = self.0.get_mut(&e.request) {
                    request.status = "granted";
                    request.promoted = Some((position, recorded));
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, out: &mut Batch) {
        let mut requests: Vec<_> = std::mem::take(&mut self.0).into_iter().collect();
        requests.sort_by_key(|(_, request)| request.position);
        requests.into_iter().for_each(|(id, request)| request.row(Some(id), out));
    }
}

pub(super) const APPROVALS: Table = Table {
    name: "approvals",
    about: "one row for each yes or no to a promotion request",
    kinds: Some(&[RegistryEvent::APPROVED, RegistryEvent::REJECTED]),
    columns: &[
        POSITION,
        RECORDED,
        column("request", Type::Text, "id of the request"),
        column("decision", Type::Text, "approved or rejected"),
        column("approver", Type::Text, "who decided"),
        IDENTITY,
        column("reason", Type::Text, "why"),
    ],
    fold: Fold::Each(approvals),
};

fn approvals(seen: &EventRow<'_>, out: &mut Batch) {
    let (request, decision, approver, reason) = match seen.event() {
        Some(Event::Registry(RegistryEvent::Approved(e))) => {
            (e.request, "approved", &e.approver, e.reason.clone())
        }
        Some(Event::Registry(RegistryEvent::Rejected(e))) => {
            (e.request, "rejected", &e.approver, Some(e.reason.clone()))
        }
        _ => return,
    };
    let identity = seen.identity.word();
    let (position, recorded) = (seen.header.position, seen.header.dated());
    let (request, approver) = (request.to_string(), approver.clone());
    row![out; position, recorded, request, decision, approver, identity, reason];
}

pub(super) const MODELS: Table = Table {
    name: "models",
    about: "one row for each version of each production model",
    kinds: Some(&[
        RegistryEvent::PROMOTED,
        RegistryEvent::DEMOTED,
        RegistryEvent::ROLLED_BACK,
        RegistryEvent::REPAIRED,
        RegistryEvent::VERSION_BUMPED,
        RegistryEvent::RELOCATED,
    ]),
    columns: &[
        column("name", Type::Text, "the production name"),
        column("number", Type::Int, "which version, from 1"),
        column("version", Type::Text, "MAJOR.MINOR.PATCH"),
        column("in_production", Type::Bool, "whether it is in production"),
        column("run", Type::Text, "id of the run it came from"),
        column("path", Type::Text, "its folder, relative to the workspace"),
        column("request", Type::Text, "id of the request"),
        column("policy_revision", Type::Int, "revision of the policy that judged"),
        column("position", Type::Int, "position of the promotion"),
        column("promoted", Type::Time, "when the log took the promotion"),
        ACTOR,
        IDENTITY,
        column(
            "placed_how",
            Type::Text,
            "what put it into production last: promotion, rollback or repair",
        ),
        column("placed_position", Type::Int, "position of that event"),
        column("placed", Type::Time, "when the log took it"),
        column("placed_by", Type::Text, "who did it"),
        column("placed_identity", Type::Text, "signed or claimed"),
    ],
    fold: Fold::Whole(|| Box::new(Models::default())),
};

#[derive(Default)]
struct Models {
    registry: RegistryState,
    /// By name, one for each version.
    promoted: BTreeMap<String, Vec<Promoted>>,
}

/// What the registry has no need of.
struct Promoted {
    policy_revision: u64,
    position: u64,
    recorded: Timestamp,
    actor: String,
    identity: IdentityLevel,
    placed: Placement,
}

/// The last event that put a version into production.
struct Placement {
    how: &'static str,
    position: u64,
    recorded: Timestamp,
    actor: String,
    identity: IdentityLevel,
}

impl Placement {
    fn of(how: &'static str, seen: &EventRow<'_>) -> Self {
        Self {
            how,
            position: seen.header.position,
            recorded: seen.header.dated(),
            actor: seen.actor.to_owned(),
            identity: seen.identity,
        }
    }
}

impl Models {
    fn place(&mut self, name: &str, number: u32, placed: Placement) {
        let versions = self.promoted.get_mut(name).into_iter().flatten();
        if let Some(version) = (1..).zip(versions).find(|(n, _)| *n == number) {
            version.1.placed = placed;
        }
    }
}

impl Rows for Models {
    fn take(&mut self, seen: &EventRow<'_>, _: &mut Batch) {
        let Some(Event::Registry(event)) = seen.event() else { return };
        RegistryStream::evolve(&mut self.registry, event, seen.header);
        match event {
            RegistryEvent::RolledBack(e) => {
                self.place(&e.name, e.number, Placement::of("rollback", seen));
            }
            RegistryEvent::Repaired(e) => {
                self.place(&e.name, e.number, Placement::of("repair", seen));
            }
            _ => {}
        }
        if let RegistryEvent::Promoted(e) = event {
            let promoted = Promoted {
                policy_revision: e.policy_revision,
                position: seen.header.position,
                recorded: seen.header.dated(),
                actor: seen.actor.to_owned(),
                identity: seen.identity,
                placed: Placement::of("promotion", seen),
            };
            self.promoted.entry(e.name.clone()).or_default().push(promoted);
        }
    }

    fn end(&mut self, out: &mut Batch) {
        let Self { registry, mut promoted } = std::mem::take(self);
        for (name, versions) in registry.models {
            let current = registry.production.get(&name).map(|model| model.number);
            let promoted = promoted.remove(&name).unwrap_or_default();
            for (version, by) in versions.into_iter().zip(promoted) {
                row![out;
                    &name,
                    version.number,
                    version.version().to_string(),
                    current == Some(version.number),
                    version.run.to_string(),
                    version.path,
                    version.request.to_string(),
                    by.policy_revision,
                    by.position,
                    by.recorded,
                    by.actor,
                    by.identity.word(),
                    by.placed.how,
                    by.placed.position,
                    by.placed.recorded,
                    by.placed.actor,
                    by.placed.identity.word(),
                ];
            }
        }
    }
}

pub(super) const POLICIES: Table = Table {
    name: "policies",
    about: "one row for each rule in each revision of the policy",
    kinds: Some(&[PolicyEvent::CHANGED]),
    columns: &[
        POSITION,
        RECORDED,
        column("revision", Type::Int, "revision of the policy, from 0"),
        ACTOR,
        IDENTITY,
        column("rule", Type::Text, "the rule, such as production_promotion.approvals"),
        column("value", Type::Text, "its value, as JSON"),
        column("changed", Type::Bool, "whether this revision gave it that value"),
        column("old", Type::Text, "its value before, where it was changed"),
        column("reason", Type::Text, "why"),
    ],
    fold: Fold::Each(policies),
};

fn policies(seen: &EventRow<'_>, out: &mut Batch) {
    let Some(Event::Policy(PolicyEvent::Changed(changed))) = seen.event() else { return };
    let header = seen.header;
    for (rule, value) in changed.policy.entries() {
        let change = changed.changes.iter().find(|change| change.key == rule);
        row![out; header.position,
            header.dated(),
            header.revision,
            seen.actor.to_owned(),
            seen.identity.word(),
            rule,
            value,
            change.is_some(),
            change.and_then(|change| change.old.clone()),
            changed.reason.clone(),];
    }
}
