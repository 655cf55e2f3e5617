//! Logs that an older annals wrote: format 1.0, and every kind of event in every version that was
//! ever written, from the golden bytes. They are read, checked, and appended to.

use std::collections::BTreeMap;
use std::path::Path;

use annals::base::{
    CommandId, Digest, Direction, Env, InvocationId, MoveId, RequestId, RunId, Sha256Digest, Split,
    Timestamp,
};
use annals::domain::file_move::{
    ArchiveOrder, Migrated, MigrationOrder, MoveEvent, MoveMode, MovePlanned, MovePurpose,
    MovedFile, RemovalOrder, RestoreOrder,
};
use annals::domain::invocation::InvocationEvent;
use annals::domain::metric::{FinalMetric, MetricKey};
use annals::domain::policy::{Policy, PolicyChanged};
use annals::domain::registry::{
    ModelPromoted, PromotionApproved, PromotionRequested, RegistryEvent,
};
use annals::domain::run::{Pack, RunEvent, RunNoted, RunStarted};
use annals::domain::workspace::{ActorRegistered, LayoutKind};
use annals::domain::{
    Envelope, Event, Header, Identity, Kind, Payload, Provenance, StreamId, all_kinds, kind_info,
    kind_named,
};
use annals::store::{Append, Author, Expected, Filter, Origin, Store, StoreError, WriteOptions};
use annals::verify::{Options, verify};
use redb::{Database, ReadableTable as _};

use crate::raw_log::{self, TAIL};
use crate::support::{root, unhex};

/// The bytes of a kind of event in a version that was written once, the last one at most.
fn golden(kind: &str, version: u16) -> Stored {
    let folder = root().join("tests/golden/bytes");
    let mut versions = (1..=version).rev();
    let found = versions.find_map(|version| {
        let text = std::fs::read_to_string(folder.join(format!("{kind}.v{version}.hex"))).ok()?;
        Some((kind_named(kind).unwrap(), version, unhex(&text)))
    });
    found.unwrap_or_else(|| panic!("{kind} was never written"))
}

/// An event as it is written today, for what the golden ones need around them.
fn today(event: impl Into<Event>) -> Stored {
    let event = event.into();
    (event.kind(), kind_info(event.kind()).unwrap().version, event.encode())
}

/// Kind, version and bytes of one event.
type Stored = (Kind, u16, Vec<u8>);

/// Somebody's run, and what is moved, as the golden events name them; and others.
const RUN: RunId = RunId([1; 16]);
const MOVE: MoveId = MoveId([3; 16]);
const MARA: u64 = 1;
const INES: u64 = 2;
/// The most versions that any kind has had.
const NEWEST: u16 = 4;
/// What today's rules refuse of it: golden keys are of nobody, the golden request is both granted
/// and rejected. All golden events name one move, which was planned for a promotion: what says that
/// it did something else is refused, and what follows from that as well. The golden version number
/// and the golden alias follow from no others.
const REFUSED: &[&str] = &[
    "key.created of workspace by mara was not allowed: the new key of mara replaces none of theirs",
    "key.vouched of workspace by mara was not allowed: event 9 made no such key known",
    "run.relocated of run/zyzyzyzyzyzyzyzyzyzyzyzyzyzyzyzy by mara was not allowed: it names a \
     move of files that was not planned before it",
    "model.version_bumped of registry by mara was not allowed: it names other people, evidence, \
     rules, or another run, name or number than it should",
    "model.alias_set of registry by mara was not allowed: it names other people, evidence, \
     rules, or another run, name or number than it should",
    "model.relocated of registry by mara was not allowed: the move of files that it names was \
     planned for something else (promotion)",
    "model.repaired of registry by mara was not allowed: the move of files that it names was \
     planned for something else (promotion)",
    "model.alias_removed of registry by mara was not allowed: there is no alias \"champion\"",
    "model.rolled_back of registry by mara was not allowed: the move of files that it names was \
     planned for something else (promotion)",
    "promotion.rejected of registry by ines was not allowed: promotion request zxzxzxzx is \
     granted, and only an open one can be decided",
    "run.archived of run/zyzyzyzyzyzyzyzyzyzyzyzyzyzyzyzy by mara was not allowed: the move of \
     files that it names was planned for something else (promotion)",
    "run.restored of run/zyzyzyzyzyzyzyzyzyzyzyzyzyzyzyzy by mara was not allowed: run \
     hate_20260301_120000 is in no archive, and only an archived one is restored",
    "run.deleted of run/zyzyzyzyzyzyzyzyzyzyzyzyzyzyzyzy by mara was not allowed: the move of \
     files that it names was planned for something else (promotion)",
];
/// The golden evidence is that of no run.
const REFUSED_OF_NEWEST: &[&str] = &[
    "promotion.requested of registry by mara was not allowed: request \
     \"zxzxzxzxzxzxzxzxzxzxzxzxzxzxzxzx\" exists already",
    "promotion.approved of registry by ines was not allowed: promotion request zxzxzxzx is \
     granted, and only an open one can be decided",
];

