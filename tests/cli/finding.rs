//! Finding things: `list` with filters and columns, `models`, `status`, moments in words,
//! configurations that build on others, curves of several runs.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::record_read::audited;
use crate::support::{Workspace, shared};

fn json(ward: &Workspace, words: &[&str]) -> Value {
    ward.annals(&[words, &["--format", "json"]].concat()).ok().json()
}

fn names(ward: &Workspace, words: &[&str]) -> Vec<String> {
    let rows = json(ward, &[&["list"], words].concat());
    let name = |row: &Value| row["experiment_name"].as_str().unwrap().to_owned();
    rows.as_array().unwrap().iter().map(name).collect()
}

fn several() -> Workspace {
    let ward = Workspace::new();
    ward.train("alpha", &["--tags", "north,early", "--set", "training.num_epochs=2"]).ok();
    ward.train("beta", &["--tags", "north", "--seed", "3"]).ok();
    let fails = ["--tags", "early", "--set", "toy.fail_at_step=2"];
    assert_eq!(ward.train("gamma", &fails).code, 8);
    ward.annals(&["run", "start", "--name", "delta"]).ok();
    ward
}

#[test]
fn list_filters_agree_with_what_every_run_shows() {
    let ward = several();
    assert_eq!(names(&ward, &[]), ["delta", "gamma", "beta", "alpha"]);
    for (words, expected) in [
        (&["--status", "finished"][..], &["beta", "alpha"][..]),
        (&["--status", "failed"], &["gamma"]),
        (&["--status", "running"], &["delta"]),
        (&["--status", "interrupted"], &[]),
        (&["--tag", "north"], &["beta", "alpha"]),
        (&["--tag", "north", "--tag", "early"], &["alpha"]),
        (&["--tag", "nor"], &[]),
        (&["--category", "baseline", "--status", "failed"], &["gamma"]),
        (&["--where", "seed = 3 and num_epochs != 2"], &["beta"]),
        (&["--tag", "early", "--where", "num_epochs = 2"], &["alpha"]),
        (&["--sort", "experiment_name", "--ascending"], &["alpha", "beta", "delta", "gamma"]),
        (&["--sort", "experiment_name", "-n", "2"], &["gamma", "delta"]),
        // The limit counts what is shown, whatever else decides.
        (&["--status", "finished", "-n", "1"], &["beta"]),
        (&["--tag", "north", "-n", "1", "--sort", "experiment_name"], &["beta"]),
    ] {
        assert_eq!(names(&ward, words), expected, "{words:?}");
    }
    let rows = json(&ward, &["list", "--columns", "experiment_name,seed,num_epochs,f1_macro"]);
    for row in rows.as_array().unwrap() {
        let run = json(&ward, &["show", row["experiment_name"].as_str().unwrap()]);
        let keys: Vec<&String> = row.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["experiment_name", "seed", "num_epochs", "f1_macro"]);
        if run["status"] == "finished" {
            assert_eq!(row["seed"].as_f64(), run["seed"].as_f64());
        }
    }
    let out = ward.annals(&["list", "--tag", "nobody"]).ok();
    assert!(out.err.contains("No run meets these conditions"), "{}", out.err);
    ward.annals(&["list", "--columns", "f1_macrro"]).refused(2, "f1_macro");
    ward.annals(&["list", "--sort", "nothing"]).refused(2, "nothing");
    ward.annals(&["list", "--where", "seed ="]).refused(2, "cannot be read");
}

#[test]
fn models_and_status_name_what_is_in_production() {
    let ward = audited();
    ward.annals(&["promote", "two", "--as", "night", "--replace"]).ok();
    ward.annals(&["promote", "one", "--as", "day"]).ok();
    ward.annals(&["alias", "set", "champion", "night"]).ok();
    let of = |words: &[&str]| -> Vec<String> {
        let rows = json(&ward, &[&["models"], words].concat());
        let one = |row: &Value| {
            format!(
                "{}@{} {}",
                row["model"]["name"].as_str().unwrap(),
                row["model"]["number"],
                row["state"].as_str().unwrap()
            )
        };
        rows.as_array().unwrap().iter().map(one).collect()
    };
    assert_eq!(of(&[]), ["day@1 in production", "night@2 in production"]);
    let night = ["night@1 earlier", "night@2 in production"];
    assert_eq!(of(&["night"]), night);
    assert_eq!(of(&["--all"]), [&["day@1 in production"], &night[..]].concat());
    let out = ward.annals(&["models"]).ok().out;
    assert!(out.contains("champion"), "{out}");
    ward.annals(&["models", "nigth"]).refused(4, "no model \"nigth\"");
    ward.annals(&["demote", "day", "--reason", "old"]).ok();
    assert_eq!(of(&[]), ["night@2 in production"]);
    let status = ward.annals(&["status"]).ok().out;
    assert!(status.contains("night 1.") && !status.contains("  day"), "{status}");
    let listed = json(&ward, &["status"])["models"].clone();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    // The old names of verbs.
    let details = ward.annals(&["details", "one"]).ok().out;
    assert_eq!(details, ward.annals(&["show", "one"]).ok().out);
    let bare = Workspace::new();
    assert!(bare.annals(&["models"]).ok().err.contains("No model is in production"));
    // Of former times nobody is told what to do now.
    for (verb, said) in
        [("models", "No model was in production then."), ("list", "No run had begun then.")]
    {
        let told = bare.annals(&[verb, "--as-of", "1"]).ok().err;
        assert!(told.contains(said) && !told.contains('`'), "{told}");
    }
}

