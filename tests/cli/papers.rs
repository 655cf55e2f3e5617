//! What is written about a model: its card, its papers, the registry and the summary tell what was
//! decided, measured and stated, in one shape for all kinds of runs, and nothing else.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::Workspace;

/// Settings of other architectures, and such as a linear model or the plain learner has not.
const FOREIGN: [&str; 5] = ["nan_at_step", "patch_size", "hidden_dim", "convolution", "num_heads"];

fn notes(ward: &Workspace, labels: [&str; 3]) {
    let mut text = String::from("text,label\n");
    let words = ["calm night slept well rested", "restless pacing awake worry", "sad low tearful"];
    for row in 0..240 {
        let label = row % 3;
        let csv = labels[label].replace('"', "\"\"");
        text += &format!("\"{} number {row}\",\"{csv}\"\n", words[label]);
    }
    std::fs::write(ward.path("notes.csv"), text).unwrap();
}

fn strict_of(ward: &Workspace) {
    for (rule, value) in [("min_test_rows", "10"), ("allow_leakage", "true")] {
        let key = format!("production_promotion.{rule}");
        ward.annals(&["policy", "set", &key, value]).ok();
    }
}

/// One run of each kind in production: the plain learner, TF-IDF, an ensemble and a script.
fn zoo(ward: &Workspace) {
    notes(ward, ["calm", "restless", "sad"]);
    strict_of(ward);
    for (config, name) in [("toy", "plain"), ("toy", "second"), ("tfidf_logreg", "linear")] {
        let args = ["train", "--config", config, "--data", "notes.csv", "--name", name];
        ward.annals(&[&args[..], &["--category", "baseline"]].concat()).ok();
    }
    ward.annals(&["ensemble", "create", "both", "plain", "linear"]).ok();
    ward.annals(&["run", "start", "--name", "script", "--synthetic", "false"]).ok();
    std::fs::write(ward.path("w.bin"), "weights").unwrap();
    ward.annals(&["run", "save", "script", "w.bin"]).ok();
    let matrix = r#"{"split": "test", "labels": ["a", "b"], "matrix": [[30, 2], [3, 25]]}"#;
    std::fs::write(ward.path("confusion.json"), matrix).unwrap();
    ward.annals(&["run", "finish", "script", "--confusion", "confusion.json"]).ok();
    for (run, name) in
        [("plain", "net_v1"), ("linear", "lin_v1"), ("both", "ens_v1"), ("script", "scr_v1")]
    {
        let stated = ["--intended-use", "triage, read by a nurse", "--limits", "no minors"];
        let args = ["promote", run, "--as", name, "--reason", "it is better"];
        ward.annals(&[&args[..], &stated].concat()).ok();
    }
}

fn read(ward: &Workspace, path: &str) -> String {
    String::from_utf8(ward.read(path)).unwrap()
}

fn headings(card: &str) -> Vec<&str> {
    card.lines().filter(|line| line.starts_with("## ")).collect()
}

#[test]
fn cards_of_all_kinds_have_one_shape_and_name_what_counts() {
    let ward = Workspace::new();
    zoo(&ward);
    let mut shapes: BTreeMap<Vec<String>, Vec<&str>> = BTreeMap::new();
    for name in ["net_v1", "lin_v1", "ens_v1"] {
        let card = read(&ward, &format!("models/production/{name}/README.md"));
        for expected in [
            &format!("# {name}\n") as &str,
            &format!("| version | 1.0.0 (number 1 of {name}) |"),
            "## Intended use\n\ntriage, read by a nurse\n",
            "## Limits\n\nno minors\n",
            "notes.csv | 240 |",
            "blake3 of the file's bytes",
            "Weakest label: ",
            "### Confusion",
            "| promoted by | mara (signed) |",
            "| approved by | mara (signed) |",
            "| reason | it is better |",
            "| min_accuracy_threshold | ",
            "| trained by | mara (signed), 20",
            "near-duplicate rows",
            "## Comparison with the baseline",
            &format!("annals predict {name} \"a text\""),
        ] {
            assert!(card.contains(expected), "{name} lacks {expected:?}:\n{card}");
        }
        assert!(!card.contains("ci_low") && !card.contains("support_"), "{name}:\n{card}");
        let shape = headings(&card).into_iter().map(str::to_owned).collect();
        shapes.entry(shape).or_default().push(name);
    }
    assert_eq!(shapes.len(), 1, "{shapes:?}");
    let script = read(&ward, "models/production/scr_v1/README.md");
    assert_eq!(shapes.keys().next().unwrap(), &headings(&script), "{script}");
    assert!(script.contains("Weakest label: b") && script.contains("another trainer"), "{script}");
    let net = read(&ward, "models/production/net_v1/README.md");
    assert!(net.contains("| accuracy | ") && !net.contains("inference time | not measured"));
    let ensemble = read(&ward, "models/production/ens_v1/README.md");
    assert!(ensemble.contains("inference time | not measured"), "never invented");
    // The run's own card has the same shape and says that it is not promoted.
    let folder = ward.annals(&["show", "linear", "--format", "json"]).ok().json();
    let folder = folder["folder"].as_str().unwrap().to_owned();
    let card = read(&ward, &format!("{folder}/results/model_card.md"));
    let shape: Vec<String> = headings(&card).into_iter().map(str::to_owned).collect();
    assert_eq!(shapes.keys().next(), Some(&shape));
    assert!(card.contains("Not stated.") && card.contains("Not promoted"), "{card}");
}

