//! What the checks look at: one fold over every event.

use std::collections::{BTreeMap, BTreeSet};

use super::{Damage, LostEvents, WorkspaceFiles};
use crate::base::{RequestId, RunId, Timestamp};
use crate::domain::file_move::MoveEvent;
use crate::domain::invocation::{InvocationEvent, InvocationStarted};
use crate::domain::policy::{Policy, PolicyEvent};
use crate::domain::registry::{
    ModelPromoted, ModelVersion, RegistryEvent, RegistryState, RegistryStream,
};
use crate::domain::run::{RunEvent, RunStarted, RunState, RunStream};
use crate::domain::workspace::{RedactedEvent, WorkspaceEvent};
use crate::domain::{Decider as _, DecodeError, Event, Header, Identity, Kind, StreamId};
use crate::model::settings;

/// Who recorded an event, where and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// Where.
    pub position: u64,
    /// When.
    pub recorded: Timestamp,
    /// Who, by name.
    pub actor: String,
    /// Whether that name is only claimed.
    pub claimed: bool,
}

/// One run.
pub struct RunFacts {
    /// Its start.
    pub at: At,
    /// What it began with.
    pub started: RunStarted,
    /// Everything that followed.
    pub state: RunState,
    /// Position of its last end.
    pub ended: Option<u64>,
    /// Whether it says a digest of its weights, where it finished.
    pub weights: bool,
    /// When the log last heard of it.
    pub heard: Timestamp,
    /// Positions where it came out otherwise when it was trained again.
    pub differed: Vec<u64>,
    /// Where the run resumed from a training checkpoint that was never recorded.
    pub unrecorded: Vec<Unrecorded>,
    saved: BTreeSet<u64>,
}

/// A run went on from a training checkpoint that was never recorded: what was measured between the
/// last recorded one and it may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unrecorded {
    /// The event that resumed the run.
    pub position: u64,
    /// Update of the last training checkpoint recorded before.
    pub recorded: u64,
    /// Update the run went on from.
    pub step: u64,
}

impl RunFacts {
    /// How findings name it.
    pub fn subject(&self) -> String {
        format!("run {}", self.started.experiment_id)
    }

    /// Its start and its end.
    pub fn positions(&self) -> impl Iterator<Item = u64> {
        [Some(self.at.position), self.ended].into_iter().flatten()
    }
}

/// A promotion that was carried out.
pub struct Promotion {
    /// Where and by whom.
    pub at: At,
    /// Number of the version it made.
    pub number: u32,
    /// What it says.
    pub promoted: ModelPromoted,
}

impl Promotion {
    /// How findings name the version.
    pub fn subject(&self) -> String {
        format!("model {}@{}", self.promoted.name, self.number)
    }

    /// The command that shows its whole chain.
    pub fn why(&self) -> String {
        format!("why {}@{}", self.promoted.name, self.number)
    }
}

/// A request and the yes of people to it.
pub struct Asked {
    /// Who asked, and where.
    pub at: At,
    /// Who trained the run, as the request says.
    pub trainer: String,
    /// Who approved.
    pub approvals: Vec<(At, String)>,
}

/// The rules from one revision on.
pub struct Rules {
    /// Who set them, and where.
    pub at: At,
    /// Which revision.
    pub revision: u64,
    /// All of them.
    pub policy: Policy,
}

/// Events in a row at which the clock was earlier than the log.
pub struct ClockBack {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// By how many nanoseconds at most.
    pub back_ns: u64,
}

/// Everything the checks look at.
#[derive(Default)]
pub struct AuditFacts {
    /// How many events the log has.
    pub size: u64,
    /// The present moment, or that of the last event where only a copy is known.
    pub now: Option<Timestamp>,
    /// By how much a test score may be worse than a validation score.
    pub margin: f64,
    /// Size of the last signed log checkpoint.
    pub signed: u64,
    /// What recomputing the record found.
    pub damage: Vec<Damage>,
    /// What could not be read.
    pub lost: Vec<LostEvents>,
    /// Positions of the starts of invocations whose process lives.
    pub alive: BTreeSet<u64>,
    /// What only the workspace can tell.
    pub workspace: Option<WorkspaceFiles>,
    /// The runs.
    pub runs: BTreeMap<RunId, RunFacts>,
    /// Requests, versions and what is in production.
    pub registry: RegistryState,
    /// Every promotion, in order.
    pub promotions: Vec<Promotion>,
    /// Every request.
    pub requests: BTreeMap<RequestId, Asked>,
    /// Every revision of the rules, in order.
    pub policies: Vec<Rules>,
    /// Invocations without an end, by position.
    pub open: BTreeMap<u64, (At, InvocationStarted)>,
    /// Moves without an end: position, from, to.
    pub moves: BTreeMap<StreamId, (u64, String, String)>,
    /// Where the clock was earlier than the log.
    pub clock: Vec<ClockBack>,
    /// Long times in which nothing happened: the event after it, and the hours.
    pub gaps: Vec<(u64, i64)>,
    /// Redacted events.
    pub redacted: Vec<TakenOut>,
    /// Events of a later version: position and what is known.
    pub unknown: Vec<(u64, String)>,
    /// Decisions of people.
    pub decisions: Vec<(At, String)>,
    /// Positions of changes of the policy and of the registry that were not allowed.
    pub disallowed: BTreeSet<u64>,
    /// Promoted runs with an event that was not allowed, and its position.
    pub disputed: BTreeMap<RunId, u64>,
    /// Positions of the keys that somebody vouched for.
    pub vouched: BTreeSet<u64>,
    actors: BTreeMap<u64, String>,
    invocations: BTreeMap<StreamId, u64>,
    last: Option<Timestamp>,
}

