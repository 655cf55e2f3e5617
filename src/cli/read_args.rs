//! Where reading verbs read from: `--log` and `--as-of`, the same for all of them.

use std::path::PathBuf;

use super::context::Context;
use crate::app::{Error, ErrorKind, Result, Workspace};

/// A copied log instead of the workspace.
#[derive(Debug, clap::Args)]
pub(super) struct LogFile {
    /// Read a copied log instead of the workspace, even if it is damaged
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

/// A copied log, or an earlier state.
#[derive(Debug, clap::Args)]
pub(super) struct ReadScope {
    #[command(flatten)]
    file: LogFile,
    /// Show the state at the end of this date or time, or after this position in the log
    #[arg(long, value_name = "TIME|AGO|POSITION")]
    as_of: Option<String>,
}

/// At most this many damaged places are named.
const LOST_SHOWN_MAX: usize = 10;

impl LogFile {
    /// Answers from what is asked for.
    ///
    /// # Errors
    /// What `f` returns; [`ErrorKind::Integrity`] after an answer that is not whole.
    pub(super) fn read(
        &self,
        context: &mut Context,
        f: impl FnOnce(&Workspace, &mut Context) -> Result<()>,
    ) -> Result<()> {
        let workspace = self.app(context)?;
        answer(&workspace, context, f)
    }

    fn app(&self, context: &Context) -> Result<Workspace> {
        match &self.log {
            Some(file) => context.copied_log(file),
            None => context.workspace(),
        }
    }
}

impl ReadScope {
    /// Whether the answer is of former times: advice on what to do now would be out of place.
    pub(super) fn is_past(&self) -> bool {
        self.as_of.is_some()
    }

    /// Answers from what is asked for.
    ///
    /// # Errors
    /// As [`LogFile::read`].
    pub(super) fn read(
        &self,
        context: &mut Context,
        f: impl FnOnce(&Workspace, &mut Context) -> Result<()>,
    ) -> Result<()> {
        let workspace = self.file.app(context)?;
        let workspace = match &self.as_of {
            Some(as_of) => workspace.at(as_of)?,
            None => workspace,
        };
        answer(&workspace, context, f)
    }
}

fn answer(
    workspace: &Workspace,
    context: &mut Context,
    f: impl FnOnce(&Workspace, &mut Context) -> Result<()>,
) -> Result<()> {
    let answered = f(workspace, context);
    let lost = workspace.lost();
    for lost in lost.iter().take(LOST_SHOWN_MAX) {
        context.ui.warn(&format!(
            "positions {} to {} are damaged and skipped: {}",
            lost.first, lost.last, lost.why
        ));
    }
    answered?;
    match lost.len() {
        0 => Ok(()),
        count => {
            let parts = if count == 1 { "damaged range was" } else { "damaged ranges were" };
            let message = format!("{count} {parts} skipped; the result is incomplete");
            Err(Error::new(ErrorKind::Integrity, message)
                .hint("`annals verify --log FILE` examines every event of the copy"))
        }
    }
}
