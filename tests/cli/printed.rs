//! What supervised commands print, from the line to the record and to what people see of it.

use std::time::{Duration, Instant};

use crate::support::{Workspace, wait_for};

fn exec(ward: &Workspace, name: &str, text: &str) -> crate::support::Answer {
    std::fs::write(ward.path("printed.txt"), text).unwrap();
    ward.annals(&["run", "exec", "--name", name, "--", "cat", "printed.txt"])
}

fn points(ward: &Workspace, name: &str) -> Vec<(String, u64, f64)> {
    let run = ward.annals(&["show", name, "--format", "json"]).ok().json();
    let sql = format!(
        "select name, split, step, value from metrics where run = '{}' \
         and kind = 'run.metrics_recorded' order by name, step",
        run["run_id"].as_str().unwrap()
    );
    let rows = ward.annals(&["query", &sql, "--format", "json"]).ok().json();
    let point = |row: &serde_json::Value| {
        let split = row["split"].as_str().map(|split| format!("{split}/")).unwrap_or_default();
        let name = format!("{split}{}", row["name"].as_str().unwrap());
        (name, row["step"].as_u64().unwrap(), row["value"].as_f64().unwrap())
    };
    rows.as_array().unwrap().iter().map(point).collect()
}

#[test]
fn what_was_not_finite_is_reported_recorded_and_counts_against_the_run() {
    let ward = Workspace::new();
    let lines = |loss: [&str; 3]| -> String {
        let line = |(step, loss): (usize, &&str)| {
            format!("{{'step': {step}, 'split': 'test', 'loss': {loss}, 'accuracy': 0.{step}5}}\n")
        };
        (1..).zip(&loss).map(line).collect()
    };
    exec(&ward, "sound", &lines(["0.9", "0.8", "0.7"])).ok();
    let told = exec(&ward, "diverged", &lines(["0.4", "nan", "inf"])).ok();
    let words = "2 values of test/loss are not finite (steps 2 to 3), also the last one";
    assert!(told.err.contains(words), "{}", told.err);
    let accuracy =
        |name| points(&ward, name).into_iter().filter(|p| p.0 == "test/accuracy").count();
    assert_eq!((accuracy("sound"), accuracy("diverged")), (3, 3));
    let shown = ward.annals(&["show", "diverged"]).ok().out;
    assert!(shown.contains(words) && shown.contains("accuracy"), "{shown}");
    let json = ward.annals(&["show", "diverged", "--format", "json"]).ok().json();
    assert_eq!(json["unrecorded"][0]["reason"], "not_finite");
    assert_eq!(json["metrics"].as_array().unwrap().len(), 1, "the last finite loss is no result");
    let best = ward.annals(&["best", "--format", "json"]).ok().json();
    let loss = best.as_array().unwrap().iter().find(|best| best["metric"] == "loss").unwrap();
    assert!(loss["experiment_id"].as_str().unwrap().starts_with("sound"), "{loss}");
    let judged = ward.annals(&["candidates", "diverged"]).ok().out;
    assert!(judged.contains("finite_metrics") && judged.contains(words), "{judged}");
    let sound = ward.annals(&["candidates", "sound"]).ok().out;
    assert!(!sound.contains("finite_metrics"), "{sound}");
    let log = ward.annals(&["log", "--kind", "run.metrics_unrecorded", "--format", "json"]).ok();
    assert_eq!(log.json().as_array().unwrap().len(), 1);
}

#[test]
fn a_run_that_recorded_nothing_reports_that() {
    let ward = Workspace::new();
    let told = exec(&ward, "words", "epoch 1 loss 0.5\n").ok();
    assert!(told.err.contains("no metric was recorded"), "{}", told.err);
    assert!(ward.annals(&["show", "words"]).ok().out.contains("none recorded"));
    std::fs::write(ward.path("printed.txt"), "loss 1\n").unwrap();
    let args = ["run", "exec", "--name", "j", "--format", "json", "--", "cat", "printed.txt"];
    let json = ward.annals(&args).ok().json();
    assert!(json["notes"][0].as_str().unwrap().contains("no metric was recorded"), "{json}");
}

