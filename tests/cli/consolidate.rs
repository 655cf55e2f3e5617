//! Consolidation: the plan is shown, carried out exactly as shown, and reported; refused when log
//! or files moved on, killed at every step, run twice and by two processes.

use serde_json::Value;

use crate::support::Workspace;
use crate::walk::{agree, every_step};

const LATER: &str = "2031-07-01T12:00:00Z";

fn train(ward: &Workspace, name: &str, size: &str, more: &[&str]) {
    let args = ["train", "--config", "toy", "--name", name, "--sample-size", size];
    ward.annals(&[&args[..], more].concat()).ok();
}

/// Two series: three runs that count and three try-outs, and a test of the machinery.
fn messy() -> Workspace {
    let ward = Workspace::new();
    ward.annals(&["policy", "set", "debug_experiments.enabled", "false"]).ok();
    for name in ["night_v1", "night_v2", "night_20260101_070809"] {
        train(&ward, name, "600", &["--category", "baseline"]);
    }
    for name in ["baseline_micro_v1", "baseline_micro_v2", "baseline_micro_seed3"] {
        train(&ward, name, "450", &["--category", "debug"]);
    }
    train(&ward, "mock_test", "300", &[]);
    ward
}

fn plan(ward: &Workspace) -> Value {
    ward.annals(&["consolidate", "plan", "--format", "json"]).ok().json()
}

fn digest(plan: &Value) -> String {
    plan["plan_digest"].as_str().unwrap().to_owned()
}

/// What becomes of each run, by the beginning of its name.
fn actions(plan: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = plan["plan"]["rows"].as_array().unwrap();
    let row =
        |row: &Value| (text(&row["experiment_id"]), text(&row["series"]), text(&row["action"]));
    rows.iter().map(row).collect()
}

fn place(ward: &Workspace, name: &str) -> String {
    let runs = ward.annals(&["list", "--format", "json"]).ok().json();
    let found = runs.as_array().unwrap().iter().find(|run| run["experiment_name"] == name).cloned();
    found.unwrap()["place"].as_str().unwrap().to_owned()
}

#[test]
fn the_best_stays_one_stands_for_its_series_and_the_others_leave_a_tombstone() {
    let ward = messy();
    let planned = plan(&ward);
    let actions = actions(&planned);
    let of = |series: &str| -> Vec<&str> {
        let rows = actions.iter().filter(|(_, of, _)| of == series);
        let mut found: Vec<&str> = rows.map(|(.., action)| action.as_str()).collect();
        found.sort_unstable();
        found
    };
    assert_eq!(of("night"), ["archive", "keep", "remove"], "{actions:?}");
    assert_eq!(of("baseline_micro"), ["archive", "remove", "remove"], "{actions:?}");
    assert_eq!(of("mock_test"), ["remove"], "{actions:?}");
    for row in planned["plan"]["rows"].as_array().unwrap() {
        assert!(!row["reason"].as_str().unwrap().is_empty());
        assert!(row["bytes"].as_u64().unwrap() > 1_000, "{row}");
    }
    // Nothing of it is in the log, and the same state gives the same plan.
    assert_eq!(digest(&plan(&ward)), digest(&planned));

    let removed =
        planned["plan"]["rows"].as_array().unwrap().iter().find(|r| r["action"] == "remove");
    let removed = removed.unwrap()["experiment_id"].as_str().unwrap().to_owned();
    let before = ward.annals(&["show", &removed, "--format", "json"]).ok().json();
    let applied = ward.annals(&["consolidate", "apply", &digest(&planned)[..12]]).ok();
    assert!(applied.out.contains("removed") && applied.out.contains("archived"), "{}", applied.out);
    agree(&ward);

    let after = ward.annals(&["show", &removed, "--format", "json"]).ok().json();
    assert_eq!(after["metrics"], before["metrics"]);
    assert_eq!(after["weights"], before["weights"]);
    assert!(after["deleted"]["files"].as_array().unwrap().len() > 3, "{after}");
    assert!(!ward.path(before["folder"].as_str().unwrap()).exists());
    let registry: Value =
        serde_json::from_slice(&ward.read("models_registry_consolidated.json")).unwrap();
    let tombstone = &registry["removed_experiments"][&removed];
    assert_eq!(tombstone["consolidation_plan"], digest(&planned));
    assert!(tombstone["final_metrics"].as_object().unwrap().len() > 2);
    assert_eq!(registry["consolidation_summary"]["experiments_cleaned"], 4);
    let log: Value =
        serde_json::from_slice(&ward.read("experiment_consolidation_log.json")).unwrap();
    let actions = &log["consolidation_actions"];
    assert_eq!(actions["completed_removals"].as_array().unwrap().len(), 4);
    assert_eq!(actions["completed_archive_moves"].as_array().unwrap().len(), 2);
    assert_eq!(actions["applied_plans"][0]["experiments_removed"], 4);

    // What is gone is gone, and every verb says so.
    ward.annals(&["restore", &removed]).refused(5, "is deleted");
    ward.annals(&["archive", &removed]).refused(5, "is deleted");
    ward.annals(&["predict", &removed, "a calm night"]).refused(5, "were removed by consolidation");
    ward.allow_synthetic();
    ward.annals(&["promote", &removed]).refused(5, "were removed by consolidation");
    // Done is done.
    let again = ward.annals(&["consolidate", "apply", &digest(&planned)]).ok();
    assert!(again.out.contains("was applied before"), "{}", again.out);
    let next = plan(&ward);
    assert!(
        next["plan"]["rows"].as_array().unwrap().iter().all(|row| row["action"] == "keep"),
        "{next}"
    );
    ward.annals(&["gc", "--min-age", "0"]).ok();
    agree(&ward);
}

