//! The whole help, as one picture.

use crate::support::Workspace;

const VERBS: &[&str] = &[
    "init",
    "train",
    "reproduce",
    "list",
    "show",
    "status",
    "best",
    "candidates",
    "models",
    "promote",
    "approve",
    "reject",
    "policy",
    "classify",
    "tag",
    "note",
    "pin",
    "unpin",
    "rename",
    "archive",
    "restore",
    "cleanup",
    "gc",
    "ensemble",
    "predict",
    "log",
    "why",
    "diff",
    "audit",
    "query",
    "export",
    "replay",
    "verify",
    "prove",
    "verify-bundle",
    "checkpoint",
    "doctor",
    "completions",
];

#[test]
fn the_whole_help() {
    let ward = Workspace::bare();
    let mut help = ward.annals(&["--help"]).ok().out;
    for verb in VERBS {
        help += &format!("\n=== annals {verb} --help\n{}", ward.annals(&[verb, "--help"]).ok().out);
    }
    insta::assert_snapshot!(help);
}

#[test]
fn completions_are_made_for_every_shell() {
    let ward = Workspace::bare();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(ward.annals(&["completions", shell]).ok().out.contains("annals"), "{shell}");
    }
}
