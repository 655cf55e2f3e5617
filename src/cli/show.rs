//! `annals show`.

use std::collections::BTreeMap;

use super::context::Context;
use super::read_args::ReadScope;
use super::ui::{Table, Ui, digest_cells, duration, escape, share, size};
use crate::app::{
    InvocationShown, MetricRow, ModelRow, Named, Progress, Result, RunDetails, RunOrigin, RunShown,
    Workspace, class_weights, models, number, plain_value, records, runs,
};
use crate::base::{Split, Timestamp, counted};
use crate::domain::Provenance;
use crate::domain::metric::ClassScore;
use crate::domain::run::{CODE_NOT_RECORDED, NOT_STATED, RunStatus, UnrecordedSeries};

/// Show a run, a model version, an invocation, or an event by its position
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals show hate
  annals show hate_v1@1
  annals show 120 --format json")]
pub(super) struct Args {
    /// A run (id, prefix or name), a production model (NAME, NAME@VERSION or alias), an invocation
    /// (invocation/ID, as `annals log --format json` names it), or a position in the log
    what: String,
    #[command(flatten)]
    scope: ReadScope,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    args.scope.read(context, |workspace, context| show(&args.what, workspace, context))
}

fn show(what: &str, workspace: &Workspace, context: &mut Context) -> Result<()> {
    if let Ok(position) = what.parse::<u64>() {
        let event = records::event(workspace, position)?;
        return context.ui.data(&event, |ui| {
            let text = serde_json::to_string_pretty(&event).unwrap_or_default();
            ui.line(&text)
        });
    }
    if what.starts_with("invocation/") {
        let shown = workspace.invocation_shown(what)?;
        return context.ui.data(&shown, |ui| invocation(ui, &shown));
    }
    let views = workspace.snapshot()?;
    match workspace.find_named(&views, what)? {
        Named::Version(model) => show_model(workspace, &model, context),
        Named::Run(id) => match views.run(id)? {
            Some(details) => show_run(workspace, context, &details),
            None => Ok(()),
        },
    }
}

fn invocation(ui: &mut Ui, shown: &InvocationShown) -> Result<()> {
    ui.fact("invocation", format_args!("{} (event {})", shown.id, shown.position))?;
    ui.fact("command", format_args!("annals {}", escape(&shown.words)))?;
    ui.fact("by", format_args!("{} ({})", shown.actor, shown.identity))?;
    ui.fact("on", format_args!("{}, in {}, process {}", shown.host, shown.cwd, shown.pid))?;
    ui.fact("annals", &shown.tool_version)?;
    ui.fact("began", shown.began.human())?;
    match shown.ended {
        Some(ended) => ui.fact("ended", format_args!("{}: {}", ended.human(), shown.outcome))?,
        None => ui.fact("ended", &shown.outcome)?,
    }
    ui.line("")?;
    let mut table = Table::new(&["event", "kind", "stream", "summary"]);
    for event in &shown.events {
        let cells = [&event.position.to_string(), &event.kind, &event.stream, &event.summary];
        table.row(cells);
    }
    ui.table(&table)
}

fn show_model(workspace: &Workspace, model: &ModelRow, context: &mut Context) -> Result<()> {
    let placement = &model.placed;
    let shown = models::model_shown(workspace, model.clone())?;
    context.ui.data(&shown, |ui| {
        let (state, aliases) = (shown.state.word(), &shown.aliases);
        let (by, placed_by, from) = (&shown.promoted_by, &shown.placed_by, &shown.run);
        ui.fact("model", format_args!("{} ({state})", model.name))?;
        ui.fact("version", format_args!("{} (number {})", model.version, model.number))?;
        if !aliases.is_empty() {
            ui.fact("aliases", aliases.join(", "))?;
        }
        ui.fact("path", &model.path)?;
        ui.fact("run", from)?;
        ui.fact(
            "promoted",
            format_args!("{} by {by}, event {}", Timestamp(model.promoted).human(), model.position),
        )?;
        if placement.is_later(model) {
            ui.fact(
                "restored",
                format_args!(
                    "{} by {placed_by}: {}, event {}",
                    Timestamp(placement.at).human(),
                    placement.how.word(),
                    placement.position
                ),
            )?;
        }
        let approvals: Vec<String> = model.approvals.iter().map(ToString::to_string).collect();
        ui.fact("approved by", approvals.join(", "))?;
        let mut table = Table::new(&["file", "size", "blake3", "sha256"]);
        for (path, digest, bytes, sha256) in &model.files {
            let [blake3, sha256] = digest_cells(digest, sha256.as_ref());
            table.row(vec![path.clone(), size(*bytes), blake3, sha256]);
        }
        ui.table(&table)
    })
}

