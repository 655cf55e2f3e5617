//! `annals report` and `annals clinical`.

use std::collections::BTreeSet;

use super::context::Context;
use super::format::Format;
use super::out::{self, OutPath};
use super::plot::critical;
use super::read_args::ReadScope;
use super::ui::{Table, share};
use crate::app::{
    Clinical, ClinicalAnswer, ClinicalRun, Error, ErrorKind, ReportWritten, Result, Workspace, runs,
};

/// Write a report of the whole project as one self-contained HTML file, or as Markdown
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals report --out report.html
  annals report --format markdown --as-of yesterday")]
pub(super) struct Args {
    /// Write the report to this file: .html or .md; default: report.html
    #[arg(long, value_name = "FILE")]
    out: Option<OutPath>,
    #[command(flatten)]
    scope: ReadScope,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    args.scope.read(context, |workspace, context| write(args, workspace, context))
}

fn write(args: &Args, workspace: &Workspace, context: &mut Context) -> Result<()> {
    if context.ui.format() == Format::Markdown && args.out.is_none() {
        let text = runs::project_report(workspace)?.markdown();
        return context.ui.bytes(text.as_bytes());
    }
    let default = OutPath::from("report.html");
    let path = args.out.as_ref().unwrap_or(&default).place(context)?;
    let document = runs::project_report(workspace)?;
    let text = match path.extension().and_then(|e| e.to_str()) {
        Some("html") => document.html(),
        Some("md") => document.markdown(),
        _ => {
            let message = format!("--out {}: the suffix must be .html or .md", path.display());
            return Err(Error::new(ErrorKind::Usage, message));
        }
    };
    out::write(&path, text.as_bytes())?;
    let written = ReportWritten { report: path };
    context.ui.data(&written, |ui| {
        ui.line(&format!("{} is in {}", document.title, written.report.display()))
    })
}

/// Show how well runs detect the critical class, and which conclusions are justified
///
/// Missed cases come first. Nothing is concluded from generated data, from fewer than 30
/// positives, from leaked rows or from typed-in scores; the output gives the reason.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals clinical --class suicide_risk
  annals clinical small large --class hate")]
pub(super) struct ClinicalArgs {
    /// Runs, by id, prefix or name; all finished runs where none is named
    runs: Vec<String>,
    /// Only runs that meet this condition (see `annals compare --help`)
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<String>,
    /// The critical class, where the policy names none
    #[arg(long)]
    class: Option<String>,
    #[command(flatten)]
    scope: ReadScope,
}

pub(super) fn run_clinical(args: &ClinicalArgs, context: &mut Context) -> Result<()> {
    args.scope.read(context, |workspace, context| print(args, workspace, context))
}

/// As many labels as fit a message.
fn listed(labels: &BTreeSet<&str>) -> String {
    const SHOWN_MAX: usize = 20;
    let shown: Vec<&str> = labels.iter().copied().take(SHOWN_MAX).collect();
    let more = labels.len().saturating_sub(SHOWN_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &more
}

fn print(args: &ClinicalArgs, workspace: &Workspace, context: &mut Context) -> Result<()> {
    let class = match &args.class {
        Some(class) => class.clone(),
        None => critical(workspace)?,
    };
    let runs = runs::select_runs(
        workspace,
        &workspace.snapshot()?,
        &args.runs,
        args.condition.as_deref(),
    )?;
    let known = runs.iter().any(|run| run.labels.contains(&class));
    if !known {
        let all: BTreeSet<&str> =
            runs.iter().flat_map(|run| &run.labels).map(String::as_str).collect();
        let labels = all.iter().copied();
        let error = Error::new(ErrorKind::NotFound, format!("no run has a label {class:?}"));
        return Err(match crate::base::suggest::nearest(&class, labels) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None if all.is_empty() => error,
            None => error.hint(format!("labels of these runs: {}", listed(&all))),
        });
    }
    let answer = ClinicalAnswer::from(Clinical::of(&runs, &class));
    let found = &answer.clinical;
    context.ui.data(&answer, |ui| {
        ui.line(&answer.conclusion)?;
        if found.runs.is_empty() {
            return Ok(());
        }
        ui.line("")?;
        let mut table = Table::new(ClinicalRun::HEADING);
        found.runs.iter().for_each(|run| table.row(run.cells()));
        ui.table(&table)?;
        if let Some(best) = found.runs.first() {
            ui.line("")?;
            ui.line(&format!("{}, class by class:", best.experiment_id))?;
            let mut table = Table::new(&["label", "rows", "missed", "recall", "precision", "F1"]);
            for row in &best.disorders {
                let [recall, precision, f1] =
                    [row.recall, row.precision, row.f1].map(|v| share(Some(v)).into_owned());
                let (rows, missed) = (row.rows.to_string(), row.missed.to_string());
                table.row([row.label.clone(), rows, missed, recall, precision, f1]);
            }
            ui.table(&table)?;
        }
        for run in &found.runs {
            if let Some((with, without)) = run.vocabulary {
                ui.line(&format!(
                    "{}: macro F1 {with:.4} with the clinical vocabulary, {without:.4} without it",
                    run.experiment_id
                ))?;
            }
            for score in &run.interpretability {
                ui.line(&format!("{}: {}", run.experiment_id, score.sentence()))?;
            }
        }
        ui.dim("Scores are of the test split.");
        Ok(())
    })
}
