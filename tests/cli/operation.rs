//! Faults of the machine around annals: a disk without room, processes that die, locks that others
//! hold, a clock that jumps, and odd entries in folders.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use crate::quarantine::used_by_a_later_version;
use crate::support::Workspace;
use crate::walk::agree;

fn lived_in() -> Workspace {
    let ward = Workspace::new();
    ward.allow_synthetic();
    for name in ["one", "two", "three"] {
        ward.train(name, &[]).ok();
    }
    ward.annals(&["promote", "one", "--as", "ward"]).ok();
    ward.annals(&["promote", "two", "--as", "ward", "--replace"]).ok();
    ward
}

/// Each takes effect although no registry file can be written, and reports that.
#[test]
fn what_took_effect_is_reported_as_done() {
    let verbs: [&[&str]; 20] = [
        &["policy", "set", "production_promotion.min_class_f1", "0.1"],
        &["actor", "add", "ines"],
        &["actor", "rotate"],
        &["alias", "set", "champion", "ward"],
        &["alias", "remove", "champion"],
        &["promote", "three", "--request", "--as", "dusk"],
        &["reject", "dusk", "--reason", "no"],
        &["promote", "three", "--as", "dusk"],
        &["rollback", "ward", "--reason", "erred"],
        &["undo"],
        &["version", "bump", "minor", "ward"],
        &["demote", "dusk", "--reason", "retired"],
        &["tag", "one", "+slow"],
        &["note", "one", "seen"],
        &["pin", "one"],
        &["unpin", "one"],
        &["rename", "three", "drei"],
        &["run", "start", "--name", "script"],
        &["run", "finish", "script", "test/accuracy=0.9"],
        &["archive", "three"],
    ];
    let ward = lived_in();
    // What is in the way may be of a later version: it is not moved away.
    used_by_a_later_version(&ward);
    let file = ward.path(".annals/exports.json");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    std::fs::write(file.join("in-the-way"), "x").unwrap();
    let events = || ward.annals(&["status", "--format", "json"]).ok().json()["events"].as_u64();
    for verb in verbs {
        let before = events();
        let answer = ward.annals(verb);
        assert_eq!(answer.code, 0, "{verb:?}: {}", answer.err);
        assert!(events() > before, "{verb:?} took no effect");
        assert!(answer.err.contains("what was decided is recorded"), "{verb:?}: {}", answer.err);
        assert!(answer.err.contains("exports.json"), "{verb:?}: {}", answer.err);
    }
    std::fs::remove_dir_all(&file).unwrap();
    ward.annals(&["note", "one", "room again"]).ok();
    agree(&ward);
}

/// The kernel lets go of redb's lock a moment after that of the log, when a process is killed.
#[test]
fn bystanders_of_a_killed_process_wait() {
    for file in [".annals/log.redb", ".annals/views.redb"] {
        let ward = Workspace::new();
        ward.train("one", &[]).ok();
        let dying = redb::Database::open(ward.path(file)).unwrap();
        let child = ward.spawn(&["note", "one", "a bystander"]);
        std::thread::sleep(Duration::from_millis(400));
        drop(dying);
        let mut child = child;
        assert_eq!(child.wait().unwrap().code(), Some(0), "{file}");
        agree(&ward);
    }
}

#[test]
fn who_holds_the_lock_is_named_and_the_wait_is_bounded() {
    for file in ["lock.gate", "lock"] {
        let ward = Workspace::new();
        ward.annals(&["list"]).ok();
        let held = std::fs::File::open(ward.path(".annals").join(file)).unwrap();
        flock(&held, FlockOperation::LockExclusive).unwrap();
        for verb in [&["list"][..], &["policy", "set", "new_runs.require_seed", "true"]] {
            let started = Instant::now();
            let answer = ward.annals(verb).refused(7, "the log is in use by process");
            let own = format!("process {} (", std::process::id());
            assert!(answer.err.contains(&own), "{verb:?}: {}", answer.err);
            assert!(answer.err.contains(file), "{verb:?}: {}", answer.err);
            assert!(started.elapsed() < Duration::from_secs(20), "{verb:?}");
        }
        drop(held);
        ward.annals(&["list"]).ok();
    }
}

/// Two runs of one name in one second, the first killed at any step: its folder is cleared.
#[test]
fn a_killed_start_leaves_no_folder_behind() {
    let start = Workspace::new();
    let words = ["run", "start", "--name", "script"];
    for step in 1..60 {
        let ward = start.copy();
        let mut ward = ward;
        ward.variables.push(("ANNALS_TEST_CLOCK".into(), "2027-03-01T10:00:00Z".into()));
        ward.variables.push(("ANNALS_TEST_SEED".into(), "1".into()));
        let ended = ward.killed_at(step, &words);
        ward.variables.pop();
        // Another process begins before anything was cleared: the claim is all that is left.
        ward.variables.push(("ANNALS_TEST_SEED".into(), "2".into()));
        ward.annals(&words).ok();
        ward.variables.clear();
        ward.annals(&["note", "latest", "x"]);
        ward.annals(&["policy", "set", "production_promotion.min_class_f1", "0.1"]).ok();
        agree(&ward);
        if ended.success() {
            assert!(step > 3);
            return;
        }
    }
    panic!("run start has no end");
}