fn artifact_table(run: &RunDetails) -> Table {
    let mut table = Table::new(&["file", "path", "blake3", "sha256"]);
    for (name, path, digest, sha256) in &run.artifacts {
        let [blake3, sha256] = digest_cells(digest, sha256.as_ref());
        table.row([name.as_str(), path.as_deref().unwrap_or("(blob)"), &blake3, &sha256]);
    }
    table
}

/// With whom the run is shared, and who else recorded facts of it.
fn show_others(ui: &mut Ui, shown: &RunShown) -> Result<()> {
    if !shown.shared_with.is_empty() {
        ui.fact("shared", format_args!("with {}", shown.shared_with.join(", ")))?;
    }
    if !shown.recorded_by.is_empty() {
        let names = shown.recorded_by.join(", ");
        ui.fact("recorded by", format_args!("{names} too, and not only by who began it"))?;
    }
    Ok(())
}

fn show_run(workspace: &Workspace, context: &mut Context, run: &RunDetails) -> Result<()> {
    let shown = runs::run_shown(workspace, run.clone())?;
    let series = if RunStatus::from(run.status) == RunStatus::Finished {
        vec![]
    } else {
        workspace.snapshot()?.metrics(run.run())?
    };
    context.ui.data(&shown, |ui| {
        let (actor, status) = (&shown.started_by, shown.status);
        ui.fact("run", format_args!("{} ({})", run.experiment_id, run.run()))?;
        let reason = run.reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
        ui.fact("status", format_args!("{}{reason}", status.word()))?;
        if let Some(progress) = &shown.progress {
            ui.fact("progress", progress_line(progress))?;
        }
        let words = &run.category_words;
        let words =
            if words.is_empty() { String::new() } else { format!(": {}", words.join(", ")) };
        ui.fact(
            "category",
            format_args!("{} ({}{words})", run.category.word(), run.category_rule),
        )?;
        ui.fact("name", &run.experiment_name)?;
        if !run.description.is_empty() {
            ui.fact("description", &run.description)?;
        }
        ui.fact("tags", run.tags.join(", "))?;
        if run.pinned {
            ui.fact("pinned", "yes: retention rules do not move it")?;
        }
        show_others(ui, &shown)?;
        for (at, text) in &run.notes {
            ui.fact("note", format_args!("{}: {text}", Timestamp(*at).human()))?;
        }
        let started = Timestamp(run.started).human();
        ui.fact("started", format_args!("{started} by {actor}, event {}", run.started_position))?;
        if let (Some(seconds), Some(position)) = (run.duration_seconds, run.ended_position) {
            ui.fact("took", format_args!("{}, ended by event {position}", duration(seconds)))?;
        }
        ui.fact("folder", &run.folder)?;
        show_whereabouts(ui, run)?;
        ui.fact("config", format_args!("{} {}", run.config_name, run.config_digest))?;
        ui.fact("seed", run.shown_seed())?;
        ui.fact("data", data_line(run))?;
        if let (Some(count), Some(bytes)) = (run.parameter_count, run.model_bytes) {
            let count = counted(count, "parameter");
            ui.fact("model", format_args!("{count}, {}", size(bytes)))?;
        }
        if let Some(origin) = &shown.origin {
            let unknown = |(_, text): &(i64, String)| text.starts_with(CODE_NOT_RECORDED);
            show_origin(ui, origin, run.notes.iter().any(unknown))?;
        }
        show_settings(ui, run)?;
        for (by, equal) in &run.reproductions {
            let word = if *equal { "equal" } else { "differing" };
            ui.fact("reproduced", format_args!("{word}, by run {by}"))?;
        }
        if !run.artifacts.is_empty() {
            ui.line("")?;
            ui.table(&artifact_table(run))?;
        }
        show_evaluations(ui, run)?;
        show_scores(run, &series, ui)
    })
}

