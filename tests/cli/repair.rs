//! A damaged production folder never bars the way out: whatever is missing, altered or added, the
//! model can be demoted, rolled back, replaced and repaired, and what was found is kept and named.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::support::Workspace;
use crate::walk::agree;

const FOLDER: &str = "models/production/notes";

/// Two versions of a model, the second in production, and a third run.
fn ward() -> Workspace {
    let ward = Workspace::new();
    ward.allow_synthetic();
    for (name, seed) in [("one", "1"), ("two", "2"), ("three", "3")] {
        ward.train(name, &["--seed", seed]).ok();
    }
    ward.annals(&["promote", "one", "--as", "notes"]).ok();
    ward.annals(&["promote", "two", "--as", "notes", "--replace"]).ok();
    ward
}

/// What happens to a folder, and how `doctor` calls it.
type Damage = (&'static str, &'static str, fn(&Path));

fn gone(path: &Path) {
    if path.is_dir() {
        std::fs::remove_dir_all(path).unwrap();
    } else {
        std::fs::remove_file(path).unwrap();
    }
}

const DAMAGES: [Damage; 12] = [
    ("a file is missing", "missing", |dir| gone(&dir.join("labels.json"))),
    ("every file is missing", "missing", |dir| {
        gone(dir);
        std::fs::create_dir(dir).unwrap();
    }),
    ("the folder is missing", "missing", gone),
    ("weights are altered", "altered", |dir| {
        std::fs::write(dir.join("model.safetensors"), "other weights").unwrap();
    }),
    ("a file is empty", "altered", |dir| std::fs::write(dir.join("labels.json"), "").unwrap()),
    ("a file was added", "added", |dir| std::fs::write(dir.join("mine.txt"), "x").unwrap()),
    ("a folder was added", "added", |dir| {
        std::fs::create_dir(dir.join("more")).unwrap();
        std::fs::write(dir.join("more/mine.txt"), "x").unwrap();
    }),
    ("a name is not UTF-8", "added", |dir| {
        std::fs::write(dir.join(std::ffi::OsStr::from_bytes(b"m\xff.txt")), "x").unwrap();
    }),
    ("a folder is in the place of a file", "not a plain file", |dir| {
        gone(&dir.join("labels.json"));
        std::fs::create_dir(dir.join("labels.json")).unwrap();
        std::fs::write(dir.join("labels.json/x"), "x").unwrap();
    }),
    ("a pipe is in the place of a file", "not a plain file", |dir| {
        gone(&dir.join("labels.json"));
        let made = std::process::Command::new("mkfifo").arg(dir.join("labels.json")).status();
        assert!(made.unwrap().success());
    }),
    ("a link is in the place of a file", "not a plain file", |dir| {
        std::fs::rename(dir.join("labels.json"), dir.with_file_name("elsewhere.json")).unwrap();
        std::os::unix::fs::symlink("../elsewhere.json", dir.join("labels.json")).unwrap();
    }),
    ("a link is in the place of the folder", "not a plain file", |dir| {
        let elsewhere = dir.parent().unwrap().parent().unwrap().join("elsewhere");
        std::fs::rename(dir, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, dir).unwrap();
    }),
];

/// The emergency exits, and the version in production afterwards.
const EXITS: [(&[&str], Option<u64>); 4] = [
    (&["repair", "notes", "--reason", "a disk failed"], Some(2)),
    (&["rollback", "notes", "--reason", "it is damaged"], Some(1)),
    (&["demote", "notes", "--reason", "it is damaged"], None),
    (&["promote", "three", "--as", "notes", "--replace"], Some(3)),
];

/// The production folder holds exactly what the registry names.
#[track_caller]
fn whole(ward: &Workspace, number: Option<u64>) {
    let registry: serde_json::Value =
        serde_json::from_slice(&ward.read("MODEL_VERSION.json")).unwrap();
    let model = &registry["details"]["notes"];
    assert_eq!(model["number"].as_u64(), number);
    if number.is_none() {
        assert!(!ward.path(FOLDER).exists());
        return;
    }
    let files = model["files"].as_array().unwrap();
    for file in files {
        let bytes = ward.read(&format!("{FOLDER}/{}", file["path"].as_str().unwrap()));
        assert_eq!(blake3::hash(&bytes).to_string(), file["blake3"].as_str().unwrap());
    }
    assert_eq!(std::fs::read_dir(ward.path(FOLDER)).unwrap().count(), files.len());
}

