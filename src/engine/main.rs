//! `annals-engine`: trains torch models as the child of `annals`, over the socket on descriptor 0.
//!
//! The only program that links libtorch. It knows no workspace, no log and no screen: it gets a
//! job, answers with what happened, and ends when its parent does.
//!
//! May use: the `train` and `base` modules of the library, tch. Must never see: the rest.
//!
//! To add an architecture: a file or folder in `arch/` and a line in `arch/network.rs`. Start
//! reading in `learner.rs`.

mod arch;
mod device;
mod learner;
mod loss;
mod objective;
mod optim;
mod shim;

use std::process::ExitCode;

use annals::train::protocol::{self, EngineHello, PROTOCOL_VERSION};
use annals::train::serve;

fn main() -> ExitCode {
    // Besides the end of the socket: a parent killed with its socket still held elsewhere.
    let signal = Some(rustix::process::Signal::KILL);
    let _ = rustix::process::set_parent_process_death_signal(signal);
    let loaded = device::load_cuda();
    let devices = device::available(loaded);
    let hello = EngineHello {
        protocol: PROTOCOL_VERSION,
        program: concat!("annals-engine ", env!("CARGO_PKG_VERSION")).to_owned(),
        libtorch: Some(device::LIBTORCH_VERSION.to_owned()),
        bf16: device::with_bf16(&devices),
        devices,
        architectures: arch::names(),
    };
    let served = protocol::engine_socket()
        .map_err(Into::into)
        .and_then(|socket| serve(socket, hello, learner::build, || std::process::exit(1)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// The parent keeps what stands on stderr; there is no other way to tell when the socket is gone.
#[expect(clippy::print_stderr, reason = "the last resort when the socket is gone")]
fn complain(error: &dyn std::error::Error) {
    eprintln!("annals-engine: {error}");
}
