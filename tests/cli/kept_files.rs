//! `verify --files`: every byte that annals stores can be checked. Whatever file is flipped,
//! removed or added, it is named with what it belongs to, and what was altered is never used.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Answer, Workspace};

/// Somebody whose name is redacted.
const NAME: &str = "Erika Mustermann-Beispiel";

/// The kinds of files; the folder of a run is none.
const ALL_KINDS: [&str; 10] = [
    "archive",
    "archive_member",
    "artifact",
    "blob",
    "prepared_data",
    "production",
    "run_file",
    "sample_data",
    "snapshot",
    "train_checkpoint",
];

/// A workspace with a file of every kind: a model in production, runs that are active, archived,
/// packed, cut short and reported by a script, an ensemble, a snapshot.
fn lived_in() -> Workspace {
    let ward = Workspace::new();
    ward.allow_synthetic();
    fs::create_dir_all(ward.path("src")).unwrap();
    fs::write(ward.path("src/train.sh"), "echo one\n").unwrap();
    ward.train("one", &[]).ok();
    ward.annals(&["promote", "one", "--as", "notes"]).ok();
    ward.train("loose", &["--set", "training.num_epochs=1"]).ok();
    // A file of somebody, which the archive keeps.
    fs::write(ward.path(&format!("{}/mine.txt", folder(&ward, "loose"))), "mine").unwrap();
    ward.annals(&["archive", "loose"]).ok();
    ward.train("packed", &["--set", "training.num_epochs=1", "--description", NAME]).ok();
    ward.annals(&["archive", "packed", "--compress", "zst"]).ok();
    let cut = ["--set", "training.save_steps=5", "--set", "toy.fail_at_step=12"];
    ward.train("cut", &cut).refused(8, "");
    ward.annals(&["run", "exec", "--name", "script", "--", "echo", "loss 0.5"]).ok();
    ward.train("two", &["--set", "training.num_epochs=2"]).ok();
    ward.annals(&["ensemble", "create", "both", "one", "two"]).ok();
    ward.annals(&["snapshot", "create", "--run", "one"]).ok();
    ward
}

fn checked(ward: &Workspace) -> (Answer, Value) {
    let answer = ward.annals(&["verify", "--files", "--format", "json"]);
    let json = answer.json();
    (answer, json)
}

/// The state of each file that is not whole, by its path.
fn wrong(json: &Value) -> Vec<(String, String)> {
    let files = json["files"]["files"].as_array().unwrap();
    let word = |file: &Value, key: &str| file[key].as_str().unwrap().to_owned();
    let files = files.iter().filter(|file| file["state"] != "whole");
    files.map(|file| (word(file, "path"), word(file, "state"))).collect()
}