/// Everything below a folder with its bytes or what else it is; links are not followed.
fn content(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        let name = Path::new(path.file_name().unwrap()).to_owned();
        if kind.is_dir() {
            let inside = content(&path).into_iter();
            all.extend(inside.map(|(inner, bytes)| (name.join(inner), bytes)));
        } else if kind.is_file() {
            all.push((name, std::fs::read(&path).unwrap()));
        } else {
            all.push((name, format!("{kind:?}").into_bytes()));
        }
    }
    all.sort();
    all
}

#[test]
fn the_emergency_exits_work_in_the_emergency() {
    let (start, mut turn) = (ward(), 0);
    for (what, word, damage) in DAMAGES {
        // The repair of each, and the other exits by turns.
        turn += 1;
        for (exit, number) in [EXITS[0], EXITS[1 + turn % 3]] {
            let ward = start.copy();
            damage(&ward.path(FOLDER));
            let was_link = ward.path(FOLDER).is_symlink();
            let before = content(&ward.path(FOLDER));
            let found = ward.annals(&["doctor"]).refused(9, "finding");
            assert!(found.out.contains(word), "{what}: {}", found.out);
            assert!(found.out.contains("annals repair notes"), "{what}: {}", found.out);
            let planned = ward.annals(&[exit, &["--dry-run"]].concat()).ok();
            assert!(planned.out.contains(word), "{what}, {exit:?}: {}", planned.out);
            assert_eq!(content(&ward.path(FOLDER)), before, "{what}: a dry run changed it");
            let done = ward.annals(exit);
            assert_eq!(done.code, 0, "{what}, {exit:?}: {}", done.err);
            assert!(done.out.contains(word), "{what}, {exit:?}: {}", done.out);
            whole(&ward, number);
            // What somebody put beside the model is theirs, and `verify --files` names it.
            let _ = std::fs::remove_file(ward.path(FOLDER).with_file_name("elsewhere.json"));
            agree(&ward);
            let events = ward.annals(&["log", "--model", "notes", "--format", "json"]).ok().json();
            let events = events.as_array().unwrap().clone();
            let told = events.iter().find(|event| event["kind"] == "model.found_damaged").unwrap();
            let kept = told["event"]["kept"].as_str();
            assert_eq!(kept.is_none(), word == "missing", "{what}, {exit:?}: {told}");
            if let Some(kept) = kept {
                assert!(done.err.contains(kept), "{what}: {kept} is not in {}", done.err);
                assert_eq!(ward.path(kept).is_symlink(), was_link, "{what}");
                assert_eq!(content(&ward.path(kept)), before, "{what}: other files were kept");
            }
            let repaired = events.iter().any(|event| event["kind"] == "model.repaired");
            assert_eq!(repaired, exit[0] == "repair");
            // And the damaged version comes back whole.
            if number == Some(1) || number.is_none() {
                ward.annals(&["rollback", "notes", "--to", "2", "--reason", "whole again"]).ok();
                whole(&ward, Some(2));
            }
        }
    }
}

#[test]
fn a_repair_is_recorded_once_and_only_where_something_was_amiss() {
    let ward = ward();
    ward.annals(&["promote", "three", "--as", "other"]).ok();
    let size = || ward.annals(&["status", "--format", "json"]).ok().json()["events"].clone();
    let before = size();
    let done = ward.annals(&["repair", "--all"]).ok();
    assert_eq!(done.out.matches("nothing to repair").count(), 2, "{}", done.out);
    assert_eq!(size(), before);
    ward.annals(&["repair"]).refused(2, "required");
    ward.annals(&["repair", "nothing"]).refused(4, "no production model");
    std::fs::write(ward.path("models/production/other/labels.json"), "{}").unwrap();
    ward.annals(&["predict", "other", "a text"]).refused(10, "annals repair other");
    let done = ward.annals_as("otto", &["repair", "--all", "--format", "json"]).ok().json();
    assert_eq!(done["models"][1]["damage"]["found"][0]["path"], "labels.json");
    ward.annals(&["predict", "other", "a text"]).ok();
    assert_ne!(size(), before);
    // What a repair brought back is what was recorded: there is nothing else to go back to.
    ward.annals_as("otto", &["undo"]).refused(5, "repair");
    let audit = ward.annals(&["audit", "--format", "json"]);
    assert!([0, 9].contains(&audit.code), "{}", audit.err);
}