#[test]
fn a_date_is_a_whole_day_for_every_verb() {
    let ward = Workspace::bare();
    let at = |time: &str, seed, words: &[&str]| ward.annals_at(time, seed, words).ok();
    at("2027-03-01T10:00:00Z", 1, &["init"]);
    at("2027-03-02T09:00:00.5Z", 2, &["policy", "set", "production_promotion.approvals", "2"]);
    at("2027-03-03T09:00:00Z", 3, &["policy", "set", "production_promotion.approvals", "3"]);
    let now = "2027-03-03T12:00:00Z";
    let approvals = |as_of: &str| {
        let words = ["policy", "show", "--as-of", as_of, "--format", "json"];
        let policy = at(now, 9, &words).json();
        policy["policy"]["production_promotion"]["approvals"].as_u64().unwrap()
    };
    for (as_of, expected) in [
        ("2027-03-01", 1),
        ("2027-03-02", 2),
        ("yesterday", 2),
        ("2027-03-02 08:59", 1),
        ("2027-03-02T09:00", 2),
        ("2027-03-02 09:00:00", 2),
        ("2027-03-02T09:00:00.4Z", 1),
        ("30 hours", 1),
        ("1d", 2),
        ("today", 3),
        ("2027-03-03", 3),
    ] {
        assert_eq!(approvals(as_of), expected, "{as_of}");
    }
    let set = |words: &[&str]| {
        let all = ["log", "--kind", "policy.changed", "--format", "json"];
        at(now, 9, &[&all[..], words].concat()).json().as_array().unwrap().len()
    };
    let first = set(&["--until", "2027-03-01"]);
    assert_eq!(set(&["--since", "2027-03-02"]), 2);
    assert_eq!(set(&["--since", "2027-03-03"]), 1);
    assert_eq!(set(&["--until", "2027-03-02"]), first + 1);
    assert_eq!(set(&["--since", "yesterday", "--until", "yesterday"]), 1);
    let changed = |words: &[&str]| {
        let all = ["diff", "--only", "policy", "--format", "json"];
        at(now, 9, &[&all[..], words].concat()).json()["changes"].as_array().unwrap().len()
    };
    assert_eq!(changed(&["--from", "2027-03-02"]), 1, "from its beginning");
    assert_eq!(changed(&["--from", "2027-03-02", "--to", "2027-03-02"]), 1);
    assert_eq!(changed(&["--from", "2027-03-04"]), 0);
    assert_eq!(changed(&["--from", "1 week"]), changed(&["--from", "2027-02-20"]));
    for words in [
        &["list", "--as-of", "somewhen"][..],
        &["diff", "--from", "somewhen"],
        &["log", "--since", "somewhen"],
        &["replay", "--check", "--as-of", "somewhen"],
        &["layout", "pack-logs", "--before", "somewhen"],
    ] {
        let answer = ward.annals(words).refused(2, "is not a time");
        assert!(answer.err.contains("yesterday"), "an example: {}", answer.err);
    }
}

#[test]
fn diff_begins_with_a_summary_and_says_what_it_leaves_out() {
    let ward = audited();
    let out = ward.annals(&["diff", "--from", "0"]).ok();
    let lines: Vec<&str> = out.out.lines().collect();
    assert!(lines[1].starts_with("  run        2 added"), "{}", out.out);
    assert!(lines.iter().any(|line| line.starts_with("  metric ")), "{}", out.out);
    assert!(!out.out.contains(" metric one"), "{}", out.out);
    assert!(out.err.contains("new metrics and files are not listed"), "{}", out.err);
    let all = ward.annals(&["diff", "--from", "0", "--all"]).ok();
    assert!(all.out.lines().count() > out.out.lines().count());
    assert!(!all.err.contains("not listed"), "{}", all.err);
}