#[test]
fn who_is_held_stays_whatever_is_better() {
    let ward = messy();
    let rows = plan(&ward);
    let rows = rows["plan"]["rows"].as_array().unwrap();
    let going: Vec<&str> = rows
        .iter()
        .filter(|row| row["action"] == "remove" && row["series"] != "mock_test")
        .map(|row| row["experiment_id"].as_str().unwrap())
        .collect();
    let [asked, pinned, archived] = going.as_slice() else { panic!("{going:?}") };
    ward.annals(&["pin", pinned]).ok();
    ward.annals(&["archive", archived, "--reason", "the paper needs it"]).ok();
    ward.allow_synthetic();
    ward.annals(&["policy", "set", "production_promotion.allow_debug", "true"]).ok();
    ward.annals(&["promote", asked, "--request", "--as", "asked"]).ok();
    let held = plan(&ward);
    for (run, why) in [
        (pinned, "pinned"),
        (archived, "archived by hand: the paper needs it"),
        (asked, "requested for production"),
    ] {
        let row =
            held["plan"]["rows"].as_array().unwrap().iter().find(|r| r["experiment_id"] == **run);
        assert_eq!(row.unwrap()["action"], "keep");
        assert_eq!(row.unwrap()["reason"], why);
    }
}

#[test]
fn a_plan_is_refused_when_log_or_files_have_moved_on() {
    let ward = messy();
    let planned = plan(&ward);
    let plan = digest(&planned);
    ward.annals(&["consolidate", "apply", "0123456789ab"]).refused(4, "no consolidation plan");
    let removed = |index: usize| {
        let rows = planned["plan"]["rows"].as_array().unwrap();
        let row = rows.iter().filter(|row| row["action"] == "remove").nth(index).unwrap();
        (
            row["experiment_id"].as_str().unwrap().to_owned(),
            row["from"].as_str().unwrap().to_owned(),
        )
    };
    let (name, folder) = removed(0);
    ward.annals(&["note", &name, "still of interest"]).ok();
    ward.annals(&["pin", &name]).ok();
    let refused = ward.annals(&["consolidate", "apply", &plan]);
    refused.refused(6, &format!("{name}: remove was planned, now keep (pinned)"));
    ward.annals(&["unpin", &name]).ok();
    // The same length and another content.
    let file = ward.path(&format!("{folder}/config/config.yaml"));
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[0] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    ward.annals(&["consolidate", "apply", &plan]).refused(6, &format!("files of {name}"));
    // A link in the folder of a run: nobody follows it, and the run stays.
    std::os::unix::fs::symlink("/etc/passwd", ward.path(&format!("{folder}/link"))).unwrap();
    let linked = crate::consolidate::plan(&ward);
    let row =
        linked["plan"]["rows"].as_array().unwrap().iter().find(|r| r["experiment_id"] == name);
    assert!(row.unwrap()["reason"].as_str().unwrap().contains("links are not followed"));
    // A later run of the series changes the plan as well.
    std::fs::remove_file(ward.path(&format!("{folder}/link"))).unwrap();
    let plan = digest(&crate::consolidate::plan(&ward));
    train(&ward, "night_v9", "600", &[]);
    ward.annals(&["consolidate", "apply", &plan]).refused(6, "would be another one");
    assert_eq!(place(&ward, "night_v1"), "active");
    bytes[0] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    agree(&ward);
}

