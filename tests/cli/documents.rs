//! What the layout training-output has beside runs and models: logs under one roof, summaries,
//! how to reproduce, each model as a file; all of it follows from the log.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::support::Workspace;
use crate::walk::{agree, every_step};

fn guide() -> Workspace {
    let ward = Workspace::bare();
    ward.annals(&["init", "--layout", "training-output"]).ok();
    ward.allow_synthetic();
    ward
}

/// The names in a folder, in order; none where there is no folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Every generated file of the layout, with its bytes or where it leads.
fn documents(ward: &Workspace) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for folder in ["training/logs", "training/results", "model_weights/production"] {
        for name in names(&ward.path(folder)) {
            let path = ward.path(folder).join(name);
            if let Ok(to) = std::fs::read_link(&path) {
                found.insert(path, to.into_os_string().into_encoded_bytes());
            } else if path.is_file() {
                found.insert(path.clone(), std::fs::read(path).unwrap());
            }
        }
    }
    found
}

fn model(ward: &Workspace) -> String {
    let shown = ward.annals(&["list", "--format", "json"]).ok().json();
    let run = shown[0]["experiment_id"].as_str().unwrap().to_owned();
    let promoted = ward.annals(&["promote", &run, "--format", "json"]).ok().json();
    promoted["name"].as_str().unwrap().to_owned()
}

#[test]
fn a_model_in_production_has_its_log_its_summary_and_the_name_of_a_file() {
    let ward = guide();
    ward.train("simplified", &["--description", "a | b"]).ok();
    let first = names(&ward.path("training/logs"));
    assert_eq!(first.len(), 1);
    let (head, time) = first[0].split_at("toy_training_".len());
    assert_eq!((head, time.len()), ("toy_training_", "20260725_104438.log".len()));
    let log = ward.read(&format!("training/logs/{}", first[0]));
    let text = String::from_utf8(log.clone()).unwrap();
    assert!(text.contains(" - INFO - Epoch  1: Train Loss="), "{text}");
    assert!(text.contains("Val AUC=") && text.contains("INFO - Test Loss="), "{text}");
    // The folder of the run is the guide's.
    let shown = ward.annals(&["show", "simplified", "--format", "json"]).ok().json();
    let home = shown["folder"].as_str().unwrap();
    assert_eq!(ward.read(&format!("{home}/training.log")), log);
    assert!(ward.path(&format!("{home}/config.yaml")).is_file());
    assert!(ward.path(&format!("{home}/checkpoints")).is_dir());
    assert!(!ward.path(&format!("{home}/logs")).exists());
    let results = names(&ward.path("training/results"));
    assert_eq!(results, ["REPRODUCIBILITY.md"]);

    let name = model(&ward);
    assert!(name.starts_with("toy_v0."), "{name}");
    // The log is the model's by now.
    let canonical = format!("{name}_{}.log", &time[..8]);
    assert_eq!(names(&ward.path("training/logs")), std::slice::from_ref(&canonical));
    assert_eq!(ward.read(&format!("training/logs/{canonical}")), log);
    let file = ward.path(&format!("model_weights/production/{name}.safetensors"));
    assert!(file.is_symlink());
    let weights = ward.read(&format!("model_weights/production/{name}/model.safetensors"));
    assert_eq!(std::fs::read(&file).unwrap(), weights);
    let summary = ward.read(&format!("training/results/{name}_summary.md"));
    let summary = String::from_utf8(summary).unwrap();
    for part in [
        "## Parameters",
        "| training.num_epochs |",
        "| test | roc_auc |",
        "### Labels on test",
        "| seed |",
        "`annals reproduce simplified_",
        "Trained on generated data",
        "| reproduced | not yet |",
    ] {
        assert!(summary.contains(part), "{part} is not in {summary}");
    }
    ward.annals(&["reproduce", "simplified"]).ok();
    let text = String::from_utf8(ward.read("training/results/REPRODUCIBILITY.md")).unwrap();
    assert!(text.contains(&format!("| {name} | simplified_")), "{text}");
    assert!(text.contains("1 of 1 times bit for bit"), "{text}");
    agree(&ward);

    ward.annals(&["demote", &name, "--reason", "worse"]).ok();
    assert_eq!(names(&ward.path("training/results")), ["REPRODUCIBILITY.md"]);
    assert!(names(&ward.path("training/logs")).contains(&first[0]));
    assert!(names(&ward.path("model_weights/production")).is_empty());
    agree(&ward);
}

