//! Names of models where runs are expected: production names, versions and aliases.

use crate::pairs::lived_in;
use crate::walk::agree;

/// A production name, a version and an alias mean the run they came from, in every verb that takes
/// a run.
#[test]
fn names_of_models_are_understood_wherever_a_run_is() {
    let ward = lived_in();
    let runs = ward.annals(&["list", "--format", "json"]).ok().json();
    let id = |name: &str| {
        let all = runs.as_array().unwrap();
        let run = all.iter().find(|run| run["experiment_name"] == name).unwrap();
        run["experiment_id"].as_str().unwrap().to_owned()
    };
    let (night, dawn) = (id("night"), id("dawn"));
    let newest = id("lone");
    let names = [
        ("ward", &night),
        ("champion", &night),
        ("ward@2", &night),
        ("ward@v2", &night),
        ("ward@1.1.0", &night),
        ("ward@1", &dawn),
        ("latest", &newest),
    ];
    let verbs: [&[&str]; 8] = [
        &["compare", "RUN", "day"],
        &["compare", "RUN", "--columns", "experiment_id"],
        &["plot", "confusion", "RUN"],
        &["plot", "curves", "RUN"],
        &["clinical", "RUN", "--class", "risk"],
        &["candidates", "RUN"],
        &["log", "--run", "RUN"],
        &["promote", "RUN", "--as", "noon", "--dry-run", "--format", "human"],
    ];
    let ask = |words: &[&str], name: &str| {
        let words: Vec<&str> = words.iter().map(|w| if *w == "RUN" { name } else { w }).collect();
        let answer = ward.annals(&words);
        // Ids of requests are random.
        (
            answer.code,
            answer
                .out
                .lines()
                .filter(|l| !l.contains("request"))
                .map(str::to_owned)
                .collect::<Vec<_>>(),
            answer.err,
        )
    };
    for (name, run) in names {
        for verb in verbs {
            assert_eq!(ask(verb, name), ask(verb, run), "{verb:?} {name}");
        }
    }
    // Verbs that record.
    for (name, _) in names {
        let copy = ward.copy();
        copy.annals(&["tag", name, "+seen"]).ok();
        copy.annals(&["note", name, "looked at it"]).ok();
        copy.annals(&["snapshot", "create", "--run", name]).ok();
        copy.annals(&["reproduce", name]).ok();
        let other = if name == "latest" { "day" } else { "lone" };
        copy.annals(&["ensemble", "create", "both", name, other]).ok();
        copy.annals(&["predict", name, "a calm night"]).ok();
        copy.annals(&["why", name]).ok();
        copy.annals(&["show", name]).ok();
        copy.annals(&["prove", name]).ok();
        if name != "latest" {
            copy.annals(&["log", "--model", name]).ok();
            copy.annals(&["version", "list", name]).ok();
        }
        agree(&copy);
    }
    // Verbs about what is in production take what is in production.
    for (verb, more) in [("demote", &["--reason", "x"][..]), ("rollback", &["--reason", "x"])] {
        for name in ["ward", "champion"] {
            let copy = ward.copy();
            copy.annals(&[&[verb, name], more].concat()).ok();
        }
    }
    ward.annals(&["demote", "ward@1", "--reason", "x"]).refused(5, "version 2 is in production");
    ward.annals(&["show", "ward@9"]).refused(4, "has no version");
    ward.annals(&["compare", "ward@9"]).refused(4, "has no version");
    // Of one version only what is about it.
    let about = |name: &str| {
        let log = ward.annals(&["log", "--model", name, "--format", "json"]).ok().json();
        let kinds = log.as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap().to_owned());
        kinds.filter(|kind| kind == "model.promoted").count()
    };
    assert_eq!([about("ward"), about("ward@1"), about("champion")], [2, 1, 1]);
}

#[test]
fn a_name_of_a_model_and_of_another_run_is_ambiguous() {
    let ward = lived_in();
    ward.annals(&["promote", "lone", "--as", "day"]).ok();
    let refused = ward.annals(&["compare", "day"]).refused(2, "names version 1 of the model day");
    assert!(refused.err.contains("lone_") && refused.err.contains("also day_"), "{}", refused.err);
    ward.annals(&["compare", "day@1"]).ok();
    // What answers in production does not change because a run has that name.
    let answer = ward.annals(&["predict", "day", "a calm night", "--format", "json"]).ok().json();
    assert_eq!(answer["model"], "day");
    ward.annals(&["rename", "day", "noon"]).refused(2, "names version 1");
}