/// What became of the run's files.
fn show_whereabouts(ui: &mut Ui, run: &RunDetails) -> Result<()> {
    if let Some(archive) = &run.archive {
        let rule = archive.rule.as_ref().map_or("by hand".into(), |rule| format!("by {rule}"));
        ui.fact(
            "archived",
            format_args!(
                "{} in {}, {rule} (policy revision {}): {}; event {}",
                Timestamp(archive.at).human(),
                archive.archive.word(),
                archive.policy_revision,
                archive.reason,
                archive.position,
            ),
        )?;
    }
    if let Some(deleted) = &run.deleted {
        let plan = deleted.plan.get(..16).unwrap_or_default();
        ui.fact(
            "deleted",
            format_args!(
                "{} by consolidation {plan}: {}; {} in {}; event {}",
                Timestamp(deleted.at).human(),
                deleted.reason,
                size(deleted.bytes),
                counted(deleted.files.len(), "file"),
                deleted.position,
            ),
        )?;
    }
    if !run.dropped.is_empty() {
        ui.fact("dropped", run.dropped.join(", "))?;
    }
    Ok(())
}

fn data_line(run: &RunDetails) -> String {
    let rows: Vec<String> = run.rows.iter().map(|(s, n)| format!("{} {n}", s.word())).collect();
    let data = if run.synthetic { "generated (synthetic)" } else { run.shown_origin() };
    let rows = if rows.is_empty() { NOT_STATED.to_owned() } else { rows.join(", ") };
    let leaked = run.shown_leaked_rows();
    format!("{data}; rows: {rows}; leaked rows: {leaked}")
}

fn show_evaluations(ui: &mut Ui, run: &RunDetails) -> Result<()> {
    for evaluation in &run.evaluations {
        let split = evaluation.split;
        ui.line("")?;
        ui.line(&format!(
            "{} ({}): accuracy {}, macro F1 {}, loss {}",
            split.word(),
            counted(evaluation.rows, "row"),
            with_interval(run, "accuracy", split),
            with_interval(run, "f1_macro", split),
            share(run.metric("loss", split)),
        ))?;
        ui.table(&class_table(&evaluation.classes))?;
        head_scores(run, split).iter().try_for_each(|line| ui.line(line))?;
    }
    Ok(())
}

/// The settings that the architecture uses, a line for each section; of other trainers, the
/// parameters that their scripts stated.
fn show_settings(ui: &mut Ui, run: &RunDetails) -> Result<()> {
    let mut sections: Vec<(&str, Vec<String>)> = Vec::new();
    for (key, value) in &run.parameters {
        let (section, name) = key.split_once('.').unwrap_or(("", key));
        let pair = format!("{}={}", escape(name), escape(&plain_value(value)));
        match sections.iter_mut().find(|(known, _)| *known == section) {
            Some((_, pairs)) => pairs.push(pair),
            None => sections.push((section, vec![pair])),
        }
    }
    if sections.is_empty() {
        ui.fact("settings", NOT_STATED)?;
    }
    for (section, pairs) in &sections {
        let section = if section.is_empty() { "" } else { &format!("{}: ", escape(section)) };
        ui.fact("settings", format_args!("{section}{}", pairs.join(", ")))?;
    }
    let parameters: BTreeMap<String, String> = run.parameters.iter().cloned().collect();
    match class_weights(&parameters) {
        // Shown with the settings.
        Some(_) => Ok(()),
        None => ui.fact("weights", format_args!("class weights {NOT_STATED}")),
    }
}

fn show_origin(ui: &mut Ui, origin: &RunOrigin, unknown_code: bool) -> Result<()> {
    let RunOrigin { trainer, environment } = origin;
    match &environment.git {
        Some(git) => {
            let branch = git.branch.as_ref().map(|b| format!(" on {b}")).unwrap_or_default();
            let state = match (git.dirty, git.diff.is_some()) {
                (false, _) => "clean",
                (true, true) => "with uncommitted changes (kept as the file diff)",
                (true, false) => "with uncommitted changes (not kept)",
            };
            let commit = git.commit.get(..12).unwrap_or(&git.commit);
            ui.fact("git", format_args!("{commit}{branch}, {state}"))?;
        }
        None if unknown_code => ui.line("git         not recorded: see the note")?,
        None => ui.line("git         none: the workspace is not in a git repository")?,
    }
    let stated = |text: &str| match text {
        "" => "not stated".to_owned(),
        text => escape(text).into_owned(),
    };
    let mut device = stated(&environment.device);
    if !environment.accelerators.is_empty() {
        device += &format!(" ({})", environment.accelerators.join(", "));
    }
    if environment.threads > 0 {
        device += &format!(", threads: {}", environment.threads);
    }
    ui.fact("device", device)?;
    ui.fact(
        "machine",
        format_args!(
            "{}, {}, {} (processors: {})",
            stated(&environment.host),
            stated(&environment.os),
            stated(&environment.cpu),
            environment.cpus,
        ),
    )?;
    let mut versions = vec![format!("annals {}", environment.tool_version)];
    if !trainer.is_empty() {
        versions.push(format!("trained by {}", escape(trainer)));
    }
    versions.extend(environment.libtorch.as_ref().map(|version| format!("libtorch {version}")));
    ui.fact("versions", versions.join(", "))?;
    for (name, value) in &environment.variables {
        ui.fact("variable", format_args!("{}={}", escape(name), escape(value)))?;
    }
    Ok(())
}

