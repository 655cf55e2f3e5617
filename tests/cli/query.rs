//! `annals query`: SQL over the record.

use serde_json::{Value, json};

use redb::TableDefinition;

use crate::record_read::{audited, damage_a_block, long_record};
use crate::support::Workspace;

const TABLES: [&str; 14] = [
    "events",
    "invocations",
    "runs",
    "params",
    "metrics",
    "train_checkpoints",
    "log_checkpoints",
    "artifacts",
    "moves",
    "promotions",
    "approvals",
    "models",
    "policies",
    "files",
];

#[track_caller]
fn ask(ward: &Workspace, sql: &str) -> Vec<Value> {
    let answer = ward.annals(&["query", sql, "--format", "json"]).ok().json();
    answer.as_array().unwrap().clone()
}

#[track_caller]
fn one(ward: &Workspace, sql: &str) -> Value {
    let rows = ask(ward, sql);
    assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
    rows[0].as_object().unwrap().values().next().unwrap().clone()
}

#[test]
fn tables_hold_what_the_log_holds() {
    let ward = audited();
    let log = ward.annals(&["log", "-n", "100000", "--format", "json"]).ok().json();
    let log = log.as_array().unwrap();
    let kind = |kind: &str| log.iter().filter(|e| e["kind"] == kind).collect::<Vec<_>>();
    for (sql, expected) in [
        ("SELECT count(*) FROM events", log.len()),
        ("SELECT count(*) FROM invocations", kind("invocation.started").len()),
        ("SELECT count(*) FROM runs WHERE status = 'finished'", 2),
        ("SELECT count(*) FROM approvals", kind("promotion.approved").len()),
        ("SELECT count(*) FROM promotions WHERE status = 'refused'", 1),
        ("SELECT count(*) FROM promotions WHERE status = 'granted'", 1),
        ("SELECT count(*) FROM models WHERE in_production", 1),
        ("SELECT count(*) FROM artifacts", kind("run.artifact_stored").len()),
        ("SELECT count(*) FROM moves WHERE status = 'completed'", kind("move.completed").len()),
        ("SELECT count(*) FROM train_checkpoints", kind("run.train_checkpoint_saved").len()),
        ("SELECT count(DISTINCT revision) FROM policies", kind("policy.changed").len()),
        ("SELECT count(*) FROM invocations WHERE outcome = 'refused'", 1),
    ] {
        assert_eq!(one(&ward, sql), json!(expected), "{sql}");
    }
    for (sql, kind) in [
        ("SELECT sum(k) FROM (SELECT count(*) AS k FROM params)", "params"),
        ("SELECT count(*) FROM files", "files"),
        ("SELECT count(*) FROM log_checkpoints", "log_checkpoints"),
        ("SELECT count(*) FROM metrics WHERE kind = 'run.metrics_recorded'", "metrics"),
    ] {
        assert!(one(&ward, sql).as_u64().unwrap() > 0, "{kind}");
    }
    let finished = kind("run.finished");
    for event in finished {
        let position = event["position"].as_u64().unwrap();
        let rows = ask(
            &ward,
            &format!("SELECT name, split, value FROM metrics WHERE position = {position}"),
        );
        let of_event = event["event"]["metrics"].as_array().unwrap();
        let expected: Vec<Value> = of_event
            .iter()
            .map(|m| {
                json!({ "name": m["key"]["name"], "split": m["key"]["split"], "value": m["value"] })
            })
            .collect();
        assert_eq!(rows, expected);
    }
    let model = ask(&ward, "SELECT name, version, in_production, run FROM models");
    let run = ask(&ward, "SELECT run FROM runs WHERE name = 'one'");
    assert_eq!(
        model,
        [json!({ "name": "night", "version": "1.0.0", "in_production": 1, "run": run[0]["run"] })]
    );
    assert_eq!(
        one(&ward, "SELECT payload ->> '$.name' FROM events WHERE kind = 'model.promoted'"),
        "night"
    );
}

