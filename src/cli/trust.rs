//! `annals trust`.

use super::consent::{Confirmed, Consent, DryRun};
use super::context::Context;
use super::ui::{Table, Ui};
use crate::app::{Error, ErrorKind, LogTrustShown, Result, TrustState, workspace};
use crate::base::counted;

/// Pin the key of a workspace that somebody sent, so that verbs may change it
///
/// Until then a workspace from a stranger is only read. The pin is stored in your configuration
/// folder; nothing in the workspace is changed. Workspaces that you made, or for which you have a
/// private key, need no pin.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals trust
  annals trust --key 'annals/hate/1+ed25519+AAAA'
  annals trust --list")]
pub(super) struct Args {
    /// The key that the log must have begun with, instead of a question; whoever began it sees it
    /// with `annals trust`
    #[arg(long, conflicts_with_all = ["list", "forget"])]
    key: Option<String>,
    /// List the logs whose keys are pinned
    #[arg(long, conflicts_with = "forget")]
    list: bool,
    /// Remove the pin of this workspace's log
    #[arg(long)]
    forget: bool,
    #[command(flatten)]
    mode: DryRun,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    if args.list {
        return list(context);
    }
    let found = context.any_workspace()?.with_dry_run(args.mode.dry_run);
    if args.forget {
        let forgotten = workspace::forget_log(&found)?;
        let verb = if args.mode.dry_run { "would be removed" } else { "is removed" };
        let text = format!("The pin of {} {verb}: {}", forgotten.origin, forgotten.key);
        return context.ui.data(&vec![forgotten], |ui| ui.line(&text));
    }
    let shown = workspace::log_trust(&found)?;
    if args.mode.dry_run && args.key.is_none() {
        return context.ui.data(&shown, |ui| print(ui, &shown));
    }
    if args.key.is_none() && shown.trust == TrustState::Stranger {
        confirm(&shown, context)?;
    }
    let pinned = workspace::trust_log(&found, args.key.as_deref())?;
    context.ui.data(&pinned, |ui| print(ui, &pinned))?;
    if shown.trust == TrustState::Stranger && !args.mode.dry_run {
        context.ui.note(&format!(
            "Its key is pinned. Next: `annals verify --key '{}'` checks the signatures with it.",
            pinned.key
        ));
    }
    Ok(())
}

/// Shows what would be pinned and asks.
fn confirm(shown: &LogTrustShown, context: &Context) -> Result<()> {
    for (name, value) in facts(shown) {
        context.ui.notice(&format!("{name:<12} {value}"));
    }
    let action = format!("trust this log, which {} began with this key", shown.began_by);
    if (Consent { yes: false }).ask(&action)? == Confirmed::NoTerminal {
        let message = "without a terminal `annals trust` needs the key that the log began with";
        return Err(Error::new(ErrorKind::Usage, message).hint(
            "get the key from whoever began the log and name it: `annals trust --key KEY`; the \
             copy in the workspace proves nothing",
        ));
    }
    Ok(())
}

fn facts(shown: &LogTrustShown) -> [(&'static str, String); 6] {
    let trust = match shown.trust {
        TrustState::Pinned => "trusted: its key is pinned".to_owned(),
        TrustState::OwnKey => "trusted: a private key of it is in your configuration folder".into(),
        TrustState::Stranger => "not trusted: its key is not pinned".into(),
        TrustState::Replaced => {
            format!("not trusted: pinned is {}", shown.pinned.as_deref().unwrap_or_default())
        }
    };
    let events = counted(shown.events, "event");
    [
        ("origin", shown.origin.clone()),
        ("begun by", format!("{} ({})", shown.began_by, shown.began.human())),
        ("key", shown.key.clone()),
        ("fingerprint", shown.fingerprint.to_string()),
        ("events", events),
        ("state", trust),
    ]
}

fn print(ui: &mut Ui, shown: &LogTrustShown) -> Result<()> {
    facts(shown).iter().try_for_each(|(name, value)| ui.fact(name, value))
}

fn list(context: &mut Context) -> Result<()> {
    let logs = workspace::trusted_logs(&context.dirs()?)?;
    context.ui.data(&logs, |ui| {
        let mut table = Table::new(&["log", "key"]);
        for log in &logs {
            table.row([&log.origin, &log.key]);
        }
        ui.table(&table)
    })
}
