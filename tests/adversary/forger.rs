//! Appends whatever somebody may append who can write the log: events of any kind by any actor.

use std::path::PathBuf;

use annals::base::{Env, InvocationId, RequestId, RunId};
use annals::domain::invocation::{InvocationFinished, InvocationStarted, Outcome};
use annals::domain::registry::{Evidence, RegistryEvent};
use annals::domain::run::RunStarted;
use annals::domain::workspace::ActorRegistered;
use annals::domain::{Event, Provenance, StreamId, StreamType};
use annals::store::{
    Append, Author, Expected, Origin, Reader, Store, StoreError, TAG_ACTOR, WriteOptions, Writer,
};
use annals::tlog::NoteSigner;
use serde_json::Value;

use crate::support::Workspace;

/// What verbs say that people rely on.
const ASKED: [&[&str]; 12] = [
    &["list", "--format", "json"],
    &["models", "--format", "json"],
    &["best", "--format", "json"],
    &["candidates", "--format", "json"],
    &["policy", "show", "--format", "json"],
    &["query", "SELECT * FROM runs", "--format", "json"],
    &["query", "SELECT * FROM promotions", "--format", "json"],
    &["query", "SELECT * FROM approvals", "--format", "json"],
    &["query", "SELECT * FROM models", "--format", "json"],
    &["query", "SELECT * FROM policies", "--format", "json"],
    &["query", "SELECT * FROM artifacts", "--format", "json"],
    &["query", "SELECT run, name, step, value FROM metrics", "--format", "json"],
];

/// A workspace under attack.
pub struct Field {
    pub ward: Workspace,
    /// Finished and in production as `night`.
    pub old: RunId,
    /// Finished, and requested for production as `next`.
    pub new: RunId,
    /// Reported by a script that still runs.
    pub open: RunId,
    pub request: RequestId,
}

/// What is appended, and by whom.
#[derive(Clone)]
pub struct Forgery {
    pub actor: &'static str,
    pub stream: StreamId,
    pub provenance: Provenance,
    pub events: Vec<Event>,
    /// What is appended to other streams before it, in the same invocation.
    pub before: Vec<(StreamId, Vec<Event>)>,
    /// The key that it says it is signed with, and the one that signs.
    pub key: Option<(u64, [u8; 32])>,
    /// Whether its invocation looks like one that a crash cut short.
    pub cut_short: bool,
}

impl Forgery {
    pub fn new(actor: &'static str, stream: impl Into<StreamId>, event: impl Into<Event>) -> Self {
        let (stream, events) = (stream.into(), vec![event.into()]);
        let provenance = Provenance::Reported;
        let before = vec![];
        Self { actor, stream, provenance, events, before, key: None, cut_short: false }
    }
}

impl Field {
    /// In a strict one approvals are signed, and who trains approves nothing.
    pub fn new(strict: bool) -> Self {
        let ward = Workspace::new();
        ward.allow_synthetic();
        if strict {
            ward.annals(&["actor", "add", "bob"]).ok();
            ward.annals(&["policy", "set", "production_promotion.approvals_signed", "true"]).ok();
            let apart = "production_promotion.trainer_may_approve";
            ward.annals(&["policy", "set", apart, "false"]).ok();
        }
        ward.train("old", &[]).ok();
        ward.annals(&["promote", "old", "--as", "night", "--request"]).ok();
        if strict {
            ward.annals_as("bob", &["approve", "night"]).ok();
        }
        ward.annals(&["promote", "old"]).ok();
        ward.train("new", &["--seed", "7"]).ok();
        ward.annals(&["promote", "new", "--as", "next", "--request"]).ok();
        let begun = ["run", "start", "--name", "open", "--format", "json"];
        ward.annals(&begun).ok();
        ward.annals(&["run", "log", "open", "--step", "1", "loss=0.5"]).ok();
        let request = requests(&ward).pop().unwrap();
        let run = |name: &str| run_of(&ward, name);
        let (old, new, open) = (run("old"), run("new"), run("open"));
        Self { ward, old, new, open, request }
    }

