//! The help of the whole program: the verbs in groups, and what holds for all of them.

use std::fmt::Write as _;

use clap::Command;

use super::GLOBAL;

/// The groups of verbs, in the order of the help.
pub(super) const GROUPS: &[(&str, &[&str])] = &[
    ("Train and track", &["train", "reproduce", "run", "ensemble", "predict"]),
    (
        "Models",
        &[
            "models",
            "candidates",
            "promote",
            "approve",
            "reject",
            "demote",
            "rollback",
            "repair",
            "alias",
            "version",
        ],
    ),
    (
        "Compare and report",
        &["list", "show", "status", "best", "compare", "plot", "clinical", "report"],
    ),
    (
        "Audit the record",
        &[
            "log",
            "why",
            "diff",
            "audit",
            "query",
            "export",
            "verify",
            "prove",
            "verify-bundle",
            "checkpoint",
        ],
    ),
    (
        "Files and workspace",
        &[
            "classify",
            "tag",
            "note",
            "pin",
            "unpin",
            "rename",
            "archive",
            "restore",
            "cleanup",
            "consolidate",
            "layout",
            "gc",
            "redact",
            "snapshot",
            "undo",
            "replay",
        ],
    ),
    ("Setup", &["init", "trust", "actor", "policy", "doctor", "completions", "help"]),
];

/// The verbs of the program by group, each with one line of help.
pub(super) fn with_groups(command: Command) -> Command {
    let width = command.get_subcommands().map(|verb| verb.get_name().len()).max().unwrap_or(0);
    let mut verbs = String::new();
    for (heading, names) in GROUPS {
        let _ = writeln!(verbs, "{heading}:");
        for name in *names {
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let about = match (about, *name) {
                (Some(about), _) => about.to_string(),
                (None, "help") => "Print the help of a verb".to_owned(),
                (None, _) => continue,
            };
            let _ = writeln!(verbs, "  {name:<width$}  {about}");
        }
        verbs.push('\n');
    }
    command.help_template(format!(
        "{{about}}\n\n{{usage-heading}} {{usage}}\n\n{verbs}{GLOBAL}:\n{{options}}{{after-help}}"
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_verb_is_in_exactly_one_group() {
        let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, verbs)| *verbs).copied().collect();
        let distinct: BTreeSet<&str> = grouped.iter().copied().collect();
        assert_eq!(grouped.len(), distinct.len(), "a verb is in two groups");
        let command = crate::cli::command();
        let mut verbs: BTreeSet<&str> = command
            .get_subcommands()
            .filter(|verb| !verb.is_hide_set())
            .map(Command::get_name)
            .collect();
        verbs.insert("help");
        assert_eq!(distinct, verbs);
    }

    #[test]
    fn the_list_of_verbs_fits_100_columns() {
        let help = crate::cli::command().render_help().to_string();
        let long: Vec<&str> = help.lines().filter(|line| line.chars().count() > 100).collect();
        assert!(long.is_empty(), "{}", long.join("\n"));
    }

    /// Every verb and sub-verb with its path, the hidden ones left out.
    fn visit(command: &Command, path: &str, each: &mut dyn FnMut(&str, &Command)) {
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let path = format!("{path} {}", verb.get_name());
            each(&path, verb);
            visit(verb, &path, each);
        }
    }

    /// The commands of a line of examples as a shell splits them into words.
    fn commands(line: &str) -> Vec<Vec<String>> {
        let (mut commands, mut words) = (Vec::new(), Vec::new());
        let (mut word, mut quote, mut is_word) = (String::new(), None, false);
        for c in line.chars().chain([' ']) {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (None, '\'' | '"') => (quote, is_word) = (Some(c), true),
                (None, ' ') if is_word || !word.is_empty() => {
                    words.push(std::mem::take(&mut word));
                    is_word = false;
                }
                (None, ' ') => {}
                (_, c) => word.push(c),
            }
        }
        for words in words.split(|word| word == "&&" || word == "|") {
            let end = words.iter().position(|word| word == ">").unwrap_or(words.len());
            commands.push(words[..end].to_vec());
        }
        commands
    }

    #[test]
    fn every_verb_shows_two_or_three_examples_that_parse() {
        let command = crate::cli::command();
        let mut wrong = Vec::new();
        visit(&command, "annals", &mut |path, verb| {
            let text = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            let lines: Vec<&str> =
                text.lines().skip_while(|line| *line != "Examples:").skip(1).collect();
            if !(2..=3).contains(&lines.len()) {
                wrong.push(format!("{path}: {} examples", lines.len()));
            }
            for line in &lines {
                let own = line.trim_start().starts_with(path);
                if !own {
                    wrong.push(format!("{path}: another verb's example: {line}"));
                }
                for words in commands(line) {
                    if let Err(error) = crate::cli::command().try_get_matches_from(&words) {
                        wrong.push(format!("{path}: {line}: {error}"));
                    }
                }
            }
        });
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// Verbs that change nothing in a workspace, or whose plan has another name.
    const WITHOUT_DRY_RUN: &[&str] = &[
        // They read and print, or write a file that the user names.
        "alias list",
        "actor list",
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
        "export",
        "layout show",
        "list",
        "log",
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
        "verify",
        "verify-bundle",
        "version list",
        "why",
        // It compacts the file of the log, whose content stays the same.
        "doctor",
    ];

    #[test]
    fn every_verb_that_changes_something_has_a_dry_run() {
        let command = crate::cli::command();
        let mut without = Vec::new();
        visit(&command, "", &mut |path, verb| {
            let has = verb.get_arguments().any(|arg| {
                arg.get_long_and_visible_aliases().unwrap_or_default().contains(&"dry-run")
            });
            let is_group = verb.get_subcommands().next().is_some() && path != " log";
            if !has && !is_group {
                without.push(path.trim_start().to_owned());
            }
        });
        without.sort_unstable();
        let mut expected = WITHOUT_DRY_RUN.to_vec();
        expected.sort_unstable();
        assert_eq!(without, expected);
    }
}
