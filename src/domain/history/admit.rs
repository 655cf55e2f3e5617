//! The history: every event is judged by what lies before it, and only what was allowed counts.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::author::refused;
use super::moved::{MoveRecord, MovedRun};
use super::people::People;
use super::rules::{Rules, strict};
use super::take::{author, is_proven, signed, take_policy, take_workspace};
use crate::base::{Digest, PublicKey, RequestId, RunId};
use crate::domain::invocation::InvocationEvent;
use crate::domain::registry::{self, Originals, RegistryEvent, RegistryFacts, RegistryState};
use crate::domain::run::{self, Recording, RunEvent, RunState};
use crate::domain::{
    Class, Decider as _, Envelope, Event, Header, Identity, Kind, Provenance, Rejection, StreamId,
    kind_info,
};

/// What a history asks of the log and of arithmetic that the domain does not know.
pub trait Past {
    /// Why it cannot be read.
    type Error;

    /// The events of a stream, in order; those of a bulk kind may be left out.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn stream(&self, stream: StreamId) -> Result<Vec<Envelope>, Self::Error>;

    /// The event at a position; none where it cannot be read.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn event(&self, position: u64) -> Result<Option<Envelope>, Self::Error>;

    /// Whether `signature` is the one of `message` by a key.
    fn fits(&self, key: PublicKey, message: &[u8], signature: &[u8; 64]) -> bool;

    /// The origin of the log, which keys are bound to.
    fn origin(&self) -> &str;
}

/// An event that was not allowed where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// Its position.
    pub position: u64,
    /// Its stream.
    pub stream: StreamId,
    /// Its kind.
    pub kind: Kind,
    /// Who appended it, by name; the word `nobody` where the log knows no such actor.
    pub actor: String,
    /// Why it was not allowed.
    pub reason: Rejection,
}

/// One run, and whose it is.
#[derive(Clone, Debug, Default)]
pub struct RunRecord {
    /// What is known about it.
    pub state: RunState,
    /// Its beginning and what its signature is of, where it has one.
    beginning: Option<(Header, Digest)>,
    /// Whether that signature holds, once somebody has asked.
    proven: OnceCell<bool>,
    /// Whether results and files are left out, which are most of what is known of a run.
    pub(super) outline: bool,
    /// The moves of its files that its events named.
    pub(super) moves: BTreeSet<StreamId>,
    pub(super) queue: VecDeque<Envelope>,
}

/// Which events a history is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// All, from the first one on.
    All,
    /// All from somewhere on.
    Tail,
    /// Those of one stream.
    Stream(StreamId),
}

/// What the events add up to that were allowed.
#[derive(Debug)]
pub struct History {
    pub(super) told: Told,
    /// Position of the first event that was told.
    from: Option<u64>,
    pub(super) people: Option<People>,
    pub(super) rules: Option<Rules>,
    pub(super) registry: Option<RegistryState>,
    /// Boxed: a record is a thousand bytes, and nodes of a map move what is in them.
    pub(super) runs: BTreeMap<RunId, Box<RunRecord>>,
    pub(super) moves: BTreeMap<StreamId, MoveRecord>,
    /// The moves of production files that events of the registry named, by the kind of event.
    pub(super) model_moves: BTreeSet<(StreamId, Kind)>,
    /// Invocations by the position of their start: whose, and where they ended.
    pub(super) invocations: BTreeMap<u64, Invocation>,
    /// Where each invocation began.
    pub(super) began: BTreeMap<StreamId, u64>,
    /// Digests of redacted files by those from before any redaction, also later ones: the log is
    /// read as the last one left it.
    pub(super) originals: Option<Originals>,
    /// Where each approval of a request was given last, by who gave it.
    pub(super) approved: BTreeMap<(RequestId, String), u64>,
    pub(super) violations: Vec<Violation>,
    /// Whose points of which run were allowed last, with nothing but points since.
    pub(super) quick: Option<(StreamId, u64, Provenance)>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Invocation {
    actor: u64,
    end: Option<u64>,
}

impl History {
    /// One that is told every event of the log, from the first one on. It alone knows which uses
    /// of verbs were under way, and asks for that as well.
    pub fn whole() -> Self {
        Self {
            people: Some(People::default()),
            rules: Some(Rules::default()),
            registry: Some(RegistryState::default()),
            ..Self::new(Told::All)
        }
    }

    /// One that is told every event from somewhere on, and reads what it has to know from before.
    pub fn tail() -> Self {
        Self::new(Told::Tail)
    }

    /// One that is told the events of one stream, and reads what it has to know of others.
    pub fn of_stream(stream: StreamId) -> Self {
        Self::new(Told::Stream(stream))
    }

