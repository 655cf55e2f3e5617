//! The verbs: a line of the list for each, and the function that it calls.

use super::context::Context;
use super::{
    actor, archive, audit, candidates, checkpoint, cleanup, compare, completions, consolidate,
    diff, doctor, edit, ensemble, export, gc, init, layout, list, log, models, plot, policy,
    predict, production, promote, prove, query, redact, repair, replay, report, reproduce, run,
    show, snapshot, status, train, trust, undo, verify, why,
};

use clap::{Command, Subcommand};

const UNPIN_EXAMPLES: &str = "\
Examples:
  annals unpin hate --reason 'the paper is published'
  annals unpin hate --dry-run";

macro_rules! verbs {
    ( $( $(#[$meta:meta])* $verb:ident($args:ty) ),+ $(,)? ) => {
        #[derive(Debug, Subcommand)]
        pub(super) enum Verb {
            $( $(#[$meta])* $verb($args), )+
            /// Trains models in plain Rust as the child of `annals train`
            #[command(hide = true)]
            Engine,
            /// Ends a supervised command when `annals run exec` is gone
            #[command(hide = true)]
            Guard,
        }

        /// The command with one verb only: making all of them takes longer than many a verb runs.
        /// None where no verb is called `name`, or where that is another name of one.
        pub(super) fn with_verb(command: Command, name: &'static str) -> Option<Command> {
            $( if is_name(name, stringify!($verb)) {
                let verb = Command::new(name);
                return Some(command.subcommand(<$args as clap::Args>::augment_args(verb)));
            } )+
            None
        }
    };
}

/// Whether a verb is called by its name: `verify-bundle` is that of `VerifyBundle`.
fn is_name(name: &str, verb: &str) -> bool {
    let mut letters = verb.chars().enumerate().flat_map(|(at, letter)| {
        let hyphen = (at > 0 && letter.is_ascii_uppercase()).then_some('-');
        hyphen.into_iter().chain([letter.to_ascii_lowercase()])
    });
    name.chars().all(|letter| letters.next() == Some(letter)) && letters.next().is_none()
}

verbs! {
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
    Trust(trust::Args),
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
}

/// Calls the verb.
pub(super) fn run(verb: Verb, context: &mut Context) -> crate::app::Result<()> {
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
        Verb::Trust(args) => trust::run(&args, context),
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
