//! `annals audit`.

use clap::ValueEnum;

use super::context::Context;
use super::format::Format;
use super::read_args::LogFile;
use super::ui::{Table, Ui, escape};
use crate::app::{
    Audit, AuditFinding as Finding, AuditRequest, Error, ErrorKind, Result, Severity, Workspace,
    audit_checks, records,
};
use crate::base::counted;

/// Check record, decisions, rules, data, evidence and files as a reviewer would
///
/// `--format sarif` writes SARIF 2.1.0 for code scanning. Exit code 9 if a finding reaches the
/// severity of --fail-on, 10 if the record is damaged.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals audit
  annals audit --only typed-metrics --fail-on warning
  annals audit --log copy.redb --format sarif")]
pub(super) struct Args {
    /// List the checks
    #[arg(long)]
    list: bool,
    /// Run only this check; may be repeated
    #[arg(long, value_name = "CHECK")]
    only: Vec<String>,
    /// Skip this check; may be repeated
    #[arg(long, value_name = "CHECK")]
    skip: Vec<String>,
    /// Lowest severity that makes the audit fail
    #[arg(long, value_enum, default_value_t = FailOn::Error)]
    fail_on: FailOn,
    /// Largest accepted drop of a score from validation to test rows
    #[arg(long, value_name = "NUMBER", default_value_t = 0.05)]
    margin: f64,
    /// Read the content of every file of every run, not only its size
    #[arg(long)]
    deep: bool,
    #[command(flatten)]
    file: LogFile,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// An action is required
    Error,
    /// A review is required
    Warning,
    /// Any finding
    Note,
    /// No finding; only a damaged record
    Never,
}

impl FailOn {
    fn severity(self) -> Option<Severity> {
        match self {
            Self::Error => Some(Severity::Error),
            Self::Warning => Some(Severity::Warning),
            Self::Note => Some(Severity::Note),
            Self::Never => None,
        }
    }
}

/// Checks whose findings mean that the record itself is damaged.
const DAMAGE: [&str; 2] = ["record-damaged", "events-lost"];
/// So many findings of one check and weight are shown; the others are counted.
const OF_ONE_CHECK_MAX: usize = 3;
/// So many positions of a finding are shown.
const POSITIONS_MAX: usize = 6;

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    if args.list {
        return list(context);
    }
    if !args.margin.is_finite() || args.margin < 0.0 {
        let message = format!("--margin must be 0 or greater (got {})", args.margin);
        return Err(Error::new(ErrorKind::Usage, message));
    }
    args.file.read(context, |workspace, context| show(args, workspace, context))
}

fn list(context: &mut Context) -> Result<()> {
    let all = audit_checks();
    context.ui.data(&all, |ui| {
        let mut table = Table::new(&["check", "severity", "needs", "finds"]);
        for check in &all {
            let needs = if check.needs_workspace { "workspace" } else { "log" };
            table.row([check.check, check.severity.word(), needs, check.about]);
        }
        ui.table(&table)
    })
}

fn show(args: &Args, workspace: &Workspace, context: &mut Context) -> Result<()> {
    let request = AuditRequest {
        only: args.only.clone(),
        skip: args.skip.clone(),
        margin: args.margin,
        deep: args.deep,
    };
    let audit = records::audit(workspace, &request)?;
    if context.ui.format() == Format::Sarif {
        let text = serde_json::to_string_pretty(&records::sarif(workspace, &audit));
        context.ui.line(&text.unwrap_or_default())?;
    } else {
        context.ui.data(&audit, |ui| people(ui, &audit, args.only.is_empty()))?;
    }
    verdict(args, &audit)
}

fn people(ui: &mut Ui, audit: &Audit, cut: bool) -> Result<()> {
    // Findings of one check and weight that are next to each other: many of them hide the rest.
    let same = |a: &Finding, b: &Finding| (a.severity, a.rule) == (b.severity, b.rule);
    for group in audit.findings.chunk_by(same) {
        let shown =
            if cut && group.len() > OF_ONE_CHECK_MAX + 1 { OF_ONE_CHECK_MAX } else { group.len() };
        group[..shown].iter().try_for_each(|finding| print(ui, finding))?;
        if let Some(finding) = group.get(shown) {
            ui.line(&format!(
                "         and {} of {} (annals audit --only {})",
                counted(group.len() - shown, &format!("more {}", finding.severity.word())),
                finding.rule,
                finding.rule
            ))?;
        }
    }
    let counts = audit.counts;
    let some = counted::<usize>;
    ui.line(&format!(
        "{}, {} and {} from {} of {}.",
        some(counts.error, "error"),
        some(counts.warning, "warning"),
        some(counts.note, "note"),
        some(audit.checks.len(), "check"),
        some(usize::try_from(audit.size).unwrap_or(usize::MAX), "event")
    ))?;
    if !audit.left_out.is_empty() {
        ui.note(&format!(
            "{} skipped, because they need a workspace and an undamaged log: {}",
            counted(audit.left_out.len(), "check"),
            audit.left_out.join(", ")
        ));
    }
    Ok(())
}

fn print(ui: &mut Ui, finding: &Finding) -> Result<()> {
    let Finding { rule, severity, subject, what, .. } = finding;
    let line = format!("{:<7}  {rule}: {subject}: {what}", severity.word());
    ui.line(&escape(&line))?;
    let mut places: Vec<String> = finding.positions.iter().map(ToString::to_string).collect();
    let more = places.len().saturating_sub(POSITIONS_MAX);
    places.truncate(POSITIONS_MAX);
    if more > 0 {
        places.push(format!("{more} more"));
    }
    let at = match places.is_empty() {
        true => String::new(),
        false => format!("  [{}]", places.join(", ")),
    };
    ui.line(&escape(&format!("         {}{at}", finding.command)))
}

fn verdict(args: &Args, audit: &Audit) -> Result<()> {
    let damaged = audit.findings.iter().filter(|finding| DAMAGE.contains(&finding.rule)).count();
    if damaged > 0 {
        let message = format!("the record is damaged ({})", counted(damaged, "finding"));
        return Err(Error::new(ErrorKind::Integrity, message)
            .hint("nothing was repaired; the other findings are from what could be read"));
    }
    let Some(severity) = args.fail_on.severity().filter(|severity| audit.reaches(*severity)) else {
        return Ok(());
    };
    let heavy = audit.findings.iter().filter(|finding| finding.severity <= severity).count();
    let what = if heavy == 1 { "finding has" } else { "findings have" };
    let message = format!("{heavy} {what} severity \"{}\" or higher", severity.word());
    Err(Error::new(ErrorKind::Findings, message)
        .hint("`annals audit --list` describes each check; --skip leaves one out"))
}