#[test]
fn a_model_without_an_auc_is_numbered_and_its_summary_says_how_good_it_is() {
    let ward = guide();
    std::fs::write(ward.path("model.joblib"), "weights").unwrap();
    let confusion = r#"{"labels": ["calm", "risk"], "matrix": [[90, 10], [20, 80]]}"#;
    std::fs::write(ward.path("confusion.json"), confusion).unwrap();
    let start = ["run", "start", "--name", "forest", "--labels", "calm,risk", "--rows", "test=200"];
    let stated = ["--leaked-rows", "0", "--synthetic", "false"];
    ward.annals(&[&start[..], &stated].concat()).ok();
    ward.annals(&["run", "save", "forest", "model.joblib"]).ok();
    let metrics = ["test/accuracy=0.85", "test/f1_macro=0.85"];
    let finish = [&["run", "finish", "forest"], &metrics[..], &["--confusion", "confusion.json"]];
    ward.annals(&finish.concat()).ok();
    ward.annals(&["promote", "forest"]).ok();
    let summary = ward.read("training/results/forest_v1_summary.md");
    let summary = String::from_utf8(summary).unwrap();
    assert!(summary.contains("| test | f1_macro | 0.85"), "{summary}");
    assert!(ward.path("model_weights/production/forest_v1.joblib").is_symlink());
    agree(&ward);
}

#[test]
fn documents_come_back_byte_for_byte_and_edits_of_them_are_kept() {
    let ward = guide();
    for name in ["one", "two"] {
        ward.train(name, &[]).ok();
    }
    let name = model(&ward);
    let before = documents(&ward);
    assert_eq!(before.len(), 5);
    for path in before.keys() {
        std::fs::remove_file(path).unwrap();
        let gone = ward.annals(&["replay", "--check"]);
        gone.refused(9, "1 differ from the log");
        ward.annals(&["replay"]).ok();
    }
    assert_eq!(documents(&ward), before);
    // A summary that somebody improved, and a file instead of the link.
    let summary = format!("training/results/{name}_summary.md");
    std::fs::write(ward.path(&summary), "better").unwrap();
    let link = format!("model_weights/production/{name}.safetensors");
    std::fs::remove_file(ward.path(&link)).unwrap();
    std::fs::write(ward.path(&link), "mine").unwrap();
    let told = ward.annals(&["tag", "one", "+slow"]).ok().err;
    assert!(told.contains(&format!("{summary} was edited by hand")), "{told}");
    assert_eq!(ward.read(&format!("{summary}.edited-1")), b"better");
    assert_eq!(ward.read(&format!("{link}.edited-1")), b"mine");
    let again = documents(&ward);
    assert!(before.iter().all(|(path, bytes)| again.get(path) == Some(bytes)));
    agree(&ward);
    // As it was, elsewhere.
    ward.annals(&["replay", "--out", "../out"]).ok();
    assert_eq!(ward.read(&format!("../out/{summary}")), ward.read(&summary));
}

#[test]
fn old_logs_go_into_one_file() {
    let ward = guide();
    for name in ["one", "two", "three"] {
        ward.train(name, &[]).ok();
    }
    let name = model(&ward);
    let loose = names(&ward.path("training/logs"));
    let pack = ["layout", "pack-logs", "--before", "0 s"];
    let planned = ward.annals(&[&pack[..], &["--dry-run"]].concat()).ok();
    assert!(
        planned
            .err
            .contains("2 logs would be packed into training/experiments/archived/logs_before_")
    );
    assert_eq!(names(&ward.path("training/logs")), loose);
    let done = ward.annals(&[&pack[..], &["--apply", "--format", "json"]].concat()).ok().json();
    let file = done["file"].as_str().unwrap().to_owned();
    let left = names(&ward.path("training/logs"));
    assert!(left.len() == 1 && left[0].starts_with(&name), "{left:?}");
    let bytes = ward.read(&file);
    let mut packed = BTreeMap::new();
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        let mut text = Vec::new();
        entry.read_to_end(&mut text).unwrap();
        packed.insert(name, text.len());
    }
    let mut both: Vec<String> = packed.keys().cloned().chain(left.clone()).collect();
    both.sort();
    assert_eq!(both, loose);
    assert!(packed.values().all(|bytes| *bytes > 0));
    agree(&ward);
    // Nothing is left to pack, and the pack is a fact: gone, it comes back.
    let again = ward.annals(&[&pack[..], &["--apply"]].concat()).ok();
    assert!(again.err.contains("no log is that old"), "{}", again.err);
    ward.annals(&["gc", "--apply", "--min-age", "0"]).ok();
    std::fs::remove_file(ward.path(&file)).unwrap();
    ward.annals(&["replay"]).ok();
    assert_eq!(ward.read(&file), bytes);
    // A later pack of that day has a name of its own.
    ward.train("four", &[]).ok();
    ward.annals(&[&pack[..], &["--apply"]].concat()).ok();
    let packs = names(&ward.path("training/experiments/archived"));
    assert_eq!(packs.len(), 2, "{packs:?}");
    agree(&ward);
    // They go with the layout, and come back with it.
    let before = documents(&ward);
    ward.annals(&["layout", "migrate", "consolidated", "--apply"]).ok();
    assert!(!ward.path("training").exists() && !ward.path("model_weights").exists());
    agree(&ward);
    ward.annals(&[&pack[..], &["--dry-run"]].concat()).refused(5, "has no folder of logs");
    ward.annals(&["layout", "migrate", "training-output", "--apply"]).ok();
    assert_eq!(documents(&ward), before);
    assert_eq!(names(&ward.path("training/experiments/archived")), packs);
    agree(&ward);
    ward.annals(&["layout", "pack-logs", "--before", "soon"]).refused(2, "--before soon");
}

