use std::collections::BTreeSet;
use std::convert::Infallible;

use super::moved::{MovedModel, MovedRun};
use super::{History, Past};
use crate::base::{Digest, LogId, MoveId, PublicKey, RequestId, RunId, Sha256Digest, Timestamp};
use crate::domain::file_move::{
    ArchiveOrder, Migrated, MigrationOrder, MoveCompleted, MoveMode, MovePlan, MovePlanned,
    MovePurpose, MoveRolledBack, MovedFile, RemovalOrder, RestoreOrder,
};
use crate::domain::policy::PolicyState;
use crate::domain::registry::{
    ModelDemoted, ModelFoundDamaged, ModelPromoted, ModelRelocated, ModelRepaired, ModelRolledBack,
    Originals, PromotedFile, RegistryEvent, RegistryState,
};
use crate::domain::run::{
    Archive, DroppedFile, Pack, PackedFiles, RunArchived, RunCommand, RunDeleted, RunEvent,
    RunFacts, RunFailed, RunNoted, RunRelocated, RunRestored, RunState, RunStream,
};
use crate::domain::workspace::{ActorRegistered, LayoutKind, WorkspaceCreated};
use crate::domain::{
    Decider as _, Envelope, Event, Header, Identity, Payload, Provenance, StreamId, kind_info,
};

const RUN: RunId = RunId([1; 16]);
const OTHER: RunId = RunId([2; 16]);
const MOVE: MoveId = MoveId([3; 16]);
const AGAIN: MoveId = MoveId([4; 16]);

/// A log in memory, all of it by one person.
struct Log(Vec<Envelope>);

impl Log {
    fn new(events: &[(StreamId, Event)]) -> Self {
        let mut log = Self(vec![]);
        for (stream, event) in events {
            let position = log.0.len() as u64;
            let before = log.0.iter().filter(|e| e.header.stream == *stream).count();
            let header = Header {
                position,
                stream: *stream,
                revision: before as u64,
                kind: event.kind(),
                version: kind_info(event.kind()).unwrap().version,
                recorded: Timestamp(position as i64),
                wall_offset_ns: 0,
                occurred_offset_ns: 0,
                actor: 1,
                invocation: None,
                sequence: 0,
                command: None,
                provenance: Provenance::Reported,
                identity: Identity::Claimed,
            };
            log.0.push(Envelope::encode(header, Payload::Inline(event.encode())));
        }
        log
    }

    fn judged(&self, mut history: History, tells: impl Fn(&Header) -> bool) -> BTreeSet<u64> {
        for envelope in self.0.iter().filter(|envelope| tells(&envelope.header)) {
            let event = envelope.event().unwrap();
            let digest = || envelope.payload.digest();
            let Ok(_) = history.admit(self, &envelope.header, digest, Some(&event));
        }
        history.violations().iter().map(|violation| violation.position).collect()
    }

    /// Positions of the events that are not allowed, by every kind of history.
    fn refused(&self) -> BTreeSet<u64> {
        let all = self.judged(History::whole(), |_| true);
        for from in 0..self.0.len() as u64 {
            let found = self.judged(History::tail(), |header| header.position >= from);
            assert_eq!(found, all.range(from..).copied().collect(), "from {from} on");
        }
        let streams: BTreeSet<StreamId> = self.0.iter().map(|e| e.header.stream).collect();
        for stream in streams {
            let found = self.judged(History::of_stream(stream), |header| header.stream == stream);
            let of = |at: &u64| self.0[usize::try_from(*at).unwrap()].header.stream == stream;
            assert_eq!(found, all.iter().copied().filter(of).collect(), "{stream:?}");
        }
        all
    }
}

impl Past for Log {
    type Error = Infallible;

    fn stream(&self, stream: StreamId) -> Result<Vec<Envelope>, Infallible> {
        Ok(self.0.iter().filter(|e| e.header.stream == stream).cloned().collect())
    }

    fn event(&self, position: u64) -> Result<Option<Envelope>, Infallible> {
        Ok(usize::try_from(position).ok().and_then(|at| self.0.get(at).cloned()))
    }

    fn fits(&self, _: PublicKey, _: &[u8], _: &[u8; 64]) -> bool {
        false
    }

    fn origin(&self) -> &'static str {
        "annals/test"
    }
}

fn file(path: &str, source: &str, bytes: u64) -> MovedFile {
    let (path, source) = (path.to_owned(), source.to_owned());
    MovedFile { path, source, digest: Digest([1; 32]), sha256: Some(Sha256Digest([2; 32])), bytes }
}

