//! One changed place in any file of a workspace, or in a line of a script, costs neither memory nor
//! time without end, and is never called a mistake of annals.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::flips::limited;
use crate::support::Workspace;
use crate::support::mutate::{Random, mutant};

/// Exit codes of the table, but for the one of a bug.
const KNOWN: [i32; 10] = [0, 2, 3, 4, 5, 6, 7, 8, 9, 10];
/// Files that differ only in digits and digests are alike: so many of them are tried.
const ALIKE_MAX: usize = 2;

const VERBS: [&[&str]; 14] = [
    &["status"],
    &["list"],
    &["show", "one"],
    &["doctor"],
    &["verify"],
    &["replay", "--check"],
    &["audit"],
    &["candidates"],
    &["predict", "notes", "a calm night"],
    &["snapshot", "verify", "latest"],
    &["train", "--resume", "cut"],
    &["restore", "packed"],
    &["repair", "notes"],
    &["note", "one", "one more"],
];

/// The verbs that read a file for what is in it.
fn readers(path: &str) -> &'static [&'static [&'static str]] {
    if path.contains("checkpoints/") || path.contains("_cut") || path.contains("/cut") {
        &VERBS[10..11]
    } else if path.contains("archived/") || path.ends_with(".zst") || path.ends_with(".gz") {
        &VERBS[11..12]
    } else if path.starts_with("models/") {
        &[VERBS[8], VERBS[12]]
    } else if path.contains("snapshot") {
        &VERBS[9..10]
    } else {
        &[]
    }
}

/// A workspace with a file of every kind: runs in every state, a model, an archive, a snapshot.
fn rich() -> Workspace {
    let ward = Workspace::new();
    ward.allow_synthetic();
    ward.train("one", &["--set", "training.num_epochs=2"]).ok();
    ward.annals(&["promote", "one", "--as", "notes"]).ok();
    let failing = ["--set", "training.save_steps=5", "--set", "toy.fail_at_step=12"];
    ward.train("cut", &failing).refused(8, "");
    ward.train("packed", &["--set", "training.num_epochs=1"]).ok();
    ward.annals(&["archive", "packed", "--compress"]).ok();
    ward.annals(&["snapshot", "create", "--run", "one"]).ok();
    ward
}

/// Files below `folder` by their paths from it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.symlink_metadata().unwrap() {
                kind if kind.is_dir() => folders.push(path),
                kind if kind.is_file() && kind.len() > 0 => {
                    found.push(path.strip_prefix(folder).unwrap().to_owned());
                }
                _ => {}
            }
        }
    }
    found.sort();
    found
}

#[test]
fn no_file_of_a_workspace_costs_memory_or_time() {
    let ward = rich();
    for verb in VERBS {
        let answer = ward.copy();
        let code = limited(&answer, verb);
        assert!(KNOWN.contains(&code), "{verb:?} ends with {code} on a workspace that is whole");
    }
    let (mut alike, mut tried) = (BTreeMap::<String, usize>::new(), 0_usize);
    for path in files(&ward.root) {
        let name = path.display().to_string();
        let kind: String = name.chars().filter(|c| !c.is_ascii_hexdigit()).collect();
        let seen = alike.entry(kind).or_default();
        *seen += 1;
        if *seen > ALIKE_MAX {
            continue;
        }
        let whole = ward.read(&name);
        let general = [VERBS[tried % VERBS.len()]];
        for (turn, verb) in readers(&name).iter().chain(&general).enumerate() {
            let changed = ward.copy();
            let seed = (tried * 7 + turn) as u64;
            let bytes = mutant(std::slice::from_ref(&whole), &mut Random::new(seed));
            std::fs::write(changed.path(&name), &bytes).unwrap();
            let code = limited(&changed, verb);
            assert!(KNOWN.contains(&code), "{verb:?} ends with {code}, {name} is mutant {seed}");
            tried += 1;
        }
    }
    assert!(tried > 60, "only {tried} changes were tried");
}

#[test]
fn no_line_of_a_script_costs_memory_or_time() {
    let ward = Workspace::new();
    let lines = [
        "{\"loss\": 0.5, \"step\": 3, \"epoch\": 1.0}",
        "{'loss': 0.5, 'learning_rate': 1e-05, 'epoch': 0.1}",
        "epoch 3: loss=0.25 val_acc: 81.5%",
        "step 10/100 loss 0.3 \u{1b}[32mok\u{1b}[0m",
    ];
    let lines = lines.map(|line| line.as_bytes().to_vec());
    let mut random = Random::new(1);
    let mut script = Vec::new();
    for _ in 0..400 {
        script.extend(mutant(&lines, &mut random));
        script.push(b'\n');
    }
    std::fs::write(ward.path("lines.txt"), script).unwrap();
    let code = limited(&ward, &["run", "exec", "--name", "one", "--", "cat", "lines.txt"]);
    assert_eq!(code, 0, "a script that ends well is a run that ends well");
    ward.annals(&["show", "one"]).ok();
    ward.annals(&["verify"]).ok();
}