#[test]
fn old_failures_go_and_young_ones_stay() {
    let ward = Workspace::new();
    ward.annals(&["run", "start", "--name", "broken"]).ok();
    ward.annals(&["run", "fail", "broken", "--reason", "no memory"]).ok();
    let action = |plan: &Value| plan["plan"]["rows"][0]["action"].as_str().unwrap().to_owned();
    assert_eq!(action(&plan(&ward)), "keep");
    let args = ["consolidate", "plan", "--format", "json"];
    let later = ward.annals_at(LATER, 7, &args).ok().json();
    assert_eq!(action(&later), "remove", "{later}");
    ward.annals_at(LATER, 8, &["consolidate", "apply", &digest(&later)]).ok();
    assert_eq!(place(&ward, "broken"), "deleted");
    agree(&ward);
}

#[test]
fn killed_at_every_step() {
    let ward = Workspace::new();
    ward.annals(&["policy", "set", "debug_experiments.enabled", "false"]).ok();
    for name in ["micro_v1", "micro_v2"] {
        train(&ward, name, "450", &[]);
    }
    let plan = digest(&plan(&ward));
    every_step(&ward, &["consolidate", "apply", &plan]);
}

/// After a kill the same plan goes on with what is left of it.
#[test]
fn what_a_crash_left_of_a_plan_is_done_by_applying_it_again() {
    let ward = messy();
    let plan = digest(&plan(&ward));
    let mut cut = 0;
    for step in [4, 9, 14, 19, 24, 29] {
        let copy = ward.copy();
        if copy.killed_at(step, &["consolidate", "apply", &plan]).code() == Some(0) {
            continue;
        }
        cut += 1;
        copy.annals(&["consolidate", "apply", &plan]).ok();
        agree(&copy);
        let log: Value =
            serde_json::from_slice(&copy.read("experiment_consolidation_log.json")).unwrap();
        let applied = &log["consolidation_actions"]["applied_plans"];
        assert_eq!(applied.as_array().unwrap().len(), 1);
        assert_eq!(applied[0]["experiments_removed"], 4, "killed at {step}");
        assert_eq!(applied[0]["experiments_archived"], 2, "killed at {step}");
    }
    assert!(cut > 3, "{cut}");
}

#[test]
fn two_processes_apply_one_plan() {
    let ward = messy();
    let plan = digest(&plan(&ward));
    let both = [0, 1].map(|_| ward.spawn(&["consolidate", "apply", &plan]));
    let codes = both.map(|mut child| child.wait().unwrap().code().unwrap());
    assert!(codes.contains(&0) && codes.iter().all(|code| [0, 6].contains(code)), "{codes:?}");
    agree(&ward);
    assert!(ward.annals(&["consolidate", "apply", &plan]).ok().out.contains("was applied before"));
}

#[test]
fn the_report_tells_what_there_is_what_was_done_and_what_is_left() {
    let ward = messy();
    let report = ward.annals(&["consolidate", "report"]).ok().out;
    for heading in [
        "- Model Consolidation Report",
        "### Directory Structure Overview",
        "#### 1. Production-Ready Models (0 runs)",
        "#### 2. Baseline Models (3 runs)",
        "#### 3. Debug Models (3 runs)",
        "#### 4. Test/Mock Models (1 run)",
        "#### 5. Failed/Incomplete Runs (0 runs)",
        "### Phase 1: Create Production Model Archive",
        "### Phase 4: Update Registry",
        "| Model | Architecture | Accuracy | F1-Macro | Best For |",
        "### Selection Criteria",
        "## Next Steps",
    ] {
        assert!(report.contains(heading), "{heading} is not in:\n{report}");
    }
    assert!(report.contains("State: to do (0 done, 4 left)"), "{report}");
    assert!(!report.contains("Since the Last Consolidation"));
    ward.annals(&["consolidate", "apply", &digest(&plan(&ward))]).ok();
    train(&ward, "later", "660", &["--category", "baseline"]);
    ward.annals(&["consolidate", "report", "--out", "report.md"]).ok();
    let report = String::from_utf8(ward.read("report.md")).unwrap();
    assert!(report.contains("State: done (4 done, 0 left)"), "{report}");
    assert!(report.contains("- baseline_micro series: 1 run, 2 removed"), "{report}");
    assert!(report.contains("- New runs: later_"), "{report}");
    let value = ward.annals(&["consolidate", "report", "--format", "json"]).ok().json();
    assert_eq!(value["since"]["last"]["deleted"], 4);
    assert!(value["bytes_saved"].as_u64().unwrap() > 1_000);
    assert_eq!(value["phases"].as_array().unwrap().len(), 4);
}