    fn new(told: Told) -> Self {
        Self {
            told,
            from: None,
            people: None,
            rules: None,
            registry: None,
            runs: BTreeMap::new(),
            moves: BTreeMap::new(),
            model_moves: BTreeSet::new(),
            invocations: BTreeMap::new(),
            began: BTreeMap::new(),
            originals: None,
            approved: BTreeMap::new(),
            violations: vec![],
            quick: None,
        }
    }

    /// Whether the events of a stream come through [`History::admit`].
    pub(super) fn is_told(&self, stream: StreamId) -> bool {
        match self.told {
            Told::All | Told::Tail => true,
            Told::Stream(told) => told == stream,
        }
    }

    /// Whether an event from before now will come, or came, through [`History::admit`].
    pub(super) fn will_be_told(&self, header: &Header) -> bool {
        self.is_told(header.stream) && self.from.is_none_or(|from| header.position >= from)
    }

    /// Events that were not allowed, of those that were told.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// The people and keys, where they had to be known.
    pub fn people(&self) -> Option<&People> {
        self.people.as_ref()
    }

    /// How far it is proven who appended an event that was allowed: a key that did not count then
    /// proves nothing.
    pub fn identity(&self, header: &Header) -> Identity {
        let counted = self.people.as_ref().is_some_and(|people| people.signed(header));
        if counted { header.identity } else { Identity::Claimed }
    }

    /// Judges one more event and takes it in if it was allowed. `event` is none for one that
    /// cannot be decoded (a later version's), which changes no state, and may be none for one of a
    /// bulk kind.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn admit<P: Past>(
        &mut self,
        past: &P,
        header: &Header,
        payload: impl Fn() -> Digest,
        event: Option<&Event>,
    ) -> Result<bool, P::Error> {
        self.from.get_or_insert(header.position);
        // Points are nearly all there is.
        let who = (header.stream, header.actor, header.provenance);
        if event.is_none() && self.quick == Some(who) {
            return Ok(true);
        }
        let judged = self.judge(past, header, &payload, event)?;
        let alike = judged.is_ok() && event.is_none() && !self.signs_points(header.stream);
        self.quick = alike.then_some(who);
        if let Err(reason) = judged {
            let people = self.known(past, header.position)?;
            let name = people.name(header.actor, header.position);
            let actor = name.unwrap_or("nobody").to_owned();
            let Header { position, stream, kind, .. } = *header;
            self.violations.push(Violation { position, stream, kind, actor, reason });
            return Ok(false);
        }
        Ok(true)
    }

    fn judge<P: Past>(
        &mut self,
        past: &P,
        header: &Header,
        payload: &dyn Fn() -> Digest,
        event: Option<&Event>,
    ) -> Result<Result<(), Rejection>, P::Error> {
        let Some(event) = event else {
            let bulk = kind_info(header.kind).is_some_and(|info| info.class == Class::Bulk);
            return match header.stream.run() {
                Some(run) if bulk => self.run(past, run, header, payload, None),
                // A kind that only a later version knows.
                _ => Ok(Ok(())),
            };
        };
        if self.told == Told::All
            && let Err(reason) = self.of_open_invocation(header, event)
        {
            return Ok(Err(reason));
        }
        match event {
            Event::Workspace(event) => {
                self.load_people(past, header.position)?;
                let mut people = self.people.take().unwrap_or_default();
                let judged = match self.told {
                    Told::All => Ok(()),
                    _ => signed(&people, past, header, payload),
                };
                let judged =
                    judged.and_then(|()| take_workspace(&mut people, past, header, payload, event));
                self.people = Some(people);
                Ok(judged)
            }
            Event::Policy(event) => {
                self.load_rules(past, header.position)?;
                self.load_people(past, header.position)?;
                let (people, mut rules) = (self.people.take(), self.rules.take());
                let judged = match (&people, &mut rules) {
                    (Some(people), Some(rules)) => match self.told {
                        Told::All => Ok(()),
                        _ => signed(people, past, header, payload),
                    }
                    .and_then(|()| take_policy(people, rules, past, header, payload, event)),
                    _ => Ok(()),
                };
                (self.people, self.rules) = (people, rules);
                Ok(judged)
            }
            Event::Registry(event) => self.registry(past, header, payload, event),
            Event::Run(event) => match header.stream.run() {
                Some(run) => self.run(past, run, header, payload, Some(event)),
                None => Ok(Err(refused("it tells of a run and is in the stream of none"))),
            },
            Event::Move(event) => self.file_move(past, header, payload, event),
            Event::Invocation(event) => Ok(self.invocation(header, event)),
        }
    }