fn begun(run: u8) -> Stored {
    let (kind, version, bytes) = golden("run.started", u16::MAX);
    let Ok(Event::Run(RunEvent::Started(started))) = Event::decode(kind, version, &bytes) else {
        panic!("it starts a run")
    };
    let id = format!("hate_20260301_1200{run:02}");
    today(RunEvent::Started(RunStarted {
        run: RunId([run; 16]),
        name: format!("hate_{run}"),
        folder: format!("experiments/{id}"),
        experiment_id: id,
        ..started
    }))
}

/// The golden end of a run, but with scores that a promotion asks for.
fn finished_well() -> Stored {
    let (kind, version, bytes) = golden("run.finished", NEWEST);
    let Ok(Event::Run(RunEvent::Finished(mut finished))) = Event::decode(kind, version, &bytes)
    else {
        panic!("it ends a run")
    };
    finished.metrics = ["accuracy", "f1_macro"].map(score).to_vec();
    today(RunEvent::Finished(finished))
}

fn score(name: &str) -> FinalMetric {
    let key =
        MetricKey { name: name.into(), split: Some(Split::Test), direction: Direction::Higher };
    FinalMetric { key, value: 0.75 }
}

/// What a team did with an annals whose events had at most `version`: every kind of event of that
/// time, in the order in which they follow from each other.
fn life(version: u16) -> Vec<(StreamId, u64, Stored)> {
    let old = |kind: &str| golden(kind, version);
    let mut life = vec![];
    let mut tell = |stream: StreamId, actor: u64, events: &[Stored]| {
        life.extend(events.iter().map(|stored| (stream, actor, stored.clone())));
    };
    let run = |id: u8| StreamId::from(RunId([id; 16]));
    let created = old("workspace.created");
    tell(StreamId::WORKSPACE, 0, &[created]);
    tell(StreamId::WORKSPACE, MARA, &[old("actor.registered")]);
    tell(StreamId::WORKSPACE, INES, &[today(ActorRegistered { name: "ines".into() })]);
    for verb in [14, 15] {
        let (kind, at, bytes) = old("invocation.started");
        let stream = InvocationId([verb; 16]).into();
        let Ok(Event::Invocation(InvocationEvent::Started(mut started))) =
            Event::decode(kind, at, &bytes)
        else {
            panic!("it starts an invocation")
        };
        started.invocation = InvocationId([verb; 16]);
        tell(stream, MARA, &[today(InvocationEvent::Started(started))]);
        let end = if verb == 14 { "invocation.finished" } else { "invocation.interrupted" };
        tell(stream, MARA, &[old(end)]);
    }
    tell(StreamId::WORKSPACE, MARA, &["key.created", "key.vouched"].map(old));
    // What the golden run did is allowed, so that it can go into production.
    let mut policy = Policy::default();
    let rules = &mut policy.production_promotion;
    (rules.allow_synthetic, rules.allow_leakage, rules.allow_debug) = (true, true, true);
    rules.min_test_rows = 0;
    let lax = PolicyChanged { policy, changes: vec![], reason: None };
    tell(StreamId::POLICY, MARA, &[old("policy.changed"), today(lax)]);
    let told = [
        "run.started",
        "run.classified",
        "run.planned",
        "run.shared",
        "run.metrics_recorded",
        "run.train_checkpoint_saved",
        "run.train_checkpoint_pruned",
        "run.artifact_stored",
    ];
    tell(RUN.into(), MARA, &told.map(old));
    tell(RUN.into(), MARA, &[finished_well()]);
    let told = [
        "candidate.assessed",
        "run.tagged",
        "run.noted",
        "run.pinned",
        "run.unpinned",
        "run.renamed",
        "run.reproduced",
        "run.relocated",
    ];
    tell(RUN.into(), MARA, &told.map(old));
    // What a request rests on was not fixed then.
    tell(StreamId::REGISTRY, MARA, &[golden("promotion.requested", version.min(2))]);
    tell(StreamId::REGISTRY, INES, &[golden("promotion.approved", 1)]);
    tell(MOVE.into(), MARA, &["move.planned", "move.completed"].map(old));
    tell(StreamId::REGISTRY, MARA, &[old("model.promoted")]);
    second_version(&mut tell);
    let told = [
        "model.version_bumped",
        "model.alias_set",
        "model.relocated",
        "model.found_damaged",
        "model.repaired",
        "model.alias_removed",
        "model.rolled_back",
    ];
    tell(StreamId::REGISTRY, MARA, &told.map(old));
    // It follows on the end of its move, which it does not name.
    let id = MoveId([8; 16]);
    let (name, reason) = ("hate_v1".into(), "worse".into());
    let purpose = MovePurpose::Demotion { name, reason };
    let planned = MovePlanned { id, purpose, ..golden_plan(version) };
    tell(id.into(), MARA, &[today(MoveEvent::Planned(planned)), old("move.completed")]);
    tell(StreamId::REGISTRY, MARA, &["model.demoted", "promotion.refused"].map(old));
    tell(StreamId::REGISTRY, INES, &[old("promotion.rejected")]);
    let told = ["run.archived", "run.restored", "run.deleted"];
    tell(RUN.into(), MARA, &told.map(old));
    tell(run(4), MARA, &[begun(4), old("run.failed"), old("run.resumed"), old("run.interrupted")]);
    tell(run(5), MARA, &[begun(5), old("run.metrics_unrecorded"), old("run.finished")]);
    if version >= 3 {
        tell(StreamId::REGISTRY, MARA, &[old("promotion.requested")]);
        tell(StreamId::REGISTRY, INES, &[old("promotion.approved")]);
    }
    let back = MoveId([6; 16]);
    let planned = MovePlanned { id: back, ..golden_plan(version) };
    tell(back.into(), MARA, &[today(MoveEvent::Planned(planned)), old("move.rolled_back")]);
    let told = [
        "blobs.removed",
        "checkpoint.anchored",
        "consolidation.applied",
        "layout.changed",
        "logs.packed",
        "snapshot.taken",
    ];
    tell(StreamId::WORKSPACE, MARA, &told.map(old));
    life
}

