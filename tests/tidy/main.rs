//! The repository reads itself: layers, sizes, banned calls, stray files. Each rule is also tried
//! on a sample that breaks it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

/// What a module must never name, as `crate::<module>` (`annals::<module>` in the engine).
const WALLS: &[(&str, &[&str])] = &[
    (
        "base",
        &[
            "tlog",
            "domain",
            "store",
            "verify",
            "projection",
            "effect",
            "stats",
            "data",
            "model",
            "train",
            "supervise",
            "app",
            "cli",
        ],
    ),
    (
        "tlog",
        &["domain", "store", "verify", "projection", "effect", "train", "supervise", "app", "cli"],
    ),
    (
        "domain",
        &["tlog", "store", "verify", "projection", "effect", "train", "supervise", "app", "cli"],
    ),
    (
        "stats",
        &[
            "tlog",
            "domain",
            "store",
            "verify",
            "projection",
            "effect",
            "data",
            "model",
            "train",
            "supervise",
            "analysis",
            "port",
            "app",
            "cli",
        ],
    ),
    (
        "data",
        &[
            "tlog",
            "domain",
            "store",
            "verify",
            "projection",
            "effect",
            "model",
            "train",
            "supervise",
            "analysis",
            "port",
            "app",
            "cli",
        ],
    ),
    (
        "model",
        &[
            "tlog",
            "domain",
            "store",
            "verify",
            "projection",
            "effect",
            "train",
            "supervise",
            "analysis",
            "port",
            "app",
            "cli",
        ],
    ),
    ("store", &["verify", "projection", "effect", "train", "supervise", "app", "cli"]),
    ("verify", &["projection", "effect", "train", "supervise", "app", "cli"]),
    ("projection", &["verify", "effect", "train", "supervise", "app", "cli"]),
    ("effect", &["projection", "train", "supervise", "app", "cli", "verify"]),
    (
        "train",
        &["tlog", "domain", "store", "verify", "projection", "effect", "supervise", "app", "cli"],
    ),
    ("analysis", &["tlog", "store", "verify", "effect", "supervise", "app", "cli"]),
    ("supervise", &["store", "verify", "projection", "effect", "app", "cli"]),
    ("port", &["store", "verify", "projection", "effect", "train", "supervise", "app", "cli"]),
    ("app", &["cli"]),
    ("cli", &["store", "supervise", "effect", "projection", "train"]),
    (
        "engine",
        &["store", "domain", "verify", "projection", "effect", "supervise", "app", "cli", "tlog"],
    ),
];

const LINE_CHARS_MAX: usize = 100;
const FILE_LINES_MAX: usize = 600;

/// Words that may not stand in code, and what to use instead.
const BANNED: &[(&str, &str)] = &[
    ("todo!(", "finish it"),
    ("unimplemented!(", "finish it"),
    ("dbg!(", "remove it"),
    ("#[ignore", "a test that does not run tests nothing"),
    ("serde(flatten", "stored shapes name their fields"),
    ("unsafe {", "only where a library demands it, with a SAFETY comment"),
];

/// Files that may use what is banned, for a reason that stands in them.
const EXCEPTED: &[&str] =
    &["src/engine/device.rs", "src/engine/shim.rs", "tests/fuzz/guard.rs", "tests/tidy/main.rs"];

const TOP_LEVEL: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "schemas",
    "data",
    "tests",
    "benches",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "deny.toml",
    "Makefile",
    "build.rs",
    "clippy.toml",
    "rustfmt.toml",
    "target",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src"), root().join("tests"), root().join("benches")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    assert!(found.len() > 50, "the sources are not where they were");
    found
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

fn walls(name: &str, text: &str) -> Vec<String> {
    let module = name.strip_prefix("src/").and_then(|rest| rest.split(['/', '.']).next());
    let forbidden = WALLS.iter().find(|(from, _)| Some(*from) == module).map_or(&[][..], |w| w.1);
    let broken = |line: &str, to: &&str| {
        ["crate", "annals"].iter().any(|root| {
            let reference = format!("{root}::{to}");
            line.match_indices(&reference).any(|(at, _)| {
                let next = line[at + reference.len()..].chars().next();
                next.is_none_or(|c| !c.is_alphanumeric() && c != '_')
            })
        })
    };
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !is_comment(line)) {
        for to in forbidden.iter().filter(|to| broken(line, to)) {
            found.push(format!("{name}:{number}: {} may not see {to}", module.unwrap_or("")));
        }
    }
    found
}

