//! `annals redact`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::context::Context;
use super::promote::tell_edits;
use super::ui::Table;
use crate::app::{App, Error, ErrorKind, RedactRequest, Redaction, Result, Stays};
use crate::base::counted;

/// Take texts out of the record: notes, reasons, descriptions, tags, words of commands, files
///
/// The text goes out of every event, file, view and page of the workspace, wherever it stands;
/// `[redacted at POSITION]` stands there instead. Who did it and why stays for ever, in a signed
/// event, and every proof still holds. Names, numbers, digests, rules and approvals say what is
/// true and cannot be taken out, and files that decide what a model answers (weights, vocabulary,
/// tokenizer, configuration, labels, thresholds) keep their bytes: a text in them is refused.
/// Copies, exports and bundles made before are out of reach.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Events whose texts go, by position
    #[arg(value_name = "POSITION")]
    events: Vec<u64>,
    /// Runs, of whose events the fields go
    #[arg(long = "run", value_name = "RUN", requires = "fields")]
    runs: Vec<String>,
    /// Which texts go: note, description, tags, reason, argv, host, message, name, ...
    #[arg(long = "field", value_name = "FIELD")]
    fields: Vec<String>,
    /// Each line of this file goes, wherever it stands; `-` reads standard input. A text on the
    /// command line would be recorded with it
    #[arg(long, value_name = "FILE")]
    text_from: Option<PathBuf>,
    /// Files of runs that go as a whole, by digest or its beginning
    #[arg(long = "blob", value_name = "DIGEST")]
    blobs: Vec<String>,
    /// Why; stays in the record for ever
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Leave a text where it decides something, such as a name or the vocabulary of a model;
    /// without this nothing is done then
    #[arg(long)]
    partly: bool,
    /// Only show what would go
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    let app = context.app()?;
    let request = request(args, &app)?;
    let done = if args.dry_run { app.plan_redaction(&request)? } else { app.redact(&request)? };
    tell_edits(&done.regenerated, context);
    context.ui.data(&done, |ui| {
        let mut table = Table::new(&["where", "what"]);
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

fn told(done: &Redaction) -> Vec<String> {
    let (events, files) = (counted(done.events.len(), "event"), counted(done.files.len(), "file"));
    let mut lines = vec![match done.position {
        Some(at) => format!("Redacted {events} and {files}, recorded in event {at}."),
        None => format!("{events} and {files} would be redacted."),
    }];
    for stays in &done.stays {
        lines.push(match stays {
            Stays::Event { .. } | Stays::Deciding { .. } => format!("It stays in {stays}."),
            Stays::File { .. } => format!("It also stands in {stays}."),
        });
    }
    for path in &done.changed {
        lines.push(format!("{path} was changed by others meanwhile and is left unchanged."));
    }
    for position in &done.guessable {
        lines.push(format!(
            "Event {position} was recorded without a salt: who guesses the text can confirm it."
        ));
    }
    lines
}

fn request(args: &Args, app: &App) -> Result<RedactRequest> {
    let texts = match &args.text_from {
        Some(path) => texts(path)?,
        None => BTreeSet::new(),
    };
    if args.events.is_empty() && args.runs.is_empty() && texts.is_empty() && args.blobs.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "nothing is named that shall go")
            .hint("name events by position, --run with --field, --text-from or --blob"));
    }
    let mut runs = BTreeSet::new();
    if !args.runs.is_empty() {
        let views = app.snapshot()?;
        for text in &args.runs {
            runs.insert(app.find_run(&views, text)?);
        }
    }
    let blobs = args.blobs.iter().map(|text| app.find_file(text)).collect::<Result<_>>()?;
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