/// The names in a list of the report, or of the registry.
fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items.map(|item| item.as_str().unwrap_or_default().to_owned()).collect()
}

/// The report, the plan and the registry files say one thing about each run, before and after.
#[test]
fn the_report_does_not_contradict_itself() {
    let ward = messy();
    ward.allow_synthetic();
    ward.annals(&["policy", "set", "production_promotion.min_accuracy_threshold", "0.1"]).ok();
    ward.annals(&["policy", "set", "production_promotion.min_f1_macro_threshold", "0.1"]).ok();
    ward.annals(&["run", "start", "--name", "broken"]).ok();
    ward.annals(&["run", "fail", "broken", "--reason", "no <memory> left"]).ok();
    let consistent = |when: &str| {
        let report = ward.annals(&["consolidate", "report", "--format", "json"]).ok().json();
        let text = ward.annals(&["consolidate", "report"]).ok().out;
        let rows = report["planned"]["plan"]["rows"].as_array().unwrap().clone();
        let going: Vec<&str> = rows
            .iter()
            .filter(|row| row["action"] != "keep")
            .map(|row| row["experiment_id"].as_str().unwrap())
            .collect();
        let phases = report["phases"].as_array().unwrap();
        let promoted = [texts(&phases[0]["steps"]), texts(&report["next_steps"])].concat();
        for step in promoted.iter().filter(|step| step.starts_with("Promote")) {
            assert!(!going.iter().any(|run| step.contains(run)), "{when}: {step}, {going:?}");
        }
        // Nothing was done by a consolidation before there was one.
        if report["since"].is_null() {
            for phase in &phases[1..] {
                assert_eq!(phase["done"], 0, "{when}: {phase}");
            }
            assert!(phases[3]["left"].as_u64().unwrap() > 0, "{when}: {}", phases[3]);
        }
        let incomplete = &report["inventory"][4];
        assert!(incomplete["best"].is_null(), "{when}: {incomplete}");
        let ending = incomplete["endings"][0][1].as_str().unwrap();
        assert_eq!(ending, "failed: no <memory> left");
        assert!(text.contains("failed: no &lt;memory> left"), "{text}");
        // Each run is listed under its own name.
        for shelf in report["inventory"].as_array().unwrap() {
            for series in shelf["series"].as_array().unwrap() {
                let name = series[0].as_str().unwrap();
                assert!(["night", "baseline_micro", "mock_test", "broken"].contains(&name));
            }
        }
        let file = |name: &str| serde_json::from_slice::<Value>(&ward.read(name)).unwrap();
        let registry = file("models_registry_consolidated.json");
        let models = file("models_registry.json");
        for run in registry["removed_experiments"].as_object().unwrap().keys() {
            let next = texts(&registry["next_steps"]);
            assert!(!next.iter().any(|step| step.contains(run.as_str())), "{when}: {next:?}");
            assert_eq!(models["models"][run]["location"], "removed");
        }
        report
    };
    let before = consistent("before");
    let digest = before["planned"]["plan_digest"].as_str().unwrap().to_owned();
    ward.annals(&["consolidate", "apply", &digest]).ok();
    let after = consistent("after");
    let of = |report: &Value| -> Vec<String> {
        let shelves = report["inventory"].as_array().unwrap().iter();
        let series = shelves.flat_map(|shelf| shelf["series"].as_array().unwrap().clone());
        let mut names: Vec<String> =
            series.map(|series| series[0].as_str().unwrap().to_owned()).collect();
        names.sort();
        names.dedup();
        names
    };
    assert_eq!(of(&before), of(&after), "series keep their names");
}
