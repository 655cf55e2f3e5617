//! Waits for files that another process has locked: bounded, with a message that names it.

use std::fs::File;
use std::time::{Duration, Instant};

use crate::support::{Workspace, wait_for};

#[test]
fn a_wait_for_views_or_registry_files_ends_and_names_the_holder() {
    let ward = Workspace::new();
    ward.train("one", &[]).ok();
    for (file, words, code) in [
        ("views.lock", &["replay"][..], 7),
        ("views.lock", &["list"], 0),
        ("exports.lock", &["note", "one", "calm"], 0),
    ] {
        let holder = File::open(ward.path(&format!(".annals/{file}"))).unwrap();
        holder.lock().unwrap();
        let began = Instant::now();
        let answer = ward.annals(words);
        let waited = began.elapsed();
        drop(holder);
        assert_eq!(answer.code, code, "{file} {words:?}: {}", answer.err);
        assert!(waited < Duration::from_secs(45), "{file} {words:?}: {waited:?}");
        if words[0] != "list" {
            let named = format!(".annals/{file} is in use by process {} (", std::process::id());
            assert!(answer.err.contains(&named), "{words:?}: {}", answer.err);
        }
    }
    // Nothing is left behind by a wait that was given up.
    ward.annals(&["replay"]).ok();
    ward.annals(&["replay", "--check"]).ok();
}

fn exec(script: &str) -> [&str; 8] {
    ["run", "exec", "--name", "slow", "--", "sh", "-c", script]
}

/// Takes the log once a supervised script has begun.
fn take_the_log(ward: &Workspace) -> File {
    wait_for("the run", || {
        let runs = ward.annals(&["list", "--format", "json"]).ok().json();
        runs.as_array().filter(|runs| !runs.is_empty()).map(|_| ())
    });
    let holder = File::open(ward.path(".annals/lock")).unwrap();
    holder.lock().unwrap();
    holder
}

/// A supervisor waits for a log that somebody else has for as long as that takes, and says so; no
/// fact of the run is lost.
#[test]
fn a_supervisor_says_that_it_waits_for_the_log() {
    for script in ["sleep 3; echo '{\"loss\": 1}'; sleep 12", "sleep 3"] {
        let ward = Workspace::new();
        let answer = std::thread::scope(|scope| {
            let run = scope.spawn(|| ward.annals(&exec(script)));
            let holder = take_the_log(&ward);
            std::thread::sleep(Duration::from_secs(11));
            drop(holder);
            run.join().unwrap().ok()
        });
        // The text in the lock names who wrote last, where that is nobody who holds it.
        assert!(answer.err.contains("in use by process"), "{script}: {}", answer.err);
        let run = ward.annals(&["show", "slow", "--format", "json"]).ok().json();
        assert_eq!(run["status"], "finished", "{run}");
        if script.contains("loss") {
            let sql = "select count(*) n from metrics where name = 'loss'";
            let points = ward.annals(&["query", sql, "--format", "json"]).ok().json();
            assert!(points[0]["n"].as_u64().unwrap() >= 1, "{points}");
        }
    }
}

/// Whoever has the log, a signal ends the supervisor and its command within seconds.
#[test]
fn a_signal_ends_a_supervisor_that_waits_for_the_log() {
    let ward = Workspace::new();
    let script = "trap '' INT TERM; while true; do echo '{\"loss\": 1}'; sleep 0.1; done";
    let mut child = ward.spawn(&exec(script));
    let holder = take_the_log(&ward);
    std::thread::sleep(Duration::from_secs(2));
    let begun = Instant::now();
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    drop(holder);
    ward.annals(&["policy", "set", "production_promotion.approvals", "2"]).ok();
    let run = ward.annals(&["show", "slow", "--format", "json"]).ok().json();
    assert_eq!(run["status"], "interrupted", "{run}");
    ward.annals(&["doctor"]).ok();
}
