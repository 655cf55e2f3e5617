//! `annals classify`, `tag`, `note`, `pin`, `unpin` and `rename`: what people say of a run.

use super::consent::DryRun;
use super::context::Context;
use super::train::CategoryArg;
use crate::app::{Error, ErrorKind, Result, Workspace, runs};
use crate::base::RunId;
use crate::base::mask::mask_text;
use crate::domain::run::{RunEdit, RunEvent};

/// Set the category of a run, or derive it again from its name and tags
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals classify hate --as baseline
  annals classify hate")]
pub(super) struct ClassifyArgs {
    /// The run: id, prefix or name
    run: String,
    /// The category; default: derived from the words of name and tags
    #[arg(long = "as", value_enum)]
    category: Option<CategoryArg>,
    #[command(flatten)]
    mode: DryRun,
}

/// Add tags to a run (+word) and remove some (-word)
///
/// Options are given before the run: `annals tag --format json night +slow`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals tag hate +ward-3 -debug
  annals tag --dry-run hate +ward-3")]
pub(super) struct TagArgs {
    /// The run: id, prefix or name
    run: String,
    /// +word adds, -word removes
    #[arg(required = true, allow_hyphen_values = true, value_name = "+TAG|-TAG")]
    changes: Vec<String>,
    #[command(flatten)]
    mode: DryRun,
}

/// Add a note to a run
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals note hate 'the learning rate was too high'
  annals note hate 'see issue 12' --dry-run")]
pub(super) struct NoteArgs {
    /// The run: id, prefix or name
    run: String,
    /// The note
    text: String,
    #[command(flatten)]
    mode: DryRun,
}

/// Exempt a run from the retention rules
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals pin hate --reason 'cited in the paper'
  annals pin hate --dry-run")]
pub(super) struct PinArgs {
    /// The run: id, prefix or name
    run: String,
    /// The reason, which is recorded
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    mode: DryRun,
}

/// Rename an experiment; its unique name, folder and id stay
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals rename hate hate-speech
  annals rename hate hate-speech --dry-run")]
pub(super) struct RenameArgs {
    /// The run: id, prefix or name
    run: String,
    /// The new name
    name: String,
    #[command(flatten)]
    mode: DryRun,
}

pub(super) fn run_classify(args: &ClassifyArgs, context: &mut Context) -> Result<()> {
    let command = RunEdit::Classify(args.category.map(Into::into));
    edit("classify", &args.run, command, args.mode, context)
}

pub(super) fn run_tag(args: &TagArgs, context: &mut Context) -> Result<()> {
    let (mut add, mut remove) = (Vec::new(), Vec::new());
    for change in &args.changes {
        match change.split_at_checked(1) {
            Some(("+", tag)) => add.push(tag.to_owned()),
            Some(("-", tag)) if !tag.starts_with('-') => remove.push(tag.to_owned()),
            _ => {
                let message = format!("{change:?} is neither +TAG nor -TAG");
                return Err(Error::new(ErrorKind::Usage, message)
                    .hint("options such as --format must come before the run"));
            }
        }
    }
    edit("tag", &args.run, RunEdit::Tag { add, remove }, args.mode, context)
}

pub(super) fn run_note(args: NoteArgs, context: &mut Context) -> Result<()> {
    warn_of_secrets("note", &args.text, context);
    edit("note", &args.run, RunEdit::Note(args.text), args.mode, context)
}

/// What people write is kept as they wrote it.
pub(super) fn warn_of_secrets(what: &str, text: &str, context: &Context) {
    if mask_text(text) != text {
        context.ui.warn(&format!(
            "the {what} seems to contain a secret, and the log keeps it: replace the secret where \
             it is used; `annals redact` takes the text out"
        ));
    }
}

pub(super) fn run_pin(args: PinArgs, context: &mut Context) -> Result<()> {
    edit("pin", &args.run, RunEdit::Pin { reason: args.reason }, args.mode, context)
}

pub(super) fn run_unpin(args: PinArgs, context: &mut Context) -> Result<()> {
    edit("unpin", &args.run, RunEdit::Unpin { reason: args.reason }, args.mode, context)
}

pub(super) fn run_rename(args: RenameArgs, context: &mut Context) -> Result<()> {
    edit("rename", &args.run, RunEdit::Rename(args.name), args.mode, context)
}

fn edit(
    verb: &'static str,
    run: &str,
    command: RunEdit,
    mode: DryRun,
    context: &mut Context,
) -> Result<()> {
    let workspace = context.changing(mode.dry_run)?;
    let run = workspace.find_run(&workspace.snapshot()?, run)?;
    edit_found(&workspace, verb, run, command, mode, context)
}

/// Edits a run, and prints what it is now.
pub(super) fn edit_found(
    workspace: &Workspace,
    verb: &'static str,
    run: RunId,
    command: RunEdit,
    mode: DryRun,
    context: &mut Context,
) -> Result<()> {
    let edited = runs::edit_run(workspace, verb, run, command)?;
    let state = &edited.run;
    context.ui.data(&edited.answer(mode.dry_run), |ui| {
        if edited.events.is_empty() {
            ui.note("Nothing changed: the run has this state already.");
        }
        for event in &edited.events {
            ui.line(&format!("{} {}", state.experiment_id, told(event)))?;
        }
        Ok(())
    })
}

/// One event of a run's life in words.
fn told(event: &RunEvent) -> String {
    let because = |reason: &Option<String>| {
        reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default()
    };
    match event {
        RunEvent::Classified(c) if c.matched.is_empty() => {
            format!("is a {} run ({})", c.category.word(), c.rule)
        }
        RunEvent::Classified(c) => {
            format!("is a {} run ({}: {})", c.category.word(), c.rule, c.matched.join(", "))
        }
        RunEvent::Tagged(tagged) => {
            let added = tagged.added.iter().map(|tag| format!("+{tag}"));
            let removed = tagged.removed.iter().map(|tag| format!("-{tag}"));
            format!("tags {}", added.chain(removed).collect::<Vec<_>>().join(" "))
        }
        RunEvent::Noted(_) => "has a new note".into(),
        RunEvent::Pinned(pinned) => format!("is pinned{}", because(&pinned.reason)),
        RunEvent::Unpinned(unpinned) => {
            format!("is no longer pinned{}", because(&unpinned.reason))
        }
        RunEvent::Renamed(renamed) => format!("is called {}, not {}", renamed.new, renamed.old),
        RunEvent::Shared(shared) if shared.allowed => {
            format!("is shared: {} may record facts of it", shared.person)
        }
        RunEvent::Shared(shared) => format!("is no longer shared with {}", shared.person),
        _ => "changed".into(),
    }
}
