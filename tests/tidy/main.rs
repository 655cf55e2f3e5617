//! The repository reads itself: layers, sizes, banned calls, stray files. Each rule is also tried
//! on a sample that breaks it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

/// What each module may name of the others, as `crate::<module>`, `annals::<module>` in the engine.
/// Whatever is not listed is a wall, and what is listed is used: a door that nobody goes through is
/// walled up.
const DOORS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("tlog", &["base"]),
    ("stats", &[]),
    ("domain", &["base"]),
    ("store", &["base", "tlog", "domain"]),
    ("verify", &["base", "tlog", "domain", "store"]),
    ("projection", &["base", "tlog", "domain", "store", "model"]),
    ("effect", &["base", "domain", "store"]),
    ("data", &["base", "stats"]),
    ("model", &["base", "stats", "data"]),
    ("train", &["base", "stats", "data", "model"]),
    ("engine", &["base", "data", "model", "train"]),
    ("supervise", &["base", "data", "model", "train"]),
    ("port", &["base", "tlog", "domain", "model"]),
    ("analysis", &["base", "stats", "domain", "projection", "model", "train"]),
    (
        "app",
        &[
            "base",
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
            "port",
            "analysis",
        ],
    ),
    ("sdk", &["base", "domain", "app"]),
    ("cli", &["base", "domain", "app", "sdk"]),
    ("docs", &[]),
];

const LINE_CHARS_MAX: usize = 100;
const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

/// Functions that are longer, by module and name. The list only shrinks.
const LONG_FUNCTIONS: &[&str] = &[
    "analysis::best_runs",
    "analysis::svg",
    "analysis::table",
    "analysis::text",
    "app::decide_promotion",
    "app::model",
    "app::plan_files",
    "domain::evolve",
    "domain::under_way",
    "model::prepare_as",
    "projection::apply",
    "projection::file",
    "train::train",
];

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

/// The module of a file, below `src`.
fn module(name: &str) -> Option<&str> {
    name.strip_prefix("src/").and_then(|rest| rest.split(['/', '.']).next())
}

/// The modules that the lines of a file name, with the numbers of the lines. The engine is another
/// program: its `crate` is another one.
fn named<'t>(name: &str, text: &'t str) -> Vec<(usize, &'t str)> {
    let roots: &[&str] =
        if module(name) == Some("engine") { &["annals::"] } else { &["crate::", "annals::"] };
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !is_comment(line)) {
        for root in roots {
            let parts = line.split(root).skip(1);
            found.extend(parts.map(|rest| {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                (number, &rest[..end.unwrap_or(rest.len())])
            }));
        }
    }
    found
}

fn walls(name: &str, text: &str) -> Vec<String> {
    let Some(module) = module(name).filter(|module| !["lib", "main"].contains(module)) else {
        return vec![];
    };
    let Some((_, doors)) = DOORS.iter().find(|(from, _)| *from == module) else {
        return vec![format!("{name}: {module} is not among the modules (DOORS)")];
    };
    let is_wall = |to: &str| to != module && !doors.contains(&to);
    named(name, text)
        .into_iter()
        .filter(|(_, to)| is_wall(to) && to.starts_with(|c: char| c.is_lowercase()))
        .map(|(number, to)| format!("{name}:{number}: {module} may not see {to}"))
        .collect()
}

/// Doors that nobody goes through.
fn unused_doors(sources: &[(String, String)]) -> Vec<String> {
    let is_used = |from: &str, to: &str| {
        let mut files = sources.iter().filter(|(name, _)| module(name) == Some(from));
        files.any(|(name, text)| named(name, text).iter().any(|(_, found)| *found == to))
    };
    let doors = DOORS.iter().flat_map(|(from, all)| all.iter().map(move |to| (*from, *to)));
    let unused = doors.filter(|(from, to)| !is_used(from, to));
    unused.map(|(from, to)| format!("{from} no longer uses {to}: remove it from DOORS")).collect()
}

/// The code of a file, without its tests.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("")
}

