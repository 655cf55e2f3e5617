//! One table of every verb that changes something: each is run twice, run by two processes at
//! once and killed at every step, here or in the file of its own that the table names. A new verb
//! is in the table or in the list of those that record nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::OnceLock;

use crate::support::Workspace;
use crate::walk::{agree, every_step};

/// Verbs that record nothing.
const READING: &[&str] = &[
    "actor list",
    "alias list",
    "audit",
    "best",
    "candidates",
    "checkpoint show",
    "clinical",
    "compare",
    "completions",
    "consolidate plan",
    "consolidate report",
    "diff",
    "doctor",
    "export",
    "layout show",
    "list",
    "log copy",
    "models",
    "plot",
    "policy diff",
    "policy history",
    "policy schema",
    "policy show",
    "predict",
    "prove",
    "query",
    "report",
    "show",
    "snapshot diff",
    "snapshot list",
    "snapshot show",
    "snapshot verify",
    "status",
    "trust",
    "verify",
    "verify-bundle",
    "version list",
    "why",
];

/// Codes of a verb that was carried out, or that came too late and says so.
const UNDERSTOOD: [i32; 5] = [0, 4, 5, 6, 7];

/// Where a verb is killed at every step of its effects.
pub enum Killed {
    Here,
    In(&'static str),
}
use Killed::{Here, In};

/// A verb, what is done before it, the words of one use, and where it is killed.
pub type Case = (&'static str, &'static [&'static [&'static str]], &'static [&'static str], Killed);

const PROMOTED: &[&str] = &["promote", "day", "--as", "dawn"];
const OTHER: &[&str] = &["layout", "migrate", "training-output", "--apply"];
const REQUESTED: &[&str] = &["promote", "day", "--request", "--as", "dusk"];

pub const CHANGING: &[Case] = &[
    ("actor add", &[], &["actor", "add", "ines"], In("actors")),
    ("actor rotate", &[], &["actor", "rotate"], In("actors")),
    ("actor vouch", &[], &["actor", "vouch", "otto"], In("actors")),
    ("alias remove", &[], &["alias", "remove", "champion"], Here),
    ("alias set", &[], &["alias", "set", "challenger", "ward"], In("actors")),
    ("approve", &[REQUESTED], &["approve", "dusk"], In("actors")),
    ("archive", &[], &["archive", "day"], In("archive")),
    ("checkpoint anchor", &[], &["checkpoint", "anchor", "anchor.note"], Here),
    ("classify", &[], &["classify", "day", "--as", "debug"], In("edit")),
    ("cleanup", &[], &["cleanup", "--keep", "0"], In("cleanup")),
    ("demote", &[], &["demote", "ward", "--reason", "retired"], In("production")),
    ("ensemble create", &[], &["ensemble", "create", "both", "dawn", "day"], Here),
    ("gc", &[], &["gc", "--apply", "--min-age", "0"], In("gc")),
    ("layout migrate", &[], OTHER, In("layout")),
    ("layout migrate", &[OTHER], &["layout", "migrate", "consolidated", "--apply"], Here),
    ("layout pack-logs", &[OTHER], &["layout", "pack-logs", "--before", "0 s", "--apply"], Here),
    ("note", &[], &["note", "day", "loss jumps"], In("edit")),
    (
        "redact",
        &[&["note", "day", "of Anna"]],
        &["redact", "--run", "day", "--field", "note", "--reason", "asked"],
        In("redact"),
    ),
    ("pin", &[], &["pin", "day"], In("edit")),
    ("policy edit", &[], &["policy", "edit"], Here),
    (
        "policy set",
        &[],
        &["policy", "set", "production_promotion.min_class_f1", "0.1"],
        In("policy"),
    ),
    ("promote", &[], PROMOTED, In("production")),
    ("reject", &[REQUESTED], &["reject", "dusk", "--reason", "no"], In("actors")),
    ("rename", &[], &["rename", "day", "noon"], Here),
    ("repair", &[], &["repair", "--all"], In("repair")),
    ("replay", &[], &["replay"], Here),
    ("reproduce", &[], &["reproduce", "day"], Here),
    ("restore", &[&["archive", "day"]], &["restore", "day"], In("archive")),
    ("rollback", &[], &["rollback", "ward", "--reason", "it erred"], In("production")),
    ("run exec", &[], &["run", "exec", "--name", "once", "--", "true"], In("external")),
    ("run fail", &[], &["run", "fail", "script", "--reason", "no"], In("external")),
    ("run finish", &[], &["run", "finish", "script", "test/accuracy=0.9"], In("external")),
    ("run log", &[], &["run", "log", "script", "train/loss=0.5", "--step", "3"], In("external")),
    ("run save", &[], &["run", "save", "script", "model.bin"], In("external")),
    ("run share", &[], &["run", "share", "script", "bob"], Here),
    ("run start", &[], &["run", "start", "--name", "again"], In("external")),
    ("snapshot create", &[], &["snapshot", "create", "--message", "now"], In("snapshot")),
    (
        "snapshot restore",
        &[&["snapshot", "create"]],
        &["snapshot", "restore", "latest", "--to", "../out"],
        In("snapshot"),
    ),
    ("tag", &[], &["tag", "day", "+slow"], In("edit")),
    ("train", &[], &["train", "--config", "toy", "--name", "dusk", "--sample-size", "200"], Here),
    ("undo", &[&["tag", "day", "+slow"]], &["undo"], In("undo")),
    ("undo", &[PROMOTED], &["undo"], Here),
    ("undo", &[&["alias", "remove", "champion"]], &["undo"], Here),
    ("undo", &[&["policy", "set", "production_promotion.approvals", "2"]], &["undo"], Here),
    ("unpin", &[&["pin", "day"]], &["unpin", "day"], Here),
    ("version bump", &[], &["version", "bump", "minor", "ward"], In("actors")),
];