/// Every file below a folder of the workspace, by its path from the workspace.
fn files_below(ward: &Workspace, folder: &str) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![ward.path(folder)]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(&ward.root).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn an_honest_workspace_is_whole() {
    let ward = lived_in();
    let (answer, json) = checked(&ward);
    assert_eq!(wrong(&json), [], "{}", answer.out);
    answer.ok();
    assert_eq!(json["files"]["unchecked"], serde_json::json!([]));
    let kinds: BTreeSet<&str> = json["files"]["totals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, BTreeSet::from(ALL_KINDS));
    // Every file that is stored is listed.
    let listed: BTreeSet<&str> = json["files"]["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["path"].as_str().unwrap())
        .collect();
    for folder in ["experiments", "models", ".annals/blobs"] {
        for path in files_below(&ward, folder) {
            assert!(listed.contains(path.as_str()), "{path} is not listed");
        }
    }
    let human = ward.annals(&["verify", "--files"]).ok();
    assert!(human.out.contains("are as recorded"), "{}", human.out);
    ward.annals(&["verify", "--files", "--log", ".annals/log.redb"]).refused(2, "cannot be used");
    ward.annals(&["doctor", "--files"]).ok();
    ward.annals(&["doctor"]).ok();
}

#[test]
fn a_flipped_byte_and_a_missing_file_are_named_for_every_kind() {
    let ward = lived_in();
    let (_, json) = checked(&ward);
    // One file of each kind and name: there are several hundred.
    let mut tried: BTreeMap<(String, String), String> = BTreeMap::new();
    for file in json["files"]["files"].as_array().unwrap() {
        let (path, kind) = (file["path"].as_str().unwrap(), file["kind"].as_str().unwrap());
        let name = Path::new(path).file_name().unwrap().to_str().unwrap();
        let name = if path.starts_with(".annals") { "blob" } else { name };
        // A packed file is no file of its own.
        if kind != "archive_member" && file["bytes"] != 0 {
            tried.entry((kind.to_owned(), name.to_owned())).or_insert_with(|| path.to_owned());
        }
    }
    let kinds: BTreeSet<&str> = tried.keys().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds.len(), ALL_KINDS.len() - 1, "{kinds:?}");
    assert!(tried.len() > 20, "{tried:?}");
    // Lists of other files are tried apart: without them the others are not compared.
    let (lists, files): (Vec<_>, Vec<_>) =
        tried.iter().partition(|((kind, name), _)| name == "manifest.json" || kind == "snapshot");
    for batch in [files, lists] {
        let paths: Vec<&String> = batch.iter().map(|(_, path)| *path).collect();
        let before: Vec<Vec<u8>> = paths.iter().map(|path| ward.read(path)).collect();
        let all_are = |state: &str| {
            let (answer, json) = checked(&ward);
            assert_eq!(answer.code, 10);
            let expected = paths.iter().map(|path| ((*path).clone(), state.to_owned()));
            let wrong: BTreeSet<(String, String)> = wrong(&json).into_iter().collect();
            let unseen: Vec<_> = expected.filter(|file| !wrong.contains(file)).collect();
            assert!(unseen.is_empty(), "{unseen:?} are not in {wrong:?}");
            assert_eq!(wrong.len(), paths.len(), "{wrong:?}");
        };
        paths.iter().for_each(|path| flip(&ward.path(path)));
        all_are("altered");
        paths.iter().for_each(|path| fs::remove_file(ward.path(path)).unwrap());
        all_are("missing");
        for (path, bytes) in paths.iter().zip(before) {
            fs::write(ward.path(path), bytes).unwrap();
        }
    }
    checked(&ward).0.ok();
    // People read the same.
    let rows = &tried[&("prepared_data".to_owned(), "dataset.bin".to_owned())];
    flip(&ward.path(rows));
    let human = ward.annals(&["verify", "--files"]).refused(10, "1 finding").out;
    let line = format!("{rows} (prepared data file, run ");
    assert!(human.contains(&line) && human.contains("is altered\n  expected blake3 "), "{human}");
    assert!(human.contains("\n  found    blake3 "), "{human}");
}

/// The folder of a run.
fn folder(ward: &Workspace, run: &str) -> String {
    let shown = ward.annals(&["show", run, "--format", "json"]).ok().json();
    shown["folder"].as_str().unwrap().to_owned()
}

#[test]
fn files_that_no_event_names_are_findings_where_all_files_are_recorded_and_named_elsewhere() {
    let ward = lived_in();
    let (one, loose, packed) =
        (folder(&ward, "one"), folder(&ward, "loose"), folder(&ward, "packed"));
    let checkpoint = files_below(&ward, &format!("{one}/checkpoints"))[0].clone();
    let checkpoint = checkpoint.rsplit_once('/').unwrap().0;
    let production = fs::read_dir(ward.path("models/production")).unwrap().next().unwrap();
    let production = production.unwrap().file_name().into_string().unwrap();
    let added = [
        format!("models/production/{production}/tokenizer.json"),
        "models/production/stranger/model.safetensors".to_owned(),
        format!("{checkpoint}/extra.bin"),
        format!("{loose}/results/extra.json"),
        format!("{packed}/extra.json"),
    ];
    for path in &added {
        let full = ward.path(path);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        fs::write(&full, "x").unwrap();
        let (answer, json) = checked(&ward);
        assert_eq!(wrong(&json), [(path.clone(), "added".to_owned())]);
        assert_eq!(answer.code, 10);
        fs::remove_file(&full).unwrap();
    }
    fs::remove_dir(ward.path("models/production/stranger")).unwrap();
    // In the folder of an active run anybody may keep files; nothing can check them.
    for path in ["mine.txt", "checkpoints/step-00000001/model.safetensors"] {
        let full = ward.path(&format!("{one}/{path}"));
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        fs::write(full, "x").unwrap();
    }
    fs::write(ward.path(".annals/blobs/stray"), "x").unwrap();
    let (answer, json) = checked(&ward);
    assert_eq!(answer.code, 0, "{}", answer.out);
    let unchecked: Vec<&str> = json["files"]["unchecked"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["path"].as_str().unwrap())
        .collect();
    let expected = [
        ".annals/blobs/stray".to_owned(),
        format!("{one}/checkpoints/step-00000001/model.safetensors"),
        format!("{one}/mine.txt"),
    ];
    assert_eq!(unchecked, expected);
    let human = ward.annals(&["verify", "--files"]).ok();
    let line = human.err.lines().find(|line| line.starts_with("Not checked")).unwrap();
    assert!(expected.iter().all(|path| line.contains(path)), "{line}");
}

#[test]
fn folders_and_manifests_that_are_gone_or_rewritten_are_found() {
    let ward = lived_in();
    let one = folder(&ward, "one");
    let manifest = files_below(&ward, &one).into_iter().find(|p| p.ends_with("manifest.json"));
    let manifest = manifest.unwrap();
    let state = manifest.replace("manifest.json", "trainer.bin");
    let whole = (ward.read(&manifest), ward.read(&state));
    let found = |what: &str, path: &str, state: &str| {
        let (answer, json) = checked(&ward);
        let expected = (path.to_owned(), state.to_owned());
        assert!(wrong(&json).contains(&expected), "{what}: {:?}", wrong(&json));
        assert_eq!(answer.code, 10, "{what}");
    };
    // Another state, with a manifest that fits it.
    flip(&ward.path(&state));
    let text = String::from_utf8(whole.0.clone()).unwrap();
    let digest = |bytes: &[u8]| annals::base::Digest::of(bytes).to_string();
    let other = text.replace(&digest(&whole.1), &digest(&ward.read(&state)));
    assert_ne!(other, text);
    fs::write(ward.path(&manifest), other).unwrap();
    found("forged manifest", &manifest, "altered");
    fs::write(ward.path(&state), &whole.1).unwrap();
    // The digest in the log covers names and digests; the rest is compared as well.
    fs::write(ward.path(&manifest), text.replace("\"step\": ", "\"step\": 1")).unwrap();
    found("another step", &manifest, "altered");
    fs::write(ward.path(&manifest), format!("{text} ")).unwrap();
    found("another text", &manifest, "altered");
    let dir = ward.path(&manifest.replace("/manifest.json", ""));
    fs::remove_dir_all(&dir).unwrap();
    found("no training checkpoint", &manifest, "missing");
    fs::rename(ward.path(&one), ward.path("elsewhere")).unwrap();
    found("no folder", &one, "missing");
    std::os::unix::fs::symlink(ward.path("elsewhere"), ward.path(&one)).unwrap();
    found("a link", &one, "unreadable");
}

#[test]
fn doctor_reports_sizes_and_with_files_every_byte() {
    let ward = lived_in();
    let rows = format!("{}/config/sample_data.csv", folder(&ward, "one"));
    let whole = ward.read(&rows);
    flip(&ward.path(&rows));
    ward.annals(&["doctor"]).ok();
    let deep = ward.annals(&["doctor", "--files"]).refused(9, "1 finding");
    assert!(deep.out.contains(&rows) && deep.out.contains("verify --files"), "{}", deep.out);
    fs::write(ward.path(&rows), [&whole[..], b"x"].concat()).unwrap();
    let sizes = ward.annals(&["doctor"]).refused(9, "1 finding");
    assert!(sizes.out.contains(&rows) && sizes.out.contains("bytes"), "{}", sizes.out);
    fs::remove_file(ward.path(&rows)).unwrap();
    let gone = ward.annals(&["doctor"]).refused(9, "1 finding");
    assert!(gone.out.contains(&format!("{rows} of run one")), "{}", gone.out);
}

#[test]
fn what_is_used_is_checked_first() {
    let ward = lived_in();
    // A file of an archive that is not packed.
    let loose = folder(&ward, "loose");
    for file in files_below(&ward, &loose) {
        let (full, before) = (ward.path(&file), ward.read(&file));
        flip(&full);
        ward.annals(&["restore", "loose"]).refused(10, "was changed after it was recorded");
        ward.annals(&["restore", "loose", "--dry-run"]).refused(10, "was changed after");
        fs::write(&full, before).unwrap();
    }
    let log = files_below(&ward, &loose).into_iter().find(|p| p.ends_with("training.log")).unwrap();
    fs::remove_file(ward.path(&log)).unwrap();
    let restored = ward.annals(&["restore", "loose"]).ok();
    assert!(restored.err.contains("missing from it: logs/training.log"), "{}", restored.err);
    // The files of a model, and the rows that a run is trained on again.
    let two = folder(&ward, "two");
    for file in files_below(&ward, &two) {
        let (full, before) = (ward.path(&file), ward.read(&file));
        flip(&full);
        let decides = ["model.safetensors", "vocab.txt", "labels.json", "config.yaml"];
        if decides.iter().any(|name| file.ends_with(name)) {
            ward.annals(&["predict", "two", "a calm night"]).refused(10, "");
        }
        if file.ends_with("dataset.bin") {
            ward.annals(&["reproduce", "two"]).refused(10, "was changed after it was recorded");
        }
        fs::write(&full, before).unwrap();
    }
}

#[test]
fn what_moved_came_back_or_was_redacted_is_still_whole() {
    let ward = lived_in();
    let whole = |what: &str| {
        let (answer, json) = checked(&ward);
        assert_eq!(wrong(&json), [], "{what}");
        assert_eq!(json["files"]["unchecked"], serde_json::json!([]), "{what}");
        answer.ok();
    };
    ward.annals(&["restore", "packed"]).ok();
    whole("restored from a pack");
    ward.annals(&["archive", "packed", "--compress", "gz", "--drop-weights", "--yes"]).ok();
    whole("archived without weights");
    ward.annals(&["restore", "packed"]).ok();
    whole("restored without training checkpoints");
    ward.annals(&["archive", "packed", "--compress"]).ok();
    ward.annals(&["layout", "migrate", "training-output"]).ok();
    whole("migrated");
    fs::write(ward.path("../names.txt"), format!("{NAME}\n")).unwrap();
    ward.annals(&["redact", "--text-from", "../names.txt", "--reason", "asked for"]).ok();
    let redacted = ward.annals(&["log", "--kind", "text.redacted", "--format", "json"]).ok().json();
    assert_ne!(redacted[0]["event"]["files"], serde_json::json!([]), "files have the name");
    whole("redacted");
    ward.annals(&["restore", "packed"]).ok();
    whole("restored what was redacted");
    ward.annals(&["demote", "notes", "--reason", "no longer used"]).ok();
    whole("demoted");
}
