//! `annals redact`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::consent::{Consent, DryRun};
use super::context::Context;
use super::ui::Table;
use crate::app::{
    Error, ErrorKind, Mode, RedactRequest, Redaction, Result, Stays, Workspace, workspace,
};
use crate::base::counted;

/// Remove texts from the record: notes, reasons, tags, command lines, files
///
/// The text is removed from every event, file, view and page of the workspace and replaced with
/// `[redacted at POSITION]`. A signed event keeps who removed it and the reason, and every proof
/// still holds. Names, numbers, digests, rules and approvals are facts and cannot be removed. Files
/// that determine a model's predictions (weights, vocabulary, tokenizer, configuration, labels,
/// thresholds) keep their bytes: a text in them is refused. Copies, exports and bundles made before
/// are out of reach.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals redact --run hate --field note --reason 'a name' --dry-run
  annals redact --text-from names.txt --reason 'withdrawn consent' --yes
  annals redact 120 121 --reason 'a password'")]
pub(super) struct Args {
    /// Events whose texts are removed, by position
    #[arg(value_name = "POSITION")]
    events: Vec<u64>,
    /// Runs from whose events the fields are removed
    #[arg(long = "run", value_name = "RUN", requires = "fields")]
    runs: Vec<String>,
    /// Fields to remove: note, description, tags, reason, argv, host, message, name, ...
    #[arg(long = "field", value_name = "FIELD")]
    fields: Vec<String>,
    /// Remove each line of this file wherever it occurs; `-` reads standard input. A text on the
    /// command line would itself be recorded
    #[arg(long, value_name = "FILE")]
    text_from: Option<PathBuf>,
    /// Files of runs to remove as a whole, by digest or its first digits
    #[arg(long = "blob", value_name = "DIGEST")]
    blobs: Vec<String>,
    /// The reason, which is kept in the record for ever
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Leave a text where it determines a result, such as a name or the vocabulary of a model;
    /// without this nothing is changed
    #[arg(long)]
    partly: bool,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    mode: DryRun,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    let workspace = context.trusted_workspace()?;
    let request = request(args, &workspace)?;
    let mode = args.mode.mode();
    if mode == Mode::Apply {
        confirm(args, &workspace, &request, context)?;
    }
    let done = workspace::redact(&workspace, &request, mode)?;
    context.ui.data(&done, |ui| {
        let mut table = Table::new(&["location", "redacted"]);
        for event in &done.events {
            let what = format!("{}: {}", event.kind, event.fields.join(", "));
            table.row([&format!("event {}", event.position), &what]);
        }
        for file in &done.files {
            table.row([file.as_str(), "file"]);
        }
        ui.table(&table)?;
        told(&done).iter().for_each(|line| ui.note(line));
        Ok(())
    })
}

/// A redaction cannot be undone. What it takes is looked up only where somebody is asked.
fn confirm(
    args: &Args,
    workspace: &Workspace,
    request: &RedactRequest,
    context: &Context,
) -> Result<()> {
    let action = if args.consent.yes || !context.ui.has_terminal() {
        "redact".to_owned()
    } else {
        let plan = workspace::redact(workspace, request, Mode::DryRun)?;
        let (events, files) = (plan.events.len(), plan.files.len());
        format!("redact {} and {} for ever", counted(events, "event"), counted(files, "file"))
    };
    args.consent.ask_or_warn(&action, context)
}

fn told(done: &Redaction) -> Vec<String> {
    let (events, files) = (counted(done.events.len(), "event"), counted(done.files.len(), "file"));
    let mut lines = vec![match done.position {
        Some(at) => format!("Redacted {events} and {files}, recorded in event {at}."),
        None => format!("{events} and {files} would be redacted."),
    }];
    for stays in &done.stays {
        lines.push(match stays {
            Stays::Event { .. } | Stays::Deciding { .. } => format!("It remains in {stays}."),
            Stays::File { .. } => format!("It also occurs in {stays}."),
        });
    }
    for path in &done.changed {
        lines.push(format!(
            "{path} was changed by another process in the meantime and is left as \
             it is."
        ));
    }
    for position in &done.guessable {
        lines.push(format!(
            "Event {position} was recorded without a salt: a guess of the text can be confirmed."
        ));
    }
    lines
}

fn request(args: &Args, workspace: &Workspace) -> Result<RedactRequest> {
    let texts = match &args.text_from {
        Some(path) => texts(path)?,
        None => BTreeSet::new(),
    };
    if args.events.is_empty() && args.runs.is_empty() && texts.is_empty() && args.blobs.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "nothing to redact was named")
            .hint("name events by position, --run with --field, --text-from or --blob"));
    }
    let mut runs = BTreeSet::new();
    if !args.runs.is_empty() {
        let views = workspace.snapshot()?;
        for text in &args.runs {
            runs.insert(workspace.find_run(&views, text)?);
        }
    }
    let blobs = args
        .blobs
        .iter()
        .map(|text| workspace::find_file(workspace, text))
        .collect::<Result<_>>()?;
    Ok(RedactRequest {
        events: args.events.iter().copied().collect(),
        runs,
        fields: args.fields.iter().cloned().collect(),
        texts,
        blobs,
        reason: args.reason.clone(),
        partly: args.partly,
    })
}

fn texts(path: &Path) -> Result<BTreeSet<String>> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().read_to_string(&mut text).map(|_| ())
    } else {
        fs::read_to_string(path).map(|read| text = read)
    };
    read.map_err(|e| Error::io(format!("read {}", path.display()), e))?;
    let lines = text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty());
    Ok(lines.collect())
}
