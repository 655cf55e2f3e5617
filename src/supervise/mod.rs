//! Starts an engine, listens to it, and says how it ended, whatever happens to it (SUP-1).
//!
//! May use: `base` and the protocol of `train`. Must never see: `store`, `cli`; what it hears goes
//! to a callback.
//!
//! The child gets one end of a socket as its descriptor 0 and its own process group, so that a
//! Ctrl-C at the terminal reaches annals alone, which passes it on once. A thread reads the socket
//! into a bounded queue: a slow log never stops the training before the queue is full.
//!
//! Start reading at [`Engine::start`].

mod command;
mod engine;
mod exit;
mod guard;

pub use command::{Command, End, Output, Printed};
pub use engine::{Engine, EngineMessage, SuperviseError};
pub use exit::Gone;
pub use guard::serve_guard;