/// Functions with the number of their lines, from `fn` to the brace in its column.
fn functions(text: &str) -> Vec<(&str, usize)> {
    let lines: Vec<&str> = code(text).lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let words = line.trim_start();
        let indent = &line[..line.len() - words.len()];
        let Some(rest) = words.split_once("fn ").filter(|(before, _)| {
            let mut before = before.split_whitespace();
            before.all(|word| word.starts_with("pub") || word == "const" || word == "unsafe")
        }) else {
            continue;
        };
        let name = rest.1.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("");
        let close = format!("{indent}}}");
        // A declaration in a trait has no body.
        let ends = |line: &&&str| {
            let at_indent = line.strip_prefix(indent);
            **line == close || at_indent.is_some_and(|l| l.starts_with(')') && l.ends_with(';'))
        };
        let length = if line.ends_with(['}', ';']) {
            1
        } else {
            lines[at..].iter().take_while(|line| !ends(line)).count() + 1
        };
        found.push((name, length));
    }
    found
}

fn long_functions(name: &str, text: &str) -> Vec<String> {
    if !name.starts_with("src/") || name.ends_with("/tests.rs") {
        return vec![];
    }
    let is_long = |(function, lines): &(&str, usize)| {
        let known = format!("{}::{function}", module(name).unwrap_or(""));
        *lines > FUNCTION_LINES_MAX && !LONG_FUNCTIONS.contains(&known.as_str())
    };
    let long = functions(text).into_iter().filter(is_long);
    long.map(|(function, lines)| {
        format!("{name}: {function} has {lines} lines, at most {FUNCTION_LINES_MAX}")
    })
    .collect()
}

fn logic_in_mod(name: &str, text: &str) -> Vec<String> {
    let is_mod = name.starts_with("src/") && name.ends_with("/mod.rs");
    if !is_mod || functions(text).is_empty() {
        return vec![];
    }
    vec![format!("{name}: functions belong into a file with a name, `mod.rs` only declares")]
}

/// Exceptions of the list that are none any more.
fn mended(sources: &[(String, String)]) -> Vec<String> {
    let is_long = |known: &&&str| {
        let (from, function) = known.split_once("::").unwrap();
        let mut files = sources.iter().filter(|(name, _)| module(name) == Some(from));
        files.any(|(_, text)| {
            let mut all = functions(text).into_iter();
            all.any(|(name, lines)| name == function && lines > FUNCTION_LINES_MAX)
        })
    };
    let short = LONG_FUNCTIONS.iter().filter(|name| !is_long(name));
    short.map(|name| format!("{name} is no exception any more: remove it")).collect()
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
    let lines = code(text).lines().count();
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
    "src/effect/check.rs",
    "src/effect/swap_dir.rs",
    "src/effect/relocate.rs",
    "src/app/workspace/redact/files.rs",
    // The folders of the layout, which `Layout::of` checks.
    "src/app/runs/train/attempt.rs",
    "src/cli/policy.rs",
];