#[test]
fn papers_tell_what_was_measured_and_no_setting_of_another_architecture() {
    let ward = Workspace::new();
    zoo(&ward);
    for name in ["net_v1", "lin_v1", "ens_v1"] {
        let config = read(&ward, &format!("models/production/{name}/config.json"));
        for key in FOREIGN {
            // The plain learner's own.
            let own = name == "net_v1" && key == "nan_at_step";
            assert!(own || !config.contains(key), "{name} has {key}: {config}");
        }
        let info = read(&ward, &format!("models/production/{name}/training_info.json"));
        let info: Value = serde_json::from_str(&info).unwrap();
        assert!(info["training_time_minutes"].is_number(), "{info}");
        assert_eq!(info["device"], "cpu");
        assert_eq!(info["num_classes"], 3);
        let metrics = info["metrics"].as_object().unwrap();
        assert!(metrics["accuracy"].is_number(), "{info}");
        let supports: Vec<_> = metrics.iter().filter(|(k, _)| k.starts_with("support")).collect();
        assert!(supports.iter().all(|(_, value)| value.is_u64()), "{supports:?}");
        let measured = &info["avg_inference_time_ms"];
        match name {
            "ens_v1" => assert!(measured.is_null(), "never invented"),
            _ => assert!(measured.as_f64().unwrap() > 0.0),
        }
    }
    let registry = read(&ward, "models_registry_consolidated.json");
    let registry: Value = serde_json::from_str(&registry).unwrap();
    let linear = &registry["production_models"]["lin_v1"]["architecture"];
    for key in ["n_layer", "n_embd", "num_heads", "dropout", "vocab_size", "max_seq_length"] {
        assert!(linear.as_object().unwrap()[key].is_null(), "{linear}");
    }
    assert_eq!(linear["num_classes"], 3);
    let plain = &registry["production_models"]["net_v1"]["architecture"];
    assert!(plain["vocab_size"].is_number() && plain["n_layer"].is_null(), "{plain}");
    // Nor anywhere else.
    let params = "select p.name from params p join runs r on p.run = r.run where r.name = 'linear'";
    let params = ward.annals(&["query", params, "--format", "json"]).ok().out;
    assert!(params.contains("tfidf.c"), "{params}");
    assert!(!FOREIGN.iter().any(|key| params.contains(key)), "{params}");
    let report = ward.annals(&["consolidate", "report"]).ok().out;
    assert!(!report.contains("L-256D"), "{report}");
    assert!(report.contains("TF-IDF + logistic regression"), "{report}");
}