fn dropped() -> Vec<DroppedFile> {
    let (digest, sha256) = (Digest([5; 32]), Some(Sha256Digest([6; 32])));
    vec![DroppedFile { path: "checkpoints/a".into(), digest, sha256, bytes: 100 }]
}

fn archive() -> MovePurpose {
    MovePurpose::Archive(ArchiveOrder {
        run: RUN,
        archive: Archive::Debug,
        rule: Some("age".into()),
        reason: "old".into(),
        policy_revision: 1,
        pack: Some(Pack::Zst),
        dropped: dropped(),
    })
}

fn restore() -> MovePurpose {
    let order =
        RestoreOrder { run: RUN, reason: Some("again".into()), pack: None, from_blobs: dropped() };
    MovePurpose::Restore(order)
}

fn plan(id: MoveId, purpose: MovePurpose, from: &str, to: &str) -> MovePlanned {
    let files = vec![file("model", "model", 9), file("packed.tar.zst/log", "log", 20)];
    let (from, to) = (from.to_owned(), to.to_owned());
    MovePlanned { id, purpose, mode: MoveMode::Move, from, to, files }
}

/// The event that annals records when the files of a run have arrived.
fn made(planned: &MovePlanned) -> RunEvent {
    let policy = PolicyState::default();
    let packed = match &planned.purpose {
        MovePurpose::Archive(order) => order.pack,
        _ => None,
    };
    let digest = Digest([7; 32]);
    let packed = packed.map(|pack| PackedFiles { pack, digest, sha256: None, bytes: 11 });
    let command = RunCommand::NoteMoved(Box::new(MovePlan::from(planned.clone())), packed);
    let facts = RunFacts::new(&policy, Provenance::Reported);
    RunStream::decide(&RunState::default(), command, &facts).unwrap().remove(0)
}

fn golden(kind: &str, version: u16, hex: &str) -> Event {
    let pairs = hex.trim().as_bytes().chunks(2);
    let byte = |two: &[u8]| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap();
    let bytes: Vec<u8> = pairs.map(byte).collect();
    Event::decode(crate::domain::kind_named(kind).unwrap(), version, &bytes).unwrap()
}

/// The beginning of a log in which two runs ended.
fn two_runs() -> Vec<(StreamId, Event)> {
    let created = WorkspaceCreated {
        log: LogId([9; 16]),
        origin: "annals/test".into(),
        project: "test".into(),
        tool_version: "0".into(),
    };
    let mara = ActorRegistered { name: "mara".into() };
    let mut events =
        vec![(StreamId::WORKSPACE, created.into()), (StreamId::WORKSPACE, mara.into())];
    let hex = include_str!("../../../tests/golden/bytes/run.started.v3.hex");
    for run in [RUN, OTHER] {
        let Event::Run(RunEvent::Started(mut started)) = golden("run.started", 3, hex) else {
            panic!("it starts a run")
        };
        (started.run, started.folder) = (run, "runs/a".into());
        let reason = "no".into();
        let failed = RunFailed {
            attempt: 1,
            reason,
            signal: None,
            exit_code: None,
            stderr_tail: String::new(),
        };
        events.extend([(run.into(), started.into()), (run.into(), failed.into())]);
    }
    events
}

#[track_caller]
fn refuses(what: &str, after: &[(StreamId, Event)], expected: &[u64]) {
    let all = [&two_runs(), after].concat();
    assert_eq!(Log::new(&all).refused(), expected.iter().copied().collect(), "{what}");
}

