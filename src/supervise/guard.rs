//! Ends a foreign command together with its supervisor. A command cannot be asked to die with its
//! parent, and its children even less; so a small process of our own leads its process group, and
//! ends the group when the pipe from the supervisor ends without a word.

use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::{Pid, Signal, kill_current_process_group, kill_process_group};
use signal_hook::consts::{SIGINT, SIGTERM};

/// The word that lets the guard go without ending anybody.
const RELEASE: [u8; 1] = [b'.'];

/// Leads a process group and outlives nobody: dropping it ends the group.
#[derive(Debug)]
pub(super) struct Guard {
    child: Child,
}

impl Guard {
    /// Starts `program` with the hidden verb that calls [`serve_guard`].
    pub(super) fn start(program: &Path) -> io::Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let child = Command::new(program)
            .arg("guard")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { child })
    }

    /// The process group it leads.
    pub(super) fn group(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap_or(0)
    }

    /// Sends a signal to everybody in the group.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(group) = Pid::from_raw(self.group()) {
            // One that is gone already is as good.
            let _ = kill_process_group(group, signal);
        }
    }

    /// Lets the guard go; whoever else is in the group goes on.
    pub(super) fn release(&mut self) {
        if let Some(mut pipe) = self.child.stdin.take() {
            let _ = pipe.write_all(&RELEASE);
        }
        let _ = self.child.wait();
    }
}

/// What the guard does, in its own process: waits for the word, or for the end of the pipe on
/// descriptor 0, which comes when the supervisor is gone, however it went.
pub fn serve_guard() {
    // What is sent to the group for the command is not meant for its guard.
    for signal in [SIGINT, SIGTERM] {
        let _ = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)));
    }
    let mut word = [0; 1];
    loop {
        match io::stdin().read(&mut word) {
            Ok(0) => break,
            Ok(_) => return,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    let _ = kill_current_process_group(Signal::KILL);
}