#[test]
fn names_and_labels_make_no_markup() {
    let ward = Workspace::new();
    notes(&ward, ["\u{1b}[31mred\u{1b}[0m", "<script>alert(1)</script>", "a|b`c`"]);
    strict_of(&ward);
    let args = ["train", "--config", "tfidf_logreg", "--data", "notes.csv", "--name", "m"];
    let evil = "<img src=x onerror=alert(2)> | \"q\"";
    ward.annals(&[&args[..], &["--description", evil, "--category", "baseline"]].concat()).ok();
    let stated =
        ["--intended-use", "a|b <i>", "--limits", "line one\n| x | y |", "--reason", "`r`|"];
    ward.annals(&[&["promote", "m", "--as", "m_v1"][..], &stated].concat()).ok();
    let folder = ward.annals(&["show", "m", "--format", "json"]).ok().json();
    let folder = folder["folder"].as_str().unwrap().to_owned();
    let report = ward.annals(&["consolidate", "report"]).ok().out;
    let cards = [
        read(&ward, &format!("{folder}/results/model_card.md")),
        read(&ward, "models/production/m_v1/README.md"),
        report,
    ];
    for card in cards {
        assert!(!card.contains('\u{1b}'), "{card}");
        assert!(!card.contains("<script") && !card.contains("<img"), "{card}");
        let mut width = None;
        for line in card.lines() {
            if !line.starts_with('|') {
                width = None;
                continue;
            }
            let cells = line.replace("\\\\", "").replace("\\|", "").matches('|').count();
            assert_eq!(*width.get_or_insert(cells), cells, "{line}");
        }
    }
}

#[test]
fn a_summary_of_the_training_output_layout_is_about_its_own_model() {
    let ward = Workspace::bare();
    ward.annals(&["init", "--layout", "training-output"]).ok();
    zoo(&ward);
    let summary = read(&ward, "training/results/lin_v1_summary.md");
    for key in FOREIGN {
        assert!(!summary.contains(key), "{summary}");
    }
    assert!(!summary.contains("ci_low"), "{summary}");
    let counts: Vec<&str> = summary.lines().filter(|line| line.contains("| support")).collect();
    assert!(counts.iter().all(|line| !line.contains('.')), "{counts:?}");
    let since = summary.lines().find(|line| line.contains("in production since")).unwrap();
    assert!(!since.contains('.') && since.contains("UTC"), "{since}");
}

#[test]
fn statements_are_made_in_the_request() {
    let ward = Workspace::new();
    notes(&ward, ["calm", "restless", "sad"]);
    strict_of(&ward);
    let args = ["train", "--config", "tfidf_logreg", "--data", "notes.csv", "--name", "m"];
    ward.annals(&[&args[..], &["--category", "baseline"]].concat()).ok();
    ward.annals(&["promote", "m", "--as", "m_v1", "--limits", " "]).refused(2, "the text is empty");
    let stated = ["--request", "--intended-use", "triage"];
    ward.annals(&[&["promote", "m", "--as", "m_v1"][..], &stated].concat()).ok();
    // Who approves must have read it.
    ward.annals(&["promote", "m", "--limits", "late"]).refused(5, "was made already");
    ward.annals(&["promote", "m"]).ok();
    let card = read(&ward, "models/production/m_v1/README.md");
    assert!(card.contains("## Intended use\n\ntriage\n\n## Limits\n\nNot stated."), "{card}");
}

#[test]
fn init_keeps_the_log_data_and_weights_out_of_git() {
    let ward = Workspace::bare();
    let made = ward.annals(&["init"]).ok();
    assert!(made.err.contains("Wrote .gitignore"), "{}", made.err);
    let ignored = read(&ward, ".gitignore");
    for line in ["/.annals/", "/experiments/", "/models/production/"] {
        assert!(ignored.lines().any(|found| found == line), "{ignored}");
    }
    let other = Workspace::bare();
    std::fs::write(other.path(".gitignore"), "*.pyc").unwrap();
    let made = other.annals(&["init"]).ok();
    assert!(made.err.contains("Added to .gitignore: /.annals/"), "{}", made.err);
    assert!(read(&other, ".gitignore").starts_with("*.pyc\n"));
}

#[test]
fn folders_of_the_layout_are_read_from_a_file_of_variables() {
    let ward = Workspace::bare();
    std::fs::write(ward.path(".env"), "# folders\nTRAINING_DIR=\"./t3\"\nSECRET=x\n").unwrap();
    ward.annals(&["init", "--layout", "training-output"]).ok();
    ward.train("one", &[]).ok();
    assert!(ward.path("t3/experiments/active").is_dir() && !ward.path("training").exists());
    ward.annals_with(&[("TRAINING_DIR", "./t4")], &["run", "start", "--name", "two"]).ok();
    assert!(ward.path("t4/experiments/active").is_dir(), "the environment wins");
    std::fs::write(ward.path(".env"), "TRAINING_DIR=../elsewhere\n").unwrap();
    ward.annals(&["list"]).refused(2, "leaves the workspace");
}
