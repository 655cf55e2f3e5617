//! How a process ended, in words.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

/// An engine that went without saying how the job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// In one line: `annals-engine was killed by signal 9 (SIGKILL)`.
    pub reason: String,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// The last lines of its output.
    pub output_tail: String,
}

impl Gone {
    pub(super) fn new(program: &str, status: ExitStatus, output_tail: String) -> Self {
        let (signal, exit_code) = (status.signal(), status.code());
        let reason = match (signal, exit_code) {
            (Some(signal), _) => {
                let name = signal_name(signal);
                format!("{program} was killed by signal {signal} ({name})")
            }
            (None, Some(code)) => format!("{program} exited with code {code} before the job ended"),
            (None, None) => format!("{program} ended in an unknown way"),
        };
        Self { reason, signal, exit_code, output_tail }
    }
}

pub(super) fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        _ => "see `kill -l`",
    }
}
