//! Two digests of each file: what events record as SHA-256 is the SHA-256 of the bytes, for every
//! kind of event that names a file; `verify` and `doctor` compare both; every answer shows both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use annals::base::{Digest, Env, FileDigests, MoveId, RequestId, RunId};
use annals::domain::registry::{ModelPromoted, PromotedFile};
use annals::domain::run::ArtifactStored;
use annals::domain::workspace::{LogsPacked, SnapshotTaken};
use annals::domain::{Event, Provenance, StreamId};
use annals::store::{Append, Author, Expected, Origin, Store, StoreError, TAG_ACTOR, WriteOptions};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::Workspace;

/// Events that name files. Each has to be met by the test below.
const KINDS: [&str; 11] = [
    "consolidation.applied",
    "logs.packed",
    "model.found_damaged",
    "model.promoted",
    "move.planned",
    "run.archived",
    "run.artifact_stored",
    "run.deleted",
    "run.restored",
    "run.started",
    "snapshot.taken",
];

/// A field with a blake3 digest, and the one beside it with the SHA-256 of the same bytes.
const PAIRS: [(&str, &str); 4] = [
    ("digest", "sha256"),
    ("found", "sha256"),
    ("manifest", "manifest_sha256"),
    ("plan", "plan_sha256"),
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The SHA-256 of every file that ever lay in the workspace, by blake3.
#[derive(Default)]
struct EventRow(BTreeMap<String, String>);

impl EventRow {
    fn look(&mut self, dir: &Path) {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if kind.is_dir() {
                self.look(&path);
            } else if kind.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                self.0.insert(blake3::hash(&bytes).to_string(), sha256(&bytes));
            }
        }
    }
}

/// Every pair of digests somewhere in `value`.
fn pairs(value: &Value, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| pairs(item, found)),
        Value::Object(fields) => {
            for (blake3, sha256) in PAIRS {
                if let (Some(Value::String(digest)), Some(other)) =
                    (fields.get(blake3), fields.get(sha256))
                {
                    found.push((digest.clone(), other.clone()));
                }
            }
            fields.values().for_each(|field| pairs(field, found));
        }
        _ => {}
    }
}

fn events(ward: &Workspace) -> Vec<Value> {
    let status = ward.annals(&["status", "--format", "json"]).ok().json();
    let size = status["events"].as_u64().unwrap();
    let show = |at: u64| ward.annals(&["show", &at.to_string(), "--format", "json"]).ok().json();
    (0..size).map(show).collect()
}

#[test]
fn each_event_that_names_a_file_has_the_sha256_of_its_bytes() {
    let ward = Workspace::bare();
    let mut seen = EventRow::default();
    let mut done = |args: &[&str]| {
        ward.annals(args).ok();
        seen.look(&ward.root);
    };
    done(&["init", "--layout", "training-output"]);
    done(&["policy", "set", "production_promotion.allow_synthetic", "true"]);
    std::fs::write(ward.path("rows.csv"), "text,label\ngood,a\nbad,b\n").unwrap();
    done(&["run", "start", "--name", "script", "--data", "rows.csv"]);
    std::fs::write(ward.path("weights.bin"), vec![7; 300_000]).unwrap();
    done(&["run", "save", "script", "weights.bin"]);
    done(&["run", "finish", "script"]);
    let train = ["train", "--config", "toy", "--sample-size", "600", "--name"];
    for (name, category) in [("night", "baseline"), ("day", "baseline"), ("mock_test", "debug")] {
        done(&[&train[..], &[name, "--category", category]].concat());
    }
    done(&["promote", "night", "--as", "notes"]);
    done(&["snapshot", "create"]);
    let model = ward.annals(&["show", "notes", "--format", "json"]).ok().json();
    let folder = model["model"]["path"].as_str().unwrap().to_owned();
    std::fs::write(ward.path(&folder).join("labels.json"), "{}").unwrap();
    done(&["repair", "notes"]);
    done(&["archive", "day", "--compress", "--drop-weights", "--yes"]);
    done(&["restore", "day"]);
    let plan = ward.annals(&["consolidate", "plan", "--format", "json"]).ok().json();
    done(&["consolidate", "apply", plan["plan_digest"].as_str().unwrap(), "--yes"]);
    done(&["layout", "pack-logs", "--before", "0 s"]);

    let mut kinds = BTreeSet::new();
    for event in events(&ward) {
        let mut found = Vec::new();
        pairs(&event["event"], &mut found);
        for (digest, other) in found {
            kinds.insert(event["kind"].as_str().unwrap().to_owned());
            let known = seen.0.get(&digest).unwrap_or_else(|| panic!("no such file: {event}"));
            assert_eq!(other.as_str(), Some(known.as_str()), "{event}");
        }
    }
    assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), KINDS);

    // The lists of snapshots have both as well.
    let list = ward.annals(&["snapshot", "show", "latest", "--format", "json"]).ok().json();
    let mut found = Vec::new();
    pairs(&list, &mut found);
    assert!(found.len() > 5, "{list}");
    for (digest, other) in found {
        assert_eq!(other.as_str(), seen.0.get(&digest).map(String::as_str), "{digest}");
    }
    ward.annals(&["verify"]).ok();
    ward.annals(&["doctor"]).ok();
}

