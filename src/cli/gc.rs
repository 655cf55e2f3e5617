//! `annals gc`.

use serde_json::json;

use super::context::Context;
use super::ui::{Table, size};
use crate::app::Result;
use crate::base::{are, counted};

/// Show, or remove, stored files that no run, model or other event needs any more
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Remove them; without it they are only shown
    #[arg(long)]
    apply: bool,
    /// Keep those that were stored less than this many minutes ago
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    min_age: u32,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    let app = context.app()?;
    let found = if args.apply {
        app.collect_garbage(args.min_age)?
    } else {
        app.plan_garbage(args.min_age)?
    };
    let bytes: u64 = found.garbage.iter().map(|garbage| garbage.bytes).sum();
    let value = json!({ "removed": args.apply, "bytes": bytes, "found": found });
    context.ui.data(&value, |ui| {
        let mut table = Table::new(&["blob", "size", "why"]);
        for garbage in &found.garbage {
            table.row([&garbage.digest.to_string(), &size(garbage.bytes), garbage.why]);
        }
        ui.table(&table)?;
        let (count, all) = (found.garbage.len(), counted(found.blobs, "blob"));
        let verb = if args.apply { "removed" } else { "not needed any more" };
        ui.note(&format!("{count} of {all} {} {verb} ({}).", are(&count), size(bytes)));
        if found.young > 0 {
            ui.note(&format!("{} more are younger than {} minutes.", found.young, args.min_age));
        }
        if !args.apply && count > 0 {
            ui.note("To remove them: annals gc --apply");
        }
        Ok(())
    })
}
