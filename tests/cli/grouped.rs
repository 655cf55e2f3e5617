//! `annals query` where rows are counted as they are read, and come in the order that is asked for:
//! the answers are those that SQLite makes of the whole rows.

use annals::app::{Caller, ConfigDirs, Draft, fold_policy};
use annals::base::Env;
use annals::domain::Provenance;
use annals::domain::run::{RunCommand, RunEdit, RunFacts, RunStream};
use serde_json::Value;

use crate::record_read::{damage_a_block, long_record};
use crate::support::Workspace;

type Rows = Vec<Value>;

/// The answer, and the one of SQLite alone, which gets whole tables first; sorted where the
/// question leaves the order open.
fn both(ward: &Workspace, table: &str, sql: &str, more: &[&str]) -> (Rows, Rows) {
    let ask = |sql: &str| {
        let args = [&["query", sql, "-n", "100000", "--format", "json"], more].concat();
        let answer = ward.annals(&args);
        assert!([0, 10].contains(&answer.code), "{sql}: {}", answer.err);
        let mut rows = answer.json().as_array().unwrap().clone();
        if !sql.contains("ORDER BY") {
            rows.sort_by_key(Value::to_string);
        }
        rows
    };
    let alone = sql.replace(&format!("FROM {table}"), "FROM whole");
    let alone = format!("WITH whole AS MATERIALIZED (SELECT * FROM {table}) {alone}");
    (ask(sql), ask(&alone))
}

fn plan(ward: &Workspace, sql: &str) -> String {
    ward.annals(&["query", &format!("EXPLAIN QUERY PLAN {sql}"), "--format", "json"]).ok().out
}

const QUESTIONS: &[(&str, &str)] = &[
    ("events", "SELECT kind, count(*) AS n FROM events GROUP BY kind"),
    ("events", "SELECT count(*) AS n, kind FROM events GROUP BY kind ORDER BY kind DESC"),
    ("events", "SELECT kind, count(*) AS n FROM events GROUP BY kind ORDER BY n DESC, kind"),
    ("events", "SELECT kind, count(*) AS n FROM events GROUP BY kind HAVING n > 3"),
    ("events", "SELECT run, count(*) AS n FROM events GROUP BY run"),
    ("events", "SELECT run, count(*) AS n FROM events GROUP BY run ORDER BY run DESC"),
    ("events", "SELECT provenance, kind, count(run) AS n FROM events GROUP BY kind, provenance"),
    (
        "events",
        "SELECT kind, min(version) AS a, count(DISTINCT actor) AS b FROM events GROUP BY kind",
    ),
    ("events", "SELECT DISTINCT kind FROM events"),
    ("events", "SELECT DISTINCT actor, provenance FROM events ORDER BY provenance DESC, actor"),
    ("events", "SELECT DISTINCT kind FROM events WHERE provenance = 'typed'"),
    ("events", "SELECT count(*) AS n FROM events WHERE identity = 'signed' GROUP BY kind"),
    ("events", "SELECT kind FROM events ORDER BY kind"),
    ("events", "SELECT kind FROM events ORDER BY kind LIMIT 20 OFFSET 15"),
    ("events", "SELECT kind, count(*) AS n FROM events WHERE kind = 'run.noted' GROUP BY kind"),
    ("events", "SELECT kind, count(*) AS n FROM events WHERE position >= 1500 GROUP BY kind"),
    ("events", "SELECT kind, max(position) AS p FROM events GROUP BY kind"),
    (
        "events",
        "SELECT kind, count(*) AS n FROM events WHERE recorded > '2026-01-01' GROUP BY kind",
    ),
    ("events", "SELECT kind COLLATE NOCASE AS k, count(*) AS n FROM events GROUP BY k"),
    ("events", "SELECT kind, row_number() OVER (ORDER BY kind) AS n FROM events ORDER BY kind, n"),
    (
        "events",
        "SELECT r.name, e.kind, count(*) AS n FROM events e JOIN runs r ON r.run = e.run \
         GROUP BY e.kind, r.name ORDER BY 1, 2",
    ),
    ("events", "SELECT position, kind FROM events ORDER BY position LIMIT 7"),
    ("events", "SELECT position, kind FROM events ORDER BY position DESC LIMIT 7"),
    ("events", "SELECT redacted_by, payload FROM events WHERE redacted_by > 0 ORDER BY position"),
    ("metrics", "SELECT split, direction, count(*) AS n FROM metrics GROUP BY split, direction"),
    ("metrics", "SELECT DISTINCT run, attempt, split FROM metrics ORDER BY run DESC, split DESC"),
    ("metrics", "SELECT position, name FROM metrics ORDER BY position"),
    ("runs", "SELECT actor, count(*) AS n FROM runs GROUP BY actor"),
    ("files", "SELECT kind, count(*) AS n FROM files GROUP BY kind"),
    ("policies", "SELECT DISTINCT actor FROM policies"),
    ("promotions", "SELECT status, count(*) AS n FROM promotions GROUP BY status"),
];

