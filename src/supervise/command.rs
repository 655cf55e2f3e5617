//! A foreign command: started in a process group of its own, its output heard as it comes. It does
//! not outlive annals ([`super::serve_guard`]).

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Read};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use rustix::process::Signal;

use super::engine::SuperviseError;
use super::exit::signal_name;
use super::guard::Guard;

/// Pieces that may wait before the command has to, and the size of one.
const QUEUE_PIECES: usize = 64;
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces that are heard after the command has ended. What it printed itself fits: the queue, one
/// piece of each reader, and both pipes, which hold at most 1 MiB each. More comes from processes
/// that it left behind, which may print for ever.
const LATE_PIECES_MAX: usize = 4 * QUEUE_PIECES;

/// What a command printed in one piece: part of a line, or several lines.
#[derive(Clone, Debug)]
pub struct Printed {
    /// Whether it came from its error output.
    pub error: bool,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// How a command ended.
#[derive(Clone, Debug)]
pub struct End {
    /// Whether its exit code is 0.
    pub success: bool,
    /// In one line: `python3 exited with code 3`.
    pub reason: String,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// Whether processes that it left behind were still printing, which was not heard to the end.
    pub cut_off: bool,
}

/// What is heard next.
#[derive(Clone, Debug)]
pub enum Output {
    /// A piece of output.
    Printed(Printed),
    /// Nothing yet.
    Silence,
    /// The command has ended, and everything it printed was heard.
    Ended(End),
}

/// A running command. Dropping it kills its process group.
#[derive(Debug)]
pub struct Command {
    name: String,
    guard: Guard,
    child: Child,
    printed: Receiver<Printed>,
    /// Pieces heard since the command itself has ended.
    late: usize,
    ended: bool,
}

impl Command {
    /// Starts `command` in `cwd` with `variables` over the present environment. `guard` is the
    /// program whose verb `guard` calls [`super::serve_guard`].
    ///
    /// # Errors
    /// When there is no such program, or it cannot be started.
    pub fn start(
        guard: &Path,
        command: &[OsString],
        cwd: &Path,
        variables: &[(&str, String)],
    ) -> Result<Self, SuperviseError> {
        let (program, args) = match command {
            [program, args @ ..] => (program.clone(), args),
            [] => (OsString::new(), command),
        };
        let name = Path::new(&program).file_name().unwrap_or(&program);
        let name = name.to_string_lossy().into_owned();
        let failed = |source| SuperviseError::Start { program: name.clone(), source };
        // A command in a group of its own may not read the terminal.
        let input = if io::stdin().is_terminal() { Stdio::null() } else { Stdio::inherit() };
        let mut guard = Guard::start(guard).map_err(|source| SuperviseError::Start {
            program: guard.display().to_string(),
            source,
        })?;
        let child = std::process::Command::new(&program)
            .args(args)
            .current_dir(cwd)
            .envs(variables.iter().map(|(key, value)| (key, value)))
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(guard.group())
            .spawn();
        let mut child = child.inspect_err(|_| guard.release()).map_err(failed)?;
        let (sender, printed) = sync_channel(QUEUE_PIECES);
        if let Some(output) = child.stdout.take() {
            listen(output, false, sender.clone());
        }
        if let Some(output) = child.stderr.take() {
            listen(output, true, sender);
        }
        Ok(Self { name, guard, child, printed, late: 0, ended: false })
    }

    /// Waits for what is heard next, at most `wait`.
    pub fn recv(&mut self, wait: Duration) -> Output {
        let heard = self.printed.recv_timeout(wait);
        // A grandchild may hold the pipes open, and print, for longer than the command lives.
        let status = self.child.try_wait().ok().flatten();
        let silence = match (heard, status) {
            (Ok(printed), None) => return Output::Printed(printed),
            (Ok(printed), Some(_)) if self.late < LATE_PIECES_MAX => {
                self.late += 1;
                return Output::Printed(printed);
            }
            (Ok(_), Some(status)) => return Output::Ended(self.end(status, true)),
            (Err(_), Some(status)) => return Output::Ended(self.end(status, false)),
            (Err(silence), None) => silence,
        };
        if silence == RecvTimeoutError::Disconnected {
            // It has closed its output and goes on.
            std::thread::sleep(wait);
        }
        Output::Silence
    }

    /// Passes Ctrl-C on.
    pub fn interrupt(&mut self) {
        self.guard.signal(Signal::INT);
    }

    /// Ends the whole group at once.
    pub fn kill(&mut self) {
        self.guard.signal(Signal::KILL);
    }

    fn end(&mut self, status: ExitStatus, cut_off: bool) -> End {
        self.ended = true;
        self.guard.release();
        let name = &self.name;
        let reason = match (status.signal(), status.code()) {
            (Some(signal), _) => {
                format!("{name} was killed by signal {signal} ({})", signal_name(signal))
            }
            (None, Some(code)) => format!("{name} exited with code {code}"),
            (None, None) => format!("{name} ended in an unknown way"),
        };
        let (success, signal, exit_code) = (status.success(), status.signal(), status.code());
        End { success, reason, signal, exit_code, cut_off }
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        if !self.ended {
            self.kill();
            let _ = self.child.wait();
        }
    }
}

fn listen(output: impl Read + Send + 'static, error: bool, sender: SyncSender<Printed>) {
    std::thread::spawn(move || {
        let (mut output, mut buffer) = (output, vec![0; PIECE_BYTES]);
        loop {
            match output.read(&mut buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return,
                Ok(size) => {
                    let bytes = buffer[..size].to_vec();
                    if sender.send(Printed { error, bytes }).is_err() {
                        return;
                    }
                }
            }
        }
    });
}