/// Verbs that regenerate no registry file.
const SILENT: &[&str] = &["checkpoint anchor", "gc", "run log", "run save", "snapshot restore"];

/// Verbs whose words are known only when they are used: `cases_of_their_own`.
const APART: [&str; 2] = ["consolidate apply", "init"];

/// Three runs and one that a script reports, a model with two versions and an alias.
pub fn lived_in() -> Workspace {
    static LIVED_IN: OnceLock<Workspace> = OnceLock::new();
    let lived_in = LIVED_IN.get_or_init(|| {
        let mut ward = Workspace::new();
        ward.variables.push(("EDITOR".into(), "sed -i 's/: 0.55/: 0.6/'".into()));
        ward.allow_synthetic();
        for name in ["dawn", "day", "night"] {
            ward.train(name, &[]).ok();
        }
        std::fs::write(ward.path("model.bin"), "weights").unwrap();
        ward.annals(&["promote", "dawn", "--as", "ward"]).ok();
        ward.annals(&["promote", "night", "--as", "ward", "--replace"]).ok();
        ward.annals(&["alias", "set", "champion", "ward"]).ok();
        ward.annals_as("otto", &["actor", "add", "otto"]).ok();
        ward
    });
    lived_in.copy()
}

pub fn begun((verb, before, _, _): &Case) -> Workspace {
    let ward = lived_in();
    for words in *before {
        ward.annals(words).ok();
    }
    // Such a run lasts until it is ended, and stands in the way of some verbs.
    if verb.starts_with("run ") {
        ward.annals(&["run", "start", "--name", "script"]).ok();
    }
    ward
}

/// Every verb of the program, with its second word where it has some.
pub fn verbs() -> BTreeSet<String> {
    fn below(command: &clap::Command, path: &[&str], found: &mut BTreeSet<String>) {
        if command.get_subcommands().next().is_none() {
            found.insert(path.join(" "));
        }
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            below(verb, &[path, &[verb.get_name()]].concat(), found);
        }
    }
    let mut found = BTreeSet::new();
    below(&annals::cli::command(), &[], &mut found);
    found
}