fn golden_plan(version: u16) -> MovePlanned {
    let (kind, version, bytes) = golden("move.planned", version);
    let Ok(Event::Move(MoveEvent::Planned(planned))) = Event::decode(kind, version, &bytes) else {
        panic!("it plans a move")
    };
    planned
}

/// The golden events speak of the second version of a model.
fn second_version(tell: &mut dyn FnMut(StreamId, u64, &[Stored])) {
    let run = RunId([7; 16]);
    let request = RequestId([7; 16]);
    tell(run.into(), MARA, &[begun(7), golden("run.artifact_stored", NEWEST), finished_well()]);
    let (kind, version, bytes) = golden("promotion.requested", 2);
    let Ok(Event::Registry(RegistryEvent::Requested(asked))) = Event::decode(kind, version, &bytes)
    else {
        panic!("it requests a promotion")
    };
    let asked = PromotionRequested { request, run, ..asked };
    tell(StreamId::REGISTRY, MARA, &[today(RegistryEvent::Requested(asked))]);
    let approved =
        PromotionApproved { request, approver: "ines".into(), reason: None, evidence: None };
    tell(StreamId::REGISTRY, INES, &[today(RegistryEvent::Approved(approved))]);
    let (kind, version, bytes) = golden("model.promoted", NEWEST);
    let Ok(Event::Registry(RegistryEvent::Promoted(done))) = Event::decode(kind, version, &bytes)
    else {
        panic!("it promotes a model")
    };
    let id = MoveId([7; 16]);
    let purpose = MovePurpose::Promotion { request, run, name: done.name.clone() };
    let planned = MovePlanned { id, purpose, ..golden_plan(NEWEST) };
    let completed = golden("move.completed", NEWEST);
    tell(id.into(), MARA, &[today(MoveEvent::Planned(planned)), completed]);
    let done = ModelPromoted { request, run, file_move: id, ..done };
    tell(StreamId::REGISTRY, MARA, &[today(RegistryEvent::Promoted(done))]);
}