/// Appends events that no decider made.
fn append(ward: &Workspace, stream: StreamId, events: &[Event]) {
    let store = Store::open(&ward.path(".annals"), Env::system()).unwrap();
    let write = |writer: &mut annals::store::Writer<'_>| {
        let actor = writer.name(TAG_ACTOR, "mara")?.unwrap();
        writer.append(&Append {
            stream,
            expected: Expected::Any,
            author: Author { actor: Origin::At(actor), invocation: None, key: None },
            sequence: None,
            command: None,
            occurred: None,
            provenance: Provenance::Typed,
            events,
        })
    };
    store.write::<_, StoreError>(&WriteOptions::interactive("note", None), write).unwrap();
}

/// The same bytes under another SHA-256 in an event: `verify` names the event and both digests, for
/// each kind that names a file in the blob store, and only where one was recorded.
#[test]
fn a_sha256_that_is_not_of_the_bytes_is_named() {
    let start = Workspace::new();
    start.train("night", &[]).ok();
    start.annals(&["verify"]).ok();
    let shown = start.annals(&["show", "night", "--format", "json"]).ok().json();
    let run: RunId = shown["run_id"].as_str().unwrap().parse().unwrap();
    let artifact = shown["artifacts"].as_array().unwrap()[0].clone();
    let digest: Digest = artifact[2].as_str().unwrap().parse().unwrap();
    let right = artifact[3].as_str().unwrap().to_owned();
    let wrong = FileDigests::of(b"other bytes").sha256;
    let bytes = 20;
    for sha256 in [Some(right.parse().unwrap()), None, Some(wrong)] {
        let stored =
            ArtifactStored { name: "copy".into(), path: None, digest, sha256, bytes, blob: true };
        let file = PromotedFile { path: "model".into(), digest, sha256, bytes };
        let promoted = ModelPromoted {
            request: RequestId([9; 16]),
            run,
            name: "notes".into(),
            path: "models/production/notes".into(),
            files: vec![file],
            file_move: MoveId([9; 16]),
            policy_revision: 0,
            approvers: vec![],
        };
        let taken = SnapshotTaken {
            manifest: digest,
            manifest_sha256: sha256,
            message: None,
            files: 1,
            bytes,
            commit: None,
            dirty: false,
            models: vec![],
            runs: vec![],
        };
        let packed = LogsPacked { name: "logs.tar.gz".into(), digest, sha256, bytes, runs: vec![] };
        let forged: [(StreamId, Event); 4] = [
            (run.into(), stored.into()),
            (StreamId::REGISTRY, promoted.into()),
            (StreamId::WORKSPACE, taken.into()),
            (StreamId::WORKSPACE, packed.into()),
        ];
        for (stream, event) in forged {
            let (ward, kind) = (start.copy(), event.kind().name());
            append(&ward, stream, &[event]);
            let verified = ward.annals(&["verify", "--format", "json"]);
            let about: Vec<Value> = verified.json()["findings"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|finding| finding["what"].as_str().unwrap().contains("SHA-256"))
                .cloned()
                .collect();
            if sha256 != Some(wrong) {
                assert_eq!(about, Vec::<Value>::new(), "{kind}");
                continue;
            }
            assert_eq!(about.len(), 1, "{kind}: {}", verified.out);
            let finding = &about[0];
            assert!(finding["what"].as_str().unwrap().contains(&digest.to_string()), "{finding}");
            assert_eq!(finding["expected"], wrong.to_string(), "{kind}");
            assert_eq!(finding["found"], right, "{kind}");
            let at = finding["position"].as_u64().unwrap();
            let named = ward.annals(&["show", &at.to_string(), "--format", "json"]).ok().json();
            assert_eq!(named["kind"], kind.as_str());
            assert_eq!(verified.code, 10);
        }
    }
}

