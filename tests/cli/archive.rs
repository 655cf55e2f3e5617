//! Archives: runs go there and come back, whole, whatever happens on the way.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::Workspace;
use crate::walk::{agree, every_step};

fn folder(ward: &Workspace, run: &str) -> String {
    let shown = ward.annals(&["show", run, "--format", "json"]).ok().json();
    shown["folder"].as_str().unwrap().to_owned()
}

fn registry(ward: &Workspace) -> serde_json::Value {
    serde_json::from_slice(&ward.read("models_registry_consolidated.json")).unwrap()
}

/// Every file below `dir`, by path.
fn tree(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                let name = entry.path().strip_prefix(dir).unwrap().display().to_string();
                files.insert(name, std::fs::read(entry.path()).unwrap());
            }
        }
    }
    files
}

/// In the old tools an archived run stayed among the active ones, the folder had moved before the
/// registry failed, manual archives were counted as automatic, and nothing brought a run back.
#[test]
fn a_run_goes_into_each_archive_and_comes_back_as_it_was() {
    let ward = Workspace::new();
    ward.train("night", &[]).ok();
    let home = folder(&ward, "night");
    let before = tree(&ward.path(&home));
    let ways: [&[&str]; 4] = [
        &["--type", "archive_debug"],
        &["--type", "archive_baseline", "--compress"],
        &["--compress", "gz", "--reason", "the ward is closed"],
        &["--type", "archived", "--compress", "zst", "--drop-weights"],
    ];
    for way in ways {
        let planned = ward.annals(&[&["archive", "night", "--dry-run"][..], way].concat()).ok().out;
        assert!(planned.contains("would move"), "{planned}");
        assert!(ward.path(&home).is_dir());
        ward.annals(&[&["archive", "night"][..], way].concat()).ok();
        assert!(!ward.path(&home).exists(), "{way:?}");
        let listed = ward.annals(&["list", "--format", "json"]).ok().json();
        let place = listed[0]["place"].as_str().unwrap().to_owned();
        assert!(folder(&ward, "night").contains(&format!("/{place}/")), "{way:?} {place}");
        let registry = registry(&ward);
        assert_eq!(registry["active_experiments"], serde_json::json!({}));
        let archived = registry["archived_experiments"].as_object().unwrap();
        assert_eq!(archived.len(), 1);
        assert_eq!(registry["tracking_metadata"]["experiments_auto_archived"], 0);
        // It stays loadable, unless its weights were not kept.
        let asked = ward.annals(&["predict", "night", "a calm night"]);
        if way.contains(&"--drop-weights") {
            asked.refused(5, "were not kept");
        } else {
            asked.ok();
        }
        ward.annals(&["archive", "night"]).refused(5, "already");
        ward.annals(&["train", "--resume", "night"]).refused(5, "only a run that was interrupted");
        agree(&ward);
        ward.annals(&["restore", "night"]).ok();
        let mut after = tree(&ward.path(&home));
        if way.contains(&"--drop-weights") {
            // The blob store has the weights; training checkpoints are gone for good.
            assert!(after.keys().any(|file| file.ends_with("model.safetensors")), "{after:?}");
            after = before
                .iter()
                .filter(|(file, bytes)| {
                    !file.starts_with("checkpoints/") || after.get(*file) == Some(bytes)
                })
                .map(|(file, bytes)| (file.clone(), bytes.clone()))
                .inspect(|(file, bytes)| {
                    assert_eq!(
                        std::fs::read(ward.path(&format!("{home}/{file}"))).unwrap(),
                        *bytes
                    );
                })
                .collect();
            assert!(!after.is_empty());
        } else {
            assert_eq!(after, before, "{way:?}");
        }
        ward.annals(&["restore", "night"]).refused(5, "only an archived one is restored");
        agree(&ward);
    }
    let log: serde_json::Value =
        serde_json::from_slice(&ward.read("experiment_consolidation_log.json")).unwrap();
    let moves = log["consolidation_actions"]["completed_archive_moves"].as_array().unwrap();
    assert_eq!(moves.len(), 8);
    assert_eq!(moves[0]["category"], "archive_debug");
    assert!(log["consolidation_metadata"]["last_archive_date"].is_string());
}