fn older_log(path: &Path, version: u16) -> Vec<(Kind, u16)> {
    log_of(path, life(version))
}

fn log_of(path: &Path, life: Vec<(StreamId, u64, Stored)>) -> Vec<(Kind, u16)> {
    let mut revisions: BTreeMap<[u8; 17], u64> = BTreeMap::new();
    let (mut rows, mut written) = (Vec::new(), Vec::new());
    for (at, (stream, actor, (kind, version, bytes))) in (0_u64..).zip(life) {
        let next = revisions.entry(stream.to_key()).or_default();
        let header = Header {
            position: at,
            stream,
            revision: *next,
            kind,
            version,
            recorded: Timestamp(1_700_000_000_000_000_000 + at as i64),
            wall_offset_ns: 0,
            occurred_offset_ns: 0,
            actor,
            invocation: None,
            sequence: 0,
            command: (at == 3).then_some(CommandId([7; 16])),
            provenance: Provenance::Reported,
            identity: Identity::Claimed,
        };
        *next += 1;
        let salted = kind_info(kind).unwrap().class.salted();
        let payload = match salted {
            true => Payload::Salted { salt: [at as u8; 16], bytes },
            false => Payload::Inline(bytes),
        };
        let stored = Envelope::encode(header, payload).into_stored();
        rows.push(stored);
        written.push((kind, version));
    }
    raw_log::write(path, (1, 0), &rows, &[]).unwrap();
    written
}

#[test]
fn a_log_of_an_older_annals_is_read_checked_and_continued() {
    let mut told = std::collections::BTreeSet::new();
    for version in 1..=NEWEST {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.redb");
        let written = older_log(&path, version);
        told.extend(written.iter().copied());
        // A copied file is read as it is, strictly and past damage.
        for store in [
            Store::open_file(&path, Env::system()).unwrap(),
            Store::open_file(&path, Env::system()).unwrap().tolerate_damage(),
        ] {
            let events = store.read(|log| log.events(0..u64::MAX, &Filter::default())).unwrap();
            let read: Vec<(Kind, u16)> =
                events.iter().map(|event| (event.header.kind, event.header.version)).collect();
            assert_eq!(read, written);
            for event in &events {
                let known: Result<Event, _> = event.event();
                assert!(known.is_ok(), "{} v{}", event.header.kind.name(), event.header.version);
            }
            assert_eq!(store.lost(), []);
        }
        let store = Store::open(dir.path(), Env::system()).unwrap();
        let findings = || verify(&store, &Options::default()).unwrap().findings;
        let found: Vec<String> = findings().into_iter().map(|finding| finding.what).collect();
        let refused = if version >= 3 { REFUSED_OF_NEWEST } else { &[] };
        assert_eq!(found, [REFUSED, refused].concat(), "version {version}");
        note(&store, RUN);
        assert_eq!(findings().len(), found.len());
        let size = store.read(|log| Ok::<_, StoreError>(log.size())).unwrap();
        assert_eq!(size, written.len() as u64 + 1);
    }
    // What came with format 1.1 is in no older log.
    let all = all_kinds().filter(|info| info.name != "text.redacted");
    for (kind, newest) in all.map(|info| (info.kind, info.version)) {
        for version in 1..=newest {
            assert!(told.contains(&(kind, version)), "{} v{version}", kind.name());
        }
    }
}

