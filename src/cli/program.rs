//! The program: parse the words, call the verb, print what failed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use clap::{ArgAction, ArgMatches, Args as _, CommandFactory as _, FromArgMatches as _, Parser};

use super::context::Context;
use super::format::Format;
use super::verbs::{self, Verb};
use super::{format, groups, usage};
use crate::app::{Error, ErrorKind, Workspace, serve_guard, serve_own_engine};

/// The heading of the options that every verb has.
pub(super) const GLOBAL: &str = "Global options";

/// Experiment tracker, model registry and trainer with a tamper-evident record of every change
#[derive(Debug, Parser)]
#[command(name = "annals", version, max_term_width = 100, after_help = AFTER_HELP)]
#[command(disable_help_flag = true, disable_version_flag = true)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) global: GlobalArgs,
    #[command(subcommand)]
    verb: Verb,
}

// No doc comment: it would become that of the program.
#[derive(Debug, clap::Args)]
pub(super) struct GlobalArgs {
    /// How to print the answer: human, json, jsonl; csv, markdown, parquet, sarif where a verb
    /// lists them
    #[arg(long, global = true, value_enum, default_value_t = Format::Human, help_heading = GLOBAL)]
    #[arg(hide_possible_values = true)]
    pub(super) format: Format,
    /// Run as if started in this folder
    #[arg(long, short = 'C', global = true, value_name = "DIR", help_heading = GLOBAL)]
    pub(super) directory: Option<std::path::PathBuf>,
    /// Print no notes and no progress; warnings and errors are still printed
    #[arg(long, short, global = true, help_heading = GLOBAL)]
    pub(super) quiet: bool,
    /// Print help
    #[arg(long, short, global = true, action = ArgAction::Help, help_heading = GLOBAL)]
    pub(super) help: Option<bool>,
    /// Print the version
    #[arg(long, short = 'V', action = ArgAction::Version, help_heading = GLOBAL)]
    pub(super) version: Option<bool>,
}

const AFTER_HELP: &str = "\
Environment:
  ANNALS_ACTOR  The name under which changes are recorded (default: the user name)
  ANNALS_HOST   The name of this machine in the record (default: its host name)
  NO_COLOR      Print without colors

Exit codes:
  0 success, 2 usage, 3 data, 4 not found, 5 refused by a rule, 6 conflict, 7 system,
  8 training failed, 9 findings, 10 record damaged, 70 bug, 130 interrupted

Examples:
  annals init && annals train --config tfidf_logreg --data tweets.csv --name hate
  annals list --status finished --sort f1_macro
  annals why hate_v1";

/// The command line as it is parsed and shown.
pub fn command() -> clap::Command {
    let command = groups::with_groups(Args::command());
    format::with_formats(command, "")
}

/// The words of the verb that was called, such as `consolidate report`.
fn path(matches: &ArgMatches) -> String {
    let mut words = Vec::new();
    let mut matches = matches;
    while let Some((name, below)) = matches.subcommand() {
        words.push(name);
        matches = below;
    }
    words.join(" ")
}

fn parsed(command: clap::Command) -> Result<(Args, String), clap::Error> {
    let matches = command.try_get_matches()?;
    Ok((Args::from_arg_matches(&matches)?, path(&matches)))
}

/// The words parsed without what only help and errors need, and without the other verbs; none
/// where that does not succeed, for whatever reason.
fn quickly_parsed() -> Option<(Args, String)> {
    let words = std::env::args_os().skip(1).filter_map(|word| word.into_string().ok());
    let bare = || {
        let command = clap::Command::new("annals").version(env!("CARGO_PKG_VERSION"));
        command.disable_help_flag(true).disable_version_flag(true)
    };
    // The command wants words that stay, and there is one of it in a program.
    let command = |word: String| verbs::with_verb(bare(), word.leak());
    let command = words.filter(|word| !word.starts_with('-')).find_map(command)?;
    let command = GlobalArgs::augment_args(command).subcommand_required(true);
    let (args, path) = parsed(command).ok()?;
    format::check(&path, args.global.format).is_ok().then_some((args, path))
}

/// The whole program.
pub fn main() -> ExitCode {
    let parsed = match quickly_parsed() {
        Some(parsed) => Ok(parsed),
        None => parsed(command()),
    };
    let (args, path) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return usage::fail(&error),
    };
    if matches!(args.verb, Verb::Engine) {
        return ExitCode::from(u8::from(!serve_own_engine()));
    }
    if matches!(args.verb, Verb::Guard) {
        serve_guard();
        return ExitCode::SUCCESS;
    }
    let mut context =
        Context::new(args.global.format, args.global.quiet, args.global.directory.as_deref());
    if let Err(error) = format::check(&path, args.global.format) {
        return context.ui.fail(&error);
    }
    // A panic is said like any other error, once, by whoever catches it.
    let place = Arc::new(Mutex::new(String::new()));
    let told = Arc::clone(&place);
    std::panic::set_hook(Box::new(move |panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        *told.lock().unwrap_or_else(PoisonError::into_inner) = location;
    }));
    let ran = catch_unwind(AssertUnwindSafe(|| verbs::run(args.verb, &mut context)));
    context.warnings.take().iter().for_each(|warning| context.ui.warn(warning));
    match ran {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => context.ui.fail(&error),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panic");
            // Not held: looking for damage may panic again, and be told.
            let place = place.lock().unwrap_or_else(PoisonError::into_inner).clone();
            context.ui.fail(&panicked(context.any_workspace(), said, &place))
        }
    }
}

/// What to say of a panic: damaged views end in one, as redb trusts its pages.
fn panicked(workspace: crate::app::Result<Workspace>, said: &str, place: &str) -> Error {
    if workspace.is_ok_and(|workspace| workspace.drop_damaged_views()) {
        let message = "the views in .annals/views.redb were damaged and have been removed";
        return Error::new(ErrorKind::Io, message)
            .hint("run the command again: the views are rebuilt from the log; no data was lost");
    }
    Error::new(ErrorKind::Bug, format!("{said} ({place})")).hint(
        "either the log is damaged (`annals verify` checks it) or this is a bug in annals; \
         everything that was acknowledged is in the log",
    )
}
