//! `annals log`.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Subcommand;

use super::context::Context;
use super::out::OutPath;
use super::read_args::LogFile;
use super::ui::Ui;
use crate::app::{Error, ErrorKind, LogLine, LogQuery, Result, Workspace, records};

/// How often `--follow` looks for more.
const FOLLOW_WAIT: Duration = Duration::from_millis(300);

/// Show the audit log, newest first, grouped by invocation; or copy it
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Examples:
  annals log --since '2 weeks' --kind 'promotion.*'
  annals log --run hate --limit 10
  annals log --log copy.redb --refused --format jsonl")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Only these kinds: `promotion.*`, `*.finished`, or how a name begins; may be repeated
    #[arg(long)]
    kind: Vec<String>,
    /// Only events of this actor
    #[arg(long)]
    actor: Option<String>,
    /// Only events of this run
    #[arg(long)]
    run: Option<String>,
    /// Only decisions about this production model, with its requests and moves
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Only events that name this file, by path, end of path, or the first digits of its digest
    #[arg(long, value_name = "PATH|DIGEST")]
    file: Option<String>,
    /// Only events of this invocation, by its position or the first letters of its id
    #[arg(long, value_name = "POSITION|ID")]
    invocation: Option<String>,
    /// Only these positions, such as 100..200, 100.. or ..200 (without the last)
    #[arg(long, value_name = "FROM..TO")]
    positions: Option<String>,
    /// Only events recorded since this date, time or age, such as "2 weeks"
    #[arg(long, value_name = "TIME|AGO")]
    since: Option<String>,
    /// Only events recorded before this time or age, or until the end of this date
    #[arg(long, value_name = "TIME|AGO")]
    until: Option<String>,
    /// Only what a rule or a person refused
    #[arg(long)]
    refused: bool,
    /// Show at most this many events
    #[arg(long, short = 'n', default_value_t = 50)]
    limit: usize,
    /// Keep printing new events, oldest first, until Ctrl-C
    #[arg(long, conflicts_with_all = ["log", "until"])]
    follow: bool,
    #[command(flatten)]
    file_of_log: LogFile,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Copy the log consistently; a plain copy of a file in use may be torn
    #[command(after_help = "\
Examples:
  annals log copy /media/backup/log.redb
  annals log copy log-2026-11-01.redb")]
    Copy {
        /// The new file
        target: OutPath,
    },
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    if let Some(Verb::Copy { target }) = &args.verb {
        let target = target.place(context)?;
        records::copy_log(&context.workspace()?, &target)?;
        return context.ui.wrote(target, |path| format!("Copied to {}", path.display()));
    }
    args.file_of_log.read(context, |workspace, context| show(args, workspace, context))
}

fn show(args: &Args, workspace: &Workspace, context: &mut Context) -> Result<()> {
    let query = query(args, workspace, context)?;
    if args.follow {
        return follow(workspace, query, context);
    }
    let lines = records::log(workspace, &query)?;
    if let (Some(file), true) = (&args.file, lines.is_empty()) {
        let more = if query.is_file_only() { "" } else { " that the other options let through" };
        context.ui.note(&format!("No event{more} names the file or digest {file}."));
    }
    context.ui.data(&lines, |ui| {
        let groups = grouped(&lines);
        groups.into_iter().flatten().try_for_each(|(first, line)| print(ui, line, first))
    })
}

fn query(args: &Args, workspace: &Workspace, context: &Context) -> Result<LogQuery> {
    let run = match &args.run {
        Some(text) => Some(workspace.find_run(&workspace.snapshot()?, text)?),
        None => None,
    };
    let time = |option, text: &Option<String>| {
        text.as_ref().map(|text| context.time(option, text)).transpose()
    };
    Ok(LogQuery {
        kinds: args.kind.clone(),
        actor: args.actor.clone(),
        run,
        model: args.model.clone(),
        file: args.file.clone(),
        invocation: args.invocation.clone(),
        positions: args.positions.as_deref().map(positions).transpose()?,
        since: time("--since", &args.since)?.map(|span| span.start),
        until: time("--until", &args.until)?.map(|span| match span.is_instant() {
            true => span.start,
            false => span.end,
        }),
        refused: args.refused,
        limit: args.limit,
    })
}

fn positions(text: &str) -> Result<std::ops::Range<u64>> {
    let bad = || {
        Error::new(ErrorKind::Usage, format!("\"{text}\" is not a range of positions"))
            .hint("for example 100..200 (without 200), 100.. or ..200")
    };
    let (from, to) = text.split_once("..").ok_or_else(bad)?;
    let end = |text: &str, open: u64| {
        if text.is_empty() { Ok(open) } else { text.parse().map_err(|_| bad()) }
    };
    Ok(end(from, 0)?..end(to, u64::MAX)?)
}

/// Lines by invocation, those whose newest event is newest first; each with whether it is the
/// first of its group.
fn grouped(lines: &[LogLine]) -> Vec<Vec<(bool, &LogLine)>> {
    let mut groups: Vec<Vec<(bool, &LogLine)>> = Vec::new();
    let mut begun = BTreeMap::new();
    for line in lines {
        let known = line.invocation.and_then(|at| begun.get(&at)).copied();
        match known.and_then(|index: usize| groups.get_mut(index)) {
            Some(group) => group.push((false, line)),
            None => {
                line.invocation.map(|at| begun.insert(at, groups.len()));
                groups.push(vec![(true, line)]);
            }
        }
    }
    groups
}

fn print(ui: &mut Ui, line: &LogLine, first: bool) -> Result<()> {
    if let (true, Some(words)) = (first, &line.words) {
        ui.line(&format!("\n{}", super::ui::escape(words)))?;
    }
    ui.line(&format!(
        "{:>8}  {}  {:<7}  {:<30} {}",
        line.position,
        line.recorded.human(),
        line.identity,
        line.kind,
        super::ui::escape(&line.summary)
    ))?;
    let Some(by) = &line.redacted else { return Ok(()) };
    let (why, who) = (super::ui::escape(&by.reason), super::ui::escape(&by.actor));
    ui.line(&format!("          redacted by {who}, event {}: {why}", by.position))
}

/// Never ends by itself.
fn follow(workspace: &Workspace, mut query: LogQuery, context: &mut Context) -> Result<()> {
    let mut size = records::log_size(workspace)?;
    let filter = records::log_filter(workspace, &query)?;
    let asked = query.positions.unwrap_or(0..u64::MAX);
    query.positions = Some(asked.start..asked.end.min(size));
    let mut lines = records::log(workspace, &query)?;
    lines.reverse();
    let mut last = None;
    loop {
        for line in &lines {
            if context.ui.json() {
                // One line each in both forms: there is no end to close.
                let text = serde_json::to_string(line).unwrap_or_default();
                context.ui.raw_line(&text)?;
            } else {
                let first = line.invocation != last;
                print(&mut context.ui, line, first)?;
                last = line.invocation;
            }
        }
        std::thread::sleep(FOLLOW_WAIT);
        (lines, size) = records::log_after(workspace, &filter, size)?;
    }
}