#[test]
fn scores_without_a_split_are_shown_in_list_show_and_compare() {
    let ward = Workspace::new();
    let done = exec(&ward, "plain", "{'accuracy': 0.90, 'f1_macro': 0.85}\n").ok();
    assert!(!done.err.contains("not recorded"), "{}", done.err);
    exec(&ward, "other", "{'final': {'accuracy': 0.5}}\n").ok();
    let list = ward.annals(&["list"]).ok();
    assert!(list.out.contains("0.9000 *"), "{}", list.out);
    let rows = ward.annals(&["list", "--format", "json"]).ok().json();
    assert_eq!((&rows[1]["accuracy"], &rows[1]["split"]), (&0.9.into(), &serde_json::Value::Null));
    let shown = ward.annals(&["show", "plain"]).ok().out;
    assert!(shown.contains("accuracy") && shown.contains("0.9000"), "{shown}");
    let compared = ward.annals(&["compare", "plain", "other"]).ok().out;
    assert!(compared.contains("accuracy (no split)") && compared.contains("0.9000"), "{compared}");
    // A run that goes on shows what it has.
    let run = ward.annals(&["run", "start", "--name", "going"]).ok().out.trim().to_owned();
    ward.annals(&["run", "log", &run, "valid/loss=0.25", "--step", "7"]).ok();
    let shown = ward.annals(&["show", &run]).ok().out;
    assert!(shown.contains("valid") && shown.contains("0.2500"), "{shown}");
}

#[test]
fn what_nobody_stated_is_not_shown_as_a_fact() {
    let ward = Workspace::new();
    ward.annals(&["run", "start", "--name", "silent", "--rows", "test=200"]).ok();
    let facts = ["--seed", "0", "--leaked-rows", "0", "--synthetic", "false"];
    ward.annals(&[&["run", "start", "--name", "open"], &facts[..]].concat()).ok();
    let shown = ward.annals(&["show", "silent"]).ok().out;
    assert!(shown.contains("seed        not stated"), "{shown}");
    assert!(shown.contains("data        not stated") && shown.contains("leaked rows: not stated"));
    let shown = ward.annals(&["show", "open"]).ok().out;
    assert!(shown.contains("seed        0") && shown.contains("leaked rows: 0"), "{shown}");
    assert!(shown.contains("data        real"), "{shown}");
    let json = ward.annals(&["show", "silent", "--format", "json"]).ok().json();
    assert!(["seed", "leaked_rows", "synthetic"].iter().all(|fact| json[fact].is_null()), "{json}");
    let sql = "select seed, leaked_rows, synthetic from runs where name = 'silent'";
    let row = ward.annals(&["query", sql, "--format", "json"]).ok().json()[0].clone();
    assert!(row.as_object().unwrap().values().all(serde_json::Value::is_null), "{row}");
    ward.annals(&["run", "finish", "silent"]).ok();
    let judged = ward.annals(&["candidates", "silent"]).ok().out;
    let line = |rule: &str| judged.lines().find(|line| line.contains(rule)).unwrap().to_owned();
    for rule in ["leakage", "synthetic_data"] {
        assert!(line(rule).contains("??") && line(rule).contains("not stated"), "{judged}");
    }
    let settings = ["settings    not stated", "weights     class weights not stated"];
    let shown = ward.annals(&["show", "silent"]).ok().out;
    assert!(settings.iter().all(|line| shown.contains(line)), "{shown}");
    assert!(shown.contains("device      not stated"), "{shown}");
    ward.annals(&["promote", "silent"]).refused(5, "min_accuracy_threshold");
    // A policy that needs none of it: the run is not refused for it, and it is still not stated.
    ward.allow_synthetic();
    ward.annals(&["policy", "set", "production_promotion.allow_leakage", "true"]).ok();
    let judged = ward.annals(&["candidates", "silent"]).ok().out;
    let line = |rule: &str| judged.lines().find(|line| line.contains(rule)).unwrap().to_owned();
    for rule in ["leakage", "synthetic_data"] {
        assert!(line(rule).contains("??") && line(rule).contains("not stated"), "{judged}");
    }
}