#[test]
fn files_of_a_run_are_where_a_completed_move_of_exactly_that_brought_them() {
    let planned = plan(MOVE, archive(), "runs/a", "old/a");
    let back = plan(AGAIN, restore(), "old/a", "runs/a");
    let planning = |plan: &MovePlanned| (plan.id.into(), Event::from(plan.clone()));
    let ended = |id: MoveId| (id.into(), MoveCompleted { recovered: false }.into());
    let told = |run: RunId, plan: &MovePlanned| (run.into(), Event::from(made(plan)));
    let undone = (MOVE.into(), MoveRolledBack { reason: "full".into() }.into());
    let noted = (RUN.into(), Event::from(RunNoted { text: "still here".into() }));
    let whole = [planning(&planned), ended(MOVE), told(RUN, &planned)];
    let returned = [planning(&back), ended(AGAIN), told(RUN, &back)];
    refuses("an honest life", &[&whole[..], std::slice::from_ref(&noted), &returned].concat(), &[]);

    refuses("no plan", &[told(RUN, &planned), noted.clone()], &[6]);
    refuses("no end", &[planning(&planned), told(RUN, &planned)], &[7]);
    refuses("a move that was undone", &[planning(&planned), undone, told(RUN, &planned)], &[8]);
    let early = [told(RUN, &planned), planning(&planned), ended(MOVE), told(RUN, &planned)];
    refuses("before the plan, and after it", &early, &[6]);
    let early = [planning(&planned), told(RUN, &planned), ended(MOVE), told(RUN, &planned)];
    refuses("before the end, and after it", &early, &[7]);
    let twice = [&whole[..], &returned, &[told(RUN, &planned)]].concat();
    refuses("twice", &twice, &[12]);
    let other = [planning(&planned), ended(MOVE), told(OTHER, &planned)];
    refuses("of another run", &other, &[8]);
    let false_end = [planning(&planned), ended(MOVE), ended(MOVE), told(RUN, &planned)];
    refuses("a second end alone", &false_end, &[8]);
    let elsewhere = plan(MOVE, archive(), "runs/b", "old/a");
    refuses(
        "from where the run is not",
        &[planning(&elsewhere), ended(MOVE), told(RUN, &elsewhere)],
        &[8],
    );
    let second = plan(MOVE, archive(), "runs/a", "old/c");
    refuses(
        "by a second plan of one move",
        &[planning(&planned), planning(&second), ended(MOVE), told(RUN, &second)],
        &[7, 9],
    );
}

/// Plans of every purpose, of run `RUN` or of the model `ward`.
fn plans() -> Vec<MovePlanned> {
    let (name, reason) = (|| "ward".to_owned(), || "worse".to_owned());
    let migration =
        |what| MovePurpose::Migration(MigrationOrder { layout: LayoutKind::TrainingOutput, what });
    let removal = RemovalOrder {
        run: RUN,
        plan: Digest([8; 32]),
        reason: "not the best".into(),
        policy_revision: 1,
    };
    let purposes = [
        archive(),
        restore(),
        MovePurpose::Removal(removal),
        migration(Migrated::Run { run: RUN, home: "training/a".into() }),
        migration(Migrated::Model { name: name() }),
        MovePurpose::Promotion { request: RequestId([1; 16]), run: RUN, name: name() },
        MovePurpose::Demotion { name: name(), reason: reason() },
        MovePurpose::Rollback { name: name(), number: 2, reason: reason() },
        MovePurpose::Repair { name: name(), number: 2, reason: Some(reason()) },
    ];
    purposes.into_iter().map(|purpose| plan(MOVE, purpose, "runs/a", "there/a")).collect()
}

/// Every event that a plan allows.
fn events_of(planned: &MovePlanned) -> Vec<Event> {
    let (name, path) = (|| "ward".to_owned(), planned.to.clone());
    let relocated = ModelRelocated { name: name(), path: path.clone(), file_move: planned.id };
    let damaged: Event = ModelFoundDamaged {
        name: name(),
        number: 1,
        path: path.clone(),
        found: vec![],
        unlisted: 1,
        kept: None,
        file_move: planned.id,
    }
    .into();
    match planned.purpose.clone() {
        MovePurpose::Archive(_)
        | MovePurpose::Restore(_)
        | MovePurpose::Removal(_)
        | MovePurpose::Migration(MigrationOrder { what: Migrated::Run { .. }, .. }) => {
            vec![made(planned).into()]
        }
        MovePurpose::Migration(_) => vec![relocated.into()],
        MovePurpose::Promotion { request, run, name } => {
            let files = planned.files.iter().map(|file| PromotedFile {
                path: file.path.clone(),
                digest: file.digest,
                sha256: None,
                bytes: file.bytes,
            });
            let promoted = ModelPromoted {
                request,
                run,
                name,
                path,
                files: files.collect(),
                file_move: planned.id,
                policy_revision: 1,
                approvers: vec![],
            };
            vec![damaged, promoted.into()]
        }
        MovePurpose::Demotion { name, reason } => {
            vec![damaged, ModelDemoted { name, reason }.into()]
        }
        MovePurpose::Rollback { name, number, reason } => {
            let (from, file_move) = (Some(1), planned.id);
            let back = ModelRolledBack { name, number, from, file_move, reason };
            vec![damaged, relocated.into(), back.into()]
        }
        MovePurpose::Repair { name, number, reason } => {
            let repaired = ModelRepaired { name, number, file_move: planned.id, reason };
            vec![damaged, repaired.into()]
        }
    }
}

