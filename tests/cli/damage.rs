//! Bytes that are not as they were, anywhere in a copied log: no answer hangs or panics, and what
//! `verify` calls whole gives the answers of the whole log.

use std::process::{Command, Stdio};

use crate::record_read::{damage_a_block, long_record};
use crate::support::{Answer, Workspace};

/// Longer than any answer takes, also on a machine that is busy.
const SECONDS_MAX: &str = "120";

const ANSWERS: [&[&str]; 6] = [
    &["log", "--limit", "100000", "--format", "jsonl"],
    &["query", "SELECT kind, count(*), sum(length(payload)) FROM events GROUP BY kind"],
    &["query", "SELECT * FROM runs", "--format", "json"],
    &["why", "night_v1"],
    &["audit", "--skip", "record-damaged"],
    &["diff", "--from", "3", "--to", "90"],
];

/// A copied log alone in a folder, in a file with little room that nothing lies in.
fn copied() -> (Workspace, Vec<u8>) {
    let ward = Workspace::new();
    ward.allow_synthetic();
    ward.train("night", &[]).ok();
    for _ in 0..34 {
        ward.annals(&["note", "night", &"and so on ".repeat(390)]).ok();
    }
    ward.annals(&["promote", "night"]).ok();
    ward.annals(&["doctor", "--compact"]).ok();
    let whole = ward.read(".annals/log.redb");
    (Workspace::bare(), whole)
}

/// Exit code, answer and complaint of a verb on the copy.
fn ask(alone: &Workspace, verb: &[&str]) -> (i32, String, String) {
    let mut command = Command::new("timeout");
    command.args([SECONDS_MAX, env!("CARGO_BIN_EXE_annals")]).args(verb);
    command.args(["--log", "copy.redb"]).current_dir(&alone.root).env_clear();
    command.env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    let said = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (said.status.code().unwrap_or(-1), text(&said.stdout), text(&said.stderr))
}

/// Asks the damaged copy two things, and `verify` whether it is whole.
#[track_caller]
fn examine(alone: &Workspace, good: &[(i32, String, String)], number: usize, what: &str) -> bool {
    let (verified, found, _) = ask(alone, &["verify"]);
    assert!([0, 10].contains(&verified), "{what}: verify ended with {verified}\n{found}");
    assert!(verified == 0 || !found.trim().is_empty(), "{what}: verify names nothing");
    for index in [number % ANSWERS.len(), (number * 5 + 2) % ANSWERS.len()] {
        let (verb, good) = (ANSWERS[index], &good[index]);
        let (code, answer, error) = ask(alone, verb);
        // 4: what is asked for is among what is lost.
        assert!([good.0, 4, 10].contains(&code), "{what}: {verb:?} ended with {code}\n{error}");
        let same = (code, &answer) == (good.0, &good.1);
        assert!(same || verified == 10, "{what}: {verb:?} differs in a log that is whole");
    }
    verified == 10
}

#[test]
fn a_flipped_bit_anywhere_is_found_and_nothing_hangs_or_panics() {
    let (alone, whole) = copied();
    let path = alone.path("copy.redb");
    std::fs::write(&path, &whole).unwrap();
    let good: Vec<_> = ANSWERS.iter().map(|verb| ask(&alone, verb)).collect();
    assert!(good.iter().all(|(code, ..)| [0, 9].contains(code)), "{good:?}");
    let mut found = 0;
    // The head of the file and the first page of its tables densely, all else evenly.
    let head = (0..320).step_by(8).chain((4096..4096 + 400).step_by(10));
    let step = (whole.len() - 4_096) / 220;
    let flips: Vec<usize> = head.chain((4_500..whole.len()).step_by(step)).collect();
    assert!(flips.len() >= 295, "{}", flips.len());
    for (number, &at) in flips.iter().enumerate() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (number % 8);
        std::fs::write(&path, &bytes).unwrap();
        found += usize::from(examine(&alone, &good, number, &format!("byte {at}")));
    }
    assert!(found > flips.len() / 3, "only {found} of {} flips meant anything", flips.len());
}

