//! The whole help, as one picture.

use crate::support::Workspace;

/// Adds the help of `command` and of every verb below it that is not hidden.
fn help_of(ward: &Workspace, command: &clap::Command, path: &mut Vec<String>, help: &mut String) {
    let args: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    *help += &format!("=== annals {}\n{}\n", args.join(" "), ward.annals(&args).ok().out);
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        path.push(verb.get_name().to_owned());
        help_of(ward, verb, path, help);
        path.pop();
    }
}

#[test]
fn the_whole_help() {
    let ward = Workspace::bare();
    let mut help = String::new();
    help_of(&ward, &annals::cli::command(), &mut Vec::new(), &mut help);
    insta::assert_snapshot!(help);
}

#[test]
fn a_heading_is_of_the_flags_below_it_alone() {
    let ward = Workspace::bare();
    let help = ward.annals(&["train", "--help"]).ok().out;
    let mut data = help.lines().skip_while(|line| *line != "Data:").skip(1);
    let data: Vec<&str> =
        data.by_ref().take_while(|line| line.is_empty() || line.starts_with(' ')).collect();
    let data = data.join("\n");
    assert!(data.contains("--data") && data.contains("--drop-empty"), "{data}");
    for other in ["--seed", "--set ", "--device", "--repeat", "--category"] {
        assert!(!data.contains(other), "{other} is under Data");
    }
}

#[test]
fn completions_are_made_for_every_shell() {
    let ward = Workspace::bare();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(ward.annals(&["completions", shell]).ok().out.contains("annals"), "{shell}");
    }
}
