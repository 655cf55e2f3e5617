//! `annals init`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::context::Context;
use crate::app::{App, GitIgnore, Result};
use crate::domain::workspace::LayoutKind;

/// Make a workspace here: settings, an empty log, a signing key, the default policy
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder; the current one by default
    dir: Option<PathBuf>,
    /// The project's name; the folder's by default
    #[arg(long)]
    project: Option<String>,
    /// Where things lie: below experiments/ and models/, or below training/ and model_weights/
    #[arg(long, value_enum, default_value_t = LayoutArg::Consolidated)]
    layout: LayoutArg,
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
    let (mut app, ignored) = App::init(
        &root,
        &project,
        args.layout.into(),
        context.caller(),
        &context.dirs()?,
        context.env.clone(),
    )?;
    app.warnings = context.warnings.clone();
    app.refresh()?;
    context.ui.note(&format!("Workspace {project} in {}", root.display()));
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