#[test]
fn bytes_that_are_nowhere_are_told_and_bar_only_the_repair() {
    let start = ward();
    let shown = start.annals(&["show", "notes", "--format", "json"]).ok().json();
    let files = shown["model"]["files"].as_array().unwrap().clone();
    let card = files.iter().find(|file| file[0] == "README.md").unwrap();
    let digest = card[1].as_str().unwrap().to_owned();
    let blob = format!(".annals/blobs/{}/{digest}", &digest[..2]);
    let spoil: [fn(&Path); 2] = [|path| std::fs::write(path, "x").unwrap(), gone];
    for spoil in spoil {
        // The folder has the bytes: they go back into the blob store before it is taken away.
        let ward = start.copy();
        spoil(&ward.path(&blob));
        ward.annals(&["demote", "notes", "--reason", "retired"]).ok();
        ward.annals(&["rollback", "notes", "--reason", "again"]).ok();
        whole(&ward, Some(2));
        // Neither has them.
        let ward = start.copy();
        spoil(&ward.path(&blob));
        std::fs::write(ward.path(&format!("{FOLDER}/README.md")), "{}").unwrap();
        for more in [&[][..], &["--dry-run"]] {
            let refused = ward.annals(&[&["repair", "notes"][..], more].concat());
            let refused = refused.refused(10, "README.md");
            assert!(refused.err.contains("blob store"), "{}", refused.err);
        }
        let all = ward.annals(&["repair", "--all"]);
        assert_eq!(all.code, 10, "{}", all.err);
        let demoted = ward.annals(&["demote", "notes", "--reason", "beyond repair"]).ok();
        assert!(demoted.err.contains("README.md are in no blob"), "{}", demoted.err);
        ward.annals(&["rollback", "notes", "--to", "1", "--reason", "the last good one"]).ok();
        whole(&ward, Some(1));
    }
}

#[test]
fn mov_1_killed_at_every_step_on_a_damaged_folder() {
    let start = ward();
    std::fs::write(start.path(&format!("{FOLDER}/labels.json")), "{}").unwrap();
    std::fs::write(start.path(&format!("{FOLDER}/mine.txt")), "x").unwrap();
    for (verb, number) in EXITS {
        let (mut step, mut turned) = (0, false);
        loop {
            step += 1;
            let ward = start.copy();
            let ended = ward.killed_at(step, verb).success();
            // Recovery is the next changing verb's.
            ward.annals(&["policy", "set", "production_promotion.min_test_rows", "11"]).ok();
            ward.annals(&["verify"]).ok();
            ward.annals(&["replay", "--check"]).ok();
            let registry: serde_json::Value =
                serde_json::from_slice(&ward.read("MODEL_VERSION.json")).unwrap();
            let now = registry["details"]["notes"]["number"].as_u64();
            let repaired = ward.annals(&["log", "--kind", "model.repaired", "--format", "json"]);
            let repaired = !repaired.ok().json().as_array().unwrap().is_empty();
            let done = if verb[0] == "repair" { repaired } else { now == number };
            assert!(done || !turned, "{verb:?} was done at a step before {step}");
            turned = done;
            let kept = match done {
                true => {
                    whole(&ward, number);
                    let kept = std::fs::read_dir(ward.path(".annals/damaged")).unwrap();
                    let kept: Vec<_> = kept.map(|entry| entry.unwrap().path()).collect();
                    assert_eq!(kept.len(), 1, "{verb:?} at {step}: {kept:?}");
                    kept[0].clone()
                }
                false => {
                    assert_eq!(now, Some(2), "{verb:?} at {step}");
                    ward.path(FOLDER)
                }
            };
            assert_eq!(std::fs::read(kept.join("mine.txt")).unwrap(), b"x", "{verb:?} at {step}");
            assert_eq!(std::fs::read(kept.join("labels.json")).unwrap(), b"{}");
            if ended {
                assert!(done && step > 6, "{verb:?} has {step} steps");
                break;
            }
            assert!(step < 200, "{verb:?} has no end");
        }
    }
}

#[test]
fn a_repair_is_killed_at_every_step() {
    let ward = ward();
    gone(&ward.path(&format!("{FOLDER}/labels.json")));
    // What is only missing is no finding of a verb that died: the folder is repaired or as it was.
    for step in 1..200 {
        let copy = ward.copy();
        let ended = copy.killed_at(step, &["repair", "notes"]);
        copy.annals(&["repair", "--all"]).ok();
        whole(&copy, Some(2));
        agree(&copy);
        if ended.success() {
            return;
        }
    }
    panic!("repair has no end");
}

