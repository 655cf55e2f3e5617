//! Devices by name, and CUDA where the libtorch beside us has it.

use annals::train::LearnError;
use tch::{Cuda, Device};

/// The libtorch release that tch is generated for.
pub(crate) const LIBTORCH_VERSION: &str = "2.11.0";

/// Loads CUDA's half of libtorch where it exists. It must be in the process before the first
/// question about CUDA: libtorch remembers the answer "there is none" for good.
#[expect(unsafe_code, reason = "loading a library runs its initialisers")]
pub(crate) fn load_cuda() -> bool {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: libtorch_cuda.so is found by our own rpath and belongs to the libtorch that is
    // linked; its initialisers register kernels and need nothing of us. No other thread runs yet.
    match unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) } {
        Ok(library) => {
            // Its kernels are in use until the process ends.
            std::mem::forget(library);
            true
        }
        Err(_) => false,
    }
}

/// The devices that can be asked for.
pub(crate) fn available(cuda_loaded: bool) -> Vec<String> {
    let mut names = vec!["cpu".to_owned()];
    if cuda_loaded {
        names.extend((0..Cuda::device_count()).map(|index| format!("cuda:{index}")));
    }
    if tch::utils::has_mps() {
        names.push("mps".to_owned());
    }
    names
}

/// The device named `cpu`, `cuda`, `cuda:<n>` or `mps`.
pub(crate) fn named(name: &str) -> Result<Device, LearnError> {
    let missing = |message: String| LearnError::Device { device: name.to_owned(), message };
    match name.split_once(':').unwrap_or((name, "0")) {
        ("cpu", _) => Ok(Device::Cpu),
        ("mps", _) if tch::utils::has_mps() => Ok(Device::Mps),
        ("mps", _) => Err(missing("this libtorch has no MPS".into())),
        ("cuda", index) => {
            let count = Cuda::device_count();
            match index.parse::<usize>() {
                Ok(index) if (index as i64) < count => Ok(Device::Cuda(index)),
                _ => Err(missing(format!("this machine and libtorch have {count} CUDA devices"))),
            }
        }
        _ => Err(missing("known are cpu, cuda, cuda:<n> and mps".into())),
    }
}