fn sizes(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let chars = line.chars().count();
        // Tables in documentation and messages in attributes cannot be broken.
        let whole = ["//! |", "#[error("].iter().any(|start| line.trim_start().starts_with(start));
        if chars > LINE_CHARS_MAX && !whole {
            found.push(format!("{name}:{number}: {chars} characters, at most {LINE_CHARS_MAX}"));
        }
    }
    let lines = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("").lines().count();
    if lines > FILE_LINES_MAX && !name.starts_with("tests/") {
        found.push(format!("{name}: {lines} lines without tests, at most {FILE_LINES_MAX}"));
    }
    found
}

fn banned(name: &str, text: &str) -> Vec<String> {
    if EXCEPTED.contains(&name) {
        return vec![];
    }
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !is_comment(line)) {
        for (word, instead) in BANNED.iter().filter(|(word, _)| line.contains(word)) {
            found.push(format!("{name}:{number}: {word} ({instead})"));
        }
    }
    found
}

fn reasons(name: &str, text: &str) -> Vec<String> {
    let starts = text.match_indices("[expect(").chain(text.match_indices("[allow("));
    let unexplained = starts.filter(|(at, _)| {
        let attribute = text[*at..].split(")]").next().unwrap_or("");
        let start = text[..*at].rfind('\n').map_or(0, |newline| newline + 1);
        !is_comment(&text[start..*at]) && !attribute.contains("reason")
    });
    unexplained
        .map(|(at, _)| {
            let line = text[..at].lines().count();
            format!("{name}:{line}: an exception without a reason")
        })
        .collect()
}

/// Files that join paths to the workspace's folder after a check of their own, found in them.
const JOINS: &[&str] = &[
    "src/base/confine.rs",
    "src/effect/mod.rs",
    "src/effect/place.rs",
    "src/effect/relocate.rs",
    "src/app/workspace/redact/files.rs",
    "src/cli/policy.rs",
];

/// A path that a file or an event names is joined to the workspace by `base::confine` alone.
fn joined(name: &str, text: &str) -> Vec<String> {
    if !name.starts_with("src/") || JOINS.contains(&name) || name.ends_with("/tests.rs") {
        return vec![];
    }
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
    let mut found = Vec::new();
    for (number, line) in (1..).zip(code.lines()).filter(|(_, line)| !is_comment(line)) {
        let mut joins = line.split("root.join(").skip(1);
        // Names that are written in the code are annals' own.
        let own = |what: &str| {
            what.starts_with(|c: char| c == '"' || c.is_ascii_uppercase())
                || what.starts_with("format!(\".")
        };
        if joins.any(|what| !own(what)) {
            found.push(format!("{name}:{number}: a path is used unchecked (App::inside)"));
        }
    }
    found
}

/// Payloads that a command carries as they were made, because only the caller knows their facts;
/// `decide` checks them. All others are made by `decide`.
const CARRIED: &[&str] = &[
    "ArtifactStored",
    "CheckpointAnchored",
    "LogsPacked",
    "MetricsUnrecorded",
    "MovePlanned",
    "RunFinished",
    "RunPlanned",
    "RunReproduced",
    "RunResumed",
    "RunStarted",
    "SnapshotTaken",
    "TextRedacted",
    "TrainCheckpointPruned",
    "TrainCheckpointSaved",
];

/// Files that append to the log: one for decisions, one for what a training measures.
const APPENDS: &[&str] = &["src/app/core/session.rs", "src/app/runs/record.rs"];

/// The payloads of all kinds, as `stream_events!` lists them.
fn payloads() -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in sources() {
        if name.starts_with("src/domain/") && name.ends_with("/event.rs") {
            let listed = text.split("\n        0x").skip(1);
            let payload = |kind: &str| Some(kind.split_once('(')?.1.split_once(')')?.0.to_owned());
            found.extend(listed.filter_map(payload));
        }
    }
    assert_eq!(found.len(), annals::domain::all_kinds().count(), "a kind was not read");
    found
}