/// The settings and the log go where each layout has them, and whatever reads them finds them.
#[test]
fn settings_and_logs_lie_in_a_runs_folder_where_the_layout_has_them() {
    let ward = Workspace::new();
    ward.allow_synthetic();
    ward.train("one", &[]).ok();
    ward.train("packed", &[]).ok();
    ward.annals(&["archive", "packed", "--compress"]).ok();
    std::fs::write(ward.path("settings.json"), r#"{"layers": 3}"#).unwrap();
    let start = ["run", "start", "--name", "script", "--config", "settings.json"];
    ward.annals(&start).ok();
    ward.annals(&["run", "finish", "script", "test/accuracy=0.9"]).ok();
    let place = |run: &str, file: &str| {
        let shown = ward.annals(&["show", run, "--format", "json"]).ok().json();
        let folder = shown["folder"].as_str().unwrap();
        ward.path(&format!("{folder}/{file}"))
    };
    let [consolidated, guide] = [
        [
            ("one", "config/config.yaml"),
            ("one", "logs/training.log"),
            ("script", "config/config.json"),
        ],
        [("one", "config.yaml"), ("one", "training.log"), ("script", "config.json")],
    ];
    let bytes = |files: [(&str, &str); 3]| {
        files.map(|(run, file)| std::fs::read(place(run, file)).unwrap())
    };
    let before = bytes(consolidated);
    for (layout, here, gone) in
        [("training-output", guide, consolidated), ("consolidated", consolidated, guide)]
    {
        ward.annals(&["layout", "migrate", layout, "--apply"]).ok();
        assert_eq!(bytes(here), before);
        assert!(gone.iter().all(|(run, file)| !place(run, file).exists()), "{layout}");
        let told = ward.annals(&["reproduce", "one"]).ok().out;
        assert!(told.contains("equal"), "{told}");
        ward.annals(&["restore", "packed"]).ok();
        ward.annals(&["reproduce", "packed"]).ok();
        ward.annals(&["archive", "packed", "--compress"]).ok();
        agree(&ward);
    }
    ward.annals(&["promote", "one", "--as", "night"]).ok();
    assert_eq!(ward.read("models/production/night/config.yaml"), before[0]);
    agree(&ward);
}

#[test]
fn a_promotion_is_killed_at_every_step_where_documents_follow_it() {
    let ward = guide();
    ward.train("one", &[]).ok();
    every_step(&ward, &["promote", "one", "--as", "night"]);
}

/// Weights from elsewhere have a folder of their own, and trainings find them there by name.
#[test]
fn pretrained_weights_have_a_folder() {
    let ward = guide();
    let folder = ward.path("model_weights/pretrained");
    assert!(folder.is_dir());
    let shown = ward.annals(&["layout", "show"]).ok().out;
    assert!(shown.contains("pretrained  model_weights/pretrained/"), "{shown}");
    let ignored = String::from_utf8(ward.read(".gitignore")).unwrap();
    assert!(ignored.contains("/model_weights/pretrained/"), "{ignored}");
    std::fs::write(folder.join("PAT-S.safetensors"), "no weights").unwrap();
    let words = ["train", "--config", "pat_s", "--data", "x.csv"];
    let words = [&words[..], &["--set", "pat.init_from=PAT-S.safetensors"]].concat();
    let answer = ward.annals(&words).refused(3, "model_weights/pretrained/PAT-S.safetensors");
    assert!(!answer.err.contains("cannot read PAT-S"), "{}", answer.err);
    // The other layout has none; one that is migrated gets it.
    let other = Workspace::new();
    assert!(!other.path("model_weights").exists());
    other.annals(&["layout", "migrate", "training-output", "--apply"]).ok();
    assert!(other.path("model_weights/pretrained").is_dir());
}
