//! A workspace received from a stranger: reading verbs answer, changing verbs refuse until its key
//! is pinned, and nothing is written into it before that.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use annals::app::{ConfigDirs, Workspace as App};
use annals::base::Env;
use annals::store::Store;
use annals::tlog::NoteSigner;
use annals::{StartRun, Tracker};

use crate::answers::READ;
use crate::support::{Workspace, history};
use crate::verbs::{CHANGING, begun, changing, lived_in};

/// Uses of verbs that record something and are not in the table of changing verbs.
const MORE_CHANGING: &[&[&str]] = &[
    &["checkpoint", "anchor", "../anchor"],
    &["consolidate", "apply", "0123456789ab"],
    &["doctor", "--compact"],
    &["gc", "--dry-run"],
    &["tag", "--dry-run", "day", "+slow"],
    &["train", "--resume", "day"],
];

/// Uses of changing verbs that only read.
const ONLY_READ: [&str; 2] = ["replay", "train"];

/// Every file below a folder, with its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(path) = folders.pop() {
        if path.is_dir() {
            folders.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let bytes = fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

/// Fails unless both are the same; the bytes are too many to be printed.
#[track_caller]
fn same(before: &BTreeMap<PathBuf, Vec<u8>>, folder: &Path, words: &[&str]) {
    let after = files(folder);
    let names = before.keys().chain(after.keys());
    let changed: Vec<_> = names.filter(|name| before.get(*name) != after.get(*name)).collect();
    assert!(changed.is_empty(), "{words:?} changed {changed:?}");
}

fn keys_of(ward: &Workspace) -> PathBuf {
    ward.home().join(".config/annals/keys")
}

fn pins_of(ward: &Workspace) -> Vec<PathBuf> {
    let files = files(&keys_of(ward)).into_keys();
    files.filter(|path| path.extension().is_some_and(|suffix| suffix == "pin")).collect()
}

#[test]
fn every_changing_verb_refuses_and_changes_nothing() {
    for case in CHANGING {
        let ward = begun(case).received();
        let before = files(&ward.root);
        ward.annals(case.2).refused(5, "is not trusted, so nothing in it is changed");
        same(&before, &ward.root, case.2);
        assert!(files(ward.home()).is_empty(), "{:?} wrote into the home folder", case.2);
    }
    let ward = lived_in().received();
    let before = files(&ward.root);
    for words in MORE_CHANGING {
        let refused = ward.annals(words).refused(5, "begun by mara, whose key is not pinned");
        assert!(refused.err.contains("hint: `annals trust` shows the key"), "{}", refused.err);
        same(&before, &ward.root, words);
    }
    ward.annals(&["init"]).refused(6, "is a workspace already");
    assert!(!ward.path("../anchor").exists());
    assert!(files(ward.home()).is_empty());
}

#[test]
fn every_reading_verb_answers_and_writes_nothing_into_the_workspace() {
    let owner = lived_in();
    owner.annals(&["snapshot", "create"]).ok();
    let proof = owner.annals(&["prove", "1", "--format", "json"]).ok().out;
    owner.annals(&["why", "ward", "--proofs", "bundle.json"]).ok();
    fs::write(owner.path("proof.json"), proof).unwrap();
    let ward = owner.received();
    let before = files(&ward.root);
    let changing = changing();
    let uses =
        READ.iter().filter(|(verb, _, _)| !changing.contains(*verb) || ONLY_READ.contains(verb));
    let uses = uses.map(|(verb, _, more)| verb.split(' ').chain(more.iter().copied()).collect());
    let more = [
        vec!["policy", "schema"],
        vec!["completions", "bash"],
        vec!["verify-bundle", "bundle.json"],
        vec!["prove", "--check", "proof.json"],
        vec!["list", "--as-of", "12"],
    ];
    for words in uses.chain(more).collect::<Vec<Vec<&str>>>() {
        let answer = ward.annals(&words);
        // Findings have codes of their own.
        assert!([0, 9].contains(&answer.code), "{words:?}: {}", answer.err);
        assert_eq!(ward.annals_with(&[("HOME", "/nowhere")], &["status"]).code, 0);
        same(&before, &ward.root, &words);
    }
    // What is read is what its owner reads.
    let runs = ["query", "SELECT position, kind FROM events", "--format", "json"];
    assert_eq!(ward.annals(&runs).ok().out, owner.annals(&runs).ok().out);
}

#[test]
fn a_pinned_key_opens_the_workspace() {
    let owner = lived_in();
    let ward = owner.received();
    let key = owner.key();
    let before = files(&ward.root);
    let asked = ward.annals(&["trust"]).refused(2, "without a terminal");
    for text in ["origin", "begun by", "mara", key.as_str(), "not trusted"] {
        assert!(asked.err.contains(text), "no {text:?} in {}", asked.err);
    }
    ward.annals(&["trust", "--key", "annals/x"]).refused(2, "--key");
    let other = Workspace::new().key();
    let wrong = ward.annals(&["trust", "--key", &other]).refused(5, "the log began with the key");
    assert!(wrong.err.contains(&key) && wrong.err.contains(&other), "{}", wrong.err);
    ward.annals(&["tag", "day", "+slow"]).refused(5, "is not trusted");
    ward.annals(&["trust", "--key", &key, "--dry-run"]).ok();
    ward.annals(&["trust", "--key", &other, "--dry-run"]).refused(5, "the log began with the key");
    assert!(files(ward.home()).is_empty());

    let pinned = ward.annals(&["trust", "--key", &key, "--format", "json"]).ok();
    assert!(pinned.err.contains(&format!("annals verify --key '{key}'")), "{}", pinned.err);
    let pinned = pinned.json();
    assert_eq!((&pinned["trust"], &pinned["began_by"]), (&"pinned".into(), &"mara".into()));
    assert_eq!(pinned["pinned"], pinned["key"]);
    same(&before, &ward.root, &["trust"]);
    let pins = pins_of(&ward);
    assert_eq!(pins.len(), 1);
    assert_eq!(fs::metadata(&pins[0]).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(ward.annals(&["trust", "--list", "--format", "json"]).ok().json()[0]["key"], key);
    ward.annals(&["trust"]).ok();

    ward.annals(&["verify", "--key", &key]).ok();
    for words in [
        &["tag", "day", "+slow"][..],
        &["undo"],
        &["note", "day", "seen"],
        &["run", "start", "--name", "script"],
        &["policy", "set", "production_promotion.min_class_f1", "0.1"],
        &["promote", "day", "--as", "dawn"],
        &["actor", "add", "ines"],
        &["gc", "--yes"],
        &["replay"],
        &["checkpoint", "anchor", "../anchor"],
    ] {
        ward.annals_as("ines", words).ok();
    }
    ward.annals(&["trust", "--forget"]).ok();
    assert_eq!(pins_of(&ward).len(), 0);
    // The private key that was made here is one of the log's.
    ward.annals_as("ines", &["tag", "day", "+late"]).ok();
    ward.annals(&["replay", "--check"]).ok();
}

#[test]
fn what_a_crash_left_is_not_cleared_for_a_stranger() {
    let owner = lived_in();
    assert_eq!(owner.killed_at(12, &["promote", "day", "--as", "dawn"]).code(), None);
    let ward = owner.received();
    let before = files(&ward.root);
    ward.annals(&["tag", "day", "+slow"]).refused(5, "is not trusted");
    ward.annals(&["doctor"]).refused(9, "finding");
    same(&before, &ward.root, &["tag"]);
    ward.annals(&["trust", "--key", &owner.key()]).ok();
    ward.annals(&["tag", "day", "+slow"]).ok();
    let ended = ward.annals(&["log", "--kind", "invocation.interrupted", "--format", "json"]).ok();
    assert_eq!(ended.json().as_array().unwrap().len(), 1);
}

/// Puts a log of another key in the place of the one of `ward`: its origin, and the key by whose
/// name it begins.
fn replace_log(ward: &Workspace, origin: &str, names: Option<&str>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let signer = NoteSigner::new(origin, &[7; 32]).unwrap();
    let store = Store::create(folder.path(), Env::system()).unwrap();
    let key = names.map_or(signer.public().public_key(), |key| key.parse().unwrap());
    history::begin_with_key(&store, origin, key, &signer);
    fs::copy(store.path(), ward.path(".annals/log.redb")).unwrap();
    signer.public().to_string()
}

#[test]
fn a_log_that_was_replaced_by_one_of_the_same_name_is_refused() {
    let ward = Workspace::new();
    ward.annals(&["run", "start", "--name", "night"]).ok();
    let (old, shown) = (ward.key(), ward.annals(&["trust", "--format", "json"]).ok().json());
    let new = replace_log(&ward, shown["origin"].as_str().unwrap(), None);
    let before = files(&ward.root);
    let policy = ["policy", "set", "production_promotion.approvals", "2"];
    for words in [&policy[..], &["trust", "--key", &new], &["trust", "--key", &old]] {
        let refused = ward.annals(words).refused(10, "this is not the log that you trust");
        assert!(refused.err.contains(&old) && refused.err.contains(&new), "{}", refused.err);
    }
    let read = ward.annals(&["log"]).ok();
    assert!(read.err.contains("warning: this is not the log that you trust"), "{}", read.err);
    assert!(read.err.contains(&old) && read.err.contains(&new), "{}", read.err);
    same(&before, &ward.root, &policy);
    // The private key of the log that was there does not count for this one.
    ward.annals(&["trust", "--forget"]).ok();
    ward.annals(&["trust", "--forget"]).refused(4, "no key is pinned");
    ward.annals(&policy).refused(5, "is not trusted");
    ward.annals(&["trust", "--key", &new]).ok();
    ward.annals(&policy).ok();
}

#[test]
fn private_keys_from_before_there_were_pins_need_no_command() {
    let ward = Workspace::new();
    let run = ward.annals(&["run", "start", "--name", "night"]).ok().out;
    let run = run.trim();
    let forget = |ward: &Workspace| {
        pins_of(ward).iter().for_each(|pin| fs::remove_file(pin).unwrap());
    };
    forget(&ward);
    ward.annals(&["status"]).ok();
    assert!(pins_of(&ward).is_empty(), "a reading verb stored a pin");
    let noted = ward.annals(&["note", run, "as ever"]).ok();
    assert!(!noted.err.contains("trust"), "{}", noted.err);
    assert_eq!(pins_of(&ward).len(), 1);

    // So does somebody whose key came later, on a machine of her own.
    let hers = ward.received();
    hers.annals(&["trust", "--key", &ward.key()]).ok();
    hers.annals_as("ines", &["actor", "add", "ines"]).ok();
    forget(&hers);
    hers.annals_as("ines", &["note", run, "as ever"]).ok();
    assert_eq!(pins_of(&hers).len(), 1);
    fs::remove_dir_all(keys_of(&hers)).unwrap();
    hers.annals_as("ines", &["note", run, "without a key"]).refused(5, "is not trusted");
}

#[test]
fn a_log_that_only_names_a_key_of_the_user_is_a_strangers() {
    let ward = Workspace::new();
    ward.annals(&["actor", "add", "ines"]).ok();
    let people = ward.annals(&["actor", "list", "--format", "json"]).ok().json();
    let policy = ["policy", "set", "production_promotion.approvals", "2"];
    for person in people.as_array().unwrap() {
        replace_log(&ward, "annals/other", person["key"].as_str());
        ward.annals(&policy).refused(5, "is not trusted");
    }
}

#[test]
fn a_log_that_somebody_else_began_is_not_made_whole() {
    let (owner, ward) = (Workspace::new(), Workspace::bare());
    fs::create_dir(ward.path(".annals")).unwrap();
    fs::copy(owner.path(".annals/log.redb"), ward.path(".annals/log.redb")).unwrap();
    ward.annals(&["init"]).refused(5, "is not trusted");
    assert!(!ward.path("annals.toml").exists() && !ward.path(".gitignore").exists());
    assert!(files(ward.home()).is_empty());
    let events = owner.annals(&["verify", "--format", "json"]).ok().json();
    let theirs = ["verify", "--log", ".annals/log.redb", "--format", "json"];
    assert_eq!(ward.annals(&theirs).ok().json()["root"], events["root"]);
}

#[test]
fn the_library_refuses_as_the_program_does() {
    let ward = lived_in().received();
    let before = files(&ward.root);
    let dirs = ConfigDirs { keys: keys_of(&ward) };
    let caller = annals::sdk::caller(ward.root.clone());
    let tracker = Tracker::new(App::open(&ward.root, caller, &dirs, Env::system()).unwrap());
    let start = StartRun { name: "night".into(), ..StartRun::default() };
    let refused = tracker.start(&start).unwrap_err();
    assert!(refused.to_string().contains("is not trusted"), "{refused}");
    assert_eq!(refused.kind.exit_code(), 5);
    same(&before, &ward.root, &["Tracker::start"]);
}