fn allowed(event: &Event, planned: &MovePlanned) -> bool {
    let originals = Originals::new();
    match event {
        Event::Run(event) => MovedRun::of(event).unwrap().is_of(RUN, planned, &originals).is_ok(),
        Event::Registry(event) => {
            let moved = MovedModel::of(event).unwrap();
            moved.is_of(&RegistryState::default(), planned, &originals).is_ok()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_move_allows_the_events_of_its_purpose_and_no_other() {
    let all: Vec<Event> = plans().iter().flat_map(events_of).collect();
    for planned in plans() {
        let own = events_of(&planned);
        for event in &all {
            assert_eq!(allowed(event, &planned), own.contains(event), "{event:?} by {planned:?}");
        }
    }
}

/// Every value of an event, by its path in JSON.
fn values(value: &serde_json::Value, path: &str, found: &mut Vec<String>) {
    use serde_json::Value;
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                values(value, &format!("{path}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                values(value, &format!("{path}/{index}"), found);
            }
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => found.push(path.to_owned()),
    }
}

/// What an event says and its plan does not.
const NOT_PLANNED: [&str; 3] =
    ["model.promoted/policy_revision", "model.rolled_back/from", "run.archived/packed/digest"];

#[test]
fn an_event_that_differs_from_its_plan_in_any_field_is_not_allowed() {
    use serde_json::Value;
    let mut free = BTreeSet::new();
    for planned in plans() {
        for event in events_of(&planned) {
            // What was found damaged is in no plan but for the model.
            let kind = event.kind().name();
            if kind == "model.found_damaged" {
                continue;
            }
            let whole = serde_json::to_value(&event).unwrap();
            let mut paths = Vec::new();
            values(&whole, "", &mut paths);
            for path in paths {
                let mut changed = whole.clone();
                let place = changed.pointer_mut(&path).unwrap();
                *place = match place {
                    Value::Number(number) => (number.as_u64().unwrap() + 1).into(),
                    Value::String(text) => altered(text).into(),
                    other => panic!("{other:?}"),
                };
                let Some(changed) = read_as(&event, changed) else { continue };
                if allowed(&changed, &planned) {
                    free.insert(path.replacen("", &kind, 1));
                }
            }
        }
    }
    assert_eq!(free, NOT_PLANNED.into_iter().map(str::to_owned).collect());
}

/// An event of the same kind, if the value is one.
fn read_as(event: &Event, value: serde_json::Value) -> Option<Event> {
    fn read<T: serde::de::DeserializeOwned + Into<Event>>(
        value: serde_json::Value,
    ) -> Option<Event> {
        serde_json::from_value::<T>(value).ok().map(Into::into)
    }
    match event {
        Event::Run(RunEvent::Archived(_)) => read::<RunArchived>(value),
        Event::Run(RunEvent::Restored(_)) => read::<RunRestored>(value),
        Event::Run(RunEvent::Relocated(_)) => read::<RunRelocated>(value),
        Event::Run(RunEvent::Deleted(_)) => read::<RunDeleted>(value),
        Event::Registry(RegistryEvent::Promoted(_)) => read::<ModelPromoted>(value),
        Event::Registry(RegistryEvent::Demoted(_)) => read::<ModelDemoted>(value),
        Event::Registry(RegistryEvent::RolledBack(_)) => read::<ModelRolledBack>(value),
        Event::Registry(RegistryEvent::Repaired(_)) => read::<ModelRepaired>(value),
        Event::Registry(RegistryEvent::Relocated(_)) => read::<ModelRelocated>(value),
        other => panic!("{other:?}"),
    }
}

/// Another text of the same shape.
fn altered(text: &str) -> String {
    let last = text.chars().last().unwrap_or('a');
    let other = if last == '0' { '1' } else { '0' };
    format!("{}{other}", &text[..text.len() - last.len_utf8()])
}

#[test]
fn what_an_older_annals_did_not_record_is_not_compared() {
    let mut planned = plan(MOVE, restore(), "runs/a", "there/a");
    let event: Event = made(&planned).into();
    if let MovePurpose::Restore(order) = &mut planned.purpose {
        order.from_blobs[0].sha256 = None;
        // A redaction takes texts out of one event and not of another.
        order.reason = Some("[redacted at 7]".into());
    }
    assert!(allowed(&event, &planned));
    if let MovePurpose::Restore(order) = &mut planned.purpose {
        order.from_blobs[0].sha256 = Some(Sha256Digest([9; 32]));
    }
    assert!(!allowed(&event, &planned));
}
