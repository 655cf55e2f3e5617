//! A log that an older annals wrote: format 1.0, and every kind of event in every version that was
//! ever written, from the golden bytes. It is read, checked, and appended to.

use std::collections::BTreeMap;
use std::path::Path;

use annals::base::{CommandId, Env, MoveId, Timestamp, codec};
use annals::domain::{
    Envelope, EnvelopeRef, Event, Header, Identity, Kind, Payload, Provenance, StreamId,
    StreamType, kind_info, kind_named,
};
use annals::store::{Filter, MemoryIndex, State, Store, WriteOptions};
use annals::verify::{Options, verify};
use redb::{Database, ReadableTable as _, TableDefinition};

use crate::support::{root, unhex};

const NAMES: TableDefinition<'_, (u8, &str), u64> = TableDefinition::new("names");
const MOVES: TableDefinition<'_, &[u8; 16], u64> = TableDefinition::new("open_moves");
const COMMANDS: TableDefinition<'_, &[u8; 16], u64> = TableDefinition::new("commands");
const WRITERS: TableDefinition<'_, u64, u64> = TableDefinition::new("writers");
const HEADS: TableDefinition<'_, &[u8; 17], (u64, u64, u64)> = TableDefinition::new("stream_heads");
const INDEX: TableDefinition<'_, (&[u8; 17], u64), u64> = TableDefinition::new("stream_index");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const TAIL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("tail");

/// Kind, version and bytes of everything that was ever written, the log's creation first.
fn golden() -> Vec<(Kind, u16, Vec<u8>)> {
    let dir = root().join("tests/golden/bytes");
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let (kind, version) =
            path.file_stem().unwrap().to_str().unwrap().rsplit_once(".v").unwrap();
        let kind = kind_named(kind).unwrap();
        // What came with format 1.1 is in no older log.
        if kind.name() == "text.redacted" {
            continue;
        }
        let bytes = unhex(&std::fs::read_to_string(&path).unwrap());
        all.insert((kind.0, version.parse().unwrap()), bytes);
    }
    all.into_iter().map(|((kind, version), bytes)| (Kind(kind), version, bytes)).collect()
}

fn stream(kind: Kind, at: u64) -> StreamId {
    match kind_info(kind).unwrap().stream {
        StreamType::Workspace => StreamId::WORKSPACE,
        StreamType::Policy => StreamId::POLICY,
        StreamType::Registry => StreamId::REGISTRY,
        // Each on its own: what they say need not follow from each other.
        StreamType::Run => annals::base::RunId([at as u8; 16]).into(),
        StreamType::Invocation => annals::base::InvocationId([at as u8; 16]).into(),
        StreamType::Move => MoveId([at as u8; 16]).into(),
        other => panic!("no stream of {other:?} was written then"),
    }
}

fn older_log(path: &Path) -> Vec<(Kind, u16)> {
    let mut state = State::default();
    let mut index = MemoryIndex::default();
    let mut revisions: BTreeMap<[u8; 17], u64> = BTreeMap::new();
    let (mut rows, mut written) = (Vec::new(), Vec::new());
    for (at, (kind, version, bytes)) in (0_u64..).zip(golden()) {
        let stream = stream(kind, at);
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
            actor: 0,
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
        index.apply(&mut state, &EnvelopeRef::decode(&stored).unwrap()).unwrap();
        rows.push(stored);
        written.push((kind, version));
    }
    let db = Database::create(path).unwrap();
    let txn = db.begin_write().unwrap();
    {
        let mut meta = txn.open_table(META).unwrap();
        meta.insert("format", codec::encode(&(1_u16, 0_u16)).as_slice()).unwrap();
        meta.insert("state", codec::encode(&state).as_slice()).unwrap();
        let mut tail = txn.open_table(TAIL).unwrap();
        for (at, stored) in (0_u64..).zip(&rows) {
            tail.insert(at, stored.as_slice()).unwrap();
        }
        let (mut heads, mut by_stream) =
            (txn.open_table(HEADS).unwrap(), txn.open_table(INDEX).unwrap());
        for (key, head) in &index.stream_heads {
            heads.insert(key, (head.next, head.first, head.last)).unwrap();
        }
        for ((key, revision), at) in &index.stream_index {
            by_stream.insert((key, *revision), *at).unwrap();
        }
        let (mut names, mut moves) =
            (txn.open_table(NAMES).unwrap(), txn.open_table(MOVES).unwrap());
        for ((tag, text), at) in &index.names {
            names.insert((*tag, text.as_str()), *at).unwrap();
        }
        for (id, at) in &index.open_moves {
            moves.insert(id, *at).unwrap();
        }
        let (mut commands, mut writers) =
            (txn.open_table(COMMANDS).unwrap(), txn.open_table(WRITERS).unwrap());
        for (id, at) in &index.commands {
            commands.insert(id, *at).unwrap();
        }
        for (invocation, next) in &index.writers {
            writers.insert(*invocation, *next).unwrap();
        }
        let headers = TableDefinition::<u64, &[u8]>::new("block_headers");
        let blocks = TableDefinition::<(u64, u16), &[u8]>::new("blocks");
        let tree = TableDefinition::<(u8, u64), &[u8; 32]>::new("tree");
        let checkpoints = TableDefinition::<u64, &str>::new("checkpoints");
        txn.open_table(headers).unwrap();
        txn.open_table(blocks).unwrap();
        txn.open_table(tree).unwrap();
        txn.open_table(checkpoints).unwrap();
    }
    txn.commit().unwrap();
    written
}

#[test]
fn a_log_of_an_older_annals_is_read_checked_and_continued() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.redb");
    let written = older_log(&path);
    assert!(written.iter().any(|(kind, version)| *version < kind_info(*kind).unwrap().version));
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
    // These events were not made to follow from each other: no finding is about what is stored.
    let of_bytes = |what: &str| what.contains("appended") || what.contains("decode");
    assert!(!findings().iter().any(|finding| of_bytes(&finding.what)), "{:?}", findings());
    let before = findings().len();
    let options = WriteOptions::interactive("note", None);
    let text = annals::domain::run::RunNoted { text: "later".into() };
    store
        .write::<_, annals::store::StoreError>(&options, |log| {
            log.append(&annals::store::Append {
                stream: annals::base::RunId([200; 16]).into(),
                expected: annals::store::Expected::Revision(0),
                author: annals::store::Author {
                    actor: annals::store::Origin::At(0),
                    invocation: None,
                    key: None,
                },
                sequence: None,
                command: None,
                occurred: None,
                provenance: Provenance::Typed,
                events: &[text.into()],
            })
        })
        .unwrap();
    assert_eq!(findings().len(), before);
    let size = store.read(|log| Ok::<_, annals::store::StoreError>(log.size())).unwrap();
    assert_eq!(size, written.len() as u64 + 1);
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
    let written = older_log(&path);
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
