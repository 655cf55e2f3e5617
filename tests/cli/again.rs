//! Trained again: with other seeds, to see how far the scores spread, and from the record, to see
//! that it was computed.

use crate::support::{Workspace, interrupt, wait_for};

#[test]
fn repeated_runs_differ_by_their_seed_alone() {
    let ward = Workspace::new();
    let found = ward.train("notes", &["--repeat", "3", "--seed", "7", "--format", "json"]).ok();
    let found = found.json();
    let runs = found["runs"].as_array().unwrap();
    let seeds: Vec<u64> = runs.iter().map(|run| run["seed"].as_u64().unwrap()).collect();
    assert_eq!(seeds, [7, 8, 9]);
    let weights = |run: &serde_json::Value| run["weights"].as_str().unwrap().to_owned();
    assert_ne!(weights(&runs[0]), weights(&runs[1]));
    let alone = ward.train("alone", &["--seed", "8", "--format", "json"]).ok().json();
    assert_eq!(weights(&alone), weights(&runs[1]));

    let scores = found["test"].as_array().unwrap();
    let accuracy = scores.iter().find(|score| score["name"] == "accuracy").unwrap();
    let values: Vec<f64> =
        accuracy["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert_eq!(values.len(), 3);
    let mean = values.iter().sum::<f64>() / 3.0;
    assert!((accuracy["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
    let shown = ward.annals(&["train", "--config", "toy", "--repeat", "2"]).ok();
    assert!(shown.out.contains("deviation"), "{}", shown.out);
}

#[test]
fn ctrl_c_stops_all_of_them() {
    let ward = Workspace::new();
    let slow = ["--set", "toy.step_ms=200", "--sample-size", "200", "--repeat", "5"];
    let mut annals =
        ward.spawn(&[&["train", "--config", "toy", "--name", "slow"], &slow[..]].concat());
    wait_for("the first run", || {
        let runs = ward.annals(&["list", "--format", "json"]).json();
        runs.as_array().is_some_and(|runs| !runs.is_empty()).then_some(())
    });
    interrupt(annals.id());
    assert_eq!(annals.wait().unwrap().code(), Some(130));
    let runs = ward.annals(&["list", "--format", "json"]).ok().json();
    let runs = runs.as_array().unwrap();
    assert_eq!((runs.len(), runs[0]["status"].as_str()), (1, Some("interrupted")));
}

fn rule<'a>(ward: &Workspace, answer: &'a mut serde_json::Value) -> &'a serde_json::Value {
    *answer = ward.annals(&["candidates", "notes", "--format", "json"]).json();
    fn find(value: &serde_json::Value) -> Option<&serde_json::Value> {
        match value {
            serde_json::Value::Object(_) if value["rule"] == "min_reproduced" => Some(value),
            serde_json::Value::Object(map) => map.values().find_map(find),
            serde_json::Value::Array(items) => items.iter().find_map(find),
            _ => None,
        }
    }
    find(answer).unwrap()
}

#[test]
fn a_run_is_reproduced_bit_for_bit_from_its_record() {
    let ward = Workspace::new();
    let run = ward.train("notes", &["--threads", "1", "--format", "json"]).ok().json();
    ward.annals(&["policy", "set", "production_promotion.min_reproduced", "1"]).ok();
    let mut answer = serde_json::Value::Null;
    assert_eq!(rule(&ward, &mut answer)["passed"], false);

    let found = ward.annals(&["reproduce", "notes", "--format", "json"]).ok().json();
    let verdict = &found["verdict"];
    assert_eq!(verdict["equal"], true, "{verdict}");
    assert_eq!(verdict["weights"], run["weights"]);
    assert_eq!(verdict["environment"].as_array().unwrap().len(), 0);
    assert!(found["numbers"].as_u64().unwrap() > 100);
    assert_eq!(found["run"]["experiment_name"], "notes_reproduced");
    assert_eq!(rule(&ward, &mut answer)["passed"], true);
    let shown = ward.annals(&["show", "notes"]).ok().out;
    let by = found["run_id"].as_str().unwrap();
    assert!(shown.contains(&format!("reproduced  equal, by run {by}")), "{shown}");
    let events = ward.annals(&["log", "--kind", "run.reproduced", "--format", "json"]).ok().json();
    assert_eq!(events.as_array().unwrap().len(), 1);

    // Small files come back from the blobs; other threads are named.
    let folder = ward.path(run["folder"].as_str().unwrap());
    std::fs::remove_file(folder.join("config/config.yaml")).unwrap();
    let told = ward.annals(&["reproduce", "notes", "--threads", "2"]).ok().out;
    assert!(told.contains("threads: 1 was recorded, here it is 2"), "{told}");
    ward.annals(&["verify"]).ok();
    ward.annals(&["replay", "--check"]).ok();
}

#[test]
fn what_is_not_as_recorded_is_not_reproduced() {
    let ward = Workspace::new();
    let run = ward.train("notes", &["--format", "json"]).ok().json();
    let rows = ward.path(run["folder"].as_str().unwrap()).join("config/dataset.bin");
    let mut bytes = std::fs::read(&rows).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&rows, bytes).unwrap();
    ward.annals(&["reproduce", "notes"])
        .refused(10, "dataset.bin was changed after it was recorded");
    ward.train("broken", &["--set", "toy.fail_at_step=3"]).refused(8, "asked to fail");
    ward.annals(&["reproduce", "broken"]).refused(5, "broken_");
    let runs = ward.annals(&["list", "--format", "json"]).ok().json();
    assert_eq!(runs.as_array().unwrap().len(), 2, "a refusal begins no run");
}
