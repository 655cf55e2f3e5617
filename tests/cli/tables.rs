//! The tables of `annals query` say what the views say, whatever happened before.

use serde_json::Value;

use crate::support::Workspace;

fn ask(ward: &Workspace, args: &[&str]) -> Value {
    ward.annals(&[args, &["--format", "json"]].concat()).ok().json()
}

fn rows(value: Value) -> Vec<Value> {
    let Value::Array(rows) = value else { panic!("{value} is no list") };
    rows
}

fn sql(ward: &Workspace, sql: &str) -> Vec<Value> {
    rows(ask(ward, &["query", sql, "-n", "1000000"]))
}

/// A yes or no of a view, as SQL has it.
fn flag(value: &Value) -> Value {
    i32::from(value.as_bool().unwrap_or(!value.is_null())).into()
}

/// Every run, as `show` has it.
#[track_caller]
fn runs_agree(ward: &Workspace) {
    let table = sql(ward, "SELECT * FROM runs ORDER BY position DESC");
    let listed = rows(ask(ward, &["list", "-n", "1000000"]));
    assert_eq!(table.len(), listed.len());
    for (row, line) in table.iter().zip(&listed) {
        let id = line["experiment_id"].as_str().unwrap();
        let run = ask(ward, &["show", id]);
        for (column, field) in [
            ("run", "run_id"),
            ("experiment_id", "experiment_id"),
            ("name", "experiment_name"),
            ("folder", "folder"),
            ("status", "status"),
            ("category", "category"),
            ("config", "config_digest"),
            ("leaked_rows", "leaked_rows"),
            ("position", "started_position"),
            ("ended_position", "ended_position"),
            ("weights", "weights"),
            ("reason", "reason"),
        ] {
            assert_eq!(row[column], run[field], "{column} of {id}");
        }
        let archive =
            if run["archive"].is_object() { &run["archive"]["archive"] } else { &run["archive"] };
        assert_eq!(row["archived"], *archive, "archive of {id}: {}", run["archive"]);
        assert_eq!(row["deleted"], flag(&run["deleted"]), "{id}");
        assert_eq!(row["pinned"], flag(&run["pinned"]), "{id}");
        let tags: Vec<&str> =
            run["tags"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(row["tags"], tags.join(" "), "{id}");
        let equal = run["reproductions"].as_array().unwrap().iter().filter(|r| r["equal"] == true);
        assert_eq!(row["reproduced"], equal.count(), "{id}");
    }
}

/// Every version of every model, as `version list` has it.
#[track_caller]
fn models_agree(ward: &Workspace) -> usize {
    let placed = sql(ward, "SELECT name FROM models WHERE in_production");
    let status = ask(ward, &["status"]);
    assert_eq!(status["production"], placed.len());
    let names = sql(ward, "SELECT DISTINCT name FROM models");
    for name in &names {
        let name = name["name"].as_str().unwrap();
        let table =
            sql(ward, &format!("SELECT * FROM models WHERE name = '{name}' ORDER BY number"));
        let shown = ask(ward, &["show", name]);
        let placed = (shown["state"] == "in production").then(|| shown["model"]["number"].clone());
        let versions = rows(ask(ward, &["version", "list", name]));
        assert_eq!(table.len(), versions.len(), "{name}");
        for (row, version) in table.iter().zip(&versions) {
            for field in ["number", "version", "path", "position"] {
                assert_eq!(row[field], version[field], "{field} of {name}");
            }
            let here = placed.as_ref() == Some(&version["number"]);
            assert_eq!(row["in_production"], i32::from(here), "{name}");
        }
    }
    let open = sql(ward, "SELECT request FROM promotions WHERE status = 'open'");
    assert_eq!(status["open_requests"].as_array().unwrap().len(), open.len());
    names.len()
}

/// What is in a folder is what no event has taken out of it.
#[track_caller]
fn checkpoints_agree(ward: &Workspace) {
    let kept = "SELECT r.folder || '/' || c.path AS path FROM train_checkpoints c JOIN runs r \
                USING (run) WHERE r.archived IS NULL AND c.pruned_position IS NULL";
    for row in sql(ward, kept) {
        let path = row["path"].as_str().unwrap();
        assert!(ward.path(path).exists(), "{path} is in the table and not in its folder");
    }
    let gone = "SELECT c.path FROM train_checkpoints c JOIN runs r USING (run) \
                WHERE r.deleted AND c.pruned_position IS NULL";
    assert_eq!(sql(ward, gone), Vec::<Value>::new());
}

/// All of them.
#[track_caller]
pub fn agree(ward: &Workspace) {
    runs_agree(ward);
    models_agree(ward);
    checkpoints_agree(ward);
}

#[test]
fn what_was_moved_renamed_and_deleted_is_so_in_the_tables() {
    let ward = Workspace::new();
    ward.allow_synthetic();
    for name in ["one", "two", "three"] {
        ward.train(name, &[]).ok();
    }
    ward.annals(&["promote", "one", "--as", "night"]).ok();
    ward.annals(&["rename", "two", "zwei"]).ok();
    ward.annals(&["tag", "two", "+x", "-toy"]).ok();
    ward.annals(&["archive", "three", "--reason", "old"]).ok();
    agree(&ward);
    let path = |sql_: &str| sql(&ward, sql_)[0]["path"].clone();
    let model = "SELECT path FROM models";
    let run = "SELECT folder AS path FROM runs ORDER BY position";
    let (before, folder) = (path(model), path(run));
    ward.annals(&["layout", "migrate", "training-output", "--apply"]).ok();
    assert_ne!(path(model), before);
    assert_ne!(path(run), folder);
    agree(&ward);
    assert_eq!(models_agree(&ward), 1);
}
