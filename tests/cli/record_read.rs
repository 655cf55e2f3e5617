//! The record as an auditor reads it: filters of `log`, `show`, `--log` on a copy, `--as-of`.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::Stdio;

use annals::app::{Caller, ConfigDirs, Draft, fold_policy};
use annals::base::Env;
use annals::domain::Provenance;
use annals::domain::run::{RunCommand, RunEdit, RunFacts, RunStream};
use redb::{ReadableTable as _, TableDefinition};
use serde_json::Value;

use crate::support::Workspace;

/// A run that was refused and then promoted, and another one.
pub fn audited() -> Workspace {
    let ward = Workspace::new();
    ward.train("one", &[]).ok();
    ward.annals(&["promote", "one"]).refused(5, "");
    ward.allow_synthetic();
    ward.annals(&["promote", "one", "--as", "night"]).ok();
    ward.train("two", &["--seed", "7"]).ok();
    ward
}

/// The lines of `annals log` with these filters, newest first.
fn log(ward: &Workspace, more: &[&str]) -> Vec<Value> {
    let all = ["log", "-n", "100000", "--format", "json"];
    let answer = ward.annals(&[&all[..], more].concat()).ok().json();
    answer.as_array().unwrap().clone()
}

fn kinds(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["kind"].as_str().unwrap()).collect()
}

#[test]
fn each_filter_takes_what_a_look_at_every_event_takes() {
    let ward = audited();
    ward.annals_as("noor", &["note", "two", "seen"]).ok();
    let all = log(&ward, &[]);
    let positions: Vec<u64> = all.iter().map(|l| l["position"].as_u64().unwrap()).collect();
    assert_eq!(positions, (0..all.len() as u64).rev().collect::<Vec<_>>());
    let naive = |f: &dyn Fn(&Value) -> bool| -> Vec<Value> {
        all.iter().filter(|line| f(line)).cloned().collect()
    };
    let kind = |line: &Value, start: &str| line["kind"].as_str().unwrap().starts_with(start);
    let run = all.iter().find(|l| l["kind"] == "run.noted").unwrap()["stream"].clone();
    let start = all.iter().rev().find(|l| l["kind"] == "run.started").unwrap();
    let digest = all.iter().find(|l| l["kind"] == "model.promoted").unwrap();
    let digest = digest["event"]["files"][0]["digest"].as_str().unwrap();
    let invocation = start["invocation"].as_u64().unwrap();
    let middle = all[all.len() / 2]["recorded"].as_str().unwrap();
    let ten = ["--positions", "10..20"];
    for (args, expected) in [
        (&["--kind", "promotion.*"][..], naive(&|l| kind(l, "promotion."))),
        (&["--kind", "*.promoted", "--kind", "policy"], {
            naive(&|l| kind(l, "policy.") || l["kind"] == "model.promoted")
        }),
        (&["--actor", "noor"], naive(&|l| l["actor"] == "noor")),
        (&["--run", "two"], naive(&|l| l["stream"] == run)),
        (&ten, naive(&|l| (10..20).contains(&l["position"].as_u64().unwrap()))),
        (&["--since", middle], naive(&|l| l["recorded"].as_str().unwrap() >= middle)),
        (&["--until", middle], naive(&|l| l["recorded"].as_str().unwrap() < middle)),
        (&["--since", "2 weeks"], all.clone()),
        (&["--until", "1 hour ago"], vec![]),
        (&["--invocation", &invocation.to_string()], naive(&|l| l["invocation"] == invocation)),
        (&["--file", digest], naive(&|l| l["event"].to_string().contains(digest))),
    ] {
        let found = log(&ward, args);
        assert_eq!(found, expected, "{args:?}");
    }
    let refused = log(&ward, &["--refused"]);
    assert_eq!(kinds(&refused), ["invocation.finished", "promotion.refused"]);
    let model = log(&ward, &["--model", "night"]);
    let of_model = kinds(&model);
    for kind in ["promotion.requested", "promotion.approved", "model.promoted", "move.completed"] {
        assert!(of_model.contains(&kind), "{kind} is not in {of_model:?}");
    }
    assert!(!of_model.contains(&"promotion.refused"), "{of_model:?}");
    let lines = ward.annals(&["log", "--kind", "run.", "--format", "jsonl"]).ok().out;
    assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    ward.annals(&["log", "--actor", "mora"]).refused(4, "did you mean `mara`");
    ward.annals(&["log", "--since", "last spring"]).refused(2, "is not a time");
    ward.annals(&["log", "--positions", "7"]).refused(2, "not a range");
    ward.annals(&["log", "--invocation", "zzzz"]).refused(4, "no invocation");
}

