//! `annals policy`.

use clap::Subcommand;

use super::consent::DryRun;
use super::context::Context;
use super::read_args::ReadScope;
use super::ui::Table;
use crate::app::{Error, ErrorKind, Result, Workspace, workspace};
use crate::base::durable;
use crate::domain::policy::{Policy, PolicyChange};

/// Show or change the rules
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals policy show
  annals policy set production_promotion.approvals 2 --reason 'four eyes'
  annals policy history")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show every rule in force
    #[command(after_help = "\
Examples:
  annals policy show
  annals policy show --revision 1 --format json")]
    Show {
        /// Show this revision instead
        #[arg(long)]
        revision: Option<u64>,
        #[command(flatten)]
        scope: ReadScope,
    },
    /// Change one rule; the change is recorded as an event
    #[command(after_help = "\
Examples:
  annals policy set production_promotion.approvals 2 --reason 'four eyes'
  annals policy set production_promotion.min_test_rows 300 --dry-run")]
    Set {
        /// The rule, such as production_promotion.approvals
        key: String,
        /// Its new value
        #[arg(allow_negative_numbers = true)]
        value: String,
        /// The reason, which is recorded
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        mode: DryRun,
    },
    /// Change rules in $VISUAL or $EDITOR; all changes are recorded as one event
    #[command(after_help = "\
Examples:
  annals policy edit --reason 'yearly review'
  annals policy edit --dry-run")]
    Edit {
        /// The reason, which is recorded
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        mode: DryRun,
    },
    /// Show who changed which rule when, and why
    #[command(after_help = "\
Examples:
  annals policy history
  annals policy history --format json")]
    History {
        #[command(flatten)]
        scope: ReadScope,
    },
    /// Show what differs between two revisions, by default the last two
    #[command(after_help = "\
Examples:
  annals policy diff
  annals policy diff 1 3")]
    Diff {
        /// The older revision
        from: Option<u64>,
        /// The newer revision; default: the revision in force
        to: Option<u64>,
        #[command(flatten)]
        scope: ReadScope,
    },
    /// Print the JSON schema of the policy
    #[command(after_help = "\
Examples:
  annals policy schema > policy.schema.json
  annals policy schema")]
    Schema,
}

pub(super) fn run(args: Args, context: &mut Context) -> Result<()> {
    if matches!(args.verb, Verb::Schema) {
        let schema = schemars::schema_for!(Policy);
        let text = serde_json::to_string_pretty(&schema).unwrap_or_default();
        return context.ui.line(&text);
    }
    match args.verb {
        Verb::Schema => Ok(()),
        Verb::Show { revision, scope } => {
            scope.read(context, |workspace, context| show(workspace, revision, context))
        }
        Verb::Set { key, value, reason, mode } => {
            let workspace = context.changing(mode.dry_run)?;
            let changes = workspace::set_policy(&workspace, &key, &value, reason)?;
            changed(&changes, context)
        }
        Verb::Edit { reason, mode } => edit(&context.changing(mode.dry_run)?, reason, context),
        Verb::History { scope } => scope.read(context, history),
        Verb::Diff { from, to, scope } => {
            scope.read(context, |workspace, context| diff(workspace, from, to, context))
        }
    }
}

fn show(workspace: &Workspace, revision: Option<u64>, context: &mut Context) -> Result<()> {
    let shown = workspace::policy(workspace, revision)?;
    context.ui.data(&shown, |ui| {
        let mut table = Table::new(&["rule", "value"]);
        for (key, value) in shown.policy.entries() {
            table.row(vec![key, value]);
        }
        ui.table(&table)?;
        ui.dim(&format!("Revision {}.", shown.revision));
        Ok(())
    })
}

fn diff(
    workspace: &Workspace,
    from: Option<u64>,
    to: Option<u64>,
    context: &mut Context,
) -> Result<()> {
    let found = workspace::policy_diff(workspace, from, to)?;
    context.ui.data(&found, |ui| {
        if found.changes.is_empty() {
            ui.note(&format!("Revisions {} and {} have the same rules.", found.from, found.to));
        }
        found.changes.iter().try_for_each(|change| ui.line(&told(change)))
    })
}

fn changed(changes: &Vec<PolicyChange>, context: &mut Context) -> Result<()> {
    context.ui.data(changes, |ui| {
        if changes.is_empty() {
            ui.note("Nothing changed: the rules have these values already.");
        }
        changes.iter().try_for_each(|change| ui.line(&told(change)))
    })
}

fn told(change: &PolicyChange) -> String {
    format!("{}: {} -> {}", change.key, change.old.as_deref().unwrap_or("-"), change.new)
}

/// The text stays on disk until it is the policy: an edit that is refused is not lost.
fn edit(workspace: &Workspace, reason: Option<String>, context: &mut Context) -> Result<()> {
    let shown = workspace::policy(workspace, None)?;
    let name = format!(".annals/policy-edit-{}.json", std::process::id());
    let path = workspace.root().join(&name);
    durable::write(&path, shown.text().as_bytes())
        .map_err(|e| Error::io(format!("write {name}"), e))?;
    let editor = context.editor();
    let ran = std::process::Command::new("sh")
        .args(["-c", &format!("{editor} \"$1\""), "sh"])
        .arg(&path)
        .status()
        .map_err(|e| Error::io(format!("start {editor}"), e))?;
    if !ran.success() {
        let message = format!("the editor ({editor}) ended with {ran}; nothing is changed");
        return Err(Error::new(ErrorKind::Interrupted, message)
            .hint(format!("what it wrote is kept in {name}")));
    }
    let text = std::fs::read_to_string(&path).map_err(|e| Error::io(format!("read {name}"), e))?;
    let changes = workspace::replace_policy(workspace, &text, shown.revision, reason)
        .map_err(|e| e.hint(format!("the edit is kept in {name}")))?;
    // The policy is in the log; a copy that stays is only litter.
    let _ = std::fs::remove_file(&path);
    changed(&changes, context)
}

fn history(workspace: &Workspace, context: &mut Context) -> Result<()> {
    let revisions = workspace::policy_history(workspace)?;
    context.ui.data(&revisions, |ui| {
        for revision in &revisions {
            let why = revision.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            ui.line(&format!(
                "revision {}  {}  {} ({}), event {}{why}",
                revision.revision,
                revision.recorded.human(),
                revision.actor,
                revision.identity,
                revision.position
            ))?;
            // The first revision names every rule; only what changed since is news.
            for change in revision.changes.iter().filter(|change| change.old.is_some()) {
                ui.line(&format!("    {}", told(change)))?;
            }
        }
        Ok(())
    })
}