#[test]
fn settings_build_on_others_and_files_hold_templates() {
    let ward = Workspace::bare();
    let write = |name: &str, text: &str| std::fs::write(ward.path(name), text).unwrap();
    write("mine.yaml", "extends: tfidf_logreg\ntfidf: {c: 3.5}\ntags: [mine]\n");
    write("more.yml", "extends: ./mine.yaml\ntfidf: {ngram_max: 1}\n");
    write(
        "experiment_configs.yaml",
        "small:\n  model: {name: Small, n_embd: 64}\n  training: {num_epochs: 7}\n\
         longer:\n  extends: small\n  training: {num_epochs: 9}\n\
         large_model:\n  extends: large_model\n  training: {batch_size: 2}\n",
    );
    write("again.yaml", "extends: again.yaml\n");
    write("wrong.yaml", "small: {model: {n_head: 3}}\n");
    let shown = |config: &str| json(&ward, &["train", "--show-config", "--config", config]);
    let base = shown("tfidf_logreg");
    let mine = shown("mine.yaml");
    assert_eq!((&mine["tfidf"]["c"], &mine["tags"][0]), (&3.5.into(), &"mine".into()));
    assert_eq!(mine["tfidf"]["max_features"], base["tfidf"]["max_features"]);
    assert_eq!(mine["model"], base["model"]);
    let more = shown("more.yml");
    assert_eq!((&more["tfidf"]["c"], &more["tfidf"]["ngram_max"]), (&3.5.into(), &1.into()));
    assert_eq!(shown("experiment_configs.yaml:small")["training"]["num_epochs"], 7);
    let longer = shown("experiment_configs.yaml:longer");
    assert_eq!(
        (&longer["training"]["num_epochs"], &longer["model"]["n_embd"]),
        (&9.into(), &64.into())
    );
    let large = shown("experiment_configs.yaml:large_model");
    assert_eq!(large["model"], shown("large_model")["model"]);
    let set = ["train", "--show-config", "--config", "mine.yaml", "--set", "tfidf.c=9"];
    assert_eq!(json(&ward, &set)["tfidf"]["c"], 9.0);
    for (config, code, text) in [
        ("experiment_configs.yaml", 3, "holds 3 templates: small, longer, large_model"),
        ("experiment_configs.yaml:smal", 4, "its templates are small, longer, large_model"),
        ("mine.yaml:small", 3, "holds settings, not templates"),
        ("again.yaml", 3, "extend itself"),
        ("wrong.yaml:small", 3, "wrong.yaml:1:17: unknown key `model.n_head`"),
        ("nowhere.yaml", 3, "cannot read"),
        ("bas", 4, "--list-configs"),
    ] {
        ward.annals(&["train", "--show-config", "--config", config]).refused(code, text);
    }
    let words = ["train", "--show-config", "--set", "num_epochs=1"];
    ward.annals(&words).refused(3, "did you mean `training.num_epochs`?");
    // What is listed can be used, and it is all there is.
    let configs = json(&ward, &["train", "--list-configs"]);
    for config in configs.as_array().unwrap() {
        shown(config["name"].as_str().unwrap());
        assert!(!config["description"].as_str().unwrap().is_empty(), "{config}");
    }
    let settings = json(&ward, &["train", "--list-settings"]);
    let keys: BTreeSet<&str> =
        settings.as_array().unwrap().iter().map(|s| s["key"].as_str().unwrap()).collect();
    assert!(keys.contains("training.early_stopping.patience"), "{keys:?}");
    for setting in settings.as_array().unwrap() {
        let (key, default) =
            (setting["key"].as_str().unwrap(), setting["default"].as_str().unwrap());
        let pair = format!("{key}={default}");
        ward.annals(&["train", "--show-config", "--config", "toy", "--set", &pair]);
    }
}

