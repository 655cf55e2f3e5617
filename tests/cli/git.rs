//! Git is read without running anything that a workspace's files name, and what annals generates
//! makes no tree dirty.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::Workspace;

/// Runs git as a user would: with everything that is configured.
fn git(ward: &Workspace, words: &[&str]) -> Output {
    let mut git = Command::new("git");
    git.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", ward.path("../home"));
    git.args(["-c", "user.name=mara", "-c", "user.email=mara@ward", "-c", "commit.gpgSign=false"]);
    git.args(["-c", "protocol.file.allow=always"]);
    git.current_dir(&ward.root).args(words).output().unwrap()
}

fn git_ok(ward: &Workspace, words: &[&str]) {
    let output = git(ward, words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A workspace in a committed tree with a submodule, and a program that leaves a trace.
fn with_trap() -> Workspace {
    let ward = Workspace::new();
    let sub = ward.path("../sub");
    fs::create_dir_all(&sub).unwrap();
    let at = sub.to_str().unwrap();
    for words in [&["init", "-q", at][..], &["-C", at, "commit", "--allow-empty", "-qm", "one"]] {
        git_ok(&ward, words);
    }
    fs::write(sub.join("inside.txt"), "one\n").unwrap();
    git_ok(&ward, &["-C", at, "add", "inside.txt"]);
    git_ok(&ward, &["-C", at, "commit", "-qm", "two"]);
    fs::create_dir_all(ward.path("src")).unwrap();
    fs::write(ward.path("src/code.txt"), "one\n").unwrap();
    fs::write(ward.path(".gitignore"), ".annals/\nexperiments/\nevil.sh\n").unwrap();
    git_ok(&ward, &["init", "-q"]);
    git_ok(&ward, &["config", "user.name", "mara"]);
    git_ok(&ward, &["config", "user.email", "mara@ward"]);
    git_ok(&ward, &["submodule", "--quiet", "add", at, "sub"]);
    git_ok(&ward, &["add", "-A"]);
    git_ok(&ward, &["commit", "-qm", "first"]);
    // It ends at once: one that waited for input would hang the plain git that tries the trap.
    let trap = format!("echo \"$0 $*\" >> {}", ward.path("../trace").display());
    script(&ward.path("evil.sh"), &trap);
    ward
}

fn trace(ward: &Workspace) -> Option<String> {
    fs::read_to_string(ward.path("../trace")).ok()
}

/// Where git looks for programs: name, file, its content with `EVIL` for the program, and what
/// makes git run it where that is a plain command.
const TRAPS: [(&str, &str, &str, &[&str]); 14] = [
    ("fsmonitor", ".git/config", "[core]\n fsmonitor = EVIL", &["status"]),
    ("clean", ".git/config", "[filter \"x\"]\n clean = EVIL", &["diff", "HEAD"]),
    ("process", ".git/config", "[filter \"x\"]\n process = EVIL\n required", &["diff", "HEAD"]),
    ("textconv", ".git/config", "[diff \"x\"]\n textconv = EVIL", &["diff", "HEAD"]),
    ("diff of a driver", ".git/config", "[diff \"x\"]\n command = EVIL", &["diff", "HEAD"]),
    ("external diff", ".git/config", "[diff]\n external = EVIL", &["diff", "HEAD"]),
    ("hooks", ".git/config", "[core]\n hooksPath = WARD/trap-hooks", &["tag", "-am", "x", "x"]),
    ("gpg", ".git/config", "[tag]\n gpgSign\n[gpg]\n program = EVIL", &["tag", "-am", "x", "x"]),
    (
        "pager",
        ".git/config",
        "[core]\n pager = EVIL\n[pager]\n status = EVIL\n diff = EVIL\n config = EVIL",
        &[],
    ),
    ("credentials", ".git/config", "[credential]\n helper = EVIL\n[core]\n askPass = EVIL", &[]),
    (
        "partial clone",
        ".git/config",
        "[core]\n repositoryformatversion = 1\n[extensions]\n partialClone = o\n\
         [remote \"o\"]\n url = ext::EVIL\n promisor\n[protocol]\n allow = always",
        &["cat-file", "-p", "0123456789012345678901234567890123456789"],
    ),
    ("an include", ".git/config", "[include]\n path = ../evil.inc", &["status"]),
    ("a submodule", ".git/modules/sub/config", "[core]\n fsmonitor = EVIL", &["status"]),
    (
        "an include of the user",
        "../home/.gitconfig",
        "[includeIf \"gitdir:**\"]\n path = WARD/evil.inc",
        &["status"],
    ),
];

#[test]
fn git_runs_nothing_that_a_workspace_names() {
    let ward = with_trap();
    let evil = ward.path("evil.sh").display().to_string();
    script(&ward.path("trap-hooks/reference-transaction"), &evil);
    script(&ward.path("trap-hooks/post-index-change"), &evil);
    fs::write(ward.path("evil.inc"), format!("[core]\n fsmonitor = {evil}\n")).unwrap();
    fs::write(ward.path(".gitattributes"), "*.txt filter=x diff=x\n").unwrap();
    ward.annals(&["policy", "set", "new_runs.require_clean_tree", "true"]).ok();
    let mut seeds = 1..;
    for (name, file, text, trigger) in TRAPS {
        let path = ward.path(file);
        let before = fs::read(&path).unwrap_or_default();
        let text = text.replace("EVIL", &evil).replace("WARD", ward.root.to_str().unwrap());
        fs::write(&path, [&before[..], b"\n", text.as_bytes(), b"\n"].concat()).unwrap();
        // Same size, other bytes, other times: git must read it.
        fs::write(ward.path("src/code.txt"), format!("{:03}\n", seeds.next().unwrap())).unwrap();
        fs::write(ward.path("sub/inside.txt"), "two\n").unwrap();
        if !trigger.is_empty() {
            git(&ward, trigger);
            assert!(trace(&ward).is_some(), "{name}: the trap does not work");
            fs::remove_file(ward.path("../trace")).unwrap();
            git(&ward, &["tag", "-d", "x"]);
            let _ = fs::remove_file(ward.path("../trace"));
        }
        let shown = ward.annals(&["snapshot", "create", "--format", "json"]).ok().json();
        let shown = shown["snapshot"].as_str().unwrap().to_owned();
        ward.annals(&["run", "start", "--name", "r"]).refused(5, "code.txt");
        ward.annals(&["checkpoint", "anchor", "git-tag"]).ok();
        assert_eq!(trace(&ward), None, "{name}: annals ran it");
        let manifest = ward.annals(&["snapshot", "show", &shown, "--format", "json"]).ok().json();
        assert_eq!(manifest["taken"]["dirty"], true, "{name}");
        fs::write(&path, before).unwrap();
    }
    let tags = git(&ward, &["tag", "--list", "annals-checkpoint-*"]).stdout;
    assert_eq!(String::from_utf8(tags).unwrap().lines().count(), TRAPS.len());
}

#[test]
fn a_toolchain_file_is_read_and_not_followed() {
    let ward = with_trap();
    script(&ward.path("evil/bin/rustc"), &ward.path("evil.sh").display().to_string());
    fs::write(ward.path("rust-toolchain.toml"), "[toolchain]\npath = \"./evil\"\n").unwrap();
    ward.annals(&["snapshot", "create"]).ok();
    let shown = ward.annals(&["snapshot", "show", "latest", "--format", "json"]).ok().json();
    assert!(shown["content"]["rust"].as_str().unwrap().contains("pinned by rust-toolchain.toml"));
    assert_eq!(trace(&ward), None);
}

/// What a run recorded about its code.
fn dirty(ward: &Workspace, name: &str) -> serde_json::Value {
    ward.annals(&["run", "start", "--name", name]).ok();
    let query = format!("select git_dirty from runs where name = '{name}'");
    ward.annals(&["query", &query, "--format", "json"]).ok().json()[0]["git_dirty"].clone()
}

#[test]
fn what_annals_generates_makes_no_tree_dirty() {
    for layout in ["consolidated", "training-output"] {
        let ward = Workspace::bare();
        ward.annals(&["init", "--layout", layout]).ok();
        ward.train("one", &[]).ok();
        ward.allow_synthetic();
        ward.annals(&["promote", "one", "--as", "one_v1"]).ok();
        fs::write(ward.path("code.txt"), "one\n").unwrap();
        git_ok(&ward, &["init", "-q"]);
        git_ok(&ward, &["add", "-A", "--force"]);
        git_ok(&ward, &["commit", "-qm", "everything, generated files too"]);
        assert_eq!(dirty(&ward, "clean"), 0, "{layout}");
        ward.train("two", &[]).ok();
        ward.annals(&["promote", "two", "--as", "two_v1"]).ok();
        fs::remove_file(ward.path("models_registry.json")).unwrap();
        assert_eq!(dirty(&ward, "still_clean"), 0, "{layout}");
        ward.annals(&["policy", "set", "new_runs.require_clean_tree", "true"]).ok();
        ward.annals(&["run", "start", "--name", "allowed"]).ok();
        fs::write(ward.path("code.txt"), "two\n").unwrap();
        ward.annals(&["run", "start", "--name", "refused"]).refused(5, "code.txt");
        ward.annals(&["policy", "set", "new_runs.require_clean_tree", "false"]).ok();
        assert_eq!(dirty(&ward, "changed"), 1, "{layout}");
    }
}

/// Where there is a git tree that cannot be read, a run says so, in a warning and in the record.
#[test]
fn a_run_without_a_readable_git_tree_warns_and_records_it() {
    let ward = Workspace::new();
    git_ok(&ward, &["init", "-q"]);
    let no_git = [("PATH", "/nonexistent")];
    let started = ["run", "start", "--name"];
    let note = "the commit and the changes of the code are not recorded: ";
    for (name, variables) in [("no_commit", &[][..]), ("no_git", &no_git)] {
        let answer = ward.annals_with(variables, &[&started[..], &[name]].concat()).ok();
        assert!(answer.err.contains(note), "{name}: {}", answer.err);
        let shown = ward.annals(&["show", name]).ok().out;
        assert!(shown.contains(note), "{name}: {shown}");
        assert!(shown.contains("git         not recorded: see the note"), "{name}: {shown}");
    }
    let args = ["train", "--config", "toy", "--sample-size", "300", "--name", "trained"];
    let answer = ward.annals_with(&no_git, &args).ok();
    assert!(answer.err.contains(note), "{}", answer.err);
    assert!(ward.annals(&["show", "trained"]).ok().out.contains(note));
    git_ok(&ward, &["add", "-A"]);
    git_ok(&ward, &["commit", "-qm", "one"]);
    let answer = ward.annals(&["run", "start", "--name", "known"]).ok();
    assert!(!answer.err.contains(note), "{}", answer.err);
    assert!(!ward.annals(&["show", "known"]).ok().out.contains("not recorded"));
    // No tree, nothing to record.
    let bare = Workspace::new();
    let answer = bare.annals_with(&no_git, &["run", "start", "--name", "r"]).ok();
    assert!(!answer.err.contains("not recorded"), "{}", answer.err);
}