#[test]
fn every_answer_about_a_file_has_both_digests() {
    let ward = Workspace::new();
    ward.allow_synthetic();
    ward.train("night", &[]).ok();
    let promoted = ward.annals(&["promote", "night", "--as", "notes"]).ok().out;
    let run = ward.annals(&["show", "night", "--format", "json"]).ok().json();
    let stored = run["artifacts"].as_array().unwrap().iter().find(|a| a[0] == "weights").unwrap();
    let path = format!("{}/{}", run["folder"].as_str().unwrap(), stored[1].as_str().unwrap());
    let bytes = ward.read(&path);
    let (blake3, sha256) = (blake3::hash(&bytes).to_string(), sha256(&bytes));
    assert_eq!(stored[2], blake3.as_str());
    assert_eq!(stored[3], sha256.as_str());
    let shown = |what: &str| ward.annals(&["show", what]).ok().out;
    for text in [promoted, shown("night"), shown("notes")] {
        assert!(text.contains(&blake3[..12]) && text.contains(&sha256[..12]), "{text}");
        assert!(!text.contains(&sha256[..13]), "more than twelve digits: {text}");
        assert_eq!(text.matches("sha256").count(), 1, "{text}");
    }
    let model = ward.annals(&["show", "notes", "--format", "json"]).ok().json();
    let files = model["model"]["files"].as_array().unwrap();
    assert!(files.iter().any(|f| f[1] == blake3.as_str() && f[3] == sha256.as_str()), "{files:?}");
    let registry: Value = serde_json::from_slice(&ward.read("MODEL_VERSION.json")).unwrap();
    let files = registry["details"]["notes"]["files"].as_array().unwrap();
    let both = |f: &&Value| f["blake3"] == blake3.as_str() && f["sha256"] == sha256.as_str();
    assert_eq!(files.iter().filter(both).count(), 1, "{files:?}");
    for table in ["artifacts", "files"] {
        let sql = format!("select digest from {table} where sha256 = '{sha256}'");
        let rows = ward.annals(&["query", &sql, "--format", "json"]).ok();
        assert!(rows.out.contains(&blake3), "{table}: {}", rows.out);
    }
    // A file is found by either digest.
    for name in [format!("sha256:{sha256}"), sha256[..16].to_owned(), blake3.clone()] {
        let why = ward.annals(&["why", &name]).ok().out;
        assert!(why.contains(&sha256) && why.contains("night"), "{name}: {why}");
        let log = ward.annals(&["log", "--file", &name]).ok().out;
        assert!(log.contains("model.promoted"), "{name}: {log}");
    }
}

/// The log of a workspace as annals wrote it before there were two digests, and what its registry
/// files were then.
#[test]
fn an_older_log_gives_the_same_files_and_says_that_sha256_was_not_recorded() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/older_log");
    let ward = Workspace::bare();
    std::fs::write(ward.path("annals.toml"), "project = \"ward\"\nlayout = \"training-output\"\n")
        .unwrap();
    std::fs::create_dir(ward.path(".annals")).unwrap();
    let packed = std::fs::File::open(golden.join("log.redb.zst")).unwrap();
    std::fs::write(ward.path(".annals/log.redb"), zstd::decode_all(packed).unwrap()).unwrap();
    ward.annals(&["verify", "--log", ".annals/log.redb"]).ok();

    ward.annals(&["replay", "--out", "../out"]).ok();
    let sums = std::fs::read_to_string(golden.join("SHA256SUMS")).unwrap();
    for (sum, file) in sums.lines().map(|line| line.split_once("  ").unwrap()) {
        assert_eq!(sha256(&ward.read(&format!("../out/{file}"))), sum, "{file}");
    }

    let mut kinds = BTreeSet::new();
    for event in events(&ward) {
        let mut found = Vec::new();
        pairs(&event["event"], &mut found);
        for (_, other) in found {
            assert_eq!(other, Value::Null, "{event}");
            kinds.insert(event["kind"].as_str().unwrap().to_owned());
        }
        if event["kind"] == "key.created" {
            assert_eq!(event["event"]["algorithm"], "ed25519");
        }
    }
    assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), KINDS);
    let shown = ward.annals(&["show", "notes"]).ok().out;
    assert!(shown.contains("not recorded"), "{shown}");
    for table in ["artifacts", "files"] {
        let sql = format!("select count(*) as n from {table} where sha256 is not null");
        assert_eq!(ward.annals(&["query", &sql, "--format", "json"]).ok().json()[0]["n"], 0);
    }
}
