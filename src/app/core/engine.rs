//! The engine inside `annals`: models in plain Rust, trained and asked in a child of it.

use crate::train::toy::ToyLearner;
use crate::train::{protocol, serve, toy_hello};

/// Serves one order over the socket on descriptor 0; whether it could be served.
pub fn serve_own_engine() -> bool {
    // A child whose parent is killed must not train on.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    let hello = toy_hello(concat!("annals engine ", env!("CARGO_PKG_VERSION")));
    let served = protocol::engine_socket()
        .map_err(Into::into)
        .and_then(|socket| serve(socket, hello, ToyLearner::build, || std::process::exit(1)));
    served.is_ok()
}
