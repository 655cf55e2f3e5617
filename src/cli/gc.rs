//! `annals gc`.

use super::consent::{Confirmed, Consent, DryRun};
use super::context::Context;
use super::ui::{Table, size};
use crate::app::{Collected, Mode, Result, workspace};
use crate::base::{are, counted};

/// Delete stored files that no run, model or other event needs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals gc --dry-run
  annals gc --min-age 30d --yes")]
pub(super) struct Args {
    /// Keep files that were stored less than this long ago, such as 30d or "2 weeks"; a plain
    /// number counts minutes
    #[arg(long, value_name = "AGE", default_value = "60min")]
    min_age: String,
    /// The old spelling of --yes
    #[arg(long, hide = true)]
    apply: bool,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    mode: DryRun,
}

/// The minutes that an age stands for.
fn minutes(text: &str, context: &Context) -> Result<u32> {
    if let Ok(minutes) = text.parse() {
        return Ok(minutes);
    }
    // Before the age is read: a later instant would make it a little longer, and a minute more.
    let now = context.env.now();
    let start = context.time("--min-age", text)?.start;
    Ok((now.seconds_since(start) / 60.0).ceil().max(0.0) as u32)
}

/// Whether the files are deleted; `plan` is what would be.
fn confirmed(args: &Args, plan: &Collected, context: &Context) -> Result<bool> {
    if args.apply {
        context.ui.old_spelling("--apply", "--yes");
    }
    if args.mode.dry_run || plan.garbage.is_empty() {
        return Ok(!args.mode.dry_run);
    }
    let bytes: u64 = plan.garbage.iter().map(|garbage| garbage.bytes).sum();
    let action = format!("delete {} ({})", counted(plan.garbage.len(), "blob"), size(bytes));
    let consent = Consent { yes: args.consent.yes || args.apply };
    if consent.ask(&action)? == Confirmed::Yes {
        return Ok(true);
    }
    context.ui.warn(
        "nothing was deleted: without a terminal `annals gc` deletes only with --yes; --dry-run \
         prints the plan",
    );
    Ok(false)
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    let workspace = context.trusted_workspace()?;
    let min_age = minutes(&args.min_age, context)?;
    let collect = |mode| workspace::collect_garbage(&workspace, min_age, mode);
    let plan = collect(Mode::DryRun)?;
    let apply = confirmed(args, &plan, context)?;
    let found = if apply { collect(Mode::Apply)? } else { plan };
    let answer = found.answer(apply);
    context.ui.data(&answer, |ui| {
        let (found, bytes) = (&answer.found, answer.bytes);
        let mut table = Table::new(&["blob", "size", "reason"]);
        for garbage in &found.garbage {
            table.row([&garbage.digest.to_string(), &size(garbage.bytes), garbage.why]);
        }
        ui.table(&table)?;
        let (count, all) = (found.garbage.len(), counted(found.blobs, "blob"));
        let verb = if apply { "deleted" } else { "no longer needed" };
        ui.note(&format!("{count} of {all} {} {verb} ({}).", are(&count), size(bytes)));
        if found.young > 0 {
            let more = counted(found.young, "more blob");
            ui.note(&format!("{more} {} younger than {min_age} minutes.", are(&found.young)));
        }
        if !apply && count > 0 {
            ui.note("To delete them: annals gc --yes");
        }
        Ok(())
    })
}