/// The plan that a golden event of a run follows from.
fn plan_of(event: &RunEvent, from: &str) -> MovePlanned {
    let file = |path: &str, source: &str, bytes| MovedFile {
        path: path.to_owned(),
        source: source.to_owned(),
        digest: Digest([1; 32]),
        sha256: Some(Sha256Digest([2; 32])),
        bytes,
    };
    let (run, from) = (RUN, from.to_owned());
    let (to, files, purpose) = match event {
        RunEvent::Archived(e) => {
            let dropped: u64 = e.dropped.iter().map(|file| file.bytes).sum();
            let order = ArchiveOrder {
                run,
                archive: e.archive,
                rule: e.rule.clone(),
                reason: e.reason.clone(),
                policy_revision: e.policy_revision,
                pack: Some(Pack::Zst),
                dropped: e.dropped.clone(),
            };
            let packed = file("packed.tar.zst/log", "log", e.bytes_before - dropped);
            (e.folder.clone(), vec![packed], MovePurpose::Archive(order))
        }
        RunEvent::Restored(e) => {
            let (reason, from_blobs) = (e.reason.clone(), e.recovered.clone());
            let order = RestoreOrder { run, reason, pack: None, from_blobs };
            (e.folder.clone(), vec![file("model", "model", 9)], MovePurpose::Restore(order))
        }
        RunEvent::Relocated(e) => {
            let what = Migrated::Run { run, home: e.home.clone() };
            let order = MigrationOrder { layout: LayoutKind::TrainingOutput, what };
            let renamed = e.renamed.iter().map(|renamed| file(&renamed.to, &renamed.from, 9));
            let files = renamed.chain([file("model", "model", 9)]).collect();
            (e.folder.clone(), files, MovePurpose::Migration(order))
        }
        RunEvent::Deleted(e) => {
            let (reason, policy_revision) = (e.reason.clone(), e.policy_revision);
            let order = RemovalOrder { run, plan: e.plan, reason, policy_revision };
            let files = e.files.iter().map(|dropped| MovedFile {
                digest: dropped.digest,
                sha256: Some(dropped.sha256.unwrap_or(Sha256Digest([2; 32]))),
                ..file(&dropped.path, &dropped.path, dropped.bytes)
            });
            ("removed".to_owned(), files.collect(), MovePurpose::Removal(order))
        }
        other => panic!("{other:?} is about no move"),
    };
    MovePlanned { id: MOVE, purpose, mode: MoveMode::Move, from, to, files }
}

fn of_run((kind, version, bytes): &Stored) -> RunEvent {
    match Event::decode(*kind, *version, bytes) {
        Ok(Event::Run(event)) => event,
        other => panic!("{other:?} is not about a run"),
    }
}