#[test]
fn who_must_stay_stays_and_the_log_says_why() {
    let ward = Workspace::new();
    ward.train("night", &[]).ok();
    ward.annals(&["pin", "night"]).ok();
    ward.annals(&["archive", "night"]).refused(5, "is pinned");
    ward.annals(&["unpin", "night"]).ok();
    ward.allow_synthetic();
    ward.annals(&["promote", "night", "--request", "--as", "night_v1"]).ok();
    ward.annals(&["archive", "night"]).refused(5, "requested for production as night_v1");
    ward.annals(&["promote", "night"]).ok();
    ward.annals(&["archive", "night"]).refused(5, "in production as night_v1");
    let ended = ward.annals(&["log", "--kind", "invocation.finished", "--format", "json"]).ok();
    assert!(ended.out.contains("in production as night_v1"), "{}", ended.out);
    ward.train("day", &[]).ok();
    // Somebody's folder in the way, a link in the run's folder, a link in the way.
    let home = folder(&ward, "day");
    let id = home.rsplit('/').next().unwrap();
    std::fs::create_dir_all(ward.path(&format!("experiments/archived/{id}/mine"))).unwrap();
    ward.annals(&["archive", "day"]).refused(6, "exists already");
    std::fs::remove_dir_all(ward.path("experiments/archived")).unwrap();
    std::os::unix::fs::symlink("/etc", ward.path("experiments/archived")).unwrap();
    ward.annals(&["archive", "day"]).refused(3, "links are not followed");
    std::fs::remove_file(ward.path("experiments/archived")).unwrap();
    let link = ward.path(&format!("{home}/logs/link"));
    std::os::unix::fs::symlink("/etc/hostname", &link).unwrap();
    ward.annals(&["archive", "day"]).refused(3, "links are not followed");
    std::fs::remove_file(&link).unwrap();
    ward.annals(&["archive", "day", "--compress"]).ok();
    agree(&ward);
}

#[test]
fn mov_1_a_kill_at_every_step_of_archiving_loses_nothing() {
    let ward = Workspace::new();
    ward.train("night", &[]).ok();
    every_step(&ward, &["archive", "night"]);
    every_step(&ward, &["archive", "night", "--compress", "--drop-weights"]);
}

#[test]
fn mov_1_a_kill_at_every_step_of_restoring_loses_nothing() {
    let ward = Workspace::new();
    ward.train("night", &[]).ok();
    ward.annals(&["archive", "night", "--compress", "--drop-weights"]).ok();
    every_step(&ward, &["restore", "night"]);
}

#[test]
fn two_at_once_archive_a_run_once() {
    let ward = Workspace::new();
    ward.train("night", &[]).ok();
    let both = [0, 1].map(|_| ward.spawn(&["archive", "night", "--compress"]));
    let mut codes = both.map(|mut child| child.wait().unwrap().code().unwrap());
    codes.sort_unstable();
    assert_eq!(codes[0], 0);
    // The other came too late: refused by a rule, or because the files were on their way.
    assert!([5, 6, 7].contains(&codes[1]), "{codes:?}");
    agree(&ward);
    ward.annals(&["restore", "night"]).ok();
    agree(&ward);
}

#[test]
fn a_full_disk_leaves_the_run_where_it_was() {
    let ward = Workspace::new();
    ward.train("night", &[]).ok();
    let home = folder(&ward, "night");
    // Larger than what is left, and of no use to a compressor.
    let mut noise = vec![0; 8 << 20];
    annals::base::Entropy::fill(&annals::base::SeededEntropy::new(1), &mut noise);
    std::fs::write(ward.path(&format!("{home}/results/noise.bin")), &noise).unwrap();
    let before = tree(&ward.path(&home));
    let left = u32::try_from(ward.read(".annals/log.redb").len() / 1024 + 2048).unwrap();
    let full = ward.annals_on_a_full_disk(left, &["archive", "night", "--compress"]);
    full.refused(7, "cannot pack");
    assert_eq!(tree(&ward.path(&home)), before);
    agree(&ward);
    let errors: serde_json::Value =
        serde_json::from_slice(&ward.read("experiment_consolidation_log.json")).unwrap();
    let errors = errors["consolidation_actions"]["archive_errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{errors:?}");
    ward.annals(&["archive", "night", "--compress"]).ok();
    agree(&ward);
}