/// Outside of `domain` no event is made, none is appended but by a decision, and no kind is named
/// by text.
fn decided(name: &str, text: &str, payloads: &[String]) -> Vec<String> {
    let exempt = ["src/domain/", "src/store/"].iter().any(|folder| name.starts_with(folder));
    if !name.starts_with("src/") || exempt || name.ends_with("tests.rs") {
        return vec![];
    }
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
    let mut found = Vec::new();
    for (number, line) in (1..).zip(code.lines()).filter(|(_, line)| !is_comment(line)) {
        for kind in annals::domain::all_kinds() {
            if line.contains(&format!("\"{}\"", kind.name)) {
                found.push(format!("{name}:{number}: {} by text (use its constant)", kind.name));
            }
        }
        let is_made = |payload: &&String| {
            let made = format!("{payload} {{");
            line.match_indices(&made).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                // What is taken apart is not made.
                before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
                    && !["let ", "-> ", "impl ", "for "].iter().any(|w| line[..at].ends_with(w))
                    && !line.contains("..")
            })
        };
        for payload in payloads.iter().filter(is_made) {
            if !CARRIED.contains(&payload.as_str()) {
                found.push(format!("{name}:{number}: {payload} is made (a decider makes events)"));
            }
        }
        if line.contains("Append {") && !APPENDS.contains(&name) {
            found.push(format!("{name}:{number}: an append without a decision (Tx::decide)"));
        }
    }
    found
}

fn headed(name: &str, text: &str) -> Vec<String> {
    let first = text.lines().find(|line| !line.is_empty() && !line.starts_with("#!["));
    let ok = first.is_some_and(|line| line.starts_with("//!")) || name.ends_with("/tests.rs");
    if ok { vec![] } else { vec![format!("{name}: says not what it is (`//!`)")] }
}

#[test]
fn the_sources_keep_the_rules() {
    let mut found = Vec::new();
    let payloads = payloads();
    for (name, text) in sources() {
        if name != "tests/tidy/main.rs" {
            found.extend(decided(&name, &text, &payloads));
            found.extend(walls(&name, &text));
            found.extend(reasons(&name, &text));
            found.extend(joined(&name, &text));
        }
        found.extend(sizes(&name, &text));
        found.extend(banned(&name, &text));
        found.extend(headed(&name, &text));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_top_level_is_the_agreed_one() {
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(name.starts_with('.') || TOP_LEVEL.contains(&name.as_str()), "{name} is stray");
    }
}

#[test]
fn every_named_config_is_listed() {
    let listed: Vec<&str> = annals::model::config::builtin_names().collect();
    for entry in fs::read_dir(root().join("data/configs")).unwrap() {
        let path = entry.unwrap().path();
        let name = Path::new(&path).file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(name == "base" || listed.contains(&name.as_str()), "{name} is not listed");
    }
}

#[test]
fn each_rule_fires() {
    assert_eq!(walls("src/domain/x.rs", "use crate::store::Store;").len(), 1);
    assert_eq!(walls("src/engine/x.rs", "use annals::app::App;").len(), 1);
    assert!(walls("src/domain/x.rs", "// crate::store\nuse crate::base::Digest;").is_empty());
    assert!(walls("src/store/x.rs", "use crate::application::X;").is_empty());
    assert_eq!(sizes("src/x.rs", &"x".repeat(101)).len(), 1);
    assert_eq!(sizes("src/x.rs", &"x\n".repeat(601)).len(), 1);
    assert_eq!(banned("src/x.rs", "    todo!()").len(), 1);
    assert!(banned("src/x.rs", "// todo!()").is_empty());
    assert_eq!(reasons("src/x.rs", "#[expect(dead_code)]\nfn f() {}").len(), 1);
    assert!(reasons("src/x.rs", "#[expect(dead_code, reason = \"x\")]\nfn f() {}").is_empty());
    assert_eq!(joined("src/x.rs", "self.root.join(&run.folder)").len(), 1);
    assert!(joined("src/x.rs", "self.root.join(\".annals\")").is_empty());
    assert_eq!(headed("src/x.rs", "fn f() {}").len(), 1);
    let payloads = payloads();
    let decided = |text: &str| decided("src/app/x.rs", text, &payloads).len();
    assert_eq!(decided("let kind = \"run.finished\";"), 1);
    assert_eq!(decided("let event = RunArchived { folder };"), 1);
    assert_eq!(decided("    RunDeleted {"), 1);
    assert_eq!(decided("writer.append(&Append {"), 1);
    assert_eq!(decided("let RunDeleted { files } = event;"), 0);
    assert_eq!(decided("let run = \"finished\"; // run.finished"), 0);
}
