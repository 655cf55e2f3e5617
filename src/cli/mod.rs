//! The command line: one file per verb, each an argument struct whose comments are its help, and
//! one function that calls one use case and prints the answer.
//!
//! May use: `base`, the types of `domain`, `app` and its answers, and of `sdk` the reading of the
//! environment. Must never see: everything else.
//!
//! Data goes to stdout, everything else to stderr. To add a verb: a file, a line in `Verb` and
//! one in `run`. Start reading in `list.rs`.

mod actor;
mod archive;
mod audit;
mod candidates;
mod checkpoint;
mod cleanup;
mod compare;
mod completions;
mod consent;
mod consolidate;
mod consolidation;
mod context;
mod data_args;
mod diff;
mod doctor;
mod edit;
mod ensemble;
mod error;
mod export;
mod format;
mod gc;
mod groups;
mod init;
mod layout;
mod list;
mod log;
mod models;
mod out;
mod plot;
mod policy;
mod predict;
mod predict_out;
mod production;
mod promote;
mod prove;
mod query;
mod read_args;
mod records;
mod redact;
mod repair;
mod replay;
mod report;
mod reporter;
mod reproduce;
mod run;
mod show;
mod snapshot;
mod status;
mod train;
mod train_plan;
mod ui;
mod undo;
mod usage;
mod verify;
mod why;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use clap::{ArgAction, ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::app::{Error, ErrorKind, Workspace, serve_guard, serve_own_engine};
use context::Context;
use format::Format;

/// The heading of the options that every verb has.
const GLOBAL: &str = "Global options";

/// Experiment tracker, model registry and trainer with a tamper-evident record of every change
#[derive(Debug, Parser)]
#[command(name = "annals", version, max_term_width = 100, after_help = AFTER_HELP)]
#[command(disable_help_flag = true, disable_version_flag = true)]
struct Args {
    /// How to print the answer: human, json, jsonl; csv, markdown, parquet, sarif where a verb
    /// lists them
    #[arg(long, global = true, value_enum, default_value_t = Format::Human, help_heading = GLOBAL)]
    #[arg(hide_possible_values = true)]
    format: Format,
    /// Run as if started in this folder
    #[arg(long, short = 'C', global = true, value_name = "DIR", help_heading = GLOBAL)]
    directory: Option<std::path::PathBuf>,
    /// Print no notes and no progress; warnings and errors are still printed
    #[arg(long, short, global = true, help_heading = GLOBAL)]
    quiet: bool,
    /// Print help
    #[arg(long, short, global = true, action = ArgAction::Help, help_heading = GLOBAL)]
    help: Option<bool>,
    /// Print the version
    #[arg(long, short = 'V', action = ArgAction::Version, help_heading = GLOBAL)]
    version: Option<bool>,
    #[command(subcommand)]
    verb: Verb,
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

const UNPIN_EXAMPLES: &str = "\
Examples:
  annals unpin hate --reason 'the paper is published'
  annals unpin hate --dry-run";

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

#[derive(Debug, Subcommand)]
enum Verb {
    Init(init::Args),
    Train(Box<train::Args>),
    Reproduce(reproduce::Args),
    Run(Box<run::Args>),
    #[command(alias = "ls")]
    List(list::Args),
    #[command(alias = "details")]
    Show(show::Args),
    Status(status::Args),
    Best(candidates::BestArgs),
    Candidates(candidates::Args),
    Compare(compare::Args),
    Plot(plot::Args),
    Clinical(report::ClinicalArgs),
    Report(report::Args),
    Models(models::Args),
    Promote(promote::Args),
    Approve(promote::ApproveArgs),
    Reject(promote::RejectArgs),
    Demote(production::DemoteArgs),
    Rollback(production::RollbackArgs),
    Repair(repair::Args),
    Alias(production::AliasArgs),
    Version(production::VersionArgs),
    Actor(actor::Args),
    Policy(policy::Args),
    Classify(edit::ClassifyArgs),
    Tag(edit::TagArgs),
    Note(edit::NoteArgs),
    Pin(edit::PinArgs),
    /// Let the retention rules apply to a run again
    #[command(after_help = UNPIN_EXAMPLES)]
    Unpin(edit::PinArgs),
    Rename(edit::RenameArgs),
    Archive(archive::Args),
    Restore(archive::RestoreArgs),
    Cleanup(cleanup::Args),
    Consolidate(consolidate::Args),
    Layout(layout::Args),
    Gc(gc::Args),
    Redact(redact::Args),
    Snapshot(snapshot::Args),
    Undo(undo::Args),
    Ensemble(ensemble::Args),
    Predict(predict::Args),
    Log(log::Args),
    Why(why::Args),
    Diff(diff::Args),
    Audit(audit::Args),
    Query(query::Args),
    Export(export::Args),
    Replay(replay::Args),
    Verify(verify::Args),
    Prove(prove::Args),
    VerifyBundle(why::BundleArgs),
    Checkpoint(checkpoint::Args),
    Doctor(doctor::Args),
    Completions(completions::Args),
    /// Trains models in plain Rust as the child of `annals train`
    #[command(hide = true)]
    Engine,
    /// Ends a supervised command when `annals run exec` is gone
    #[command(hide = true)]
    Guard,
}

/// The whole program.
pub fn main() -> ExitCode {
    let parse = |command: clap::Command| {
        let matches = command.try_get_matches()?;
        Ok::<_, clap::Error>((Args::from_arg_matches(&matches)?, path(&matches)))
    };
    // What only help and errors need takes longer than the rest of parsing.
    let parsed = match parse(Args::command()) {
        Ok((args, path)) if format::check(&path, args.format).is_ok() => Ok((args, path)),
        _ => parse(command()),
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
    let mut context = Context::new(args.format, args.quiet, args.directory.as_deref());
    if let Err(error) = format::check(&path, args.format) {
        return context.ui.fail(&error);
    }
    // A panic is said like any other error, once, by whoever catches it.
    let place = Arc::new(Mutex::new(String::new()));
    let told = Arc::clone(&place);
    std::panic::set_hook(Box::new(move |panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        *told.lock().unwrap_or_else(PoisonError::into_inner) = location;
    }));
    let ran = catch_unwind(AssertUnwindSafe(|| run(args.verb, &mut context)));
    context.warnings.take().iter().for_each(|warning| context.ui.warn(warning));
    match ran {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => context.ui.fail(&error),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panic");
            // Not held: looking for damage may panic again, and be told.
            let place = place.lock().unwrap_or_else(PoisonError::into_inner).clone();
            context.ui.fail(&panicked(context.workspace(), said, &place))
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

fn run(verb: Verb, context: &mut Context) -> crate::app::Result<()> {
    match verb {
        Verb::Init(args) => init::run(args, context),
        Verb::Train(args) => train::run(*args, context),
        Verb::Reproduce(args) => reproduce::run(args, context),
        Verb::Run(args) => run::run(*args, context),
        Verb::List(args) => list::run(&args, context),
        Verb::Show(args) => show::run(&args, context),
        Verb::Status(args) => status::run(&args, context),
        Verb::Best(args) => candidates::run_best(&args, context),
        Verb::Candidates(args) => candidates::run(&args, context),
        Verb::Compare(args) => compare::run(&args, context),
        Verb::Plot(args) => plot::run(&args, context),
        Verb::Clinical(args) => report::run_clinical(&args, context),
        Verb::Report(args) => report::run(&args, context),
        Verb::Models(args) => models::run(&args, context),
        Verb::Promote(args) => promote::run(args, context),
        Verb::Approve(args) => promote::run_approve(args, context),
        Verb::Reject(args) => promote::run_reject(args, context),
        Verb::Demote(args) => production::run_demote(&args, context),
        Verb::Rollback(args) => production::run_rollback(&args, context),
        Verb::Repair(args) => repair::run(&args, context),
        Verb::Alias(args) => production::run_alias(args, context),
        Verb::Version(args) => production::run_version(args, context),
        Verb::Actor(args) => actor::run(args, context),
        Verb::Policy(args) => policy::run(args, context),
        Verb::Classify(args) => edit::run_classify(&args, context),
        Verb::Tag(args) => edit::run_tag(&args, context),
        Verb::Note(args) => edit::run_note(args, context),
        Verb::Pin(args) => edit::run_pin(args, context),
        Verb::Unpin(args) => edit::run_unpin(args, context),
        Verb::Rename(args) => edit::run_rename(args, context),
        Verb::Archive(args) => archive::run(args, context),
        Verb::Restore(args) => archive::run_restore(args, context),
        Verb::Cleanup(args) => cleanup::run(&args, context),
        Verb::Consolidate(args) => consolidate::run(&args, context),
        Verb::Layout(args) => layout::run(&args, context),
        Verb::Gc(args) => gc::run(&args, context),
        Verb::Redact(args) => redact::run(&args, context),
        Verb::Snapshot(args) => snapshot::run(args, context),
        Verb::Undo(args) => undo::run(&args, context),
        Verb::Ensemble(args) => ensemble::run(args, context),
        Verb::Predict(args) => predict::run(&args, context),
        Verb::Log(args) => log::run(&args, context),
        Verb::Why(args) => why::run(&args, context),
        Verb::Diff(args) => diff::run(&args, context),
        Verb::Audit(args) => audit::run(&args, context),
        Verb::Query(args) => query::run(&args, context),
        Verb::Export(args) => export::run(&args, context),
        Verb::Replay(args) => replay::run(&args, context),
        Verb::Verify(args) => verify::run(&args, context),
        Verb::Prove(args) => prove::run(&args, context),
        Verb::VerifyBundle(args) => why::run_bundle(&args, context),
        Verb::Checkpoint(args) => checkpoint::run(&args, context),
        Verb::Doctor(args) => doctor::run(&args, context),
        Verb::Completions(args) => completions::run(&args, context),
        Verb::Engine | Verb::Guard => Ok(()),
    }
}
