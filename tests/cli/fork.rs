//! A workspace that was copied and is used in both places: it is said at once, and the two records
//! are told apart afterwards.

use crate::support::Workspace;

const LOG: &str = ".annals/log.redb";

fn log_of(ward: &Workspace) -> String {
    ward.path(LOG).to_str().unwrap().to_owned()
}

fn events(ward: &Workspace) -> u64 {
    ward.annals(&["status", "--format", "json"]).ok().json()["events"].as_u64().unwrap()
}

#[test]
fn a_copy_says_once_that_it_is_one() {
    let ward = Workspace::new();
    ward.train("night", &[]).ok();
    let copy = ward.copy();
    let told = copy.annals(&["list"]).ok().err;
    let original = ward.root.canonicalize().unwrap();
    let is_copy = format!("this workspace is a copy of {}", original.display());
    assert!(told.contains(&is_copy) && told.contains("verify --against"), "{told}");
    assert!(!copy.annals(&["list"]).ok().err.contains("copy"));
    assert!(!ward.annals(&["list"]).ok().err.contains("copy"), "the original is no copy");
    // A copy at the place of the original, as from a backup.
    let backup = copy.copy();
    std::fs::rename(copy.path(".annals"), copy.path("before")).unwrap();
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([backup.path(".annals"), copy.path(".annals")])
        .status();
    assert!(copied.unwrap().success());
    let told = copy.annals(&["list"]).ok().err;
    assert!(told.contains("was restored here from a copy"), "{told}");
}

#[test]
fn a_workspace_that_moved_is_no_copy() {
    let ward = Workspace::new();
    ward.train("night", &[]).ok();
    let elsewhere = ward.root.with_extension("moved");
    std::fs::rename(&ward.root, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &ward.root).unwrap();
    assert!(!ward.annals(&["list"]).ok().err.contains("cop"));
    ward.annals(&["doctor"]).ok();
    std::fs::remove_file(&ward.root).unwrap();
    std::fs::rename(&elsewhere, &ward.root).unwrap();
    assert!(!ward.annals(&["list"]).ok().err.contains("cop"));
}

#[test]
fn two_that_went_their_ways_part_where_the_first_differs() {
    let ward = Workspace::new();
    ward.train("night", &[]).ok();
    let copy = ward.copy();
    let common = events(&ward);
    copy.annals(&["doctor"]).ok();
    ward.annals(&["verify", "--against", &log_of(&copy)]).ok();

    // Only one goes on: the other is an older copy.
    ward.annals(&["tag", "night", "+slow"]).ok();
    ward.annals(&["verify", "--against", &log_of(&copy)]).ok();
    let behind = copy.annals(&["verify", "--against", &log_of(&ward)]);
    assert!(behind.out.contains(&format!("position {common}: ")), "{}", behind.out);
    assert!(behind.out.contains("continues here with"), "{}", behind.out);
    behind.refused(10, "1 finding");
    let found = copy.annals(&["doctor"]);
    assert!(found.out.contains("more events"), "{}", found.out);
    found.refused(9, "1 finding");

    // Both do.
    copy.annals(&["tag", "night", "+slow"]).ok();
    for (one, other) in [(&ward, &copy), (&copy, &ward)] {
        let answer = one.annals(&["verify", "--against", &log_of(other), "--format", "json"]);
        let findings = answer.json()["findings"].as_array().unwrap().clone();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0]["position"], common);
        let what = findings[0]["what"].as_str().unwrap();
        assert!(what.contains("part here: invocation.started of "), "{what}");
        assert_ne!(findings[0]["expected"], findings[0]["found"]);
        assert_eq!(answer.code, 10);
    }
    let found = copy.annals(&["doctor"]);
    assert!(found.out.contains(&format!("part at position {common}")), "{}", found.out);
    found.refused(9, "1 finding");
    // Each by itself is whole.
    ward.annals(&["verify"]).ok();
    copy.annals(&["verify"]).ok();
}

#[test]
fn a_log_of_another_workspace_and_a_file_that_is_none_are_named() {
    let (ward, other) = (Workspace::new(), Workspace::new());
    let answer = ward.annals(&["verify", "--against", &log_of(&other)]);
    assert!(answer.out.contains("log.redb is the log annals/"), "{}", answer.out);
    answer.refused(10, "1 finding");
    let noise = ward.path("noise");
    std::fs::write(&noise, [0xff, 0xfe, 0x00]).unwrap();
    let answer = ward.annals(&["verify", "--against", noise.to_str().unwrap()]);
    answer.refused(3, "is neither a log checkpoint nor a log");
}