#[test]
fn a_folder_that_nobody_claims_is_named_with_what_to_do() {
    let ward = lived_in();
    std::fs::create_dir_all(ward.path("experiments/left_20270301_100000/checkpoints")).unwrap();
    let found = ward.annals(&["doctor"]).refused(9, "1 finding");
    assert!(
        found.out.contains("experiments/left_20270301_100000 belongs to no run"),
        "{}",
        found.out
    );
    let command = found.out.split('`').nth(1).unwrap();
    let done = Command::new("sh").args(["-c", command]).current_dir(&ward.root).status().unwrap();
    assert!(done.success(), "{command}");
    agree(&ward);
}

/// An odd entry, and whether the run's folder can be archived with it.
type Odd = (&'static str, fn(&Path));

const ODD: [Odd; 7] = [
    ("a pipe", |dir| {
        let made = Command::new("mkfifo").arg(dir.join("pipe")).status().unwrap();
        assert!(made.success());
    }),
    ("a socket", |dir| {
        let here = std::env::current_dir().unwrap();
        // A socket's path has few bytes.
        let short = tempfile::tempdir_in(here).unwrap();
        let path = short.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let moved = Command::new("mv").arg(&path).arg(dir.join("socket")).status().unwrap();
        assert!(moved.success());
    }),
    ("a link", |dir| std::os::unix::fs::symlink("/etc/hostname", dir.join("link")).unwrap()),
    ("a link to itself", |dir| std::os::unix::fs::symlink("loop", dir.join("loop")).unwrap()),
    ("a name that is not UTF-8", |dir| {
        std::fs::write(dir.join(std::ffi::OsStr::from_bytes(b"m\xff")), "x").unwrap();
    }),
    ("a file in the place of the folder", |dir| {
        std::fs::remove_dir_all(dir).unwrap();
        std::fs::write(dir, "x").unwrap();
    }),
    ("a pipe in the place of a recorded file", |dir| {
        let config = dir.join("config/config.yaml");
        let file = if config.exists() { config } else { dir.join("config.yaml") };
        let _ = std::fs::remove_file(&file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    }),
];

#[test]
fn one_odd_entry_does_not_stop_the_housekeeping_of_others() {
    let start = Workspace::new();
    for name in ["one", "two", "three"] {
        start.train(name, &[]).ok();
        start.annals(&["classify", name, "--as", "debug"]).ok();
    }
    let listed = start.annals(&["list", "--format", "json"]).ok().json();
    let folder = |name: &str| {
        let runs = listed.as_array().unwrap().iter();
        let id = runs.map(|run| run["experiment_id"].as_str().unwrap().to_owned());
        let id = id.into_iter().find(|id| id.starts_with(name)).unwrap();
        let run = start.annals(&["show", &id, "--format", "json"]).ok().json();
        (id, run["folder"].as_str().unwrap().to_owned())
    };
    let (id, odd_folder) = folder("two");
    for (what, spoil) in ODD {
        let housekeeping: [&[&str]; 2] = [&["cleanup", "--keep", "0"], &["consolidate"]];
        for verb in housekeeping {
            let ward = start.copy();
            spoil(&ward.path(&odd_folder));
            // These look at everything and none of them waits for the other end of a pipe.
            for words in [
                &["doctor"][..],
                &["audit", "--deep"],
                &["gc"],
                &["snapshot", "create"],
                &["status"],
                &["list"],
            ] {
                let answer = ward.annals(words);
                let told = format!("{}{}", answer.out, answer.err);
                assert!([0, 9].contains(&answer.code), "{what}, {words:?}: {told}");
            }
            let done = if verb[0] == "consolidate" {
                let plan = ward.annals(&["consolidate", "plan", "--format", "json"]).ok().json();
                let digest = plan["plan_digest"].as_str().unwrap().to_owned();
                let mut done = ward.annals(&["consolidate", "apply", &digest]).ok();
                // The plan has the reason of each run that stays.
                let rows = plan["plan"]["rows"].as_array().unwrap().iter();
                rows.filter(|row| row["action"] == "keep")
                    .for_each(|row| done.out.push_str(&row.to_string()));
                done
            } else {
                ward.annals(verb).ok()
            };
            let told = format!("{}{}", done.out, done.err);
            assert!(told.contains(&id), "{what}, {verb:?}: {told}");
            let archived = "SELECT experiment_id FROM runs WHERE archived IS NOT NULL OR deleted";
            let archived = ward.annals(&["query", archived, "--format", "json"]).ok().json();
            let archived = archived.as_array().unwrap().clone();
            assert!(!archived.iter().any(|run| run["experiment_id"] == id.as_str()), "{what}");
            if verb[0] == "cleanup" {
                assert_eq!(archived.len(), 2, "{what}: {told}");
            }
            ward.annals(&["verify"]).ok();
            ward.annals(&["replay", "--check"]).ok();
        }
    }
}

/// Once a clock was far ahead, what comes later is dated by its own clock.
#[test]
fn a_clock_that_jumped_ahead_dates_nothing_but_itself() {
    let ward = Workspace::bare();
    let mut seed = 0;
    let mut at = |time: &str, words: &[&str]| {
        seed += 1;
        ward.annals_at(time, seed, words)
    };
    at("2027-03-01T10:00:00Z", &["init"]).ok();
    at("2027-03-01T10:01:00Z", &["run", "start", "--name", "before"]).ok();
    at("2099-01-01T00:00:00Z", &["note", "before", "from-the-future"]).ok();
    at("2027-03-02T10:00:00Z", &["run", "start", "--name", "after"]).ok();
    at("2027-03-03T10:00:00Z", &["note", "after", "later"]).ok();
    let now = "2027-03-04T10:00:00Z";
    let shown = at(now, &["show", "after"]).ok().out;
    assert!(shown.contains("2027-03-02") && !shown.contains("2099"), "{shown}");
    let listed = at(now, &["list"]).ok().out;
    assert!(listed.contains("2027-03-02") || listed.contains("2 d"), "{listed}");
    assert!(!listed.contains("2099"), "{listed}");
    let log = at(now, &["log", "-n", "100"]).ok().out;
    let dated = log.lines().filter(|line| line.contains("2099-01-01")).count();
    let jump = at(now, &["log", "--kind", "run.noted", "--format", "json"]).ok().json();
    assert!((1..=6).contains(&dated), "{dated} events are dated 2099:\n{log}");
    assert!(jump[0]["recorded"].as_str().unwrap().starts_with("2027-03-03"), "{jump}");
    assert!(jump[1]["recorded"].as_str().unwrap().starts_with("2099"), "{jump}");
    // The answers are the same once the clock has caught up and the log is ahead no longer.
    let caught_up = "2099-02-02T10:00:00Z";
    for now in [now, caught_up] {
        if now == caught_up {
            at("2099-02-01T10:00:00Z", &["note", "after", "caught-up"]).ok();
        }
        let words = ["log", "--since", "2027-03-02", "--until", "2027-03-04T00:00:00Z"];
        let until = at(now, &words).ok();
        assert!(until.out.contains("run.started") && !until.out.contains("2099"), "{}", until.out);
        let words = ["log", "--until", "2027-03-01T12:00:00Z", "--kind", "run.started"];
        assert_eq!(at(now, &words).ok().out.matches("run.started").count(), 1);
        for (as_of, runs) in [
            ("2027-03-01T10:00:30Z", 0),
            ("2027-03-01T12:00:00Z", 1),
            ("2027-03-02T09:59:59Z", 1),
            ("2027-03-02T12:00:00Z", 2),
            ("2098-12-31T00:00:00Z", 2),
        ] {
            let then = at(now, &["list", "--as-of", as_of, "--format", "json"]).ok().json();
            assert_eq!(then.as_array().unwrap().len(), runs, "{as_of} at {now}: {then}");
        }
        let words = ["replay", "--check", "--as-of", "2027-03-02T12:00:00Z"];
        at(now, &words).ok();
    }
    // The corrected and the raw time of an event have a column each.
    let times = "SELECT recorded, wall FROM events WHERE kind = 'run.started' ORDER BY position";
    let times = ward.annals(&["query", times, "--format", "json"]).ok().json();
    let time = |row: usize, column: &str| times[row][column].as_str().unwrap()[..10].to_owned();
    assert_eq!((time(0, "recorded"), time(0, "wall")), ("2027-03-01".into(), "2027-03-01".into()));
    assert_eq!((time(1, "recorded"), time(1, "wall")), ("2099-01-01".into(), "2027-03-02".into()));
    let audit = at(now, &["audit"]);
    assert!(audit.out.contains("clock-went-back"), "{}", audit.out);
    ward.annals(&["verify"]).ok();
    ward.annals(&["replay", "--check"]).ok();
}

/// At the end of all time the log can still be written, and ordered by position.
#[test]
fn a_clock_at_the_end_of_time_does_not_close_the_log() {
    let ward = Workspace::bare();
    ward.annals_at("2027-03-01T10:00:00Z", 1, &["init"]).ok();
    ward.annals_at("2262-04-11T23:47:16.854775806Z", 2, &["run", "start", "--name", "end"]).ok();
    for seed in 3..6 {
        ward.annals_at("2027-03-02T10:00:00Z", seed, &["note", "end", "after it"]).ok();
    }
    ward.annals(&["verify"]).ok();
    ward.annals(&["replay", "--check"]).ok();
}
