//! Runs of other trainers: reported call by call, supervised from start to end; refused, killed at
//! every step, run twice and by several processes.

use crate::support::{Workspace, interrupt, kill_9, wait_for};
use crate::walk::{agree, every_step};

fn write(ward: &Workspace, file: &str, text: &str) {
    std::fs::write(ward.path(file), text).unwrap();
}

fn run_of(ward: &Workspace, text: &str) -> serde_json::Value {
    ward.annals(&["show", text, "--format", "json"]).ok().json()
}

const CONFUSION: &str = r#"{"labels": ["calm", "risk"], "matrix": [[90, 10], [20, 80]]}"#;

/// A run that a script began.
fn begun() -> Workspace {
    let ward = Workspace::new();
    write(&ward, "data.csv", "text,label\n");
    write(&ward, "settings.yaml", "model:\n  layers: 3\n  name: tree\n");
    write(&ward, "model.joblib", "weights");
    write(&ward, "confusion.json", CONFUSION);
    ward.annals(&[
        "run",
        "start",
        "--name",
        "forest",
        "--config",
        "settings.yaml",
        "--param",
        "model.depth=7",
        "--data",
        "data.csv",
        "--labels",
        "calm,risk",
        "--seed",
        "5",
        "--tags",
        "baseline",
        "--synthetic",
        "false",
        "--leaked-rows",
        "0",
    ])
    .ok();
    ward
}

#[test]
fn a_script_reports_its_run_and_it_goes_into_production() {
    let ward = begun();
    let id = run_of(&ward, "forest")["experiment_id"].as_str().unwrap().to_owned();
    ward.annals(&["run", "log", &id, "train/loss=0.5", "--epoch", "1"]).ok();
    ward.annals(&["run", "log", &id, "train/loss=0.25", "regret:lower=3"]).ok();
    // It has no supervisor: it runs until the script says otherwise.
    assert_eq!(run_of(&ward, "forest")["status"], "running");
    assert_eq!(ward.annals(&["list", "--format", "json"]).ok().json()[0]["status"], "running");
    ward.annals(&["promote", "forest"]).refused(5, "is running");
    ward.annals(&["run", "save", &id, "model.joblib"]).ok();
    let finished = ward.annals(&["run", "finish", &id, "--confusion", "confusion.json"]).ok().out;
    assert!(finished.contains("is finished") && finished.contains("0.8500"), "{finished}");

    let run = run_of(&ward, "forest");
    assert_eq!((&run["provenance"], &run["seed"]), (&"reported".into(), &5.into()));
    assert_eq!(
        run["parameters"],
        serde_json::json!({
            "model.depth": "7",
            "model.layers": "3",
            "model.name": "\"tree\"",
        })
    );
    assert_eq!(run["rows"], serde_json::json!([["test", 200]]));
    assert_eq!(run["weights"], blake3::hash(b"weights").to_string());
    let judged = ward.annals(&["candidates", "forest"]).ok().out;
    assert!(judged.contains("is a candidate") && judged.contains("reported"), "{judged}");
    ward.annals(&["promote", "forest", "--as", "forest"]).ok();
    for file in ["model.joblib", "config.yaml", "config.json", "labels.json", "README.md"] {
        assert!(ward.path(&format!("models/production/forest/{file}")).is_file(), "{file}");
    }
    let card = String::from_utf8(ward.read("models/production/forest/README.md")).unwrap();
    assert!(card.contains("reported"), "{card}");
    agree(&ward);
    for verb in [&["run", "log", &id, "a=1"][..], &["run", "save", &id, "model.joblib"]] {
        ward.annals(verb).refused(5, "is finished, and only a running one takes in facts");
    }
    ward.annals(&["run", "finish", &id]).refused(5, "is finished");
    ward.annals(&["run", "fail", &id, "--reason", "x"]).refused(5, "is finished");
    agree(&ward);
}