/// The scores of each auxiliary head on a split, a line each.
pub(super) fn head_scores(run: &RunDetails, split: Split) -> Vec<String> {
    let mut heads: Vec<(&str, Vec<String>)> = Vec::new();
    for metric in run.metrics.iter().filter(|metric| metric.key.split == Some(split)) {
        let Some((head, name)) = metric.key.name.split_once('.') else { continue };
        if name.starts_with("ci_") || name.contains('.') || !HEAD_SCORES.contains(&name) {
            continue;
        }
        let score = format!("{name} {}", share(Some(metric.value)));
        match heads.iter_mut().find(|(known, _)| *known == head) {
            Some((_, scores)) => scores.push(score),
            None => heads.push((head, vec![score])),
        }
    }
    let line = |(head, scores): (&str, Vec<String>)| format!("{head}: {}", scores.join(", "));
    heads.into_iter().map(line).collect()
}

/// Scores of a head that are shown.
const HEAD_SCORES: [&str; 4] = ["accuracy", "balanced_accuracy", "f1_macro", "loss"];

/// How far a running training is.
pub(super) fn progress_line(progress: &Progress) -> String {
    let Progress { step, steps, epochs, seconds_left } = progress;
    let left = match seconds_left {
        Some(seconds) => format!("about {} left", duration(*seconds)),
        None => "too early to estimate the time left".to_owned(),
    };
    let epochs = counted(*epochs, "epoch");
    format!("step {step} of {steps} ({} %, {epochs} planned); {left}", progress.percent())
}

/// Scores of runs of other trainers, and what is known of runs without final ones.
fn show_scores(run: &RunDetails, series: &[MetricRow], ui: &mut Ui) -> Result<()> {
    let lines: Vec<String> = run.unrecorded.iter().map(UnrecordedSeries::line).collect();
    lines.iter().try_for_each(|line| ui.line(&format!("unrecorded  {line}")))?;
    let of_split = |split: Option<Split>| split.map_or("-", Split::word);
    if RunStatus::from(run.status) == RunStatus::Finished {
        let measured = run.provenance == Some(Provenance::Engine) && !run.evaluations.is_empty();
        if measured {
            return Ok(());
        }
        if run.metrics.is_empty() {
            return ui.line("metrics     none recorded");
        }
        let from = run.provenance.map_or("", Provenance::word);
        ui.line("")?;
        ui.line(&format!("final values ({from}):"))?;
        let mut table = Table::new(&["split", "metric", "value"]);
        for metric in &run.metrics {
            table.row([of_split(metric.key.split), &metric.key.name, &number(metric.value)]);
        }
        return ui.table(&table);
    }
    if series.is_empty() {
        return Ok(());
    }
    ui.line("")?;
    ui.line("last values, of a run without final ones:")?;
    let mut table = Table::new(&["split", "metric", "points", "step", "value"]);
    for row in series {
        table.row([
            of_split(row.split).to_owned(),
            row.name.clone(),
            row.points.to_string(),
            row.last.0.to_string(),
            number(row.last.1),
        ]);
    }
    ui.table(&table)
}

/// A score, and where it was resampled the 95 % interval around it.
pub(super) fn with_interval(run: &RunDetails, name: &str, split: Split) -> String {
    let value = share(run.metric(name, split));
    let end = |end| run.metric(&format!("{name}.{end}"), split);
    match (end("ci_low"), end("ci_high")) {
        (Some(low), Some(high)) => {
            format!("{value} [{}, {}]", share(Some(low)), share(Some(high)))
        }
        _ => value.into_owned(),
    }
}

/// Precision, recall and F1 of each label.
pub(super) fn class_table(classes: &[ClassScore]) -> Table {
    let mut table = Table::new(&["label", "precision", "recall", "F1", "rows"]);
    for class in classes {
        table.row([
            class.label.as_str().into(),
            share(Some(class.precision)),
            share(Some(class.recall)),
            share(Some(class.f1)),
            class.support.to_string().into(),
        ]);
    }
    table
}
