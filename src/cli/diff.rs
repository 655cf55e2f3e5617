//! `annals diff`.

use std::collections::BTreeMap;

use clap::ValueEnum;

use super::context::Context;
use super::read_args::LogFile;
use super::ui::{Ui, escape};
use crate::app::{LogChange, Moment, Result, Section, Workspace, records};
use crate::base::{Timestamp, counted};

/// Show what changed in the record between two points in time, and by which command
///
/// Runs, models in production, aliases, requests, policy, files and metrics. `annals snapshot diff`
/// compares files.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals diff --from '1 week'
  annals diff --from 2026-11-01 --to 2026-11-07 --only policy --only model")]
pub(super) struct Args {
    /// The earlier point: a date (its beginning), a time, an age such as 30d, or a log position
    #[arg(long, value_name = "TIME|AGO|POSITION")]
    from: String,
    /// The later point: a date (its end), a time, an age, or a log position; default: now
    #[arg(long, value_name = "TIME|POSITION")]
    to: Option<String>,
    /// Only changes of this kind; may be repeated
    #[arg(long, value_name = "WHAT")]
    only: Vec<Section>,
    /// Also list each metric and each file of runs that began in between
    #[arg(long)]
    all: bool,
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
    args.file.read(context, |workspace, context| show(args, workspace, context))
}

fn show(args: &Args, workspace: &Workspace, context: &mut Context) -> Result<()> {
    let mut found = records::log_difference(workspace, &args.from, args.to.as_deref())?;
    if !args.only.is_empty() {
        found.changes.retain(|change| args.only.contains(&change.section));
    }
    context.ui.data(&found, |ui| {
        let events = found.to.size - found.from.size;
        let (from, to) = (moment(&found.from), moment(&found.to));
        ui.line(&format!("From {from} to {to}: {}.", counted(events, "event")))?;
        if found.changes.is_empty() {
            ui.note("Nothing is different.");
            return Ok(());
        }
        for line in summary(&found.changes) {
            ui.line(&line)?;
        }
        // The ends of intervals are part of their values; programs get them.
        let plain = |change: &&LogChange| !change.field.contains(".ci_");
        let detailed = args.all || !args.only.is_empty();
        let (mut heading, mut left_out) = (None, 0_usize);
        for change in found.changes.iter().filter(plain) {
            if !detailed && is_detail(change) {
                left_out += 1;
                continue;
            }
            if heading != Some(change.invocation) {
                let words = change.command.as_deref();
                ui.line(&format!("\n{}", escape(words.unwrap_or("no command is known"))))?;
                heading = Some(change.invocation);
            }
            print(ui, change)?;
        }
        if left_out > 0 {
            ui.note(&format!(
                "{left_out} new metrics and files are not listed; --all lists them, --only metric \
                 only the metrics"
            ));
        }
        Ok(())
    })
}

/// Whether a change is one of the many that each new run brings.
fn is_detail(change: &LogChange) -> bool {
    matches!(change.section, Section::Metric | Section::File) && change.before.is_none()
}

/// How many things of each kind were added, removed and changed.
fn summary(changes: &[LogChange]) -> Vec<String> {
    let mut counts: BTreeMap<Section, BTreeMap<&str, [bool; 3]>> = BTreeMap::new();
    for change in changes {
        // Versions of a model are part of it.
        let name = match change.section {
            Section::Model => change.name.split('@').next().unwrap_or_default(),
            _ => change.name.as_str(),
        };
        let of = counts.entry(change.section).or_default().entry(name).or_default();
        let how = match (&change.before, &change.after) {
            (None, _) => 0,
            (_, None) => 1,
            _ => 2,
        };
        of[how] = true;
    }
    let line = |(section, names): (Section, BTreeMap<&str, [bool; 3]>)| {
        // A thing that has both new and changed fields has changed.
        let only = |how: usize| {
            let fits = |seen: &&[bool; 3]| seen.iter().enumerate().all(|(n, s)| *s == (n == how));
            names.values().filter(fits).count()
        };
        let (added, removed) = (only(0), only(1));
        let changed = names.len() - added - removed;
        let parts = [(added, "added"), (removed, "removed"), (changed, "changed")];
        let parts: Vec<String> = parts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        format!("  {:<10} {}", section.word(), parts.join(", "))
    };
    counts.into_iter().map(line).collect()
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
