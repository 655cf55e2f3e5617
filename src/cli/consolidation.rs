//! The consolidation report as Markdown.

use std::fmt::Write as _;

use super::ui::size;
use crate::app::{ClassInventory, ModelLine, Phase, Report, SinceLastConsolidation};
use crate::base::counted;
use crate::base::markdown::escape;
use crate::domain::policy::Action;

/// The report as Markdown, in the order its readers know.
pub(super) fn markdown(report: &Report) -> String {
    let mut text = String::new();
    let date = report.generated.human();
    line(&mut text, &format!("# {} - Model Consolidation Report\n", report.project));
    line(&mut text, &format!("Generated: {date}\n"));
    line(&mut text, "## Current State Analysis\n\n### Directory Structure Overview\n");
    for (folder, runs) in &report.places {
        line(&mut text, &format!("- **{folder}**: {}", counted(*runs, "run")));
    }
    line(&mut text, "\n### Experiment Categories Identified\n");
    for (number, shelf) in (1..).zip(&report.inventory) {
        shelf_text(&mut text, number, shelf);
    }
    recommendations(report, &mut text);
    line(&mut text, "## Implementation Plan\n");
    for (number, phase) in (1..).zip(&report.phases) {
        phase_text(&mut text, number, phase);
    }
    summary(report, &mut text);
    if let Some(since) = &report.since {
        since_text(&mut text, since);
    }
    line(&mut text, "## Next Steps\n");
    for (number, step) in (1..).zip(&report.next_steps) {
        line(&mut text, &format!("{number}. {step}"));
    }
    if report.next_steps.is_empty() {
        line(&mut text, "Nothing is left to do.");
    }
    text
}

fn recommendations(report: &Report, text: &mut String) {
    line(text, "## Consolidation Recommendations\n");
    let sections = [
        (Action::Keep, "### Keep"),
        (Action::Archive, "### Archive (Reference Models)"),
        (Action::Remove, "### Remove (metrics and digests stay in the log)"),
    ];
    for (action, title) in sections {
        line(text, &format!("{title}\n"));
        let rows = report.planned.plan.rows.iter().filter(|row| row.action == action);
        for (number, row) in (1..).zip(rows) {
            let to = row.to.as_ref().map_or(String::new(), |to| format!(" → `{to}`"));
            let (name, bytes) = (&row.experiment_id, size(row.bytes));
            let reason = escape(&row.reason);
            line(text, &format!("{number}. **{name}**{to}: {reason} ({bytes})"));
        }
        if report.planned.plan.count(action) == 0 {
            line(text, "None.");
        }
        line(text, "");
    }
    line(text, "### Storage Optimization\n");
    line(text, &format!("- Saved so far: {}", size(report.bytes_saved)));
    line(text, &format!("- Saved by this plan: at least {}\n", size(report.bytes_to_save)));
}

fn summary(report: &Report, text: &mut String) {
    line(text, "## Performance Summary\n");
    line(text, "| Model | Architecture | Accuracy | F1-Macro | Best For |");
    line(text, "|-------|-------------|----------|----------|----------|");
    for model in &report.performance {
        let mut best_for = model.best_for.join(", ");
        if best_for.is_empty() {
            best_for = if model.issues.is_empty() { "-" } else { "Needs tuning" }.into();
        }
        line(
            text,
            &format!(
                "| {} | {} | {} | {} | {best_for} |",
                escape(&model.experiment_id),
                escape(&model.architecture),
                percent(model.accuracy),
                percent(model.f1_macro),
            ),
        );
    }
    line(text, "\n### Selection Criteria\n");
    for criterion in &report.criteria {
        line(text, &format!("- {criterion}"));
    }
    line(text, "");
}

fn shelf_text(text: &mut String, number: usize, shelf: &ClassInventory) {
    line(
        text,
        &format!("#### {number}. {} ({})\n", shelf.class.title(), counted(shelf.runs, "run")),
    );
    for (name, there, gone) in &shelf.series {
        let gone = if *gone > 0 { format!(", {gone} removed") } else { String::new() };
        line(text, &format!("- {name} series: {}{gone}", counted(*there, "run")));
    }
    if shelf.series.is_empty() {
        line(text, "None.");
    }
    if let Some(best) = &shelf.best {
        best_text(text, best);
    }
    for (run, ending) in &shelf.endings {
        line(text, &format!("- {run}: {}", escape(ending)));
    }
    line(text, "");
}

fn best_text(text: &mut String, best: &ModelLine) {
    line(text, &format!("- Best: **{}**", best.experiment_id));
    let (accuracy, f1) = (percent(best.accuracy), percent(best.f1_macro));
    line(text, &format!("  - Accuracy: {accuracy}, F1-macro: {f1}"));
    line(text, &format!("  - Architecture: {}", best.architecture));
    for issue in &best.issues {
        line(text, &format!("  - Not met: {}", escape(issue)));
    }
}

fn phase_text(text: &mut String, number: usize, phase: &Phase) {
    line(text, &format!("### Phase {number}: {}\n", phase.title));
    line(text, &format!("State: {} ({} done, {} left)\n", phase.state(), phase.done, phase.left));
    for (number, step) in (1..).zip(&phase.steps) {
        line(text, &format!("{number}. {}", escape(step)));
    }
    if !phase.steps.is_empty() {
        line(text, "");
    }
}

fn since_text(text: &mut String, since: &SinceLastConsolidation) {
    line(text, "## Since the Last Consolidation\n");
    let plan = since.last.plan.get(..16).unwrap_or_default();
    let last = &since.last;
    line(
        text,
        &format!(
            "- Last: {} by plan {plan}: {} archived, {} removed, {} stayed (event {})",
            since.at.human(),
            last.archived,
            last.deleted,
            last.stayed,
            last.position
        ),
    );
    line(text, &format!("- New runs: {}", named(&since.began)));
    line(text, &format!("- New in production: {}", named(&since.promoted)));
    let policy = if since.policy_changed { "changed" } else { "the same" };
    line(text, &format!("- Policy: {policy}\n"));
}

fn named(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

fn percent(value: Option<f64>) -> String {
    value.map_or("-".into(), |value| format!("{:.1}%", value * 100.0))
}

fn line(text: &mut String, line: &str) {
    let _ = writeln!(text, "{line}");
}