    fn run<P: Past>(
        &mut self,
        past: &P,
        run: RunId,
        header: &Header,
        payload: &dyn Fn() -> Digest,
        event: Option<&RunEvent>,
    ) -> Result<Result<(), Rejection>, P::Error> {
        self.load_rules(past, header.position)?;
        self.load_people(past, header.position)?;
        self.run_before(past, run, header)?;
        if let Some(moved) = event.and_then(MovedRun::of) {
            self.load_move_of_run(past, moved)?;
        }
        let nothing = RunRecord::default();
        let record = self.runs.get(&run).map_or(&nothing, |record| &**record);
        let judged = self.judge_run(past, record, header, payload, event);
        if let (Ok(()), Some(event)) = (&judged, event) {
            let outline = self.told == Told::All;
            let new = || Box::new(RunRecord { outline, ..RunRecord::default() });
            self.runs.entry(run).or_insert_with(new).take(header, payload, event);
        }
        Ok(judged)
    }

    pub(super) fn judge_run<P: Past>(
        &self,
        past: &P,
        record: &RunRecord,
        header: &Header,
        payload: &dyn Fn() -> Digest,
        event: Option<&RunEvent>,
    ) -> Result<(), Rejection> {
        let (Some(people), Some(rules)) = (&self.people, &self.rules) else { return Ok(()) };
        // Those of points are checked with all others, many at once.
        let elsewhere = event.is_none() && self.told == Told::All;
        let proven = || match elsewhere {
            true => people.signed(header),
            false => is_proven(people, past, header, payload),
        };
        if event.is_some() {
            self.check_signature(past, header, payload)?;
        }
        let author = author(people, header, &proven)?;
        let policy = &rules.at(header.position).policy;
        let signed = strict(policy) && record.began_proven(people, past);
        let recording = Recording { signed, others: policy.others_may_record() };
        run::admits(&record.state, event, header, &author, recording)?;
        event.map_or(Ok(()), |event| self.run_by_its_move(record, header, event))
    }

    /// Whether every point of a run has its own signature.
    fn signs_points(&self, stream: StreamId) -> bool {
        let record = stream.run().and_then(|run| self.runs.get(&run));
        record.is_some_and(|record| record.state.points_signed)
    }

    fn registry<P: Past>(
        &mut self,
        past: &P,
        header: &Header,
        payload: &dyn Fn() -> Digest,
        event: &RegistryEvent,
    ) -> Result<Result<(), Rejection>, P::Error> {
        self.load_rules(past, header.position)?;
        self.load_people(past, header.position)?;
        if self.registry.is_none() {
            self.registry = Some(RegistryState::default());
            if header.revision > 0 {
                for before in past.stream(StreamId::REGISTRY)? {
                    if before.header.position >= header.position {
                        break;
                    }
                    if let Ok(Event::Registry(event)) = before.event() {
                        let digest = || before.payload.digest();
                        self.registry_event(past, &before.header, &digest, &event)?.ok();
                    }
                }
            }
        }
        self.registry_event(past, header, payload, event)
    }

    fn registry_event<P: Past>(
        &mut self,
        past: &P,
        header: &Header,
        payload: &dyn Fn() -> Digest,
        event: &RegistryEvent,
    ) -> Result<Result<(), Rejection>, P::Error> {
        let state = self.registry.take().unwrap_or_default();
        let run = registry::run_of(&state, event);
        if let Some(run) = run {
            self.complete(past, run, header)?;
            self.run_before(past, run, header)?;
            self.load_originals(past)?;
        }
        let file_move = self.load_move_of_model(past, header, event)?;
        let judged = self
            .judge_registry(past, &state, run, header, payload, event)
            .and_then(|()| self.model_by_its_move(&state, header, event, file_move));
        let mut state = state;
        if judged.is_ok() {
            registry::RegistryStream::evolve(&mut state, event, header);
            self.model_moves.extend(file_move.map(|file_move| (file_move, header.kind)));
            if let RegistryEvent::Approved(approved) = event {
                let by = (approved.request, approved.approver.clone());
                self.approved.insert(by, header.position);
            }
        }
        self.registry = Some(state);
        Ok(judged)
    }

    /// Refuses a signature that is not its author's. A check of the whole log checks all of them
    /// itself, many at once.
    pub(super) fn check_signature<P: Past>(
        &self,
        past: &P,
        header: &Header,
        payload: &dyn Fn() -> Digest,
    ) -> Result<(), Rejection> {
        match &self.people {
            Some(people) if self.told != Told::All => signed(people, past, header, payload),
            _ => Ok(()),
        }
    }

