//! The `annals` program: parse, call, print, exit.

use std::process::ExitCode;

fn main() -> ExitCode {
    annals::cli::main()
}