/// Less than this is how clocks are.
const CLOCK_BACK_NS_MIN: u64 = 1_000_000_000;
const NANOS_PER_HOUR: i64 = 3_600_000_000_000;
/// A week, in hours.
const GAP_HOURS_MIN: i64 = 7 * 24;
/// Kinds that are decisions of a person.
const DECISIONS: [Kind; 8] = [
    RegistryEvent::REQUESTED,
    RegistryEvent::APPROVED,
    RegistryEvent::PROMOTED,
    RegistryEvent::DEMOTED,
    RegistryEvent::ROLLED_BACK,
    RegistryEvent::REPAIRED,
    RegistryEvent::ALIAS_SET,
    PolicyEvent::CHANGED,
];

/// An event whose texts were taken out.
#[derive(Clone, Debug)]
pub struct TakenOut {
    /// Its position.
    pub position: u64,
    /// Which of its fields.
    pub fields: String,
    /// The event that says so.
    pub by: At,
    /// Why.
    pub reason: String,
}

impl AuditFacts {
    /// Nothing yet; `margin` is by how much a test score may be worse than a validation score.
    pub fn new(margin: f64) -> Self {
        Self { margin, ..Self::default() }
    }

    /// Whether an event of this kind has to be decoded; all others give their header only.
    pub fn wants(header: &Header) -> bool {
        header.kind != RunEvent::METRICS_RECORDED
    }

    /// Takes in the next event of the log; none where [`Self::wants`] took none.
    pub fn take(&mut self, header: &Header, event: Option<Result<Event, DecodeError>>) {
        self.header(header);
        match event {
            Some(Ok(event)) => {
                if let Event::Workspace(WorkspaceEvent::TextRedacted(redacted)) = &event {
                    let by = self.at(header);
                    let taken_out = |event: &RedactedEvent| TakenOut {
                        position: event.position,
                        fields: event.fields.join(", "),
                        by: by.clone(),
                        reason: redacted.reason.clone(),
                    };
                    self.redacted.extend(redacted.events.iter().map(taken_out));
                }
                self.event(header, &event);
            }
            Some(Err(error)) => self.unknown.push((header.position, error.to_string())),
            None => {}
        }
    }

    /// The moment that ages are counted to.
    pub fn present(&self) -> Timestamp {
        self.now.or(self.last).unwrap_or(Timestamp(0))
    }

    /// The rules of a revision.
    pub fn rules(&self, revision: u64) -> Option<&Rules> {
        self.policies.iter().find(|rules| rules.revision == revision)
    }

    /// The version that a promotion made.
    pub fn version(&self, promotion: &Promotion) -> Option<&ModelVersion> {
        let versions = self.registry.versions(&promotion.promoted.name);
        versions.iter().find(|version| version.number == promotion.number)
    }

    /// Whether what a promotion brought is in production.
    pub fn is_placed(&self, promotion: &Promotion) -> bool {
        let placed = self.registry.production.get(&promotion.promoted.name);
        placed.is_some_and(|model| model.number == promotion.number)
    }

    /// The promotions of what is in production, each with its run where that is not lost.
    pub fn in_production(&self) -> impl Iterator<Item = (&Promotion, Option<&RunFacts>)> {
        let placed = self.promotions.iter().filter(|promotion| self.is_placed(promotion));
        placed.map(|promotion| (promotion, self.runs.get(&promotion.promoted.run)))
    }

    /// The promotion of a run that is in production now.
    pub fn placed_of(&self, run: RunId) -> Option<&Promotion> {
        self.in_production().find(|(p, _)| p.promoted.run == run).map(|(promotion, _)| promotion)
    }

    fn at(&self, header: &Header) -> At {
        let known = self.actors.get(&header.actor).cloned();
        At {
            position: header.position,
            recorded: header.dated(),
            actor: known.unwrap_or_else(|| format!("actor {}", header.actor)),
            claimed: header.identity == Identity::Claimed,
        }
    }