/// What SQLite asks the log to leave out is what SQLite itself would leave out.
#[test]
fn narrowed_questions_give_the_same_rows_as_whole_tables() {
    let ward = long_record();
    let middle = one(&ward, "SELECT recorded FROM events WHERE position = 1500");
    let middle = middle.as_str().unwrap();
    let early = one(&ward, "SELECT recorded FROM events WHERE position = 30");
    let early = early.as_str().unwrap();
    let (day, spaced) = (&early[..10], early[..19].replace('T', " "));
    let run = one(&ward, "SELECT run FROM runs WHERE name = 'one'");
    let run = run.as_str().unwrap();
    for condition in [
        "position = 7",
        "position < 1024",
        "position <= 1024",
        "position > 3000",
        "position >= 3000 AND position < 3005",
        "position BETWEEN 20 AND 30",
        "position < -1",
        "position > 1e6",
        "position = '12'",
        "kind = 'run.noted'",
        "kind = 'nothing.such'",
        "kind IN ('run.started', 'model.promoted')",
        "kind = 'run.noted' AND kind = 'run.started'",
        &format!("recorded < '{middle}'"),
        &format!("recorded >= '{middle}'"),
        &format!("recorded = '{early}'"),
        &format!("recorded >= '{day}'"),
        &format!("recorded <= '{spaced}'"),
        &format!("recorded >= '{spaced}'"),
        &format!("run = '{run}' AND position < 100"),
        "run = 'nobody'",
    ] {
        let narrow =
            format!("SELECT position, kind, actor FROM events WHERE {condition} ORDER BY 1");
        // A sum with nothing keeps SQLite from handing the condition down.
        let whole = condition
            .replace("position", "(position + 0)")
            .replace("kind", "(kind || '')")
            .replace("recorded", "(recorded || '')")
            .replace("run =", "(run || '') =");
        let whole = format!("SELECT position, kind, actor FROM events WHERE {whole} ORDER BY 1");
        if condition.contains("'12'") {
            // A column that is a sum has no affinity: the text is then no number.
            assert_eq!(ask(&ward, &narrow).len(), 1);
            continue;
        }
        assert_eq!(ask(&ward, &narrow), ask(&ward, &whole), "{condition}");
    }
}

#[test]
fn saved_questions_find_what_they_ask_for() {
    let ward = audited();
    let saved = ward.annals(&["query", "--list", "--format", "json"]).ok().json();
    let names: Vec<&str> =
        saved.as_array().unwrap().iter().map(|query| query["name"].as_str().unwrap()).collect();
    let rows =
        |name: &str| ward.annals(&["query", "--saved", name, "--format", "json"]).ok().json();
    assert!(names.len() >= 6);
    for name in &names {
        rows(name);
    }
    let alone = rows("promotions_without_second_person");
    assert_eq!((&alone[0]["name"], &alone[0]["requested_by"]), (&json!("night"), &json!("mara")));
    assert_eq!(rows("promotions_policy_tightened"), json!([]));
    ward.annals(&["policy", "set", "production_promotion.approvals", "2"]).ok();
    let tightened = rows("promotions_policy_tightened");
    assert_eq!(tightened[0]["rule"], "production_promotion.approvals");
    assert_eq!(
        (&tightened[0]["value_then"], &tightened[0]["value_now"]),
        (&json!("1"), &json!("2"))
    );
    assert_eq!(rows("activity_gaps"), json!([]));
    ward.annals_at("2030-01-01T00:00:00Z", 9, &["note", "one", "back again"]).ok();
    assert!(rows("activity_gaps")[0]["days"].as_f64().unwrap() > 365.0);
    assert_eq!(rows("models_before_data"), json!([]));
    ward.annals(&["query", "--saved", "typed_metric"]).refused(4, "did you mean `typed_metrics`");
}

#[test]
fn nothing_can_write_attach_or_run_for_ever() {
    let ward = audited();
    let before = ward.read(".annals/log.redb");
    for sql in [
        "DELETE FROM events",
        "INSERT INTO runs VALUES (1)",
        "UPDATE runs SET name = 'x'",
        "CREATE TABLE t (x)",
        "CREATE TEMP TABLE t (x)",
        "CREATE VIRTUAL TABLE t USING events",
        "DROP TABLE events",
        "ATTACH 'other.db' AS other",
        "PRAGMA writable_schema = 1",
        "PRAGMA user_version",
        "VACUUM INTO 'out.db'",
        "BEGIN",
        "SELECT load_extension('x')",
        "REINDEX",
        "ANALYZE",
    ] {
        let answer = ward.annals(&["query", sql]);
        assert_ne!(answer.code, 0, "{sql}: {}", answer.out);
        assert_ne!(answer.code, 70, "{sql}: {}", answer.err);
    }
    assert_eq!(ward.read(".annals/log.redb"), before);
    let files: Vec<_> = std::fs::read_dir(&ward.root).unwrap().flatten().collect();
    assert!(files.iter().all(|f| !f.file_name().to_string_lossy().ends_with(".db")));
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                   SELECT max(i) FROM n";
    ward.annals(&["query", endless, "--timeout", "0.5"]).refused(130, "stopped after 0.5 s");
    let rows = "SELECT randomblob(8000000) FROM events a, events b";
    ward.annals(&["query", rows, "--timeout", "0.5"]).refused(130, "stopped after 0.5 s");
    ward.annals(&["query", rows, "-n", "100000"]).refused(2, "more than 512 MiB");
    let product = "SELECT count(*) FROM events, invocations, runs, params, metrics, artifacts, \
                   moves, files, policies, events a, events b, events c";
    ward.annals(&["query", product, "--timeout", "0.5"]).refused(130, "stopped after 0.5 s");
    let many = ward.annals(&["query", "SELECT * FROM events", "-n", "5", "--output", "csv"]).ok();
    assert_eq!(many.out.lines().count(), 6);
    assert!(many.err.contains("there are more than these 5 rows"), "{}", many.err);
}