/// "Who put it there" is the last event that did, wherever it is shown.
#[track_caller]
fn placed(ward: &Workspace, number: u64, how: &str, actor: &str) {
    let told = |args: &[&str]| ward.annals(&[args, &["--format", "json"]].concat()).ok().json();
    let kind = match how {
        "promotion" => "model.promoted",
        "rollback" => "model.rolled_back",
        _ => "model.repaired",
    };
    let events = told(&["log", "--kind", kind]);
    let last = events.as_array().unwrap()[0].clone();
    assert_eq!(last["actor"], actor, "{last}");
    let position = last["position"].clone();
    let shown = told(&["show", "notes"]);
    assert_eq!(shown["model"]["number"], number);
    assert_eq!(shown["model"]["placed"]["position"], position);
    assert_eq!(shown["model"]["placed"]["how"], how);
    assert!(shown["placed_by"].as_str().unwrap().starts_with(actor), "{shown}");
    let sql = "SELECT placed_by, placed_how, placed_position FROM models WHERE in_production";
    let row = told(&["query", sql])[0].clone();
    assert_eq!(row["placed_by"], actor);
    assert_eq!(row["placed_how"], how);
    assert_eq!(row["placed_position"], position);
    let why = told(&["why", "notes"]);
    assert_eq!(why["position"], position, "{why}");
    let files = ward.read("models_registry_consolidated.json");
    let registry: serde_json::Value = serde_json::from_slice(&files).unwrap();
    let entry = &registry["production_models"]["notes"];
    assert_eq!(entry["placed_position"], position, "{entry}");
    assert!(entry["placed_by"].as_str().unwrap().starts_with(actor), "{entry}");
    ward.annals(&["report", "--out", "report.md"]).ok();
    let report = String::from_utf8(ward.read("report.md")).unwrap();
    let words = ["notes", how, &position.to_string()];
    let told = report.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(told, "{words:?} is not in {report}");
    let human = ward.annals(&["show", "notes"]).ok().out;
    assert!(human.contains(&format!("event {position}")), "{human}");
    agree(ward);
}

#[test]
fn who_put_it_there_is_the_last_event_that_did() {
    let ward = ward();
    ward.annals_as("otto", &["actor", "add", "otto"]).ok();
    placed(&ward, 2, "promotion", "mara");
    ward.annals_as("otto", &["rollback", "notes", "--reason", "it erred"]).ok();
    placed(&ward, 1, "rollback", "otto");
    ward.annals_as("otto", &["undo"]).ok();
    placed(&ward, 2, "rollback", "otto");
    gone(&ward.path(&format!("{FOLDER}/labels.json")));
    ward.annals_as("mara", &["repair", "notes"]).ok();
    placed(&ward, 2, "repair", "mara");
    ward.annals_as("otto", &["demote", "notes", "--reason", "retired"]).ok();
    ward.annals_as("otto", &["undo"]).ok();
    placed(&ward, 2, "rollback", "otto");
    ward.annals(&["promote", "three", "--as", "notes", "--replace"]).ok();
    placed(&ward, 3, "promotion", "mara");
    // And looking back, as it was then.
    let size = ward.annals(&["log", "--kind", "model.repaired", "--format", "json"]).ok().json();
    let then = size[0]["position"].to_string();
    let shown = ward.annals(&["show", "notes", "--as-of", &then, "--format", "json"]);
    if shown.code == 0 {
        assert_eq!(shown.json()["model"]["placed"]["how"], "repair");
    }
}

#[test]
fn why_names_every_model_with_those_bytes() {
    let ward = ward();
    ward.annals(&["promote", "one", "--as", "other"]).ok();
    let file = "models/production/other/model.safetensors";
    let why = ward.annals(&["why", file]).ok().out;
    assert!(why.contains("notes 1.0.0") && why.contains("other 1.0.0"), "{why}");
    assert!(!why.contains("notes 1.1.0"), "{why}");
    let none = ward.annals(&["log", "--file", "nothing.bin"]).ok();
    assert!(none.out.is_empty() && none.err.contains("No event names"), "{}", none.err);
    let narrowed = ["log", "--file", "model.safetensors", "--positions", "0..3"];
    assert!(ward.annals(&narrowed).ok().err.contains("other options"), "options are not named");
}
