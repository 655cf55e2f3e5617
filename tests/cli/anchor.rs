//! `checkpoint anchor`: what is refused leaves no anchor, and an anchor that could not be recorded
//! is recorded by the same command.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::Workspace;

const FILE: [&str; 3] = ["checkpoint", "anchor", "anchor.note"];
const TAG: [&str; 3] = ["checkpoint", "anchor", "git-tag"];

/// The anchors that the log has.
fn recorded(ward: &Workspace) -> Vec<Value> {
    let events = ward.annals(&["log", "--kind", "checkpoint.anchored", "--format", "json"]);
    events.ok().json().as_array().unwrap().clone()
}

fn size_of(note: &[u8]) -> u64 {
    let text = std::str::from_utf8(note).unwrap();
    text.lines().nth(1).unwrap().parse().unwrap()
}

fn git(ward: &Workspace, words: &[&str]) -> Output {
    let mut git = Command::new("git");
    git.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", ward.path("../home"));
    git.args(["-c", "user.name=mara", "-c", "user.email=mara@ward", "-c", "commit.gpgSign=false"]);
    let output = git.current_dir(&ward.root).args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn what_is_refused_leaves_no_anchor() {
    let ward = Workspace::new();
    fs::write(ward.path("anchor.note"), "mine").unwrap();
    fs::create_dir(ward.path("folder")).unwrap();
    std::os::unix::fs::symlink("nowhere", ward.path("link")).unwrap();
    let anchored = |to: &str| ward.annals(&["checkpoint", "anchor", to]);
    for to in ["anchor.note", "folder", "link"] {
        anchored(to).refused(6, "exists already");
    }
    for to in ["missing/anchor.note", "anchor.note/inside"] {
        anchored(to).refused(7, "write");
        assert!(!ward.path(to).exists());
    }
    anchored("git-tag").refused(4, "is in no git tree");
    assert_eq!(ward.read("anchor.note"), b"mine");
    assert!(recorded(&ward).is_empty());

    // Whoever is not trusted here.
    let stranger = ward.received();
    stranger.annals(&["checkpoint", "anchor", "other.note"]).refused(5, "is not trusted");
    assert!(!stranger.path("other.note").exists());
}

#[test]
fn an_anchor_holds_what_somebody_signed_whose_key_counts() {
    let ward = Workspace::new();
    ward.annals(&["run", "start", "--name", "script"]).ok();
    let counts = ward.annals(&["checkpoint", "show"]).ok().out;
    ward.annals_as("otto", &["actor", "add", "otto"]).ok();
    ward.annals_as("otto", &["note", "script", "seen"]).ok();
    let last = ward.annals(&["checkpoint", "show"]).ok().out;
    assert!(last.contains("otto") || last != counts, "otto signed nothing");
    let anchored = ward.annals(&[&FILE[..], &["--format", "json"]].concat()).ok().json();
    let note = ward.read("anchor.note");
    assert!(size_of(&note) < size_of(last.as_bytes()));
    assert_eq!(anchored["size"], size_of(&note));
    ward.annals(&["verify", "--against", "anchor.note"]).ok();
}

#[test]
fn an_anchor_that_could_not_be_recorded_is_recorded_by_the_same_command() {
    let ward = Workspace::new();
    let mut unrecorded = 0;
    for step in 1.. {
        let copy = ward.copy();
        let ended = copy.killed_at(step, &FILE);
        if ended.signal() != Some(9) {
            break;
        }
        let (made, known) = (copy.path("anchor.note").exists(), recorded(&copy).len());
        assert!(made || known == 0, "an anchor is recorded at step {step} that does not exist");
        if made && known == 0 {
            unrecorded += 1;
            copy.annals(&FILE).ok();
            assert_eq!(recorded(&copy).len(), 1);
            copy.annals(&["verify", "--against", "anchor.note"]).ok();
        }
    }
    assert!(unrecorded > 0, "it was killed at no step between the file and the event");
    // Once it is in the record the name is taken.
    ward.annals(&FILE).ok();
    ward.annals(&FILE).refused(6, "exists already");
    assert_eq!(recorded(&ward).len(), 1);
}

#[test]
fn a_tag_that_could_not_be_recorded_is_recorded_by_the_same_command() {
    let ward = Workspace::new();
    git(&ward, &["init", "--quiet"]);
    git(&ward, &["config", "user.name", "mara"]);
    git(&ward, &["config", "user.email", "mara@ward"]);
    ward.annals(&TAG).refused(4, "has no commit");
    git(&ward, &["commit", "--quiet", "--allow-empty", "-m", "code"]);
    let note = ward.annals(&["checkpoint", "show"]).ok().out;
    let tag = format!("annals-checkpoint-{}", size_of(note.as_bytes()));
    git(&ward, &["tag", "--annotate", "-m", "mine", &tag]);
    ward.annals(&TAG).refused(6, "exists already");
    assert!(recorded(&ward).is_empty());
    git(&ward, &["tag", "--delete", &tag]);
    git(&ward, &["tag", "--annotate", "--cleanup=verbatim", "-m", &note, &tag]);
    ward.annals(&TAG).ok();
    let events = recorded(&ward);
    let commit = String::from_utf8(git(&ward, &["rev-parse", "HEAD"]).stdout).unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["event"]["commit"], commit.trim());
    ward.annals(&TAG).ok();
    assert_eq!(recorded(&ward).len(), 2);
}