    /// One with two runs more: `spare`, which was archived and restored, and `stored`, which is in
    /// an archive.
    pub fn with_moves(strict: bool) -> Self {
        let field = Self::new(strict);
        for name in ["spare", "stored"] {
            field.ward.train(name, &[]).ok();
            field.ward.annals(&["archive", name]).ok();
        }
        field.ward.annals(&["restore", "spare"]).ok();
        field
    }

    pub fn store(&self) -> Store {
        Store::open(&self.annals(), Env::system()).unwrap()
    }

    fn annals(&self) -> PathBuf {
        self.ward.path(".annals")
    }

    /// The digest of a run's weights, and everything else that is known of its beginning.
    pub fn started(&self, run: RunId) -> RunStarted {
        let first = self.store().read(|log| log.stream(run.into(), 0)).unwrap().remove(0);
        match first.event().unwrap() {
            Event::Run(annals::domain::run::RunEvent::Started(started)) => started,
            other => panic!("{other:?}"),
        }
    }

    /// Events of a stream.
    pub fn events(&self, stream: impl Into<StreamId>) -> Vec<Event> {
        let events = self.store().read(|log| log.stream(stream.into(), 0)).unwrap();
        events.iter().map(|envelope| envelope.event().unwrap()).collect()
    }

    /// What the open request rests on.
    pub fn evidence(&self) -> Evidence {
        let found = self.events(StreamId::REGISTRY).into_iter().find_map(|event| match event {
            Event::Registry(RegistryEvent::Requested(requested))
                if requested.request == self.request =>
            {
                requested.evidence
            }
            _ => None,
        });
        found.unwrap()
    }

    /// What the verbs say that people rely on.
    pub fn answers(&self) -> Vec<String> {
        let said = |args: &&[&str]| {
            let answer = self.ward.annals(args);
            format!("{args:?}: {} {}", answer.code, answer.out)
        };
        let mut all: Vec<String> = ASKED.iter().map(said).collect();
        for run in [self.old, self.new, self.open] {
            let shown = self.ward.annals(&["show", &run.to_string(), "--format", "json"]).ok();
            all.push(shown.out);
        }
        let changed = self.ward.annals(&["diff", "--from", "0", "--format", "json"]).ok().json();
        all.push(changed["changes"].to_string());
        // Whoever appends something is registered; whose keys count is what people rely on.
        let actors = self.ward.annals(&["actor", "list", "--format", "json"]).ok().json();
        let with_keys = actors.as_array().unwrap().iter().filter(|actor| !actor["key"].is_null());
        all.extend(with_keys.map(Value::to_string));
        all.push(self.ward.annals(&["why", "night", "--format", "json"]).ok().out);
        let mut status: Value = self.ward.annals(&["status", "--format", "json"]).ok().json();
        let changing = ["events", "unsigned_tail", "not_allowed", "changed_files"];
        changing.iter().for_each(|field| drop(status.as_object_mut().unwrap().remove(*field)));
        all.push(status.to_string());
        all
    }

    /// Appends it as an invocation of its own, that ends; tells where the event is.
    pub fn forge(&self, forgery: &Forgery) -> u64 {
        let written = self
            .store()
            .write(&WriteOptions::interactive("forge", None), |log| self.append(log, forgery));
        written.unwrap()
    }

