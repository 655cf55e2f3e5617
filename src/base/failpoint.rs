//! Where a process can be made to die, for tests of what a crash leaves: every step of files and
//! log that others could find half done calls `hit`. Programs built for release have none.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// Steps left until the process dies; 0 where it shall not.
static STEPS_LEFT: AtomicU64 = AtomicU64::new(0);

/// Lets the process die at the `steps`th step from now, as `kill -9` does; never for 0.
pub fn arm(steps: u64) {
    STEPS_LEFT.store(steps, Ordering::SeqCst);
}

/// Calls of [`fallible`] left until one fails; 0 where none shall.
static FAILURE_IN: AtomicU64 = AtomicU64::new(0);

/// Lets the `calls`th call of [`fallible`] from now fail, as a full disk does; never for 0.
pub fn arm_failure(calls: u64) {
    FAILURE_IN.store(calls, Ordering::SeqCst);
}

/// A write that may fail.
///
/// # Errors
/// Where [`arm_failure`] asked for it.
pub fn fallible() -> io::Result<()> {
    let armed = cfg!(debug_assertions) && FAILURE_IN.load(Ordering::SeqCst) > 0;
    match armed && FAILURE_IN.fetch_sub(1, Ordering::SeqCst) == 1 {
        true => Err(io::Error::new(io::ErrorKind::StorageFull, "a failpoint of the tests")),
        false => Ok(()),
    }
}

/// One step.
pub fn hit() {
    if cfg!(debug_assertions) && STEPS_LEFT.load(Ordering::SeqCst) > 0 {
        count();
    }
}

fn count() {
    if STEPS_LEFT.fetch_sub(1, Ordering::SeqCst) == 1 {
        // Nothing is flushed, dropped or said.
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}