#[test]
fn people_read_the_log_by_invocation() {
    let ward = audited();
    let out = ward.annals(&["log"]).ok().out;
    let train = out.matches("annals train").count();
    assert_eq!(train, 2, "one heading for each invocation:\n{out}");
    let answer = ward.annals(&["show", "night@1", "--format", "json"]).ok().json();
    assert_eq!(answer["state"], "in production");
    assert_eq!(answer["model"]["version"], "1.0.0");
    ward.annals(&["show", "night@9"]).refused(4, "its versions are 1.0.0");
    let promoted = &log(&ward, &["--kind", "model.promoted"])[0];
    let start = promoted["invocation"].as_u64().unwrap();
    let id = ward.annals(&["show", &start.to_string(), "--format", "json"]).ok().json();
    let id = id["stream"].as_str().unwrap().to_owned();
    let shown = ward.annals(&["show", &id, "--format", "json"]).ok().json();
    assert_eq!(shown["words"], "promote one --as night");
    assert_eq!(shown["outcome"], "succeeded");
    let events = shown["events"].as_array().unwrap();
    assert!(events.iter().any(|event| event["kind"] == "model.promoted"));
    assert!(ward.annals(&["show", &id]).ok().out.contains("ended"));
}

#[test]
fn following_shows_what_comes() {
    let ward = Workspace::new();
    let mut child = ward.start(&["log", "--follow", "--format", "jsonl"], Stdio::piped());
    ward.train("late", &[]).ok();
    std::thread::sleep(std::time::Duration::from_secs(2));
    child.kill().unwrap();
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    child.wait().unwrap();
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let positions: Vec<u64> = lines.iter().map(|l| l["position"].as_u64().unwrap()).collect();
    assert_eq!(positions, (0..lines.len() as u64).collect::<Vec<_>>());
    assert!(kinds(&lines).contains(&"run.finished"));
}

#[test]
fn a_copied_log_answers_alone() {
    let ward = audited();
    ward.annals(&["log", "copy", "copy.redb"]).ok();
    let alone = Workspace::bare();
    std::fs::copy(ward.path("copy.redb"), alone.path("copy.redb")).unwrap();
    for verb in [
        &["log"][..],
        &["log", "--model", "night"],
        &["list"],
        &["show", "two"],
        &["show", "night"],
        &["status"],
        &["best"],
        &["candidates"],
        &["policy", "show"],
        &["policy", "history"],
        &["policy", "diff"],
        &["list", "--as-of", "20"],
    ] {
        let here = ward.annals(verb).ok().out;
        let there = alone.annals(&[verb, &["--log", "copy.redb"]].concat()).ok().out;
        assert_eq!(here, there, "{verb:?}");
    }
    let files: Vec<_> = std::fs::read_dir(&alone.root).unwrap().collect();
    assert_eq!(files.len(), 1, "nothing is written beside a copied log");
    alone.annals(&["log", "--log", "none.redb"]).refused(4, "there is no log");
    std::fs::write(alone.path("text.redb"), "nothing of the kind").unwrap();
    alone.annals(&["log", "--log", "text.redb"]).refused(10, "");
}

#[test]
fn earlier_states_are_what_was_shown_then() {
    let ward = Workspace::new();
    let verbs = [
        &["list"][..],
        &["status"],
        &["best"],
        &["candidates"],
        &["policy", "show"],
        &["policy", "history"],
    ];
    let json = |more: &[&str]| {
        verbs.map(|verb| {
            let mut value = ward.annals(&[verb, more, &["--format", "json"]].concat()).ok().json();
            // Files are not of the log, and so not of the past.
            value.as_object_mut().map(|status| status.remove("changed_files"));
            value
        })
    };
    let mut then = Vec::new();
    let steps: [&[&str]; 5] = [
        &["train", "--config", "toy", "--name", "one", "--sample-size", "600"],
        &["policy", "set", "production_promotion.allow_synthetic", "true"],
        &["classify", "one", "--as", "baseline"],
        &["promote", "one", "--as", "night"],
        &["demote", "night", "--reason", "too old"],
    ];
    for step in steps {
        ward.annals(step).ok();
        let last = log(&ward, &[])[0].clone();
        then.push((last, json(&[])));
    }
    for (last, shown) in &then {
        let position = last["position"].to_string();
        assert_eq!(&json(&["--as-of", &position]), shown, "as of position {position}");
        let time = last["recorded"].as_str().unwrap();
        assert_eq!(&json(&["--as-of", time]), shown, "as of {time}");
    }
    let position = then[3].0["position"].to_string();
    let night = ward.annals(&["show", "night", "--as-of", &position]).ok().out;
    assert!(night.contains("(in production)"), "{night}");
    assert!(ward.annals(&["show", "night"]).ok().out.contains("(not in production)"));
    ward.annals(&["show", "night", "--as-of", "20"]).refused(4, "no run");
    ward.annals(&["list", "--as-of", "100000"]).refused(4, "no position 100000");
    ward.annals(&["list", "--as-of", "someday"]).refused(2, "not a time");
}