    fn header(&mut self, header: &Header) {
        let position = header.position;
        let back_ns = header.wall_offset_ns.min(0).unsigned_abs();
        if back_ns >= CLOCK_BACK_NS_MIN {
            match self.clock.last_mut().filter(|back| back.last + 1 == position) {
                Some(back) => {
                    back.last = position;
                    back.back_ns = back.back_ns.max(back_ns);
                }
                None => self.clock.push(ClockBack { first: position, last: position, back_ns }),
            }
        }
        if let Some(last) = self.last {
            let hours = header.dated().0.saturating_sub(last.0) / NANOS_PER_HOUR;
            if hours > GAP_HOURS_MIN {
                self.gaps.push((position, hours));
            }
        }
        self.last = Some(header.dated());
        if let Some(run) = header.stream.run().and_then(|run| self.runs.get_mut(&run)) {
            run.heard = header.dated();
        }
    }

    fn event(&mut self, header: &Header, event: &Event) {
        match event {
            Event::Workspace(WorkspaceEvent::ActorRegistered(actor)) => {
                self.actors.insert(header.position, actor.name.clone());
            }
            Event::Workspace(_) => {}
            Event::Policy(PolicyEvent::Changed(changed)) => {
                let (at, policy) = (self.at(header), changed.policy.clone());
                self.policies.push(Rules { at, revision: header.revision, policy });
            }
            Event::Registry(event) => self.registry(header, event),
            Event::Run(event) => self.run(header, event),
            Event::Invocation(InvocationEvent::Started(started)) => {
                let at = self.at(header);
                self.invocations.insert(header.stream, header.position);
                self.open.insert(header.position, (at, started.clone()));
            }
            Event::Invocation(_) => {
                if let Some(start) = self.invocations.remove(&header.stream) {
                    self.open.remove(&start);
                }
            }
            Event::Move(MoveEvent::Planned(plan)) => {
                let way = (header.position, plan.from.clone(), plan.to.clone());
                self.moves.insert(header.stream, way);
            }
            Event::Move(_) => drop(self.moves.remove(&header.stream)),
        }
        // The rules that a log begins with are the program's.
        let given = header.kind == PolicyEvent::CHANGED && header.revision == 0;
        if DECISIONS.contains(&header.kind) && !given {
            self.decisions.push((self.at(header), header.kind.name()));
        }
    }

    fn registry(&mut self, header: &Header, event: &RegistryEvent) {
        let at = self.at(header);
        RegistryStream::evolve(&mut self.registry, event, header);
        match event {
            RegistryEvent::Requested(e) => {
                let asked = Asked { at, trainer: e.trainer.clone(), approvals: vec![] };
                self.requests.insert(e.request, asked);
            }
            RegistryEvent::Approved(e) => {
                if let Some(asked) = self.requests.get_mut(&e.request) {
                    asked.approvals.push((at, e.approver.clone()));
                }
            }
            RegistryEvent::Promoted(e) => {
                let number = self.registry.versions(&e.name).last().map_or(1, |v| v.number);
                self.promotions.push(Promotion { at, number, promoted: e.clone() });
            }
            _ => {}
        }
    }

    fn run(&mut self, header: &Header, event: &RunEvent) {
        let Some(id) = header.stream.run() else { return };
        if let RunEvent::Started(started) = event {
            let mut started = started.clone();
            started.parameters = settings::recorded(&started.parameters);
            let facts = RunFacts {
                at: self.at(header),
                started,
                state: RunState::default(),
                ended: None,
                weights: false,
                heard: header.dated(),
                differed: vec![],
                unrecorded: vec![],
                saved: BTreeSet::new(),
            };
            self.runs.insert(id, facts);
        }
        // A run whose start is lost says too little to be judged.
        let Some(run) = self.runs.get_mut(&id) else { return };
        RunStream::evolve(&mut run.state, event, header);
        match event {
            RunEvent::Finished(finished) => {
                run.ended = Some(header.position);
                run.weights = finished.weights.is_some();
            }
            RunEvent::Failed(_) | RunEvent::Interrupted(_) => run.ended = Some(header.position),
            RunEvent::CheckpointSaved(saved) => drop(run.saved.insert(saved.step)),
            RunEvent::Resumed(resumed) if !run.saved.contains(&resumed.step) => {
                let recorded = run.saved.iter().copied().filter(|step| *step < resumed.step).max();
                let (position, step) = (header.position, resumed.step);
                run.unrecorded.push(Unrecorded { position, recorded: recorded.unwrap_or(0), step });
            }
            RunEvent::Reproduced(again) if !again.equal => run.differed.push(header.position),
            _ => {}
        }
    }
}