#[test]
fn numbers_that_nothing_measured_are_typed_and_no_evidence() {
    let ward = Workspace::new();
    let provenance = |name: &str, finish: &[&str]| {
        let run = ward.annals(&["run", "start", "--name", name]).ok().out.trim().to_owned();
        ward.annals(&["run", "log", &run, "test/f1_macro=0.9", "--step", "1"]).ok();
        ward.annals(&[&["run", "finish", &run], finish].concat()).ok();
        let shown = ward.annals(&["show", &run, "--format", "json"]).ok().json();
        shown["provenance"].as_str().unwrap().to_owned()
    };
    let confusion = r#"{"labels": ["a", "b"], "matrix": [[90, 10], [20, 80]]}"#;
    std::fs::write(ward.path("cm.json"), confusion).unwrap();
    assert_eq!(provenance("measured", &["test/f1_macro=0.91"]), "reported");
    assert_eq!(
        provenance("counted", &["--confusion", "cm.json", "test/accuracy=0.85"]),
        "reported"
    );
    assert_eq!(provenance("typed", &["test/accuracy=0.99"]), "typed");
    let judged = ward.annals(&["candidates", "typed"]).ok().out;
    let rule = judged.lines().find(|line| line.contains("evidence")).unwrap();
    assert!(rule.contains("FAIL") && rule.contains("typed"), "{judged}");
    let audit = ward.annals(&["audit"]).out;
    assert!(audit.contains("typed-metrics"), "{audit}");
}

#[test]
fn steps_of_concurrent_callers_never_collide_and_bad_ones_are_refused() {
    let ward = Workspace::new();
    let run = ward.annals(&["run", "start", "--name", "shared"]).ok().out.trim().to_owned();
    ward.annals(&["run", "log", &run, "a=1", "--step", "7"]).ok();
    ward.annals(&["run", "log", &run, "a=2", "--step", "3"]).ok();
    let mut all: Vec<_> =
        (0..10).map(|i| ward.spawn(&["run", "log", &run, &format!("auto=0.{i}")])).collect();
    assert!(all.iter_mut().all(|child| child.wait().unwrap().success()));
    let steps: Vec<u64> = points(&ward, "shared").into_iter().map(|(_, step, _)| step).collect();
    assert_eq!(steps, [3, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]);
    let log = |more: &[&str]| ward.annals(&[&["run", "log", &run, "b=1"], more].concat());
    for step in ["-1", "2.5", "x", "18446744073709551616", "9223372036854775808"] {
        log(&[&format!("--step={step}")]).refused(2, step);
    }
    for epoch in ["nan", "inf", "-5", "1e300"] {
        log(&[&format!("--epoch={epoch}")]).refused(2, "epoch");
    }
    log(&["b=2"]).refused(2, "again");
    log(&["--step", "9223372036854775807"]).ok();
    log(&[]).refused(3, "no step comes after");
}

#[test]
fn a_file_that_is_not_there_fails_no_good_run() {
    let ward = Workspace::new();
    let told = exec(&ward, "printed", "{\"accuracy\": 1}\n{\"save\": \"gone.bin\"}\n").ok();
    assert!(told.err.contains("weights was not kept") && told.err.contains("gone.bin"));
    let asked = ["run", "exec", "--name", "asked", "--save", "weights=gone.bin", "--", "true"];
    ward.annals(&asked).refused(3, "finished, but a file of --save was not kept");
    for name in ["printed", "asked"] {
        let run = ward.annals(&["show", name, "--format", "json"]).ok().json();
        assert_eq!((&run["status"], &run["weights"]), (&"finished".into(), &().into()), "{run}");
        assert_eq!(run["unrecorded"][0]["reason"], "no_file");
    }
}

