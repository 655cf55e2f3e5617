//! `annals init`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::consent::DryRun;
use super::context::Context;
use crate::app::{GitIgnore, Result, Workspace, WorkspaceMade, WorkspacePlanned};
use crate::domain::workspace::LayoutKind;

/// Create a workspace: settings, an empty log, a signing key and the default policy
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals init
  annals init ward --project ward --layout training-output
  annals init ward --dry-run")]
pub(super) struct Args {
    /// The folder; default: the current folder
    dir: Option<PathBuf>,
    /// The project's name; default: the name of the folder
    #[arg(long)]
    project: Option<String>,
    /// Folder layout: experiments/ and models/, or training/ and model_weights/
    #[arg(long, value_enum, default_value_t = LayoutArg::Consolidated)]
    layout: LayoutArg,
    #[command(flatten)]
    mode: DryRun,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LayoutArg {
    /// The folders of the consolidated tracker
    Consolidated,
    /// The folders of the training-output guide
    TrainingOutput,
}

impl From<LayoutArg> for LayoutKind {
    fn from(layout: LayoutArg) -> Self {
        match layout {
            LayoutArg::Consolidated => Self::Consolidated,
            LayoutArg::TrainingOutput => Self::TrainingOutput,
        }
    }
}

pub(super) fn run(args: Args, context: &mut Context) -> Result<()> {
    let root = args.dir.map_or_else(|| context.cwd.clone(), |dir| context.cwd.join(dir));
    let named = root.file_name().map(|name| name.to_string_lossy().into_owned());
    let clean = |name: String| name.replace(|c: char| !c.is_alphanumeric() && c != '-', "_");
    let project = args.project.or(named.map(clean)).unwrap_or_else(|| "annals".into());
    if args.mode.dry_run {
        let (settings, layout) =
            Workspace::plan_init(&root, &project, args.layout.into(), &context.caller())?;
        let planned = WorkspacePlanned {
            workspace: root,
            project: settings.project,
            experiments: layout.experiments,
            production: layout.production,
            dry_run: true,
        };
        return context.ui.data(&planned, |ui| {
            let root = planned.workspace.display();
            ui.fact("workspace", format_args!("{root} (would be created)"))?;
            ui.fact("project", &planned.project)?;
            ui.fact("experiments", format_args!("{}/", planned.experiments))?;
            ui.fact("production", format_args!("{}/", planned.production))
        });
    }
    let (workspace, ignored) = Workspace::init(
        &root,
        &project,
        args.layout.into(),
        context.caller(),
        &context.dirs()?,
        context.env.clone(),
    )?;
    let workspace = workspace.with_warnings(&context.warnings);
    workspace.refresh()?;
    let created = WorkspaceMade::new(project, root, workspace.layout_kind(), &ignored);
    context.ui.data(&created, |_| Ok(()))?;
    let root = created.workspace.display();
    context.ui.note(&format!("Workspace {} in {root}", created.project));
    match ignored {
        GitIgnore::Written => context.ui.note(
            "Wrote .gitignore: git ignores the log, data and weights, and takes the registry files",
        ),
        GitIgnore::Added(lines) => {
            context.ui.note(&format!("Added to .gitignore: {}", lines.join(" ")));
        }
        GitIgnore::Enough => {}
        GitIgnore::Advised(lines) => context.ui.warn(&format!(
            ".gitignore was not changed; to keep log, data and weights out of git it needs: {}",
            lines.join(" ")
        )),
    }
    context.ui.note("Next: annals train --config baseline_small");
    Ok(())
}