    fn judge_registry<P: Past>(
        &self,
        past: &P,
        state: &RegistryState,
        run: Option<RunId>,
        header: &Header,
        payload: &dyn Fn() -> Digest,
        event: &RegistryEvent,
    ) -> Result<(), Rejection> {
        let (Some(people), Some(rules)) = (&self.people, &self.rules) else { return Ok(()) };
        self.check_signature(past, header, payload)?;
        let proven = || is_proven(people, past, header, payload);
        let author = author(people, header, &proven)?;
        let nothing = RunRecord::default();
        let record = run.and_then(|run| self.runs.get(&run)).map_or(&nothing, |record| &**record);
        let trainer = record.state.owner.and_then(|owner| people.name(owner, header.position));
        let policy = rules.at(header.position);
        let none = Originals::new();
        let vouched = people.keys().iter().map(|key| key.position);
        let vouched = vouched.filter(|key| people.is_vouched(*key, header.position)).collect();
        let facts = RegistryFacts {
            policy: &policy.policy,
            policy_revision: policy.revision(),
            promotion_revision: policy.promotion_revision,
            originals: self.originals.as_ref().unwrap_or(&none),
            actor: author.name,
            run: &record.state,
            trainer: trainer.unwrap_or_default(),
            trainer_signed: rules.strict(header.position) && record.began_proven(people, past),
            key: author.key,
            vouched: &vouched,
        };
        let files =
            |digest: &Digest| record.state.artifacts.values().any(|file| file.digest == *digest);
        match people.redacted(files, header.position) {
            Some(redaction) => {
                registry::admits(&self.since(state, redaction), event, &facts, &author)
            }
            None => registry::admits(state, event, &facts, &author),
        }
    }

    /// The registry without approvals from before a redaction: people approved what was there then.
    fn since(&self, state: &RegistryState, redaction: u64) -> RegistryState {
        let mut state = state.clone();
        for (request, found) in &mut state.requests {
            let mut seen = BTreeSet::new();
            found.approvals.retain(|approval| {
                let by = (*request, approval.approver.clone());
                let counts = self.approved.get(&by).is_some_and(|at| *at > redaction);
                counts && seen.insert(by)
            });
        }
        state
    }

    fn invocation(&mut self, header: &Header, event: &InvocationEvent) -> Result<(), Rejection> {
        if self.told != Told::All {
            return Ok(());
        }
        if let InvocationEvent::Started(started) = event {
            if header.stream != started.invocation.into() || header.revision > 0 {
                return Err(refused("an invocation begins once, in its own stream"));
            }
            self.began.insert(header.stream, header.position);
            let invocation = Invocation { actor: header.actor, end: None };
            self.invocations.insert(header.position, invocation);
            return Ok(());
        }
        let began = self.began.get(&header.stream);
        match began.and_then(|began| self.invocations.get_mut(began)) {
            Some(Invocation { end: Some(_), .. }) => {
                Err(refused("the invocation had ended before"))
            }
            Some(invocation) => {
                invocation.end = Some(header.position);
                Ok(())
            }
            None => Err(refused("the invocation never began")),
        }
    }

    /// An event is part of a use of a verb by its author that was under way.
    fn of_open_invocation(&self, header: &Header, event: &Event) -> Result<(), Rejection> {
        let Some(at) = header.invocation.filter(|at| *at != header.position) else {
            return Ok(());
        };
        let Some(Invocation { actor, end }) = self.invocations.get(&at) else {
            return Err(refused(format!("event {at}, whose part it is, began no invocation")));
        };
        if *actor != header.actor {
            return Err(refused(format!(
                "it is part of the invocation of event {at}, which somebody else began"
            )));
        }
        match end {
            // A second end is refused as one.
            Some(end) if !matches!(event, Event::Invocation(_)) => {
                Err(refused(format!("its invocation (event {at}) had ended with event {end}")))
            }
            _ => Ok(()),
        }
    }
}

impl RunRecord {
    /// One that is not known yet, but by what is in its stream.
    pub(super) fn after(queue: VecDeque<Envelope>) -> Self {
        Self { queue, ..Self::default() }
    }

    pub(super) fn take(&mut self, header: &Header, payload: &dyn Fn() -> Digest, event: &RunEvent) {
        if matches!(event, RunEvent::Started(_)) && header.identity != Identity::Claimed {
            self.beginning = Some((header.clone(), payload()));
        }
        self.moves.extend(MovedRun::of(event).map(MovedRun::file_move));
        match self.outline {
            true => self.state.outline(event, header),
            false => run::RunStream::evolve(&mut self.state, event, header),
        }
    }

    /// Whether its beginning is signed with a key that counted then.
    fn began_proven<P: Past>(&self, people: &People, past: &P) -> bool {
        let Some((header, digest)) = &self.beginning else { return false };
        *self.proven.get_or_init(|| is_proven(people, past, header, &|| *digest))
    }
}