/// A path that a file or an event names is joined to the workspace by `base::confine` alone.
fn joined(name: &str, text: &str) -> Vec<String> {
    if !name.starts_with("src/") || JOINS.contains(&name) || name.ends_with("/tests.rs") {
        return vec![];
    }
    let mut found = Vec::new();
    for (number, line) in (1..).zip(code(text).lines()).filter(|(_, line)| !is_comment(line)) {
        let mut joins = line.split("root.join(").skip(1);
        // Names that are written in the code are annals' own.
        let own = |what: &str| {
            what.starts_with(|c: char| c == '"' || c.is_ascii_uppercase())
                || what.starts_with("format!(\".")
        };
        if joins.any(|what| !own(what)) {
            found.push(format!("{name}:{number}: a path is used unchecked (Workspace::inside)"));
        }
    }
    found
}

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
    let mut found = Vec::new();
    for (number, line) in (1..).zip(code(text).lines()).filter(|(_, line)| !is_comment(line)) {
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
            found.push(format!("{name}:{number}: {payload} is made (a decider makes events)"));
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
    let sources = sources();
    for (name, text) in &sources {
        if name != "tests/tidy/main.rs" {
            found.extend(decided(name, text, &payloads));
            found.extend(walls(name, text));
            found.extend(reasons(name, text));
            found.extend(joined(name, text));
        }
        found.extend(sizes(name, text));
        found.extend(banned(name, text));
        found.extend(headed(name, text));
        found.extend(long_functions(name, text));
        found.extend(logic_in_mod(name, text));
    }
    found.extend(unused_doors(&sources));
    found.extend(mended(&sources));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Who names purposes of moves: the domain, the list, those who make plans, and what moves files.
const NAMES_PURPOSES: &[&str] = &[
    "src/domain/",
    "src/app/moves/list.rs",
    "src/app/models/production.rs",
    "src/app/models/promote.rs",
    "src/app/models/repair.rs",
    "src/app/runs/archive.rs",
    "src/app/runs/consolidate/apply.rs",
    "src/app/workspace/migrate.rs",
    "src/effect/check.rs",
    "src/effect/relocate.rs",
    "src/projection/moves.rs",
];

#[test]
fn a_purpose_of_a_move_is_a_file_and_a_line_of_the_list() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let event = read("src/domain/file_move/event.rs");
    let (_, variants) = event.split_once("pub enum MovePurpose {").unwrap();
    let (variants, _) = variants.split_once("\n}").unwrap();
    let is_variant =
        |line: &&str| line.starts_with("    ") && line.as_bytes()[4].is_ascii_uppercase();
    let variants: Vec<&str> = variants
        .lines()
        .filter(is_variant)
        .map(|line| line.trim().split([' ', '(', ',']).next().unwrap())
        .collect();
    let list = read("src/app/moves/list.rs");
    for name in &variants {
        assert!(list.contains(&format!("MovePurpose::{name}")), "{name} is not in the list");
        let file = format!("src/app/moves/purposes/{}.rs", name.to_lowercase());
        assert!(root().join(&file).is_file(), "{name} has no {file}");
    }
    let files = fs::read_dir(root().join("src/app/moves/purposes")).unwrap().count();
    assert_eq!(files, variants.len() + 1, "a file for each purpose, and mod.rs");
    for (name, text) in sources() {
        let may =
            name.ends_with("/tests.rs") || NAMES_PURPOSES.iter().any(|at| name.starts_with(at));
        let names = name.starts_with("src/") && text.contains("MovePurpose::");
        assert!(may || !names, "{name} names a purpose: it belongs to app/moves/purposes");
    }
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
    assert_eq!(walls("src/engine/x.rs", "use annals::app::Workspace;").len(), 1);
    assert!(walls("src/domain/x.rs", "// crate::store\nuse crate::base::Digest;").is_empty());
    assert_eq!(walls("src/cli/x.rs", "let x = crate::store::open(crate::base::X);").len(), 1);
    assert_eq!(walls("src/sdk/x.rs", "use crate::cli::command;").len(), 1);
    assert_eq!(walls("src/app/x.rs", "use crate::sdk::caller;").len(), 1);
    assert_eq!(walls("src/novel/x.rs", "").len(), 1);
    assert_eq!(unused_doors(&[]).len(), DOORS.iter().map(|(_, doors)| doors.len()).sum::<usize>());
    let body = |lines: usize| "        x;\n".repeat(lines);
    let function = |lines: usize| format!("    fn long() {{\n{}    }}\n", body(lines));
    assert!(long_functions("src/x.rs", &function(68)).is_empty());
    assert_eq!(long_functions("src/x.rs", &function(69)).len(), 1);
    let declared = format!("    fn x(\n        a: A,\n    );\n{}", function(68));
    assert!(long_functions("src/x.rs", &declared).is_empty());
    let calls = format!("fn x() {{\n{}}}\n", "    y();\n".repeat(69));
    assert_eq!(long_functions("src/x.rs", &calls).len(), 1);
    assert_eq!(logic_in_mod("src/x/mod.rs", "mod a;\npub fn f() {}\n").len(), 1);
    assert!(logic_in_mod("src/x/mod.rs", "mod a;\npub use a::A;\n").is_empty());
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