#[test]
fn a_line_of_thousands_of_numbers_neither_hangs_nor_hides_what_follows() {
    let ward = Workspace::new();
    for count in [4_090, 6_500, 60_000, 300_000] {
        let values: Vec<String> = (0..count).map(|i| format!("\"m{i}\": 0.5")).collect();
        let text = format!(
            "{{\"step\": 1, \"first\": 1}}\n{{{}}}\n{{\"step\": 2, \"first\": 2}}\n",
            values.join(", ")
        );
        let name = format!("n{count}");
        let told = exec(&ward, &name, &text).ok();
        let first = points(&ward, &name).into_iter().filter(|(name, ..)| name == "first");
        assert_eq!(first.map(|(_, step, _)| step).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(told.err.contains("not recorded"), count > 4_090, "{count}: {}", told.err);
    }
}

/// A process that a script leaves behind may print for ever, quickly or slowly: the run ends with
/// the script, and everything that the script itself printed is recorded.
#[test]
fn what_a_script_leaves_behind_keeps_no_run_open() {
    let ward = Workspace::new();
    for (name, left) in [
        ("quick", "while true; do echo noise noise noise; done"),
        ("slow", "while true; do echo noise; sleep 0.01; done"),
    ] {
        let pid = ward.path(name);
        let script = format!(
            "for i in $(seq 2000); do echo '{{\"loss\": 1}}'; done; ({left}) & echo $! > {}; \
             echo '{{\"step\": 7, \"last\": 1}}' >&2; echo '{{\"step\": 7, \"end\": 1}}'",
            pid.display()
        );
        let begun = Instant::now();
        let told = ward.annals(&["run", "exec", "--name", name, "--", "sh", "-c", &script]);
        let pid = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        crate::support::kill_9(pid);
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
        let told = told.ok();
        assert!(told.err.contains("left behind still print"), "{}", told.err);
        let ends = points(&ward, name).into_iter().filter(|(name, ..)| name == "end").count();
        let losses = points(&ward, name).into_iter().filter(|(name, ..)| name == "loss").count();
        assert_eq!((ends, losses), (1, 2_000), "{name}");
        let run = ward.annals(&["show", name, "--format", "json"]).ok().json();
        assert_eq!(run["status"], "finished", "{run}");
    }
}

fn terminate(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}

#[test]
fn a_supervisor_ends_within_seconds_of_sigterm_and_two_at_once_are_one() {
    let ward = Workspace::new();
    let script = "trap '' INT TERM; echo '{\"loss\": 1}'; while true; do sleep 0.05; done";
    let mut stubborn = ward.spawn(&["run", "exec", "--name", "slow", "--", "sh", "-c", script]);
    let running = |name: &str| {
        wait_for("the run", || {
            let run = ward.annals(&["show", name, "--format", "json"]);
            (run.code == 0 && run.json()["status"] == "running").then_some(())
        });
    };
    running("slow");
    let begun = Instant::now();
    terminate(stubborn.id());
    assert_eq!(stubborn.wait().unwrap().code(), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());

    // `timeout` sends its signal to the process and to its group.
    let mut args = vec!["train", "--config", "toy", "--name", "twice", "--sample-size", "1000"];
    args.extend(["--threads", "1", "--set", "toy.step_ms=20"]);
    let mut training = ward.spawn(&args);
    running("twice");
    terminate(training.id());
    terminate(training.id());
    assert_eq!(training.wait().unwrap().code(), Some(130));
    let run = ward.annals(&["show", "twice", "--format", "json"]).ok().json();
    let reason = run["reason"].as_str().unwrap();
    assert!(reason.contains("stopped by the user at step"), "{reason}");
    ward.annals(&["train", "--resume", "twice"]).ok();
}

#[test]
fn a_promotion_names_the_facts_that_nobody_stated() {
    let ward = Workspace::new();
    std::fs::write(ward.path("w.bin"), [7; 5_000]).unwrap();
    let confusion = r#"{"split": "test", "labels": ["a", "b"], "matrix": [[140, 10], [20, 130]]}"#;
    std::fs::write(ward.path("cm.json"), confusion).unwrap();
    let stated = ["--synthetic", "false", "--leaked-rows", "0"];
    for (name, facts) in [("silent", &stated[..0]), ("half", &stated[..2]), ("open", &stated)] {
        let start = ["run", "start", "--name", name, "--rows", "test=300", "--labels", "a,b"];
        ward.annals(&[&start[..], &["--category", "baseline"], facts].concat()).ok();
        ward.annals(&["run", "save", name, "w.bin"]).ok();
        let scores = ["--confusion", "cm.json", "test/accuracy=0.9", "test/f1_macro=0.9"];
        ward.annals(&[&["run", "finish", name][..], &scores].concat()).ok();
        let promoted = ward.annals(&["promote", name, "--as", name, "--reason", "good"]).ok();
        for (rule, fact) in [("synthetic_data", "--synthetic"), ("leakage", "--leaked-rows")] {
            let named = promoted.err.lines().any(|l| l.contains("nobody") && l.contains(rule));
            assert_eq!(named, !facts.contains(&fact), "{name} {rule}: {}", promoted.err);
        }
    }
}