#[test]
fn the_templates_of_the_old_tracker_are_read() {
    let path = "data/legacy/mental-health-classifier_v1/config/experiment_configs.yaml";
    let Some(file) = shared(path) else { return };
    let ward = Workspace::bare();
    let config = |name: &str| format!("{}:{name}", file.display());
    for (name, width) in [("baseline_small", 256), ("medium_model", 512), ("large_model", 768)] {
        let shown = json(&ward, &["train", "--show-config", "--config", &config(name)]);
        assert_eq!(shown["model"]["n_embd"], width, "{name}");
    }
    // Keys without an equivalent are refused together, each with its reason and a replacement.
    for (name, keys) in [
        (
            "umls_enhanced",
            &[
                "clinical_vocab.clinical_embedding_boost",
                "training.clinical_loss_weight",
                "clinical_vocab.use_umls",
            ][..],
        ),
        ("curriculum_model", &["training.curriculum_stages", "training.curriculum_learning"]),
        ("multitask_model", &["model.auxiliary_tasks.severity_regression"]),
        (
            "interpretable_model",
            &[
                "model.attention_analysis.save_attention_weights",
                "model.attention_analysis.attention_regularization",
                "model.attention_analysis.interpretability_loss",
                "training.attention_supervision",
                "training.clinical_attention_boost",
            ],
        ),
    ] {
        let words = ["train", "--show-config", "--config", &config(name)];
        let answer = ward.annals(&words).refused(3, "no setting of annals means the same as");
        for key in keys {
            assert!(answer.err.contains(&format!("`{key}` (line ")), "{key}: {}", answer.err);
            assert!(answer.err.contains(&format!("hint: `{key}`: ")), "{key}: {}", answer.err);
        }
        assert_eq!(answer.err.matches("; use ").count(), keys.len(), "{}", answer.err);
    }
    // Without these keys the rest is translated.
    let text = std::fs::read_to_string(&file).unwrap();
    let dropped = ["clinical_embedding_boost", "clinical_loss_weight", "severity_regression"];
    let kept = text.lines().filter(|line| !dropped.iter().any(|key| line.contains(key)));
    std::fs::write(ward.path("old.yaml"), kept.collect::<Vec<_>>().join("\n")).unwrap();
    let shown = json(&ward, &["train", "--show-config", "--config", "old.yaml:multitask_model"]);
    assert_eq!(shown["multitask"]["heads"][1]["column"], "urgency_classification");
    assert_eq!(shown["multitask"]["heads"][1]["weight"], 0.7);
    let words = ["train", "--show-config", "--config", "old.yaml:umls_enhanced"];
    ward.annals(&words).refused(3, "the path of MRCONSO.RRF");
    let shown = json(&ward, &[&words[..], &["--set", "lexicon.file=clinical"]].concat());
    assert_eq!(shown["lexicon"]["semantic_types"][0], "Disease or Syndrome");
}

#[test]
fn curves_of_several_runs_are_one_picture() {
    let ward = several();
    let words = ["plot", "curves", "alpha", "beta", "--metric", "loss"];
    let out = ward.annals(&words).ok().out;
    for name in ["alpha train", "alpha valid", "beta train", "beta valid"] {
        assert!(out.contains(name), "{name} in {out}");
    }
    let out = ward.annals(&[&words[..], &["--split", "valid"]].concat()).ok().out;
    assert!(out.contains("alpha valid") && !out.contains("alpha train"), "{out}");
    let one = ward.annals(&["plot", "curves", "alpha"]).ok().out;
    assert!(one.contains("train loss"), "{one}");
    let answer = ward.annals(&["plot", "curves", "alpha", "delta"]).ok();
    assert!(answer.err.contains("fewer than two points of loss: not drawn"), "{}", answer.err);
    let answer = ward.annals(&["plot", "curves", "alpha", "beta", "--metric", "los"]);
    answer.refused(4, "did you mean `loss`?");
}

#[test]
fn early_stopping_is_reported() {
    let ward = Workspace::new();
    let words = [
        "--set",
        "training.early_stopping.patience=1",
        "--set",
        "training.num_epochs=40",
        "--set",
        "training.learning_rate=1.0e-9",
    ];
    let answer = ward.train("idle", &words).ok();
    assert!(answer.err.contains("stopped early after epoch 2 of 40"), "{}", answer.err);
    let folder = json(&ward, &["show", "idle"])["folder"].as_str().unwrap().to_owned();
    let log = std::fs::read_dir(ward.path(&folder)).unwrap().flatten().find_map(|entry| {
        let name = entry.file_name().into_string().unwrap();
        name.ends_with(".log").then(|| std::fs::read_to_string(entry.path()).unwrap())
    });
    let log = log.unwrap_or_else(|| {
        std::fs::read_to_string(ward.path(&format!("{folder}/logs/training.log"))).unwrap()
    });
    assert!(log.contains("stopped early"), "{log}");
}