#[test]
fn a_file_that_ends_early_or_is_overwritten_is_damage_and_is_named() {
    let (alone, whole) = copied();
    let path = alone.path("copy.redb");
    std::fs::write(&path, &whole).unwrap();
    let good: Vec<_> = ANSWERS.iter().map(|verb| ask(&alone, verb)).collect();
    for (number, part) in (1..12).enumerate() {
        let end = whole.len() * part / 12;
        std::fs::write(&path, &whole[..end]).unwrap();
        assert!(examine(&alone, &good, number, &format!("cut at {end}")), "cut at {end}");
        let mut bytes = whole.clone();
        let end = bytes.len().min(end + 8_192);
        bytes[end - 8_192..end].fill(0);
        std::fs::write(&path, &bytes).unwrap();
        examine(&alone, &good, number, &format!("zeroed before {end}"));
    }
    for (bytes, said) in [
        (&b"PK\x03\x04 something else altogether"[..], "copy.redb is not a log"),
        (&whole[..4_096], "the pages of "),
        (&whole[..100], "the pages of "),
    ] {
        std::fs::write(&path, bytes).unwrap();
        for verb in [&["log"][..], &["why", "night_v1"], &["audit"], &["status"]] {
            let (code, _, error) = ask(&alone, verb);
            assert_eq!(code, 10, "{verb:?}: {error}");
            assert!(error.contains(said) && error.contains("hint: "), "{verb:?}: {error}");
        }
    }
    std::fs::write(&path, b"").unwrap();
    assert_eq!(ask(&alone, &["log"]).0, 10);
}

/// In a workspace too, the file is named, and views that are damaged are made anew.
#[test]
fn damaged_pages_of_a_workspace_are_no_mistake_of_annals() {
    let ward = Workspace::new();
    ward.train("night", &[]).ok();
    let names = [".annals/log.redb", ".annals/views.redb"];
    let [log, views] = names.map(|name| ward.read(name));
    let mut bytes = log.clone();
    bytes[4_096..8_192].fill(0x5a);
    std::fs::write(ward.path(names[0]), &bytes).unwrap();
    for verb in [&["log"][..], &["note", "night", "x"], &["query", "SELECT * FROM runs"]] {
        ward.annals(verb).refused(10, "the pages of ");
    }
    assert_eq!(ward.read(names[0]), bytes, "what is damaged was changed");
    std::fs::write(ward.path(names[0]), &log).unwrap();
    for at in (0..views.len()).step_by(views.len() / 24) {
        let mut bytes = views.clone();
        bytes[at..(at + 4_096).min(views.len())].fill(0xa5);
        std::fs::write(ward.path(names[1]), &bytes).unwrap();
        answered(&ward, &["note", "night", "x"]);
        let listed = answered(&ward, &["list", "--format", "json"]).json();
        assert_eq!(listed.as_array().unwrap().len(), 1, "damaged from {at} on");
    }
}

/// What the program says once it was told of damaged views and did as told.
fn answered(ward: &Workspace, args: &[&str]) -> Answer {
    let first = ward.annals(args);
    if first.code == 0 {
        return first;
    }
    if first.err.contains("`annals replay` rebuilds it") {
        ward.annals(&["replay"]).ok();
    } else {
        first.refused(7, "the views in .annals/views.redb were damaged and have been removed");
    }
    ward.annals(args).ok()
}

/// Without the events that are lost, nobody can check which of the others were allowed.
#[test]
fn an_answer_from_a_log_that_cannot_be_judged_has_a_warning() {
    const WARNING: &str = "nobody can check which of its events were allowed";
    let ward = long_record();
    ward.annals(&["log", "copy", "copy.redb"]).ok();
    let ask = |words: &[&str]| ward.annals(&[words, &["--log", "copy.redb"]].concat());
    let verbs: [(&[&str], &[i32]); 3] = [
        (&["query", "SELECT kind FROM events WHERE NOT allowed", "--format", "csv"], &[0]),
        (&["diff", "--from", "3"], &[0]),
        (&["audit"], &[0, 9]),
    ];
    for (words, codes) in verbs {
        let whole = ask(words);
        assert!(codes.contains(&whole.code), "{words:?}: {}", whole.err);
        assert!(!whole.err.contains(WARNING), "{words:?}: {}", whole.err);
    }
    let (first, last) = damage_a_block(&ward.path("copy.redb"));
    for (words, _) in verbs {
        let rest = ask(words);
        let warnings = rest.err.matches(WARNING).count();
        assert_eq!((rest.code, warnings), (10, 1), "{words:?}: {}", rest.err);
        assert!(rest.err.contains("`annals verify` names the damage"), "{}", rest.err);
        let named = format!("positions {first} to {last} are damaged and skipped");
        assert!(format!("{}{}", rest.out, rest.err).contains(&named), "{words:?}: {}", rest.err);
        assert!(!rest.out.is_empty(), "{words:?} has no answer");
    }
}
