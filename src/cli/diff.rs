//! `annals diff`.

use clap::ValueEnum;

use super::context::Context;
use super::lens::LogFile;
use super::ui::{Ui, escape};
use crate::analysis::diff::Section;
use crate::app::{App, LogChange, Moment, Result};
use crate::base::Timestamp;

/// Show what changed in the record between two moments, and the command that did it: runs, models
/// in production, aliases, requests, policy, files, metrics. `annals snapshot diff` compares files
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The earlier moment: a time, or the state right after a position
    #[arg(long, value_name = "TIME|POSITION")]
    from: String,
    /// The later one; now where it is left out
    #[arg(long, value_name = "TIME|POSITION")]
    to: Option<String>,
    /// Only these kinds of things; may be given more than once
    #[arg(long, value_name = "WHAT")]
    only: Vec<Section>,
    #[command(flatten)]
    file: LogFile,
}

impl ValueEnum for Section {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.word()))
    }
}

/// Closer than this, recorded and occurred are the same moment for people.
const SAME_MOMENT_NS: u64 = 1_000_000_000;
/// So much of a value is shown.
const VALUE_MAX: usize = 40;

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    args.file.read(context, |app, context| show(args, app, context))
}

fn show(args: &Args, app: &App, context: &mut Context) -> Result<()> {
    let mut found = app.log_difference(&args.from, args.to.as_deref())?;
    if !args.only.is_empty() {
        found.changes.retain(|change| args.only.contains(&change.section));
    }
    context.ui.data(&found, |ui| {
        let events = found.to.size - found.from.size;
        let (from, to) = (moment(&found.from), moment(&found.to));
        ui.line(&format!("From {from} to {to}: {events} events."))?;
        let mut said = None;
        // The ends of intervals stand beside their values; programs get them.
        let plain = |change: &&LogChange| !change.field.contains(".ci_");
        for change in found.changes.iter().filter(plain) {
            if said != Some(change.invocation) {
                let words = change.command.as_deref();
                ui.line(&format!("\n{}", escape(words.unwrap_or("no command is known"))))?;
                said = Some(change.invocation);
            }
            print(ui, change)?;
        }
        if found.changes.is_empty() {
            ui.note("Nothing is different.");
        }
        Ok(())
    })
}

fn moment(moment: &Moment) -> String {
    let time = moment.recorded.map(Timestamp::human).unwrap_or_default();
    match moment.size.checked_sub(1) {
        Some(last) => format!("position {last} ({time})"),
        None => "the beginning".to_owned(),
    }
}

fn print(ui: &mut Ui, change: &LogChange) -> Result<()> {
    let value = |value: &Option<String>| {
        let text = value.as_deref().unwrap_or("-");
        let mut shown: String = text.chars().take(VALUE_MAX).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        shown
    };
    let mut line = format!(
        "{:>8}  {}  {} {} {}: {} -> {}",
        change.position,
        change.recorded.human(),
        change.section.word(),
        change.name,
        change.field,
        value(&change.before),
        value(&change.after)
    );
    if change.occurred.0.abs_diff(change.recorded.0) >= SAME_MOMENT_NS {
        line += &format!(" (occurred {})", change.occurred.human());
    }
    if !change.earlier.is_empty() {
        let earlier: Vec<String> = change.earlier.iter().map(ToString::to_string).collect();
        line += &format!(" (also changed at {})", earlier.join(", "));
    }
    ui.line(&escape(&line))
}