/// A run that ended, and the move of its files that a golden event is about; the event comes last.
fn moved(stored: &Stored) -> Vec<(StreamId, u64, Stored)> {
    let newest = |kind: &str| golden(kind, NEWEST);
    let run: StreamId = RUN.into();
    let begun = newest("run.started");
    let RunEvent::Started(RunStarted { mut folder, .. }) = of_run(&begun) else {
        panic!("it starts a run")
    };
    let mut life = vec![
        (StreamId::WORKSPACE, 0, newest("workspace.created")),
        (StreamId::WORKSPACE, MARA, newest("actor.registered")),
        (run, MARA, begun),
        (run, MARA, newest("run.failed")),
    ];
    let mut tell = |planned: MovePlanned, stored: Stored| {
        let stream = planned.id.into();
        life.push((stream, MARA, today(MoveEvent::Planned(planned))));
        life.push((stream, MARA, newest("move.completed")));
        life.push((run, MARA, stored));
    };
    let event = of_run(stored);
    // What is restored was archived before.
    if matches!(event, RunEvent::Restored(_)) {
        let first = of_run(&newest("run.archived"));
        let planned = MovePlanned { id: MoveId([5; 16]), ..plan_of(&first, &folder) };
        let RunEvent::Archived(mut archived) = first else { panic!("it archives a run") };
        archived.file_move = planned.id;
        folder.clone_from(&archived.folder);
        tell(planned, today(archived));
    }
    tell(plan_of(&event, &folder), stored.clone());
    life
}

/// In whatever version an event about moved files was written, the plan of its move allows it.
#[test]
fn an_event_of_an_older_annals_is_allowed_by_the_plan_of_its_move() {
    let found = |life: Vec<(StreamId, u64, Stored)>| {
        let dir = tempfile::tempdir().unwrap();
        log_of(&dir.path().join("log.redb"), life);
        let store = Store::open(dir.path(), Env::system()).unwrap();
        let findings = verify(&store, &Options::default()).unwrap().findings;
        findings.into_iter().map(|finding| finding.what).collect::<Vec<_>>()
    };
    for kind in ["run.archived", "run.restored", "run.relocated", "run.deleted"] {
        for version in 1..=2 {
            let mut stored = golden(kind, version);
            let mut event = of_run(&stored);
            // The golden size is not that of the golden file; it comes before the id of the move.
            if let RunEvent::Deleted(deleted) = &event {
                let at = stored.2.len() - 17;
                stored.2[at] = u8::try_from(deleted.files[0].bytes).unwrap();
            }
            let mut life = moved(&stored);
            assert_eq!(found(life.clone()), [""; 0], "{kind} v{version}");
            // With another reason or folder it is not the event that was planned.
            match &mut event {
                RunEvent::Archived(archived) => archived.reason.push('!'),
                RunEvent::Restored(restored) => restored.folder.push('!'),
                RunEvent::Relocated(relocated) => relocated.folder.push('!'),
                RunEvent::Deleted(deleted) => deleted.reason.push('!'),
                other => panic!("{other:?}"),
            }
            life.last_mut().unwrap().2 = today(event);
            let refused = found(life);
            assert!(
                matches!(&refused[..], [one] if one.contains("planned with another")),
                "{kind} v{version}: {refused:?}"
            );
        }
    }
}

fn note(store: &Store, run: RunId) {
    let options = WriteOptions::interactive("note", None);
    let appended = store.write::<_, StoreError>(&options, |log| {
        log.append(&Append {
            stream: run.into(),
            expected: Expected::Any,
            author: Author { actor: Origin::At(MARA), invocation: None, key: None },
            sequence: None,
            command: None,
            occurred: None,
            provenance: Provenance::Typed,
            events: &[RunNoted { text: "later".into() }.into()],
        })
    });
    appended.unwrap();
}

/// Exit code, answer and complaint of a verb on the copied log, in an otherwise empty folder.
fn ask(dir: &Path, words: &[&str]) -> (i32, String, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_annals"));
    command.args(words).args(["--log", "log.redb"]).current_dir(dir).env_clear();
    let said = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (said.status.code().unwrap(), text(&said.stdout), text(&said.stderr))
}