    fn append(&self, log: &mut Writer<'_>, forgery: &Forgery) -> Result<u64, StoreError> {
        let actor = match log.name(TAG_ACTOR, forgery.actor)? {
            Some(actor) => actor,
            None => {
                let author = Author { actor: Origin::This, invocation: None, key: None };
                let name = ActorRegistered { name: forgery.actor.into() }.into();
                let all = [name];
                log.append(&append(StreamId::WORKSPACE, author, &all))?.first.unwrap()
            }
        };
        let id = InvocationId(Env::system().random());
        let started = InvocationStarted {
            invocation: id,
            verb: "note".into(),
            argv: vec![],
            host: "ward-3".into(),
            pid: 1,
            cwd: ".".into(),
            tool_version: "0.1.0".into(),
        };
        let author = Author { actor: Origin::At(actor), invocation: Some(Origin::This), key: None };
        let at = log.append(&append(id.into(), author, &[started.into()]))?.first.unwrap();
        let origin = log.origin().to_owned();
        let signer = forgery.key.map(|(key, seed)| (key, NoteSigner::new(&origin, &seed).unwrap()));
        let key = signer.as_ref().map(|(key, signer)| (*key, signer));
        let own = Author { actor: Origin::At(actor), invocation: Some(Origin::At(at)), key };
        for (stream, events) in &forgery.before {
            log.append(&append(*stream, own, events))?;
        }
        let forged = Append {
            provenance: forgery.provenance,
            ..append(forgery.stream, own, &forgery.events)
        };
        let first = log.append(&forged)?.first.unwrap();
        if forgery.cut_short {
            return Ok(first);
        }
        let ended = InvocationFinished { outcome: Outcome::Succeeded };
        let own = Author { key: None, ..own };
        log.append(&append(id.into(), own, &[ended.into()]))?;
        Ok(first)
    }

    /// Forges, and asserts that nobody is fooled.
    pub fn withstands(&self, what: &str, forgery: &Forgery) {
        let before = self.answers();
        let at = self.forge(forgery);
        self.not_fooled(what, at, &before);
    }

    pub fn not_fooled(&self, what: &str, at: u64, before: &[String]) {
        for (was, is) in before.iter().zip(self.answers()) {
            assert_eq!(*was, is, "{what}");
        }
        let named = format!("event {at}");
        let verified = self.ward.annals(&["verify", "--format", "json"]);
        assert_eq!(verified.code, 10, "{what}: {}", verified.err);
        let findings = verified.json()["findings"].as_array().unwrap().clone();
        let reasons = ["not allowed", "the signature of", "signed with the key of"];
        let names = |finding: &Value| {
            let what = finding["what"].as_str().unwrap();
            finding["position"] == at && reasons.iter().any(|reason| what.contains(reason))
        };
        assert!(findings.iter().any(names), "{what}: {findings:?}");
        let status = self.ward.annals(&["status", "--format", "json"]).ok().json();
        let listed = status["not_allowed"].as_array().unwrap();
        assert!(listed.iter().any(|found| found["position"] == at), "{what}: {listed:?}");
        let doctor = self.ward.annals(&["doctor"]);
        let said = format!("{}{}", doctor.out, doctor.err);
        assert!(doctor.code == 9 && said.contains(&named), "{what}: {said}");
    }
}

fn append<'e>(stream: StreamId, author: Author<'e>, events: &'e [Event]) -> Append<'e> {
    Append {
        stream,
        expected: Expected::Any,
        author,
        sequence: None,
        command: None,
        occurred: None,
        provenance: Provenance::Reported,
        events,
    }
}

pub fn run_of(ward: &Workspace, name: &str) -> RunId {
    let shown = ward.annals(&["show", name, "--format", "json"]).ok().json();
    shown["run_id"].as_str().or(shown["run"].as_str()).unwrap().parse().unwrap()
}

fn requests(ward: &Workspace) -> Vec<RequestId> {
    let store = Store::open(&ward.path(".annals"), Env::system()).unwrap();
    let events = store.read(|log: &Reader| log.stream(StreamId::REGISTRY, 0)).unwrap();
    let requested = events.iter().filter_map(|envelope| match envelope.event().unwrap() {
        Event::Registry(RegistryEvent::Requested(requested)) => Some(requested.request),
        _ => None,
    });
    requested.collect()
}

/// Where the key of `owner` was made known.
pub fn key_of(field: &Field, owner: &str) -> u64 {
    let events = field.store().read(|log| log.stream(StreamId::WORKSPACE, 0)).unwrap();
    let made = events.iter().find_map(|envelope| match envelope.event().unwrap() {
        Event::Workspace(annals::domain::workspace::WorkspaceEvent::KeyCreated(key))
            if key.owner == owner =>
        {
            Some(envelope.header.position)
        }
        _ => None,
    });
    made.unwrap()
}

/// A stream of a type whose id means nothing.
pub fn stray(kind: StreamType) -> StreamId {
    StreamId { code: kind.code(), entity: [9; 16] }
}