#[test]
fn mistakes_are_shown_where_they_are() {
    let ward = Workspace::new();
    for (sql, said) in [
        ("SELECT nme FROM runs", "no such column: nme, at line 1, column 8"),
        ("SELECT name\nFROM rnus", "no such table: rnus, at line 2, column 6"),
        ("SELECT r.nme FROM runs r", "no such column: r.nme, at line 1, column 8"),
        ("SELECT nosuch(1)", "no such function: nosuch, at line 1, column 8"),
        ("SELECT\n  1 +\n FROM runs", "at line 3, column 2"),
        ("SELECT 1; SELECT 2", "only one statement"),
        ("", "gives no rows"),
        ("SELECT ?1, :name", "a query has no parameters"),
        ("SELECT zeroblob(100000000)", "a value has more than 16 MiB"),
        ("SELECT json('{')", "malformed JSON"),
        ("SELECT * FROM \"ru\"\"ns\"", "no such table: ru\"ns"),
        ("SELECT 1 \u{1}", "unrecognized token"),
        ("SELECT writefile('x', 'y')", "no such function: writefile, at line 1, column 8"),
        ("SELECT * FROM pragma_database_list", "only reads"),
    ] {
        ward.annals(&["query", sql]).refused(2, said);
    }
    ward.annals(&["query"]).refused(2, "required");
    let name = "'; DROP TABLE events; --";
    ward.train(name, &[]).refused(2, "");
    let tables = ward.annals(&["query", "--tables", "--format", "json"]).ok().json();
    let names: Vec<&str> =
        tables.as_array().unwrap().iter().map(|table| table["table"].as_str().unwrap()).collect();
    assert_eq!(names, TABLES);
}

#[test]
fn a_copied_log_with_damage_answers_from_the_rest() {
    let ward = long_record();
    let all = one(&ward, "SELECT count(*) FROM events").as_u64().unwrap();
    ward.annals(&["log", "copy", "copy.redb"]).ok();
    let sql = "SELECT count(*) AS n FROM events";
    let there = ward.annals(&["query", sql, "--log", "copy.redb", "--format", "json"]).ok().json();
    assert_eq!(there[0]["n"], all);
    let then = ward.annals(&["query", sql, "--as-of", "99", "--format", "json"]).ok().json();
    assert_eq!(then[0]["n"], 100);
    let (first, last) = damage_a_block(&ward.path("copy.redb"));
    let answer = ward.annals(&["query", sql, "--log", "copy.redb", "--format", "json"]);
    assert_eq!(answer.json()[0]["n"], all - (last - first + 1));
    answer.refused(10, &format!("positions {first} to {last} are damaged and skipped"));
}

#[test]
fn damage_in_a_workspace_is_damage_and_no_failure_of_a_disk() {
    let ward = long_record();
    let blocks = TableDefinition::<(u64, u16), &[u8]>::new("blocks");
    let db = redb::Database::open(ward.path(".annals/log.redb")).unwrap();
    let txn = db.begin_write().unwrap();
    assert!(txn.open_table(blocks).unwrap().remove((0, 0)).unwrap().is_some());
    txn.commit().unwrap();
    drop(db);
    let answer = ward.annals(&["query", "SELECT count(*) FROM events"]);
    answer.refused(10, "the log is damaged");
}

#[test]
fn a_join_asks_the_larger_table_once() {
    let ward = Workspace::new();
    let script = "seq 1 30000 | sed 's/.*/{\"step\": &, \"loss\": 0.5}/'";
    ward.annals(&["run", "exec", "--name", "long", "--", "sh", "-c", script]).ok();
    // A question for each point would take a minute.
    for join in ["metrics join runs using (run)", "runs join metrics using (run)"] {
        let sql = format!("select count(*) from {join} where metrics.name = 'loss'");
        let answer = ward.annals(&["query", &sql, "--timeout", "15"]).ok();
        assert!(answer.out.contains("30001"), "{}", answer.out);
    }
}

#[test]
fn formulas_are_texts_where_a_spreadsheet_will_read_them() {
    let ward = Workspace::new();
    let sql = "select '=1+1' as \"=a\", '+x' as b, '-5' as c, -5 as d, '@sum' as e, '-x' as f, \
               -0.5 as g, 'a=b' as h";
    let exact = ward.annals(&["query", sql, "--output", "csv"]).ok().out;
    assert_eq!(exact, "=a,b,c,d,e,f,g,h\n=1+1,+x,-5,-5,@sum,-x,-0.5,a=b\n");
    let safe = ward.annals(&["query", sql, "--output", "csv", "--spreadsheet"]).ok().out;
    assert_eq!(safe, "'=a,b,c,d,e,f,g,h\n'=1+1,'+x,-5,-5,'@sum,'-x,-0.5,a=b\n");
    ward.annals(&["query", sql, "--out", "safe.csv", "--spreadsheet"]).ok();
    assert_eq!(ward.read("safe.csv"), safe.as_bytes());
}