/// Runs of other trainers are runs: they go, they come back, and one under way stays.
#[test]
fn a_run_of_another_trainer_goes_and_comes_back() {
    let ward = Workspace::new();
    let started = ward.annals(&["run", "start", "--name", "other", "--format", "json"]).ok().json();
    let run = started["run_id"].as_str().unwrap_or("other").to_owned();
    ward.annals(&["archive", "other"]).refused(5, "is running");
    ward.annals(&["run", "fail", &run, "--reason", "no luck"]).ok();
    let home = folder(&ward, "other");
    ward.annals(&["archive", "other", "--compress"]).ok();
    agree(&ward);
    ward.annals(&["restore", "other"]).ok();
    assert!(ward.path(&home).is_dir());
    agree(&ward);
}

/// Folders named by the day may be alike, and so may be all that is in them.
#[test]
fn runs_whose_folders_have_one_name_keep_a_place_each() {
    let ward = Workspace::bare();
    ward.annals(&["init", "--project", "ward", "--layout", "training-output"]).ok();
    let runs = [1, 2].map(|seed| {
        let time = format!("2027-03-01T10:00:0{seed}Z");
        let begun = ward.annals_at(&time, seed, &["run", "start", "--name", "twin"]).ok();
        let run = begun.out.trim().to_owned();
        ward.annals_at(&time, seed + 10, &["run", "fail", &run, "--reason", "no memory"]).ok();
        ward.annals_at(&time, seed + 20, &["archive", &run, "--type", "archived"]).ok();
        run
    });
    let folder = |run: &str| {
        let shown = ward.annals(&["show", run, "--format", "json"]).ok().json();
        shown["folder"].as_str().unwrap().to_owned()
    };
    let archived = runs.each_ref().map(|run| folder(run));
    assert!(archived[0] != archived[1] && archived[1].ends_with("_2"), "{archived:?}");
    agree(&ward);
    for run in &runs {
        ward.annals(&["restore", run]).ok();
    }
    let restored = runs.each_ref().map(|run| folder(run));
    assert!(restored[0] != restored[1], "{restored:?}");
    assert!(restored.iter().all(|folder| ward.path(folder).is_dir()), "{restored:?}");
    agree(&ward);
}

/// Two on their way to one place, one of them stopped in between: what then lies there must be
/// one run's, so the other waits.
#[test]
fn no_two_runs_are_on_their_way_to_one_place() {
    let ward = Workspace::bare();
    ward.annals(&["init", "--project", "ward", "--layout", "training-output"]).ok();
    let runs = [1, 2].map(|seed| {
        let time = format!("2027-03-01T10:00:0{seed}Z");
        let begun = ward.annals_at(&time, seed, &["run", "start", "--name", "twin"]).ok();
        let run = begun.out.trim().to_owned();
        ward.annals_at(&time, seed + 10, &["run", "fail", &run, "--reason", "no memory"]).ok();
        ward.annals_at(&time, seed + 20, &["archive", &run, "--type", "archived"]).ok();
        run
    });
    let planned = |ward: &Workspace| {
        let log = ward.annals(&["log", "--kind", "move.planned", "--format", "json"]).ok().json();
        log.as_array().unwrap().len()
    };
    let before = planned(&ward);
    let step = (1..100).find(|step| {
        ward.killed_at(*step, &["restore", &runs[0]]);
        planned(&ward) > before
    });
    assert!(step.is_some(), "no step after the plan");
    // Its process is made to seem alive.
    let live: Vec<_> = std::fs::read_dir(ward.path(".annals/live")).unwrap().flatten().collect();
    let locks: Vec<_> = live
        .iter()
        .map(|entry| {
            let file = std::fs::File::open(entry.path()).unwrap();
            rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
            file
        })
        .collect();
    assert!(!locks.is_empty());
    ward.annals(&["restore", &runs[1]]).refused(6, "is on its way to training/experiments/active");
    drop(locks);
    for run in &runs {
        let there = ward.annals(&["show", run, "--format", "json"]).ok().json();
        if there["archive"].is_object() {
            ward.annals(&["restore", run]).ok();
        }
    }
    agree(&ward);
}