/// Turns one byte of a sealed block over; gives the block's first and last position.
pub fn damage_a_block(path: &std::path::Path) -> (u64, u64) {
    let blocks = TableDefinition::<(u64, u16), &[u8]>::new("blocks");
    let db = redb::Database::open(path).unwrap();
    let txn = db.begin_write().unwrap();
    let span = {
        let mut table = txn.open_table(blocks).unwrap();
        let mut firsts: Vec<u64> = table.iter().unwrap().map(|r| r.unwrap().0.value().0).collect();
        firsts.dedup();
        let first = firsts[0];
        let mut bytes = table.get((first, 0)).unwrap().unwrap().value().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        table.insert((first, 0), bytes.as_slice()).unwrap();
        let headers = TableDefinition::<u64, &[u8]>::new("block_headers");
        let headers = txn.open_table(headers).unwrap();
        let next = headers.range(first + 1..).unwrap().next().map(|r| r.unwrap().0.value());
        (first, next)
    };
    txn.commit().unwrap();
    (span.0, span.1.expect("two blocks") - 1)
}

/// The workspace of [`audited`] with thousands of notes on one of its runs.
pub fn long_record() -> Workspace {
    let ward = audited();
    let caller = Caller {
        actor: "mara".into(),
        host: "ward-3".into(),
        cwd: ward.root.clone(),
        argv: vec!["note".into()],
        variables: BTreeMap::default(),
        folders: Default::default(),
    };
    let dirs = ConfigDirs { keys: ward.pin_alone() };
    let app = annals::app::Workspace::open(&ward.root, caller, &dirs, Env::system()).unwrap();
    let run = app.find_run(&app.snapshot().unwrap(), "one").unwrap();
    app.decide("note", |tx| {
        let policy = fold_policy(tx.log())?;
        let facts = RunFacts::new(&policy, Provenance::Typed);
        let mut notes = Draft::<RunStream>::read(tx.log(), run)?;
        for n in 0..3_000 {
            let note = RunEdit::Note(format!("note {n}"));
            notes.decide(RunCommand::Edit(note), &facts)?;
        }
        tx.append(&mut notes)
    })
    .unwrap();
    ward
}

#[test]
fn damage_is_said_and_the_rest_is_answered() {
    let ward = long_record();
    let whole = log(&ward, &[]);
    ward.annals(&["log", "copy", "copy.redb"]).ok();
    let (first, last) = damage_a_block(&ward.path("copy.redb"));
    let answer = ward.annals(&["log", "--log", "copy.redb", "-n", "100000", "--format", "json"]);
    let rest: Vec<Value> = answer.json().as_array().unwrap().clone();
    let answer =
        answer.refused(10, &format!("positions {first} to {last} are damaged and skipped"));
    assert!(answer.err.contains("the result is incomplete"), "{}", answer.err);
    let outside = |line: &&Value| !(first..=last).contains(&line["position"].as_u64().unwrap());
    let mut expected: Vec<Value> = whole.iter().filter(outside).cloned().collect();
    // Who used which words is lost with the events that said so.
    let strip = |lines: &mut Vec<Value>| {
        for line in lines {
            let line = line.as_object_mut().unwrap();
            line.remove("words");
            line.remove("actor");
        }
    };
    let mut rest = rest;
    strip(&mut rest);
    strip(&mut expected);
    assert!(!rest.is_empty());
    assert_eq!(rest, expected);
    let range = format!("{}..", last + 1);
    let newer = ["log", "--log", "copy.redb", "--positions", &range];
    ward.annals(&newer).ok();
    ward.annals(&["list", "--log", "copy.redb"]).refused(10, "damaged");
}

/// A flipped bit that still decodes must not be told as what happened.
#[test]
fn a_changed_event_of_the_tail_is_lost_and_not_told() {
    let ward = Workspace::new();
    ward.train("night", &[]).ok();
    for text in ["first", "second", "third"] {
        ward.annals(&["note", "night", text]).ok();
    }
    let noted = ward.annals(&["log", "--kind", "run.noted", "--format", "json"]).ok().json();
    let at = noted[1]["position"].as_u64().unwrap();
    ward.annals(&["log", "copy", "copy.redb"]).ok();
    let tail = TableDefinition::<u64, &[u8]>::new("tail");
    {
        let db = redb::Database::open(ward.path("copy.redb")).unwrap();
        let txn = db.begin_write().unwrap();
        {
            let mut table = txn.open_table(tail).unwrap();
            let mut bytes = table.get(at).unwrap().unwrap().value().to_vec();
            let end = bytes.len() - 1;
            bytes[end] ^= 2;
            table.insert(at, bytes.as_slice()).unwrap();
        }
        txn.commit().unwrap();
    }
    let answer = ward.annals(&["log", "--log", "copy.redb", "-n", "1000"]);
    assert!(!answer.out.contains("seconf"), "{}", answer.out);
    assert!(answer.out.contains("first"), "{}", answer.out);
    answer.refused(10, "not what was appended");
    let at = at.to_string();
    let shown = ward.annals(&["show", &at, "--log", "copy.redb"]);
    assert_eq!(shown.code, 10, "{}{}", shown.out, shown.err);
    assert!(!shown.out.contains("seconf"), "{}", shown.out);
    ward.annals(&["show", "night", "--log", "copy.redb"]).refused(10, "damaged");
}