#[test]
fn an_auditor_is_answered_from_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.redb");
    let written = older_log(&path, NEWEST);
    let good = |words: &[&str]| {
        let (code, answer, error) = ask(dir.path(), words);
        assert_eq!(code, 0, "{words:?}: {answer}{error}");
        answer
    };
    let json = |words: &[&str]| -> serde_json::Value {
        serde_json::from_str(&good(&[words, &["--format", "json"]].concat())).unwrap()
    };
    for words in [&["status"][..], &["list"], &["policy", "show"]] {
        assert!(!good(words).is_empty(), "{words:?} says nothing");
    }
    let last = written.len() - 1;
    let kinds = json(&["query", "SELECT kind FROM events ORDER BY position"]);
    let kinds: Vec<&str> =
        kinds.as_array().unwrap().iter().map(|row| row["kind"].as_str().unwrap()).collect();
    let known: Vec<String> = written.iter().map(|(kind, _)| kind.name()).collect();
    assert_eq!(kinds, known);
    for table in annals::port::table::ALL {
        json(&["query", &format!("SELECT * FROM {}", table.name)]);
    }
    for table in ["runs", "params", "metrics", "artifacts", "policies", "models", "moves"] {
        let rows = json(&["query", &format!("SELECT count(*) AS n FROM {table}")]);
        assert!(rows[0]["n"].as_u64().unwrap() > 0, "{table} is empty");
    }
    // Rules that came later have the values that upcasting gives them.
    let policy = json(&["policy", "show"]);
    assert!(policy["policy"]["production_promotion"].is_object(), "{policy}");

    let changed = json(&["diff", "--from", "0"]);
    let sections: std::collections::BTreeSet<&str> = changed["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["section"].as_str().unwrap())
        .collect();
    for section in ["run", "policy", "model", "metric", "file"] {
        assert!(sections.contains(section), "{section} is not in {sections:?}");
    }
    let nothing = json(&["diff", "--from", &last.to_string()]);
    assert_eq!(nothing["changes"], serde_json::json!([]));

    let found = || {
        let (code, answer, error) = ask(dir.path(), &["audit", "--format", "json"]);
        let found: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
        let rules = found["findings"].as_array().cloned().unwrap_or_default().into_iter();
        (code, rules.collect::<Vec<_>>(), error)
    };
    // These events were not made to follow from each other, which is damage, but all are read.
    let (code, findings, error) = found();
    assert_eq!(code, 10, "{error}");
    assert!(findings.iter().any(|finding| finding["rule"] == "unsigned-tail"), "{findings:?}");
    let damage = |findings: &[serde_json::Value]| -> std::collections::BTreeSet<String> {
        let of_rule = findings.iter().filter(|finding| finding["rule"] == "record-damaged");
        of_rule.map(|finding| finding["what"].to_string()).collect()
    };
    let before = damage(&findings);
    for finding in &findings {
        let rule = finding["rule"].as_str().unwrap();
        assert!(!["events-lost", "from-later-version"].contains(&rule), "{finding}");
    }

    // One byte of one event: named, and all else is answered.
    let at = kinds.iter().position(|kind| *kind == "run.noted").unwrap() as u64;
    let db = Database::open(&path).unwrap();
    let txn = db.begin_write().unwrap();
    let mut stored = txn.open_table(TAIL).unwrap().get(at).unwrap().unwrap().value().to_vec();
    *stored.last_mut().unwrap() ^= 1;
    txn.open_table(TAIL).unwrap().insert(at, stored.as_slice()).unwrap();
    txn.commit().unwrap();
    drop(db);
    let (code, findings, error) = found();
    assert_eq!(code, 10, "{error}");
    let named = |rule: &str| {
        let of_rule = findings.iter().filter(|finding| finding["rule"] == rule);
        let positions = of_rule.flat_map(|finding| finding["positions"].as_array().unwrap());
        positions.filter_map(serde_json::Value::as_u64).collect::<Vec<_>>()
    };
    let (first, last) = (named("events-lost")[0], named("events-lost")[1]);
    assert!(first <= at && at <= last, "{findings:?}");
    let new: Vec<String> = damage(&findings).difference(&before).cloned().collect();
    assert!(new.iter().any(|what| what.contains("appended")), "{new:?}");
    let (code, answer, error) = ask(dir.path(), &["diff", "--from", "0"]);
    assert_eq!(code, 10, "{error}");
    assert!(
        error.contains(&format!("positions {first} to {last} are damaged and skipped")),
        "{error}"
    );
    assert!(!answer.is_empty());
}
