//! Trained again: with other seeds, to see how far the scores spread.

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