#[test]
fn counted_rows_are_those_that_sorting_gives() {
    let ward = long_record();
    ward.annals(&["redact", "1600", "--reason", "asked for"]).ok();
    ward.annals(&["log", "copy", "copy.redb"]).ok();
    damage_a_block(&ward.path("copy.redb"));
    let (past, damaged) = (["--as-of", "2000"], ["--log", "copy.redb"]);
    for (index, (table, sql)) in QUESTIONS.iter().enumerate() {
        for more in [&[][..], if index % 2 == 0 { &past } else { &damaged }] {
            let (ours, alone) = both(&ward, table, sql, more);
            assert_eq!(ours, alone, "{sql} {more:?}");
            assert!(!ours.is_empty() || !more.is_empty(), "{sql}");
        }
    }
}

#[test]
fn what_is_counted_or_comes_in_order_is_not_sorted() {
    let ward = long_record();
    for sql in [
        "SELECT kind, count(*) FROM events GROUP BY kind",
        "SELECT kind, count(*) FROM events GROUP BY kind ORDER BY kind DESC",
        "SELECT actor, kind, count(*) FROM events GROUP BY 1, 2",
        "SELECT DISTINCT kind FROM events",
        "SELECT DISTINCT run FROM events ORDER BY run DESC",
        "SELECT split, count(*) FROM metrics GROUP BY split",
        "SELECT * FROM events ORDER BY position LIMIT 3",
    ] {
        assert!(!plan(&ward, sql).contains("TEMP B-TREE"), "{sql}: {}", plan(&ward, sql));
    }
    for sql in [
        "SELECT kind, max(position) FROM events GROUP BY kind",
        "SELECT * FROM events ORDER BY position DESC",
        "SELECT * FROM runs ORDER BY position",
    ] {
        assert!(plan(&ward, sql).contains("TEMP B-TREE"), "{sql}: {}", plan(&ward, sql));
    }
    let sql = "SELECT kind, count(*) FROM events GROUP BY kind";
    ward.annals(&["query", sql, "--timeout", "0.000001"]).refused(130, "was stopped after");
}

/// Enough bytes that several cores have something to do.
#[test]
fn a_large_log_is_exported_in_its_order_and_always_the_same() {
    let ward = Workspace::new();
    ward.train("one", &[]).ok();
    let caller = Caller {
        actor: "mara".into(),
        host: "ward-3".into(),
        cwd: ward.root.clone(),
        argv: vec!["note".into()],
        variables: Default::default(),
        folders: Default::default(),
    };
    let dirs = ConfigDirs { keys: ward.pin_alone() };
    let app = annals::app::Workspace::open(&ward.root, caller, &dirs, Env::system()).unwrap();
    let run = app.find_run(&app.snapshot().unwrap(), "one").unwrap();
    app.decide("note", |tx| {
        let policy = fold_policy(tx.log())?;
        let facts = RunFacts::new(&policy, Provenance::Typed);
        let mut notes = Draft::<RunStream>::read(tx.log(), run)?;
        for n in 0..8_000 {
            let note = RunEdit::Note(format!("{n} {}", "x".repeat(4_000)));
            notes.decide(RunCommand::Edit(note), &facts)?;
        }
        tx.append(&mut notes)
    })
    .unwrap();
    for to in ["first", "second"] {
        ward.annals(&["export", "parquet", to]).ok();
    }
    for entry in std::fs::read_dir(ward.path("first")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let read = |to: &str| ward.read(&format!("{to}/{name}"));
        assert!(read("first") == read("second"), "{name}");
    }
    ward.annals(&["export", "jsonl", "lines", "--table", "events"]).ok();
    let text = String::from_utf8(ward.read("lines/events.jsonl")).unwrap();
    let positions = text.lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        row["position"].as_u64().unwrap()
    });
    let count = ward.annals(&["query", "SELECT count(*) FROM events", "--output", "csv"]).ok().out;
    let count: u64 = count.lines().nth(1).unwrap().parse().unwrap();
    assert!(count > 4_000);
    assert!(positions.eq(0..count));
}
