//! `annals completions`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::context::Context;
use crate::app::Result;

/// Print completions for a shell
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Args::command(), "annals", &mut script);
    context.ui.bytes(&script)
}
