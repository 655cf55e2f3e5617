//! `--dry-run` and `--yes`: what a verb would do, and the question before bytes are deleted.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use super::context::Context;
use crate::app::{Error, ErrorKind, Mode, Result};

/// `--dry-run`, on every verb that changes something.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct DryRun {
    /// Print what would change, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl DryRun {
    pub(super) const fn mode(self) -> Mode {
        Mode::of(self.dry_run)
    }
}

/// `--yes`, on every verb that deletes bytes.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Consent {
    /// Do not ask for confirmation; required where there is no terminal
    #[arg(long, short)]
    pub(super) yes: bool,
}

/// Whether somebody confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confirmed {
    /// By `--yes`, or at the terminal.
    Yes,
    /// There is nobody to ask.
    NoTerminal,
}

impl Consent {
    /// Asks at the terminal before `action`, such as "delete 3 blobs (1.2 MB)".
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`] when the answer is not yes.
    pub(super) fn ask(self, action: &str) -> Result<Confirmed> {
        if self.yes {
            return Ok(Confirmed::Yes);
        }
        let stdin = io::stdin();
        if !stdin.is_terminal() || !io::stderr().is_terminal() {
            return Ok(Confirmed::NoTerminal);
        }
        let mut stderr = io::stderr().lock();
        // A question that cannot be shown is answered with no.
        let shown = write!(stderr, "{} [y/N] ", super::ui::escape(&capitalized(action)));
        let mut answer = String::new();
        let read =
            shown.and_then(|()| stderr.flush()).and_then(|()| stdin.lock().read_line(&mut answer));
        let confirmed = read.is_ok() && is_yes(&answer);
        if confirmed {
            return Ok(Confirmed::Yes);
        }
        Err(Error::new(ErrorKind::Interrupted, format!("not confirmed: {action}"))
            .hint("nothing was changed"))
    }

    /// As [`Self::ask`]; without a terminal the verb continues for this release, with a warning.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(super) fn ask_or_warn(self, action: &str, context: &Context) -> Result<()> {
        if self.ask(action)? == Confirmed::NoTerminal {
            context.ui.warn(
                "this verb deletes files and continues without --yes only in this release; the \
                 next release will require --yes where there is no terminal",
            );
        }
        Ok(())
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

fn capitalized(action: &str) -> String {
    let mut letters = action.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}?", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for (answer, confirmed) in
            [("y\n", true), ("YES\n", true), ("\n", false), ("", false), ("yes please\n", false)]
        {
            assert_eq!(is_yes(answer), confirmed, "{answer:?}");
        }
    }

    #[test]
    fn a_question_is_a_sentence() {
        assert_eq!(capitalized("delete 3 blobs"), "Delete 3 blobs?");
    }
}