/// Every verb that changes something, as the program lists its verbs.
pub fn changing() -> BTreeSet<String> {
    let mut found = verbs();
    found.retain(|verb| !READING.contains(&verb.as_str()));
    found
}

#[test]
fn every_verb_is_in_the_table_or_records_nothing() {
    let known = CHANGING.iter().map(|case| case.0).chain(APART).chain(READING.iter().copied());
    let known: BTreeSet<String> = known.map(str::to_owned).collect();
    let found = verbs();
    assert_eq!(found, known);
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    for (verb, _, _, killed) in CHANGING {
        if let In(file) = killed {
            let text = std::fs::read_to_string(folder.join(format!("{file}.rs"))).unwrap();
            let words: Vec<String> = verb.split(' ').map(|word| format!("{word:?}")).collect();
            let walks = text.contains("every_step(") || text.contains("killed_at(");
            assert!(walks && text.contains(&format!("&[{}", words.join(", "))), "{verb} in {file}");
        }
    }
}

#[test]
fn each_is_run_twice() {
    for case in CHANGING {
        let ward = begun(case);
        ward.annals(case.2).ok();
        agree(&ward);
        let again = ward.annals(case.2);
        assert!(UNDERSTOOD.contains(&again.code), "{} again: {}", case.0, again.err);
        agree(&ward);
    }
}

#[test]
fn each_tells_of_registry_files_that_were_edited_by_hand() {
    const FILE: &str = "models_registry.json";
    let mut silent = Vec::new();
    for case in CHANGING {
        let ward = begun(case);
        std::fs::write(ward.path(FILE), "mine").unwrap();
        let told = ward.annals(case.2).ok().err;
        if ward.read(FILE) == b"mine" {
            assert!(!told.contains("edited by hand"), "{}: {told}", case.0);
            silent.push(case.0);
            continue;
        }
        assert!(told.contains(&format!("{FILE} was edited by hand")), "{}: {told}", case.0);
        assert_eq!(ward.read(&format!("{FILE}.edited-1")), b"mine", "{}", case.0);
        agree(&ward);
    }
    // Verbs after which the files are what they were before.
    assert_eq!(silent, SILENT);
}

#[test]
fn each_is_run_by_two_processes_at_once() {
    for case in CHANGING {
        let ward = begun(case);
        let both = [0, 1].map(|_| ward.start(case.2, Stdio::null()));
        let codes = both.map(|mut child| child.wait().unwrap().code().unwrap());
        assert!(codes.contains(&0), "{} by two: {codes:?}", case.0);
        assert!(codes.iter().all(|code| UNDERSTOOD.contains(code)), "{} {codes:?}", case.0);
        agree(&ward);
    }
}

/// Those of the table that have no file of their own; `part` of two, which run at once.
fn walk(part: usize) {
    let here = CHANGING.iter().filter(|case| matches!(case.3, Here));
    for (_, case) in here.enumerate().filter(|(index, _)| index % 2 == part) {
        every_step(&begun(case), case.2);
    }
}

#[test]
fn each_is_killed_at_every_step() {
    walk(0);
}

#[test]
fn each_other_is_killed_at_every_step() {
    walk(1);
}

#[test]
fn a_workspace_is_made_whole_or_made_again() {
    for step in 1..200 {
        let ward = Workspace::bare();
        let ended = ward.killed_at(step, &["init"]);
        if ended.success() {
            assert!(step > 2, "init has {step} steps");
            agree(&ward);
            return;
        }
        let again = ward.annals(&["init"]);
        assert!([0, 6].contains(&again.code), "init killed at {step}: {}", again.err);
        ward.train("night", &[]).ok();
        agree(&ward);
    }
    panic!("init has no end");
}

#[test]
fn two_processes_make_one_workspace() {
    let ward = Workspace::bare();
    let both = [0, 1].map(|_| ward.spawn(&["init"]));
    let mut codes = both.map(|mut child| child.wait().unwrap().code().unwrap());
    codes.sort_unstable();
    assert!(codes == [0, 6] || codes == [0, 0], "{codes:?}");
    agree(&ward);
}