#[test]
fn what_a_script_says_wrongly_changes_nothing() {
    let ward = begun();
    let size = || ward.annals(&["status", "--format", "json"]).ok().json()["events"].clone();
    let before = size();
    let start = |more: &[&str]| ward.annals(&[&["run", "start", "--name"], more].concat());
    start(&["../x"]).refused(2, "name");
    start(&["a", "--config", "nothing.yaml"]).refused(7, "nothing.yaml");
    write(&ward, "bad.yaml", "a: [1,\n");
    start(&["a", "--config", "bad.yaml"]).refused(3, "bad.yaml");
    write(&ward, "list.json", "[1]");
    start(&["a", "--config", "list.json"]).refused(3, "a map of settings");
    start(&["a", "--data", "nothing.csv"]).refused(7, "nothing.csv");
    start(&["a", "--rows", "dev=3"]).refused(2, "train, valid or test");
    for (metric, why) in [
        ("loss", "KEY=NUMBER"),
        ("loss=nan", "not a finite"),
        ("dev/loss=1", "does not name its split"),
    ] {
        let code = if why == "not a finite" { 3 } else { 2 };
        ward.annals(&["run", "log", "forest", metric]).refused(code, why);
    }
    ward.annals(&["run", "log", "nothing", "loss=1"]).refused(4, "no run");
    ward.annals(&["run", "save", "forest", "nothing.pt"]).refused(3, "is not a file");
    ward.annals(&["run", "save", "forest", "data.csv", "--as", "../x"]).refused(2, "name");
    write(&ward, "odd.json", r#"{"labels": ["a"], "matrix": [[1, 2]]}"#);
    ward.annals(&["run", "finish", "forest", "--confusion", "odd.json"])
        .refused(3, "1 labels need");
    ward.annals(&["run", "fail", "forest", "--reason", " "]).refused(2, "a reason");
    assert_eq!(size(), before);
    let folders = std::fs::read_dir(ward.path("experiments")).unwrap().count();
    assert_eq!(folders, 1, "a refused start left a folder");
    ward.annals(&["run", "fail", "forest", "--reason", "out of memory", "--exit-code", "137"]).ok();
    let run = run_of(&ward, "forest");
    assert_eq!((&run["status"], &run["reason"]), (&"failed".into(), &"out of memory".into()));
    agree(&ward);
}

#[test]
fn a_run_without_a_model_ends_well_and_is_not_promoted() {
    let ward = begun();
    ward.annals(&["run", "finish", "forest", "test/accuracy=0.9", "test/f1_macro=0.9"]).ok();
    let run = run_of(&ward, "forest");
    assert_eq!((&run["status"], &run["weights"]), (&"finished".into(), &serde_json::Value::Null));
    for (key, value) in [("min_class_f1", "0"), ("min_test_rows", "0")] {
        ward.annals(&["policy", "set", &format!("production_promotion.{key}"), value]).ok();
    }
    let refused = ward.annals(&["promote", "forest"]);
    assert_eq!(refused.code, 5, "{}", refused.err);
    agree(&ward);
}

#[test]
fn saved_files_are_never_written_over() {
    let ward = begun();
    ward.annals(&["run", "save", "forest", "model.joblib"]).ok();
    let events = || ward.annals(&["log", "--kind", "run.artifact_stored", "--format", "json"]);
    let before = events().ok().json().as_array().unwrap().len();
    ward.annals(&["run", "save", "forest", "model.joblib"]).ok();
    assert_eq!(events().ok().json().as_array().unwrap().len(), before, "the same bytes again");
    write(&ward, "model.joblib", "better weights");
    let saved = ward.annals(&["run", "save", "forest", "model.joblib"]).ok().out;
    assert!(saved.contains("checkpoints/model_2.joblib"), "{saved}");
    ward.annals(&["run", "finish", "forest"]).ok();
    let folder = run_of(&ward, "forest")["folder"].as_str().unwrap().to_owned();
    assert_eq!(ward.read(&format!("{folder}/checkpoints/model.joblib")), b"weights");
    assert_eq!(run_of(&ward, "forest")["weights"], blake3::hash(b"better weights").to_string());
    agree(&ward);
}

#[test]
fn every_report_is_killed_at_every_step() {
    let ward = begun();
    every_step(&ward, &["run", "log", "forest", "train/loss=0.5", "--step", "3"]);
    every_step(&ward, &["run", "save", "forest", "model.joblib"]);
    every_step(&ward, &["run", "finish", "forest", "test/accuracy=0.9"]);
    every_step(&ward, &["run", "fail", "forest", "--reason", "no"]);
    every_step(&ward, &["run", "start", "--name", "again"]);
    every_step(&ward, &["run", "exec", "--name", "once", "--", "true"]);
}

#[test]
fn several_processes_report_at_once() {
    let ward = begun();
    let mut children: Vec<_> = (0..8)
        .map(|i| {
            let metric = format!("train/loss_{i}=1.5");
            ward.spawn(&["run", "log", "forest", &metric, "--step", "1"])
        })
        .collect();
    children.iter_mut().for_each(|child| assert!(child.wait().unwrap().success()));
    ward.annals(&["run", "finish", "forest"]).ok();
    assert_eq!(run_of(&ward, "forest")["metrics"].as_array().unwrap().len(), 8);
    agree(&ward);
}

#[test]
fn many_lines_become_few_events() {
    let ward = Workspace::new();
    let script = r#"
i=0
while [ $i -lt 3000 ]; do
    i=$((i+1))
    echo "{\"step\": $i, \"loss\": 0.$i}"
done"#;
    ward.annals(&["run", "exec", "--name", "many", "--", "sh", "-c", script]).ok();
    let events = ward.annals(&["log", "--kind", "run.metrics_recorded", "--format", "json"]).ok();
    let count = events.json().as_array().unwrap().len();
    assert!((3..=40).contains(&count), "{count} events for 3000 points");
    let loss = &run_of(&ward, "many")["metrics"][0];
    assert_eq!((&loss["key"]["name"], &loss["value"]), (&"loss".into(), &0.3.into()));
}

const SCRIPT: &str = r#"
echo "starting in $ANNALS_RUN_FOLDER"
echo '{"step": 1, "epoch": 1, "split": "train", "loss": 0.5}'
echo '{"step": 2, "epoch": 2, "split": "train", "loss": 0.25, "note": "falls"}'
echo 'not { json'
echo 'a warning' >&2
printf weights > model.bin
echo '{"save": "model.bin"}'
echo '{"confusion": {"labels": ["calm", "risk"], "matrix": [[90, 10], [20, 80]]}}'
echo '{"final": {"test/auc:higher": 0.95}}'
test -n "$ANNALS_RUN"
"#;

#[test]
fn a_command_is_supervised_and_its_words_are_recorded() {
    let ward = Workspace::new();
    write(&ward, "train.sh", SCRIPT);
    let stated = ["--synthetic", "false", "--leaked-rows", "0"];
    let words = [&["run", "exec", "--name", "shell"], &stated[..], &["--", "sh", "train.sh"]];
    let done = ward.annals(&words.concat()).ok();
    assert!(done.out.contains("starting in") && done.err.contains("a warning"), "{}", done.out);
    let run = run_of(&ward, "shell");
    assert_eq!((&run["status"], &run["provenance"]), (&"finished".into(), &"supervised".into()));
    assert_eq!(run["weights"], blake3::hash(b"weights").to_string());
    let value = |name: &str| {
        let metrics = run["metrics"].as_array().unwrap().iter();
        metrics.clone().find(|m| m["key"]["name"] == name).map(|m| m["value"].clone())
    };
    assert_eq!(value("loss"), Some(0.25.into()));
    assert_eq!(value("auc"), Some(0.95.into()));
    assert_eq!(value("accuracy"), Some(0.85.into()));
    let folder = run["folder"].as_str().unwrap();
    let log = String::from_utf8(ward.read(&format!("{folder}/logs/training.log"))).unwrap();
    assert!(log.contains("not { json") && log.contains("a warning"), "{log}");
    let points = ward.annals(&["log", "--kind", "run.metrics_recorded", "--format", "json"]).ok();
    assert!(!points.json().as_array().unwrap().is_empty());
    ward.annals(&["promote", "shell"]).ok();
    agree(&ward);
}

#[test]
fn sup_1_however_a_command_ends_the_run_ends_in_the_log() {
    let ward = Workspace::new();
    let exec = |name: &str, command: &[&str]| {
        ward.annals(&[&["run", "exec", "--name", name, "--"], command].concat())
    };
    exec("exit", &["sh", "-c", "echo bad luck >&2; exit 3"]).refused(8, "sh exited with code 3");
    exec("signal", &["sh", "-c", "kill -9 $$"]).refused(8, "signal 9 (SIGKILL");
    exec("nothing", &["no-such-program"]).refused(8, "does not start");
    let runs = ward.annals(&["list", "--format", "json"]).ok().json();
    assert!(runs.as_array().unwrap().iter().all(|run| run["status"] == "failed"), "{runs}");
    assert_eq!(runs.as_array().unwrap().len(), 3);
    let failed = ward.annals(&["log", "--kind", "run.failed", "--format", "json"]).ok().json();
    let exit = failed.as_array().unwrap().last().unwrap();
    assert_eq!(exit["event"]["stderr_tail"], "bad luck");
    agree(&ward);
}

fn slow(ward: &Workspace) -> std::process::Child {
    let script = "trap 'exit 9' INT; while true; do echo '{\"loss\": 1}'; sleep 0.05; done";
    let child = ward.spawn(&["run", "exec", "--name", "slow", "--", "sh", "-c", script]);
    wait_for("the first points", || {
        let points =
            ward.annals(&["log", "--kind", "run.metrics_recorded", "--format", "json"]).json();
        (!points.as_array().unwrap().is_empty()).then_some(())
    });
    child
}

/// The processes that have `word` in their environment.
fn processes_with(word: &str) -> Vec<std::path::PathBuf> {
    let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let has = |path: &std::path::PathBuf| {
        let environment = std::fs::read(path.join("environ")).unwrap_or_default();
        environment.windows(word.len()).any(|window| window == word.as_bytes())
    };
    processes.filter(has).collect()
}

#[test]
fn ctrl_c_is_passed_on_and_a_killed_supervisor_leaves_an_interrupted_run() {
    let ward = Workspace::new();
    let mut child = slow(&ward);
    interrupt(child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let run = run_of(&ward, "slow");
    assert_eq!(run["status"], "interrupted");
    assert!(run["reason"].as_str().unwrap().contains("stopped by the user; sh exited with code 9"));

    let ward = Workspace::new();
    let mut child = slow(&ward);
    let id = run_of(&ward, "slow")["experiment_id"].as_str().unwrap().to_owned();
    assert!(!processes_with(&id).is_empty());
    kill_9(child.id());
    child.wait().unwrap();
    // The command does not go on behind annals' back, nor do its own children.
    wait_for("the end of the command", || processes_with(&id).is_empty().then_some(()));
    assert_eq!(run_of(&ward, "slow")["status"], "interrupted");
    ward.allow_synthetic();
    let ended = ward.annals(&["log", "--kind", "run.interrupted", "--format", "json"]).ok().json();
    assert!(ended[0]["event"]["reason"].as_str().unwrap().contains("is gone"));
    agree(&ward);
}

#[test]
fn a_script_that_has_said_nothing_for_a_day_is_named() {
    let ward = begun();
    let after = |hours: i64| {
        let now = annals::base::Env::system().now();
        now.plus_nanos(hours * 3_600 * 1_000_000_000).to_string()
    };
    let early = ward.annals_at(&after(23), 1, &["list"]).ok();
    assert!(!early.err.contains("has reported nothing"), "{}", early.err);
    let late = ward.annals_at(&after(25), 2, &["list"]).ok();
    assert!(late.err.contains("its script has reported nothing for 25 h"), "{}", late.err);
    let found = ward.annals_at(&after(25), 3, &["doctor"]).refused(9, "1 finding");
    assert!(found.out.contains("annals run fail forest_"), "{}", found.out);
    // One word, and it counts as alive again.
    ward.annals_at(&after(25), 4, &["run", "log", "forest", "train/loss=0.5"]).ok();
    ward.annals_at(&after(26), 5, &["doctor"]).ok();
}
